//! MNIST and whatever has its files: Kuzushiji-MNIST, the reader's own.

use super::digits::DIGITS;
use super::{ImageSet, Split, idx::read_pair};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// MNIST (LeCun et al. 1998), or any set in files of the same names and format, from a folder of the reader's: it is not
/// shipped.
///
/// The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
/// `t10k-labels-idx1-ubyte`, or with a dot before `idx`; gzipped (`.gz`) or not. The set takes the name of the folder.
/// Nothing is known of their checksums, so they are checked for their lengths alone.
///
/// # Errors
/// If a file is missing, cut short or of another format, or the labels do not fit the images.
///
/// ```
/// use scorebook::{data::mnist, prelude::*};
///
/// // A test set of two images of two pixels.
/// let folder = std::env::temp_dir().join(format!("scorebook-doc-mnist-{}", std::process::id()));
/// std::fs::create_dir_all(&folder)?;
/// let (images, labels) = (folder.join("t10k-images-idx3-ubyte"), folder.join("t10k-labels-idx1-ubyte"));
/// std::fs::write(images, [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 10, 20, 30, 40])?;
/// std::fs::write(labels, [0, 0, 8, 1, 0, 0, 0, 2, 7, 3])?;
/// let digits = mnist(&folder, Split::Test)?;
/// assert_eq!((digits.len(), digits.shape()), (2, &[1, 1, 2][..]));
/// assert_eq!(digits.attribute("class")?.value_of(0), "7");
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn mnist(folder: impl AsRef<Path>, split: Split) -> Result<ImageSet> {
    let folder = folder.as_ref();
    let part = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let images = find(folder, &format!("{part}-images"), "idx3-ubyte")?;
    let labels = find(folder, &format!("{part}-labels"), "idx1-ubyte")?;
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
    read_pair(&name, [(&images, None), (&labels, None)], &DIGITS)
}

/// The file of this name as it is, unpacked by one program or another.
fn find(folder: &Path, part: &str, kind: &str) -> Result<PathBuf> {
    let names = [format!("{part}-{kind}"), format!("{part}.{kind}")];
    let names = names.iter().flat_map(|name| [name.clone(), format!("{name}.gz")]);
    names.map(|name| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        let cause = format!("holds no {part}-{kind}, nor {part}-{kind}.gz");
        Error::file(folder, cause, "Name the folder of the four files of MNIST")
    })
}
