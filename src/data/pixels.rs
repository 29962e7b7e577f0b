//! Pixels as bytes and as numbers.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// Images as bytes: `byte = round(127.5(x + 1))` of numbers from -1 to 1 of any floating type and shape; what lies
/// outside is taken to the nearest end. The inverse of what an [`ImageSet`](super::ImageSet) does to its bytes.
///
/// ```
/// use scorebook::{data::to_bytes, prelude::*};
///
/// let x = Tensor::new(&[-1f32, 0.0, 1.0, 7.5], &Device::Cpu)?;
/// assert_eq!(to_bytes(&x)?.to_vec1::<u8>()?, [0, 128, 255, 255]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If a value is not a number.
pub fn to_bytes(images: &Tensor) -> Result<Tensor> {
    if !images.dtype().is_float() {
        let expected = "a floating type: numbers from -1 to 1";
        return Err(Error::argument("images.dtype()", images.dtype().as_str(), expected));
    }
    let numbers = images.to_dtype(DType::F32)?;
    // Only NaN differs from itself.
    let lost = numbers.ne(&numbers)?.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?;
    if lost > 0.0 {
        return Err(Error::argument("images", "NaN in some places", "numbers from -1 to 1"));
    }
    Ok(numbers.affine(127.5, 127.5)?.clamp(0.0, 255.0)?.round()?.to_dtype(DType::U8)?)
}

/// Bytes as numbers from -1 to 1 on `device`.
pub(super) fn to_numbers(bytes: &Tensor, device: &Device) -> Result<Tensor> {
    Ok(bytes.to_device(device)?.to_dtype(DType::F32)?.affine(1.0 / 127.5, -1.0)?)
}

/// Bytes `[batch, channels, height, width]` on the host, with the images that are `mirrored` turned left to right.
pub(super) fn mirror(bytes: &Tensor, mirrored: &[bool]) -> Result<Tensor> {
    let (_, channels, height, width) = bytes.dims4()?;
    let mut values = bytes.flatten_all()?.to_vec1::<u8>()?;
    let images = values.chunks_exact_mut(channels * height * width);
    for (image, _) in images.zip(mirrored).filter(|(_, mirrored)| **mirrored) {
        image.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
    Ok(Tensor::from_vec(values, bytes.shape(), bytes.device())?)
}

/// Pixels in which the `channels` of a point stand together, as images in which the points of a channel do: one image.
pub(super) fn channels_first(bytes: &[u8], channels: usize) -> Vec<u8> {
    (0..channels)
        .flat_map(|channel| bytes.iter().skip(channel).step_by(channels).copied())
        .collect()
}
