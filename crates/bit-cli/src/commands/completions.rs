//! `bit completions`.

use std::io::Write;

use anyhow::Result;
use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::output::Sink;
use crate::status::Status;

/// Prints a shell's completion script.
pub fn run(args: &CompletionsArgs) -> Result<Status> {
    // clap_complete panics when its output fails; memory does not.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bit", &mut script);
    let mut sink = Sink::open(None)?;
    sink.write_all(&script)?;
    sink.finish()?;
    Ok(Status::Success)
}
