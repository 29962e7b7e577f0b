//! The probability flow.

use super::{Sample, descent::Descent};
use crate::{
    Result, diffusion::NoisingProcess, random::Generator, reverse::ReverseSde, score::Score,
    sde::FlowMethod,
};
use candle_core::{Device, Shape, Tensor};

/// The probability flow `dx/dt = a(t) x - ½ g²(t) ∇log p_t(x)`, followed from `T` down.
///
/// An ODE with the marginals of the SDE (Song et al. 2021, equation 13): the noise `x(T)` decides the sample.
/// Its joint laws are others, though: note 001's process from `N(0, 2)` with `β = σ = T = 1` has
/// `Cov(X_0, X_T) = 0.736`, as has the reverse SDE; the flow has 1.186.
///
/// ```
/// use scorebook::{
///     prelude::*, diffusion::VariancePreserving, distribution::Mixture, random::Generator,
///     sample::ProbabilityFlow, score::MixtureScore,
/// };
///
/// let process = VariancePreserving::default();
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let noise = Generator::new(7).normal((64, 2), &Device::Cpu)?;
/// let sampler = ProbabilityFlow { record: Some(10), ..Default::default() };
/// let sample = sampler.sample_from(&process, &score, &noise)?;
/// let again = sampler.sample_from(&process, &score, &noise)?;
/// assert_eq!(sample.x.to_vec2::<f32>()?, again.x.to_vec2::<f32>()?);
/// assert_eq!(sample.trajectory.unwrap().len(), sample.times.len());
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProbabilityFlow {
    /// Steps from the horizon to `t_min`, of equal length.
    pub steps: usize,
    /// Euler or Heun.
    pub method: FlowMethod,
    /// Where the steps end. The score grows without bound towards time 0; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`].
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 100 steps of Heun down to 0.001, denoised, nothing recorded.
impl Default for ProbabilityFlow {
    fn default() -> Self {
        Self {
            steps: 100,
            method: FlowMethod::Heun,
            t_min: 1e-3,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl ProbabilityFlow {
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
        self.sample_from(process, score, &start)
    }

    /// Samples from given noise `x(T)`, `[batch, ...]`; there is no other randomness.
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn sample_from(
        &self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        noise: &Tensor,
    ) -> Result<Sample> {
        let descent = Descent {
            steps: self.steps,
            t_min: self.t_min,
            denoise: self.denoise,
            record: self.record,
            progress: self.progress.then_some("probability flow"),
        };
        descent.run(process, score, noise, |score, x, t, next| {
            self.method.step(&ReverseSde { process, score, noise: 0.0 }, x, t, next)
        })
    }
}
