//! The variance-exploding SDE, the limit of SMLD's chain.

use super::{
    NoisingProcess,
    noising::{check_level, checked},
};
use crate::Result;
use serde::{Deserialize, Serialize};

/// `dx = √(dσ̃²/dt) dw` with the geometric scale `σ̃(t) = σ_min (σ_max/σ_min)^t`, `0 ≤ t ≤ 1`.
///
/// - `a(t) = 0`, `g(t) = σ̃(t) √(2 ln(σ_max/σ_min))`
/// - `α(t) = 1`, `σ²(t) = σ̃²(t) - σ̃²(0)`
///
/// The limit of SMLD's chain `x_i = x_{i-1} + √(σ_i² - σ_{i-1}²) z` (note 000, example I; Song et al. 2021,
/// equation 9). Note 000 gives the kernel the variance `σ̃²(t)`, which is right only where `σ̃(0) = 0`; the
/// chain starts at `σ_min`, so `σ̃²(0)` is subtracted. The end is no standard Gaussian (as note 002 says)
/// but `N(0, σ_max² I)`.
///
/// ```
/// use scorebook::diffusion::{NoisingProcess, VarianceExploding};
///
/// let process = VarianceExploding::new(0.01, 50.0)?;
/// assert_eq!((process.mean_scale(0.5), process.std(0.0)), (1.0, 0.0));
/// assert!((process.std(1.0) - (50f64.powi(2) - 0.01f64.powi(2)).sqrt()).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters")]
pub struct VarianceExploding {
    sigma_min: f64,
    sigma_max: f64,
}

#[derive(Deserialize)]
struct Parameters {
    sigma_min: f64,
    sigma_max: f64,
}

impl TryFrom<Parameters> for VarianceExploding {
    type Error = crate::Error;

    fn try_from(parameters: Parameters) -> Result<Self> {
        Self::new(parameters.sigma_min, parameters.sigma_max)
    }
}

impl VarianceExploding {
    /// Noise that grows from `σ_min` to `σ_max`.
    ///
    /// # Errors
    /// If `0 < sigma_min < sigma_max` does not hold.
    pub fn new(sigma_min: f64, sigma_max: f64) -> Result<Self> {
        let sigma_min = checked("sigma_min", sigma_min, sigma_min > 0.0, "a positive number")?;
        let above = format!("a number above `sigma_min`, which is {sigma_min}");
        let sigma_max = checked("sigma_max", sigma_max, sigma_max > sigma_min, above)?;
        Ok(Self { sigma_min, sigma_max })
    }

    /// `dx = s^t dw`, the form of the notes (002 and 003 with `s = e`) and of Song's tutorial (`s = 25`).
    ///
    /// It is the same process with `σ_min = 1/√(2 ln s)` and `σ_max = s σ_min`;
    /// its kernel has the variance `(s^(2t) - 1)/(2 ln s)`.
    ///
    /// ```
    /// use scorebook::diffusion::{NoisingProcess, VarianceExploding};
    ///
    /// let process = VarianceExploding::exponential(25.0)?;
    /// assert!((process.dispersion(0.5) - 5.0).abs() < 1e-12);
    /// assert!((process.sigma_min() - 1.0 / (2.0 * 25f64.ln()).sqrt()).abs() < 1e-15);
    /// assert!((process.sigma_max() / process.sigma_min() - 25.0).abs() < 1e-12);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `growth` is not above 1.
    pub fn exponential(growth: f64) -> Result<Self> {
        let growth = checked("growth", growth, growth > 1.0, "a number above 1")?;
        let sigma_min = 1.0 / (2.0 * growth.ln()).sqrt();
        Self::new(sigma_min, growth * sigma_min)
    }

    /// The smallest scale `σ_min`.
    pub fn sigma_min(&self) -> f64 {
        self.sigma_min
    }

    /// The largest scale `σ_max`.
    pub fn sigma_max(&self) -> f64 {
        self.sigma_max
    }

    fn log_ratio(&self) -> f64 {
        (self.sigma_max / self.sigma_min).ln()
    }
}

/// From 0.01 to 50, as Song et al. 2021 (appendix C) for CIFAR-10.
impl Default for VarianceExploding {
    fn default() -> Self {
        Self { sigma_min: 0.01, sigma_max: 50.0 }
    }
}

impl NoisingProcess for VarianceExploding {
    fn rate(&self, _t: f64) -> f64 {
        0.0
    }

    fn dispersion(&self, t: f64) -> f64 {
        self.sigma_min * (t * self.log_ratio()).exp() * (2.0 * self.log_ratio()).sqrt()
    }

    fn mean_scale(&self, _t: f64) -> f64 {
        1.0
    }

    fn std(&self, t: f64) -> f64 {
        self.sigma_min * (2.0 * t * self.log_ratio()).exp_m1().sqrt()
    }

    fn horizon(&self) -> f64 {
        1.0
    }

    fn prior_std(&self) -> f64 {
        self.sigma_max
    }

    /// `ln(1 + level²/σ_min²)/(2 ln(σ_max/σ_min))`.
    fn time_of_noise_level(&self, level: f64) -> Result<f64> {
        check_level(self, level)?;
        let time = (level / self.sigma_min).powi(2).ln_1p() / (2.0 * self.log_ratio());
        Ok(time.min(1.0))
    }
}
