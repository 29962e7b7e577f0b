//! The user's cache folder: what can be made again and costs time to make.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result};
use clap::Args;

use crate::kernel::workshop::storage::{self, Workshop};

/// Show or clear the prepared builds of the notebooks.
///
/// Each version of the library gets a build of its own. Builds that were not used for the longest time are removed
/// when all of them take more than SCOREBOOK_CACHE_LIMIT (20GB where it is not set); those that a kernel uses stay.
#[derive(Args)]
pub struct Cache {
    /// Remove all builds that no kernel uses. The next notebook prepares its own again, which takes minutes.
    #[arg(long)]
    clear: bool,
}

impl Cache {
    pub fn execute(self) -> Result<ExitCode> {
        let limit = storage::limit()?;
        let all = storage::stored()?;
        let bytes = total(&all);
        if self.clear {
            let kept = storage::clear()?;
            for (workshop, reason) in &kept {
                println!("Kept {}: {reason}.", name(workshop));
            }
            let left = total(&storage::stored()?);
            let removed = plural(all.len().saturating_sub(kept.len()), "build");
            println!("Removed {removed}, {}.", size(bytes.saturating_sub(left)));
            return Ok(ExitCode::SUCCESS);
        }
        println!("Prepared builds of the notebooks, in {}:", storage::folder()?.display());
        for workshop in &all {
            let used =
                workshop.used.map_or("not finished".into(), |time| format!("used {}", ago(time)));
            let kernels = match workshop.kernels {
                0 => String::new(),
                count => format!(", in use by {}", plural(count, "kernel")),
            };
            println!("  {}  {:>8}  {used}{kernels}", name(workshop), size(workshop.bytes));
        }
        let (builds, limit) = (plural(all.len(), "build"), size(limit));
        println!("{builds}, {}; the limit is {limit} ({}).", size(bytes), storage::LIMIT_VARIABLE);
        Ok(ExitCode::SUCCESS)
    }
}

fn total(workshops: &[Workshop]) -> u64 {
    workshops.iter().map(|workshop| workshop.bytes).sum()
}

fn name(workshop: &Workshop) -> String {
    workshop.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `1.4 GB`.
fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1e6 => format!("{:.0} kB", bytes / 1e3),
        bytes if bytes < 1e9 => format!("{:.0} MB", bytes / 1e6),
        bytes => format!("{:.1} GB", bytes / 1e9),
    }
}

/// `3 hours ago`.
fn ago(time: SystemTime) -> String {
    let seconds = time.elapsed().unwrap_or_default().as_secs() as usize;
    match seconds {
        0..60 => "just now".into(),
        60..3600 => format!("{} ago", plural(seconds / 60, "minute")),
        3600..86_400 => format!("{} ago", plural(seconds / 3600, "hour")),
        _ => format!("{} ago", plural(seconds / 86_400, "day")),
    }
}

/// `scorebook` in the user's cache folder, created where it is missing.
pub fn folder() -> Result<PathBuf> {
    let folder = dirs::cache_dir()
        .context("this user has no cache folder. Set HOME (or XDG_CACHE_HOME) and try again")?
        .join("scorebook");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create the cache folder {}", folder.display()))?;
    Ok(folder)
}
