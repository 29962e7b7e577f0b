//! Explicit score matching, where the truth is known.

use super::denoising::mean_square;
use crate::{Result, score::Score};
use candle_core::Tensor;

/// `‖s(x, t) - ∇ log p_t(x)‖² / d` for each sample: what score matching is about, and what can be computed only where
/// the exact score is known.
///
/// `x` is `[batch, ...]`, drawn from `p_t`, `t` is `[batch]`; the result is `[batch]`, differentiable where `score` is (a
/// network as [`Trainable`](crate::score::Trainable)). Its mean is the Fisher divergence, over `d` (note 003; Hyvärinen
/// 2005, equation 2, has half of the sum over the coordinates).
///
/// ```
/// use scorebook::{prelude::*, train::explicit_score_matching};
///
/// let narrow = ScoreFunction::new(|x, _t| Ok((x * -2.0)?));
/// let exact = ScoreFunction::new(|x, _t| Ok((x * -1.0)?));
/// let (x, t) = (Tensor::new(&[[1f64, 3.0]], &Device::Cpu)?, Tensor::new(&[0.5f64], &Device::Cpu)?);
/// assert_eq!(explicit_score_matching(&narrow, &exact, &x, &t)?.to_vec1::<f64>()?, [5.0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If a score does not take the shapes.
pub fn explicit_score_matching(
    score: &dyn Score,
    exact: &dyn Score,
    x: &Tensor,
    t: &Tensor,
) -> Result<Tensor> {
    mean_square(&(score.score(x, t)? - exact.score(x, t)?.detach())?)
}
