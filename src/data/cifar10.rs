//! CIFAR-10: 60,000 colour images, 32×32, in ten classes.

use super::{ImageSet, Split, contents};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::path::Path;

/// The classes of CIFAR-10, by label.
pub const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The label, then 32 rows of 32 pixels of red, of green and of blue.
const RECORD: usize = 1 + 3 * 32 * 32;

/// CIFAR-10 (Krizhevsky 2009) from a folder of the reader's: it is not shipped.
///
/// The files are those of the binary version, `cifar-10-binary.tar.gz`: `data_batch_1.bin` to `data_batch_5.bin` for
/// training and `test_batch.bin` for judging, in the folder or in `cifar-10-batches-bin` below it; gzipped (`.gz`) or not.
///
/// # Errors
/// If a file is missing, or not whole records of 3,073 bytes with labels from 0 to 9.
///
/// ```
/// use scorebook::{data::cifar10, prelude::*};
///
/// // A test set of one dark image: the label 5, then the bytes of red, green and blue.
/// let folder = std::env::temp_dir().join(format!("scorebook-doc-cifar10-{}", std::process::id()));
/// std::fs::create_dir_all(&folder)?;
/// std::fs::write(folder.join("test_batch.bin"), [5; 1 + 3 * 32 * 32])?;
/// let images = cifar10(&folder, Split::Test)?;
/// assert_eq!((images.len(), images.shape()), (1, &[3, 32, 32][..]));
/// assert_eq!(images.attribute("class")?.value_of(0), "dog");
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn cifar10(folder: impl AsRef<Path>, split: Split) -> Result<ImageSet> {
    let below = folder.as_ref().join("cifar-10-batches-bin");
    let folder = if below.is_dir() { &below } else { folder.as_ref() };
    let names: Vec<String> = match split {
        Split::Train => (1..=5).map(|batch| format!("data_batch_{batch}.bin")).collect(),
        Split::Test => vec!["test_batch.bin".into()],
    };
    let (mut labels, mut pixels) = (vec![], vec![]);
    for name in names {
        let paths = [folder.join(&name), folder.join(format!("{name}.gz"))];
        let Some(path) = paths.iter().find(|path| path.is_file()) else {
            let remedy = "Unpack cifar-10-binary.tar.gz (the binary version, not the one for Python) and name its folder";
            return Err(Error::file(folder, format!("holds no {name}"), remedy));
        };
        let bytes = contents::read(path, None)?;
        let (records, rest) = bytes.as_chunks::<RECORD>();
        if records.is_empty() || !rest.is_empty() {
            let cause = format!("{} bytes, not whole records of {RECORD}", bytes.len());
            return Err(Error::file(path, cause, contents::REMEDY));
        }
        for [label, image @ ..] in records {
            if *label > 9 {
                let cause = format!("a record has the label {label}, not one from 0 to 9");
                return Err(Error::file(path, cause, contents::REMEDY));
            }
            labels.push(*label);
            pixels.extend_from_slice(image);
        }
    }
    let images = Tensor::from_vec(pixels, (labels.len(), 3, 32, 32), &Device::Cpu)?;
    ImageSet::new("CIFAR-10", &folder.display().to_string(), images, labels, &CIFAR10_CLASSES)
}
