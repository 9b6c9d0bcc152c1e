//! Running the program.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// What a run left behind.
#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Standard output of a run in which nothing went wrong.
    pub fn ok(self) -> String {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{}", self.stdout);
        self.stdout
    }

    /// Standard output as JSON of a run in which nothing went wrong.
    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// Asserts that the run failed with one line that holds all of `parts`, and nothing like a panic.
    pub fn fails_with(&self, parts: &[&str]) {
        assert_eq!(self.status, 1, "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no `{part}` in {self:?}");
        }
        assert!(
            self.stderr.starts_with("error: ") && !self.stderr.contains("panicked"),
            "{self:?}"
        );
    }
}

fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bit"));
    // The tests must not find what this machine's Hub cache happens to hold.
    command
        .args(args)
        .env("HF_HUB_CACHE", "/nonexistent")
        .env("HF_HUB_OFFLINE", "1");
    command
}

pub fn bit<S: AsRef<OsStr>>(args: &[S]) -> Run {
    bit_with_stdin(args, b"")
}

/// With other variables than the tests have otherwise.
pub fn bit_with_variables(args: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = command(args);
    command.envs(variables.iter().copied());
    run(command, b"")
}

pub fn bit_with_stdin<S: AsRef<OsStr>>(args: &[S], stdin: &[u8]) -> Run {
    run(command(args), stdin)
}

fn run(mut command: Command, stdin: &[u8]) -> Run {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The program may end without having read it.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    Run {
        status: output.status.code().expect("the program ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Starts the program and lets it run, with nothing to read and nobody to listen.
pub fn start<S: AsRef<OsStr>>(args: &[S]) -> Child {
    let mut command = command(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Runs until the first line is printed, then closes the pipe.
pub fn bit_into_closed_pipe<S: AsRef<OsStr>>(args: &[S]) -> (i32, String) {
    let mut command = command(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

/// The folder of 30 pictures named `DIGIT-N.png`.
pub fn digits() -> String {
    path(&fixtures().join("mnist/images"))
}

/// One of them.
pub fn digit(name: &str) -> String {
    format!("{}/{name}.png", digits())
}

/// A small random model of transformers.
pub fn model(case: &str) -> PathBuf {
    fixtures().join("models").join(case)
}

/// A copy of the builtin model as a folder, to be damaged.
pub fn mnist_copy(folder: &Path) -> PathBuf {
    let copy = folder.join("model");
    bit(&["convert", "builtin:mnist", copy.to_str().unwrap()]).ok();
    copy
}

pub fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The names in a folder.
pub fn listing(folder: &Path) -> Vec<String> {
    let names = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

pub const MODEL: [&str; 2] = ["--model", "builtin:mnist"];

/// `args` with the builtin model.
pub fn with_mnist<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &MODEL].concat()
}
