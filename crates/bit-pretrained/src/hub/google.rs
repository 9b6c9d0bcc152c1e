//! Google's npz files.

use std::ffi::OsString;
use std::path::Path;

use super::Hub;
use super::client::{Client, Redirects, text};
use super::digest::Digest;
use super::fault::Fault;
use super::patience::patiently;
use super::store::{create_folder_of, locked};
use super::transfer::{MAX_WEIGHTS, Transfer};

/// Fetches a file to `target`.
pub(super) fn fetch(hub: &Hub, name: &str, url: &str, target: &Path) -> Result<(), Fault> {
    create_folder_of(target)?;
    let mut lock = OsString::from(target);
    lock.push(".lock");
    let lock = locked(hub, lock.as_ref(), name)?;
    if target.is_file() {
        return Ok(());
    }
    let client = Client::new(&hub.settings.way, url, None)?;
    let headers = patiently(hub, || client.head(url, Redirects::All))?;
    let sums = headers.get_all("x-goog-hash").into_iter();
    let transfer = Transfer {
        name,
        url,
        size: text(&headers, "content-length").and_then(|size| size.trim().parse().ok()),
        digest: sums
            .filter_map(|sum| sum.to_str().ok())
            .find_map(Digest::of_google),
        target,
        limit: MAX_WEIGHTS,
        is_alone: lock.is_exclusive,
    };
    transfer.run(hub, &client)
}
