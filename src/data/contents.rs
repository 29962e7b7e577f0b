//! What is in a file, unpacked and checked.

use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

pub(super) const REMEDY: &str = "Delete the file and fetch it again";

/// The contents of a file, gzipped or not. `sha256`, where given, is that of what comes out, in hexadecimal.
pub(super) fn read(path: &Path, sha256: Option<&str>) -> Result<Vec<u8>> {
    let missing = |error: std::io::Error| Error::file(path, error.to_string(), "Check the path");
    let raw = std::fs::read(path).map_err(missing)?;
    let bytes = if raw.starts_with(&[0x1f, 0x8b]) {
        let mut bytes = vec![];
        MultiGzDecoder::new(raw.as_slice()).read_to_end(&mut bytes).map_err(|error| {
            Error::file(path, format!("its gzip stream is broken or cut short ({error})"), REMEDY)
        })?;
        bytes
    } else {
        raw
    };
    if let Some(expected) = sha256 {
        let found = hex(&Sha256::digest(&bytes));
        if found != expected {
            let cause = format!("its contents have the SHA-256 {found}, not {expected}");
            return Err(Error::file(path, cause, REMEDY));
        }
    }
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
