//! `cargo xtask check`

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cargo::{TEST_FEATURES, cargo, root};
use crate::{licences, process};

/// Everything that must hold before a change lands: formatting, lints, documentation, licences, spelling, tests
#[derive(clap::Args)]
pub struct Arguments {
    /// Only these steps
    #[arg(value_parser = STEPS.iter().map(|step| step.name).collect::<Vec<_>>())]
    steps: Vec<String>,
}

struct Step {
    name: &'static str,
    run: fn() -> Result<Outcome>,
}

/// How a step that did not fail ended.
pub enum Outcome {
    /// It ran, and what it checks holds.
    Passed,
    /// Not run, and why.
    Skipped(&'static str),
}

/// Cheapest first, so that a slip shows before the long steps.
const STEPS: &[Step] = &[
    Step {
        name: "format",
        run: || passes(cargo().args(["fmt", "--all", "--check"])),
    },
    Step {
        name: "private-names",
        run: private_names,
    },
    Step {
        name: "spelling",
        run: spelling,
    },
    Step {
        name: "licences",
        run: licences::check,
    },
    Step {
        name: "advisories",
        run: advisories,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "docs",
        run: docs,
    },
    Step {
        name: "tests",
        run: tests,
    },
];

pub fn run(arguments: &Arguments) -> Result<()> {
    let wanted =
        |step: &&Step| arguments.steps.is_empty() || arguments.steps.iter().any(|name| name == step.name);
    let mut results = Vec::new();
    for step in STEPS.iter().filter(wanted) {
        println!("--- {}", step.name);
        results.push((step.name, (step.run)()));
    }
    println!("---");
    for (name, result) in &results {
        match result {
            Ok(Outcome::Passed) => println!("{name:<14} passed"),
            Ok(Outcome::Skipped(why)) => println!("{name:<14} skipped: {why}"),
            Err(error) => println!("{name:<14} FAILED: {error:#}"),
        }
    }
    let failed = results.iter().filter(|(_, result)| result.is_err()).count();
    if failed > 0 {
        bail!("{failed} of {} steps failed", results.len());
    }
    Ok(())
}

fn passes(command: &mut Command) -> Result<Outcome> {
    process::run(command)?;
    Ok(Outcome::Passed)
}

fn clippy() -> Result<Outcome> {
    let scope = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        TEST_FEATURES,
    ];
    passes(cargo().args(scope).args(["--", "--deny", "warnings"]))
}

fn docs() -> Result<Outcome> {
    passes(
        cargo()
            .args(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

fn tests() -> Result<Outcome> {
    passes(cargo().args(["test", "--workspace", "--features", TEST_FEATURES]))
}

fn spelling() -> Result<Outcome> {
    if !process::is_installed("typos") {
        return Ok(Outcome::Skipped(
            "`pip install typos` or `cargo install typos-cli` to have it",
        ));
    }
    passes(Command::new("typos").current_dir(root()))
}

fn advisories() -> Result<Outcome> {
    if !process::is_installed("cargo-deny") {
        return Ok(Outcome::Skipped("`cargo install cargo-deny` to have it"));
    }
    if process::run(cargo().args(["deny", "fetch", "db"])).is_err() {
        return Ok(Outcome::Skipped("the advisory database cannot be reached"));
    }
    passes(cargo().args(["deny", "check", "advisories"]))
}

/// Parts of paths of somebody's machine, and of hosts that packages came from: no file may contain them. Cut in
/// two, so that this file does not.
const PRIVATE_NAMES: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("files.python", "hosted"),
    concat!("pypi", ".org"),
];

fn private_names() -> Result<Outcome> {
    let listed = process::output(Command::new("git").current_dir(root()).args(["ls-files", "-z"]))?;
    let mut found = Vec::new();
    for path in listed.split_terminator('\0') {
        found.extend(
            private_names_in(&root().join(path))?.map(|(line, name)| format!("{path}:{line}: `{name}`")),
        );
    }
    if !found.is_empty() {
        bail!("names of machines or registries in\n  {}", found.join("\n  "));
    }
    Ok(Outcome::Passed)
}

/// Line numbers and names; nothing for a file that is not text, or that was deleted but not committed yet.
fn private_names_in(path: &Path) -> Result<impl Iterator<Item = (usize, &'static str)>> {
    let bytes = if path.exists() {
        fs::read(path)
    } else {
        Ok(Vec::new())
    };
    let bytes = bytes.with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    let lines = text
        .lines()
        .zip(1..)
        .map(|(line, number)| (line.to_owned(), number))
        .collect::<Vec<_>>();
    let named = |line: &str| PRIVATE_NAMES.iter().find(|name| line.contains(**name)).copied();
    Ok(lines
        .into_iter()
        .filter_map(move |(line, number)| Some((number, named(&line)?))))
}
