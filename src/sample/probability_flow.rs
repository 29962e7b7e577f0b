//! The probability flow.

use super::{Descent, Sampler, Spacing, Way};
use crate::{
    Result,
    random::Generator,
    reverse::ReverseSde,
    sde::{FlowMethod, Solution},
};
use candle_core::Tensor;

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
/// let sample = sampler.decode(&process, &score, &noise)?;
/// let again = sampler.decode(&process, &score, &noise)?;
/// assert_eq!(sample.x.to_vec2::<f32>()?, again.x.to_vec2::<f32>()?);
/// assert_eq!(sample.trajectory.unwrap().len(), sample.times.len());
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProbabilityFlow {
    /// Steps from the horizon to `t_min`.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// Euler, Heun or Runge-Kutta.
    pub method: FlowMethod,
    /// Where the steps end. The score grows without bound towards time 0; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 100 equal steps of Heun down to 0.001, denoised, nothing recorded.
impl Default for ProbabilityFlow {
    fn default() -> Self {
        Self {
            steps: 100,
            spacing: Spacing::Uniform,
            method: FlowMethod::Heun,
            t_min: 1e-3,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for ProbabilityFlow {
    fn name(&self) -> &'static str {
        "probability flow"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, denoise, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, _: &mut Generator) -> Result<Solution> {
        let flow = ReverseSde { process: way.process, score: way.score, noise: 0.0 };
        way.march(start, |x, t, next| self.method.step(&flow, x, t, next))
    }

    fn is_deterministic(&self) -> bool {
        true
    }
}
