//! Starting other programs, with errors that say what was run.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs a command to its end with our own input and output; an error unless it succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", describe(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", describe(command));
    }
    Ok(())
}

/// What a script ends with when it has measured everything and a bar is missed.
const MISSED: i32 = 3;

/// Runs a command and returns what it wrote to standard output; an error unless it succeeds.
pub fn output(command: &mut Command) -> Result<String> {
    match judged_output(command)? {
        (text, true) => Ok(text),
        (text, false) => bail!("{} missed a bar:\n{text}", describe(command)),
    }
}

/// Runs a script and returns what it wrote to standard output, and whether all bars are met.
pub fn judged_output(command: &mut Command) -> Result<(String, bool)> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", describe(command)))?;
    let missed = output.status.code() == Some(MISSED);
    if !output.status.success() && !missed {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} ended with {}:\n{}",
            describe(command),
            output.status,
            said.trim()
        );
    }
    let text = String::from_utf8(output.stdout);
    text.map(|text| (text, !missed))
        .with_context(|| format!("{} did not write UTF-8", describe(command)))
}

/// Whether a program can be started at all.
pub fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line = words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    format!("`{line}`")
}
