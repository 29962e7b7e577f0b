//! Neal's funnel.

use super::{Density, check_points};
use crate::{Error, Result, random::Generator};
use candle_core::{Device, Tensor};

/// Neal's funnel: `v ~ N(0, s²)`, and given `v` the other coordinates are independent, `x_i ~ N(0, e^v)`; points are
/// `(v, x_1, …)` (Ann. Statist. 31, 2003, section 8, with `s = 3` and nine `x_i`).
///
/// `ln p = -½ v²/s² - ½ e^(-v) Σ x_i² - ½ (d - 1) v - ln s - ½ d ln 2π`. No step suits both the mouth, as wide as `e^(s)`,
/// and the neck, as narrow as `e^(-s)`: chains that look healthy miss the neck.
///
/// ```
/// use scorebook::{prelude::*, distribution::{Density, Funnel}};
///
/// let x = Funnel::new(10, 3.0)?.sample(1000, &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(x.dims(), [1000, 10]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Funnel {
    dim: usize,
    std: f64,
}

impl Funnel {
    /// The funnel of `dim` coordinates, `v` included, whose `v` has the standard deviation `std`.
    ///
    /// # Errors
    /// If `dim` is below 2 or `std` not positive.
    pub fn new(dim: usize, std: f64) -> Result<Self> {
        if dim < 2 {
            return Err(Error::argument("dim", dim, "at least 2"));
        }
        if !(std > 0.0 && std.is_finite()) {
            return Err(Error::argument("std", std, "a positive number"));
        }
        Ok(Self { dim, std })
    }

    /// `v` `[batch, 1]`, the other coordinates `[batch, dim - 1]`, and their precision `e^(-v)` `[batch, 1]`.
    fn parts(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        check_points(x, self.dim)?;
        let v = x.narrow(1, 0, 1)?;
        let precision = v.neg()?.exp()?;
        Ok((v, x.narrow(1, 1, self.dim - 1)?, precision))
    }
}

impl Density for Funnel {
    fn dim(&self) -> usize {
        self.dim
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let (v, rest, precision) = self.parts(x)?;
        let squares = (rest.sqr()?.sum_keepdim(1)? * precision)?;
        let narrow = ((&v * (self.dim as f64 - 1.0))? + squares)?;
        let along = (v.sqr()? / self.std.powi(2))?;
        let constant = -self.std.ln() - 0.5 * self.dim as f64 * std::f64::consts::TAU.ln();
        Ok(((along + narrow)? * -0.5)?.affine(1.0, constant)?.squeeze(1)?)
    }

    fn score(&self, x: &Tensor) -> Result<Tensor> {
        let (v, rest, precision) = self.parts(x)?;
        let squares = (rest.sqr()?.sum_keepdim(1)? * &precision)?;
        let widening = ((squares - (self.dim as f64 - 1.0))? * 0.5)?;
        let of_v = (widening - (v / self.std.powi(2))?)?;
        Ok(Tensor::cat(&[of_v, rest.broadcast_mul(&precision)?.neg()?], 1)?)
    }

    fn sample(&self, n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor> {
        let mut values = vec![0f32; self.dim * n];
        generator.fill_normal(&mut values);
        for point in values.chunks_exact_mut(self.dim) {
            let v = self.std * f64::from(point[0]);
            point[0] = v as f32;
            for x in &mut point[1..] {
                *x = ((0.5 * v).exp() * f64::from(*x)) as f32;
            }
        }
        Ok(Tensor::from_vec(values, (n, self.dim), device)?)
    }
}
