//! Building this workspace's programs from a task.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result};

use crate::process;

/// Features with which every backend that runs without special hardware is compiled into the tests. The same
/// words stand in README.md and `.ci/run`.
pub const TEST_FEATURES: &str = "ndarray,wgpu";

/// The packages with programs for tasks.
const PACKAGES: [&str; 6] = [
    "bit-cli",
    "bit-convert",
    "bit-image",
    "bit-kernels",
    "bit-pretrained",
    "bit-tests",
];

/// The workspace's folder. Cargo names it when it runs this program; where the program was compiled may be another
/// checkout that shares the target folder.
pub fn root() -> &'static Path {
    static XTASK: LazyLock<PathBuf> = LazyLock::new(|| {
        let told = env::var_os("CARGO_MANIFEST_DIR");
        told.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
    });
    XTASK
        .parent()
        .expect("invariant: xtask is a folder of the workspace")
}

/// The cargo that runs this task, in the workspace's folder.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A program of this workspace.
pub struct Program {
    /// `--bin` or `--example`.
    kind: &'static str,
    name: &'static str,
    /// Where cargo puts programs of this kind, below `release`.
    folder: &'static str,
}

impl Program {
    /// The command line.
    pub const BIT: Self = Self::binary("bit");
    /// Stored pixels to stored outputs.
    pub const RUN_MODEL: Self = Self::binary("run-model");
    /// A contender of the benchmark.
    pub const BENCH_MODEL: Self = Self::binary("bench-model");
    /// Stored batches to the losses of training on them.
    pub const TRAIN_BATCHES: Self = Self::binary("train-batches");
    /// A contender of the benchmark of training.
    pub const BENCH_TRAIN: Self = Self::binary("bench-train");
    /// A list of image processor cases to their pixels.
    pub const PROCESS_CASES: Self = Self::example("process_cases");
    /// Pictures to pixels, timed by the one who asks.
    pub const PREPROCESS_LOOP: Self = Self::example("preprocess_loop");
    /// The kernels alone, layer by layer.
    pub const FORWARD: Self = Self::example("forward");
    /// Checkpoints through every writer.
    pub const CONVERT: Self = Self::example("convert");
    /// How long a checkpoint takes to load.
    pub const LOAD: Self = Self::example("load");

    const fn binary(name: &'static str) -> Self {
        Self {
            kind: "--bin",
            name,
            folder: "",
        }
    }

    const fn example(name: &'static str) -> Self {
        Self {
            kind: "--example",
            name,
            folder: "examples",
        }
    }

    /// Builds it in release mode, with what `device` needs, and returns where it is.
    pub fn build(&self, device: &str) -> Result<PathBuf> {
        let mut build = cargo();
        build.args(["build", "--quiet", "--release"]);
        // Always the same packages: features are unified over those named, and Burn built once for each union.
        for package in PACKAGES {
            build.args(["--package", package]);
        }
        build.args([self.kind, self.name]);
        if let Some(feature) = feature_of(device) {
            build.args(["--features", feature]);
        }
        process::run(&mut build)?;
        let folder = target_directory()?.join("release").join(self.folder);
        Ok(folder.join(self.name).with_extension(env::consts::EXE_EXTENSION))
    }
}

/// Where cargo builds.
pub fn target_directory() -> Result<PathBuf> {
    let text = process::output(cargo().args(["metadata", "--format-version=1", "--offline", "--no-deps"]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).context("`cargo metadata` did not write JSON")?;
    let folder = metadata["target_directory"]
        .as_str()
        .context("`cargo metadata` names no target directory")?;
    Ok(folder.into())
}

/// `vulkan:1` needs the feature `vulkan`; the CPU's is on by default.
fn feature_of(device: &str) -> Option<&str> {
    let kind = device.split(':').next().unwrap_or(device);
    (!matches!(kind, "cpu" | "flex")).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_with_a_number_needs_the_feature_of_its_kind() {
        assert_eq!(feature_of("vulkan:1"), Some("vulkan"));
        assert_eq!(feature_of("ndarray"), Some("ndarray"));
        assert_eq!(feature_of("cpu"), None);
    }
}
