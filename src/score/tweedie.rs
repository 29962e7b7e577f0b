//! Tweedie's formula.

use super::Score;
use crate::{
    Result,
    diffusion::{NoisingProcess, same_time},
};
use candle_core::Tensor;

/// The mean of the data given a noised state, by Tweedie's formula:
/// `E[x0 | x_t] = (x_t + σ²(t) ∇log p_t(x_t))/α(t)`.
///
/// Samplers end with it: it takes the noise away that is left at their last time (Efron, JASA 106, 2011; note 003
/// calls the score a local approximation, but it is this posterior mean exactly).
///
/// ```
/// use scorebook::{prelude::*, diffusion::OrnsteinUhlenbeck, score::{ScoreFunction, tweedie}};
///
/// // Standard normal data under a process that preserves them: E[x0 | x_t] = e^(-t) x_t.
/// let score = ScoreFunction::new(|x, _t| Ok(x.neg()?));
/// let x = Tensor::new(&[[1f64]], &Device::Cpu)?;
/// let mean = tweedie(&OrnsteinUhlenbeck::default(), &score, &x, 0.7)?.to_vec2::<f64>()?[0][0];
/// assert!((mean - (-0.7f64).exp()).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the score fails.
pub fn tweedie(
    process: &dyn NoisingProcess,
    score: &dyn Score,
    x: &Tensor,
    t: f64,
) -> Result<Tensor> {
    let score = score.score(x, &same_time(t, x)?)?;
    Ok(((x + (score * process.std(t).powi(2))?)? / process.mean_scale(t))?)
}
