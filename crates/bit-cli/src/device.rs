//! From `--device` to a Burn device: the only place of the program that names backends.

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "wgpu")]
use anyhow::Context;
use anyhow::{Result, bail};
use burn::tensor::Device;
#[cfg(feature = "wgpu")]
use burn::tensor::{DeviceKind, wgpu::WgpuBackend};

/// A backend and, where there can be several devices of it, which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceName {
    kind: Kind,
    index: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cpu,
    NdArray,
    Wgpu,
    Vulkan,
    Metal,
    Cuda,
}

/// Name on the command line, cargo feature, and whether an index may follow.
const KINDS: &[(Kind, &str, &str, bool)] = &[
    (Kind::Cpu, "cpu", "flex", false),
    (Kind::NdArray, "ndarray", "ndarray", false),
    (Kind::Wgpu, "wgpu", "wgpu", true),
    (Kind::Vulkan, "vulkan", "vulkan", true),
    (Kind::Metal, "metal", "metal", true),
    (Kind::Cuda, "cuda", "cuda", true),
];

impl Kind {
    fn row(self) -> &'static (Self, &'static str, &'static str, bool) {
        KINDS
            .iter()
            .find(|row| row.0 == self)
            .expect("invariant: the table has every kind")
    }
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, index) = text
            .split_once(':')
            .map_or((text, None), |(name, index)| (name, Some(index)));
        let Some((kind, _, _, indexed)) = KINDS.iter().find(|row| row.1 == name) else {
            let known: Vec<_> = KINDS.iter().map(|row| row.1).collect();
            return Err(format!("there are {}", known.join(", ")));
        };
        match index.map(|index| {
            index
                .parse()
                .map_err(|_| format!("`{index}` is no index, such as 0"))
        }) {
            Some(_) if !indexed => Err(format!("there is only one {name}")),
            index => Ok(Self {
                kind: *kind,
                index: index.transpose()?,
            }),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.row().1)?;
        self.index.map_or(Ok(()), |index| write!(f, ":{index}"))
    }
}

/// Devices that work together, at least one, ready to be used.
pub fn open_all(names: &[DeviceName]) -> Result<Vec<Device>> {
    let mut devices: Vec<Device> = Vec::new();
    for name in names {
        let device = name.open()?;
        if devices.contains(&device) {
            bail!("--device {name}: is there twice; each device works once");
        }
        devices.push(device);
    }
    Ok(devices)
}

impl DeviceName {
    /// The device, ready to be used.
    pub fn open(self) -> Result<Device> {
        match self.kind {
            #[cfg(feature = "flex")]
            Kind::Cpu => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            #[allow(deprecated)] // by Burn; users ask for it
            Kind::NdArray => Ok(Device::ndarray()),
            #[cfg(feature = "wgpu")]
            Kind::Wgpu => self.graphics(NATIVE_API),
            #[cfg(feature = "vulkan")]
            Kind::Vulkan => self.graphics(WgpuBackend::Vulkan),
            #[cfg(feature = "metal")]
            Kind::Metal => self.graphics(WgpuBackend::Metal),
            #[cfg(feature = "cuda")]
            Kind::Cuda => self.cuda(),
            #[allow(unreachable_patterns)] // when everything is compiled in
            missing => {
                let (_, name, feature, _) = missing.row();
                bail!("--device {name} is not compiled in: build with `--features {feature}`")
            }
        }
    }

    /// An adapter of a graphics API: the default one, or counted with discrete GPUs first, then integrated and
    /// virtual ones, then software. The API is pinned, because a missing driver should be an error and not OpenGL.
    #[cfg(feature = "wgpu")]
    fn graphics(self, api: WgpuBackend) -> Result<Device> {
        let open = |kind| Device::wgpu_options().graphics_api(api).device_kind(kind).init();
        let Some(index) = self.index else {
            return open(DeviceKind::DefaultDevice)
                .with_context(|| format!("--device {self}: cannot be used here"));
        };
        let kinds = [
            DeviceKind::DiscreteGpu,
            DeviceKind::IntegratedGpu,
            DeviceKind::VirtualGpu,
        ];
        let gpus = kinds
            .into_iter()
            .flat_map(|kind| (0..).map_while(move |number| open(kind(number)).ok()));
        let software = std::iter::once_with(|| open(DeviceKind::Cpu).ok()).flatten();
        let found = gpus.chain(software).nth(index);
        found.with_context(|| {
            format!("--device {self}: there are not so many {api:?} devices here; the first is 0")
        })
    }

    /// Burn's CUDA device panics where there is no driver.
    #[cfg(feature = "cuda")]
    fn cuda(self) -> Result<Device> {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let opened = std::panic::catch_unwind(|| {
            let device = Device::cuda(self.index.unwrap_or(0));
            device.sync().map(|()| device)
        });
        std::panic::set_hook(hook);
        match opened {
            Ok(device) => Ok(device?),
            Err(_) => bail!("--device {self}: there is no such device, or no CUDA driver"),
        }
    }
}

/// What `--device wgpu` means here.
#[cfg(feature = "wgpu")]
const NATIVE_API: WgpuBackend = if cfg!(target_vendor = "apple") {
    WgpuBackend::Metal
} else {
    WgpuBackend::Vulkan
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_printed_as_they_are_typed() {
        for text in ["cpu", "ndarray", "wgpu", "vulkan:1", "metal", "cuda:0"] {
            assert_eq!(text.parse::<DeviceName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_a_device_is_refused() {
        for text in ["", "gpu", "cpu:0", "cuda:", "cuda:x", "vulkan:-1"] {
            assert!(text.parse::<DeviceName>().is_err(), "{text}");
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_device_that_is_not_compiled_in_names_its_feature() {
        let message = "cuda:1"
            .parse::<DeviceName>()
            .unwrap()
            .open()
            .unwrap_err()
            .to_string();
        assert!(message.contains("--features cuda"), "{message}");
    }
}
