//! The Ornstein-Uhlenbeck process.

use super::{
    NoisingProcess,
    noising::{checked, relative_decay},
};
use crate::Result;
use serde::{Deserialize, Serialize};

/// `dx = -β x dt + σ dw` on `0 ≤ t ≤ T`, with constant `β ≥ 0` and `σ > 0`.
///
/// - `a = -β`, `g = σ`
/// - `α(t) = e^(-βt)`, variance `σ² (1 - e^(-2βt))/(2β)`, which is `σ² t` for `β = 0`
///
/// Source: note 001. Its stationary law is `N(0, σ²/(2β))` (the note starts it from `N(0, σ²/β)`, which is
/// not stationary); with `β = 0` the process is Brownian motion and has none.
///
/// ```
/// use scorebook::diffusion::{NoisingProcess, OrnsteinUhlenbeck};
///
/// let process = OrnsteinUhlenbeck::new(2.0, 3.0, 50.0)?;
/// assert!((process.std(50.0).powi(2) - 9.0 / 4.0).abs() < 1e-12);
/// let brownian = OrnsteinUhlenbeck::new(0.0, 3.0, 50.0)?;
/// assert!((brownian.std(2.0).powi(2) - 18.0).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters")]
pub struct OrnsteinUhlenbeck {
    beta: f64,
    sigma: f64,
    horizon: f64,
}

#[derive(Deserialize)]
struct Parameters {
    beta: f64,
    sigma: f64,
    horizon: f64,
}

impl TryFrom<Parameters> for OrnsteinUhlenbeck {
    type Error = crate::Error;

    fn try_from(parameters: Parameters) -> Result<Self> {
        Self::new(parameters.beta, parameters.sigma, parameters.horizon)
    }
}

impl OrnsteinUhlenbeck {
    /// The process that returns to 0 at the rate `beta` under noise of strength `sigma`, until `horizon`.
    ///
    /// # Errors
    /// If `beta ≥ 0`, `sigma > 0` and `horizon > 0` do not hold.
    pub fn new(beta: f64, sigma: f64, horizon: f64) -> Result<Self> {
        Ok(Self {
            beta: checked("beta", beta, beta >= 0.0, "a number of at least 0")?,
            sigma: checked("sigma", sigma, sigma > 0.0, "a positive number")?,
            horizon: checked("horizon", horizon, horizon > 0.0, "a positive time")?,
        })
    }

    /// The rate of return `β`.
    pub fn beta(&self) -> f64 {
        self.beta
    }

    /// The strength of the noise `σ`.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }
}

/// `β = 1`, `σ = √2`, `T = 5`: the stationary law is `N(0, I)`, and 0.7 % of the data remain at the end.
impl Default for OrnsteinUhlenbeck {
    fn default() -> Self {
        Self { beta: 1.0, sigma: std::f64::consts::SQRT_2, horizon: 5.0 }
    }
}

impl NoisingProcess for OrnsteinUhlenbeck {
    fn rate(&self, _t: f64) -> f64 {
        -self.beta
    }

    fn dispersion(&self, _t: f64) -> f64 {
        self.sigma
    }

    fn mean_scale(&self, t: f64) -> f64 {
        (-self.beta * t).exp()
    }

    fn std(&self, t: f64) -> f64 {
        self.sigma * (t * relative_decay(2.0 * self.beta * t)).sqrt()
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    /// The standard deviation at the horizon, as note 001 starts its samplers.
    fn prior_std(&self) -> f64 {
        self.std(self.horizon)
    }
}
