//! A file replaced in one step: a full disk or an interruption never leaves half of it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Writes the file: beside its place first, then by a rename.
pub fn write(path: &Path, contents: &[u8]) -> Result<()> {
    let (target, partial) = places(path)?;
    let save = || -> io::Result<()> {
        let mut file = File::create(&partial)?;
        if let Ok(there) = fs::metadata(&target) {
            file.set_permissions(there.permissions())?;
        }
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&partial, &target)
    };
    let saved = save();
    if saved.is_err() {
        let _ = fs::remove_file(&partial);
    }
    saved.with_context(|| format!("cannot write {}", path.display()))
}

/// Whether the file can be written; an error with the reason if not.
pub fn check(path: &Path) -> Result<()> {
    let (_, partial) = places(path)?;
    let created = File::create(&partial).and_then(|_| fs::remove_file(&partial));
    created.with_context(|| format!("cannot write {}", path.display()))
}

/// The file itself (a link stays a link; what it points to is replaced) and the one beside it.
fn places(path: &Path) -> Result<(PathBuf, PathBuf)> {
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = target.file_name().with_context(|| format!("{} is no file", path.display()))?;
    let partial = target.with_file_name(format!(".{}-{}", name.display(), std::process::id()));
    Ok((target, partial))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let folder = std::env::temp_dir().join(format!("scorebook-write-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a");
        write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();

        // Through a link, with the permissions kept.
        symlink(&path, folder.join("link")).unwrap();
        write(&folder.join("link"), b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(folder.join("link").is_symlink());

        // A folder of the same name cannot be replaced by a file.
        let taken = folder.join("b");
        fs::create_dir(&taken).unwrap();
        let error = write(&taken, b"new").unwrap_err().to_string();
        assert!(error.contains("cannot write") && error.ends_with("/b"), "{error}");
        assert!(check(&folder.join("no/such/folder")).is_err());
        check(&path).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3, "half a file is left");
        fs::remove_dir_all(folder).unwrap();
    }
}
