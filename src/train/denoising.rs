//! The denoising score matching loss.

use super::{TimeSampling, Weighting};
use crate::diffusion::{NoisingProcess, per_sample, times_until};
use crate::random::Generator;
use crate::score::{Condition, Network, Score};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

/// The denoising score matching loss at given times and noises, with the weighting `λ(t) = σ_t²`.
///
/// `L = E ‖σ_t s_θ(α_t x₀ + σ_t z, t) + z‖² / d` over the batch, with `d` the number of coordinates of a sample: since
/// `∇ log p(x_t|x₀) = -z/σ_t` (notes 003, 004; Vincent 2011; Song et al. 2021, equation 7). A network that gives 0 has
/// an expected loss of 1. The least loss is not 0 but `1 - σ_t² E‖∇ log p_t‖² / d`: what of the noise cannot be told from
/// data (errata to notes 003, line 231).
///
/// `x0` and `z` are `[batch, ...]`, `t` `[batch]`; the result is a scalar, differentiable in the network's parameters.
///
/// ```
/// use scorebook::{prelude::*, train::denoising_loss};
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = Mlp::new(MlpSettings::default(), process, &mut generator, &Device::Cpu)?;
/// for (_, variable) in network.parameters().iter() {
///     variable.set(&variable.zeros_like()?)?;
/// }
/// // A network that gives 0 leaves all of the noise: ‖z‖²/d.
/// let (x0, t) = (generator.normal((4, 2), &Device::Cpu)?, Tensor::full(0.5f32, 4, &Device::Cpu)?);
/// let z = Tensor::full(2f32, (4, 2), &Device::Cpu)?;
/// assert_eq!(denoising_loss(&network, &x0, &t, &z)?.to_scalar::<f32>()?, 4.0);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit or a time lies outside the process.
pub fn denoising_loss(
    network: &dyn Network,
    x0: &Tensor,
    t: &Tensor,
    z: &Tensor,
) -> Result<Tensor> {
    denoising_loss_given(network, x0, t, z, &Condition::default())
}

/// [`denoising_loss`] of a network that is told more of the samples, such as their labels.
///
/// ```
/// use scorebook::{prelude::*, score::Condition, train::{denoising_loss, denoising_loss_given}};
///
/// let settings = ResidualUnetSettings { attributes: vec![10], ..Default::default() };
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = ResidualUnet::new(settings, process, &mut generator, &Device::Cpu)?;
/// let (x0, z) = (generator.normal((2, 1, 8, 8), &Device::Cpu)?, generator.normal((2, 1, 8, 8), &Device::Cpu)?);
/// let t = Tensor::full(0.5f32, 2, &Device::Cpu)?;
/// // Labels that say nothing are no labels.
/// let condition = Condition { labels: Some(Tensor::new(&[[10u32], [10]], &Device::Cpu)?), dropout: None };
/// let told = denoising_loss_given(&network, &x0, &t, &z, &condition)?.to_scalar::<f32>()?;
/// assert_eq!(told, denoising_loss(&network, &x0, &t, &z)?.to_scalar::<f32>()?);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As there, and if the network does not know the labels.
pub fn denoising_loss_given(
    network: &dyn Network,
    x0: &Tensor,
    t: &Tensor,
    z: &Tensor,
    condition: &Condition,
) -> Result<Tensor> {
    let x = noised(&network.process(), x0, t, z)?;
    Ok((network.noise_output_given(&x, t, condition)? + z)?.sqr()?.mean_all()?)
}

/// `‖s(x_t, t) - ∇ log p(x_t|x0)‖² / d` for each sample, with `x_t = α_t x0 + σ_t z` and `∇ log p(x_t|x0) = -z/σ_t`:
/// [`denoising_loss`] without its weighting, for any score.
///
/// `x0` and `z` are `[batch, ...]`, `t` `[batch]`; the result is `[batch]`, differentiable where the score is. Its mean is
/// that of [`explicit_score_matching`](super::explicit_score_matching) plus `1/σ_t² - E‖∇ log p_t‖²/d`, which no score
/// has a part in (note 003 proves it; its constant `C` depends on `x_t` and `t`).
///
/// ```
/// use scorebook::{prelude::*, train::denoising_score_matching};
///
/// // Two data points that cannot be told apart by a score of 0: the error is ‖z/σ‖²/d.
/// let (process, zero) = (VariancePreserving::default(), ScoreFunction::new(|x, _t| Ok(x.zeros_like()?)));
/// let (x0, z) = (Tensor::new(&[[1f64], [-1.0]], &Device::Cpu)?, Tensor::new(&[[2f64], [1.0]], &Device::Cpu)?);
/// let t = Tensor::new(&[0.5f64, 0.5], &Device::Cpu)?;
/// let errors = denoising_score_matching(&zero, &process, &x0, &t, &z)?.to_vec1::<f64>()?;
/// let precision = process.std(0.5).powi(-2);
/// assert!((errors[0] - 4.0 * precision).abs() < 1e-12 && (errors[1] - precision).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit or a time is not in `(0, T]`.
pub fn denoising_score_matching(
    score: &dyn Score,
    process: &dyn NoisingProcess,
    x0: &Tensor,
    t: &Tensor,
    z: &Tensor,
) -> Result<Tensor> {
    check_noisy(process, x0, t)?;
    let x = noised(process, x0, t, z)?;
    let target = z.broadcast_mul(&per_sample(t, z, |t| -1.0 / process.std(t))?)?;
    mean_square(&(score.score(&x, t)? - target)?)
}

/// `α_t x0 + σ_t z`.
fn noised(process: &dyn NoisingProcess, x0: &Tensor, t: &Tensor, z: &Tensor) -> Result<Tensor> {
    if z.dims() != x0.dims() {
        return Err(Error::shape("z", z.dims(), format!("{:?}, as x0", x0.dims())));
    }
    let (mean, std) = process.marginal_prob(x0, t)?;
    Ok((mean + z.broadcast_mul(&std)?)?)
}

/// That there is noise at each time of the samples `x`.
pub(super) fn check_noisy(process: &dyn NoisingProcess, x: &Tensor, t: &Tensor) -> Result<()> {
    let times = times_until(process.horizon(), t, x)?;
    match times.iter().find(|t| process.std(**t) <= 0.0) {
        Some(t) => Err(Error::argument("t", t, "a time above 0, at which there is noise")),
        None => Ok(()),
    }
}

/// `‖x‖²/d` for each sample.
pub(super) fn mean_square(x: &Tensor) -> Result<Tensor> {
    Ok(x.flatten_from(1)?.sqr()?.mean(1)?)
}

/// The denoising loss at random times with standard normal noise,
/// `E_t λ(t) E ‖s_θ(x_t, t) - ∇ log p(x_t|x₀)‖² / d`: [`denoising_loss`] with any [`Weighting`] and [`TimeSampling`].
///
/// ```
/// use scorebook::{diffusion::VariancePreserving, prelude::*, random::Generator};
/// use scorebook::{score::{Mlp, MlpSettings}, train::DenoisingLoss};
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = Mlp::new(MlpSettings::default(), process, &mut generator, &Device::Cpu)?;
/// let x0 = generator.normal((64, 2), &Device::Cpu)?;
/// let loss = DenoisingLoss::default().draw(&network, &x0, &mut generator)?;
/// let gradients = loss.backward()?;
/// assert!(loss.to_scalar::<f32>()? > 0.);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// Likelihood weighting with the times drawn where they count:
///
/// ```
/// use scorebook::train::{DenoisingLoss, TimeSampling, Weighting};
///
/// let loss = DenoisingLoss {
///     weighting: Weighting::Likelihood, times: TimeSampling::Importance, ..Default::default()
/// };
/// let json = serde_json::to_string(&loss)?;
/// assert_eq!(serde_json::from_str::<DenoisingLoss>(&json)?, loss);
/// assert_eq!(serde_json::from_str::<DenoisingLoss>("{}")?, DenoisingLoss::default());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DenoisingLoss {
    /// The earliest time, above 0: at 0 there is no noise and no conditional score.
    pub t_min: f64,
    /// How much each time counts.
    pub weighting: Weighting,
    /// Where the times are drawn.
    pub times: TimeSampling,
}

/// Uniform times from 0.00001 on, with `λ = σ²`.
impl Default for DenoisingLoss {
    fn default() -> Self {
        Self { t_min: 1e-5, weighting: Weighting::default(), times: TimeSampling::default() }
    }
}

impl DenoisingLoss {
    /// The loss of one batch `x0` `[batch, ...]`, a scalar that is differentiable in the network's parameters.
    ///
    /// # Errors
    /// If a setting is out of its range, `t_min` is not within the process's time, or the network does not take the shape.
    pub fn draw(
        &self,
        network: &dyn Network,
        x0: &Tensor,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        self.draw_given(network, x0, &Condition::default(), generator)
    }

    /// [`draw`](Self::draw) of a network that is told more of the samples, such as their labels.
    ///
    /// ```
    /// use scorebook::{prelude::*, score::Condition};
    ///
    /// let settings = ResidualUnetSettings { attributes: vec![10], ..Default::default() };
    /// let process = VariancePreserving::default().into();
    /// let network = ResidualUnet::new(settings, process, &mut Generator::new(1), &Device::Cpu)?;
    /// let x0 = Generator::new(2).normal((2, 1, 8, 8), &Device::Cpu)?;
    /// // The first image is of class 3, of the second nothing is known.
    /// let condition = Condition { labels: Some(Tensor::new(&[[3u32], [10]], &Device::Cpu)?), dropout: None };
    /// let loss = DenoisingLoss::default().draw_given(&network, &x0, &condition, &mut Generator::new(3))?;
    /// assert!(loss.rank() == 0 && loss.to_scalar::<f32>()? > 0.0);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there, and if the network does not know the labels.
    pub fn draw_given(
        &self,
        network: &dyn Network,
        x0: &Tensor,
        condition: &Condition,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        self.draw_noise(&network.process(), x0, generator)?.loss(network, x0, condition)
    }

    /// All that is random in the loss of one batch.
    pub(super) fn draw_noise(
        &self,
        process: &dyn NoisingProcess,
        x0: &Tensor,
        generator: &mut Generator,
    ) -> Result<DrawnNoise> {
        let (t, weights) = self.draw_times(process, x0, generator)?;
        let weights = match weights.iter().all(|weight| *weight == 1.0) {
            true => None,
            false => Some(by_sample(weights, x0)?),
        };
        Ok(DrawnNoise { t, z: generator.normal_like(x0)?, weights })
    }

    /// The terms of the loss of any score on the batch `x0` `[batch, ...]`, `[batch]`: their mean estimates the loss, and
    /// their spread tells how well. With a generator in the same state the times and the noise are those of
    /// [`draw`](Self::draw).
    ///
    /// ```
    /// use scorebook::{prelude::*, train::DenoisingLoss};
    ///
    /// let (process, law) = (VariancePreserving::default(), Mixture::ring(6, 1.2, 0.2)?);
    /// let exact = MixtureScore::new(law.clone(), process);
    /// let x0 = law.sample(10_000, &mut Generator::new(1), &Device::Cpu)?;
    /// let loss = DenoisingLoss::default();
    /// let terms = loss.terms(&exact, &process, &x0, &mut Generator::new(2))?;
    /// let floor = loss.floor(&exact, &process, &x0, &mut Generator::new(2))?;
    /// let apart = (terms.mean_all()? - floor.mean_all()?)?.to_scalar::<f32>()?;
    /// assert!(apart.abs() < 0.02);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn terms(
        &self,
        score: &dyn Score,
        process: &dyn NoisingProcess,
        x0: &Tensor,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let noise = self.draw_noise(process, x0, generator)?;
        let DrawnNoise { t, z, .. } = &noise;
        let x = noised(process, x0, t, z)?;
        let std = per_sample(t, &x, |t| process.std(t))?;
        let errors = mean_square(&(score.score(&x, t)?.broadcast_mul(&std)? + z)?)?;
        noise.weighted(errors)
    }

    /// The terms of the least loss that there can be, `C₂ = E_t λ(t) (1/σ_t² - E‖∇ log p_t(x_t)‖²/d)`, `[batch]`, by the
    /// exact score of the noised law from which the batch `x0` `[batch, ...]` is a sample.
    ///
    /// It is the loss of the exact score: what of the noise cannot be told from the data (errata to note 003, line 231).
    /// Where there is much noise, and the loss of the exact score is small, these terms spread more than its own.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn floor(
        &self,
        exact: &dyn Score,
        process: &dyn NoisingProcess,
        x0: &Tensor,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let noise = self.draw_noise(process, x0, generator)?;
        let x = noised(process, x0, &noise.t, &noise.z)?;
        let std = per_sample(&noise.t, &x, |t| process.std(t))?;
        let known = mean_square(&exact.score(&x, &noise.t)?.broadcast_mul(&std)?)?;
        noise.weighted((1.0 - known)?)
    }

    /// That the settings fit a process.
    fn check(&self, process: &dyn NoisingProcess) -> Result<()> {
        let horizon = process.horizon();
        if !(self.t_min > 0.0 && self.t_min < horizon) {
            let expected = format!("a time between 0 and {horizon}, the end of the process");
            return Err(Error::argument("t_min", self.t_min, expected));
        }
        self.weighting.check()
    }

    /// A time for each sample, in F64 where the batch is, and its weight `λ/σ²`, corrected for the law of
    /// the times.
    fn draw_times(
        &self,
        process: &dyn NoisingProcess,
        x0: &Tensor,
        generator: &mut Generator,
    ) -> Result<(Tensor, Vec<f64>)> {
        self.check(process)?;
        let Some(&batch) = x0.dims().first() else {
            return Err(Error::shape("x0", x0.dims(), "[batch, ...]"));
        };
        // On the host: the schedule is computed there.
        let (t, corrections) = self.times.draw(process, self.t_min, batch, generator)?;
        let t = t.to_dtype(if x0.dtype() == DType::F64 { DType::F64 } else { DType::F32 })?;
        let times = crate::tensor::values(&t)?;
        let weight =
            |(t, correction): (&f64, f64)| self.weighting.of_noise(process, *t) * correction;
        let weights: Vec<f64> = times.iter().zip(corrections).map(weight).collect();
        if let Some(weight) = weights.iter().find(|weight| !weight.is_finite()) {
            let expected = "finite at every time; end the process before its signal is lost";
            return Err(Error::argument(
                "weighting",
                format!("{:?}, {weight}", self.weighting),
                expected,
            ));
        }
        Ok((t.to_device(x0.device())?, weights))
    }
}

/// Times `[batch]`, noise of the shape of the batch, and the samples' weights `[batch]` unless all are 1.
pub(super) struct DrawnNoise {
    t: Tensor,
    z: Tensor,
    weights: Option<Tensor>,
}

impl DrawnNoise {
    /// The loss of the batch `x0` that it was drawn for.
    pub fn loss(
        &self,
        network: &dyn Network,
        x0: &Tensor,
        condition: &Condition,
    ) -> Result<Tensor> {
        let Self { t, z, weights } = self;
        if weights.is_none() {
            return denoising_loss_given(network, x0, t, z, condition);
        }
        let x = noised(&network.process(), x0, t, z)?;
        let errors = mean_square(&(network.noise_output_given(&x, t, condition)? + z)?)?;
        Ok(self.weighted(errors)?.mean_all()?)
    }

    /// Numbers of the samples, `[batch]`, times the samples' weights.
    fn weighted(&self, errors: Tensor) -> Result<Tensor> {
        match &self.weights {
            Some(weights) => Ok((errors * weights)?),
            None => Ok(errors),
        }
    }

    /// That of `size` samples from number `from` on.
    pub fn part(&self, from: usize, size: usize) -> Result<Self> {
        let weights = self.weights.as_ref().map(|weights| weights.narrow(0, from, size));
        Ok(Self {
            t: self.t.narrow(0, from, size)?,
            z: self.z.narrow(0, from, size)?,
            weights: weights.transpose()?,
        })
    }
}

/// Numbers as `[batch]` of the type and device of `x`.
fn by_sample(weights: Vec<f64>, x: &Tensor) -> Result<Tensor> {
    let batch = weights.len();
    Ok(Tensor::from_vec(weights, batch, &Device::Cpu)?
        .to_dtype(x.dtype())?
        .to_device(x.device())?)
}
