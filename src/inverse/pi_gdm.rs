//! Pseudoinverse-guided diffusion.

use super::{Denoised, Guidance, Measurement};
use crate::{Error, Result};
use candle_core::Tensor;

/// Pseudoinverse-guided diffusion's likelihood, ΠGDM: a Gaussian about the mean, `p(x0|x_t) ≈ N(x̂0, r_t² I)`, so
///
/// `∇ log p_t(y|x_t) ≈ (∂x̂0/∂x_t)ᵀ Aᵀ (r_t² A Aᵀ + σ_y² I)⁻¹ (y - A x̂0)`
///
/// with `r_t² = s² ς²/(s² + ς²)` for the noise level `ς = σ/α`: the posterior variance if the data were `N(·, s² I)`.
/// For linear operators. Taking `r_t = 0` gives [`Dps`](super::Dps); the true covariance instead of `r_t² I` would be
/// exact for Gaussian data.
///
/// A network's guess `x̂0` errs most where there is much noise, and its Jacobian with it; for data of a known range let the
/// prior be [`Bounded`](crate::score::Bounded).
///
/// The paper's algorithm multiplies this by `r_t²` once more, a step size; here it is what Bayes' rule asks for.
///
/// Source: J. Song, Vahdat, Mardani and Kautz, *Pseudoinverse-guided diffusion models for inverse problems*, ICLR 2023,
/// equations 7 and 8, with `s = 1` there.
///
/// ```
/// use scorebook::prelude::*;
///
/// // For data N(0, s² I) it is exact.
/// let (process, law) = (VariancePreserving::default(), Mixture::new([1.0], [[0.0, 0.0]], [2.0])?);
/// let first = Mask::new(&Tensor::new(&[1f64, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2f64, 0.0]], &Device::Cpu)?, 0.5)?;
/// let x = Tensor::new(&[[0.3f64, 0.1]], &Device::Cpu)?;
///
/// let state = Denoised::at(&process, &MixtureScore::new(law.clone(), process), &x, 0.5)?;
/// let guess = PiGdm { data_std: 2.0 }.likelihood_score(&state, &measurement)?;
/// let exact = ExactLikelihood::new(law).likelihood_score(&state, &measurement)?;
/// assert!((guess - exact)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PiGdm {
    /// The standard deviation `s` of the data, at which `r_t` saturates; 1 in the paper.
    ///
    /// A change of `x̂0` is answered by `Cov(x0|x_t)/(r_t² + σ_y²)` times itself, so where `r_t²` is far less than the variance
    /// along the widest principal direction, a sampler with few steps overshoots.
    pub data_std: f64,
}

/// The paper's: data of variance 1.
impl Default for PiGdm {
    fn default() -> Self {
        Self { data_std: 1.0 }
    }
}

impl PiGdm {
    /// `r_t²`.
    fn variance(&self, state: &Denoised) -> Result<f64> {
        if !(self.data_std > 0.0 && self.data_std.is_finite()) {
            return Err(Error::argument("data_std", self.data_std, "a positive number"));
        }
        let (own, level) = (self.data_std.powi(2), (state.std / state.scale).powi(2));
        Ok(own * level / (own + level))
    }

    /// The likelihood's score, and `log p_t(y|x_t)` `[batch]` up to what is the same for all `x_t`.
    pub(super) fn evaluate(
        &self,
        state: &Denoised,
        measurement: &Measurement,
    ) -> Result<(Tensor, Tensor)> {
        state.needs_noise(measurement.std())?;
        let linear = measurement.linear("ΠGDM")?;
        let residual = measurement.residual(&state.mean.detach())?;
        let (spread, noise) = (self.variance(state)?, measurement.std().powi(2));
        // (r² A Aᵀ + σ_y²)⁻¹ by the larger of the two, so that either may be 0.
        let weighted = if spread > 0.0 {
            (linear.solve(&residual, noise / spread)? / spread)?
        } else {
            (&residual / noise)?
        };
        let log_prob = ((&residual * &weighted)?.flatten_from(1)?.sum(1)? * -0.5)?;
        Ok((state.pull_back(&linear.adjoint(&weighted)?)?, log_prob))
    }
}

impl Guidance for PiGdm {
    fn name(&self) -> &'static str {
        "ΠGDM"
    }

    fn likelihood_score(&self, state: &Denoised, measurement: &Measurement) -> Result<Tensor> {
        Ok(self.evaluate(state, measurement)?.0)
    }
}
