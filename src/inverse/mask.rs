//! Some of the coordinates.

use super::{
    LinearOperator, Operator,
    operator::{alike, check_sample, constant, divide, finite, spectral_of_one},
};
use crate::{Error, Result, random::Generator};
use candle_core::Tensor;

/// A mask: the coordinates with a 1 are measured, those with a 0 are not: `A = diag(m)`, for points and images.
///
/// The measurement has the shape of `x`, and 0 where nothing is measured.
///
/// ```
/// use scorebook::prelude::*;
///
/// let mask = Mask::new(&Tensor::new(&[1f32, 0.0], &Device::Cpu)?)?;
/// let x = Tensor::new(&[[3f32, 4.0]], &Device::Cpu)?;
/// assert_eq!(mask.apply(&x)?.to_vec2::<f32>()?, [[3.0, 0.0]]);
/// // Images without a square in the middle.
/// let hole = Mask::without_box(&[1, 28, 28], (8, 8), (12, 12))?;
/// assert_eq!(hole.mask().sum_all()?.to_scalar::<f64>()?, 784.0 - 144.0);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mask {
    /// `[1, ...]`, zeros and ones in `f64` on the host.
    mask: Tensor,
}

impl Mask {
    /// The mask of one sample, of its shape: numbers 0 and 1.
    ///
    /// # Errors
    /// If there is another number.
    pub fn new(mask: &Tensor) -> Result<Self> {
        let mask = finite("mask", mask)?;
        let values = mask.flatten_all()?.to_vec1::<f64>()?;
        match values.iter().find(|value| **value != 0.0 && **value != 1.0) {
            Some(value) => Err(Error::argument("mask", value, "zeros and ones")),
            None if mask.rank() == 0 => Err(Error::shape("mask", &[], "the shape of one sample")),
            None => Ok(Self { mask: mask.unsqueeze(0)? }),
        }
    }

    /// Images `[channels, height, width]` of which a box is missing, from its top left corner `(row, column)` on
    /// and `(height, width)` large.
    ///
    /// # Errors
    /// If the box is not within the image.
    pub fn without_box(
        shape: &[usize],
        corner: (usize, usize),
        size: (usize, usize),
    ) -> Result<Self> {
        let [channels, height, width] = image_shape(shape)?;
        let (end_row, end_column) = (corner.0.checked_add(size.0), corner.1.checked_add(size.1));
        let within = |end: Option<usize>, side: usize| end.filter(|end| *end <= side);
        let (Some(end_row), Some(end_column)) =
            (within(end_row, height), within(end_column, width))
        else {
            let expected = format!("a box within {height}×{width} pixels");
            return Err(Error::argument("size", format!("{size:?} from {corner:?}"), expected));
        };
        let measured = |pixel: usize| {
            let (row, column) = (pixel / width, pixel % width);
            !((corner.0..end_row).contains(&row) && (corner.1..end_column).contains(&column))
        };
        Self::of_pixels(channels, height, width, measured)
    }

    /// Each pixel of images `[channels, height, width]`, with all its channels, or each coordinate of points
    /// `[dim]` is measured with the probability `share`.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let mask = Mask::random(&[3, 64, 64], 0.25, &mut Generator::new(7))?.mask();
    /// assert_eq!(mask.dims(), [3, 64, 64]);
    /// // Of 4096 pixels a quarter, ± 28.
    /// assert!((mask.get(0)?.sum_all()?.to_scalar::<f64>()? - 1024.0).abs() < 6.0 * 27.8);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `share` is not in `[0, 1]`, or the shape is another one.
    pub fn random(shape: &[usize], share: f64, generator: &mut Generator) -> Result<Self> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::argument("share", share, "a probability in [0, 1]"));
        }
        let [channels, height, width] = match *shape {
            [dim] => [1, 1, dim],
            _ => image_shape(shape)?,
        };
        let mut uniforms = vec![0f64; height * width];
        generator.fill_uniform_f64(&mut uniforms);
        let mut mask = Self::of_pixels(channels, height, width, |pixel| uniforms[pixel] < share)?;
        mask.mask = mask.mask.reshape([&[1], shape].concat())?;
        Ok(mask)
    }

    fn of_pixels(
        channels: usize,
        height: usize,
        width: usize,
        measured: impl Fn(usize) -> bool,
    ) -> Result<Self> {
        let area = height * width;
        let values: Vec<f64> =
            (0..channels * area).map(|at| f64::from(measured(at % area))).collect();
        Self::new(&Tensor::from_vec(values, (channels, height, width), &candle_core::Device::Cpu)?)
    }

    /// The mask, of the shape of one sample, in `f64` on the host.
    pub fn mask(&self) -> Tensor {
        self.mask.squeeze(0).expect("the mask has a batch of one")
    }

    fn check(&self, name: &'static str, x: &Tensor) -> Result<Tensor> {
        check_sample(name, x, &self.mask.dims()[1..])?;
        alike(&self.mask, x)
    }
}

fn image_shape(shape: &[usize]) -> Result<[usize; 3]> {
    match *shape {
        [channels, height, width] => Ok([channels, height, width]),
        _ => Err(Error::shape("shape", shape, "[channels, height, width]")),
    }
}

/// `y` where the mask is 1, else 0, whatever `y` is there.
pub(super) fn select(mask: &Tensor, y: &Tensor) -> Result<Tensor> {
    let chosen = mask.ne(0f64)?.broadcast_as(y.shape())?;
    Ok(chosen.where_cond(y, &constant(&[0.0], 1, y)?.broadcast_as(y.shape())?)?)
}

impl Operator for Mask {
    fn name(&self) -> &'static str {
        "mask"
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.broadcast_mul(&self.check("x", x)?)?)
    }

    fn measured(&self, y: &Tensor) -> Result<Tensor> {
        select(&self.check("y", y)?, y)
    }

    fn as_linear(&self) -> Option<&dyn LinearOperator> {
        Some(self)
    }
}

impl LinearOperator for Mask {
    fn adjoint(&self, y: &Tensor) -> Result<Tensor> {
        Ok(y.broadcast_mul(&self.check("y", y)?)?)
    }

    fn solve(&self, y: &Tensor, r: f64) -> Result<Tensor> {
        divide(y, &self.check("y", y)?, r)
    }

    fn spectral(&self, x: &Tensor, f: &dyn Fn(f64) -> f64) -> Result<Tensor> {
        spectral_of_one(self, 1.0, x, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::operator::checks::check, *};
    use candle_core::{DType, Device};

    #[test]
    fn adjoint_and_solves() {
        let generator = &mut Generator::new(1);
        check(&Mask::random(&[7], 0.5, generator).unwrap(), &[7]);
        check(&Mask::random(&[3, 4, 5], 0.5, generator).unwrap(), &[3, 4, 5]);
        check(&Mask::without_box(&[1, 5, 6], (1, 2), (3, 3)).unwrap(), &[1, 5, 6]);
        for value in [0.0, 1.0] {
            let mask = Tensor::full(value, (2, 3), &Device::Cpu).unwrap();
            check(&Mask::new(&mask).unwrap(), &[2, 3]);
        }
    }

    #[test]
    fn channels_share_their_pixels() {
        let mask = Mask::random(&[3, 20, 20], 0.3, &mut Generator::new(2)).unwrap().mask();
        let count = mask.sum((1, 2)).unwrap().to_vec1::<f64>().unwrap();
        assert!(count[0] == count[1] && (count[0] / 400.0 - 0.3).abs() < 0.12, "{count:?}");
    }

    #[test]
    fn bad_masks_are_errors() {
        let message = |result: Result<Mask>| result.unwrap_err().to_string();
        let half = Tensor::full(0.5f32, 3, &Device::Cpu).unwrap();
        assert_eq!(message(Mask::new(&half)), "`mask` is 0.5; expected zeros and ones");
        let nan = Tensor::full(f32::NAN, 3, &Device::Cpu).unwrap();
        assert!(message(Mask::new(&nan)).starts_with("`mask` is NaN; expected"));
        let error = message(Mask::without_box(&[1, 4, 4], (2, 2), (3, 1)));
        assert_eq!(error, "`size` is (3, 1) from (2, 2); expected a box within 4×4 pixels");
        assert!(Mask::without_box(&[1, 4, 4], (2, 2), (usize::MAX, 1)).is_err());
        assert!(Mask::without_box(&[4, 4], (0, 0), (1, 1)).is_err());
        assert!(Mask::random(&[4], f64::NAN, &mut Generator::new(1)).is_err());
        let mask = Mask::new(&Tensor::ones(3, DType::F32, &Device::Cpu).unwrap()).unwrap();
        let x = Tensor::zeros((2, 4), DType::F32, &Device::Cpu).unwrap();
        let error = mask.apply(&x).unwrap_err().to_string();
        assert_eq!(error, "`x` has shape [2, 4]; expected [batch, 3]");
    }
}
