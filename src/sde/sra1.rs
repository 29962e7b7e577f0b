//! Rößler's method for additive noise.

use super::{Increment, Saving, Sde, Solver, derivative::is_additive};
use crate::{Error, Result};
use candle_core::Tensor;

/// Rößler's stochastic Runge-Kutta method SRA1, of strong order 1½ for additive noise `g(t)` (number, diagonal or
/// matrix) and weak order 2.
///
/// With `η = I₍₁,₀₎/Δt`, the mean of `W - W(t)` over the step, and `t' = t + Δt`:
/// `y = x + ¾ f(x, t) Δt + (3/2) g(t') η`, then
/// `x ← x + [⅓ f(x, t) + ⅔ f(y, t + ¾Δt)] Δt + g(t') (ΔW - η) + g(t) η`.
/// Two drifts a step. Noise that depends on the state is refused.
///
/// Source: Rößler, *Runge-Kutta methods for the strong approximation of solutions of stochastic differential
/// equations*, SIAM J. Numer. Anal. 48, 2010, section 6.1.
///
/// ```
/// use scorebook::prelude::*;
///
/// let sde = Ito::new(|x, _t| x - x.powf(3.0)?, |_t| 0.5);
/// let x0 = Tensor::zeros((1000, 1), DType::F32, &Device::Cpu)?;
/// let times = time_grid(0.0, 5.0, 100)?;
/// let solution = Sra1::default().solve(&sde, &x0, &times, &mut Generator::new(7))?;
/// assert_eq!(solution.cost.drift_evaluations, 200);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sra1 {
    /// Keep every so many-th state in [`Solution::trajectory`](super::Solution::trajectory).
    pub record: Option<usize>,
    /// Keep the states at these times, which are added to the grid where it has not got them.
    pub save_at: Vec<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

impl Solver for Sra1 {
    fn name(&self) -> &'static str {
        "SRA1"
    }

    fn strong_order(&self) -> f64 {
        1.5
    }

    fn weak_order(&self) -> f64 {
        2.0
    }

    fn needs_integrals(&self) -> bool {
        true
    }

    fn admit(&self, sde: &dyn Sde, x: &Tensor, t: f64) -> Result<()> {
        if is_additive(sde, x, t)? {
            return Ok(());
        }
        let value = format!("an equation whose dispersion depends on the state at t = {t}");
        let expected = "additive noise, as SRA1 needs; `Sri1` takes diagonal and scalar noise";
        Err(Error::argument("sde", value, expected))
    }

    fn step(
        &self,
        sde: &dyn Sde,
        x: &Tensor,
        t: f64,
        next: f64,
        noise: &Increment,
    ) -> Result<Tensor> {
        let h = next - t;
        let mean = noise.mean(h)?;
        let (here, there) = (sde.dispersion(x, t)?, sde.dispersion(x, next)?);
        let first = (sde.drift(x, t)? * h)?;
        let between = ((x + (&first * 0.75)?)? + (there.apply(&mean)? * 1.5)?)?;
        let second = (sde.drift(&between, t + 0.75 * h)? * h)?;
        let drift = ((first / 3.0)? + (second * (2.0 / 3.0))?)?;
        let noise = (there.apply(&(&noise.dw - &mean)?)? + here.apply(&mean)?)?;
        Ok(((x + drift)? + noise)?)
    }

    fn saving(&self) -> Saving<'_> {
        Saving { record: self.record, save_at: &self.save_at, progress: self.progress }
    }
}
