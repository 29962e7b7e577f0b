//! The exact score of a noised Gaussian.

use super::{
    Score,
    noised::{flatten, kernel, rows},
};
use crate::{
    Result,
    diffusion::NoisingProcess,
    distribution::{Density, Gaussian, symmetric_eigen},
};
use candle_core::{D, Tensor};
use std::sync::Arc;

/// The exact score of `p_t`, where data from a [`Gaussian`] are noised by any process.
///
/// `p_t = N(α μ, α² Σ + σ² I)`, so `∇ log p_t(x) = -(α² Σ + σ² I)⁻¹ (x - α μ)`. The noise is the same in all
/// directions, so the principal axes of `Σ = U diag(λ) Uᵀ` are those of every `p_t`: they are found once, and each
/// time costs two products with `U`, not a factorisation.
///
/// ```
/// use scorebook::{
///     prelude::*, diffusion::OrnsteinUhlenbeck, distribution::Gaussian, score::{GaussianScore, Score},
/// };
///
/// // Note 001's process from its stationary law N(0, σ²/(2β)): the score stays what it is.
/// let (process, law) = (OrnsteinUhlenbeck::new(1.0, 2.0, 3.0)?, Gaussian::isotropic([0.0, 0.0], 2f64.sqrt())?);
/// let score = GaussianScore::new(law, process);
/// let x = Tensor::new(&[[1f64, -2.0], [1.0, -2.0]], &Device::Cpu)?;
/// let s = score.score(&x, &Tensor::new(&[0f64, 2.5], &Device::Cpu)?)?.to_vec2::<f64>()?;
/// assert!(s.iter().all(|s| (s[0] + 0.5).abs() < 1e-12 && (s[1] - 1.0).abs() < 1e-12));
/// // ln N(x; 0, 2 I) = -‖x‖²/4 - ln 4π.
/// let log_prob = score.log_prob(&x, &Tensor::new(&[0f64, 2.5], &Device::Cpu)?)?.to_vec1::<f64>()?;
/// assert!(log_prob.iter().all(|value| (value + 1.25 + (4.0 * std::f64::consts::PI).ln()).abs() < 1e-12));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianScore {
    mean: Vec<f64>,
    /// The variances along the principal axes.
    variances: Vec<f64>,
    /// The axes `U`, as columns.
    axes: Vec<f64>,
    process: Arc<dyn NoisingProcess>,
}

impl GaussianScore {
    /// The score of `law` noised by `process`.
    pub fn new(law: Gaussian, process: impl NoisingProcess + 'static) -> Self {
        let (variances, axes) = symmetric_eigen(&law.covariance(), law.dim());
        Self { mean: law.mean().to_vec(), variances, axes, process: Arc::new(process) }
    }

    /// `ln p_t(x)` for `x` `[batch, ...]` and `t` `[batch]`, as `[batch]`.
    ///
    /// # Errors
    /// If a sample has not the law's dimension, or `t` is not one time in `[0, T]` a sample.
    pub fn log_prob(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let (along, variances, _) = self.along_axes(x, t)?;
        let volume = ((&variances * std::f64::consts::TAU)?.log()?.sum(D::Minus1)? * -0.5)?;
        let squares = (along.sqr()?.broadcast_div(&variances)?.sum(D::Minus1)? * -0.5)?;
        Ok(squares.broadcast_add(&volume)?)
    }

    /// `Uᵀ (x - α μ)`, the variances of its coordinates, and `U`.
    fn along_axes(&self, x: &Tensor, t: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
        let dim = self.mean.len();
        let (scales, stds) = kernel(&*self.process, x, t)?;
        let x = flatten(x, dim)?;
        let axes = rows(self.axes.clone(), dim, &x)?;
        let centres = scales.iter().flat_map(|scale| self.mean.iter().map(move |m| scale * m));
        let centred = x.broadcast_sub(&rows(centres.collect(), dim, &x)?)?;
        let variances = scales.iter().zip(&stds).flat_map(|(scale, std)| {
            self.variances.iter().map(move |own| scale * scale * own + std * std)
        });
        let variances = rows(variances.collect(), dim, &x)?;
        Ok((centred.matmul(&axes)?, variances, axes))
    }
}

impl Score for GaussianScore {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let (along, variances, axes) = self.along_axes(x, t)?;
        let score = along.broadcast_div(&variances)?.neg()?.matmul(&axes.t()?)?;
        Ok(score.reshape(x.shape())?)
    }
}
