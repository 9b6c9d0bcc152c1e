//! Models of the Hugging Face Hub and of Google's server: from this machine's caches, else from the network.
//!
//! The Hub's cache is the one that Python's `huggingface_hub` keeps, in both directions: what either has fetched, the
//! other finds. What is in a cache is used without asking the network.

mod cache;
mod event;
mod files;
mod settings;

#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod digest;
#[cfg(feature = "hub")]
mod fault;
#[cfg(feature = "hub")]
mod google;
#[cfg(feature = "hub")]
mod patience;
#[cfg(feature = "hub")]
mod proxy;
#[cfg(feature = "hub")]
mod repository;
#[cfg(feature = "hub")]
mod store;
#[cfg(feature = "hub")]
mod transfer;
#[cfg(feature = "hub")]
mod url;

#[cfg(all(test, feature = "hub"))]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache::{Repository, Snapshot};
pub use event::HubEvent;
use settings::Settings;

use crate::error::PretrainedError;

/// Where models that are named, and not given as a path, are looked for, and who is told about it.
///
/// ```
/// use bit_pretrained::{Hub, HubEvent};
///
/// let hub = Hub::from_env().with_progress(|event| {
///     if let HubEvent::Note(text) = event {
///         eprintln!("{text}");
///     }
/// });
/// # let _ = hub;
/// ```
#[derive(Clone)]
pub struct Hub {
    settings: Settings,
    listener: Arc<dyn Fn(HubEvent<'_>) + Send + Sync>,
    #[cfg(feature = "hub")]
    pause: fn(std::time::Duration),
}

impl Hub {
    /// As the environment says, in the variables that Python's `huggingface_hub` reads: `HF_HUB_CACHE`, `HF_HOME`,
    /// `HF_ASSETS_CACHE` and `XDG_CACHE_HOME` for the caches, `HF_ENDPOINT`, `HF_TOKEN` and `HF_TOKEN_PATH`,
    /// `HF_HUB_OFFLINE` and `TRANSFORMERS_OFFLINE`, `HF_HUB_ETAG_TIMEOUT` and `HF_HUB_DOWNLOAD_TIMEOUT`; and for the way
    /// there those that curl reads, too: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`. `BIT_BURN_GOOGLE_URL`
    /// is another address of Google's files.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// As [`from_env`](Self::from_env), with another source of the variables.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        Self {
            settings: Settings::from_variables(variable),
            listener: Arc::new(|_| {}),
            #[cfg(feature = "hub")]
            pause: std::thread::sleep,
        }
    }

    /// Whether the environment asks for no progress bars (`HF_HUB_DISABLE_PROGRESS_BARS`, as in Python): for a listener
    /// that draws some.
    pub fn hides_progress(&self) -> bool {
        self.settings.hides_progress
    }

    /// Tells `listener` what happens. It is called on the thread that asks for the model.
    pub fn with_progress(self, listener: impl Fn(HubEvent<'_>) + Send + Sync + 'static) -> Self {
        Self {
            listener: Arc::new(listener),
            ..self
        }
    }

    /// The folder of a repository's files.
    ///
    /// # Errors
    ///
    /// When it is not in the cache and cannot be fetched.
    pub(crate) fn repository(&self, name: &str, revision: &str) -> Result<PathBuf, PretrainedError> {
        let repository = Repository::new(&self.settings.cache, name);
        let cached = repository.cached(revision);
        let snapshot = match cached {
            Some(cached) if files::is_complete(&cached) => cached,
            cached => self.fetch(&repository, revision, cached)?,
        };
        if let Some(why) = files::remark(&snapshot) {
            self.tell(HubEvent::Note(&format!("{name}: {why}")));
        }
        Ok(snapshot.folder)
    }

    /// Google's file, by its path below the server's folder.
    ///
    /// # Errors
    ///
    /// When it is not on this machine and cannot be fetched.
    pub(crate) fn google(&self, file: &str) -> Result<PathBuf, PretrainedError> {
        let path = self.settings.google_folder().join(file);
        if path.is_file() {
            return Ok(path);
        }
        let url = format!("{}/{file}", self.settings.google);
        let hint = format!("get {url} by hand and name the file");
        self.fetch_google(file, url, path, hint)
    }

    fn tell(&self, event: HubEvent<'_>) {
        (self.listener)(event);
    }

    fn not_cached(&self, found: String, looked_in: &Path, hint: String) -> PretrainedError {
        let why = match (cfg!(feature = "hub"), self.settings.offline) {
            (true, true) => "HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids to fetch it: ",
            (true, false) => "",
            (false, _) => "this build does not fetch (feature `hub`): ",
        };
        PretrainedError::NotCached {
            found,
            looked_in: looked_in.to_path_buf(),
            hint: format!("{why}{hint}"),
        }
    }
}

fn by_hand(repository: &Repository<'_>, revision: &str) -> String {
    format!(
        "get it with `hf download {} --revision {revision}`",
        repository.name
    )
}

#[cfg(not(feature = "hub"))]
impl Hub {
    fn fetch(
        &self,
        repository: &Repository<'_>,
        revision: &str,
        cached: Option<Snapshot>,
    ) -> Result<Snapshot, PretrainedError> {
        let found = format!("{}@{revision}", repository.name);
        cached.ok_or_else(|| self.not_cached(found, &repository.folder, by_hand(repository, revision)))
    }

    fn fetch_google(
        &self,
        file: &str,
        _: String,
        path: PathBuf,
        hint: String,
    ) -> Result<PathBuf, PretrainedError> {
        Err(self.not_cached(file.to_owned(), &path, hint))
    }
}

#[cfg(feature = "hub")]
impl Hub {
    /// `cached` is a snapshot that lacks something; it is better than nothing when the network is absent.
    fn fetch(
        &self,
        repository: &Repository<'_>,
        revision: &str,
        cached: Option<Snapshot>,
    ) -> Result<Snapshot, PretrainedError> {
        let found = format!("{}@{revision}", repository.name);
        let hint = by_hand(repository, revision);
        let cached = cached.filter(|cached| files::has_weights(&cached.folder));
        if self.settings.offline {
            return cached.ok_or_else(|| self.not_cached(found, &repository.folder, hint));
        }
        let fetched = repository::fetch(self, repository, revision);
        match (fetched, cached) {
            (Ok(snapshot), _) => Ok(snapshot),
            (Err(fault), Some(cached)) if fault.is_absence() => {
                self.tell(HubEvent::Note(&format!(
                    "{found}: no network, so what the cache holds is used"
                )));
                Ok(cached)
            }
            (Err(fault), _) => {
                Err(fault.into_error(found, &self.settings.endpoint, &repository.folder, hint))
            }
        }
    }

    fn fetch_google(
        &self,
        file: &str,
        url: String,
        path: PathBuf,
        hint: String,
    ) -> Result<PathBuf, PretrainedError> {
        if self.settings.offline {
            return Err(self.not_cached(file.to_owned(), &path, hint));
        }
        match google::fetch(self, file, &url, &path) {
            Ok(()) => Ok(path),
            Err(fault) => Err(fault.into_error(file.to_owned(), &url, &path, hint)),
        }
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self::from_env()
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
