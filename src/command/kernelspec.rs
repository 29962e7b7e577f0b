//! What tells Jupyter how to start the kernel, and the places where Jupyter looks for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::device::{self, Device};
use super::process;

/// The kernel's name: that of its folder, and the one that a notebook's metadata gives.
pub const NAME: &str = "scorebook";
/// The name that readers see.
pub const DISPLAY_NAME: &str = "Rust (scorebook)";

const LOGOS: [(&str, &[u8]); 3] = [
    ("logo-32x32.png", include_bytes!("../kernelspec/logo-32x32.png")),
    ("logo-64x64.png", include_bytes!("../kernelspec/logo-64x64.png")),
    ("logo-svg.svg", include_bytes!("../kernelspec/logo.svg")),
];

/// A folder of data files that Jupyter searches: kernelspecs are in its `kernels`.
pub struct Place(PathBuf);

impl Place {
    /// The user's own: `$JUPYTER_DATA_DIR`, else the platform's.
    pub fn user() -> Result<Self> {
        if let Some(folder) = std::env::var_os("JUPYTER_DATA_DIR").filter(|path| !path.is_empty()) {
            return Ok(Self(folder.into()));
        }
        let folder = if cfg!(target_os = "macos") {
            dirs::home_dir().map(|home| home.join("Library/Jupyter"))
        } else {
            dirs::data_dir().map(|data| data.join("jupyter"))
        };
        folder.map(Self).context("this user has no home folder. Set HOME or use --prefix DIR")
    }

    /// That of everything installed below `prefix`.
    pub fn prefix(prefix: &Path) -> Self {
        Self(prefix.join("share/jupyter"))
    }

    /// That of the active Python environment.
    pub fn active_python() -> Result<Self> {
        let prefix = ["python3", "python"].into_iter().find_map(|python| {
            process::answer(Command::new(python).args(["-c", "import sys; print(sys.prefix)"]))
        });
        let prefix = prefix.context(
            "--sys-prefix: there is no Python on the PATH. \
             Activate an environment first, or use --user or --prefix DIR",
        )?;
        Ok(Self::prefix(Path::new(&prefix)))
    }

    /// The folder of running servers and kernels, for the user's own place.
    pub fn runtime(&self) -> PathBuf {
        match std::env::var_os("JUPYTER_RUNTIME_DIR").filter(|path| !path.is_empty()) {
            Some(folder) => folder.into(),
            None => self.0.join("runtime"),
        }
    }

    /// The folder of our kernelspec.
    pub fn folder(&self) -> PathBuf {
        self.0.join("kernels").join(NAME)
    }

    /// The program that the kernelspec here would start, if there is one here.
    pub fn program(&self) -> Option<PathBuf> {
        let text = fs::read(self.folder().join("kernel.json")).ok()?;
        let spec: Value = serde_json::from_slice(&text).ok()?;
        Some(spec["argv"][0].as_str()?.into())
    }

    /// Installs a kernelspec that starts `program` on `device`, in place of an older one.
    pub fn install(&self, program: &Path, device: Device) -> Result<PathBuf> {
        let folder = self.folder();
        let partial = folder.with_file_name(format!(".{NAME}-{}", std::process::id()));
        let save = || {
            fs::create_dir_all(&partial)?;
            let text = serde_json::to_string_pretty(&specification(program, device))?;
            fs::write(partial.join("kernel.json"), text + "\n")?;
            for (name, image) in LOGOS {
                fs::write(partial.join(name), image)?;
            }
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::rename(&partial, &folder)
        };
        let saved = save();
        if saved.is_err() {
            let _ = fs::remove_dir_all(&partial);
        }
        saved.with_context(|| {
            format!(
                "cannot write the kernelspec {}. Choose a place that you may write to: \
                 --user, or --prefix DIR",
                folder.display()
            )
        })?;
        Ok(folder)
    }

    /// Removes the kernelspec.
    pub fn uninstall(&self) -> Result<PathBuf> {
        let folder = self.folder();
        if !folder.is_dir() {
            bail!(
                "{}: no kernelspec is installed there. `jupyter kernelspec list` shows where one \
                 is; then use --user, --prefix DIR or --sys-prefix",
                folder.display()
            );
        }
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
        Ok(folder)
    }
}

fn specification(program: &Path, device: Device) -> Value {
    json!({
        "argv": [program, "kernel", "-f", "{connection_file}"],
        "display_name": DISPLAY_NAME,
        "language": "rust",
        "interrupt_mode": "message",
        "env": { device::VARIABLE: device.name() },
        "metadata": { "debugger": false },
    })
}
