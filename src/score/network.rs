//! What every network that learns a score has in common.

use super::condition::no_labels;
use super::{Condition, Score};
use crate::diffusion::{NoisingProcess, Process, per_sample};
use crate::tensor::Parameters;
use crate::{Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// A network `s_θ(x, t)` that learns the score of the noised data, `∇ log p_t(x)`.
///
/// Its output is scaled by `1/σ_t`, so that what the layers learn, `σ_t s_θ ≈ -E[z | x_t]`, is of size one at every
/// time (notes 003, "score-SDE / NCSN output scaling").
///
/// ```
/// use scorebook::prelude::*;
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default();
/// let network = Mlp::new(MlpSettings::default(), process.into(), &mut generator, &Device::Cpu)?;
/// let (x, t) = (generator.normal((5, 2), &Device::Cpu)?, Tensor::full(0.5f32, 5, &Device::Cpu)?);
/// let output = network.noise_output(&x, &t)?; // σ_t s_θ(x, t)
/// let apart = (output - (network.score(&x, &t)? * process.std(0.5))?)?.abs()?.max_all()?;
/// assert!(apart.to_scalar::<f32>()? < 1e-6);
/// // What is done to a copy is not done to the network.
/// let copy = network.copy()?;
/// for (_, variable) in copy.parameters().iter() {
///     variable.set(&variable.zeros_like()?)?;
/// }
/// assert_eq!(copy.noise_output(&x, &t)?.abs()?.max_all()?.to_scalar::<f32>()?, 0.0);
/// assert!(network.noise_output(&x, &t)?.abs()?.max_all()?.to_scalar::<f32>()? > 0.0);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Network: Score {
    /// `σ_t s_θ(x, t)`, differentiable in the parameters and in `x`; `x` `[batch, ...]`, `t` `[batch]`. What the layers
    /// themselves are asked for may be another [`Parameterization`](super::Parameterization); it is converted.
    ///
    /// # Errors
    /// If the shapes are not those that the network was made for.
    fn noise_output(&self, x: &Tensor, t: &Tensor) -> Result<Tensor>;

    /// [`noise_output`](Self::noise_output) of samples of which more is known: their labels, and in training what is dropped.
    /// A network without dropout drops nothing.
    ///
    /// # Errors
    /// As there, and if labels are given that the network does not know.
    fn noise_output_given(&self, x: &Tensor, t: &Tensor, condition: &Condition) -> Result<Tensor> {
        match condition.labels {
            Some(_) => Err(no_labels()),
            None => self.noise_output(x, t),
        }
    }

    /// The trainable variables.
    fn parameters(&self) -> &Parameters;

    /// The noising process whose score is learned.
    fn process(&self) -> Process;

    /// What makes the same network again, without its weights.
    fn architecture(&self) -> Architecture;

    /// The same network with new variables of the same values.
    ///
    /// # Errors
    /// If there is no memory for them on their device.
    fn copy(&self) -> Result<Self>
    where
        Self: Sized;
}

/// What makes a network again, without its weights: what a checkpoint stores beside them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "kebab-case")]
pub enum Architecture {
    /// A multilayer perceptron for points.
    Mlp(super::MlpSettings),
    /// The U-Net for images of Song's tutorial.
    Unet(super::UnetSettings),
    /// The U-Net of residual blocks for images of any size.
    ResidualUnet(super::ResidualUnetSettings),
}

impl Architecture {
    /// A word for messages: what is it, and of what size.
    pub fn summary(&self) -> String {
        match self {
            Self::Mlp(s) => format!("MLP of {} hidden layers of {}", s.layers, s.hidden),
            Self::Unet(s) => format!("U-Net with channels {:?}", s.channels),
            Self::ResidualUnet(s) => format!("residual U-Net with channels {:?}", s.channels),
        }
    }
}

/// A network as a score `s_θ(x, t)` that is differentiable in its parameters and in `x`: what a loss takes.
///
/// A [`Network`] is a score by itself, but one for sampling: differentiable in `x` alone.
///
/// ```
/// use scorebook::{prelude::*, score::{Mlp, MlpSettings, Network, Score, Trainable}};
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = Mlp::new(MlpSettings::default(), process, &mut generator, &Device::Cpu)?;
/// let (x, t) = (generator.normal((5, 2), &Device::Cpu)?, Tensor::full(0.5f32, 5, &Device::Cpu)?);
/// let gradients = Trainable(&network).score(&x, &t)?.sum_all()?.backward()?;
/// assert!(network.parameters().iter().all(|(_, variable)| gradients.get(variable).is_some()));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Trainable<'a>(pub &'a dyn Network);

impl Score for Trainable<'_> {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let process = self.0.process();
        let output = self.0.noise_output(x, t)?;
        Ok(output.broadcast_div(&per_sample(t, x, |t| process.std(t))?)?)
    }
}

/// The score `noise_output / σ_t`, differentiable in `x`; its network must be frozen.
pub(super) fn score_of(network: &impl Network, x: &Tensor, t: &Tensor) -> Result<Tensor> {
    Trainable(network).score(x, &t.detach())
}

/// `x` and `t` have the same batch.
pub(super) fn check_times(x: &Tensor, t: &Tensor) -> Result<()> {
    match x.dims().first() {
        Some(&batch) if t.dims() == [batch] => Ok(()),
        Some(batch) => Err(Error::shape("t", t.dims(), format!("[{batch}], as x's batch"))),
        None => Err(Error::shape("x", x.dims(), "[batch, ...]")),
    }
}
