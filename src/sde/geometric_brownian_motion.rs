//! Geometric Brownian motion.

use super::{Dispersion, ExactTransition, Sde, exact::check_later};
use crate::{Result, path::BrownianMotion, random::Generator};
use candle_core::Tensor;

/// Geometric Brownian motion `dx = μ x dt + σ x dw`, coordinate by coordinate: the standard example of noise that
/// depends on the state, since its solution is known on every path, `x(t) = x(0) exp((μ - σ²/2) t + σ w(t))`.
///
/// `E x(t) = x(0) e^(μt)` and `Var x(t) = x(0)² e^(2μt) (e^(σ²t) - 1)`.
///
/// ```
/// use scorebook::prelude::*;
///
/// let sde = GeometricBrownianMotion { mu: 0.5, sigma: 1.0 };
/// let times = time_grid(0.0, 1.0, 256)?;
/// let mut generator = Generator::new(7);
/// let w = BrownianMotion::sample(&times, (1000, 1), DType::F64, &mut generator, &Device::Cpu)?;
/// let x0 = Tensor::ones((1000, 1), DType::F64, &Device::Cpu)?;
/// let exact = sde.along(&x0, &w)?.get(256)?;
/// let x = Milstein::default().solve_along(&sde, &x0, &w)?.x;
/// assert!((x - exact)?.abs()?.mean_all()?.to_scalar::<f64>()? < 0.02);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeometricBrownianMotion {
    /// The rate of growth `μ`.
    pub mu: f64,
    /// The volatility `σ`.
    pub sigma: f64,
}

impl GeometricBrownianMotion {
    /// The solution along given paths from `x0` `[batch, ...]`, at all their times: `[times, batch, ...]`.
    ///
    /// # Errors
    /// If the path has not the shape of `x0`.
    pub fn along(&self, x0: &Tensor, path: &BrownianMotion) -> Result<Tensor> {
        let rate = self.mu - 0.5 * self.sigma.powi(2);
        let growth = path.times.iter().map(|t| rate * (t - path.times[0])).collect::<Vec<f64>>();
        let mut shape = vec![1; path.values.rank()];
        shape[0] = growth.len();
        let growth = Tensor::from_vec(growth, shape, &candle_core::Device::Cpu)?
            .to_dtype(x0.dtype())?
            .to_device(x0.device())?;
        let exponent = (&path.values * self.sigma)?.broadcast_add(&growth)?;
        Ok(exponent.exp()?.broadcast_mul(x0)?)
    }
}

impl Sde for GeometricBrownianMotion {
    fn drift(&self, x: &Tensor, _t: f64) -> Result<Tensor> {
        Ok((x * self.mu)?)
    }

    fn dispersion(&self, x: &Tensor, _t: f64) -> Result<Dispersion> {
        Ok(Dispersion::Diagonal((x * self.sigma)?))
    }

    fn stratonovich_drift(&self, x: &Tensor, _t: f64) -> Result<Tensor> {
        Ok((x * (self.mu - 0.5 * self.sigma.powi(2)))?)
    }

    fn covariance_divergence(&self, x: &Tensor, _t: f64) -> Result<Option<Tensor>> {
        Ok(Some((x * (2.0 * self.sigma.powi(2)))?))
    }
}

impl ExactTransition for GeometricBrownianMotion {
    fn transition(
        &self,
        x: &Tensor,
        t: f64,
        next: f64,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let h = check_later(t, next)?;
        let z = generator.normal_like(x)?;
        let growth = (self.mu - 0.5 * self.sigma.powi(2)) * h;
        Ok((x * z.affine(self.sigma * h.sqrt(), growth)?.exp()?)?)
    }
}
