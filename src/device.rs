//! Where tensors live: the CPU, or a GPU that this build of the library knows.

use crate::{Error, Result};
use candle_core::Device;

/// The device of a name: `cpu`, `cuda`, `metal`, or `auto` for the GPU if this build has one and it is there, else the
/// CPU.
///
/// # Errors
/// If the name is unknown, the library was built without the device, or the machine has none.
///
/// ```
/// let device = scorebook::device::open("auto")?;
/// let error = scorebook::device::open("abacus").unwrap_err();
/// assert!(error.to_string().contains("auto, cpu, cuda or metal"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn open(name: &str) -> Result<Device> {
    match name {
        "auto" if candle_core::utils::cuda_is_available() => gpu(name, Device::new_cuda(0)),
        "auto" if candle_core::utils::metal_is_available() => gpu(name, Device::new_metal(0)),
        "auto" | "cpu" => Ok(Device::Cpu),
        "cuda" if !candle_core::utils::cuda_is_available() => Err(not_built("cuda")),
        "cuda" => gpu(name, Device::new_cuda(0)),
        "metal" if !candle_core::utils::metal_is_available() => Err(not_built("metal")),
        "metal" => gpu(name, Device::new_metal(0)),
        _ => Err(Error::argument("device", name, "auto, cpu, cuda or metal")),
    }
}

/// The device of a notebook: that of `scorebook lab --device`, which the kernel hands on in the environment variable
/// `SCOREBOOK_DEVICE`; `auto` where nothing was said.
///
/// # Errors
/// As [`open`].
///
/// ```
/// use scorebook::prelude::*;
///
/// let x = Tensor::zeros(3, DType::F32, &scorebook::device::chosen()?)?;
/// assert_eq!(x.to_vec1::<f32>()?, [0.0; 3]);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn chosen() -> Result<Device> {
    open(&std::env::var("SCOREBOOK_DEVICE").unwrap_or_else(|_| "auto".into()))
}

fn gpu(name: &str, device: candle_core::Result<Device>) -> Result<Device> {
    device.map_err(|error| Error::Device {
        device: name.into(),
        cause: error.to_string(),
        remedy: "Check the driver, or take the device cpu".into(),
    })
}

fn not_built(name: &str) -> Error {
    Error::Device {
        device: name.into(),
        cause: "this build of scorebook does not know it".into(),
        remedy: format!("Build with `--features {name}`, or take the device cpu"),
    }
}
