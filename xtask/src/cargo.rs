//! Building this workspace's programs from a task.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Features with which every backend that runs without special hardware is compiled into the tests. The same
/// words stand in README.md and `.ci/run`.
pub const TEST_FEATURES: &str = "bit-tests/ndarray,bit-tests/vulkan";

/// The workspace's folder.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask
        .parent()
        .expect("invariant: xtask is a folder of the workspace")
}

/// The cargo that runs this task, in the workspace's folder.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// `cargo metadata`, never from the network.
pub fn metadata(arguments: &[&str]) -> Result<serde_json::Value> {
    let text = process::output(
        cargo()
            .args(["metadata", "--format-version=1", "--offline"])
            .args(arguments),
    )?;
    serde_json::from_str(&text).context("`cargo metadata` did not write JSON")
}

/// Builds a program in release mode with what `device` needs, and returns where it is.
pub fn build_release(package: &str, binary: &str, device: &str) -> Result<PathBuf> {
    let mut build = cargo();
    build.args([
        "build",
        "--quiet",
        "--release",
        "--package",
        package,
        "--bin",
        binary,
    ]);
    if let Some(feature) = feature_of(device) {
        build.args(["--features", feature]);
    }
    process::run(&mut build)?;
    let target = metadata(&["--no-deps"])?["target_directory"]
        .as_str()
        .map(PathBuf::from);
    let target = target.context("`cargo metadata` names no target directory")?;
    Ok(target
        .join("release")
        .join(binary)
        .with_extension(env::consts::EXE_EXTENSION))
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
