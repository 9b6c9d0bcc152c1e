//! An HTTP server in the test's process: one answer a connection.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in small letters.
    pub headers: BTreeMap<String, String>,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub cut: Option<usize>,
    /// Nothing is sent as long as the client waits.
    pub is_late: bool,
}

pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                // A client may hang up; that is its right.
                thread::spawn(move || serve(&stream.ok()?, &log, &*answer).ok());
            }
        });
        Self { address, requests }
    }

    /// All that was asked until now.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// How often this was asked.
    pub fn count(&self, method: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| request.method == method).count()
    }
}

/// A proxy behind which there is one server, whatever it is asked for.
pub struct Proxy {
    pub address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, server) = (
            Arc::clone(&asked),
            server.trim_start_matches("http://").to_owned(),
        );
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, server) = (Arc::clone(&log), server.clone());
                thread::spawn(move || connect(&stream.ok()?, &log, &server).ok());
            }
        });
        Self { address, asked }
    }

    /// The first line of every request.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn connect(mut client: &TcpStream, log: &Mutex<Vec<String>>, server: &str) -> io::Result<()> {
    // Nothing follows the request until it is answered, so that no byte is lost with the reader.
    let mut lines = BufReader::new(client).lines();
    log.lock()
        .unwrap()
        .push(lines.next().unwrap_or(Ok(String::new()))?);
    while lines
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let server = TcpStream::connect(server)?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || io::copy(&mut from, &mut to));
    io::copy(&mut &server, &mut client)?;
    client.shutdown(std::net::Shutdown::Both)
}

fn serve(
    mut stream: &TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Reply,
) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let mut next = || lines.next().unwrap_or(Ok(String::new()));
    let first = next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = next()?.split_once(':') {
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let request = Request {
        method,
        path,
        headers,
    };
    log.lock().unwrap().push(request.clone());
    let reply = answer(&request);
    if reply.is_late {
        // Until the client hangs up.
        return stream.read(&mut [0]).map(drop);
    }
    let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", reply.body.len());
    stream.write_all(head.as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&reply.body[..reply.cut.unwrap_or(reply.body.len())])?;
    }
    Ok(())
}
