//! The door between the commands and the kernel.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::activity::Activity;
use super::assets;
use super::device::Device;
use crate::kernel;

/// Serves one notebook until it is shut down.
pub fn serve(connection_file: &Path) -> Result<()> {
    kernel::main(connection_file, &assets::library()?)
}

/// Prepares the build folder of the notebooks' dependencies, with progress shown.
pub fn prepare(device: Device) -> Result<PathBuf> {
    if let Some(folder) = prepared(device) {
        return Ok(folder);
    }
    let library = assets::library()?;
    let features = kernel::workshop::features(device.name())?;
    let mut activity = Activity::new("Preparing the build of the notebooks");
    kernel::workshop::prepare(&library, &features, |message| activity.say(message))
        .context("cannot prepare the build of the notebooks")
}

/// The prepared build folder, if there is one.
pub fn prepared(device: Device) -> Option<PathBuf> {
    let features = kernel::workshop::features(device.name()).ok()?;
    let folder = kernel::workshop::location(&assets::library().ok()?, &features).ok()?;
    kernel::workshop::is_ready(&folder).then_some(folder)
}
