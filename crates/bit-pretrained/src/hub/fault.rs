//! What can go wrong on the way to a server, and what may pass by itself.

use std::path::Path;
use std::time::Duration;

use ureq::http::Uri;

use crate::error::PretrainedError;

/// Why a request did not do.
#[derive(Debug)]
pub(super) enum Fault {
    /// There is no way to the server.
    Absent(String),
    /// It may do when it is asked again.
    Passing {
        reason: String,
        /// The pause that the server asks for.
        after: Option<Duration>,
    },
    /// The server said no.
    Refused {
        status: u16,
        /// The Hub's own word for it, such as `EntryNotFound`.
        code: Option<String>,
        reason: String,
    },
    /// What came is not what was promised.
    Damaged(String),
    /// This machine's own fault, such as a full disk.
    Local(Box<PretrainedError>),
}

impl Fault {
    pub fn passing(reason: impl Into<String>) -> Self {
        Self::Passing {
            reason: reason.into(),
            after: None,
        }
    }

    /// No answer came.
    pub fn of_request(uri: &Uri, error: ureq::Error) -> Self {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
        use ureq::Timeout::{PerRead, RecvResponse};
        let may_pass = match &error {
            ureq::Error::Io(error) => matches!(
                error.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof
            ),
            ureq::Error::Timeout(what) => matches!(what, PerRead | RecvResponse),
            _ => false,
        };
        let reason = format!("{}: {error}", uri.host().unwrap_or_default());
        match may_pass {
            true => Self::passing(reason),
            false => Self::Absent(reason),
        }
    }

    /// An error of a file or folder on this machine.
    pub fn local(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Local(Box::new(PretrainedError::Io { path, action, source }))
    }

    /// Whether the server could not be asked, so that nothing is known about what it has.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Absent(_) | Self::Passing { .. })
    }

    /// In the words of a person who wanted `found` and has it neither at `looked_in` nor from `address`.
    pub fn into_error(self, found: String, address: &str, looked_in: &Path, hint: String) -> PretrainedError {
        let address = address.to_owned();
        match self {
            Self::Absent(reason) | Self::Passing { reason, .. } => PretrainedError::Unreachable {
                found,
                looked_in: looked_in.to_path_buf(),
                address,
                reason,
                hint,
            },
            Self::Refused { status, reason, .. } => PretrainedError::Refused {
                found,
                address,
                status,
                reason,
                hint: advice(status).map_or(hint, str::to_owned),
            },
            Self::Damaged(reason) => PretrainedError::Damaged {
                found,
                address,
                reason,
            },
            Self::Local(error) => *error,
        }
    }
}

fn advice(status: u16) -> Option<&'static str> {
    match status {
        401 | 403 => Some("if it exists it is private or gated: set HF_TOKEN to a token that may read it"),
        404 => Some("check the name and the revision"),
        _ => None,
    }
}
