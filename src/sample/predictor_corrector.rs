//! Predictor-corrector sampling.

use super::{Corrector, Descent, Predictor, Sampler, Spacing, Way};
use crate::{Error, Result, random::Generator, sde::Solution};
use candle_core::Tensor;

/// Predictor-corrector sampling: after each step of a predictor, some steps of a corrector at the new time.
///
/// The predictor moves from `p_t` to `p_{t+Δt}`, the corrector samples at that level (it optimises nothing, as
/// note 003 has it). Source: Song et al. 2021, algorithms 1 to 5. Steps of a corrector that have finite size keep a law
/// whose variance is too large by a share of about `r²`.
///
/// ```
/// use scorebook::{prelude::*, sample::{Corrector, Predictor}};
///
/// let process = VarianceExploding::exponential(25.0)?;
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let sampler = PredictorCorrector {
///     steps: 50,
///     predictor: Predictor::ReverseDiffusion,
///     corrector: Corrector::Langevin,
///     ..Default::default()
/// };
/// let sample = sampler.sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 101);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PredictorCorrector {
    /// Steps from the horizon to `t_min`.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// What moves from one time to the next.
    pub predictor: Predictor,
    /// What samples at the new time.
    pub corrector: Corrector,
    /// Steps of the corrector after each step of the predictor.
    pub corrector_steps: usize,
    /// The signal-to-noise ratio `r` of a step of the corrector.
    pub snr: f64,
    /// Where the steps end. The score grows without bound towards time 0; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 500 equal steps of Euler-Maruyama down to 0.001, with one Langevin step each at `r = 0.16` (the paper's for
/// CIFAR-10), denoised, nothing recorded.
impl Default for PredictorCorrector {
    fn default() -> Self {
        Self {
            steps: 500,
            spacing: Spacing::Uniform,
            predictor: Predictor::EulerMaruyama,
            corrector: Corrector::Langevin,
            corrector_steps: 1,
            snr: 0.16,
            t_min: 1e-3,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for PredictorCorrector {
    fn name(&self) -> &'static str {
        "predictor-corrector"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, denoise, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        if !(self.snr > 0.0 && self.snr.is_finite()) {
            return Err(Error::argument("snr", self.snr, "a positive number"));
        }
        way.march(start, |x, t, next| {
            let mut x = self.predictor.step(way, x, t, next, generator)?.detach();
            for _ in 0..self.corrector_steps {
                x = self.corrector.step(way, self.snr, &x, next, t - next, generator)?;
            }
            Ok(x)
        })
    }
}
