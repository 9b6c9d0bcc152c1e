//! The pinned Python that this project is compared with.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{cargo, process};

/// Prints `NAME==FOUND` for each pin of the file given that the environment does not hold.
const DIFFERENCES: &str = "
import sys
from importlib import metadata
for line in open(sys.argv[1]):
    pin = line.split('#')[0].strip()
    if pin:
        name, version = pin.split('==')
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            found = 'absent'
        # A build for one kind of device says so after a plus sign.
        if found.split('+')[0] != version:
            print(f'{name}=={version} is wanted, found: {found}')
";

/// A Python interpreter whose packages are the pinned ones.
pub struct Python {
    interpreter: PathBuf,
}

impl Python {
    /// The interpreter of `BIT_BURN_PYTHON` when it is set, otherwise our own environment in the user's cache,
    /// which is made and brought to the pinned versions as needed.
    pub fn ready() -> Result<Self> {
        if let Some(interpreter) = env::var_os("BIT_BURN_PYTHON") {
            let python = Self {
                interpreter: interpreter.into(),
            };
            let differences = python.differences()?;
            if !differences.is_empty() {
                bail!(
                    "BIT_BURN_PYTHON has not the packages of {}:\n{differences}",
                    requirements().display()
                );
            }
            return Ok(python);
        }
        let environment = cache()?.join("venv");
        let python = Self {
            interpreter: environment.join(interpreter_path()),
        };
        if !python.interpreter.exists() {
            eprintln!("making a Python environment in {}", environment.display());
            process::run(
                Command::new(system_python())
                    .args(["-m", "venv"])
                    .arg(&environment),
            )?;
        }
        python.install_missing()?;
        Ok(python)
    }

    /// The interpreter that [`Python::ready`] returns, but only when nothing has to be made for it.
    pub fn at_hand() -> Option<Self> {
        let interpreter = match env::var_os("BIT_BURN_PYTHON") {
            Some(interpreter) => interpreter.into(),
            None => cache().ok()?.join("venv").join(interpreter_path()),
        };
        let python = Self { interpreter };
        python
            .differences()
            .is_ok_and(|differences| differences.is_empty())
            .then_some(python)
    }

    /// A command that runs a script of `tests/reference`, never on the network.
    pub fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.interpreter);
        command
            .arg(scripts().join(name))
            .env("HF_HUB_OFFLINE", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn install_missing(&self) -> Result<()> {
        if self.differences()?.is_empty() {
            return Ok(());
        }
        eprintln!(
            "installing the packages of {} (some gigabytes, once)",
            requirements().display()
        );
        let pip = ["-m", "pip", "install", "--quiet", "--requirement"];
        process::run(Command::new(&self.interpreter).args(pip).arg(requirements()))?;
        let left = self.differences()?;
        if !left.is_empty() {
            bail!("pip installed other packages than the pinned ones:\n{left}");
        }
        Ok(())
    }

    fn differences(&self) -> Result<String> {
        process::output(
            Command::new(&self.interpreter)
                .args(["-c", DIFFERENCES])
                .arg(requirements()),
        )
    }
}

fn scripts() -> PathBuf {
    cargo::root().join("tests/reference")
}

fn requirements() -> PathBuf {
    scripts().join("requirements.txt")
}

/// Where this project's tasks keep what can be made again.
pub fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => env::home_dir()
            .context("no home folder: set XDG_CACHE_HOME")?
            .join(".cache"),
    };
    Ok(base.join("bit-burn"))
}

fn system_python() -> &'static str {
    if cfg!(windows) { "python" } else { "python3" }
}

fn interpreter_path() -> &'static Path {
    Path::new(if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    })
}
