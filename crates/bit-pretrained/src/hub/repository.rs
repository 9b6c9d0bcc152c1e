//! A model's files from the Hub into the cache.

use bit_convert::WEIGHT_FILES;

use super::Hub;
use super::cache::{Repository, Snapshot, is_plain};
use super::client::{Client, LINKED_ETAG, Redirects, text};
use super::digest::Digest;
use super::fault::Fault;
use super::files::{CONFIGURATIONS, MAX_CONFIG};
use super::patience::patiently;
use super::store::{etag_name, locked};
use super::transfer::{MAX_WEIGHTS, Transfer};
use super::url::escaped;

/// A file as the Hub describes it.
struct Remote {
    name: String,
    /// In its commit, whatever becomes of a branch.
    url: String,
    /// The content's name in the cache.
    etag: String,
    size: Option<u64>,
    commit: String,
}

/// What is known of a revision while its files are fetched.
struct Fetching<'a> {
    hub: &'a Hub,
    client: Client,
    repository: &'a Repository<'a>,
    /// The commit, as soon as it is known: all files shall be of the same one.
    revision: String,
    absent: Vec<String>,
}

/// The snapshot of a revision's configurations and weights, fetched where they are not in the cache.
pub(super) fn fetch(hub: &Hub, repository: &Repository<'_>, revision: &str) -> Result<Snapshot, Fault> {
    let mut fetching = Fetching {
        hub,
        client: Client::new(&hub.settings.way, &hub.settings.endpoint, hub.settings.token())?,
        repository,
        revision: revision.to_owned(),
        absent: Vec::new(),
    };
    let mut files = Vec::new();
    for name in CONFIGURATIONS {
        files.extend(fetching.find(name)?);
    }
    let remote = fetching.find_weights()?;
    let (weights, commit) = (remote.name.clone(), remote.commit.clone());
    let snapshot = repository.snapshot(&commit).ok_or_else(|| no_hub(&commit))?;
    files.push(remote);
    for file in &files {
        fetching.file(file, &snapshot)?;
    }
    if weights.ends_with(".json") {
        fetching.shards(&weights, &snapshot)?;
    }
    for name in &fetching.absent {
        snapshot.mark_absent(name)?;
    }
    // Last, so that an earlier commit's files are found until this one's are complete.
    repository.remember(revision, &commit)?;
    Ok(snapshot)
}

impl Fetching<'_> {
    /// Asks for a file that the repository may not have.
    fn find(&mut self, name: &str) -> Result<Option<Remote>, Fault> {
        let url = self.url(&self.revision, name);
        let headers = match patiently(self.hub, || self.client.head(&url, Redirects::UntilDescribed)) {
            Err(Fault::Refused {
                status: 404, code, ..
            }) if is_about_a_file(code.as_deref()) => {
                self.absent.push(name.to_owned());
                return Ok(None);
            }
            other => other?,
        };
        // The server's own file is a redirect's target; a redirect has a length too, and it is not the file's.
        let is_redirect = headers.contains_key("location");
        let size = match is_redirect {
            true => text(&headers, "x-linked-size"),
            false => text(&headers, "x-linked-size").or(text(&headers, "content-length")),
        };
        let etag = text(&headers, LINKED_ETAG).or(text(&headers, "etag"));
        let commit = text(&headers, "x-repo-commit").filter(|commit| is_plain(commit));
        let described = etag.and_then(etag_name).zip(commit);
        let (etag, commit) = described.ok_or_else(|| no_hub(&url))?;
        commit.clone_into(&mut self.revision);
        Ok(Some(Remote {
            name: name.to_owned(),
            etag,
            size: size.and_then(|size| size.trim().parse().ok()),
            commit: commit.to_owned(),
            url: self.url(commit, name),
        }))
    }

    fn url(&self, revision: &str, name: &str) -> String {
        format!(
            "{}/{}/resolve/{}/{}",
            self.hub.settings.endpoint,
            self.repository.name,
            escaped(revision),
            escaped(name)
        )
    }

    /// The best weights that there are.
    fn find_weights(&mut self) -> Result<Remote, Fault> {
        for name in WEIGHT_FILES {
            if let Some(remote) = self.find(name)? {
                return Ok(remote);
            }
        }
        Err(Fault::Refused {
            status: 404,
            code: None,
            reason: format!("it has none of {}", WEIGHT_FILES.join(", ")),
        })
    }

    fn shards(&mut self, index: &str, snapshot: &Snapshot) -> Result<(), Fault> {
        let names = bit_convert::shard_names(&snapshot.folder.join(index))
            .map_err(|error| Fault::Local(Box::new(error.into())))?;
        for name in names {
            let missing = || Fault::Refused {
                status: 404,
                code: None,
                reason: format!("{index} names {name}, which is not there"),
            };
            let shard = self.find(&name)?.ok_or_else(missing)?;
            self.file(&shard, snapshot)?;
        }
        Ok(())
    }

    /// Puts a file into the cache, unless it is there.
    fn file(&self, remote: &Remote, snapshot: &Snapshot) -> Result<(), Fault> {
        let is_there = || snapshot.folder.join(&remote.name).is_file();
        if is_there() {
            return Ok(());
        }
        let name = format!("{}: {}", self.repository.name, remote.name);
        let lock = locked(self.hub, &self.repository.lock(&remote.etag), &name)?;
        // The one who was waited for may have put it there, and somebody may read it already.
        if is_there() {
            return Ok(());
        }
        let blob = self.repository.blob(&remote.etag);
        if !blob.is_file() {
            super::store::create_folder_of(&blob)?;
            let transfer = Transfer {
                name: &name,
                url: &remote.url,
                size: remote.size,
                digest: Digest::of_etag(&remote.etag, remote.size),
                target: &blob,
                limit: limit_of(&remote.name),
                is_alone: lock.is_exclusive,
            };
            transfer.run(self.hub, &self.client)?;
        }
        self.repository.link(&remote.etag, snapshot, &remote.name)
    }
}

/// Most bytes of a file, for servers that do not say how many there are.
fn limit_of(name: &str) -> u64 {
    match name.ends_with(".json") {
        true => MAX_CONFIG,
        false => MAX_WEIGHTS,
    }
}

/// Servers that only resemble the Hub have no code.
fn is_about_a_file(code: Option<&str>) -> bool {
    code.is_none_or(|code| code == "EntryNotFound")
}

fn no_hub(found: &str) -> Fault {
    Fault::Damaged(format!(
        "the answer to {found} has no usable `ETag` and `X-Repo-Commit`, which the Hub sends"
    ))
}
