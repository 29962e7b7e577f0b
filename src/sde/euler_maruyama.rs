//! The Euler-Maruyama method.

use super::{Dispersion, March, Sde, Solution};
use crate::{Error, Result, path::BrownianMotion, random::Generator};
use candle_core::Tensor;

/// The Euler-Maruyama method: `x ← x + f(x, t) Δt + g(x, t) ΔW` with `ΔW ~ N(0, |Δt| I)`.
///
/// `Δt` is signed: on a grid that descends the same lines run an SDE of reverse time (notes 001 and 004;
/// Song et al. 2021, appendix E). Strong order ½, and 1 where `g` does not depend on `x`.
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
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EulerMaruyama {
    /// Keep every so many-th state in [`Solution::trajectory`].
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

impl EulerMaruyama {
    /// Solves the SDE from `x0` `[batch, ...]` over a grid of times, upward or downward.
    ///
    /// Each step is detached, so memory does not grow with their number. An interrupt ends the march
    /// with `Ok` and [`Solution::interrupted`].
    ///
    /// # Errors
    /// If the times are not strictly upward or downward, shapes do not fit, or a state is not finite.
    pub fn solve(
        &self,
        sde: &dyn Sde,
        x0: &Tensor,
        times: &[f64],
        generator: &mut Generator,
    ) -> Result<Solution> {
        self.march(times).run(x0, |x, t, next| step(sde, x, t, next, generator))
    }

    /// Solves the SDE along given paths of Brownian motion, at their times.
    ///
    /// With `path.coarsen(2)` the same noise drives larger steps: that is how a strong order is measured.
    ///
    /// # Errors
    /// As [`solve`](Self::solve), and if the path has not the shape of the noise.
    pub fn solve_along(
        &self,
        sde: &dyn Sde,
        x0: &Tensor,
        path: &BrownianMotion,
    ) -> Result<Solution> {
        let increments = path.increments()?;
        if increments.dims()[0] + 1 != path.times.len() {
            let expected = format!("[{}, batch, ...]", path.times.len());
            return Err(Error::shape("path", path.values.dims(), expected));
        }
        let mut k = 0;
        self.march(&path.times).run(x0, |x, t, next| {
            let dispersion = sde.dispersion(x, t)?;
            let (dw, expected) = (increments.get(k)?, dispersion.noise_dims(x)?);
            if dw.dims() != expected {
                let expected = format!("increments {expected:?}");
                return Err(Error::shape("path", path.values.dims(), expected));
            }
            k += 1;
            move_by(sde, x, t, next, &dispersion, &dw)
        })
    }

    fn march<'a>(&self, times: &'a [f64]) -> March<'a> {
        March { times, record: self.record, progress: self.progress.then_some("Euler-Maruyama") }
    }
}

/// One step from `t` to `next`, with fresh noise.
pub(crate) fn step(
    sde: &dyn Sde,
    x: &Tensor,
    t: f64,
    next: f64,
    generator: &mut Generator,
) -> Result<Tensor> {
    let dispersion = sde.dispersion(x, t)?;
    let dims = dispersion.noise_dims(x)?;
    // Only the shape, type and device of this count.
    let like =
        if dims == x.dims() { x.clone() } else { Tensor::zeros(dims, x.dtype(), x.device())? };
    let dw = (generator.normal_like(&like)? * (next - t).abs().sqrt())?;
    move_by(sde, x, t, next, &dispersion, &dw)
}

fn move_by(
    sde: &dyn Sde,
    x: &Tensor,
    t: f64,
    next: f64,
    dispersion: &Dispersion,
    dw: &Tensor,
) -> Result<Tensor> {
    let drift = (sde.drift(x, t)? * (next - t))?;
    Ok(((x + drift)? + dispersion.apply(dw)?)?)
}
