//! Annealed Langevin dynamics.

use super::{Descent, Sampler, Spacing, Way};
use crate::{Error, Result, diffusion::same_time, random::Generator, sde::Solution};
use candle_core::Tensor;

/// Annealed Langevin dynamics on the score of a noising process: at each of ever earlier times, some steps
/// `x ← x + ½ α_i s(x, t_i) + √α_i z` with `α_i = step σ²(t_i)`.
///
/// The first sampler of score-based models (Song and Ermon, NeurIPS 2019, algorithm 1), whose `ε/σ_L²` is `step` here;
/// with the spacing [`LogSnr`](Spacing::LogSnr) its levels of noise are the paper's. It only ever samples at a level;
/// between two of them nothing but the mean scale is taken along, `x ← x α(t_{i+1})/α(t_i)`. The same on targets without
/// a process is [`AnnealedLangevin`](crate::markov::AnnealedLangevin).
///
/// ```
/// use scorebook::prelude::*;
///
/// let process = VarianceExploding::new(0.01, 20.0)?;
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let sampler = AnnealedLangevinDynamics { steps: 10, ..Default::default() };
/// let sample = sampler.sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 10 * 20 + 1);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AnnealedLangevinDynamics {
    /// Levels of noise below the prior's.
    pub steps: usize,
    /// How their times are spaced.
    pub spacing: Spacing,
    /// Langevin steps at each level.
    pub langevin_steps: usize,
    /// The size of a Langevin step as a share of `σ²`.
    pub step: f64,
    /// The time of the last level; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie), as Jolicoeur-Martineau
    /// et al. 2021 found to matter.
    pub denoise: bool,
    /// Keep the state after every so many-th level in [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 50 levels down to 0.001 in equal ratios, with 20 steps each of `α_i = 0.2 σ²`, denoised, nothing recorded.
impl Default for AnnealedLangevinDynamics {
    fn default() -> Self {
        Self {
            steps: 50,
            spacing: Spacing::LogSnr,
            langevin_steps: 20,
            step: 0.2,
            t_min: 1e-3,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for AnnealedLangevinDynamics {
    fn name(&self) -> &'static str {
        "annealed Langevin"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, denoise, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        if self.langevin_steps == 0 {
            return Err(Error::argument("langevin_steps", 0, "at least 1"));
        }
        if !(self.step > 0.0 && self.step.is_finite()) {
            return Err(Error::argument("step", self.step, "a positive number"));
        }
        way.march(start, |x, t, next| {
            let process = way.process;
            let size = self.step * process.std(next).powi(2);
            let mut x = (x * (process.mean_scale(next) / process.mean_scale(t)))?;
            for _ in 0..self.langevin_steps {
                let score = way.score.score(&x, &same_time(next, &x)?)?.detach();
                let z = generator.normal_like(&x)?;
                x = ((x + (score * (0.5 * size))?)? + (z * size.sqrt())?)?;
            }
            Ok(x)
        })
    }
}
