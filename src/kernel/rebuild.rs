//! What a new dependency would have compiled anew.
//!
//! Two packages that use a third share one copy of it, with the features that both ask for. So a `:dep` can change how
//! candle is compiled; and then a variable of the old build has a type that no longer exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::workshop::{Toolchain, lock_file};

/// What cargo says of a set of dependencies, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Metadata {
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

/// A package and the features that it is compiled with.
#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    features: BTreeSet<String>,
}

/// The packages that the crate of the cells in `cells` has and that would be compiled anew, had it the `added`
/// dependencies (name and specification) too.
///
/// # Errors
/// There is no answer from cargo, for want of the network for example; `evcxr` will say so.
pub(super) fn rebuilt(cells: &Path, added: &[(&str, &str)]) -> anyhow::Result<Vec<String>> {
    let manifest = fs::read_to_string(cells.join("Cargo.toml"))?;
    let more: String = added.iter().map(|(name, what)| format!("{name} = {what}\n")).collect();
    let (before, behind) =
        manifest.split_once("[dependencies]\n").context("the manifest has no dependencies")?;
    // A line that replaces an older one.
    let behind: String = behind
        .split_inclusive('\n')
        .filter(|line| !added.iter().any(|(name, _)| line.starts_with(&format!("{name} ="))))
        .collect();
    let changed = format!("{before}[dependencies]\n{more}{behind}");
    let scratch = Scratch::new(cells)?;
    let nodes = |manifest: &str| -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
        fs::create_dir_all(scratch.0.join("src"))?;
        fs::write(scratch.0.join("src/lib.rs"), "")?;
        fs::write(scratch.0.join("Cargo.toml"), manifest)?;
        fs::copy(lock_file(cells), lock_file(&scratch.0))?;
        let toolchain = Toolchain::find()?;
        let output = toolchain
            .cargo()
            .args(["metadata", "--format-version", "1", "--filter-platform", toolchain.host()?])
            .current_dir(&scratch.0)
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
        // The crate of the cells itself is compiled for every cell.
        let nodes = metadata.resolve.nodes.into_iter().filter(|node| !node.id.contains("#ctx@"));
        Ok(nodes.map(|node| (node.id, node.features)).collect())
    };
    Ok(compare(&nodes(&manifest)?, &nodes(&changed)?))
}

/// The names of the packages that are not the same in both.
fn compare(
    old: &BTreeMap<String, BTreeSet<String>>,
    new: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<String> {
    let changed = old.iter().filter(|(id, features)| new.get(*id) != Some(features));
    let name = |id: &str| {
        // `registry+https://...#name@1.0.0`, or `path+file:///.../name#1.0.0`.
        let (place, version) = id.rsplit_once('#').unwrap_or(("", id));
        match version.split_once('@') {
            Some((name, _)) => name.to_owned(),
            None => place.rsplit('/').next().unwrap_or_default().to_owned(),
        }
    };
    let names: BTreeSet<String> = changed.map(|(id, _)| name(id)).collect();
    names.into_iter().collect()
}

/// A folder beside the cells', removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(cells: &Path) -> anyhow::Result<Self> {
        // In the kernel's folder, where cargo's settings are the cells' own.
        let folder = cells.with_file_name("question");
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(list: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
        let set = |features: &[&str]| features.iter().map(|name| (*name).to_owned()).collect();
        list.iter().map(|(id, features)| ((*id).to_owned(), set(features))).collect()
    }

    #[test]
    fn new_features_and_other_versions_are_a_new_build_and_new_packages_are_not() {
        let old = nodes(&[
            ("registry+x#rand@0.9.1", &["std"]),
            ("registry+x#half@2.0.0", &[]),
            ("path+file:///a/candle#0.11.1", &[]),
        ]);
        let mut new = old.clone();
        new.insert("registry+x#fresh@1.0.0".into(), BTreeSet::new());
        assert!(compare(&old, &new).is_empty());
        new.get_mut("registry+x#rand@0.9.1").unwrap().insert("small_rng".into());
        new.remove("path+file:///a/candle#0.11.1");
        assert_eq!(compare(&old, &new), ["candle", "rand"]);
    }
}
