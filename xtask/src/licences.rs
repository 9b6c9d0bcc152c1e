//! The licences of everything that is linked: through cargo-deny where it is installed, and otherwise with the
//! same lists of `deny.toml` over what `cargo tree` says, which needs no program of its own.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use spdx::{Expression, LicenseItem, LicenseReq, ParseMode};

use crate::cargo::{cargo, root};
use crate::check::Outcome;
use crate::process;

/// The part of `deny.toml` that is about licences.
#[derive(Deserialize)]
struct Rules {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

/// A crate that may have licences which others may not.
#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

/// Passes when every package may be used under the licences that `deny.toml` allows.
pub fn check() -> Result<Outcome> {
    if process::is_installed("cargo-deny") {
        process::run(cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
        return Ok(Outcome::Passed);
    }
    let rules = rules()?;
    let packages = packages()?;
    let refused = packages
        .iter()
        .filter(|(name, licence)| !rules.accept(name, licence));
    let refused = refused
        .map(|(name, licence)| format!("{name}: {licence:?}"))
        .collect::<Vec<_>>();
    if !refused.is_empty() {
        bail!(
            "licences that deny.toml does not allow:\n  {}",
            refused.join("\n  ")
        );
    }
    println!(
        "{} packages, by cargo tree (cargo-deny is not installed)",
        packages.len()
    );
    Ok(Outcome::Passed)
}

fn rules() -> Result<Rules> {
    let path = root().join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut table: toml::Table = text
        .parse()
        .with_context(|| format!("{} is not TOML", path.display()))?;
    let licenses = table
        .remove("licenses")
        .context("deny.toml has no table `licenses`")?;
    licenses.try_into().context("the table `licenses` of deny.toml")
}

/// Name and licence of every package that any feature on any system links.
fn packages() -> Result<BTreeSet<(String, String)>> {
    let scope = [
        "tree",
        "--workspace",
        "--all-features",
        "--target=all",
        "--edges=normal,build",
    ];
    let listed = process::output(cargo().args(scope).args(["--prefix=none", "--format={p}|{l}"]))?;
    let pairs = listed
        .lines()
        .filter_map(|line| line.trim_end_matches(" (*)").split_once('|'));
    Ok(pairs
        .map(|(name, licence)| {
            (
                name.split(' ').next().unwrap_or(name).to_owned(),
                licence.to_owned(),
            )
        })
        .collect())
}

impl Rules {
    fn accept(&self, name: &str, licence: &str) -> bool {
        let exceptions = self.exceptions.iter().filter(|exception| exception.name == name);
        let allowed: Vec<&str> = exceptions
            .flat_map(|e| &e.allow)
            .chain(&self.allow)
            .map(String::as_str)
            .collect();
        Expression::parse_mode(licence, ParseMode::LAX)
            .is_ok_and(|expression| expression.evaluate(|required| is_allowed(required, &allowed)))
    }
}

/// An exception to a licence only adds rights, so the licence without it decides.
fn is_allowed(required: &LicenseReq, allowed: &[&str]) -> bool {
    matches!(&required.license, LicenseItem::Spdx { id, .. } if allowed.contains(&id.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(licence: &str) -> bool {
        let exception = Exception {
            name: "b".to_owned(),
            allow: vec!["MPL-2.0".to_owned()],
        };
        let rules = Rules {
            allow: vec!["MIT".to_owned(), "Apache-2.0".to_owned()],
            exceptions: vec![exception],
        };
        assert!(rules.accept("b", "MPL-2.0"), "an exception holds for its crate");
        rules.accept("a", licence)
    }

    #[test]
    fn one_allowed_alternative_is_enough_and_all_parts_are_needed() {
        assert!(accepts("GPL-3.0 OR MIT"));
        assert!(accepts("MIT/Apache-2.0"));
        assert!(accepts("MIT / Apache-2.0"));
        assert!(accepts("Apache-2.0 WITH LLVM-exception"));
        assert!(!accepts("MIT AND GPL-3.0"));
        assert!(!accepts("MPL-2.0"));
    }

    #[test]
    fn a_package_without_a_licence_is_refused() {
        assert!(!accepts(""));
        assert!(!accepts("not a licence"));
    }

    #[test]
    fn the_rules_of_this_project_can_be_read() {
        assert!(rules().unwrap().accept("any", "MIT OR Apache-2.0"));
    }
}
