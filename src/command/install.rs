//! `scorebook install` and `scorebook uninstall`: the kernel in a reader's own Jupyter.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::device::Device;
use super::kernelspec::{DISPLAY_NAME, Place};

const INSTALL_EXAMPLES: &str = "\
Examples:
  scorebook install                          for you, in every Jupyter that you start
  scorebook install --sys-prefix             for the active Python environment
  scorebook install --prefix /usr/local      for everybody
  scorebook install --device cpu             never on the GPU";

/// Make the kernel known to a Jupyter that you have.
#[derive(Args)]
#[command(after_help = INSTALL_EXAMPLES)]
pub struct Install {
    #[command(flatten)]
    place: Where,
    /// Where its notebooks compute.
    #[arg(long, value_enum, default_value_t)]
    device: Device,
}

/// Remove the kernel from where `install` put it.
#[derive(Args)]
pub struct Uninstall {
    #[command(flatten)]
    place: Where,
}

#[derive(Args)]
#[group(multiple = false)]
struct Where {
    /// For this user (the default).
    #[arg(long)]
    user: bool,
    /// Below DIR, in share/jupyter/kernels.
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// For the active Python environment.
    #[arg(long)]
    sys_prefix: bool,
}

impl Where {
    fn place(&self) -> Result<Place> {
        match &self.prefix {
            Some(prefix) => Ok(Place::prefix(prefix)),
            None if self.sys_prefix => Place::active_python(),
            None => Place::user(),
        }
    }
}

impl Install {
    pub fn execute(self) -> Result<ExitCode> {
        if self.device != Device::Auto {
            self.device.resolve()?;
        }
        let program = std::env::current_exe().context("cannot tell where this program lies")?;
        let folder = self.place.place()?.install(&program, self.device)?;
        println!("{DISPLAY_NAME} is installed in {}", folder.display());
        Ok(ExitCode::SUCCESS)
    }
}

impl Uninstall {
    pub fn execute(self) -> Result<ExitCode> {
        let folder = self.place.place()?.uninstall()?;
        println!("{DISPLAY_NAME} is removed from {}", folder.display());
        Ok(ExitCode::SUCCESS)
    }
}
