//! Project tasks, run as `cargo xtask TASK`: a module each, none of which links Burn, so that they start at once.

mod bench;
mod cargo;
mod check;
mod convert;
mod digits;
mod fixtures;
mod licences;
mod manifest;
mod numbers;
mod parity;
mod process;
mod python;

use clap::{Parser, Subcommand};

/// Tasks of the bit-burn project.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Bench(bench::Arguments),
    Check(check::Arguments),
    Convert(convert::Arguments),
    Fixtures(fixtures::Arguments),
    Parity(parity::Arguments),
    TrainBuiltin(digits::TrainBuiltin),
    Transfer(digits::Transfer),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Check(arguments) => check::run(&arguments),
        Task::Convert(arguments) => convert::run(&arguments),
        Task::Fixtures(arguments) => fixtures::run(&arguments),
        Task::Parity(arguments) => parity::run(&arguments),
        Task::TrainBuiltin(arguments) => digits::train_builtin(&arguments),
        Task::Transfer(arguments) => digits::transfer(&arguments),
    }
}
