//! Where the notebooks compute, and what that asks of their build.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use clap::ValueEnum;

/// The environment variable that tells a kernel its device.
pub const VARIABLE: &str = "SCOREBOOK_DEVICE";

/// Where the notebooks compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// The GPU if there is one and its toolkit is there to build for it, else the CPU.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU; its driver and the CUDA toolkit (`nvcc`) must be there.
    Cuda,
    /// The GPU of an Apple machine.
    Metal,
}

impl Device {
    /// The device itself: `Auto` becomes what the machine offers. A device that was asked for by
    /// name and cannot work is an error with the remedy.
    pub fn resolve(self) -> Result<Self> {
        match self {
            Self::Auto if missing_for_cuda().is_none() => Ok(Self::Cuda),
            Self::Auto if cfg!(target_os = "macos") => Ok(Self::Metal),
            Self::Auto => Ok(Self::Cpu),
            Self::Cuda => match missing_for_cuda() {
                None => Ok(Self::Cuda),
                Some(missing) => bail!("device cuda: {missing}, or use --device cpu"),
            },
            Self::Metal if !cfg!(target_os = "macos") => {
                bail!("device metal: only Apple machines have it. Use --device cpu or cuda")
            }
            Self::Cpu | Self::Metal => Ok(self),
        }
    }

    /// The features of the library that its build needs to compute there.
    pub fn features(self) -> &'static [&'static str] {
        match self {
            Self::Auto | Self::Cpu => &[],
            Self::Cuda => &["cuda"],
            Self::Metal => &["metal"],
        }
    }

    /// Its name on the command line and in the environment of a kernel.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        }
    }
}

/// The NVIDIA GPUs of this machine, one line each, as their driver's `nvidia-smi -L` lists them.
pub fn nvidia_gpus() -> Vec<String> {
    let listing = Command::new("nvidia-smi").arg("-L").stdin(Stdio::null()).output();
    match listing {
        Ok(listing) if listing.status.success() => String::from_utf8_lossy(&listing.stdout)
            .lines()
            .filter(|line| line.starts_with("GPU "))
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// What an NVIDIA build lacks here, with the remedy, or nothing if it can work.
pub fn missing_for_cuda() -> Option<&'static str> {
    if nvidia_gpus().is_empty() {
        return Some("`nvidia-smi -L` finds no GPU. Install its driver");
    }
    let beside = |home| Path::new(&home).join("bin/nvcc").is_file();
    let toolkit = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT"]
        .iter()
        .filter_map(std::env::var_os)
        .chain(["/usr/local/cuda".into()])
        .any(beside)
        || Command::new("nvcc").arg("--version").output().is_ok_and(|out| out.status.success());
    (!toolkit).then_some("there is a GPU but no compiler for it. Install the CUDA toolkit (`nvcc`)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_always_finds_a_device() {
        let device = Device::Auto.resolve().unwrap();
        assert_ne!(device, Device::Auto);
        assert_eq!(device.resolve().unwrap(), device);
    }

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn a_device_that_is_not_there_is_an_error_with_a_remedy() {
        let error = Device::Metal.resolve().unwrap_err().to_string();
        assert!(error.contains("--device cpu"), "{error}");
        if nvidia_gpus().is_empty() {
            let error = Device::Cuda.resolve().unwrap_err().to_string();
            assert!(error.contains("driver") && error.contains("--device cpu"), "{error}");
        }
    }
}
