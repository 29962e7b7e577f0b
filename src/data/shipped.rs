//! The files of the sets that are shipped whole.

use super::{contents, folder};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// What to do where a shipped set is not there.
pub(super) const REMEDY: &str = "Set SCOREBOOK_DATASETS to the `datasets` folder of a clone of the repository, or copy it to scorebook/datasets in the folder of your data (~/.local/share on Linux)";

/// The folder of the shipped set `name`: `chosen` if the reader has named one.
pub(super) fn place(name: &str, chosen: &Option<PathBuf>) -> PathBuf {
    chosen.clone().unwrap_or_else(|| folder().join(name))
}

/// The unpacked contents of one file of a shipped set, with its SHA-256 checked.
pub(super) fn file(folder: &Path, (name, sha256): (&str, &str)) -> Result<Vec<u8>> {
    let path = folder.join(name);
    if !path.is_file() {
        return Err(Error::file(path, "is not there", REMEDY));
    }
    contents::read(&path, Some(sha256))
}
