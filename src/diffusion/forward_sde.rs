//! A noising process as an SDE that solvers can run.

use super::NoisingProcess;
use crate::{
    Result,
    random::Generator,
    sde::{Dispersion, ExactTransition, Sde, check_later},
};
use candle_core::Tensor;

/// The SDE `dx = a(t) x dt + g(t) dw` of a noising process, for solvers and trajectories.
///
/// The kernel gives any single time at once ([`NoisingProcess::perturb`]); a solver gives whole paths, and so,
/// without error, do its [exact transitions](crate::sde::Exact).
///
/// ```
/// use scorebook::{
///     prelude::*, diffusion::{ForwardSde, VariancePreserving}, path::time_grid, random::Generator,
///     sde::EulerMaruyama,
/// };
///
/// let sde = ForwardSde(VariancePreserving::default());
/// let x0 = Tensor::full(3f32, (256, 1), &Device::Cpu)?;
/// let solver = EulerMaruyama { record: Some(50), ..Default::default() };
/// let solution = solver.solve(&sde, &x0, &time_grid(0.0, 1.0, 200)?, &mut Generator::new(7))?;
/// assert_eq!(solution.times, [0.0, 0.25, 0.5, 0.75, 1.0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ForwardSde<P>(pub P);

impl<P: NoisingProcess> Sde for ForwardSde<P> {
    fn drift(&self, x: &Tensor, t: f64) -> Result<Tensor> {
        Ok((x * self.0.rate(t))?)
    }

    fn dispersion(&self, _x: &Tensor, t: f64) -> Result<Dispersion> {
        Ok(Dispersion::Scalar(self.0.dispersion(t)))
    }
}

/// `x(s) | x(t) ~ N(r x(t), (σ²(s) - r² σ²(t)) I)` with `r = α(s)/α(t)`, for `t ≤ s`.
impl<P: NoisingProcess> ExactTransition for ForwardSde<P> {
    fn transition(
        &self,
        x: &Tensor,
        t: f64,
        next: f64,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        check_later(t, next)?;
        let process = &self.0;
        let scale = process.mean_scale(next) / process.mean_scale(t);
        let variance = process.std(next).powi(2) - (scale * process.std(t)).powi(2);
        let z = generator.normal_like(x)?;
        Ok(((x * scale)? + (z * variance.max(0.0).sqrt())?)?)
    }
}
