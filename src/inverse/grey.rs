//! Grey from colours.

use super::{
    LinearOperator, Operator,
    operator::{check_ridge, constant, image_dims, spectral_of_one},
};
use crate::{Error, Result};
use candle_core::Tensor;

/// Grey from red, green and blue, `y = w_r r + w_g g + w_b b`; its inverse problem is colourisation.
///
/// `A Aᵀ = ‖w‖²`: along the one direction `w` of a pixel's colours something is known, across it nothing (score_sde turns
/// the colours into an orthonormal basis that starts with `w`, and masks the other two).
///
/// ```
/// use scorebook::prelude::*;
///
/// let red = Tensor::new(&[1f32, 0.0, 0.0], &Device::Cpu)?.reshape((1, 3, 1, 1))?;
/// assert_eq!(Grey::default().apply(&red)?.flatten_all()?.to_vec1::<f32>()?, [0.299]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Grey {
    /// The weights of red, green and blue, not all 0.
    pub weights: [f64; 3],
}

/// The brightness of ITU-R BT.601, as in most programs; score_sde takes three equal weights.
impl Default for Grey {
    fn default() -> Self {
        Self { weights: [0.299, 0.587, 0.114] }
    }
}

impl Grey {
    fn square(&self) -> Result<f64> {
        let square: f64 = self.weights.iter().map(|w| w * w).sum();
        if square > 0.0 && square.is_finite() {
            return Ok(square);
        }
        Err(Error::argument("weights", format!("{:?}", self.weights), "finite numbers, not all 0"))
    }
}

impl Operator for Grey {
    fn name(&self) -> &'static str {
        "grey"
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        self.square()?;
        let [_, channels, _, _] = image_dims("x", x)?;
        if channels != 3 {
            return Err(Error::shape("x", x.dims(), "[batch, 3, height, width]"));
        }
        Ok(x.broadcast_mul(&constant(&self.weights, (1, 3, 1, 1), x)?)?.sum_keepdim(1)?)
    }

    fn as_linear(&self) -> Option<&dyn LinearOperator> {
        Some(self)
    }
}

impl LinearOperator for Grey {
    fn adjoint(&self, y: &Tensor) -> Result<Tensor> {
        let [_, channels, _, _] = image_dims("y", y)?;
        if channels != 1 {
            return Err(Error::shape("y", y.dims(), "[batch, 1, height, width]"));
        }
        Ok(y.broadcast_mul(&constant(&self.weights, (1, 3, 1, 1), y)?)?)
    }

    fn solve(&self, y: &Tensor, r: f64) -> Result<Tensor> {
        check_ridge(r)?;
        Ok((y / (self.square()? + r))?)
    }

    fn spectral(&self, x: &Tensor, f: &dyn Fn(f64) -> f64) -> Result<Tensor> {
        spectral_of_one(self, self.square()?, x, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::operator::checks::check, *};
    use candle_core::{DType, Device};

    #[test]
    fn adjoint_and_solves() {
        check(&Grey::default(), &[3, 2, 3]);
        check(&Grey { weights: [1.0 / 3.0; 3] }, &[3, 3, 2]);
    }

    #[test]
    fn other_channels_and_weights_are_errors() {
        let x = Tensor::zeros((1, 1, 4, 4), DType::F32, &Device::Cpu).unwrap();
        let error = Grey::default().apply(&x).unwrap_err().to_string();
        assert!(error.ends_with("expected [batch, 3, height, width]"), "{error}");
        let x = Tensor::zeros((1, 3, 4, 4), DType::F32, &Device::Cpu).unwrap();
        assert!(Grey { weights: [0.0; 3] }.apply(&x).is_err());
    }
}
