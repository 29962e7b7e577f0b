//! What makes two workshops the same.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use super::toolchain::Toolchain;

/// Counted up when a workshop gets something that earlier ones lack.
const LAYOUT: u32 = 2;
/// Counted up when the dependencies are compiled in another way, so that the files of earlier workshops
/// are of no use.
const PROFILE: u32 = 1;

/// What of the library's folder the cells need. The rest (texts, tests, notebooks) may change without a new build.
const LIBRARY: [&str; 4] = ["Cargo.toml", "Cargo.lock", "src", "datasets"];
/// The command and the kernel, which no cell sees.
const NOT_LIBRARY_SOURCES: [&str; 4] = ["main.rs", "kernel", "kernelspec", "command"];

/// A name for the workshop of this library, with these features, by the compiler that is installed.
pub(super) fn key(library: &Path, features: &[&str]) -> anyhow::Result<String> {
    let mut hash = Sha256::new();
    hash.update(LAYOUT.to_le_bytes());
    hash.update(toolchain_key(features)?);
    for file in library_files(library)? {
        let content = fs::read(library.join(&file))
            .with_context(|| format!("cannot read {}", library.join(&file).display()))?;
        hash.update(file.to_string_lossy().as_bytes());
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    Ok(hexadecimal(&hash.finalize()))
}

/// The part of the key that does not depend on the library: workshops that share it share the
/// dependencies' compiled files.
pub(super) fn toolchain_key(features: &[&str]) -> anyhow::Result<String> {
    let toolchain = Toolchain::find()?;
    let mut hash = Sha256::new();
    for part in [&PROFILE.to_string(), toolchain.version()?, toolchain.flags(), &features.join(",")]
    {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

/// The files of the library, relative to its folder and in a fixed order.
pub(super) fn library_files(library: &Path) -> anyhow::Result<Vec<PathBuf>> {
    ensure!(
        library.join("Cargo.toml").is_file() && library.join("src/lib.rs").is_file(),
        "{} does not hold the library's sources (Cargo.toml and src/lib.rs)",
        library.display()
    );
    let mut files = Vec::new();
    collect(library, Path::new(""), &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(library: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let path = library.join(folder);
    let entries = fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let spoken = name.to_string_lossy();
        let left_out = spoken.starts_with('.')
            || (folder == Path::new("") && !LIBRARY.contains(&&*spoken))
            || (folder == Path::new("src") && NOT_LIBRARY_SOURCES.contains(&&*spoken));
        if left_out {
            continue;
        }
        let inside = folder.join(&name);
        if entry.path().is_dir() {
            collect(library, &inside, files)?;
        } else {
            files.push(inside);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_has_no_command_and_no_kernel() {
        let files = library_files(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let has = |name: &str| files.iter().any(|file| file.starts_with(name));
        assert!(has("Cargo.toml") && has("Cargo.lock") && has("src/lib.rs") && has("src/notebook"));
        assert!(!has("src/main.rs") && !has("src/kernel") && !has("target") && !has(".git"));
    }

    #[test]
    fn features_make_another_workshop() {
        assert_ne!(toolchain_key(&["download"]).unwrap(), toolchain_key(&["cuda"]).unwrap());
    }

    #[test]
    fn a_folder_without_a_library_is_an_error() {
        let error = library_files(&std::env::temp_dir()).unwrap_err().to_string();
        assert!(error.contains("does not hold the library's sources"), "{error}");
    }
}
