//! Measured tables in `docs/numbers.md`, each between markers of its own, so that one task replaces only its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{cargo, process};

/// What a script writes to the file after `--markdown`, while it prints as it likes.
pub fn markdown_of(script: &mut Command) -> Result<String> {
    let file = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    process::run(script.arg("--markdown").arg(file.path()))?;
    fs::read_to_string(file.path()).context("cannot read the table")
}

/// What a script prints for a terminal.
pub fn printed_by(script: &mut Command) -> Result<String> {
    let table = process::output(script)?;
    print!("{table}");
    Ok(as_printed(&table))
}

/// Writes a section with what a benchmark prints, and fails afterwards when it missed a bar.
pub fn write_judged(heading: &str, script: &mut Command) -> Result<()> {
    let (table, met) = process::judged_output(script)?;
    print!("{table}");
    write_section(heading, &as_printed(&table))?;
    match met {
        true => Ok(()),
        false => bail!("a bar is missed; the numbers are written all the same"),
    }
}

fn as_printed(table: &str) -> String {
    format!("```text\n{}\n```", table.trim_end())
}

/// Replaces the section under this heading, or appends it.
pub fn write_section(heading: &str, table: &str) -> Result<()> {
    let path = file();
    let page = fs::read_to_string(&path).unwrap_or_else(|_| "# Numbers\n".to_owned());
    fs::write(&path, with_section(&page, heading, table))
        .with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote the section `{heading}` of docs/numbers.md");
    Ok(())
}

fn file() -> PathBuf {
    cargo::root().join("docs/numbers.md")
}

fn with_section(page: &str, heading: &str, table: &str) -> String {
    let (start, end) = (
        format!("<!-- begin {heading} -->"),
        format!("<!-- end {heading} -->"),
    );
    let section = format!("{start}\n## {heading}\n\n{}\n{end}", table.trim());
    let found = page
        .find(&start)
        .and_then(|from| page.find(&end).map(|to| (from, to + end.len())));
    match found {
        Some((from, to)) if from < to => format!("{}{section}{}", &page[..from], &page[to..]),
        _ => format!("{}\n\n{section}\n", page.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_section_is_appended_and_replaced_in_place_later() {
        let page = with_section("# Numbers\n", "Speed", "| 1 |");
        let page = with_section(&page, "Parity", "| 2 |");
        let page = with_section(&page, "Speed", "| 3 |");
        let speed = "<!-- begin Speed -->\n## Speed\n\n| 3 |\n<!-- end Speed -->";
        let parity = "<!-- begin Parity -->\n## Parity\n\n| 2 |\n<!-- end Parity -->";
        let wanted = format!("# Numbers\n\n{speed}\n\n{parity}\n");
        assert_eq!(page, wanted);
    }
}
