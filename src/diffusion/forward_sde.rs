//! A noising process as an SDE that solvers can run.

use super::NoisingProcess;
use crate::{
    Result,
    sde::{Dispersion, FusedSde, Lanes, Sde},
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

impl<P: NoisingProcess, const D: usize> FusedSde<D> for ForwardSde<P> {
    /// `a(t)` and `g(t)`.
    type Now = (f32, f32);

    fn now(&self, t: f64) -> Result<(f32, f32)> {
        Ok((self.0.rate(t) as f32, self.0.dispersion(t) as f32))
    }

    #[inline(always)]
    fn drift(&self, x: [Lanes; D], (rate, _): &(f32, f32)) -> [Lanes; D] {
        scaled(x, *rate)
    }

    #[inline(always)]
    fn noise(&self, _x: [Lanes; D], dw: [Lanes; D], (_, dispersion): &(f32, f32)) -> [Lanes; D] {
        scaled(dw, *dispersion)
    }
}

/// `factor x`.
#[inline(always)]
fn scaled<const D: usize>(mut x: [Lanes; D], factor: f32) -> [Lanes; D] {
    for x in &mut x {
        *x = *x * factor;
    }
    x
}
