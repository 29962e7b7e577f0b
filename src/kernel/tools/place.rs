//! Where a question is asked: in which kernel, about which dependencies.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::super::workshop;

/// A kernel's folder and the workshop that it was filled from.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    workshop: Option<PathBuf>,
}

/// What a manifest asks for.
pub(super) struct Manifest {
    /// The package's name.
    pub(super) package: String,
    /// Its lines in the order of the alphabet: `evcxr` writes the dependencies in any order.
    pub(super) lines: Vec<String>,
    dependencies: BTreeSet<String>,
}

impl Place {
    pub(super) fn new(folder: PathBuf) -> Self {
        let workshop = workshop::of_kernel(&folder);
        Self { folder, workshop }
    }

    /// The manifest in the current folder.
    pub(super) fn manifest(&self) -> Option<Manifest> {
        Some(Manifest::parse(&fs::read_to_string("Cargo.toml").ok()?))
    }

    /// The folder of the answers that hold for these dependencies.
    ///
    /// Without any, or with the workshop's own, they hold for every kernel of the workshop. A reader's choice is the
    /// kernel's own; one with a path is nobody's, as the sources there may change.
    pub(super) fn answers(&self, manifest: &Manifest) -> Option<PathBuf> {
        let workshop = self.workshop.as_ref()?;
        let own = fs::read_to_string(workshop.join("cells/Cargo.toml")).ok()?;
        let own = Manifest::parse(&own).dependencies;
        let home = if manifest.dependencies.is_subset(&own) {
            workshop
        } else if manifest.dependencies.difference(&own).all(|line| !line.contains("path")) {
            &self.folder
        } else {
            return None;
        };
        Some(home.join("answers"))
    }
}

impl Manifest {
    fn parse(text: &str) -> Self {
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect();
        let listed = lines.iter().skip_while(|line| *line != "[dependencies]").skip(1);
        let dependencies = listed.cloned().collect();
        let package = lines.iter().find_map(|line| line.strip_prefix("name = "));
        let package = package.unwrap_or_default().trim_matches('"').to_owned();
        lines.sort();
        Self { package, lines, dependencies }
    }
}
