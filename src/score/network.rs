//! What every network that learns a score has in common.

use super::Score;
use crate::diffusion::{NoisingProcess, Process, per_sample};
use crate::tensor::Parameters;
use crate::{Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// A network `s_θ(x, t)` that learns the score of the noised data, `∇ log p_t(x)`.
///
/// Its output is scaled by `1/σ_t`, so that what the layers learn, `σ_t s_θ ≈ -E[z | x_t]`, is of size one at every
/// time (notes 003, "score-SDE / NCSN output scaling").
pub trait Network: Score {
    /// `σ_t s_θ(x, t)`, differentiable in the parameters; `x` `[batch, ...]`, `t` `[batch]`.
    ///
    /// # Errors
    /// If the shapes are not those that the network was made for.
    fn noise_output(&self, x: &Tensor, t: &Tensor) -> Result<Tensor>;

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
}

impl Architecture {
    /// A word for messages: what is it, and of what size.
    pub fn summary(&self) -> String {
        match self {
            Self::Mlp(s) => format!("MLP of {} hidden layers of {}", s.layers, s.hidden),
            Self::Unet(s) => format!("U-Net with channels {:?}", s.channels),
        }
    }
}

/// The score `noise_output / σ_t`, differentiable in `x`; its network must be frozen.
pub(super) fn score_of(network: &impl Network, x: &Tensor, t: &Tensor) -> Result<Tensor> {
    let process = network.process();
    let output = network.noise_output(x, &t.detach())?;
    Ok(output.broadcast_div(&per_sample(t, x, |t| process.std(t))?)?)
}

/// `x` and `t` have the same batch.
pub(super) fn check_times(x: &Tensor, t: &Tensor) -> Result<()> {
    match x.dims().first() {
        Some(&batch) if t.dims() == [batch] => Ok(()),
        Some(batch) => Err(Error::shape("t", t.dims(), format!("[{batch}], as x's batch"))),
        None => Err(Error::shape("x", x.dims(), "[batch, ...]")),
    }
}
