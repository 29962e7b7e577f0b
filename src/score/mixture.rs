//! The exact score of a noised mixture of Gaussians.

use super::{
    FusedMixture, Score,
    noised::{flatten, kernel},
};
use crate::{
    Error, Result,
    diffusion::NoisingProcess,
    distribution::{Density, Mixture},
};
use candle_core::Tensor;
use std::sync::Arc;

/// The exact score of `p_t`, where data from a [`Mixture`] are noised by any process.
///
/// The components stay Gaussian, with the means `α(t) μ_k` and the variances `α²(t) s_k² + σ²(t)`, so
/// `∇ log p_t` has a closed form. It is what a trained score is compared with.
///
/// ```
/// use scorebook::{
///     prelude::*, diffusion::VariancePreserving, distribution::Mixture, score::{MixtureScore, Score},
/// };
///
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, VariancePreserving::default());
/// let x = Tensor::new(&[[3f32, 1.0], [0.0, 2.0]], &Device::Cpu)?;
/// let t = Tensor::new(&[0.01f32, 1.0], &Device::Cpu)?;
/// let s = score.score(&x, &t)?.to_vec2::<f32>()?;
/// // At the end nearly the score of a standard Gaussian.
/// assert!(s[1][0].abs() < 1e-2 && (s[1][1] + 2.0).abs() < 1e-2);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MixtureScore {
    mixture: Mixture,
    process: Arc<dyn NoisingProcess>,
}

impl MixtureScore {
    /// The score of `mixture` noised by `process`.
    pub fn new(mixture: Mixture, process: impl NoisingProcess + 'static) -> Self {
        Self { mixture, process: Arc::new(process) }
    }

    /// `ln p_t(x)` for `x` `[batch, ...]` and `t` `[batch]`, as `[batch]`.
    ///
    /// # Errors
    /// If a sample has not the mixture's dimension, or `t` is not one time in `[0, T]` a sample.
    pub fn log_prob(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let (scales, stds) = kernel(&*self.process, x, t)?;
        self.mixture.noised_log_prob(&flatten(x, self.mixture.dim())?, &scales, &stds)
    }

    /// The score at one time, for loops on plain numbers.
    ///
    /// ```
    /// use scorebook::{prelude::*, sde::Lanes};
    ///
    /// let score = MixtureScore::new(Mixture::ring(8, 2.0, 0.5)?, VariancePreserving::default());
    /// let exact = score.score(&Tensor::new(&[[1f64, -0.5]], &Device::Cpu)?, &Tensor::new(&[0.3f64], &Device::Cpu)?)?;
    /// let [x, y] = score.fused(0.3)?.score([Lanes::from(1.0), Lanes::from(-0.5)]);
    /// let exact = exact.to_vec2::<f64>()?;
    /// assert!((f64::from(x.0[0]) - exact[0][0]).abs() < 1e-4 && (f64::from(y.0[0]) - exact[0][1]).abs() < 1e-4);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `t` is not in `[0, T]`, or the mixture has not `D` dimensions.
    pub fn fused<const D: usize>(&self, t: f64) -> Result<FusedMixture<D>> {
        let horizon = self.process.horizon();
        if !(0.0..=horizon).contains(&t) {
            return Err(Error::argument("t", t, format!("a time in [0, {horizon}]")));
        }
        FusedMixture::new(&self.mixture, self.process.mean_scale(t), self.process.std(t))
    }
}

impl Score for MixtureScore {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let (scales, stds) = kernel(&*self.process, x, t)?;
        let score = self.mixture.noised_score(&flatten(x, self.mixture.dim())?, &scales, &stds)?;
        Ok(score.reshape(x.shape())?)
    }
}
