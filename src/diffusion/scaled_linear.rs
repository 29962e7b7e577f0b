//! The schedule of latent diffusion, whose square root is linear.

use super::{
    NoisingProcess,
    noising::{check_level, checked_betas},
};
use crate::Result;
use serde::{Deserialize, Serialize};

/// `dx = -½ β(t) x dt + √β(t) dw` with `√β(t) = √β_min + t (√β_max - √β_min)`, `0 ≤ t ≤ 1`.
///
/// With `B(t) = ∫₀ᵗ β = t (β_min + √(β_min β(t)) + β(t))/3`:
/// - `a(t) = -½ β(t)`, `g(t) = √β(t)`
/// - `α(t) = e^(-B/2)`, `σ²(t) = 1 - e^(-B)`
///
/// The limit of the chain that `diffusers` calls `scaled_linear`
/// ([`DdpmChain::scaled_linear`](super::DdpmChain::scaled_linear)), as Stable Diffusion has it (Rombach et al.
/// 2022).
///
/// ```
/// use scorebook::diffusion::{NoisingProcess, ScaledLinear};
///
/// let process = ScaledLinear::default();
/// assert_eq!((process.beta_min(), process.beta_max()), (0.85, 12.0));
/// // More than VP's 0.0066 is left at the end.
/// assert!((process.mean_scale(1.0) - 0.0690).abs() < 1e-4);
/// // √β from 1 to 2.
/// let process = ScaledLinear::new(1.0, 4.0)?;
/// assert_eq!(process.beta(0.5), 1.5 * 1.5);
/// assert!((process.beta_integral(1.0) - 7.0 / 3.0).abs() < 1e-15);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters")]
pub struct ScaledLinear {
    beta_min: f64,
    beta_max: f64,
}

#[derive(Deserialize)]
struct Parameters {
    beta_min: f64,
    beta_max: f64,
}

impl TryFrom<Parameters> for ScaledLinear {
    type Error = crate::Error;

    fn try_from(parameters: Parameters) -> Result<Self> {
        Self::new(parameters.beta_min, parameters.beta_max)
    }
}

impl ScaledLinear {
    /// Noise at a rate that goes from `β_min` to `β_max`.
    ///
    /// # Errors
    /// If `0 ≤ beta_min ≤ beta_max` and `beta_max > 0` do not hold.
    pub fn new(beta_min: f64, beta_max: f64) -> Result<Self> {
        let (beta_min, beta_max) = checked_betas(beta_min, beta_max)?;
        Ok(Self { beta_min, beta_max })
    }

    /// The rate at time 0.
    pub fn beta_min(&self) -> f64 {
        self.beta_min
    }

    /// The rate at time 1.
    pub fn beta_max(&self) -> f64 {
        self.beta_max
    }

    /// `β(t)`.
    pub fn beta(&self, t: f64) -> f64 {
        self.dispersion(t).powi(2)
    }

    /// `B(t) = ∫₀ᵗ β(s) ds`.
    pub fn beta_integral(&self, t: f64) -> f64 {
        let (start, now) = (self.beta_min.sqrt(), self.dispersion(t));
        t * (start * start + start * now + now * now) / 3.0
    }
}

/// From 0.85 to 12, as Stable Diffusion's chain of 1000 steps from 0.00085 to 0.012.
impl Default for ScaledLinear {
    fn default() -> Self {
        Self { beta_min: 0.85, beta_max: 12.0 }
    }
}

impl NoisingProcess for ScaledLinear {
    fn rate(&self, t: f64) -> f64 {
        -0.5 * self.beta(t)
    }

    fn dispersion(&self, t: f64) -> f64 {
        let start = self.beta_min.sqrt();
        start + t * (self.beta_max.sqrt() - start)
    }

    fn mean_scale(&self, t: f64) -> f64 {
        (-0.5 * self.beta_integral(t)).exp()
    }

    fn std(&self, t: f64) -> f64 {
        (-(-self.beta_integral(t)).exp_m1()).sqrt()
    }

    fn horizon(&self) -> f64 {
        1.0
    }

    fn prior_std(&self) -> f64 {
        1.0
    }

    /// From `β^(3/2) = β_min^(3/2) + 3 (√β_max - √β_min) B` with `B = ln(1 + level²)`.
    fn time_of_noise_level(&self, level: f64) -> Result<f64> {
        check_level(self, level)?;
        let integral = level.powi(2).ln_1p();
        if integral == 0.0 {
            return Ok(0.0);
        }
        let start = self.beta_min.sqrt();
        let growth = self.beta_max.sqrt() - start;
        let now = (start.powi(3) + 3.0 * growth * integral).cbrt();
        Ok((3.0 * integral / (start * start + start * now + now * now)).min(1.0))
    }
}
