//! `scorebook lab`: from nothing to the notebooks in JupyterLab.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::device::Device;
use super::kernelspec::Place;
use super::python::Environment;
use super::server::Server;
use super::{assets, doctor, workshop};

const EXAMPLES: &str = "\
Examples:
  scorebook lab                   the book's notebooks, in the clone or unpacked here
  scorebook lab ~/my-notebooks    notebooks of your own
  scorebook lab --no-browser      print the address only, for another machine's browser
  scorebook lab --device cuda     compute on an NVIDIA GPU

The first start compiles the library for the notebooks, which takes minutes; later ones do not.
Ctrl-C ends JupyterLab and its kernels.";

/// The folder of the notebooks where the clone is not.
const UNPACKED: &str = "scorebook-notebooks";
/// The notebook to begin with.
const FIRST: &str = "00-tour.ipynb";

/// Open the notebooks in JupyterLab.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Lab {
    /// The folder of notebooks [default: the book's: those of the clone around the current folder,
    /// else unpacked into ./scorebook-notebooks].
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print the address, open no browser.
    #[arg(long)]
    no_browser: bool,
    /// The port to serve on [default: the first free one from 8888].
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Where the notebooks compute.
    #[arg(long, value_enum, default_value_t)]
    device: Device,
}

impl Lab {
    pub fn execute(self) -> Result<ExitCode> {
        let device = self.device.resolve()?;
        if let Some(port) = self.port.filter(|port| *port != 0) {
            TcpListener::bind(("127.0.0.1", port))
                .with_context(|| format!("port {port} cannot be used. Choose another: --port N"))?;
        }
        let folder = match self.folder {
            Some(folder) if !folder.is_dir() => {
                bail!("{}: no such folder. Make it, or leave DIR out", folder.display())
            }
            Some(folder) => folder,
            None => book(&std::env::current_dir()?)?,
        };
        let folder = folder.canonicalize()?;

        let environment = Environment::find();
        doctor::require_for_lab(environment.as_ref())?;
        let environment = environment.map_or_else(Environment::make, Ok)?;
        eprintln!("JupyterLab {}: {}", environment.jupyterlab, environment.prefix.display());
        let spec = install(&environment, device)?;
        eprintln!("Kernel, on {}: {}", device.name(), spec.display());
        workshop::prepare(device)?;

        let page = match folder.join(FIRST).is_file() {
            true => format!("lab/tree/{FIRST}"),
            false => "lab".to_owned(),
        };
        let mut server = Server::start(&environment, &folder, &page, self.port)?;
        server.start_kernel_ahead(device)?;
        let Some(address) = server.address(&page)? else {
            return Ok(ExitCode::SUCCESS);
        };
        eprintln!("Notebooks: {}", folder.display());
        println!("JupyterLab is ready: {address}");
        eprintln!("Ctrl-C ends it.");
        if !self.no_browser {
            server.open_in_browser(&environment)?;
        }
        match server.wait()? {
            None => eprintln!("\nEnding JupyterLab and its kernels."),
            Some(status) if status.success() => eprintln!("JupyterLab has ended."),
            Some(status) => bail!("JupyterLab has ended by itself ({status})"),
        }
        drop(server);
        Ok(ExitCode::SUCCESS)
    }
}

/// An environment that is virtual gets the kernel for itself; a system's Python is not ours to
/// write to, so there it goes to the user's place.
fn install(environment: &Environment, device: Device) -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    if environment.is_virtual {
        let own = Place::prefix(&environment.prefix).install(&program, device);
        if own.is_ok() {
            return own;
        }
    }
    Place::user()?.install(&program, device)
}

/// The folder of the book's notebooks as seen from `here`.
fn book(here: &Path) -> Result<PathBuf> {
    if let Some(clone) = assets::clone_around(here) {
        return Ok(clone.join("notebooks"));
    }
    let folder = match here.ends_with(UNPACKED) {
        true => here.to_owned(),
        false => here.join(UNPACKED),
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let unpacked = assets::unpack_notebooks(&folder)?;
    for path in unpacked.kept {
        eprintln!(
            "Kept {}, which differs from the book's. To get the book's, rename yours and start \
             again.",
            path.display()
        );
    }
    Ok(folder)
}
