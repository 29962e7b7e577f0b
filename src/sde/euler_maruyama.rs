//! The Euler-Maruyama method.

use super::{Increment, Saving, Sde, Solver};
use crate::Result;
use candle_core::Tensor;

/// The Euler-Maruyama method: `x ← x + f(x, t) Δt + g(x, t) ΔW` with `ΔW ~ N(0, |Δt| I)`.
///
/// `Δt` is signed: on a grid that descends the same lines run an SDE of reverse time (notes 001 and 004;
/// Song et al. 2021, appendix E). Any noise; strong order ½, and 1 where `g` does not depend on `x`; weak order 1.
///
/// ```
/// use scorebook::{prelude::*, path::time_grid, random::Generator, sde::{EulerMaruyama, Ito}};
///
/// let sde = Ito::new(|x, _t| x * -1.0, |_t| 1.0);
/// let x0 = Tensor::zeros((64, 2), DType::F32, &Device::Cpu)?;
/// let solver = EulerMaruyama { record: Some(10), ..Default::default() };
/// let solution = solver.solve(&sde, &x0, &time_grid(0.0, 1.0, 100)?, &mut Generator::new(7))?;
/// assert_eq!(solution.trajectory.unwrap().len(), 11);
/// assert_eq!(solution.times[..3], [0.0, 0.1, 0.2]);
///
/// // Or at chosen times, wherever the grid has its own.
/// let solver = EulerMaruyama { save_at: vec![0.125, 1.0], ..Default::default() };
/// let solution = solver.solve(&sde, &x0, &time_grid(0.0, 1.0, 100)?, &mut Generator::new(7))?;
/// assert_eq!(solution.times, [0.125, 1.0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EulerMaruyama {
    /// Keep every so many-th state in [`Solution::trajectory`](super::Solution::trajectory).
    pub record: Option<usize>,
    /// Keep the states at these times, which are added to the grid where it has not got them.
    pub save_at: Vec<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

impl Solver for EulerMaruyama {
    fn name(&self) -> &'static str {
        "Euler-Maruyama"
    }

    fn strong_order(&self) -> f64 {
        0.5
    }

    fn strong_order_for_additive_noise(&self) -> f64 {
        1.0
    }

    fn weak_order(&self) -> f64 {
        1.0
    }

    fn step(
        &self,
        sde: &dyn Sde,
        x: &Tensor,
        t: f64,
        next: f64,
        noise: &Increment,
    ) -> Result<Tensor> {
        let dispersion = sde.dispersion(x, t)?;
        let drift = (sde.drift(x, t)? * (next - t))?;
        Ok(((x + drift)? + dispersion.apply(&noise.dw)?)?)
    }

    fn saving(&self) -> Saving<'_> {
        Saving { record: self.record, save_at: &self.save_at, progress: self.progress }
    }
}
