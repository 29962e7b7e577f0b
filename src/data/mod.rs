//! Data sets.
//!
//! A set says where it was found and how many samples it has: print it.
//!
//! | the set | images | known of each |
//! |---|---|---|
//! | [`FashionMnist`] | 70,000 of 1×28×28 | the class, one of ten |
//! | [`PixelFaces`] | 20,000 of 3×16×16 | hair, glasses, hat, beard, mouth, skin |
//! | [`Emoji`] | 5,485 of 3×32×32 | category and style |
//! | [`Digits`] | 1,797 of 1×8×8 | the digit |
//! | [`mnist`](fn@mnist), [`cifar10`](fn@cifar10) | the reader's own files | the class |
//! | [`ImageFolder`] | any folder of PNG and JPEG files | its subfolder |
//!
//! The first four stand in the repository's `datasets` folder, with their licences and the ways they were made. [`open`](fn@open)
//! has them by name. Each is an [`ImageSet`], which is a [`Source`](crate::train::Source) of batches and labels.

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
pub(crate) mod shipped;
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

use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Says where the shipped data sets stand, for a program that was moved away from the sources it was built from. The
/// first call counts.
///
/// ```
/// use scorebook::data;
///
/// let folder = std::env::temp_dir().join(format!("scorebook-doc-sets-{}", std::process::id()));
/// std::fs::create_dir_all(folder.join("a-set-of-mine"))?;
/// data::use_folder(folder.clone());
/// assert_eq!(data::find("a-set-of-mine"), folder.join("a-set-of-mine"));
/// // What is not in it is looked for as before.
/// assert!(data::find("digits").is_dir());
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn use_folder(folder: PathBuf) {
    let _ = FOLDER.set(folder);
}

/// Where the shipped data sets and models are looked for: the environment variable `SCOREBOOK_DATASETS`, the folder of
/// [`use_folder`], `datasets` in the sources that the library was built from (a registry's have none), and
/// `scorebook/datasets` in the folder of the user's data.
fn places() -> impl Iterator<Item = PathBuf> {
    let said = std::env::var_os("SCOREBOOK_DATASETS").map(PathBuf::from);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
    let own = dirs::data_dir().map(|data| data.join("scorebook/datasets"));
    said.into_iter().chain(FOLDER.get().cloned()).chain([built]).chain(own)
}

/// The folder of the shipped data sets: the first of the places for them that is there. None may be.
pub fn folder() -> PathBuf {
    first_there(places())
}

/// The file of the shipped weights of this name.
pub(crate) fn shipped_weights(name: &str) -> Result<PathBuf> {
    let path = find(format!("weights/{name}.safetensors"));
    match path.is_file() {
        true => Ok(path),
        false => Err(Error::file(path, "is not there", shipped::REMEDY)),
    }
}

/// Where `path` of the shipped data sets and models is: `digits`, `weights/fashion-mnist.safetensors`. Looked for in the
/// environment variable `SCOREBOOK_DATASETS`, the folder of [`use_folder`], `datasets` in the sources that the library was
/// built from and `scorebook/datasets` in the folder of the user's data. Where it is in none, the path in the first of
/// them, at which nothing is.
///
/// ```
/// use scorebook::data;
///
/// assert!(data::find("digits/digits-images-idx3-ubyte.gz").is_file());
/// assert!(!data::find("digits/of-the-hand").exists());
/// assert_eq!(data::find("digits"), data::folder().join("digits"));
/// ```
pub fn find(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    first_there(places().map(|place| place.join(path)))
}

fn first_there(mut candidates: impl Iterator<Item = PathBuf>) -> PathBuf {
    let first = candidates.next().unwrap_or_default();
    match first.exists() {
        true => first,
        false => candidates.find(|there| there.exists()).unwrap_or(first),
    }
}
