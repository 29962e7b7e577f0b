//! A ring in the plane.

use super::{Density, check_points};
use crate::{Error, Result, random::Generator};
use candle_core::{Device, Tensor};
use rand::Rng;

/// The law of `(r + s z) (cos θ, sin θ)` with `z ~ N(0, 1)` and a uniform angle `θ`: a ring in the plane.
///
/// With `ρ = |x|`: `p(x) = [N(ρ; r, s²) + N(ρ; -r, s²)]/(2πρ)`. At the very centre it is infinite, and the score
/// is not defined.
///
/// ```
/// use scorebook::{prelude::*, distribution::{Density, Ring}, random::Generator};
///
/// let x = Ring::new(3.0, 0.1)?.sample(1000, &mut Generator::new(7), &Device::Cpu)?;
/// let radius = x.sqr()?.sum(1)?.sqrt()?.mean_all()?.to_scalar::<f32>()?;
/// assert!((radius - 3.0).abs() < 0.02);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    radius: f64,
    std: f64,
}

impl Ring {
    /// The ring of radius `radius` whose width has the standard deviation `std`.
    ///
    /// # Errors
    /// If they are not positive.
    pub fn new(radius: f64, std: f64) -> Result<Self> {
        for (name, value) in [("radius", radius), ("std", std)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::argument(name, value, "a positive number"));
            }
        }
        Ok(Self { radius, std })
    }

    /// `2ρr/s²`: the log-odds of the near side against the far side.
    fn log_odds(&self, distance: &Tensor) -> Result<Tensor> {
        Ok((distance * (2.0 * self.radius / self.std.powi(2)))?)
    }
}

impl Density for Ring {
    fn dim(&self) -> usize {
        2
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        check_points(x, 2)?;
        let distance = x.sqr()?.sum(1)?.sqrt()?;
        let near = ((&distance - self.radius)?.sqr()? * (-0.5 / self.std.powi(2)))?;
        let both = (self.log_odds(&distance)?.neg()?.exp()? + 1.0)?.log()?;
        let constant = -(self.std * std::f64::consts::TAU.sqrt() * std::f64::consts::TAU).ln();
        Ok((((near + both)? - distance.log()?)? + constant)?)
    }

    fn score(&self, x: &Tensor) -> Result<Tensor> {
        check_points(x, 2)?;
        let distance = x.sqr()?.sum_keepdim(1)?.sqrt()?;
        // tanh(u/2) = P(near) - P(far), given the distance.
        let side = (self.log_odds(&distance)? * 0.5)?.tanh()?;
        let pull = (((side * self.radius)? - &distance)? / self.std.powi(2))?;
        let slope = (pull - distance.recip()?)?;
        Ok(x.broadcast_mul(&(slope / distance)?)?)
    }

    fn sample(&self, n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor> {
        let mut radii = vec![0f32; n];
        generator.fill_normal(&mut radii);
        let mut values = Vec::with_capacity(2 * n);
        for z in radii {
            let radius = self.radius + self.std * f64::from(z);
            let (sine, cosine) = (std::f64::consts::TAU * generator.random::<f64>()).sin_cos();
            values.extend([(radius * cosine) as f32, (radius * sine) as f32]);
        }
        Ok(Tensor::from_vec(values, (n, 2), device)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrates_to_one() {
        for (radius, std) in [(3.0, 0.2), (1.0, 1.0)] {
            let ring = Ring::new(radius, std).unwrap();
            // The midpoint rule along a ray; the ring is round.
            let (steps, end) = (20_000, radius + 10.0 * std);
            let width = end / f64::from(steps);
            let distances: Vec<f64> = (0..steps).map(|i| width * (f64::from(i) + 0.5)).collect();
            let ray: Vec<Vec<f64>> =
                distances.iter().map(|distance| vec![*distance, 0.0]).collect();
            let log_prob = ring.log_prob(&Tensor::new(ray, &Device::Cpu).unwrap()).unwrap();
            let mass: f64 = distances
                .iter()
                .zip(log_prob.to_vec1::<f64>().unwrap())
                .map(|(distance, log_prob)| {
                    std::f64::consts::TAU * distance * log_prob.exp() * width
                })
                .sum();
            assert!((mass - 1.0).abs() < 1e-6, "{mass}");
        }
    }

    #[test]
    fn bad_parameters_are_errors() {
        assert_eq!(
            Ring::new(1.0, 0.0).unwrap_err().to_string(),
            "`std` is 0; expected a positive number"
        );
        assert!(Ring::new(f64::NAN, 1.0).is_err());
    }
}
