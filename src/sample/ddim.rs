//! Denoising diffusion implicit models.

use super::{Descent, Sampler, Spacing, Way, transition::Transition};
use crate::{Error, Result, diffusion::same_time, random::Generator, sde::Solution};
use candle_core::Tensor;

/// DDIM: guess the data and the noise, and put them together again for the next time.
///
/// With `ε = -σ(t) s(x, t)`, `x̂0 = (x - σ(t) ε)/α(t)` and the posterior's standard deviation `σ̃` of
/// [`Ancestral`](super::Ancestral):
/// `x ← α(s) x̂0 + √(σ²(s) - η² σ̃²) ε + η σ̃ z`.
///
/// `η = 0` has no noise: it is the exponential integrator of order 0 for the probability flow, and Euler's method for
/// `d(x/α)/d(σ/α) = ε`. `η = 1` is ancestral sampling.
///
/// Source: Song, Meng and Ermon, *Denoising diffusion implicit models*, ICLR 2021, equations 12 and 16, for any
/// process by its `α` and `σ`.
///
/// ```
/// use scorebook::prelude::*;
///
/// let process = VariancePreserving::default();
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let sample = Ddim::default().sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 51);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ddim {
    /// Steps from the horizon to `t_min`.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// The share `η ≥ 0` of the posterior's standard deviation. Above 1, as long as `η σ̃` is no more than `σ(s)`.
    pub eta: f64,
    /// Where the steps end; what is left is denoised, which is a step to 0.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 50 equal steps down to 0.001 without noise, denoised, nothing recorded.
impl Default for Ddim {
    fn default() -> Self {
        Self {
            steps: 50,
            spacing: Spacing::Uniform,
            eta: 0.0,
            t_min: 1e-3,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for Ddim {
    fn name(&self) -> &'static str {
        "DDIM"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, denoise, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        if !(self.eta >= 0.0 && self.eta.is_finite()) {
            return Err(Error::argument("eta", self.eta, "a number of at least 0"));
        }
        way.starts_with_noise()?;
        way.march(start, |x, t, next| self.step(way, x, t, next, generator))
    }

    fn is_deterministic(&self) -> bool {
        self.eta == 0.0
    }
}

impl Ddim {
    fn step(
        &self,
        way: &Way,
        x: &Tensor,
        t: f64,
        next: f64,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let process = way.process;
        let (std, next_std) = (process.std(t), process.std(next));
        let epsilon = (way.score.score(x, &same_time(t, x)?)? * -std)?;
        let data = ((x - (&epsilon * std)?)? / process.mean_scale(t))?;
        let data = (data * process.mean_scale(next))?;
        if self.eta == 0.0 {
            return Ok((data + (epsilon * next_std)?)?);
        }
        let posterior_std = Transition::between(process, next, t).posterior_std;
        let fresh = self.eta * posterior_std;
        if fresh > next_std {
            let most = next_std / posterior_std;
            let expected = format!("at most {most:.3} for the step from t = {t} to {next}");
            return Err(Error::argument("eta", self.eta, expected));
        }
        let kept = (next_std.powi(2) - fresh.powi(2)).sqrt();
        Ok(((data + (epsilon * kept)?)? + (generator.normal_like(x)? * fresh)?)?)
    }
}
