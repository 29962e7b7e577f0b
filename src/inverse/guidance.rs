//! What stands for the likelihood's score.

use super::{Denoised, Measurement};
use crate::Result;
use candle_core::Tensor;
use std::fmt::Debug;

/// The likelihood's score `∇ₓ log p_t(y|x_t)`, exact or approximated: the second term of Bayes' rule.
///
/// `p_t(y|x_t) = ∫ p(y|x0) p(x0|x_t) dx0`; the methods differ in what they take for `p(x0|x_t)`. One of one's own:
///
/// ```
/// use scorebook::prelude::*;
///
/// /// Half of what DPS says.
/// #[derive(Debug)]
/// struct Cautious;
///
/// impl Guidance for Cautious {
///     fn name(&self) -> &'static str {
///         "cautious"
///     }
///
///     fn likelihood_score(&self, state: &Denoised, measurement: &Measurement) -> scorebook::Result<Tensor> {
///         Ok((Dps.likelihood_score(state, measurement)? * 0.5)?)
///     }
/// }
///
/// let (process, law) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let first = Mask::new(&Tensor::new(&[1f64, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2.0, 0.0]], &Device::Cpu)?, 0.5)?;
/// let posterior = PosteriorScore::new(MixtureScore::new(law, process), process, measurement, Cautious);
/// let x = Tensor::new(&[[0.3f64, 0.1]], &Device::Cpu)?;
/// assert_eq!(posterior.score(&x, &Tensor::new(&[0.5f64], &Device::Cpu)?)?.dims(), [1, 2]);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Guidance: Send + Sync + Debug {
    /// The method's name.
    fn name(&self) -> &'static str;

    /// `∇ log p_t(y|x_t)` at the state, `[batch, ...]`.
    ///
    /// # Errors
    /// If the method cannot take the operator, there is no noise at all, or no gradient flows through the score.
    fn likelihood_score(&self, state: &Denoised, measurement: &Measurement) -> Result<Tensor>;
}
