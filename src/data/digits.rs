//! Digits: 1,797 handwritten digits, 8×8.

use super::shipped;
use super::{ImageSet, Split, idx::read_pair};
use crate::{Error, Result};
use candle_core::Tensor;
use std::path::PathBuf;

/// The names of the ten digits.
pub(super) const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Handwritten digits, 8×8 grey (Alpaydin & Kaynak 1998): small enough that a network learns them in minutes.
///
/// A pixel counts the inked points of a 4×4 cell, `k` from 0 to 16, and becomes the byte `round(255k/16)`; so images have
/// 17 levels, not 256. The first 1,500 are for training, the last 297 for judging.
///
/// ```
/// use scorebook::prelude::*;
///
/// let digits = Digits::default().load(Split::Train)?;
/// assert_eq!((digits.len(), digits.shape()), (1500, &[1, 8, 8][..]));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Digits {
    /// Look in this folder, and not among the shipped sets.
    pub folder: Option<PathBuf>,
}

const IMAGES: (&str, &str) = (
    "digits-images-idx3-ubyte.gz",
    "359cd13f0f514122884198b78a131df597421cbf5e93a76678fa96fc548f0d96",
);
const LABELS: (&str, &str) = (
    "digits-labels-idx1-ubyte.gz",
    "ce71631c1f31ce56fa54f31d1d498fafacff59b001e6c30c4a5e29508aa277ad",
);
const TRAIN: usize = 1500;

impl Digits {
    /// The training or the test set.
    ///
    /// # Errors
    /// If a file is missing or broken.
    pub fn load(&self, split: Split) -> Result<ImageSet> {
        let folder = shipped::place("digits", IMAGES.0, &self.folder);
        let files = [IMAGES, LABELS].map(|(name, sha256)| (folder.join(name), sha256));
        if let Some((path, _)) = files.iter().find(|(path, _)| !path.is_file()) {
            return Err(Error::file(path, "is not there", shipped::REMEDY));
        }
        let [images, labels] = &files;
        let counted = read_pair(
            "Digits",
            [(&images.0, Some(images.1)), (&labels.0, Some(labels.1))],
            &DIGITS,
        )?;
        let all = counted.len();
        let scaled = |&count: &u8| ((u32::from(count) * 255 + 8) / 16) as u8;
        let bytes = counted.bytes(0, all)?;
        let values: Vec<u8> = bytes.flatten_all()?.to_vec1()?.iter().map(scaled).collect();
        let bytes = Tensor::from_vec(values, bytes.shape(), bytes.device())?;
        let whole = ImageSet::with_attributes(
            counted.name(),
            counted.origin(),
            bytes,
            counted.attributes().to_vec(),
        )?;
        whole.select(&split.indices(TRAIN, all))
    }
}
