//! Copies a folder of compiled files so that cargo takes the copy for the original.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;

use anyhow::Context;

/// Copies `from` to `to`, with the modification times by which cargo tells fresh from stale.
///
/// The dependencies' compiled files, which are large and never written again, are linked; everything
/// else is written in place by cargo or the compiler, so a link would let two kernels run each other's
/// code. What the incremental compiler keeps is left out, and what the workshop's own empty cell was compiled to.
pub(super) fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "incremental" && !is_of_the_cells(&source) {
                copy_tree(&source, &target)?;
            }
        } else if is_of_the_cells(&source)
            || (is_shared(&source) && fs::hard_link(&source, &target).is_ok())
        {
            continue;
        } else {
            copy_file(&source, &target)?;
        }
    }
    Ok(())
}

/// Whether the file is a dependency's compiled code.
fn is_shared(path: &Path) -> bool {
    let in_deps = path.parent().and_then(Path::file_name) == Some(OsStr::new("deps"));
    let compiled = ["rlib", "rmeta", "so", "dylib"].map(OsStr::new);
    in_deps && path.extension().is_some_and(|kind| compiled.contains(&kind))
}

/// Whether the file belongs to the crate that every kernel compiles for itself.
fn is_of_the_cells(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.starts_with("libctx") || name.starts_with("ctx-") || name.starts_with("ctx.")
}

/// Copies one file with its modification time.
pub(super) fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    let modified = fs::metadata(from)?.modified()?;
    File::options().write(true).open(to)?.set_modified(modified)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("scorebook-copy-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[cfg(unix)]
    #[test]
    fn links_only_what_is_never_written_again() {
        use std::os::unix::fs::MetadataExt;
        let from = scratch("from");
        let to = scratch("to");
        let deps = from.join("target/debug/deps");
        fs::create_dir_all(&deps).unwrap();
        fs::create_dir_all(from.join("target/debug/incremental/x")).unwrap();
        fs::write(from.join("Cargo.toml"), "a").unwrap();
        fs::write(deps.join("libcandle.rlib"), "b").unwrap();
        fs::write(deps.join("libctx.so"), "c").unwrap();
        fs::write(deps.join("candle.d"), "d").unwrap();
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let manifest = File::options().write(true).open(from.join("Cargo.toml")).unwrap();
        manifest.set_modified(old).unwrap();
        copy_tree(&from, &to).unwrap();

        let links = |name: &str| fs::metadata(to.join(name)).unwrap().nlink();
        assert_eq!(links("target/debug/deps/libcandle.rlib"), 2);
        for own in ["Cargo.toml", "target/debug/deps/candle.d"] {
            assert_eq!(links(own), 1, "{own}");
        }
        assert_eq!(fs::metadata(to.join("Cargo.toml")).unwrap().modified().unwrap(), old);
        for absent in ["target/debug/incremental", "target/debug/deps/libctx.so"] {
            assert!(!to.join(absent).exists(), "{absent}");
        }
        fs::remove_dir_all(from).unwrap();
        fs::remove_dir_all(to).unwrap();
    }
}
