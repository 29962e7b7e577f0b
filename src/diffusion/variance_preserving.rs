//! The variance-preserving SDE, the limit of DDPM's chain.

use super::{
    NoisingProcess,
    noising::{check_level, checked_betas},
};
use crate::Result;
use serde::{Deserialize, Serialize};

/// `dx = -½ β(t) x dt + √β(t) dw` with `β(t) = β_min + t (β_max - β_min)`, `0 ≤ t ≤ 1`.
///
/// With `B(t) = ∫₀ᵗ β`:
/// - `a(t) = -½ β(t)`, `g(t) = √β(t)`
/// - `α(t) = e^(-B/2)`, `σ²(t) = 1 - e^(-B)`
///
/// Data of variance 1 keep variance 1. The limit of DDPM's chain `x_i = √(1-c_i) x_{i-1} + √c_i z` with
/// `c_i = β(t_i)/N` (note 000, example II, which omits the `1/N`; Song et al. 2021, equation 11). The notes say
/// that `p_T` does not depend on `p_0` (003): approximately so, the default keeps `α(1) = 0.0066` of the data.
///
/// ```
/// use scorebook::diffusion::{NoisingProcess, VariancePreserving};
///
/// let process = VariancePreserving::new(0.1, 20.0)?;
/// assert!((process.mean_scale(1.0) - 0.0066).abs() < 1e-4);
/// assert!((process.mean_scale(0.3).powi(2) + process.std(0.3).powi(2) - 1.0).abs() < 1e-15);
/// assert_eq!((process.beta_min(), process.beta_max()), (0.1, 20.0));
/// // Half way the rate is what it is on average.
/// assert!((process.beta(0.5) - 10.05).abs() < 1e-14 && (process.beta_integral(1.0) - 10.05).abs() < 1e-14);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters")]
pub struct VariancePreserving {
    beta_min: f64,
    beta_max: f64,
}

#[derive(Deserialize)]
struct Parameters {
    beta_min: f64,
    beta_max: f64,
}

impl TryFrom<Parameters> for VariancePreserving {
    type Error = crate::Error;

    fn try_from(parameters: Parameters) -> Result<Self> {
        Self::new(parameters.beta_min, parameters.beta_max)
    }
}

impl VariancePreserving {
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
        self.beta_min + t * (self.beta_max - self.beta_min)
    }

    /// `B(t) = ∫₀ᵗ β(s) ds`.
    pub fn beta_integral(&self, t: f64) -> f64 {
        t * (self.beta_min + 0.5 * t * (self.beta_max - self.beta_min))
    }

    /// The time until which `β` adds up to `integral`, in a form that does not cancel; at most 1.
    pub(super) fn time_of_beta_integral(&self, integral: f64) -> f64 {
        if integral == 0.0 {
            return 0.0;
        }
        let root = self.beta_min.powi(2) + 2.0 * (self.beta_max - self.beta_min) * integral;
        (2.0 * integral / (self.beta_min + root.sqrt())).min(1.0)
    }
}

/// From 0.1 to 20, as Song et al. 2021 (appendix C).
impl Default for VariancePreserving {
    fn default() -> Self {
        Self { beta_min: 0.1, beta_max: 20.0 }
    }
}

impl NoisingProcess for VariancePreserving {
    fn rate(&self, t: f64) -> f64 {
        -0.5 * self.beta(t)
    }

    fn dispersion(&self, t: f64) -> f64 {
        self.beta(t).sqrt()
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

    fn time_of_noise_level(&self, level: f64) -> Result<f64> {
        check_level(self, level)?;
        // The level's square is e^B - 1.
        Ok(self.time_of_beta_integral(level.powi(2).ln_1p()))
    }
}
