//! The denoising score matching loss.

use crate::diffusion::{NoisingProcess, Process};
use crate::random::Generator;
use crate::score::Network;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
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
/// # Errors
/// If the shapes do not fit or a time lies outside the process.
pub fn denoising_loss(
    network: &dyn Network,
    x0: &Tensor,
    t: &Tensor,
    z: &Tensor,
) -> Result<Tensor> {
    if z.dims() != x0.dims() {
        return Err(Error::shape("z", z.dims(), format!("{:?}, as x0", x0.dims())));
    }
    let (mean, std) = network.process().marginal_prob(x0, t)?;
    let x = (mean + z.broadcast_mul(&std)?)?;
    Ok((network.noise_output(&x, t)? + z)?.sqr()?.mean_all()?)
}

/// [`denoising_loss`] at random times, uniform on `[t_min, T]`, and standard normal noise.
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
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DenoisingLoss {
    /// The earliest time, above 0: at 0 there is no noise and no conditional score.
    pub t_min: f64,
}

impl Default for DenoisingLoss {
    fn default() -> Self {
        Self { t_min: 1e-5 }
    }
}

impl DenoisingLoss {
    /// The loss of one batch `x0` `[batch, ...]`.
    ///
    /// # Errors
    /// If `t_min` is not within the process's time or the network does not take the shape.
    pub fn draw(
        &self,
        network: &dyn Network,
        x0: &Tensor,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let (t, z) = self.times_and_noise(&network.process(), x0, generator)?;
        self.at(network, x0, &t, &z)
    }

    /// The times `[batch]` and the noise, of the shape of `x0`, of one batch.
    pub(super) fn times_and_noise(
        &self,
        process: &Process,
        x0: &Tensor,
        generator: &mut Generator,
    ) -> Result<(Tensor, Tensor)> {
        let horizon = process.horizon();
        if !(self.t_min > 0.0 && self.t_min < horizon) {
            let expected = format!("a time between 0 and {horizon}, the end of the process");
            return Err(Error::argument("t_min", self.t_min, expected));
        }
        let Some(&batch) = x0.dims().first() else {
            return Err(Error::shape("x0", x0.dims(), "[batch, ...]"));
        };
        // On the host: the schedule is computed there.
        let t =
            generator.uniform(self.t_min, horizon, batch, &Device::Cpu)?.to_device(x0.device())?;
        Ok((t, generator.normal_like(x0)?))
    }

    /// The loss at the times and the noise of [`DenoisingLoss::times_and_noise`], or at the same part of all three.
    pub(super) fn at(
        &self,
        network: &dyn Network,
        x0: &Tensor,
        t: &Tensor,
        z: &Tensor,
    ) -> Result<Tensor> {
        denoising_loss(network, x0, t, z)
    }
}
