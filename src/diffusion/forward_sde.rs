//! A noising process as an SDE that solvers can run.

use super::NoisingProcess;
use crate::{
    Result,
    sde::{Dispersion, Sde},
};
use candle_core::Tensor;

/// The SDE `dx = a(t) x dt + g(t) dw` of a noising process, for solvers and trajectories.
///
/// The kernel gives any single time at once ([`NoisingProcess::perturb`]); a solver gives whole paths.
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
