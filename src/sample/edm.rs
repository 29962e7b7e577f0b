//! The stochastic sampler of Karras et al.

use super::{Descent, Sampler, Spacing, Way};
use crate::{Error, Result, random::Generator, score::tweedie, sde::Solution};
use candle_core::Tensor;

/// The stochastic sampler of Karras et al.: Heun's method for the probability flow, with some new noise before each
/// step.
///
/// It runs on `y = x/α(t)`, whose noise has the level `ς = σ/α`; `D` is the mean of the data given the state
/// ([`tweedie`](crate::score::tweedie)). A step from `ς` to `ς'`:
/// 1. churn: `ς̂ = (1 + γ) ς` with `γ = min(churn/steps, √2 - 1)` where `ς` is in `levels`, else `γ = 0`;
///    `y ← y + √(ς̂² - ς²) noise z`
/// 2. Euler: `d = (y - D(y, ς̂))/ς̂`, `y' = y + (ς' - ς̂) d`
/// 3. Heun: `d' = (y' - D(y', ς'))/ς'`, `y' = y + (ς' - ς̂) ½ (d + d')`, unless `ς' = 0`
///
/// The noised level `ς̂` is kept from passing that of the horizon, where the score of a process ends.
///
/// Source: Karras et al. 2022, *Elucidating the design space of diffusion-based generative models*, algorithm 2;
/// without churn algorithm 1.
///
/// ```
/// use scorebook::prelude::*;
///
/// let process = VarianceExploding::new(0.01, 20.0)?;
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let sampler = EdmSampler { steps: 30, churn: 10.0, ..Default::default() };
/// let sample = sampler.sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 61);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EdmSampler {
    /// Steps from the horizon to `t_min`.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// How much noise is renewed on the whole way, `S_churn`; 0 for the flow alone.
    pub churn: f64,
    /// The noise levels at which there is churn, `[S_min, S_max]`.
    pub levels: (f64, f64),
    /// The standard deviation of the new noise, `S_noise`. The law of the data needs 1; the paper takes a little
    /// more where networks remove too much noise.
    pub noise: f64,
    /// Where the steps end; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 40 steps in the spacing of the paper down to 0.001, with churn 10 at all levels, denoised, nothing recorded.
impl Default for EdmSampler {
    fn default() -> Self {
        Self {
            steps: 40,
            spacing: Spacing::Karras { rho: 7.0 },
            churn: 10.0,
            levels: (0.0, f64::INFINITY),
            noise: 1.0,
            t_min: 1e-3,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for EdmSampler {
    fn name(&self) -> &'static str {
        "EDM"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, denoise, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        for (name, value) in [("churn", self.churn), ("noise", self.noise)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::argument(name, value, "a number of at least 0"));
            }
        }
        if self.levels.0.is_nan() || self.levels.1.is_nan() {
            return Err(Error::argument("levels", format!("{:?}", self.levels), "two numbers"));
        }
        way.starts_with_noise()?;
        way.march(start, |x, t, next| self.step(way, x, t, next, generator))
    }

    fn is_deterministic(&self) -> bool {
        self.churn == 0.0
    }
}

impl EdmSampler {
    fn step(
        &self,
        way: &Way,
        x: &Tensor,
        t: f64,
        next: f64,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let process = way.process;
        let (level, end) = (process.noise_level(t), process.noise_level(next));
        let mut y = (x / process.mean_scale(t))?;
        let (mut noised, mut time) = (level, t);
        let share = (self.churn / self.steps as f64).min(2f64.sqrt() - 1.0);
        if share > 0.0 && (self.levels.0..=self.levels.1).contains(&level) {
            noised = ((1.0 + share) * level).min(process.noise_level(process.horizon()));
            time = process.time_of_noise_level(noised)?;
            let std = self.noise * (noised.powi(2) - level.powi(2)).max(0.0).sqrt();
            y = (y + (generator.normal_like(x)? * std)?)?;
        }
        let slope = |y: &Tensor, time: f64, level: f64| -> Result<Tensor> {
            let x = (y * process.mean_scale(time))?;
            Ok(((y - tweedie(process, way.score, &x, time)?)? / level)?)
        };
        let first = slope(&y, time, noised)?;
        let mut after = (&y + (&first * (end - noised))?)?;
        if end > 0.0 {
            let slopes = (first + slope(&after, next, end)?)?;
            after = (y + (slopes * (0.5 * (end - noised)))?)?;
        }
        Ok((after * process.mean_scale(next))?)
    }
}
