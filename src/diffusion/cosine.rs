//! The cosine schedule in continuous time.

use super::{
    NoisingProcess,
    noising::{check_level, checked},
};
use crate::Result;
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_PI_2;

/// `dx = -½ β(t) x dt + √β(t) dw` with the mean scale `α(t) = cos θ(t)/cos θ(0)`, `θ(t) = ½π (t + s)/(1 + s)`.
///
/// - `β(t) = 2 θ' tan θ(t)` with `θ' = ½π/(1 + s)`; `a = -½β`, `g = √β`
/// - `σ²(t) = 1 - α²(t) = sin(θ(t) - θ(0)) sin(θ(t) + θ(0))/cos²θ(0)`
///
/// The offset `s` keeps the first steps of a chain from being too short. At `t = 1` nothing is left of the data and
/// `β` is infinite, so the process ends at a horizon before it; the chain of Nichol and Dhariwal goes up to 1, and
/// clips its last `β` instead ([`DdpmChain::cosine`](super::DdpmChain::cosine)).
///
/// Source: Nichol and Dhariwal 2021, *Improved denoising diffusion probabilistic models*, equation 17; the default
/// horizon 0.9946 is that of Lu et al. 2022, *DPM-Solver*.
///
/// ```
/// use scorebook::diffusion::{Cosine, NoisingProcess};
///
/// let process = Cosine::default();
/// assert!((process.mean_scale(0.5) - 0.7028).abs() < 1e-4);
/// assert!((process.mean_scale(0.3).powi(2) + process.std(0.3).powi(2) - 1.0).abs() < 1e-15);
/// assert_eq!((process.offset(), process), (0.008, Cosine::new(0.008, 0.9946)?));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters")]
pub struct Cosine {
    offset: f64,
    horizon: f64,
}

#[derive(Deserialize)]
struct Parameters {
    offset: f64,
    horizon: f64,
}

impl TryFrom<Parameters> for Cosine {
    type Error = crate::Error;

    fn try_from(parameters: Parameters) -> Result<Self> {
        Self::new(parameters.offset, parameters.horizon)
    }
}

impl Cosine {
    /// The schedule with the offset `s`, until `horizon`.
    ///
    /// # Errors
    /// If `offset ≥ 0` and `0 < horizon < 1` do not hold.
    pub fn new(offset: f64, horizon: f64) -> Result<Self> {
        let expected = "a time above 0 and below 1, where the rate is infinite";
        Ok(Self {
            offset: checked("offset", offset, offset >= 0.0, "a number of at least 0")?,
            horizon: checked("horizon", horizon, 0.0 < horizon && horizon < 1.0, expected)?,
        })
    }

    /// The offset `s`.
    pub fn offset(&self) -> f64 {
        self.offset
    }

    /// `β(t)`.
    ///
    /// ```
    /// use scorebook::diffusion::{Cosine, NoisingProcess};
    ///
    /// // β = -2 d ln α/dt, by differences.
    /// let (process, h) = (Cosine::default(), 1e-5);
    /// let slope = (process.mean_scale(0.5 + h) / process.mean_scale(0.5 - h)).ln() / (2.0 * h);
    /// assert!((process.beta(0.5) + 2.0 * slope).abs() < 1e-7);
    /// ```
    pub fn beta(&self, t: f64) -> f64 {
        2.0 * self.speed() * self.angle(t).tan()
    }

    fn angle(&self, t: f64) -> f64 {
        self.speed() * (t + self.offset)
    }

    /// `θ'`.
    fn speed(&self) -> f64 {
        FRAC_PI_2 / (1.0 + self.offset)
    }
}

/// The offset 0.008 of the paper, until 0.9946.
impl Default for Cosine {
    fn default() -> Self {
        Self { offset: 0.008, horizon: 0.9946 }
    }
}

impl NoisingProcess for Cosine {
    fn rate(&self, t: f64) -> f64 {
        -0.5 * self.beta(t)
    }

    fn dispersion(&self, t: f64) -> f64 {
        self.beta(t).sqrt()
    }

    fn mean_scale(&self, t: f64) -> f64 {
        self.angle(t).cos() / self.angle(0.0).cos()
    }

    fn std(&self, t: f64) -> f64 {
        let (turn, start) = (self.speed() * t, self.angle(0.0));
        (turn.sin() * (turn + 2.0 * start).sin()).sqrt() / start.cos()
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn prior_std(&self) -> f64 {
        1.0
    }

    /// From `tan²θ = tan²θ(0) + level²/cos²θ(0)`, by the tangent of the difference `θ - θ(0)`.
    fn time_of_noise_level(&self, level: f64) -> Result<f64> {
        check_level(self, level)?;
        if level == 0.0 {
            return Ok(0.0);
        }
        let start = self.angle(0.0);
        let rise = (level / start.cos()).powi(2);
        let tangent = (start.tan().powi(2) + rise).sqrt();
        let of_turn = rise / (tangent + start.tan()) / (1.0 + start.tan() * tangent);
        Ok((of_turn.atan() / self.speed()).min(self.horizon))
    }
}
