//! The book inside the binary: the library's source, the notebooks and the data sets, so that the
//! commands work where the clone is not.
//!
//! The compiler notices when an embedded file changes or goes, but not when one comes:
//! the test at the end says so.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use include_dir::{Dir, DirEntry, include_dir};
use sha2::{Digest, Sha256};

const MANIFEST: &str = include_str!("../../Cargo.toml");
const LOCK: &str = include_str!("../../Cargo.lock");
static SOURCE: Dir = include_dir!("$CARGO_MANIFEST_DIR/src");
static NOTEBOOKS: Dir = include_dir!("$CARGO_MANIFEST_DIR/notebooks");
static DATASETS: Dir = include_dir!("$CARGO_MANIFEST_DIR/datasets");

/// The folder of the library that the notebooks are built against: the clone this binary was built
/// from while it is there, else the source in the binary, unpacked in the user's data folder.
pub fn library() -> Result<PathBuf> {
    let clone = Path::new(env!("CARGO_MANIFEST_DIR"));
    if is_this_package(clone) {
        return Ok(clone.to_owned());
    }
    let data = dirs::data_dir()
        .context("this user has no data folder. Set HOME (or XDG_DATA_HOME) and try again")?;
    unpack_library(&data.join("scorebook"))
}

/// The clone that `folder` lies in, if it lies in one.
pub fn clone_around(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| is_this_package(folder) && folder.join("notebooks").is_dir())
}

/// What writing the book's notebooks to a folder found there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files that were not there and are now.
    pub written: Vec<PathBuf>,
    /// Files that the reader has changed, left as they are.
    pub kept: Vec<PathBuf>,
}

/// Writes the notebooks to `folder`. A file that is there already is the reader's and stays.
pub fn unpack_notebooks(folder: &Path) -> Result<Unpacked> {
    let mut unpacked = Unpacked::default();
    for (path, contents) in book() {
        let target = folder.join(path);
        match fs::read(&target) {
            Ok(there) if there == contents => {}
            Ok(_) => unpacked.kept.push(path.to_owned()),
            Err(_) => {
                write(&target, contents)?;
                unpacked.written.push(path.to_owned());
            }
        }
    }
    Ok(unpacked)
}

/// The data sets and weights in the binary: their paths below `datasets`, and their sizes in bytes.
pub fn datasets() -> impl Iterator<Item = (&'static Path, usize)> {
    files(&DATASETS).map(|(path, contents)| (path, contents.len()))
}

/// The notebooks for readers: the problem sets hold their solutions, and stay with the instructor's clone.
fn book() -> impl Iterator<Item = (&'static Path, &'static [u8])> {
    files(&NOTEBOOKS).filter(|(path, _)| !path.starts_with("assignments"))
}

/// Whether `folder` holds this package in this version.
fn is_this_package(folder: &Path) -> bool {
    let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else { return false };
    let says = |line: &str| manifest.lines().any(|there| there.trim() == line);
    says(concat!("name = \"", env!("CARGO_PKG_NAME"), "\""))
        && says(concat!("version = \"", env!("CARGO_PKG_VERSION"), "\""))
        && folder.join("src/lib.rs").is_file()
}

/// Unpacks the library below `folder` unless it is there: first beside its place, then by a rename,
/// so that what has the final name is whole, and of two at once the first wins.
fn unpack_library(folder: &Path) -> Result<PathBuf> {
    let name = format!("{}-{}", env!("CARGO_PKG_VERSION"), fingerprint());
    let library = folder.join(&name);
    if library.is_dir() {
        return Ok(library);
    }
    let partial = folder.join(format!(".{name}-{}", std::process::id()));
    let written = write_library(&partial).and_then(|()| match fs::rename(&partial, &library) {
        Err(_) if library.is_dir() => Ok(()),
        renamed => renamed.with_context(|| format!("cannot create {}", library.display())),
    });
    // After a success there is nothing left of it; after anything else, nothing must be.
    let _ = fs::remove_dir_all(&partial);
    written.map(|()| library)
}

fn write_library(folder: &Path) -> Result<()> {
    write(&folder.join("Cargo.toml"), library_manifest(MANIFEST).as_bytes())?;
    write(&folder.join("Cargo.lock"), LOCK.as_bytes())?;
    for (path, contents) in book() {
        write(&folder.join("notebooks").join(path), contents)?;
    }
    for (name, directory) in [("src", &SOURCE), ("datasets", &DATASETS)] {
        fs::create_dir_all(folder.join(name))
            .with_context(|| format!("cannot create {}", folder.join(name).display()))?;
        for (path, contents) in files(directory) {
            write(&folder.join(name).join(path), contents)?;
        }
    }
    Ok(())
}

/// The manifest without the tables of targets that the binary does not carry (tests, benches,
/// examples): cargo refuses a manifest that names a file that is not there.
fn library_manifest(manifest: &str) -> String {
    let mut keep = true;
    let kept = manifest.lines().filter(|line| {
        let line = line.trim();
        if line.starts_with('[') {
            keep = !["[[test]]", "[[bench]]", "[[example]]"].contains(&line);
        }
        keep
    });
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// The first digits of a SHA-256 over all that is embedded.
fn fingerprint() -> String {
    let mut hash = Sha256::new();
    hash.update(MANIFEST);
    hash.update(LOCK);
    for (path, contents) in [&SOURCE, &NOTEBOOKS, &DATASETS].into_iter().flat_map(files) {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update(contents.len().to_le_bytes());
        hash.update(contents);
    }
    hash.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All files of an embedded folder, at any depth, but the hidden ones (checkpoints, place holders).
fn files<'a>(directory: &'a Dir<'a>) -> Box<dyn Iterator<Item = (&'a Path, &'a [u8])> + 'a> {
    let visible = |path: &Path| {
        !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    Box::new(directory.entries().iter().filter(move |entry| visible(entry.path())).flat_map(
        |entry| match entry {
            DirEntry::Dir(directory) => files(directory),
            DirEntry::File(file) => Box::new(std::iter::once((file.path(), file.contents()))),
        },
    ))
}

fn write(path: &Path, contents: &[u8]) -> Result<()> {
    let save = || {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::File::create(path)?.write_all(contents)
    };
    save().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clone_is_known_from_within() {
        let clone = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(clone_around(&clone.join("src/command")), Some(clone));
        assert_eq!(clone_around(Path::new("/")), None);
        assert_eq!(library().unwrap(), clone);
    }

    #[test]
    fn an_unpacked_library_is_whole_and_is_unpacked_once() {
        let folder = std::env::temp_dir().join(format!("scorebook-assets-{}", std::process::id()));
        let library = unpack_library(&folder).unwrap();
        assert!(is_this_package(&library));
        let source = fs::read(library.join("src/command/assets.rs")).unwrap();
        assert_eq!(source, include_bytes!("assets.rs"));

        fs::write(library.join("trace"), "").unwrap();
        assert_eq!(unpack_library(&folder).unwrap(), library);
        assert!(library.join("trace").is_file());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "something half-made is left");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_manifest_names_no_target_that_is_not_carried() {
        let manifest = "[package]\nname = \"a\"\n[[bench]]\nname = \"b\"\n[profile.release]\n";
        assert_eq!(library_manifest(manifest), "[package]\nname = \"a\"\n[profile.release]\n");
    }

    #[test]
    fn a_changed_notebook_is_kept() {
        let folder = std::env::temp_dir().join(format!("scorebook-unpack-{}", std::process::id()));
        let first = unpack_notebooks(&folder).unwrap();
        assert_eq!(first.kept, Vec::<PathBuf>::new());
        if let Some(path) = first.written.first() {
            fs::write(folder.join(path), "mine").unwrap();
            let second = unpack_notebooks(&folder).unwrap();
            assert_eq!(second, Unpacked { written: vec![], kept: vec![path.clone()] });
            assert_eq!(fs::read(folder.join(path)).unwrap(), b"mine");
        }
        let _ = fs::remove_dir_all(folder);
    }

    #[test]
    fn the_binary_embeds_what_is_on_disk() {
        fn visible(folder: &Path, found: &mut usize) {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_name().as_encoded_bytes().starts_with(b".") {
                    continue;
                }
                match entry.path().is_dir() {
                    true => visible(&entry.path(), found),
                    false => *found += 1,
                }
            }
        }
        for (name, directory) in
            [("src", &SOURCE), ("notebooks", &NOTEBOOKS), ("datasets", &DATASETS)]
        {
            let mut found = 0;
            visible(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name), &mut found);
            assert_eq!(
                files(directory).count(),
                found,
                "a file is new in {name}: touch src/command/assets.rs and build again"
            );
        }
    }
}
