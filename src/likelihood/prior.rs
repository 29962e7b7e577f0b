//! The prior, and what it lacks of being the law of the noised data.

use crate::{Error, Result, diffusion::NoisingProcess, distribution::Density};
use candle_core::Tensor;
use std::f64::consts::TAU;

/// `ln π(x)` of the prior `π = N(0, prior_std² I)`, for `x` `[batch, ...]`, as `[batch]`.
///
/// ```
/// use scorebook::{prelude::*, likelihood::prior_log_prob};
///
/// let x = Tensor::new(&[[0f64, 0.0]], &Device::Cpu)?;
/// let log_prob = prior_log_prob(&VariancePreserving::default(), &x)?.to_vec1::<f64>()?[0];
/// assert!((log_prob + std::f64::consts::TAU.ln()).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `x` has no batch.
pub fn prior_log_prob(process: &dyn NoisingProcess, x: &Tensor) -> Result<Tensor> {
    let (rows, dim) = rows(x)?;
    let variance = process.prior_std().powi(2);
    Ok(rows.sqr()?.sum(1)?.affine(-0.5 / variance, -0.5 * dim as f64 * (TAU * variance).ln())?)
}

/// What the prior is wrong by: `ln p_T(x) - ln π(x)` at `x` `[batch, ...]`, as `[batch]`, where the law of the noised data
/// `end = p_T` is known.
///
/// Added to a [`LogLikelihood`](super::LogLikelihood) at its `latent`, it gives the likelihood under the flow that starts
/// from `p_T`. Its mean over draws of `p_T` is `KL(p_T‖π)`, the last term of the bound in notes 002 and 003.
///
/// ```
/// use scorebook::{prelude::*, likelihood::prior_mismatch};
///
/// let (process, data) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let end = data.noised(process.mean_scale(1.0), process.std(1.0))?;
/// let x = Tensor::new(&[[0.3f64, -1.0]], &Device::Cpu)?;
/// assert!(prior_mismatch(&process, &end, &x)?.abs()?.to_vec1::<f64>()?[0] < 1e-3);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `x` has not the dimension of `end`.
pub fn prior_mismatch(
    process: &dyn NoisingProcess,
    end: &dyn Density,
    x: &Tensor,
) -> Result<Tensor> {
    Ok((end.log_prob(&rows(x)?.0)? - prior_log_prob(process, x)?)?)
}

/// A bound on the mismatch where `p_T` is not known: `KL(p(x_T | x₀)‖π)` for data `x0` `[batch, ...]`, as `[batch]`.
///
/// The kernel is Gaussian, so it is `½ [α² ‖x₀‖²/s² + d (σ²/s² - 1 - ln σ²/s²)]` with `α`, `σ` at the horizon and
/// `s = prior_std`. Its mean over the data is at least `KL(p_T‖π)`, because that is convex in `p_T`.
///
/// ```
/// use scorebook::{prelude::*, likelihood::prior_mismatch_bound};
///
/// let x0 = Tensor::new(&[[1f64, -1.0]], &Device::Cpu)?;
/// let bound = prior_mismatch_bound(&VariancePreserving::default(), &x0)?.to_vec1::<f64>()?[0];
/// assert!(0.0 < bound && bound < 1e-4);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `x0` has no batch.
pub fn prior_mismatch_bound(process: &dyn NoisingProcess, x0: &Tensor) -> Result<Tensor> {
    let (rows, dim) = rows(x0)?;
    let (end, prior) = (process.horizon(), process.prior_std().powi(2));
    let ratio = process.std(end).powi(2) / prior;
    let of_mean = 0.5 * process.mean_scale(end).powi(2) / prior;
    // `ratio - 1 - ln ratio`, near 1 too.
    let of_width = (ratio - 1.0) - (ratio - 1.0).ln_1p();
    Ok(rows.sqr()?.sum(1)?.affine(of_mean, 0.5 * dim as f64 * of_width)?)
}

/// `x` as `[batch, dim]`, and the dimension.
pub(super) fn rows(x: &Tensor) -> Result<(Tensor, usize)> {
    match x.dims() {
        [batch, rest @ ..] if *batch > 0 => {
            let dim = rest.iter().product();
            Ok((x.reshape((*batch, dim))?, dim))
        }
        dims => Err(Error::shape("x", dims, "[batch, ...] with at least one sample")),
    }
}
