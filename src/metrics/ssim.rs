//! The structural similarity of images.

use crate::tensor::{self, values};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// The structural similarity of each image of `x` `[batch, channels, height, width]` with that of `y`, at most 1, the mean
/// over the channels and over the places of a Gaussian window of 11×11 pixels with the standard deviation 1.5 that lies
/// within the image (Wang, Bovik, Sheikh & Simoncelli 2004, with their `K₁ = 0.01`, `K₂ = 0.03`).
///
/// ```
/// use scorebook::{prelude::*, metrics::ssim};
///
/// let x = Generator::new(7).normal((2, 3, 16, 16), &Device::Cpu)?;
/// assert!((ssim(&x, &x, 2.0)?[0] - 1.0).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ, a side has fewer than 11 pixels, or `range` is not positive.
pub fn ssim(x: &Tensor, y: &Tensor, range: f64) -> Result<Vec<f64>> {
    check(x, y, range)?;
    let [batch, channels, height, width] = *x.dims() else {
        return Err(Error::shape("x", x.dims(), "[batch, channels, height, width]"));
    };
    if height < WINDOW || width < WINDOW {
        let expected = format!("sides of at least {WINDOW}, the window");
        return Err(Error::shape("x", x.dims(), expected));
    }
    let bell: Vec<f64> =
        (0..WINDOW).map(|i| (-0.5 * ((i as f64 - 5.0) / 1.5).powi(2)).exp()).collect();
    let total = bell.iter().sum::<f64>().powi(2);
    let window = bell.iter().flat_map(|a| bell.iter().map(move |b| a * b / total)).collect();
    let window = Tensor::from_vec(window, (1, 1, WINDOW, WINDOW), &Device::Cpu)?;
    let window = window.to_device(x.device())?;
    let maps = |x: &Tensor| -> Result<Tensor> {
        Ok(x.to_dtype(DType::F64)?.reshape((batch * channels, height, width, 1))?)
    };
    let (x, y) = (maps(x)?, maps(y)?);
    let mean = |x: &Tensor| tensor::conv2d(x, &window, 1, 0);
    let (of_x, of_y) = (mean(&x)?, mean(&y)?);
    let product = (&of_x * &of_y)?;
    let variance = |x: &Tensor, mean_of: &Tensor| -> Result<Tensor> {
        Ok((mean(&x.sqr()?)? - mean_of.sqr()?)?)
    };
    let spread = (variance(&x, &of_x)? + variance(&y, &of_y)?)?;
    let covariance = (mean(&(&x * &y)?)? - &product)?;
    let (c1, c2) = ((0.01 * range).powi(2), (0.03 * range).powi(2));
    let above = (((product * 2.0)? + c1)? * ((covariance * 2.0)? + c2)?)?;
    let below = (((of_x.sqr()? + of_y.sqr()?)? + c1)? * (spread + c2)?)?;
    values(&(above / below)?.reshape((batch, ()))?.mean(1)?)
}

/// The sides of the window of [`ssim`].
const WINDOW: usize = 11;

fn check(x: &Tensor, y: &Tensor, range: f64) -> Result<()> {
    if x.dims() != y.dims() || x.rank() < 2 || x.elem_count() == 0 {
        return Err(Error::shape("y", y.dims(), format!("[batch, ...] as x, {:?}", x.dims())));
    }
    match range > 0.0 && range.is_finite() {
        true => Ok(()),
        false => Err(Error::argument("range", range, "a positive number")),
    }
}
