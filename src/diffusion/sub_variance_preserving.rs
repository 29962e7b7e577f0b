//! The sub-variance-preserving SDE.

use super::{NoisingProcess, VariancePreserving, noising::check_level};
use crate::Result;
use serde::{Deserialize, Serialize};

/// `dx = -½ β(t) x dt + √(β(t) (1 - e^(-2B(t)))) dw` with `β` and `B = ∫β` of [`VariancePreserving`].
///
/// - `a(t) = -½ β(t)`, `g²(t) = β(t) (1 - e^(-2B))`
/// - `α(t) = e^(-B/2)`, `σ(t) = 1 - e^(-B)`
///
/// The variance stays below that of the variance-preserving SDE with the same `β`, for the same mean. It is the
/// SDE that note 002 calls "another SDE that worked pretty well" (Song et al. 2021, equation 12 and appendix B).
///
/// ```
/// use scorebook::diffusion::{NoisingProcess, SubVariancePreserving, VariancePreserving};
///
/// let (sub, full) = (SubVariancePreserving::new(0.1, 20.0)?, VariancePreserving::new(0.1, 20.0)?);
/// assert_eq!(sub.mean_scale(0.4), full.mean_scale(0.4));
/// assert!((sub.std(0.4) - full.std(0.4).powi(2)).abs() < 1e-15);
/// assert_eq!((sub.beta_min(), sub.beta_max()), (0.1, 20.0));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubVariancePreserving {
    /// The process with the same mean.
    full: VariancePreserving,
}

impl SubVariancePreserving {
    /// Noise at a rate that goes from `β_min` to `β_max`.
    ///
    /// # Errors
    /// If `0 ≤ beta_min ≤ beta_max` and `beta_max > 0` do not hold.
    pub fn new(beta_min: f64, beta_max: f64) -> Result<Self> {
        Ok(Self { full: VariancePreserving::new(beta_min, beta_max)? })
    }

    /// The rate at time 0.
    pub fn beta_min(&self) -> f64 {
        self.full.beta_min()
    }

    /// The rate at time 1.
    pub fn beta_max(&self) -> f64 {
        self.full.beta_max()
    }
}

impl NoisingProcess for SubVariancePreserving {
    fn rate(&self, t: f64) -> f64 {
        self.full.rate(t)
    }

    fn dispersion(&self, t: f64) -> f64 {
        let decay = -(-2.0 * self.full.beta_integral(t)).exp_m1();
        (self.full.beta(t) * decay).sqrt()
    }

    fn mean_scale(&self, t: f64) -> f64 {
        self.full.mean_scale(t)
    }

    fn std(&self, t: f64) -> f64 {
        -(-self.full.beta_integral(t)).exp_m1()
    }

    fn horizon(&self) -> f64 {
        1.0
    }

    fn prior_std(&self) -> f64 {
        1.0
    }

    fn time_of_noise_level(&self, level: f64) -> Result<f64> {
        check_level(self, level)?;
        // The level is (1 - e^(-B)) e^(B/2) = 2 sinh(B/2).
        Ok(self.full.time_of_beta_integral(2.0 * (0.5 * level).asinh()))
    }
}
