//! The part of the dependencies that rust-analyzer has to know.
//!
//! It looks into every crate that it hears of, and two hundred of them took it eight seconds. What a cell can name are
//! the crates that it depends on and those whose types appear in their signatures; how they draw pictures or unpack
//! archives within is nothing to it.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::super::workshop::FOR_CELLS;

/// Crates of which some public signature of the library, or of the other crates that a cell can use, speaks.
const SPOKEN_OF: [&str; 9] = [
    "half",
    "num-traits",
    "plotters",
    "plotters-backend",
    "rand_core",
    "safetensors",
    "serde",
    "serde_core",
    "rayon",
];

/// The answer of `cargo metadata` without the crates that no cell can speak of; nothing if it is not what is expected.
///
/// Crates that the reader has chosen himself are left with all of their dependencies.
pub(super) fn metadata(text: &str) -> Option<String> {
    let mut metadata: Value = serde_json::from_str(text).ok()?;
    let resolve = metadata.get("resolve")?;
    let root = resolve.get("root")?.as_str()?.to_owned();
    let names: HashMap<String, String> = metadata
        .get("packages")?
        .as_array()?
        .iter()
        .filter_map(|package| {
            let text = |key| package.get(key).and_then(Value::as_str).map(str::to_owned);
            Some((text("id")?, text("name")?))
        })
        .collect();
    let edges: HashMap<String, Vec<String>> = resolve
        .get("nodes")?
        .as_array()?
        .iter()
        .filter_map(|node| Some((node.get("id")?.as_str()?.to_owned(), needed(node)?)))
        .collect();

    let mut kept = BTreeSet::from([root.clone()]);
    let mut open: Vec<(String, bool)> = vec![(root.clone(), false)];
    while let Some((id, whole)) = open.pop() {
        for dependency in edges.get(&id).into_iter().flatten() {
            let name = names.get(dependency).map_or("", String::as_str);
            let chosen = id == root && !FOR_CELLS.contains(&name) && name != "scorebook";
            let whole = whole || chosen;
            if (whole || id == root || SPOKEN_OF.contains(&name) || FOR_CELLS.contains(&name))
                && kept.insert(dependency.clone())
            {
                open.push((dependency.clone(), whole));
            }
        }
    }

    let is_kept = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_str).is_some_and(|id| kept.contains(id))
    };
    metadata.get_mut("packages")?.as_array_mut()?.retain(|package| is_kept(package, "id"));
    let nodes = metadata.get_mut("resolve")?.get_mut("nodes")?.as_array_mut()?;
    nodes.retain(|node| is_kept(node, "id"));
    for node in nodes {
        node.get_mut("deps")?.as_array_mut()?.retain(|dependency| is_kept(dependency, "pkg"));
        let listed = node.get_mut("dependencies")?.as_array_mut()?;
        listed.retain(|id| id.as_str().is_some_and(|id| kept.contains(id)));
    }
    serde_json::to_string(&metadata).ok()
}

/// The crates that are compiled into this one.
fn needed(node: &Value) -> Option<Vec<String>> {
    let normal = |dependency: &&Value| {
        let kinds = dependency.get("dep_kinds").and_then(Value::as_array);
        kinds.is_none_or(|kinds| {
            kinds.iter().any(|kind| kind.get("kind").is_none_or(Value::is_null))
        })
    };
    let dependencies = node.get("deps")?.as_array()?.iter().filter(normal);
    Some(
        dependencies
            .filter_map(|dependency| dependency.get("pkg")?.as_str().map(str::to_owned))
            .collect(),
    )
}
