//! What was measured.

use super::{LinearOperator, Operator, operator::alike};
use crate::{Error, Result, random::Generator};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// A measurement `y = A(x) + σ_y n` with noise `n ~ N(0, I)` in the places that are measured.
///
/// `y` is `[batch, ...]` with one measurement a sample, or `[1, ...]` for all samples.
///
/// ```
/// use scorebook::prelude::*;
///
/// let first = Mask::new(&Tensor::new(&[1f32, 0.0], &Device::Cpu)?)?;
/// // What stands in the place that is not measured does not matter.
/// let y = Tensor::new(&[[0.7f32, f32::NAN]], &Device::Cpu)?;
/// let measurement = Measurement::new(first, &y, 0.1)?;
/// assert_eq!(measurement.y().to_vec2::<f32>()?, [[0.7, 0.0]]);
/// assert_eq!((measurement.operator().name(), measurement.std()), ("mask", 0.1));
/// // y - A(x), differentiable in x.
/// let residual = measurement.residual(&Tensor::new(&[[0.5f32, 3.0]], &Device::Cpu)?)?.to_vec2::<f32>()?;
/// assert!((residual[0][0] - 0.2).abs() < 1e-6 && residual[0][1] == 0.0);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Measurement {
    operator: Arc<dyn Operator>,
    y: Tensor,
    std: f64,
}

impl Measurement {
    /// The result `y` of a measurement with noise of the standard deviation `std = σ_y`, which may be 0.
    ///
    /// # Errors
    /// If `y` is not `[batch, ...]` with the shape of a measurement, is not finite where measured, or `std` is negative.
    pub fn new(operator: impl Operator + 'static, y: &Tensor, std: f64) -> Result<Self> {
        if !(std >= 0.0 && std.is_finite()) {
            return Err(Error::argument("std", std, "a number of at least 0"));
        }
        if y.rank() < 2 {
            return Err(Error::shape("y", y.dims(), "[batch, ...]"));
        }
        if !matches!(y.dtype(), DType::F32 | DType::F64 | DType::F16 | DType::BF16) {
            return Err(Error::argument("y", format!("{:?}", y.dtype()), "a tensor of floats"));
        }
        let y = operator.measured(y)?.detach();
        let numbers = y.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?;
        if let Some(value) = numbers.to_vec1::<f64>()?.iter().find(|value| !value.is_finite()) {
            return Err(Error::argument("y", value, "finite numbers where something is measured"));
        }
        if let Some(linear) = operator.as_linear() {
            let again = operator.apply(&linear.adjoint(&y)?)?;
            if again.dims() != y.dims() {
                let expected = format!("{:?}, as {} measures", again.dims(), operator.name());
                return Err(Error::shape("y", y.dims(), expected));
            }
        }
        Ok(Self { operator: Arc::new(operator), y, std })
    }

    /// Measures `x` `[batch, ...]`, with noise from the generator.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let x = Tensor::zeros((2, 1, 28, 28), DType::F32, &Device::Cpu)?;
    /// let generator = &mut Generator::new(7);
    /// let measurement = Measurement::of(Downsample { factor: 4 }, &x, 0.1, generator)?;
    /// assert_eq!(measurement.y().dims(), [2, 1, 7, 7]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the operator does not take `x`, or `std` is negative.
    pub fn of(
        operator: impl Operator + 'static,
        x: &Tensor,
        std: f64,
        generator: &mut Generator,
    ) -> Result<Self> {
        let y = operator.apply(x)?;
        let noise = (generator.normal_like(&y)? * std)?;
        Self::new(operator, &(y + noise)?, std)
    }

    /// The operator `A`.
    pub fn operator(&self) -> &dyn Operator {
        &*self.operator
    }

    /// The result `y`, with 0 in the places that are not measured.
    pub fn y(&self) -> &Tensor {
        &self.y
    }

    /// The standard deviation `σ_y` of the noise.
    pub fn std(&self) -> f64 {
        self.std
    }

    /// Each measurement again and again, for as many `draws` of each posterior: `[draws * batch, ...]`, all samples
    /// once and then all again. [`Draws`](super::Draws) takes them apart.
    ///
    /// # Errors
    /// If `draws` is 0.
    pub fn repeat(&self, draws: usize) -> Result<Self> {
        if draws == 0 {
            return Err(Error::argument("draws", 0, "at least 1"));
        }
        Ok(Self { y: Tensor::cat(&vec![&self.y; draws], 0)?, ..self.clone() })
    }

    /// `y - A(x)` for `x` `[batch, ...]`, differentiable in `x`.
    ///
    /// # Errors
    /// If the operator does not take `x`, or there are not as many measurements as samples, nor one.
    pub fn residual(&self, x: &Tensor) -> Result<Tensor> {
        let image = self.operator.apply(x)?;
        Ok((self.y_like(&image)? - image)?)
    }

    /// `y` in the type, on the device and of the batch of `image = A(x)`.
    fn y_like(&self, image: &Tensor) -> Result<Tensor> {
        let (batch, given) = (image.dims()[0], self.y.dims()[0]);
        if image.dims()[1..] != self.y.dims()[1..] || (given != 1 && given != batch) {
            let expected = format!("{:?} or one row of it, as x is measured", image.dims());
            return Err(Error::shape("y", self.y.dims(), expected));
        }
        Ok(alike(&self.y, image)?.broadcast_as(image.shape())?.contiguous()?)
    }

    /// The measurement of sample `i` alone.
    pub(super) fn of_sample(&self, i: usize) -> Result<Self> {
        match self.y.dims()[0] {
            1 => Ok(self.clone()),
            batch if i < batch => Ok(Self { y: self.y.narrow(0, i, 1)?, ..self.clone() }),
            batch => {
                let expected = "one measurement a sample, or one for all";
                Err(Error::argument("measurement", format!("one of {batch} samples"), expected))
            }
        }
    }

    /// The operator as a linear one, which `method` needs.
    pub(super) fn linear(&self, method: &str) -> Result<&dyn LinearOperator> {
        self.operator.as_linear().ok_or_else(|| {
            let expected = format!("a linear operator for {method}; `Dps` takes any");
            Error::argument("operator", self.operator.name(), expected)
        })
    }

    /// Moves `x` onto the measurement: `x + A⁺ (c y - A x)`, where `A` gives `c y` exactly and all that is not measured
    /// stays.
    pub(super) fn fit(
        &self,
        linear: &dyn LinearOperator,
        x: &Tensor,
        scale: f64,
    ) -> Result<Tensor> {
        let image = self.operator.apply(x)?;
        let missing = ((self.y_like(&image)? * scale)? - image)?;
        Ok((x + linear.pseudo_inverse(&missing)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::*, *};

    #[test]
    fn bad_measurements_are_errors() {
        let message = |result: Result<Measurement>| result.unwrap_err().to_string();
        let mask = |values: &[f32]| Mask::new(&Tensor::new(values, &Device::Cpu).unwrap()).unwrap();
        let y = Tensor::new(&[[0.5f32, f32::NAN]], &Device::Cpu).unwrap();
        let error = message(Measurement::new(mask(&[1.0, 1.0]), &y, 0.0));
        assert_eq!(error, "`y` is NaN; expected finite numbers where something is measured");
        let error = message(Measurement::new(mask(&[1.0, 0.0]), &y, -0.1));
        assert_eq!(error, "`std` is -0.1; expected a number of at least 0");
        assert!(Measurement::new(mask(&[1.0, 0.0]), &y, f64::NAN).is_err());
        let error = message(Measurement::new(mask(&[1.0]), &y, 0.0));
        assert_eq!(error, "`y` has shape [1, 2]; expected [batch, 1]");
        let error = message(Measurement::new(mask(&[1.0]), &y.squeeze(0).unwrap(), 0.0));
        assert_eq!(error, "`y` has shape [2]; expected [batch, ...]");
        let whole = Tensor::zeros((1, 2), DType::U8, &Device::Cpu).unwrap();
        assert!(message(Measurement::new(mask(&[1.0, 1.0]), &whole, 0.0)).contains("U8"));
        let good = Measurement::new(mask(&[1.0, 0.0]), &y, 0.1).unwrap();
        let x = Tensor::zeros((3, 2), DType::F32, &Device::Cpu).unwrap();
        assert_eq!(good.residual(&x).unwrap().dims(), [3, 2]);
        let error = good.repeat(2).unwrap().residual(&x).unwrap_err().to_string();
        assert_eq!(
            error,
            "`y` has shape [2, 2]; expected [3, 2] or one row of it, as x is measured"
        );
        assert!(good.repeat(0).is_err() && good.residual(&x.narrow(1, 0, 1).unwrap()).is_err());
    }
}
