//! The Langevin step: proposal of MALA, unadjusted Langevin dynamics, gradient ascent.

use super::{
    Noise, Point, Proposal,
    proposal::{check_positive, check_scales},
};
use crate::{Error, Result};

/// The step of Langevin dynamics, `y = x + ε m² ∇ln p(x) + λ √(2ε) m z` with `z ~ N(0, I)`.
///
/// It is one Euler-Maruyama step of `dx = ∇ln p dt + √2 dW`, whose stationary law is `p`. Note 000 calls sampling "a
/// randomized version of the maximal point problem" and leaves the link out: this is it. Without noise (`λ = 0`) it is
/// gradient *ascent* on `ln p` (the note has "descent"), whose end is a mode; with it the points spread over `p`.
///
/// As a [`Proposal`] it makes the Metropolis-adjusted Langevin algorithm, MALA, which samples from `p` exactly (Roberts
/// and Tweedie, Bernoulli 2, 1996; best at an acceptance of 57 %). [`Chains::langevin`](super::Chains::langevin) takes
/// each step as it is: the unadjusted algorithm, whose law is off by O(ε).
#[derive(Clone, Debug)]
pub struct Langevin {
    /// The step size `ε`.
    pub step: f64,
    /// The level of noise `λ`: 1 for Langevin dynamics, whose stationary law is `p^(1/λ²)` in general; 0 for gradient
    /// ascent.
    pub noise: f64,
    /// A length `m` for each coordinate, about its standard deviation under the target; `None` for 1.
    pub scales: Option<Vec<f64>>,
}

/// `ε = 0.01`, `λ = 1`, and no scales.
impl Default for Langevin {
    fn default() -> Self {
        Self { step: 0.01, noise: 1.0, scales: None }
    }
}

impl Langevin {
    fn scale(&self, i: usize) -> f64 {
        self.scales.as_ref().map_or(1.0, |scales| scales[i])
    }

    /// That the settings are in their ranges; without correction the noise may be 0.
    pub(super) fn check_dynamics(&self, dim: usize) -> Result<()> {
        check_positive("step", self.step)?;
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return Err(Error::argument("noise", self.noise, "a number of at least 0"));
        }
        self.scales.as_ref().map_or(Ok(()), |scales| check_scales("scales", scales, dim))
    }

    /// `‖(y - x)/m - ε m ∇ln p(x)‖²`: the square of the noise that leads from `x` to `y`.
    fn residual(&self, from: Point<'_>, to: Point<'_>) -> f64 {
        let mut sum = 0.0;
        for (i, ((x, score), y)) in from.x.iter().zip(from.score).zip(to.x).enumerate() {
            let scale = self.scale(i);
            let r = (y - x) / scale - self.step * scale * score;
            sum += r * r;
        }
        sum
    }
}

impl Proposal for Langevin {
    fn uses_score(&self) -> bool {
        true
    }

    fn check(&self, dim: usize) -> Result<()> {
        self.check_dynamics(dim)?;
        // Without noise there is no density that could be compared.
        check_positive("noise", self.noise)
    }

    #[inline]
    fn propose(&self, from: Point<'_>, noise: &mut Noise, to: &mut [f64]) {
        let spread = self.noise * (2.0 * self.step).sqrt();
        for (i, ((x, score), y)) in from.x.iter().zip(from.score).zip(to).enumerate() {
            let scale = self.scale(i);
            *y = x + scale * (self.step * scale * score + spread * noise.normal());
        }
    }

    #[inline]
    fn log_ratio(&self, from: Point<'_>, to: Point<'_>) -> f64 {
        let difference = self.residual(from, to) - self.residual(to, from);
        difference / (4.0 * self.step * self.noise * self.noise)
    }

    /// `factor` lengthens the noise, so the step size `ε` by its square.
    fn rescaled(&self, factor: f64) -> Option<Self> {
        Some(Self { step: factor * factor * self.step, ..self.clone() })
    }
}
