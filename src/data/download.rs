//! Fetching a file once, with its contents checked.

use super::read_idx;
use crate::{Error, Result};
use std::path::Path;
use std::time::Duration;

/// Fetches `url` into `path`, unless it is there; its decompressed IDX contents must have this SHA-256.
///
/// The file takes its name only when it is whole and right, so a download that was cut off leaves nothing behind that
/// could be taken for it.
pub(super) fn download(url: &str, path: &Path, sha256: &str) -> Result<()> {
    if path.is_file() {
        return Ok(());
    }
    let remedy = "Check the network, or put the file there by hand";
    let failed =
        |cause: String| Error::file(path, format!("{url} cannot be fetched: {cause}"), remedy);
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_connect(Some(Duration::from_secs(20))).build().into();
    let mut response = agent.get(url).call().map_err(|error| failed(error.to_string()))?;
    let mut body = response.body_mut().with_config().limit(1 << 30).reader();
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
    }
    let part = path.with_extension("part");
    let mut fetch = || -> Result<()> {
        let mut file = std::fs::File::create(&part)?;
        std::io::copy(&mut body, &mut file)?;
        file.sync_all()?;
        read_idx(&part, Some(sha256))?;
        Ok(std::fs::rename(&part, path)?)
    };
    let result = fetch();
    if result.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    result.map_err(|error| failed(error.to_string()))
}
