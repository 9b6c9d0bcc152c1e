//! `cargo xtask fixtures`

use anyhow::Result;

use crate::process;
use crate::python::Python;

/// Make the committed fixtures in tests/fixtures anew, with the pinned Python
#[derive(clap::Args)]
pub struct Arguments {}

pub fn run(_: &Arguments) -> Result<()> {
    process::run(&mut Python::ready()?.script("make_fixtures.py"))
}
