//! The peak signal-to-noise ratio.

use super::values;
use crate::{Error, Result};
use candle_core::Tensor;

/// The peak signal-to-noise ratio of each image to its reference, in decibels: `10 log₁₀(peak²/MSE)`, with the mean square
/// error over all pixels and channels. `peak` is the range of the values: 2 for images from -1 to 1. Equal images have
/// an infinite one.
///
/// ```
/// use scorebook::{prelude::*, metrics::psnr};
///
/// let x = Tensor::zeros((2, 1, 4, 4), DType::F32, &Device::Cpu)?;
/// let decibels = psnr(&(&x + 0.2)?, &x, 2.0)?;
/// assert!(decibels.len() == 2 && (decibels[0] - 20.0).abs() < 1e-5);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the images have not one shape `[batch, ...]`, there is a value that is not finite, or `peak` is not positive.
pub fn psnr(images: &Tensor, reference: &Tensor, peak: f64) -> Result<Vec<f64>> {
    if !(peak > 0.0 && peak.is_finite()) {
        return Err(Error::argument("peak", peak, "a positive number"));
    }
    if reference.dims() != images.dims() {
        let expected = format!("the shape of the images, {:?}", images.dims());
        return Err(Error::shape("reference", reference.dims(), expected));
    }
    let size: usize = match images.dims() {
        [_, rest @ ..] => rest.iter().product(),
        [] => 0,
    };
    if size == 0 {
        return Err(Error::shape("images", images.dims(), "[batch, ...] with at least one number"));
    }
    let (images, reference) = (values(images)?, values(reference)?);
    if let Some(value) = images.iter().chain(&reference).find(|value| !value.is_finite()) {
        return Err(Error::argument("images", value, "finite numbers"));
    }
    let rows = images.chunks_exact(size).zip(reference.chunks_exact(size));
    let decibels = rows.map(|(image, reference)| {
        let squares: f64 = image.iter().zip(reference).map(|(a, b)| (a - b).powi(2)).sum();
        10.0 * (peak * peak * size as f64 / squares).log10()
    });
    Ok(decibels.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn by_hand_and_errors() {
        let x = Tensor::new(&[[0.0, 1.0], [0.5, 0.5]], &Device::Cpu).unwrap();
        let y = Tensor::new(&[[0.0, 0.0], [0.5, 0.5]], &Device::Cpu).unwrap();
        let found = psnr(&x, &y, 2.0).unwrap();
        assert!((found[0] - 10.0 * 8f64.log10()).abs() < 1e-12 && found[1] == f64::INFINITY);
        assert!(psnr(&x, &y, 0.0).is_err() && psnr(&x, &(&y / 0.0).unwrap(), 1.0).is_err());
        let other = Tensor::zeros((2, 3), DType::F64, &Device::Cpu).unwrap();
        let error = psnr(&x, &other, 1.0).unwrap_err().to_string();
        assert!(error.starts_with("`reference` has shape [2, 3]; expected"), "{error}");
    }
}
