//! The reverse diffusion sampler.

use super::{Descent, Sampler, Spacing, Way, transition::Transition};
use crate::{Result, diffusion::same_time, random::Generator, sde::Solution};
use candle_core::Tensor;

/// The reverse diffusion sampler: the reverse SDE, discretised as the forward chain is.
///
/// From `t` to `s`, with the chain's `r = α(t)/α(s)` and `v = σ²(t) - r² σ²(s)`:
/// `x ← (2 - r) x + v s(x, t) + √v z`. Euler-Maruyama takes `a(t)` and `g²(t)` at the start of the step instead of
/// what the process does between the times, and so needs shorter steps where they change fast.
///
/// Source: Song et al. 2021, appendix E, equation 46, algorithms 2 and 3.
///
/// ```
/// use scorebook::prelude::*;
///
/// let process = VarianceExploding::new(0.01, 10.0)?;
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let sampler = ReverseDiffusion { steps: 100, ..Default::default() };
/// let sample = sampler.sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 101);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReverseDiffusion {
    /// Steps from the horizon to `t_min`.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// Where the steps end. The score grows without bound towards time 0; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 500 equal steps down to 0.001, denoised, nothing recorded.
impl Default for ReverseDiffusion {
    fn default() -> Self {
        let spacing = Spacing::Uniform;
        Self { steps: 500, spacing, t_min: 1e-3, denoise: true, record: None, progress: true }
    }
}

impl Sampler for ReverseDiffusion {
    fn name(&self) -> &'static str {
        "reverse diffusion"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, denoise, record, progress } = *self;
        Descent { steps, spacing, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        way.march(start, |x, t, next| step(way, x, t, next, generator))
    }
}

/// One step.
pub(super) fn step(
    way: &Way,
    x: &Tensor,
    t: f64,
    next: f64,
    generator: &mut Generator,
) -> Result<Tensor> {
    let Transition { scale, variance, .. } = Transition::between(way.process, next, t);
    let score = way.score.score(x, &same_time(t, x)?)?;
    let mean = ((x * (2.0 - scale))? + (score * variance)?)?;
    Ok((mean + (generator.normal_like(x)? * variance.sqrt())?)?)
}
