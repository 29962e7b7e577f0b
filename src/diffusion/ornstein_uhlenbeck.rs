//! The Ornstein-Uhlenbeck process.

use super::{
    NoisingProcess,
    noising::{check_level, checked, relative_decay, relative_logarithm},
};
use crate::{Result, distribution::Gaussian};
use candle_core::Tensor;
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
/// assert!((process.variance(50.0) - 9.0 / 4.0).abs() < 1e-12);
/// let brownian = OrnsteinUhlenbeck::new(0.0, 3.0, 50.0)?;
/// assert!((brownian.variance(2.0) - 18.0).abs() < 1e-12);
/// assert_eq!((process.beta(), process.sigma(), process.stationary_variance()), (2.0, 3.0, Some(9.0 / 4.0)));
/// assert_eq!(brownian.stationary_variance(), None);
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

    /// The variance `σ² (1 - e^(-2βt))/(2β)` of a coordinate of `x(t)` given `x(0)`; `σ² t` for `β = 0`.
    pub fn variance(&self, t: f64) -> f64 {
        self.std(t).powi(2)
    }

    /// The covariance of `x(s)` and `x(t)`, coordinate by coordinate, where `x(0)` has the variance `start`:
    /// `e^(-β(s+t)) start + e^(-β|t-s|) variance(min(s, t))`.
    ///
    /// `start` is 0 for a given `x(0)`; from the stationary variance it is `σ²/(2β) e^(-β|t-s|)`.
    ///
    /// ```
    /// use scorebook::diffusion::OrnsteinUhlenbeck;
    ///
    /// let process = OrnsteinUhlenbeck::new(2.0, 3.0, 1.0)?;
    /// // Note 001 starts from σ²/β, which does not stay: the variance is σ²(1 + e^(-2βt))/(2β).
    /// let later = process.covariance(9.0 / 2.0, 0.5, 0.5);
    /// assert!((later - 9.0 / 4.0 * (1.0 + (-2f64).exp())).abs() < 1e-12);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn covariance(&self, start: f64, s: f64, t: f64) -> f64 {
        let of_start = (-self.beta * (s + t)).exp() * start;
        of_start + (-self.beta * (t - s).abs()).exp() * self.variance(s.min(t))
    }

    /// The stationary variance `σ²/(2β)`; there is none for `β = 0`.
    pub fn stationary_variance(&self) -> Option<f64> {
        (self.beta > 0.0).then(|| self.sigma.powi(2) / (2.0 * self.beta))
    }

    /// The stationary law `N(0, σ²/(2β) I)`, of the density `(πσ²/β)^(-dim/2) e^(-β‖x‖²/σ²)`; there is none for
    /// `β = 0`.
    ///
    /// ```
    /// use scorebook::{prelude::*, distribution::Density};
    ///
    /// let process = OrnsteinUhlenbeck::new(2.0, 3.0, 1.0)?;
    /// let at_0 = process.stationary_law(1)?.unwrap().log_prob(&Tensor::zeros((1, 1), DType::F64, &Device::Cpu)?)?;
    /// let expected = -0.5 * (std::f64::consts::PI * 9.0 / 2.0).ln();
    /// assert!((at_0.to_vec1::<f64>()?[0] - expected).abs() < 1e-12);
    /// assert!(OrnsteinUhlenbeck::new(0.0, 3.0, 1.0)?.stationary_law(1)?.is_none());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `dim` is 0.
    pub fn stationary_law(&self, dim: usize) -> Result<Option<Gaussian>> {
        let law = |variance: f64| Gaussian::isotropic(vec![0.0; dim], variance.sqrt());
        self.stationary_variance().map(law).transpose()
    }

    /// The logarithm of the transition density, `ln p(x(t) = x | x(0) = x0)`: `[batch]` for states `[batch, ...]`.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let process = OrnsteinUhlenbeck::new(0.0, 2.0, 1.0)?; // Brownian motion of variance 4t.
    /// let x = Tensor::zeros((1, 1), DType::F64, &Device::Cpu)?;
    /// let density = process.log_transition(&x, &x, 0.25)?.exp()?.to_vec1::<f64>()?[0];
    /// assert!((density - 1.0 / std::f64::consts::TAU.sqrt()).abs() < 1e-12);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `t` is not positive, or the shapes of `x` and `x0` differ.
    pub fn log_transition(&self, x: &Tensor, x0: &Tensor, t: f64) -> Result<Tensor> {
        checked("t", t, t > 0.0, "a positive time")?;
        if x.dims() != x0.dims() || x.rank() == 0 {
            let expected = format!("that of `x`, {:?}, and one of [batch, ...]", x.dims());
            return Err(crate::Error::shape("x0", x0.dims(), expected));
        }
        let rows = (x - (x0 * self.mean_scale(t))?)?.reshape((x.dims()[0], ()))?;
        let (variance, dim) = (self.variance(t), rows.dims()[1] as f64);
        let constant = -0.5 * dim * (std::f64::consts::TAU * variance).ln();
        Ok(rows.sqr()?.sum(1)?.affine(-0.5 / variance, constant)?)
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

    /// `ln(1 + 2β level²/σ²)/(2β)`, which is `level²/σ²` for `β = 0`.
    fn time_of_noise_level(&self, level: f64) -> Result<f64> {
        check_level(self, level)?;
        let brownian = (level / self.sigma).powi(2);
        let time = brownian * relative_logarithm(2.0 * self.beta * brownian);
        Ok(time.min(self.horizon))
    }
}
