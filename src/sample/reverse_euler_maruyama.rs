//! Euler-Maruyama on the reverse SDE.

use super::{Descent, Sampler, Spacing, Way};
use crate::{Error, Result, random::Generator, reverse::ReverseSde, sde::Solution};
use candle_core::Tensor;

/// Euler-Maruyama on the reverse SDE: with `Δt < 0`,
/// `x ← x + [a x - ½ (1 + λ²) g² s(x, t)] Δt + λ g √|Δt| z`.
///
/// The plainest sampler (notes 001 to 004; Song et al. 2021, section 4.1).
///
/// ```
/// use scorebook::{
///     prelude::*, diffusion::VariancePreserving, distribution::Mixture, random::Generator,
///     sample::ReverseEulerMaruyama, score::MixtureScore,
/// };
///
/// let process = VariancePreserving::default();
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let sampler = ReverseEulerMaruyama { steps: 100, ..Default::default() };
/// let sample = sampler.sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!((sample.x.dims(), sample.score_evaluations), (&[64, 2][..], 101));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// An interrupt keeps what was reached:
///
/// ```
/// use scorebook::{
///     prelude::*, diffusion::VariancePreserving, interrupt, random::Generator,
///     sample::ReverseEulerMaruyama, score::ScoreFunction,
/// };
///
/// let score = ScoreFunction::new(|x, t| {
///     if t.to_vec1::<f32>()?[0] < 0.5 {
///         interrupt::request();
///     }
///     Ok(x.neg()?)
/// });
/// let (process, sampler) = (VariancePreserving::default(), ReverseEulerMaruyama::default());
/// let sample = sampler.sample(&process, &score, &[4, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert!(sample.interrupted && (sample.times[0] - 0.5).abs() < 0.01);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ReverseEulerMaruyama {
    /// Steps from the horizon to `t_min`.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// Where the steps end. The score grows without bound towards time 0; what is left is denoised.
    pub t_min: f64,
    /// The level of noise `λ` of [`ReverseSde`]: 1 is Anderson's SDE.
    pub noise: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 500 equal steps down to 0.001, with noise, denoised, nothing recorded.
impl Default for ReverseEulerMaruyama {
    fn default() -> Self {
        Self {
            steps: 500,
            spacing: Spacing::Uniform,
            t_min: 1e-3,
            noise: 1.0,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for ReverseEulerMaruyama {
    fn name(&self) -> &'static str {
        "reverse SDE"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, denoise, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return Err(Error::argument("noise", self.noise, "a number of at least 0"));
        }
        let reverse = ReverseSde { process: way.process, score: way.score, noise: self.noise };
        way.march(start, |x, t, next| reverse.euler_maruyama(x, t, next, generator))
    }

    fn is_deterministic(&self) -> bool {
        self.noise == 0.0
    }
}
