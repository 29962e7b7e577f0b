//! Predictor-corrector sampling.

use super::{Sample, descent::Descent};
use crate::{
    Result,
    diffusion::{NoisingProcess, same_time},
    random::Generator,
    reverse::ReverseSde,
    score::Score,
};
use candle_core::{DType, Device, Shape, Tensor};

/// Predictor-corrector sampling: after each Euler-Maruyama step of the reverse SDE, some steps of Langevin
/// dynamics at the new time, `x ← x + ε s(x, t) + √(2ε) z` with `ε = 2 (r ‖z‖/‖s‖)²`.
///
/// The predictor moves from `p_t` to `p_{t+Δt}`, the corrector samples at that level (it optimises nothing, as
/// note 003 has it). Source: Song et al. 2021, algorithms 1, 4 and 5. The norms in `ε` are means over the batch, as
/// in the paper's experiments: a step size that depended on the single state would change the law that Langevin
/// dynamics keeps. Steps of finite size keep a law whose variance is too large by a share of about `r²`.
///
/// ```
/// use scorebook::{
///     prelude::*, diffusion::VarianceExploding, distribution::Mixture, random::Generator,
///     sample::PredictorCorrector, score::MixtureScore,
/// };
///
/// let process = VarianceExploding::exponential(25.0)?;
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let sampler = PredictorCorrector { steps: 50, ..Default::default() };
/// let sample = sampler.sample(&process, &score, (64, 2), &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 101);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PredictorCorrector {
    /// Steps from the horizon to `t_min`, of equal length.
    pub steps: usize,
    /// Langevin steps after each step of the predictor.
    pub corrector_steps: usize,
    /// The signal-to-noise ratio `r` of a Langevin step.
    pub snr: f64,
    /// Where the steps end. The score grows without bound towards time 0; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`].
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 500 steps down to 0.001 with one corrector step each at `r = 0.16` (the paper's for CIFAR-10), denoised,
/// nothing recorded.
impl Default for PredictorCorrector {
    fn default() -> Self {
        Self {
            steps: 500,
            corrector_steps: 1,
            snr: 0.16,
            t_min: 1e-3,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl PredictorCorrector {
    /// Samples of the shape `[batch, ...]`, from noise of the process's prior.
    ///
    /// # Errors
    /// If a setting is out of its range, the score fails, or a state is not finite (the error names the time).
    pub fn sample(
        &self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        shape: impl Into<Shape>,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Sample> {
        let start = process.prior_sample(shape.into().dims(), generator, device)?;
        self.sample_from(process, score, &start, generator)
    }

    /// Samples from given noise `x(T)`, `[batch, ...]`.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn sample_from(
        &self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        noise: &Tensor,
        generator: &mut Generator,
    ) -> Result<Sample> {
        if !(self.snr > 0.0 && self.snr.is_finite()) {
            return Err(crate::Error::argument("snr", self.snr, "a positive number"));
        }
        let descent = Descent {
            steps: self.steps,
            t_min: self.t_min,
            denoise: self.denoise,
            record: self.record,
            progress: self.progress.then_some("predictor-corrector"),
        };
        descent.run(process, score, noise, |score, x, t, next| {
            let reverse = ReverseSde { process, score, noise: 1.0 };
            let mut x = reverse.euler_maruyama(x, t, next, generator)?;
            for _ in 0..self.corrector_steps {
                x = self.correct(score, &x, next, generator)?;
            }
            Ok(x)
        })
    }

    /// One step of Langevin dynamics at time `t`.
    fn correct(
        &self,
        score: &dyn Score,
        x: &Tensor,
        t: f64,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let score = score.score(x, &same_time(t, x)?)?.detach();
        let z = generator.normal_like(x)?;
        let step = 2.0 * (self.snr * mean_norm(&z)? / mean_norm(&score)?).powi(2);
        Ok(((x + (score * step)?)? + (z * (2.0 * step).sqrt())?)?)
    }
}

/// The mean over the batch of the samples' Euclidean norms.
fn mean_norm(x: &Tensor) -> Result<f64> {
    let norms = x.flatten_from(1)?.sqr()?.sum(1)?.sqrt()?;
    Ok(norms.mean_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar()?)
}
