//! The files of the sets that are shipped whole.

use super::{contents, find};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// What to do where something shipped is not there.
pub(crate) const REMEDY: &str = "Set SCOREBOOK_DATASETS to the `datasets` folder of a clone of the repository, or copy that folder to scorebook/datasets in the folder of your data (~/.local/share on Linux)";

/// The folder that holds `file` of the shipped set `name`: `chosen` if the reader has named one.
pub(super) fn place(name: &str, file: &str, chosen: &Option<PathBuf>) -> PathBuf {
    let found = || find(Path::new(name).join(file)).parent().map(Path::to_owned);
    chosen.clone().or_else(found).unwrap_or_default()
}

/// The unpacked contents of one file of a shipped set, with its SHA-256 checked.
pub(super) fn file(folder: &Path, (name, sha256): (&str, &str)) -> Result<Vec<u8>> {
    let path = folder.join(name);
    if !path.is_file() {
        return Err(Error::file(path, "is not there", REMEDY));
    }
    contents::read(&path, Some(sha256))
}
