//! The IDX format of the MNIST family.

use super::{ImageSet, contents, contents::REMEDY};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::path::Path;

/// An array of bytes with its dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    /// The dimensions, outermost first: `[60000, 28, 28]`.
    pub dims: Vec<usize>,
    /// The values, the last dimension running fastest.
    pub values: Vec<u8>,
}

/// Reads an IDX file of bytes, gzipped or not.
///
/// The format: two zero bytes, the type (8 for bytes), the number of dimensions, each dimension as a big-endian 32-bit
/// number, the values. `sha256`, where given, is that of the file's contents after decompression, in hexadecimal.
///
/// # Errors
/// If the file is missing, cut short, too long, of another type, or has another checksum.
///
/// ```
/// use scorebook::data::read_idx;
///
/// let path = std::env::temp_dir().join("scorebook-doc.idx");
/// std::fs::write(&path, [0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9])?;
/// let idx = read_idx(&path, None)?;
/// assert_eq!((idx.dims, idx.values), (vec![3], vec![7, 8, 9]));
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn read_idx(path: impl AsRef<Path>, sha256: Option<&str>) -> Result<Idx> {
    let path = path.as_ref();
    let bytes = contents::read(path, sha256)?;
    parse(&bytes).map_err(|cause| Error::file(path, cause, REMEDY))
}

/// The labelled images of two IDX files, grey, with the digits 0 to 9 or other `classes` as labels.
pub(super) fn read_pair(
    name: &str,
    [images, labels]: [(&Path, Option<&str>); 2],
    classes: &[&str],
) -> Result<ImageSet> {
    let pixels = read_idx(images.0, images.1)?;
    let [count, height, width] = pixels.dims[..] else {
        let cause = format!("of the dimensions {:?}, not [count, height, width]", pixels.dims);
        return Err(Error::file(images.0, cause, "Name a file of images"));
    };
    let known = read_idx(labels.0, labels.1)?;
    if known.dims != [count] {
        let cause = format!("of the dimensions {:?} for {count} images", known.dims);
        return Err(Error::file(labels.0, cause, "Name the labels that belong to the images"));
    }
    if let Some(label) = known.values.iter().find(|&&label| label as usize >= classes.len()) {
        let cause = format!("holds the label {label}, but there are {} classes", classes.len());
        return Err(Error::file(labels.0, cause, "Name the labels that belong to the images"));
    }
    let origin = images.0.parent().unwrap_or(images.0).display().to_string();
    let pixels = Tensor::from_vec(pixels.values, (count, 1, height, width), &Device::Cpu)?;
    ImageSet::new(name, &origin, pixels, known.values, classes)
}

fn parse(bytes: &[u8]) -> Result<Idx, String> {
    let &[0, 0, kind, rank, ..] = bytes else {
        return Err("not an IDX file (it does not start with two zero bytes)".into());
    };
    if kind != 8 {
        return Err(format!("an IDX file of type {kind:#04x}; only bytes, 0x08, are read"));
    }
    let header = 4 + 4 * rank as usize;
    let Some(sizes) = bytes.get(4..header) else {
        return Err("an IDX file cut short in its header".into());
    };
    let (sizes, _) = sizes.as_chunks::<4>();
    let dims: Vec<usize> = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let found = bytes.len() - header;
    match count {
        Some(count) if count == found => Ok(Idx { dims, values: bytes[header..].to_vec() }),
        Some(count) if count > found => {
            Err(format!("cut short: {found} of {count} values for the dimensions {dims:?}"))
        }
        _ => Err(format!("{found} values, which is not what the dimensions {dims:?} say")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        for (bytes, cause) in [
            (&b"PK\x03\x04zipped"[..], "two zero bytes"),
            (&[0, 0, 13, 1, 0, 0, 0, 0], "type 0x0d"),
            (&[0, 0, 8, 3, 0, 0], "in its header"),
            (&[0, 0, 8, 1, 0, 0, 0, 3, 7, 8], "2 of 3 values"),
            (&[0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9, 10], "4 values"),
            (&[0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255], "0 values"),
            (&[], "two zero bytes"),
        ] {
            let error = parse(bytes).unwrap_err();
            assert!(error.contains(cause), "{error}");
        }
    }
}
