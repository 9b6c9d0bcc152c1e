//! What the programs that other frameworks are compared with share: their command line, and tensors in and out.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use bit_convert::{Checkpoint, DType, Entry, write_safetensors};
#[cfg(feature = "wgpu")]
use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, Tensor, TensorData};

/// The device that `--device` names: `cpu`, `ndarray`, `wgpu`, `vulkan`, `metal` or `cuda`.
///
/// # Errors
///
/// When there is no such device, or its feature is not compiled in.
pub fn device(name: &str) -> Result<Device> {
    match name {
        #[cfg(feature = "flex")]
        "cpu" | "flex" => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)] // by Burn; users ask for it
        "ndarray" => Ok(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        "wgpu" => graphics(WgpuBackend::Vulkan),
        #[cfg(feature = "vulkan")]
        "vulkan" => graphics(WgpuBackend::Vulkan),
        #[cfg(feature = "metal")]
        "metal" => graphics(WgpuBackend::Metal),
        #[cfg(feature = "cuda")]
        "cuda" => Ok(Device::cuda(0)),
        _ => bail!("no device `{name}` is compiled in: add the feature of its name to bit-tests"),
    }
}

/// With the API pinned: without its driver there is an error, and not another API.
#[cfg(feature = "wgpu")]
fn graphics(api: WgpuBackend) -> Result<Device> {
    let device = Device::wgpu_options().graphics_api(api).init();
    device.with_context(|| format!("no device of {api:?} can be used here"))
}

/// A model's folder, its input, and the device: `FOLDER INPUTS.safetensors [OUTPUTS.safetensors] [--device D]`.
pub struct Arguments {
    /// A folder as transformers writes it.
    pub folder: String,
    /// Holds `pixel_values`.
    pub inputs: PathBuf,
    /// Where outputs go, for a program that writes them at once.
    pub outputs: Option<PathBuf>,
    /// Where to run.
    pub device: Device,
}

impl Arguments {
    /// Those of this process.
    ///
    /// # Errors
    ///
    /// When they are not as described.
    pub fn parse() -> Result<Self> {
        let mut places = Vec::new();
        let mut name = "cpu".to_owned();
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--device" => name = words.next().context("--device needs a value")?,
                _ => places.push(word),
            }
        }
        let mut places = places.into_iter();
        let (Some(folder), Some(inputs)) = (places.next(), places.next()) else {
            bail!("usage: FOLDER INPUTS.safetensors [OUTPUTS.safetensors] [--device D]");
        };
        let outputs = places.next().map(PathBuf::from);
        Ok(Self {
            folder,
            inputs: inputs.into(),
            outputs,
            device: device(&name)?,
        })
    }

    /// The tensor `pixel_values`, `[batch, channels, height, width]`.
    ///
    /// # Errors
    ///
    /// When the file does not hold it as f32.
    pub fn pixel_values(&self) -> Result<Tensor<4>> {
        let stored = Checkpoint::open(&self.inputs)?.read("pixel_values")?;
        ensure!(
            stored.dtype == DType::F32,
            "pixel_values is {}, not float32",
            stored.dtype
        );
        let values = stored
            .bytes
            .as_chunks()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect::<Vec<_>>();
        Ok(Tensor::from_data(
            TensorData::new(values, stored.shape),
            &self.device,
        ))
    }
}

/// Tensors by name, to be written together.
#[derive(Default)]
pub struct Outputs(Vec<Entry<'static>>);

impl Outputs {
    /// Adds a tensor, read from its device as f32.
    pub fn add<const D: usize>(&mut self, name: &str, tensor: &Tensor<D>) {
        let data = tensor.to_data().convert::<f32>();
        self.add_shaped(name, &tensor.dims(), data.iter::<f32>().collect());
    }

    /// Adds values that have left their device.
    pub fn add_shaped(&mut self, name: &str, shape: &[usize], values: Vec<f32>) {
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
        self.0.push(Entry::from_bytes(name, DType::F32, shape, bytes));
    }

    /// Adds tensors as `name.0`, `name.1`, …
    pub fn add_all<const D: usize>(&mut self, name: &str, tensors: &[Tensor<D>]) {
        for (i, tensor) in tensors.iter().enumerate() {
            self.add(&format!("{name}.{i}"), tensor);
        }
    }

    /// Writes a safetensors file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(self, path: &Path) -> Result<()> {
        Ok(write_safetensors(path, self.0, &BTreeMap::new())?)
    }
}

/// Time since `start`, as a contender of the benches reports it.
pub fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// Answers the process that asked with one line, at once.
///
/// # Errors
///
/// When standard output is closed.
pub fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}
