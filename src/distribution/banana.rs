//! A bent Gaussian in the plane.

use super::{Density, check_points};
use crate::{Error, Result, random::Generator};
use candle_core::{Device, Tensor};

/// A Gaussian bent along a parabola: `x ~ N(0, s²)`, `y | x ~ N(b x², w²)`, of Rosenbrock's kind.
///
/// `ln p = -½ x²/s² - ½ (y - b x²)²/w² - ln 2πsw`. Its mean is `(0, b s²)`, its variances are `s²` and `w² + 2b²s⁴`, and
/// the coordinates are uncorrelated though far from independent. Narrow and long, it is hard for chains whose steps are
/// the same everywhere.
///
/// ```
/// use scorebook::{prelude::*, distribution::{Banana, Density}};
///
/// let x = Banana::new(1.0, 1.0, 0.2)?.sample(10_000, &mut Generator::new(7), &Device::Cpu)?;
/// let mean = x.mean(0)?.to_vec1::<f32>()?;
/// assert!(mean[0].abs() < 0.05 && (mean[1] - 1.0).abs() < 0.08);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Banana {
    spread: f64,
    curvature: f64,
    width: f64,
}

impl Banana {
    /// The law with spread `s`, curvature `b` and width `w`.
    ///
    /// # Errors
    /// If `spread` or `width` is not positive, or `curvature` not finite.
    pub fn new(spread: f64, curvature: f64, width: f64) -> Result<Self> {
        for (name, value) in [("spread", spread), ("width", width)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::argument(name, value, "a positive number"));
            }
        }
        if !curvature.is_finite() {
            return Err(Error::argument("curvature", curvature, "a finite number"));
        }
        Ok(Self { spread, curvature, width })
    }

    /// `x` and `(y - b x²)/w²`, each `[batch, 1]`.
    fn straightened(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        check_points(x, 2)?;
        let (first, second) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
        let off = (second - (first.sqr()? * self.curvature)?)?;
        Ok((first, (off / self.width.powi(2))?))
    }
}

impl Density for Banana {
    fn dim(&self) -> usize {
        2
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let (first, pull) = self.straightened(x)?;
        let along = (first.sqr()? * (-0.5 / self.spread.powi(2)))?;
        let across = (pull.sqr()? * (-0.5 * self.width.powi(2)))?;
        let constant = -(std::f64::consts::TAU * self.spread * self.width).ln();
        Ok(((along + across)? + constant)?.squeeze(1)?)
    }

    fn score(&self, x: &Tensor) -> Result<Tensor> {
        let (first, pull) = self.straightened(x)?;
        let bent = ((&first * &pull)? * (2.0 * self.curvature))?;
        let of_first = (bent - (first / self.spread.powi(2))?)?;
        Ok(Tensor::cat(&[of_first, pull.neg()?], 1)?)
    }

    fn sample(&self, n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor> {
        let mut values = vec![0f32; 2 * n];
        generator.fill_normal(&mut values);
        for point in values.chunks_exact_mut(2) {
            let x = self.spread * f64::from(point[0]);
            let y = self.curvature * x * x + self.width * f64::from(point[1]);
            point.copy_from_slice(&[x as f32, y as f32]);
        }
        Ok(Tensor::from_vec(values, (n, 2), device)?)
    }
}
