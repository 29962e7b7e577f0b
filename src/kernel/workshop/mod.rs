//! The workshop: the folder in which the notebooks' dependencies have been compiled once.
//!
//! `evcxr` compiles every cell as a small crate in a folder of its own. Compiling the library and
//! candle there takes minutes, so it is done once, in the user's cache, and each kernel gets a copy
//! that costs a fraction of a second.
//!
//! ```text
//! <cache>/scorebook/workshop/<key>/       one for each library, compiler and set of features
//!     library/                            the library's sources, as a dynamic library's crate
//!     cells/                              the crate of the cells, with everything compiled below it
//!     .cargo/config.toml                  how the dependencies are compiled
//!     ready                               written last: without it the folder is unfinished
//!     answers/                            what kernels have learned about these dependencies
//! <cache>/scorebook/kernels/<name>/       one kernel's copy of `cells` and `.cargo`
//! ```

mod build;
mod copy;
mod key;
mod manifest;
mod spare;
pub(super) mod standard;
pub mod storage;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::Context;

pub use build::prepare;
pub(super) use manifest::{FOR_CELLS, cell_dependencies, lock_file};
pub(super) use spare::{Spare, kernel_folders, of_kernel};
pub(super) use toolchain::{Toolchain, library_path};

/// Where the workshop for this library and these features is, or will be.
///
/// # Errors
/// The library's sources cannot be read, or there is no Rust compiler.
pub fn location(library: &Path, features: &[&str]) -> anyhow::Result<PathBuf> {
    Ok(cache()?.join("workshop").join(key::key(library, features)?))
}

/// Whether the workshop at `root` is finished.
pub fn is_ready(root: &Path) -> bool {
    root.join("ready").is_file()
}

/// The project's folder in the user's cache.
fn cache() -> anyhow::Result<PathBuf> {
    let cache = dirs::cache_dir().context(
        "there is no cache folder for this user; set HOME or XDG_CACHE_HOME to a folder that can be written",
    )?;
    Ok(cache.join("scorebook"))
}
