//! The map of concepts, `notebooks/CONCEPTS.md`: every entry leads somewhere.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The target of a Markdown link `[text](target)`.
fn target(cell: &str) -> &str {
    let (_, rest) = cell.split_once("](").unwrap_or_else(|| panic!("{cell} is no link"));
    rest.split_once(')').unwrap().0
}

/// Whether `source` defines `item` in public, with an example in its documentation.
fn has_example(source: &str, item: &str) -> bool {
    let lines: Vec<&str> = source.lines().collect();
    let defines = |line: &str| {
        ["struct", "enum", "trait", "fn"].iter().any(|kind| {
            let rest = line.strip_prefix(&format!("pub {kind} {item}"));
            rest.is_some_and(|rest| {
                !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
            })
        })
    };
    let Some(place) = lines.iter().position(|line| defines(line)) else { return false };
    let above = lines[..place].iter().rev();
    above
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .any(|line| *line == "/// ```")
}

/// The text of a notebook's Markdown cells.
fn prose(notebook: &Path) -> String {
    let text = fs::read_to_string(notebook).unwrap_or_else(|_| panic!("no {}", notebook.display()));
    let document: Value = serde_json::from_str(&text).unwrap();
    let cells = document["cells"].as_array().unwrap().iter();
    let prose = cells.filter(|cell| cell["cell_type"] == "markdown");
    let lines = |cell: &Value| match &cell["source"] {
        Value::String(text) => text.clone(),
        lines => lines.as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect(),
    };
    prose.map(lines).collect::<Vec<_>>().join("\n")
}

/// A file as the repository shows it: the documentation and the notebooks reach each other from wherever they are read.
fn address(file: &str) -> String {
    format!("{}/blob/main/{file}", env!("CARGO_PKG_REPOSITORY"))
}

/// What is wrong with a row of the table.
fn wrong(row: &str) -> Option<String> {
    let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
    let [_, _, file, item, section, exercise] = cells[..] else {
        return Some("not six cells".into());
    };
    let book = root().join("notebooks");
    let Ok(source) = fs::read_to_string(book.join(target(file))) else {
        return Some(format!("there is no {file}"));
    };
    let item = item.trim_matches('`');
    if !has_example(&source, item) {
        return Some(format!("{file} has no {item} with an example"));
    }
    let notebook = target(section);
    if !book.join(notebook).is_file() {
        return Some(format!("there is no {notebook}"));
    }
    let prose = prose(&book.join(notebook));
    let number = section.rsplit(", ").next().unwrap();
    if !prose.lines().any(|line| line.starts_with(&format!("## {number}. "))) {
        return Some(format!("{notebook} has no section {number}"));
    }
    let room = target(file).split('/').nth(2).unwrap();
    let documentation = fs::read_to_string(root().join(format!("src/{room}/mod.rs"))).unwrap();
    if !documentation.contains(&format!("]: {}\n", address(&format!("notebooks/{notebook}")))) {
        return Some(format!("the documentation of {room} does not lead to {notebook}"));
    }
    if !prose.contains(&format!("]({})", address(&format!("src/{room}/mod.rs")))) {
        return Some(format!("{notebook} does not lead to {room}"));
    }
    let exercises = prose.split_once("## Exercises").map(|(_, exercises)| exercises).unwrap_or("");
    if !exercises.lines().any(|line| line.starts_with(&format!("**Exercise {exercise}.** "))) {
        return Some(format!("{notebook} has no exercise {exercise}"));
    }
    None
}

#[test]
fn every_entry_leads_somewhere() {
    let map = fs::read_to_string(root().join("notebooks/CONCEPTS.md")).unwrap();
    let rows: Vec<&str> = map.lines().filter(|line| line.starts_with("| 00")).collect();
    for note in ["000", "001", "002", "003", "004"] {
        let of_note = rows.iter().filter(|row| row.starts_with(&format!("| {note} |")));
        assert!(of_note.count() >= 4, "note {note} is hardly there");
    }
    let wrong: Vec<String> =
        rows.iter().filter_map(|row| wrong(row).map(|what| format!("{what}: {row}"))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_entry_that_leads_nowhere_is_found() {
    let row =
        "| 000 | Flow | [f](../src/sde/flow.rs) | `Flow` | [05](05-ito-diffusions.ipynb), 1 | 1 |";
    assert_eq!(wrong(row), None);
    for (from, to, cause) in [
        ("flow.rs", "flaw.rs", "there is no"),
        ("`Flow`", "`Flo`", "has no Flo with an example"),
        ("05-ito", "05-itu", "there is no 05-itu"),
        (", 1 |", ", 99 |", "no section 99"),
        ("05-ito-diffusions", "12-likelihood", "sde does not lead to 12"),
        ("| 1 |", "| 77 |", "no exercise 77"),
    ] {
        let found = wrong(&row.replace(from, to)).unwrap();
        assert!(found.contains(cause), "{found}");
    }
}
