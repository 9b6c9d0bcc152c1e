//! A Hub with one repository, the other machine where its large files are, and Google's server.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::loopback::{Reply, Request, Server};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// What `main` is when it has moved.
pub const LATER: &str = "89abcdef0123456789abcdef0123456789abcdef";
pub const NAME: &str = "google/bit-50";
pub const SAFETENSORS: &str = "model.safetensors";
pub const PICKLE: &str = "pytorch_model.bin";

/// Something that goes wrong with one answer.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// With `Retry-After`, if so.
    Status(u16, Option<u64>),
    /// After so many bytes of the body.
    Cut(usize),
    /// Another content of the same length.
    Altered,
    /// The whole, whatever part was asked for.
    Whole,
    /// No answer, for longer than anybody waits.
    Silence,
}

#[derive(Default)]
struct State {
    /// Those that end in `.json` are small.
    files: BTreeMap<String, Vec<u8>>,
    /// Without it there is nothing to see.
    token: Option<String>,
    /// Whether the Hub has large files itself.
    has_all: bool,
    /// Whether small files are other than they are said to be.
    alters_small: bool,
    /// How many answers the branch stays as it is. Then it has other small files.
    moves_after: Option<usize>,
    of_hub: VecDeque<Trouble>,
    of_storage: VecDeque<Trouble>,
}

pub struct Fake {
    pub hub: Server,
    pub storage: Server,
    state: Arc<Mutex<State>>,
}

impl Fake {
    /// Both servers, with these files in the repository.
    pub fn with(files: &[(&str, &[u8])]) -> Self {
        let files = files
            .iter()
            .map(|(name, content)| ((*name).to_owned(), content.to_vec()));
        let state = Arc::new(Mutex::new(State {
            files: files.collect(),
            ..State::default()
        }));
        let of_storage = Arc::clone(&state);
        let storage = Server::start(move |request| stored(&mut of_storage.lock().unwrap(), request));
        let (of_hub, address) = (Arc::clone(&state), storage.address.clone());
        let hub = Server::start(move |request| described(&mut of_hub.lock().unwrap(), &address, request));
        Self { hub, storage, state }
    }

    /// A model whose weights have this name.
    pub fn with_weights(name: &str) -> Self {
        Self::with(&[
            ("config.json", b"{}"),
            ("preprocessor_config.json", b"{}"),
            (name, &weights()),
        ])
    }

    pub fn require_token(&self, token: &str) {
        self.state.lock().unwrap().token = Some(token.to_owned());
    }

    pub fn without_storage(&self) {
        self.state.lock().unwrap().has_all = true;
    }

    pub fn alter_small(&self) {
        self.state.lock().unwrap().alters_small = true;
    }

    pub fn move_branch_after(&self, answers: usize) {
        self.state.lock().unwrap().moves_after = Some(answers);
    }

    pub fn trouble_hub(&self, troubles: &[Trouble]) {
        self.state.lock().unwrap().of_hub.extend(troubles.iter().cloned());
    }

    pub fn trouble_storage(&self, troubles: &[Trouble]) {
        let mut state = self.state.lock().unwrap();
        state.of_storage.extend(troubles.iter().cloned());
    }
}

/// No two parts of it are the same, and it is more than one buffer.
pub fn weights() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

pub fn sha256(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

fn reply(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Reply {
    Reply {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect(),
        body: body.to_vec(),
        ..Reply::default()
    }
}

fn failing(status: u16, after: Option<u64>) -> Reply {
    let after = after.map(|seconds| ("Retry-After", seconds.to_string()));
    Reply {
        status,
        headers: after.into_iter().collect(),
        ..Reply::default()
    }
}

/// The Hub's part: `/google/bit-50/resolve/REVISION/FILE`, and a repository's former name.
fn described(state: &mut State, storage: &str, request: &Request) -> Reply {
    match state.of_hub.pop_front() {
        Some(Trouble::Status(status, after)) => return failing(status, after),
        Some(Trouble::Silence) => return silence(),
        _ => {}
    }
    let given = request.headers.get("authorization").map(String::as_str);
    let needed = state.token.as_ref().map(|token| format!("Bearer {token}"));
    if needed.is_some() && needed.as_deref() != given {
        let message = ("X-Error-Message", "Invalid username or password.");
        return reply(401, &[("X-Error-Code", "RepoNotFound"), message], b"");
    }
    if state.has_all && request.path.contains('?') {
        return stored(state, request);
    }
    if let Some(rest) = request.path.strip_prefix("/old/name/") {
        return reply(307, &[("Location", &format!("/{NAME}/{rest}"))], b"");
    }
    let parts: Vec<_> = request.path.split('/').collect();
    let [_, "google", "bit-50", "resolve", revision, file] = parts[..] else {
        return reply(404, &[("X-Error-Code", "RepoNotFound")], b"");
    };
    if !["main", "refs%2Fpr%2F1", COMMIT, LATER].contains(&revision) {
        return reply(404, &[("X-Error-Code", "RevisionNotFound")], b"");
    }
    let has_moved = state.moves_after == Some(0);
    state.moves_after = state.moves_after.map(|answers| answers.saturating_sub(1));
    let is_later = revision == LATER || (revision == "main" && has_moved);
    let commit = ("X-Repo-Commit", if is_later { LATER } else { COMMIT });
    match state.files.get(file) {
        None => reply(404, &[commit, ("X-Error-Code", "EntryNotFound")], b""),
        Some(content) if file.ends_with(".json") => {
            let content = if is_later { b"[]" } else { &content[..] };
            let etag = format!("W/\"{}\"", git_sum(content));
            let is_altered = state.alters_small && request.method == "GET";
            let sent = if is_altered { b"[]" } else { content };
            reply(200, &[commit, ("ETag", &etag)], sent)
        }
        Some(content) => {
            let etag = format!("\"{}\"", sha256(content));
            let size = content.len().to_string();
            let storage = if state.has_all { "" } else { storage };
            let target = format!("{storage}/{file}?Signature=secret");
            let headers = [
                commit,
                ("X-Linked-Etag", &etag),
                ("X-Linked-Size", &size),
                ("Location", &target),
            ];
            reply(302, &headers, b"")
        }
    }
}

/// What git calls a file of this content. `python_cache.json` has two that Python made.
fn git_sum(content: &[u8]) -> String {
    let header = format!("blob {}\0", content.len());
    format!(
        "{:x}",
        Sha1::new().chain_update(header).chain_update(content).finalize()
    )
}

/// An answer whose beginning does not come.
fn silence() -> Reply {
    Reply {
        is_late: true,
        ..Reply::default()
    }
}

/// The storage's part: `/FILE`, in parts if so asked, with the sum that Google sends.
fn stored(state: &mut State, request: &Request) -> Reply {
    let file = request
        .path
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_start_matches('/');
    let Some(content) = state.files.get(file) else {
        return reply(404, &[], b"");
    };
    let sum = base64(crc32c::crc32c(content));
    let trouble = match request.method.as_str() {
        "GET" => state.of_storage.pop_front(),
        _ => None,
    };
    let range = request
        .headers
        .get("range")
        .filter(|_| !matches!(trouble, Some(Trouble::Whole)));
    let start = range.map(|range| range[6..].trim_end_matches('-').parse().unwrap());
    let mut reply = match start {
        None => reply(200, &[], content),
        Some(start) if start >= content.len() => return reply(416, &[], b""),
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
            reply(206, &[("Content-Range", &range)], &content[start..])
        }
    };
    reply.headers.push(("x-goog-hash", format!("crc32c={sum}")));
    reply
        .headers
        .push(("x-goog-hash", "md5=AAAAAAAAAAAAAAAAAAAAAA==".to_owned()));
    match trouble {
        Some(Trouble::Status(status, after)) => return failing(status, after),
        Some(Trouble::Cut(at)) => reply.cut = Some(at),
        Some(Trouble::Altered) => reply.body.reverse(),
        Some(Trouble::Silence) => return silence(),
        _ => {}
    }
    reply
}

fn base64(sum: u32) -> String {
    match crate::hub::digest::Sum::Crc32c(sum).finish() {
        Some(crate::hub::digest::Digest::Crc32c(text)) => text,
        other => panic!("{other:?}"),
    }
}
