//! What cargo answers to questions that change nothing.

use std::fs;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::place::{Manifest, Place};

/// Stands for the kernel's folder in what is kept: it is another one for each kernel.
const KERNEL: &str = "\u{1a}kernel\u{1a}";

/// An answer of cargo.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) output: String,
}

/// A place to keep what is learned about one question.
pub(super) struct Note {
    file: PathBuf,
    folder: String,
}

impl Note {
    /// The note on the question `arguments` about this manifest, if such answers may be kept.
    pub(super) fn on(place: &Place, manifest: &Manifest, arguments: &[&str]) -> Option<Self> {
        let folder = place.folder.to_str()?.to_owned();
        // A path that JSON writes in another way could not be put back.
        if folder.contains(['"', '\\']) || folder.contains(char::is_control) {
            return None;
        }
        let mut hash = Sha256::new();
        let variables =
            ["RUSTC", "RUSTFLAGS", "RUSTC_WRAPPER"].map(|name| std::env::var(name).ok());
        let variables = variables.iter().flatten().map(String::as_str);
        let lines = manifest.lines.iter().map(String::as_str);
        for part in arguments.iter().copied().chain(variables).chain(lines) {
            hash.update(part.replace(&folder, KERNEL));
            hash.update([0]);
        }
        let name: String =
            hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Some(Self { file: place.answers(manifest)?.join(name), folder })
    }

    /// What was noted.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Option<T> {
        let text = fs::read_to_string(&self.file).ok()?.replace(KERNEL_IN_JSON, &self.folder);
        serde_json::from_str(&text).ok()
    }

    /// Notes `what`. Whoever cannot write asks again the next time.
    pub(super) fn write<T: Serialize>(&self, what: &T) {
        let Ok(text) = serde_json::to_string(what) else { return };
        let text = text.replace(&self.folder, KERNEL_IN_JSON);
        let draft = self.file.with_extension(std::process::id().to_string());
        let written = self.file.parent().map(fs::create_dir_all).transpose().is_ok()
            && fs::write(&draft, text).is_ok()
            && fs::rename(&draft, &self.file).is_ok();
        if !written {
            let _ = fs::remove_file(&draft);
        }
    }
}

/// [`KERNEL`] as JSON writes it.
const KERNEL_IN_JSON: &str = "\\u001akernel\\u001a";
