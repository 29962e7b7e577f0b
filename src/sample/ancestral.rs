//! Ancestral sampling.

use super::{Descent, Sampler, Spacing, Way, transition::Transition};
use crate::{Result, diffusion::same_time, random::Generator, sde::Solution};
use candle_core::Tensor;

/// Ancestral sampling: each state is drawn given the one after it, as if the data were their mean.
///
/// From `t` to `s`, with the chain's `r = α(t)/α(s)` and `v = σ²(t) - r² σ²(s)`:
/// `x ← (x + v s(x, t))/r + σ̃ z`, the law of `x(s)` given `x(t)` and `x0`, where Tweedie's formula stands for `x0`.
/// The variance `σ̃²` is a choice, [`AncestralVariance`].
///
/// On `r = √(1-β_i)`, `v = β_i` this is DDPM (Ho et al. 2020, algorithm 2), on `r = 1`, `v = σ_i² - σ_{i-1}²`
/// SMLD's sampler (Song et al. 2021, equation 47); any other process has its own.
///
/// ```
/// use scorebook::prelude::*;
///
/// let process = VariancePreserving::default();
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let sampler = Ancestral { steps: 100, ..Default::default() };
/// let sample = sampler.sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 101);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ancestral {
    /// Steps from the horizon to `t_min`.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// The variance of a step.
    pub variance: AncestralVariance,
    /// Where the steps end. The score grows without bound towards time 0; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// The variance `σ̃²` of a step of [`Ancestral`]: the two extremes of Ho et al. 2020, section 3.2.
///
/// ```
/// use scorebook::{prelude::*, sample::AncestralVariance};
///
/// // Data N(0, 1), whose score is -x at all times: with the forward variance even five steps keep theirs.
/// let (process, score) = (VariancePreserving::default(), ScoreFunction::new(|x, _t| Ok(x.neg()?)));
/// let drawn = |variance| -> scorebook::Result<f32> {
///     let sampler = Ancestral { steps: 5, variance, denoise: false, ..Default::default() };
///     let x = sampler.sample(&process, &score, &[20_000, 1], &mut Generator::new(7), &Device::Cpu)?.x;
///     Ok(x.sqr()?.mean_all()?.to_scalar()?)
/// };
/// assert!((drawn(AncestralVariance::Forward)? - 1.0).abs() < 0.06);
/// assert!(drawn(AncestralVariance::Posterior)? < 0.8);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AncestralVariance {
    /// `v σ²(s)/σ²(t)`, which is right for data that are one point.
    #[default]
    Posterior,
    /// `v`, that of the forward step, which is right for data `N(0, I)` under a process that preserves them.
    Forward,
}

/// 500 equal steps down to 0.001 with the variance of the posterior, denoised, nothing recorded.
impl Default for Ancestral {
    fn default() -> Self {
        Self {
            steps: 500,
            spacing: Spacing::Uniform,
            variance: AncestralVariance::Posterior,
            t_min: 1e-3,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for Ancestral {
    fn name(&self) -> &'static str {
        "ancestral"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, denoise, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        way.march(start, |x, t, next| step(way, self.variance, x, t, next, generator))
    }
}

/// One step.
pub(super) fn step(
    way: &Way,
    variance: AncestralVariance,
    x: &Tensor,
    t: f64,
    next: f64,
    generator: &mut Generator,
) -> Result<Tensor> {
    let transition = Transition::between(way.process, next, t);
    let score = way.score.score(x, &same_time(t, x)?)?;
    let mean = ((x + (score * transition.variance)?)? / transition.scale)?;
    let std = match variance {
        AncestralVariance::Posterior => transition.posterior_std,
        AncestralVariance::Forward => transition.variance.sqrt(),
    };
    Ok((mean + (generator.normal_like(x)? * std)?)?)
}
