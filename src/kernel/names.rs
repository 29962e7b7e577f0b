//! What is known by name without rust-analyzer, which cannot be asked while a cell is compiled or runs.
//!
//! The session's variables and items, the prelude, Rust's keywords, and what follows a variable's dot: that is asked of
//! rust-analyzer once for every type, while nobody waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use jupyter_protocol::{CompleteReply, InspectReply, Media, MediaType};

use super::analysis::{byte_offset, is_of_name};

/// The keywords that begin or join statements, and the macros of every day.
const WORDS: [&str; 38] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "false",
    "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub", "ref",
    "return", "self", "static", "struct", "trait", "true", "type", "unsafe", "use", "where",
    "while", "println!", "format!", "vec!",
];
/// Types whose members are remembered.
const MOST_TYPES: usize = 200;

/// What the session knows; shared by whoever evaluates and whoever answers meanwhile.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The variables and their types.
    variables: BTreeMap<String, String>,
    items: BTreeSet<String>,
    /// What can follow the dot behind a value of a type.
    members: HashMap<String, Vec<String>>,
}

impl Names {
    /// The session has these variables, with their types, and items now.
    pub(super) fn update<'a>(
        &self,
        variables: impl Iterator<Item = (&'a str, &'a str)>,
        items: impl Iterator<Item = &'a str>,
    ) {
        let mut known = self.known();
        known.variables =
            variables.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        known.items = items.map(str::to_owned).collect();
    }

    /// A variable whose members are not known yet, with its type.
    pub(super) fn unknown(&self) -> Option<(String, String)> {
        let known = self.known();
        if known.members.len() >= MOST_TYPES {
            return None;
        }
        let mut variables = known.variables.iter();
        let (name, kind) = variables.find(|(_, kind)| !known.members.contains_key(*kind))?;
        Some((name.clone(), kind.clone()))
    }

    /// These can follow a value of the type `kind` and a dot.
    pub(super) fn learn(&self, kind: String, members: Vec<String>) {
        self.known().members.insert(kind, members);
    }

    /// What could stand at the cursor, which counts characters.
    pub(super) fn complete(&self, code: &str, cursor: usize) -> CompleteReply {
        let end = byte_offset(code, cursor);
        let before = &code[..end];
        let start = before
            .rfind(|c| !is_of_name(c))
            .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
        let (before, word) = before.split_at(start);
        let known = self.known();
        let fits = |name: &&str| name.starts_with(word);
        let mut matches: Vec<String> = if let Some(owner) = before.strip_suffix('.') {
            let owner = &owner[owner.rfind(|c| !is_of_name(c)).map_or(0, |at| at + 1)..];
            let kind = known.variables.get(owner);
            let members = kind.and_then(|kind| known.members.get(kind)).into_iter().flatten();
            members.map(String::as_str).filter(fits).map(str::to_owned).collect()
        } else if before.ends_with("::") {
            Vec::new()
        } else {
            let session = known.variables.keys().chain(&known.items).map(String::as_str);
            let all = session.chain(WORDS).chain(prelude().iter().copied());
            all.filter(fits).map(str::to_owned).collect()
        };
        matches.sort();
        matches.dedup();
        CompleteReply {
            matches,
            cursor_start: code[..start].chars().count(),
            cursor_end: code[..end].chars().count(),
            ..CompleteReply::default()
        }
    }

    /// What is known of the name at the cursor, and that more will be known when the cell has ended.
    pub(super) fn inspect(&self, code: &str, cursor: usize) -> InspectReply {
        let at = byte_offset(code, cursor);
        let start = code[..at]
            .rfind(|c| !is_of_name(c))
            .map_or(0, |before| before + code[before..].chars().next().map_or(0, char::len_utf8));
        let end = code[at..].find(|c| !is_of_name(c)).map_or(code.len(), |length| at + length);
        let name = &code[start..end];
        let known = self.known();
        let told = if let Some(kind) = known.variables.get(name) {
            format!("let {name}: {kind}\n\n")
        } else if known.items.contains(name) {
            format!("{name}: defined in this session\n\n")
        } else if prelude().contains(&name) {
            format!("{name}: from scorebook::prelude\n\n")
        } else {
            String::new()
        };
        let text = format!("{told}The kernel is busy with a cell; ask again when it has ended.");
        InspectReply {
            found: true,
            data: Media::new(vec![MediaType::Plain(text)]),
            ..InspectReply::default()
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of the library's prelude, from its own text.
fn prelude() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
        let text = include_str!("../lib.rs");
        let (_, prelude) = text.split_once("pub mod prelude {").unwrap_or_default();
        exported(prelude)
    });
    &NAMES
}

/// The names that a text exports by `pub use`.
fn exported(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for line in text.split(';').filter_map(|line| line.split_once("pub use ")) {
        let path = line.1.trim();
        let (path, list) = path.split_once('{').unwrap_or((path, path));
        let module = path.trim_end_matches("::").rsplit("::").next();
        for name in list.trim_end_matches(['}', '\n', ' ']).split(',').map(str::trim) {
            let name = if name == "self" { module.unwrap_or_default() } else { name };
            let name = name.rsplit("::").next().unwrap_or_default();
            if !name.is_empty() && !name.contains(' ') {
                names.push(name);
            }
        }
    }
    names
}

/// The `use` lines by which `name` can be had from the library in `folder`.
pub(super) fn imports(folder: &Path, name: &str) -> Vec<String> {
    let rooms = std::fs::read_dir(folder.join("src")).into_iter().flatten().flatten();
    let mut found: Vec<String> = rooms
        .filter_map(|room| {
            let text = std::fs::read_to_string(room.path().join("mod.rs")).ok()?;
            let room = room.file_name().into_string().ok()?;
            exported(&text).contains(&name).then(|| format!("use scorebook::{room}::{name};"))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let names = Names::default();
        let variables = [("training", "Training<Mlp>"), ("x", "Tensor")];
        names.update(variables.into_iter(), ["helper"].into_iter());
        names.learn("Tensor".into(), vec!["reshape".into(), "relu".into(), "sum".into()]);
        names
    }

    #[test]
    fn the_preludes_names_are_read_from_its_text() {
        for name in ["Tensor", "Mlp", "plot", "Figure", "Generator", "notebook", "D"] {
            assert!(prelude().contains(&name), "{name} in {:?}", prelude());
        }
        assert!(
            !prelude().iter().any(|name| name.contains(['{', '}', ' ', ':']) || *name == "self")
        );
    }

    #[test]
    fn what_the_prelude_leaves_out_can_be_imported() {
        let library = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(imports(library, "denoising_loss"), ["use scorebook::train::denoising_loss;"]);
        assert!(imports(library, "no_such_name").is_empty());
    }

    #[test]
    fn names_of_the_session_the_prelude_and_the_language() {
        let names = names();
        let reply = names.complete("let é = tr", 10);
        assert_eq!(reply.matches, ["training", "trait", "transition_weight", "true"]);
        assert_eq!((reply.cursor_start, reply.cursor_end), (8, 10));
        assert!(names.complete("Ten", 3).matches.contains(&"Tensor".to_owned()));
        assert_eq!(names.complete("he", 2).matches, ["helper"]);
    }

    #[test]
    fn members_of_a_type_that_was_asked_about() {
        let names = names();
        assert_eq!(names.complete("x.re", 4).matches, ["relu", "reshape"]);
        assert!(names.complete("training.", 9).matches.is_empty());
        assert!(names.complete("Tensor::ze", 10).matches.is_empty());
        assert_eq!(names.unknown(), Some(("training".into(), "Training<Mlp>".into())));
        names.learn("Training<Mlp>".into(), Vec::new());
        assert_eq!(names.unknown(), None);
    }

    #[test]
    fn says_that_it_is_busy() {
        let text = |code: &str, cursor| {
            let data = names().inspect(code, cursor).data.content;
            let [MediaType::Plain(text)] = &data[..] else { panic!("one text") };
            text.clone()
        };
        assert!(text("x + 1", 0).starts_with("let x: Tensor\n"));
        for (code, cursor) in [("é + ünbekannt", 7), ("", 0), ("x", 99)] {
            assert!(text(code, cursor).contains("busy"), "{code}");
        }
    }
}
