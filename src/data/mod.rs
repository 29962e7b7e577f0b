//! Data sets.
//!
//! A set says where it was found and how many samples it has: print it. The shipped sets stand in the repository's
//! `datasets` folder.

mod attribute;
mod cifar10;
mod contents;
mod digits;
#[cfg(feature = "download")]
mod download;
mod emoji;
mod fashion_mnist;
mod idx;
mod image_folder;
mod image_set;
mod mnist;
mod open;
mod picture;
mod pixel_faces;
mod pixels;
mod shipped;
mod split;

pub use attribute::Attribute;
pub use cifar10::{CIFAR10_CLASSES, cifar10};
pub use digits::Digits;
pub use emoji::Emoji;
pub use fashion_mnist::{FASHION_CLASSES, FashionMnist};
pub use idx::{Idx, read_idx};
pub use image_folder::ImageFolder;
pub use image_set::{Augmentation, ImageSet};
pub use mnist::mnist;
pub use open::{NAMES, open};
pub use pixel_faces::PixelFaces;
pub use pixels::to_bytes;
pub use split::Split;

use std::path::PathBuf;
use std::sync::OnceLock;

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Says where the shipped data sets stand, for a program that was moved away from the sources it was built from. The
/// first call counts.
pub fn use_folder(folder: PathBuf) {
    let _ = FOLDER.set(folder);
}

/// The folder of the shipped data sets: that of [`use_folder`], else of the environment variable `SCOREBOOK_DATASETS`,
/// else `datasets` in the sources that the library was built from. It may not be there.
pub fn folder() -> PathBuf {
    if let Some(folder) = FOLDER.get() {
        return folder.clone();
    }
    match std::env::var_os("SCOREBOOK_DATASETS") {
        Some(folder) => folder.into(),
        None => concat!(env!("CARGO_MANIFEST_DIR"), "/datasets").into(),
    }
}
