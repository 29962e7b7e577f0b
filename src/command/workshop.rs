//! The door between the commands and the kernel.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::activity::Activity;
use super::assets;
use super::device::{self, Device};
use crate::kernel::{self, Library, Role, workshop};

/// Serves one notebook until it is shut down.
pub fn serve(role: Role) -> Result<()> {
    kernel::main(role, || {
        let device = match std::env::var(device::VARIABLE) {
            Ok(name) => Device::from_str(&name, true).ok().with_context(|| {
                format!("{}={name}: use auto, cpu, cuda or metal", device::VARIABLE)
            })?,
            Err(_) => Device::default(),
        };
        Ok(Library { folder: assets::library()?, features: features(device)? })
    })
}

/// Prepares the build folder of the notebooks' dependencies, with progress shown.
pub fn prepare(device: Device) -> Result<PathBuf> {
    if let Some(folder) = prepared(device) {
        return Ok(folder);
    }
    let mut activity = Activity::new("Preparing the build of the notebooks");
    workshop::prepare(&assets::library()?, &features(device)?, |message| activity.say(message))
        .context("cannot prepare the build of the notebooks")
}

/// The prepared build folder, if there is one.
pub fn prepared(device: Device) -> Option<PathBuf> {
    let folder = workshop::location(&assets::library().ok()?, &features(device).ok()?).ok()?;
    workshop::is_ready(&folder).then_some(folder)
}

/// The features of the notebooks' build: the device's, and the download of data sets.
fn features(device: Device) -> Result<Vec<&'static str>> {
    let mut features = vec!["download"];
    features.extend(device.resolve()?.features());
    Ok(features)
}
