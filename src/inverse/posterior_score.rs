//! Bayes' rule for scores.

use super::{Denoised, Guidance, Measurement};
use crate::{
    Error, Result,
    diffusion::{NoisingProcess, same_time, times_until},
    score::{Score, checked_score},
};
use candle_core::Tensor;
use std::{fmt, sync::Arc};

/// Bayes' rule for scores, `∇ log p_t(x|y) = ∇ log p_t(x) + ∇ log p_t(y|x)`, as a [`Score`] that every sampler takes.
///
/// The prior is any score, a network's or an exact one; the likelihood's score any [`Guidance`]. Source: note 003,
/// "Inverse problems"; Song et al. 2021, section 5.
///
/// ```
/// use scorebook::prelude::*;
///
/// // The first coordinate of a point on a ring of eight clusters was measured: 2.2, give or take 0.1.
/// let (process, law) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let first = Mask::new(&Tensor::new(&[1f32, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2.2f32, 0.0]], &Device::Cpu)?, 0.1)?;
/// let prior = MixtureScore::new(law.clone(), process);
/// let posterior = PosteriorScore::new(prior, process, measurement, ExactLikelihood::new(law));
/// let sampler = Ancestral { steps: 100, ..Default::default() };
/// let x = sampler.sample(&process, &posterior, &[64, 2], &mut Generator::new(7), &Device::Cpu)?.x;
/// let far = (x - Tensor::new(&[[2f32, 0.0]], &Device::Cpu)?.broadcast_as((64, 2))?)?.abs()?;
/// assert!(far.max_all()?.to_scalar::<f32>()? < 0.8);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct PosteriorScore {
    prior: Arc<dyn Score>,
    process: Arc<dyn NoisingProcess>,
    measurement: Measurement,
    guidance: Arc<dyn Guidance>,
    most_noise: f64,
}

impl PosteriorScore {
    /// The score of the `prior`'s data, noised by `process`, given a measurement of them.
    pub fn new(
        prior: impl Score + 'static,
        process: impl NoisingProcess + 'static,
        measurement: Measurement,
        guidance: impl Guidance + 'static,
    ) -> Self {
        let (prior, process) = (Arc::new(prior), Arc::new(process));
        let (guidance, most_noise) = (Arc::new(guidance), f64::INFINITY);
        Self { prior, process, measurement, guidance, most_noise }
    }

    /// Guides only where the noise level `ς(t) = σ/α` is at most `level`; above it the prior's score stands alone.
    ///
    /// For networks. Where there is far more noise than data, a measurement says next to nothing about the state, so the true
    /// likelihood's score is next to nothing; but the guess `x̂0 = (x_t + σ² s)/α` magnifies the network's errors by `1/α`,
    /// and those of its Jacobian too. A level well above the data's standard deviation loses next to nothing. For data of a
    /// known range a prior that is [`Bounded`](crate::score::Bounded) is the better cure.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let process = VariancePreserving::default();
    /// let prior = GaussianScore::new(Gaussian::standard(1), process);
    /// let all = Mask::new(&Tensor::new(&[1f64], &Device::Cpu)?)?;
    /// let measurement = Measurement::new(all, &Tensor::new(&[[2f64]], &Device::Cpu)?, 0.5)?;
    /// let posterior = PosteriorScore::new(prior, process, measurement, PiGdm::default()).up_to_noise_level(10.0)?;
    /// assert_eq!(posterior.measurement().std(), 0.5);
    /// // At the horizon the noise level is 150: the prior's score -x alone. At 0.1 it is 0.3.
    /// let at = |t: f64| posterior.score(&Tensor::zeros((1, 1), DType::F64, &Device::Cpu)?, &Tensor::new(&[t], &Device::Cpu)?);
    /// assert_eq!(at(1.0)?.to_vec2::<f64>()?, [[0.0]]);
    /// assert!(at(0.1)?.to_vec2::<f64>()?[0][0] > 1.0);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `level` is not positive.
    pub fn up_to_noise_level(self, level: f64) -> Result<Self> {
        if level > 0.0 {
            return Ok(Self { most_noise: level, ..self });
        }
        Err(Error::argument("level", level, "a positive noise level"))
    }

    /// What was measured.
    pub fn measurement(&self) -> &Measurement {
        &self.measurement
    }

    fn at(&self, x: &Tensor, t: f64, measurement: &Measurement) -> Result<Tensor> {
        if self.process.noise_level(t) > self.most_noise {
            return checked_score(&*self.prior, x, &same_time(t, x)?);
        }
        let state = Denoised::at(&*self.process, &*self.prior, x, t)?;
        let likelihood = self.guidance.likelihood_score(&state, measurement)?.detach();
        Ok((state.score.detach() + likelihood)?)
    }
}

/// One evaluation of the prior, and what the guidance needs besides. The sum itself has no gradient.
impl Score for PosteriorScore {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let times = times_until(self.process.horizon(), t, x)?;
        // In a sampler all times agree.
        if let [first, rest @ ..] = &*times
            && rest.iter().all(|t| t == first)
        {
            return self.at(x, *first, &self.measurement);
        }
        let rows = times
            .iter()
            .enumerate()
            .map(|(i, t)| self.at(&x.narrow(0, i, 1)?, *t, &self.measurement.of_sample(i)?));
        Ok(Tensor::cat(&rows.collect::<Result<Vec<_>>>()?, 0)?)
    }
}

impl fmt::Debug for PosteriorScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, measurement, guidance, .. } = self;
        write!(f, "PosteriorScore by {} for {measurement:?} under {process:?}", guidance.name())
    }
}
