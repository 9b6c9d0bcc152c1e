//! Models that are not on this machine.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use crate::support::*;

/// A Hub that has `folder` as every repository; its address.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // The program may hang up as it likes.
            let _ = answer(&stream, &folder);
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: &TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let name = request.split([' ', '/']).rev().nth(2).unwrap_or_default();
    let (status, content) = match fs::read(folder.join(name)) {
        Ok(content) => (200, content),
        Err(_) => (404, Vec::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status} -\r\nX-Repo-Commit: 0123\r\nETag: \"{name}\"\r\nContent-Length: {}\r\nConnection: \
         close\r\n\r\n",
        content.len()
    )?;
    match request.starts_with("HEAD") {
        true => Ok(()),
        false => stream.write_all(&content),
    }
}

#[test]
fn a_model_is_fetched_once_and_then_found_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let address = serve(mnist_copy(folder.path()));
    let home = path(&folder.path().join("home"));
    let classify = |endpoint: &str, offline: &str| {
        let variables = [
            ("HF_HOME", home.as_str()),
            ("HF_HUB_CACHE", ""),
            ("HF_ENDPOINT", endpoint),
            ("HF_HUB_OFFLINE", offline),
        ];
        let digit = digit("3-1");
        bit_with_variables(
            &["classify", &digit, "--model", "owner/mnist", "--format", "csv"],
            &variables,
        )
    };
    let nobody = "http://127.0.0.1:1";
    classify(nobody, "0").fails_with(&["owner/mnist@main", &home, nobody, "hf download owner/mnist"]);
    let fetched = classify(&address, "0").ok();
    assert!(fetched.contains(",3,"), "{fetched}");
    assert_eq!(classify(nobody, "1").ok(), fetched);
}

#[test]
fn googles_files_have_short_names() {
    let folder = tempfile::tempdir().unwrap();
    let home = path(folder.path());
    let inspect = bit_with_variables(&["inspect", "bit-m-r50x1"], &[("HF_HOME", &home)]);
    inspect.fails_with(&[
        "BiT-M-R50x1.npz",
        &home,
        "storage.googleapis.com/bit_models/BiT-M-R50x1.npz",
    ]);
}
