//! Values cut at two ends.

use super::Operator;
use crate::{Error, Result};
use candle_core::Tensor;

/// Clipping, `y = min(max(x, low), high)` in each coordinate: overexposure, and the one operator here that is not
/// linear. What is cut has no derivative, so a measurement at an end says only that the value lies beyond.
///
/// ```
/// use scorebook::prelude::*;
///
/// let x = Tensor::new(&[[-2f32, 0.3, 0.9]], &Device::Cpu)?;
/// let y = Clip { low: -1.0, high: 0.5 }.apply(&x)?;
/// assert_eq!(y.to_vec2::<f32>()?, [[-1.0, 0.3, 0.5]]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clip {
    /// The least value.
    pub low: f64,
    /// The greatest value, above `low`.
    pub high: f64,
}

impl Operator for Clip {
    fn name(&self) -> &'static str {
        "clipping"
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        if self.low.is_nan() || self.high.is_nan() || self.low >= self.high {
            let expected = format!("a number above `low`, which is {}", self.low);
            return Err(Error::argument("high", self.high, expected));
        }
        if x.rank() == 0 {
            return Err(Error::shape("x", x.dims(), "[batch, ...]"));
        }
        Ok(x.maximum(self.low)?.minimum(self.high)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn no_derivative_beyond_the_ends() {
        let x = Var::new(&[[-2f64, 0.3, 0.9]], &Device::Cpu).unwrap();
        let y = Clip { low: -1.0, high: 0.5 }.apply(&x).unwrap();
        let gradients = y.sum_all().unwrap().backward().unwrap();
        let gradient = gradients.get(&x).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(gradient, [[0.0, 1.0, 0.0]]);
        let error = Clip { low: 1.0, high: f64::NAN }.apply(&x).unwrap_err().to_string();
        assert_eq!(error, "`high` is NaN; expected a number above `low`, which is 1");
    }
}
