//! The process of the notes' example, whose noise grows exponentially.

use super::{
    NoisingProcess,
    noising::{check_level, checked},
};
use crate::Result;
use serde::{Deserialize, Serialize};

/// `dx = s^t dw` on `0 ≤ t ≤ T`, with the growth `s > 1`; for `s = e` the `dx = e^t dw` of notes 002 and 003.
///
/// - `a(t) = 0`, `g(t) = s^t`
/// - `α(t) = 1`, `σ²(t) = (s^(2t) - 1)/(2 ln s)`
///
/// Note 002 says that the Gaussian noise `dw` grows exponentially. It does not: `dw` has the variance `dt` at every
/// time. What grows is its coefficient, and the variance of `∫₀ᵗ e^s dw` is `(e^(2t) - 1)/2`.
///
/// On `[0, 1]` it is also a [`VarianceExploding`](super::VarianceExploding) process, with
/// [its own name](super::VarianceExploding::exponential); here the horizon is free, and has to be: `e^t` takes until
/// `t = 4` to exceed data of size one 39 times.
///
/// ```
/// use scorebook::diffusion::{Exponential, NoisingProcess};
///
/// let process = Exponential::default();
/// assert_eq!((process.growth(), process.horizon()), (std::f64::consts::E, 4.0));
/// assert!((process.std(1.0).powi(2) - (2f64.exp() - 1.0) / 2.0).abs() < 1e-12);
/// let doubling = Exponential::new(2.0, 3.0)?;
/// assert!((doubling.dispersion(3.0) - 8.0).abs() < 1e-12);
/// assert!((doubling.std(1.0).powi(2) - 3.0 / (2.0 * 2f64.ln())).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters")]
pub struct Exponential {
    growth: f64,
    horizon: f64,
}

#[derive(Deserialize)]
struct Parameters {
    growth: f64,
    horizon: f64,
}

impl TryFrom<Parameters> for Exponential {
    type Error = crate::Error;

    fn try_from(parameters: Parameters) -> Result<Self> {
        Self::new(parameters.growth, parameters.horizon)
    }
}

impl Exponential {
    /// Noise that grows by the factor `growth` in a unit of time, until `horizon`.
    ///
    /// # Errors
    /// If `growth > 1` and `horizon > 0` do not hold, or the noise at the horizon is too large for a number.
    pub fn new(growth: f64, horizon: f64) -> Result<Self> {
        let growth = checked("growth", growth, growth > 1.0, "a number above 1")?;
        let last = 350.0 / growth.ln();
        let expected = format!("a positive time of at most {last}, where the noise is e^350");
        let horizon = checked("horizon", horizon, 0.0 < horizon && horizon <= last, expected)?;
        Ok(Self { growth, horizon })
    }

    /// The growth `s` in a unit of time.
    pub fn growth(&self) -> f64 {
        self.growth
    }
}

/// `dx = e^t dw` until `T = 4`, where the standard deviation is 38.6.
impl Default for Exponential {
    fn default() -> Self {
        Self { growth: std::f64::consts::E, horizon: 4.0 }
    }
}

impl NoisingProcess for Exponential {
    fn rate(&self, _t: f64) -> f64 {
        0.0
    }

    fn dispersion(&self, t: f64) -> f64 {
        (t * self.growth.ln()).exp()
    }

    fn mean_scale(&self, _t: f64) -> f64 {
        1.0
    }

    fn std(&self, t: f64) -> f64 {
        let logarithm = self.growth.ln();
        ((2.0 * t * logarithm).exp_m1() / (2.0 * logarithm)).sqrt()
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn prior_std(&self) -> f64 {
        self.std(self.horizon)
    }

    /// `ln(1 + 2 ln s level²)/(2 ln s)`.
    fn time_of_noise_level(&self, level: f64) -> Result<f64> {
        check_level(self, level)?;
        let twice = 2.0 * self.growth.ln();
        Ok(((twice * level.powi(2)).ln_1p() / twice).min(self.horizon))
    }
}
