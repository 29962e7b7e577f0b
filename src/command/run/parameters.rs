//! Parameters, as papermill has them: `--param NAME=VALUE` overrides what the cell tagged
//! `parameters` defines, in a cell that is put after it.

use anyhow::{Context, Result, anyhow, bail};

use super::literal::{Literal, is_integer, literal, plain, quoted};
use super::notebook::{self, Notebook};

/// The tag of the cell that defines the parameters and their defaults.
const DEFINED: &str = "parameters";
/// The tag of the cell that overrides them.
const INJECTED: &str = "injected-parameters";

/// A `NAME=VALUE` of the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    name: String,
    value: String,
}

impl std::str::FromStr for Parameter {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').context("expected NAME=VALUE")?;
        let name = name.trim();
        if !is_name(name) {
            bail!("`{name}` is not a name of a variable");
        }
        Ok(Self { name: name.to_owned(), value: value.trim().to_owned() })
    }
}

/// Puts a cell that sets the parameters after the one that defines them; the one that an earlier
/// run put there goes.
pub fn inject(notebook: &mut Notebook, parameters: &[Parameter]) -> Result<()> {
    if parameters.is_empty() {
        return Ok(());
    }
    let with_tag = |notebook: &Notebook, tag| {
        notebook.cells().iter().position(|cell| notebook::has_tag(cell, tag))
    };
    while let Some(old) = with_tag(notebook, INJECTED) {
        notebook.remove(old);
    }
    let defined = with_tag(notebook, DEFINED).with_context(|| {
        format!("--param: no cell is tagged `{DEFINED}`. Tag the cell that defines them")
    })?;
    let definitions = definitions(&notebook::source(&notebook.cells()[defined]));
    let mut source = String::from("// Parameters");
    for Parameter { name, value } in parameters {
        let definition = definitions.iter().rev().find(|known| known.name == *name);
        let definition = definition.ok_or_else(|| {
            let known: Vec<_> = definitions.iter().map(|known| known.name.as_str()).collect();
            anyhow!(
                "--param {name}: the cell tagged `{DEFINED}` defines no `{name}`. It defines: {}",
                known.join(", ")
            )
        })?;
        let line = definition.with_value(value).map_err(|expected| {
            anyhow!("--param {name}={value}: expected {expected}, as in `{definition}`")
        })?;
        source += "\n";
        source += &line;
    }
    notebook.insert_code(defined + 1, &source, INJECTED);
    Ok(())
}

/// A `let` of the parameters cell.
struct Definition {
    mutable: bool,
    name: String,
    /// The type, where it is written.
    kind: Option<String>,
    /// What it is set to: a Rust expression.
    default: String,
}

impl std::fmt::Display for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind.as_ref().map(|kind| format!(": {kind}")).unwrap_or_default();
        let mutable = if self.mutable { "mut " } else { "" };
        write!(f, "let {mutable}{}{kind} = {};", self.name, self.default)
    }
}

impl Definition {
    /// The definition with another value in the place of the default; else what was expected.
    fn with_value(&self, value: &str) -> Result<String, &'static str> {
        let default = literal(&self.default);
        let kind = self.kind.as_deref().unwrap_or_else(|| default.kind());
        let given = literal(value);
        let expression = match kind {
            "bool" if given == Literal::Bool => value.to_owned(),
            "bool" => return Err("true or false"),
            "&str" | "&'static str" => quoted(value),
            "String" => format!("{}.to_string()", quoted(value)),
            "f32" | "f64" | "{float}" => match given {
                Literal::Integer { suffix: "" } if plain(value) => {
                    format!("{value}.0{}", default.suffix())
                }
                Literal::Float { suffix: "" } => format!("{value}{}", default.suffix()),
                Literal::Float { .. } => value.to_owned(),
                _ => return Err("a number"),
            },
            kind if is_integer(kind) || kind == "{integer}" => match given {
                Literal::Integer { suffix: "" } => format!("{value}{}", default.suffix()),
                Literal::Integer { .. } => value.to_owned(),
                _ => return Err("a whole number"),
            },
            // The default is some other expression: the value tells.
            _ if given == Literal::Other => quoted(value),
            _ => value.to_owned(),
        };
        let definition = Self {
            mutable: self.mutable,
            name: self.name.clone(),
            kind: self.kind.clone(),
            default: expression,
        };
        Ok(definition.to_string())
    }
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The `let`s of a cell, in their order.
fn definitions(source: &str) -> Vec<Definition> {
    statements(source).iter().filter_map(|statement| definition(statement)).collect()
}

fn definition(statement: &str) -> Option<Definition> {
    let rest = statement.strip_prefix("let ")?.trim_start();
    let (pattern, default) = rest.split_once('=')?;
    let (name, kind) = match pattern.split_once(':') {
        Some((name, kind)) => (name, Some(kind.trim().to_owned())),
        None => (pattern, None),
    };
    let stripped = name.strip_prefix("mut ");
    let (mutable, name) = (stripped.is_some(), stripped.unwrap_or(name).trim());
    let (name, default) = (name.to_owned(), default.trim().to_owned());
    is_name(&name).then_some(Definition { mutable, name, kind, default })
}

/// The statements of a cell without their comments: split at each `;` that no string holds.
fn statements(source: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    let mut letters = source.chars().peekable();
    let mut in_text = false;
    while let Some(letter) = letters.next() {
        let Some(statement) = statements.last_mut() else { break };
        match letter {
            '\\' if in_text => {
                statement.push(letter);
                statement.extend(letters.next());
            }
            '"' => {
                in_text = !in_text;
                statement.push(letter);
            }
            '/' if !in_text && letters.peek() == Some(&'/') => {
                while letters.next_if(|letter| *letter != '\n').is_some() {}
            }
            ';' if !in_text => statements.push(String::new()),
            _ => statement.push(letter),
        }
    }
    statements.iter().map(|statement| statement.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CELL: &str = "// Settings; of the run
let steps = 500; // how many; at most
let seed: u64 = 7;
let rate = 1e-3_f32;
let mut name = \"a;b\";
let owned = String::from(\"x\");
let fast = false;
let width = 64usize;
let model = load()?;";

    fn notebook(cell: &str) -> Notebook {
        let cells = json!([
            { "cell_type": "markdown", "source": "text", "metadata": {} },
            { "cell_type": "code", "source": cell, "metadata": { "tags": ["parameters"] } },
            { "cell_type": "code", "source": "steps", "metadata": {} },
        ]);
        let document = json!({ "cells": cells, "metadata": {}, "nbformat": 4 });
        Notebook::parse(document.to_string().as_bytes()).unwrap()
    }

    fn injected(parameters: &[&str]) -> Result<String> {
        let mut notebook = notebook(CELL);
        let parameters: Vec<Parameter> =
            parameters.iter().map(|text| text.parse().unwrap()).collect();
        inject(&mut notebook, &parameters)?;
        assert!(notebook::has_tag(&notebook.cells()[2], INJECTED));
        Ok(notebook::source(&notebook.cells()[2]))
    }

    #[test]
    fn values_take_the_type_of_the_definition() {
        for (given, expected) in [
            ("steps=20", "let steps = 20;"),
            ("steps=-1_000", "let steps = -1_000;"),
            ("seed=0xff", "let seed: u64 = 0xff;"),
            ("rate=2", "let rate = 2.0f32;"),
            ("rate=2e-4", "let rate = 2e-4f32;"),
            ("width=32", "let width = 32usize;"),
            ("name=say \"hi\"", "let mut name = \"say \\\"hi\\\"\";"),
            ("name=5", "let mut name = \"5\";"),
            ("name=a=b", "let mut name = \"a=b\";"),
            ("owned=y", "let owned = \"y\".to_string();"),
            ("fast=true", "let fast = true;"),
            ("model=5", "let model = 5;"),
            ("model=\"5\"", "let model = \"5\";"),
            ("model=file.safetensors", "let model = \"file.safetensors\";"),
        ] {
            assert_eq!(injected(&[given]).unwrap(), format!("// Parameters\n{expected}"));
        }
    }

    #[test]
    fn a_value_of_another_type_or_an_unknown_name_is_an_error() {
        for (given, expected) in [
            ("steps=2.5", "expected a whole number, as in `let steps = 500;`"),
            ("steps=many", "expected a whole number"),
            ("rate=fast", "expected a number"),
            ("fast=1", "expected true or false"),
            ("step=1", "defines no `step`. It defines: steps, seed, rate"),
        ] {
            let error = injected(&[given]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!("steps".parse::<Parameter>().is_err());
        assert!("2x=1".parse::<Parameter>().is_err());
    }

    #[test]
    fn a_second_run_replaces_the_cell_of_the_first() {
        let mut notebook = notebook(CELL);
        inject(&mut notebook, &["steps=1".parse().unwrap()]).unwrap();
        inject(&mut notebook, &["steps=2".parse().unwrap()]).unwrap();
        assert_eq!(notebook.cells().len(), 4);
        assert_eq!(notebook::source(&notebook.cells()[2]), "// Parameters\nlet steps = 2;");
    }

    #[test]
    fn a_notebook_without_a_parameters_cell_takes_none() {
        let mut notebook = notebook(CELL);
        notebook.remove(1);
        let error = inject(&mut notebook, &["steps=1".parse().unwrap()]).unwrap_err();
        assert!(error.to_string().contains("no cell is tagged `parameters`"));
    }
}
