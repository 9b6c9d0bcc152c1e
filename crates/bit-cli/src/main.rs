//! The program `bit`: classify, embed, convert, inspect and train with BiT, one file a command.

mod args;
mod arithmetic;
mod commands;
mod device;
mod download;
mod feature;
mod inputs;
mod interrupt;
mod output;
mod pipeline;
mod printable;
mod progress;
mod scores;
mod source;
mod status;
mod watching;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use status::Status;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Classify(args) => commands::classify::run(&args),
        Command::Embed(args) => commands::embed::run(&args),
        Command::Convert(args) => commands::convert::run(&args),
        Command::Inspect(args) => commands::inspect::run(&args),
        Command::Finetune(args) => commands::finetune::run(&args),
        Command::Evaluate(args) => commands::evaluate::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Models(args) => commands::models::run(&args),
        Command::Bench(args) => commands::bench::run(&args),
        Command::Completions(args) => commands::completions::run(&args),
    };
    done.unwrap_or_else(|error| Status::of_error(&error)).into()
}
