//! Exact solutions in law, where a process has a closed transition kernel.

use super::{March, Saving, Solution};
use crate::{Result, random::Generator};
use candle_core::Tensor;

/// A Markov process whose law at a later time given its state now can be drawn exactly.
///
/// [`GeometricBrownianMotion`](super::GeometricBrownianMotion) is one, and so is every affine process,
/// Ornstein-Uhlenbeck's among them: [`ForwardSde`](crate::diffusion::ForwardSde).
///
/// ```
/// use scorebook::{prelude::*, sde::ExactTransition};
///
/// // dx = ½ x dt + x dw: ln x(2) ~ N(0, 2) from x(0) = 1, in a single step.
/// let growth = GeometricBrownianMotion { mu: 0.5, sigma: 1.0 };
/// let x = Tensor::ones((10_000, 1), DType::F64, &Device::Cpu)?;
/// let later = growth.transition(&x, 0.0, 2.0, &mut Generator::new(7))?.log()?;
/// assert!((later.sqr()?.mean_all()?.to_scalar::<f64>()? - 2.0).abs() < 5.0 * 2.0 * (2.0 / 1e4f64).sqrt());
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait ExactTransition: Send + Sync {
    /// A draw of `x(next)` given `x(t) = x`.
    ///
    /// # Errors
    /// If `next` lies before `t`, or `x` is no tensor of floats.
    fn transition(
        &self,
        x: &Tensor,
        t: f64,
        next: f64,
        generator: &mut Generator,
    ) -> Result<Tensor>;
}

/// Paths of a process with the exact law at the times of any grid: no step is too long.
///
/// ```
/// use scorebook::{prelude::*, diffusion::ForwardSde};
///
/// let process = OrnsteinUhlenbeck::new(2.0, 1.0, 10.0)?;
/// let x0 = Tensor::full(3f32, (50_000, 1), &Device::Cpu)?;
/// let paths = Exact { record: Some(1), ..Default::default() };
/// let solution = paths.solve(&ForwardSde(process), &x0, &[0.0, 0.5, 10.0], &mut Generator::new(7))?;
/// // Variance 1/4 after two steps, with a standard error of 0.25 √(2/50,000).
/// let variance = solution.x.sqr()?.mean_all()?.to_scalar::<f32>()?;
/// assert!((variance - 0.25).abs() < 0.008);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Exact {
    /// Keep every so many-th state in [`Solution::trajectory`].
    pub record: Option<usize>,
    /// Keep the states at these times, which are added to the grid where it has not got them.
    pub save_at: Vec<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

impl Exact {
    /// Draws paths from `x0` `[batch, ...]` at the times of a grid.
    ///
    /// # Errors
    /// If the times are not strictly upward, or `x0` is no tensor of floats.
    pub fn solve(
        &self,
        process: &dyn ExactTransition,
        x0: &Tensor,
        times: &[f64],
        generator: &mut Generator,
    ) -> Result<Solution> {
        let saving =
            Saving { record: self.record, save_at: &self.save_at, progress: self.progress };
        let march = March { times, saving, label: "exact transitions" };
        march.run(x0, |x, t, next| process.transition(x, t, next, generator))
    }
}

/// That a transition goes upward in time.
pub(crate) fn check_later(t: f64, next: f64) -> Result<f64> {
    if next >= t {
        return Ok(next - t);
    }
    Err(crate::Error::argument("times", format!("{t} followed by {next}"), "times upward"))
}
