//! The SDE that runs any Itô SDE backwards.

use crate::{
    Error, Result,
    diffusion::same_time,
    score::{Score, checked_score},
    sde::{Dispersion, Sde},
};
use candle_core::Tensor;

/// The reverse-time SDE of any Itô SDE `dx = f(x, t) dt + g(x, t) dw`, with a free level of noise `λ`:
/// `dx = (f - ½ (1 + λ²) [∇·G + G ∇ln p_t]) dt + λ g dw̄` with `G = g gᵀ` and `(∇·G)_i = Σ_j ∂_j G_ij`, run from `T` down.
///
/// `λ = 1` is Anderson's equation, `f̄_i = f_i - Σ_j [∂_j G_ij + G_ij ∂_j ln p]` (Stoch. Proc. Appl. 12, 1982, equation
/// 3.4; note 000, where the sum over `j` covers one of the two terms only). Under regularity its joint laws are those of
/// the SDE. `λ = 0` is the probability flow `f - ½ ∇·G - ½ G ∇ln p` (Song et al. 2021, equation 37); every `λ` has the
/// marginals `p_t`, because `½ ∇∇:(G p) = ½ ∇·([∇·G + G ∇ln p] p)`.
///
/// The divergence is the SDE's own [`covariance_divergence`](Sde::covariance_divergence): a closed form, or central
/// differences. Where `g` is a function of time alone it is 0; for the affine processes see
/// [`ReverseSde`](super::ReverseSde).
///
/// ```
/// use scorebook::prelude::*;
///
/// // Geometric Brownian motion dx = x dw from ln x ~ N(0, 1): ln x(t) ~ N(-t/2, 1 + t).
/// let sde = GeometricBrownianMotion { mu: 0.0, sigma: 1.0 };
/// let score = ScoreFunction::new(|x, t| {
///     let deviation = x.log()?.broadcast_add(&(t * 0.5)?.unsqueeze(1)?)?;
///     Ok(((deviation.broadcast_div(&(t + 1.0)?.unsqueeze(1)?)? + 1.0)? / x)?.neg()?)
/// });
/// let reverse = AndersonReverse { sde, score, noise: 1.0 };
/// let mut generator = Generator::new(7);
/// let x = generator.normal((10_000, 1), &Device::Cpu)?.affine(2f64.sqrt(), -0.5)?.exp()?;
/// let x = EulerMaruyama::default().solve(&reverse, &x, &time_grid(1.0, 0.0, 100)?, &mut generator)?.x;
/// // The median of exp N(0, 1), with a standard error of √(π/2)/100.
/// let above = x.ge(1f32)?.to_dtype(DType::F32)?.mean_all()?.to_scalar::<f32>()?;
/// assert!((above - 0.5).abs() < 0.04);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AndersonReverse<E, S> {
    /// The SDE that is reversed.
    pub sde: E,
    /// The score of its marginals.
    pub score: S,
    /// The level of noise `λ ≥ 0`: 1 for Anderson's SDE, 0 for the probability flow.
    pub noise: f64,
}

impl<E, S> AndersonReverse<E, S> {
    fn level(&self) -> Result<f64> {
        if self.noise >= 0.0 && self.noise.is_finite() {
            return Ok(self.noise);
        }
        Err(Error::argument("noise", self.noise, "a number of at least 0"))
    }
}

/// What the noise of an SDE does to the density, as a velocity: `G ∇ln p + ∇·G = p⁻¹ ∇·(G p)`.
fn spreading(sde: &dyn Sde, score: &dyn Score, x: &Tensor, t: f64) -> Result<Tensor> {
    let g = sde.dispersion(x, t)?;
    g.noise_dims(x)?;
    let pull = g.covariance(&checked_score(score, x, &same_time(t, x)?)?)?;
    Ok(match sde.covariance_divergence(x, t)? {
        Some(divergence) => (pull + divergence)?,
        None => pull,
    })
}

impl<E: Sde, S: Score> Sde for AndersonReverse<E, S> {
    fn drift(&self, x: &Tensor, t: f64) -> Result<Tensor> {
        let share = -0.5 * (1.0 + self.level()?.powi(2));
        Ok((self.sde.drift(x, t)? + (spreading(&self.sde, &self.score, x, t)? * share)?)?)
    }

    fn dispersion(&self, x: &Tensor, t: f64) -> Result<Dispersion> {
        self.sde.dispersion(x, t)?.scaled(self.level()?)
    }
}
