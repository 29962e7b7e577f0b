//! The probability flow in steps as the error allows.

use super::{Descent, Sampler, Spacing, Way};
use crate::{
    Error, Result,
    random::Generator,
    reverse::ReverseSde,
    sde::{DormandPrince, Solution},
};
use candle_core::Tensor;

/// The probability flow by Dormand and Prince's adaptive method, RK45: the ODE sampler of Song et al. 2021
/// (appendix D.4).
///
/// Note 004 prefers it because it fixes no grid. But it samples no better for that: in the paper's experiments
/// predictor-corrector, on a fixed grid, has the better samples. What it has is an error that is known, and a
/// number of evaluations that follows from it. The whole batch takes the same steps.
///
/// ```
/// use scorebook::prelude::*;
///
/// let process = VariancePreserving::default();
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let noise = Generator::new(7).normal((64, 2), &Device::Cpu)?;
/// let coarse = AdaptiveFlow { rtol: 1e-2, atol: 1e-2, ..Default::default() };
/// let fine = AdaptiveFlow::default();
/// let (coarse, fine) = (coarse.decode(&process, &score, &noise)?, fine.decode(&process, &score, &noise)?);
/// assert!(coarse.score_evaluations < fine.score_evaluations);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveFlow {
    /// The error of a step may be `atol + rtol |x|`.
    pub rtol: f64,
    /// See `rtol`; a number or zero.
    pub atol: f64,
    /// Where the way ends. The score grows without bound towards time 0; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep the states at the ends of so many equal parts of the way in
    /// [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// Both tolerances `10⁻⁵`, as in the paper, down to 0.001, denoised, nothing recorded.
impl Default for AdaptiveFlow {
    fn default() -> Self {
        Self { rtol: 1e-5, atol: 1e-5, t_min: 1e-3, denoise: true, record: None, progress: true }
    }
}

impl Sampler for AdaptiveFlow {
    fn name(&self) -> &'static str {
        "adaptive flow"
    }

    fn descent(&self) -> Descent {
        let Self { t_min, denoise, record, progress, .. } = *self;
        let steps = record.unwrap_or(1).max(1);
        Descent { steps, spacing: Spacing::Uniform, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, _: &mut Generator) -> Result<Solution> {
        if self.record == Some(0) {
            return Err(Error::argument("record", 0, "at least 1, or `None` for no trajectory"));
        }
        let flow = ReverseSde { process: way.process, score: way.score, noise: 0.0 };
        let Self { rtol, atol, progress, .. } = *self;
        let solver = DormandPrince { rtol, atol, progress, ..Default::default() };
        let mut solution = solver.solve(&flow, start, way.times)?;
        if self.record.is_none() {
            solution.trajectory = None;
            solution.times.drain(..solution.times.len() - 1);
        }
        Ok(solution)
    }

    fn is_deterministic(&self) -> bool {
        true
    }
}
