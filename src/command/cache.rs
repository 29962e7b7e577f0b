//! The user's cache folder: what can be made again and costs time to make.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// `scorebook` in the user's cache folder, created where it is missing.
pub fn folder() -> Result<PathBuf> {
    let folder = dirs::cache_dir()
        .context("this user has no cache folder. Set HOME (or XDG_CACHE_HOME) and try again")?
        .join("scorebook");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create the cache folder {}", folder.display()))?;
    Ok(folder)
}
