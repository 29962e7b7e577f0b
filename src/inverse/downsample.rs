//! Fewer pixels.

use super::{
    LinearOperator, Operator,
    operator::{check_ridge, image_dims, spectral_of_one},
};
use crate::{Error, Result};
use candle_core::Tensor;

/// Down-sampling by the means over blocks of `factor × factor` pixels, for super-resolution.
///
/// The blocks do not meet, so `A Aᵀ = I/factor²`.
///
/// ```
/// use scorebook::prelude::*;
///
/// let x = Tensor::arange(0f32, 16.0, &Device::Cpu)?.reshape((1, 1, 4, 4))?;
/// let y = Downsample { factor: 2 }.apply(&x)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2.5, 4.5, 10.5, 12.5]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Downsample {
    /// The side of a block in pixels, which must divide height and width.
    pub factor: usize,
}

impl Downsample {
    fn weight(&self) -> Result<f64> {
        match self.factor {
            0 => Err(Error::argument("factor", 0, "at least 1")),
            factor => Ok(1.0 / (factor * factor) as f64),
        }
    }
}

impl Operator for Downsample {
    fn name(&self) -> &'static str {
        "down-sampling"
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, f) = (self.weight()?, self.factor);
        let [batch, channels, height, width] = image_dims("x", x)?;
        if height % f != 0 || width % f != 0 {
            let expected = format!("a height and a width that {f} divides");
            return Err(Error::shape("x", x.dims(), expected));
        }
        let blocks = x.reshape(vec![batch, channels, height / f, f, width / f, f])?;
        Ok((blocks.sum(5)?.sum(3)? * weight)?)
    }

    fn as_linear(&self) -> Option<&dyn LinearOperator> {
        Some(self)
    }
}

impl LinearOperator for Downsample {
    fn adjoint(&self, y: &Tensor) -> Result<Tensor> {
        let (weight, f) = (self.weight()?, self.factor);
        let [batch, channels, height, width] = image_dims("y", y)?;
        let blocks = y.reshape(vec![batch, channels, height, 1, width, 1])?;
        let blocks = blocks.broadcast_as(vec![batch, channels, height, f, width, f])?;
        Ok((blocks.reshape((batch, channels, height * f, width * f))? * weight)?)
    }

    fn solve(&self, y: &Tensor, r: f64) -> Result<Tensor> {
        check_ridge(r)?;
        Ok((y / (self.weight()? + r))?)
    }

    fn spectral(&self, x: &Tensor, f: &dyn Fn(f64) -> f64) -> Result<Tensor> {
        spectral_of_one(self, self.weight()?, x, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::operator::checks::check, *};
    use candle_core::{DType, Device};

    #[test]
    fn adjoint_and_solves() {
        check(&Downsample { factor: 2 }, &[3, 4, 6]);
        check(&Downsample { factor: 1 }, &[1, 3, 2]);
    }

    #[test]
    fn blocks_that_do_not_fit_are_errors() {
        let x = Tensor::zeros((1, 1, 28, 28), DType::F32, &Device::Cpu).unwrap();
        let error = Downsample { factor: 3 }.apply(&x).unwrap_err().to_string();
        assert!(error.ends_with("expected a height and a width that 3 divides"), "{error}");
        let error = Downsample { factor: 0 }.apply(&x).unwrap_err().to_string();
        assert_eq!(error, "`factor` is 0; expected at least 1");
    }
}
