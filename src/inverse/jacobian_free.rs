//! Guidance without a derivative of the denoiser.

use super::{Denoised, Guidance, Measurement};
use crate::Result;
use candle_core::Tensor;

/// The likelihood of the noised state itself, with noise to match:
///
/// `∇ log p_t(y|x_t) ≈ Aᵀ (y - A x_t/α)/(α (ς² + σ_y²))` with the noise level `ς = σ/α`.
///
/// It forgets the prior in `p(x0|x_t)`: `x_t/α = x0 + ς z` is taken for `x0` with the error `ς`. No derivative of the
/// denoiser is needed, so it is the cheapest; and what is not measured is not reached by it at all.
///
/// Source: Jalal et al., *Robust compressed sensing MRI with deep generative priors*, NeurIPS 2021, equation 4, with their
/// `γ_t = ς(t)`.
///
/// ```
/// use scorebook::prelude::*;
///
/// // The measured coordinate is drawn to 2, the other one left alone.
/// let (process, law) = (VariancePreserving::default(), Mixture::new([1.0], [[0.0, 0.0]], [2.0])?);
/// let first = Mask::new(&Tensor::new(&[1f64, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2f64, 0.0]], &Device::Cpu)?, 0.5)?;
/// let x = Tensor::new(&[[0.3f64, 0.1]], &Device::Cpu)?;
///
/// let state = Denoised::at(&process, &MixtureScore::new(law, process), &x, 0.5)?;
/// let guess = JacobianFree.likelihood_score(&state, &measurement)?.to_vec2::<f64>()?;
/// let level = state.std / state.scale;
/// let exact = (2.0 - 0.3 / state.scale) / (state.scale * (level * level + 0.25));
/// assert!((guess[0][0] - exact).abs() < 1e-12 && guess[0][1] == 0.0);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JacobianFree;

impl Guidance for JacobianFree {
    fn name(&self) -> &'static str {
        "Jacobian-free"
    }

    fn likelihood_score(&self, state: &Denoised, measurement: &Measurement) -> Result<Tensor> {
        state.needs_noise(measurement.std())?;
        let linear = measurement.linear("Jacobian-free guidance")?;
        let residual = measurement.residual(&(state.x().detach() / state.scale)?)?;
        let variance = (state.std / state.scale).powi(2) + measurement.std().powi(2);
        Ok((linear.adjoint(&residual)? / (state.scale * variance))?)
    }
}
