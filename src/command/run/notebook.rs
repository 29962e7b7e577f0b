//! A notebook as a document: read, checked, and written back with nothing lost.
//!
//! It is kept as the JSON value it is, so that metadata and keys that we do not know survive.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::replacement;

/// A notebook of nbformat 4.
#[derive(Clone, Debug, PartialEq)]
pub struct Notebook {
    document: Value,
}

impl Notebook {
    /// Reads and checks a file. The error names what is wrong and the remedy.
    pub fn read(path: &Path) -> Result<Self> {
        if path.is_dir() {
            bail!("{0} is a folder. Name its notebooks: {0}/*.ipynb", path.display());
        }
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&bytes).map_err(|cause| anyhow!("{}: {cause}", path.display()))
    }

    /// Reads and checks the bytes of a notebook file.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let document: Value = serde_json::from_slice(bytes).map_err(|error| {
            anyhow!(
                "not a notebook: it is not JSON ({error}). \
                 Was the file cut short, or is there a conflict of versions in it?"
            )
        })?;
        let Some(version) = document["nbformat"].as_u64() else {
            bail!("not a notebook: it is JSON without `nbformat`. Give a file that Jupyter wrote")
        };
        if version < 4 {
            bail!(
                "its format is nbformat {version}; nbformat 4 is needed. Convert it: \
                 `jupyter nbconvert --to notebook --inplace FILE`"
            );
        }
        if version > 4 {
            bail!("its format is nbformat {version}, newer than this program knows (4)");
        }
        let Some(cells) = document["cells"].as_array() else {
            bail!("not a notebook: it has no list of `cells`. Give a file that Jupyter wrote")
        };
        if !document["metadata"].is_object() {
            bail!("not a valid notebook: its `metadata` is not an object")
        }
        for (index, cell) in cells.iter().enumerate() {
            check(cell)
                .map_err(|cause| anyhow!("not a valid notebook: cell {}: {cause}", index + 1))?;
        }
        Ok(Self { document })
    }

    /// The language that its metadata names, if any.
    pub fn language(&self) -> Option<&str> {
        let metadata = &self.document["metadata"];
        let of_kernel = metadata["kernelspec"]["language"].as_str();
        of_kernel.or(metadata["language_info"]["name"].as_str())
    }

    pub fn cells(&self) -> &[Value] {
        self.document["cells"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    fn cells_mut(&mut self) -> &mut [Value] {
        self.document["cells"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default()
    }

    /// Puts a new code cell before the cell at `index`.
    pub fn insert_code(&mut self, index: usize, source: &str, tag: &str) {
        let cell = json!({
            "cell_type": "code",
            "execution_count": null,
            "id": new_id(),
            "metadata": { "tags": [tag] },
            "outputs": [],
            "source": lines(source),
        });
        if let Some(cells) = self.document["cells"].as_array_mut() {
            cells.insert(index, cell);
        }
    }

    /// Removes the cell at `index`.
    pub fn remove(&mut self, index: usize) {
        if let Some(cells) = self.document["cells"].as_array_mut() {
            cells.remove(index);
        }
    }

    /// Sets what running the cell at `index` gave.
    pub fn set_result(&mut self, index: usize, count: Option<usize>, outputs: Vec<Value>) {
        if let Some(cell) = self.cells_mut().get_mut(index) {
            cell["execution_count"] = json!(count);
            cell["outputs"] = Value::Array(outputs);
        }
    }

    /// Makes it a notebook of nbformat 4.5: every cell has an id of its own and its metadata, every
    /// code cell its outputs and count. A later minor version stays what it is.
    pub fn complete(&mut self) {
        let minor = self.document["nbformat_minor"].as_u64().unwrap_or(0);
        self.document["nbformat_minor"] = json!(minor.max(5));
        let mut ids = std::collections::HashSet::new();
        for cell in self.cells_mut() {
            let id = cell["id"].as_str().filter(|id| is_valid_id(id)).map(str::to_owned);
            let id = id.filter(|id| !ids.contains(id)).unwrap_or_else(new_id);
            ids.insert(id.clone());
            cell["id"] = json!(id);
            if !cell["metadata"].is_object() {
                cell["metadata"] = json!({});
            }
            if is_code(cell) {
                if !cell["outputs"].is_array() {
                    cell["outputs"] = json!([]);
                }
                if !cell["execution_count"].is_u64() {
                    cell["execution_count"] = Value::Null;
                }
            }
        }
    }

    /// Says in its metadata which language it is in, as the kernel describes it, and which kernel
    /// runs it if it does not say so already.
    pub fn describe(&mut self, language: Option<Value>, kernel: Value) {
        if let Some(metadata) = self.document["metadata"].as_object_mut() {
            if let Some(language) = language {
                metadata.insert("language_info".into(), language);
            }
            metadata.entry("kernelspec").or_insert(kernel);
        }
    }

    /// The text of its file: one space of indent and a final newline, as Jupyter writes it.
    pub fn text(&self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
        self.document.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Writes it in one step: there is either the old file or the whole new one, whatever happens.
    pub fn write(&self, path: &Path) -> Result<()> {
        replacement::write(path, &self.text()?)
    }
}

/// Whether the cell holds code.
pub fn is_code(cell: &Value) -> bool {
    cell["cell_type"] == "code"
}

/// The cell's source as one text.
pub fn source(cell: &Value) -> String {
    match &cell["source"] {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        source => source.as_str().unwrap_or_default().to_owned(),
    }
}

/// Whether the cell carries the tag.
pub fn has_tag(cell: &Value, tag: &str) -> bool {
    cell["metadata"]["tags"].as_array().is_some_and(|tags| tags.iter().any(|there| there == tag))
}

/// A text as notebooks keep it: the list of its lines, each with its newline.
pub fn lines(text: &str) -> Value {
    text.split_inclusive('\n').collect()
}

fn check(cell: &Value) -> Result<()> {
    let fields: &Map<String, Value> = cell.as_object().context("it is not an object")?;
    let kind = fields.get("cell_type").and_then(Value::as_str).context("it has no `cell_type`")?;
    if !["code", "markdown", "raw"].contains(&kind) {
        bail!("its type `{kind}` is none of code, markdown, raw");
    }
    match fields.get("source") {
        Some(Value::String(_)) => Ok(()),
        Some(Value::Array(lines)) if lines.iter().all(Value::is_string) => Ok(()),
        _ => bail!("its `source` is not text"),
    }
}

fn is_valid_id(id: &str) -> bool {
    let valid = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    (1..=64).contains(&id.len()) && id.chars().all(valid)
}

fn new_id() -> String {
    Uuid::new_v4().simple().to_string()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(document: Value) -> Result<Notebook> {
        Notebook::parse(document.to_string().as_bytes())
    }

    #[test]
    fn what_is_not_ours_to_change_survives() {
        let text = br#"{
 "cells": [
  {
   "attachments": {},
   "cell_type": "markdown",
   "id": "a-1",
   "metadata": {
    "unknown": [
     1,
     2.5,
     null
    ]
   },
   "source": "\u00e9t\u00e9"
  }
 ],
 "metadata": {
  "extra": "kept"
 },
 "nbformat": 4,
 "nbformat_minor": 5,
 "unknown": true
}
"#;
        let mut notebook = Notebook::parse(text).unwrap();
        notebook.complete();
        let expected = String::from_utf8_lossy(text).replace("\\u00e9", "é");
        assert_eq!(String::from_utf8(notebook.text().unwrap()).unwrap(), expected);
    }

    #[test]
    fn ids_are_added_and_made_unique() {
        let cell = |id: Value| {
            json!({ "cell_type": "code", "id": id, "metadata": {}, "outputs": [],
                    "execution_count": null, "source": "" })
        };
        let cells = json!([cell(json!("same")), cell(json!("same")), cell(json!("not valid")),
            { "cell_type": "code", "source": ["1\n", "2"] }]);
        let document =
            json!({ "cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 2 });
        let mut notebook = parse(document).unwrap();
        notebook.complete();
        let ids: std::collections::HashSet<_> =
            notebook.cells().iter().map(|cell| cell["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), 4);
        assert!(ids.contains("same") && ids.iter().all(|id| is_valid_id(id)));
        assert_eq!(notebook.document["nbformat_minor"], 5);
        assert_eq!(notebook.cells()[3]["outputs"], json!([]));
        assert_eq!(source(&notebook.cells()[3]), "1\n2");
    }

    #[test]
    fn each_bad_file_has_its_own_error() {
        let message = |bytes: &[u8]| Notebook::parse(bytes).unwrap_err().to_string();
        assert!(message(b"{\"cells\": [").contains("not JSON"));
        assert!(message(b"\xff\xfe").contains("not JSON"));
        assert!(message(b"[]").contains("without `nbformat`"));
        assert!(message(b"{\"nbformat\": 3, \"worksheets\": []}").contains("jupyter nbconvert"));
        assert!(message(b"{\"nbformat\": 5}").contains("newer"));
        assert!(message(b"{\"nbformat\": 4}").contains("no list of `cells`"));
        let cells = |cell: &str| {
            message(format!(r#"{{"nbformat":4,"metadata":{{}},"cells":[{cell}]}}"#).as_bytes())
        };
        assert!(cells("1").contains("cell 1: it is not an object"));
        assert!(cells(r#"{"cell_type":"heading"}"#).contains("`heading`"));
        assert!(cells(r#"{"cell_type":"code","source":5}"#).contains("`source`"));
    }
}
