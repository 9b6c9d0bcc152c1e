//! One file from a server to the disk: resumed where it was cut, summed up, and named when it is whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ureq::Body;
use ureq::http::header::{CONTENT_RANGE, HeaderMap};
use ureq::http::{Response, StatusCode};

use super::Hub;
use super::client::{Client, text};
use super::digest::{Digest, Sum};
use super::event::HubEvent;
use super::fault::Fault;
use super::patience::Patience;
use super::store::unique;

/// The largest published checkpoint has 4.4 GB. No server fills the disk with more than this.
pub(super) const MAX_WEIGHTS: u64 = 16 << 30;
const BUFFER: usize = 256 << 10;

pub(super) struct Transfer<'a> {
    /// What it is called in messages.
    pub name: &'a str,
    pub url: &'a str,
    /// In bytes, as the server says.
    pub size: Option<u64>,
    /// What the content sums up to, as the server says.
    pub digest: Option<Digest>,
    /// Where it is to be. Its folder exists.
    pub target: &'a Path,
    /// Most bytes that are taken.
    pub limit: u64,
    /// Whether no other process of this machine can fetch it now.
    pub is_alone: bool,
}

impl Transfer<'_> {
    /// Fetches the file. What an earlier, interrupted run left beside the target is used when the content's sum is
    /// known, so that a wrong beginning would be noticed.
    pub fn run(&self, hub: &Hub, client: &Client) -> Result<(), Fault> {
        hub.tell(HubEvent::File {
            name: self.name,
            size: self.size,
        });
        let partial = partial(self.target, self.is_alone);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(self.digest.is_none())
            .open(&partial)
            .map_err(Fault::local(&partial, "open"))?;
        self.fill(hub, client, &mut file).inspect_err(|fault| {
            // Nobody would ever go on with a file of its own.
            if matches!(fault, Fault::Damaged(_)) || !self.is_alone {
                let _ = fs::remove_file(&partial);
            }
        })?;
        file.sync_data().map_err(Fault::local(&partial, "write"))?;
        drop(file);
        fs::rename(&partial, self.target).map_err(Fault::local(self.target, "write"))?;
        hub.tell(HubEvent::FileDone);
        Ok(())
    }

    /// Tries as long as there is progress, and a few times more.
    fn fill(&self, hub: &Hub, client: &Client, file: &mut File) -> Result<(), Fault> {
        let mut patience = Patience::default();
        let mut farthest = 0;
        loop {
            let fault = match self.attempt(hub, client, file) {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            let reached = self.length(file)?;
            if reached > farthest {
                (patience, farthest) = (Patience::default(), reached);
            }
            patience.bear(hub, fault)?;
        }
    }

    fn attempt(&self, hub: &Hub, client: &Client, file: &mut File) -> Result<(), Fault> {
        if self.size.is_some_and(|size| size > self.limit) {
            return Err(Fault::Damaged(format!(
                "it is said to have more than {} bytes",
                self.limit
            )));
        }
        if self.length(file)? > self.size.unwrap_or(self.limit) {
            self.truncate(file)?;
        }
        let mut growing = Growing::of(file, self)?;
        let resumed = growing.done;
        hub.tell(HubEvent::Bytes(resumed));
        if Some(resumed) != self.size {
            growing.receive(hub, client)?;
        }
        let (done, found) = (growing.done, growing.sum.finish());
        if self.size.is_some_and(|size| done < size) {
            return Err(Fault::passing(format!("the connection ended after {done} bytes")));
        }
        let wrong = found
            .zip(self.digest.as_ref())
            .filter(|(found, expected)| found != *expected);
        let Some((found, expected)) = wrong else {
            return Ok(());
        };
        self.truncate(file)?;
        let reason = format!("what came has the {found}, expected the {expected}");
        Err(match resumed {
            0 => Fault::Damaged(reason),
            // The beginning may have been another file's.
            _ => Fault::passing(reason),
        })
    }

    fn length(&self, file: &File) -> Result<u64, Fault> {
        let metadata = file.metadata().map_err(Fault::local(self.target, "read"))?;
        Ok(metadata.len())
    }

    fn truncate(&self, file: &mut File) -> Result<(), Fault> {
        let truncated = file.set_len(0).and_then(|()| file.rewind());
        truncated.map_err(Fault::local(self.target, "write"))
    }
}

/// Where a file is until it is complete. A lock may hold among the processes of one machine and not among the machines
/// that share a file system, so that each has a file of its own, with which its next run goes on. A download that may
/// not be alone even on its machine has one that nobody goes on with. (huggingface_hub gives every download such a file
/// and resumes none.)
pub(super) fn partial(target: &Path, is_alone: bool) -> PathBuf {
    let mut name = OsString::from(target);
    match is_alone {
        true => name.push(host().map(|host| format!(".{host}")).unwrap_or_default()),
        false => name.push(format!(".{}", unique())),
    }
    name.push(".incomplete");
    name.into()
}

/// What this machine calls itself, where the standard library can ask.
fn host() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let first: String = name.chars().take_while(|&c| is_usual(c)).take(64).collect();
    (!first.is_empty()).then_some(first)
}

/// A file that is being written, up to where it is.
struct Growing<'a> {
    transfer: &'a Transfer<'a>,
    file: &'a mut File,
    done: u64,
    sum: Sum,
}

impl<'a> Growing<'a> {
    /// With what is in the file already.
    fn of(file: &'a mut File, transfer: &'a Transfer<'a>) -> Result<Self, Fault> {
        let mut sum = Sum::new(transfer.digest.as_ref());
        let mut buffer = vec![0; BUFFER];
        let mut read_all = || {
            file.seek(SeekFrom::Start(0))?;
            let mut done = 0;
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok::<u64, io::Error>(done),
                    count => {
                        sum.add(&buffer[..count]);
                        done += count as u64;
                    }
                }
            }
        };
        let done = read_all().map_err(Fault::local(transfer.target, "read"))?;
        Ok(Self {
            transfer,
            file,
            done,
            sum,
        })
    }

    fn receive(&mut self, hub: &Hub, client: &Client) -> Result<(), Fault> {
        let mut response = self.request(client)?;
        let limit = self.transfer.size.unwrap_or(self.transfer.limit);
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; BUFFER];
        loop {
            let cut = |error: io::Error| Fault::passing(format!("after {} bytes: {error}", self.done));
            let count = body.read(&mut buffer).map_err(cut)?;
            if count == 0 {
                return Ok(());
            }
            if self.done + count as u64 > limit {
                self.start_over()?;
                return Err(Fault::Damaged(format!(
                    "it has more than the {limit} bytes that were promised or are allowed"
                )));
            }
            self.file
                .write_all(&buffer[..count])
                .map_err(Fault::local(self.transfer.target, "write"))?;
            self.sum.add(&buffer[..count]);
            self.done += count as u64;
            hub.tell(HubEvent::Bytes(self.done));
        }
    }

    /// Asks for the rest, and starts over when the server gives the whole.
    fn request(&mut self, client: &Client) -> Result<Response<Body>, Fault> {
        let response = match client.get(self.transfer.url, self.done) {
            Err(Fault::Refused { status: 416, .. }) if self.done > 0 => {
                self.start_over()?;
                client.get(self.transfer.url, 0)?
            }
            other => other?,
        };
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT => range_start(response.headers()),
            _ => Some(0),
        };
        match start {
            Some(start) if start == self.done => Ok(response),
            Some(0) => self.start_over().map(|()| response),
            _ => Err(Fault::passing(
                "the server gave another part than it was asked for",
            )),
        }
    }

    fn start_over(&mut self) -> Result<(), Fault> {
        self.transfer.truncate(self.file)?;
        self.done = 0;
        self.sum = Sum::new(self.transfer.digest.as_ref());
        Ok(())
    }
}

/// Of `bytes 100-199/200`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = text(headers, CONTENT_RANGE.as_str())?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}
