//! How a command ended, as the shell sees it.

use std::io;
use std::process::ExitCode;

/// The exit status. 2, a usage error, is clap's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything was done.
    Success,
    /// Something failed and was reported.
    Failure,
    /// Ctrl-C: what was done until then is kept.
    Interrupted,
}

impl Status {
    /// Reports an error that ended a command, on one line of standard error.
    pub fn of_error(error: &anyhow::Error) -> Self {
        if is_closed_pipe(error) {
            // Whoever read the results has seen enough: `bit classify … | head`.
            return Self::Success;
        }
        report(&format!("{error:#}"));
        Self::Failure
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Success => Self::SUCCESS,
            Status::Failure => Self::FAILURE,
            Status::Interrupted => Self::from(130),
        }
    }
}

/// Prints an error on one line.
pub fn report(message: &str) {
    eprintln!("error: {}", message.trim_end().replace('\n', "; "));
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kinds =
        error.chain().filter_map(
            |cause| match cause.downcast_ref::<csv::Error>().map(csv::Error::kind) {
                Some(csv::ErrorKind::Io(error)) => Some(error.kind()),
                _ => cause.downcast_ref::<io::Error>().map(io::Error::kind),
            },
        );
    kinds.into_iter().any(|kind| kind == io::ErrorKind::BrokenPipe)
}
