//! How a command ended, as the shell sees it.

use std::io;
use std::process::ExitCode;

use crate::printable::printable;

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
        report(&message(error));
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
    eprintln!("error: {}", printable(&message.trim_end().replace('\n', "; ")));
}

/// The error and its causes, without those that it names itself, as the errors of this project's libraries do.
pub fn message(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |said, cause| match said.as_str() {
            "" => cause,
            _ if said.contains(&cause) => said,
            _ => format!("{said}: {cause}"),
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn a_cause_that_is_already_named_is_not_repeated() {
        let error = Err::<(), _>(anyhow!("no space")).context("a.npy: cannot write: no space");
        assert_eq!(
            error.as_ref().map_err(message),
            Err("a.npy: cannot write: no space".to_owned())
        );
        let error = Err::<(), _>(anyhow!("no space")).context("a.npy: cannot write");
        assert_eq!(
            error.as_ref().map_err(message),
            Err("a.npy: cannot write: no space".to_owned())
        );
    }

    #[test]
    fn a_closed_pipe_is_found_below_other_errors() {
        let broken = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(
            &anyhow::Error::from(broken).context("cannot write")
        ));
        assert!(!is_closed_pipe(&anyhow!("broken pipe")));
    }
}
