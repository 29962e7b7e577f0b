//! The door between the commands and the kernel.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::device::Device;

/// Serves one notebook until it is shut down.
pub fn serve(_connection_file: &Path) -> Result<()> {
    bail!("the kernel is not part of this build yet")
}

/// Prepares the build folder of the notebooks' dependencies, with progress shown.
pub fn prepare(_device: Device) -> Result<PathBuf> {
    bail!("the kernel is not part of this build yet")
}

/// The prepared build folder, if there is one.
pub fn prepared(_device: Device) -> Option<PathBuf> {
    None
}
