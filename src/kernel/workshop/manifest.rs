//! The files that tell cargo what a workshop is made of.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The crates that a cell can use beside the library, as the library's own manifest names them.
pub(in crate::kernel) const FOR_CELLS: [&str; 5] =
    ["candle-core", "candle-nn", "rand", "rand_distr", "serde_json"];

/// How everything but the cells is compiled: fast code without the checks of a debug build, and
/// quick to compile where it only runs while compiling.
pub(super) const PROFILE: &str = "\
[profile.dev.package.\"*\"]
opt-level = 3
debug-assertions = false
overflow-checks = false

[profile.dev.package.syn]
opt-level = 0

[profile.dev.package.proc-macro2]
opt-level = 0

[profile.dev.package.quote]
opt-level = 0

[profile.dev.package.serde_derive]
opt-level = 0
";

/// The library's manifest for a workshop: a dynamic library, so that all cells share its statics (one
/// thread pool, one interrupt flag), and nothing but the library.
pub(super) fn library_manifest(manifest: &str) -> String {
    let mut kept = String::new();
    let mut keep = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            let dropped = ["[[", "[dev-dependencies", "[profile", "[lints"];
            keep = !dropped.iter().any(|section| line.starts_with(section));
        }
        if keep && !line.starts_with("default-run") {
            kept.push_str(line);
            kept.push('\n');
        }
        if line.trim() == "[lib]" {
            kept.push_str("crate-type = [\"dylib\"]\n");
        }
    }
    kept
}

/// The names and specifications of everything a cell can use.
///
/// # Errors
/// The library's manifest cannot be read, or does not name one of the crates.
pub(in crate::kernel) fn cell_dependencies(
    root: &Path,
    features: &[&str],
) -> anyhow::Result<Vec<(String, String)>> {
    let library = root.join("library");
    let path = library.join("Cargo.toml");
    let manifest = fs::read_to_string(&path)
        .with_context(|| format!("cannot read the workshop's {}", path.display()))?;
    let specification = format!(
        "{{ path = {:?}, default-features = false, features = {features:?} }}",
        library.to_str().context("the cache folder's name is not UTF-8")?
    );
    let mut dependencies = vec![("scorebook".to_owned(), specification)];
    for name in FOR_CELLS {
        let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
        let specification =
            line.with_context(|| format!("the library does not depend on `{name}`"))?;
        dependencies.push((name.to_owned(), specification.to_owned()));
    }
    Ok(dependencies)
}

/// The manifest of the cells' crate, under which the dependencies are compiled.
pub(super) fn cells_manifest(dependencies: &[(String, String)]) -> String {
    let lines: String =
        dependencies.iter().map(|(name, what)| format!("{name} = {what}\n")).collect();
    // The profile is the one that evcxr writes: a dependency compiled under another is not fresh to it.
    format!(
        "[package]\nname = \"ctx\"\nversion = \"1.0.0\"\nedition = \"2024\"\n\n\
         [lib]\ncrate-type = [\"cdylib\"]\npath = \"src/lib.rs\"\n\n\
         [profile.dev]\nopt-level = 2\ndebug = false\nstrip = \"debuginfo\"\nrpath = true\nlto = false\n\
         debug-assertions = true\ncodegen-units = 16\npanic = 'unwind'\nincremental = true\n\
         overflow-checks = true\n\n[dependencies]\n{lines}"
    )
}

/// The file in which the versions of all dependencies are written down.
pub(in crate::kernel) fn lock_file(cells: &Path) -> PathBuf {
    cells.join("Cargo.lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_becomes_a_dynamic_library_and_nothing_else() {
        let manifest = "[package]\nname = \"x\"\ndefault-run = \"x\"\n\n[lib]\npath = \"src/lib.rs\"\n\n\
                        [[bin]]\nname = \"x\"\n\n[dependencies]\nrand = \"0.9\"\n\n[profile.release]\ndebug = 0\n";
        let library = library_manifest(manifest);
        assert!(library.contains("[lib]\ncrate-type = [\"dylib\"]\npath"), "{library}");
        assert!(library.contains("rand = \"0.9\""), "{library}");
        for absent in ["[[bin]]", "default-run", "[profile"] {
            assert!(!library.contains(absent), "{absent} in {library}");
        }
    }
}
