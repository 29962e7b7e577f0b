//! The process of Karras et al., and their noise levels.

use super::{
    NoisingProcess,
    noising::{check_level, checked},
};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// `dx = √(2t) dw` on `0 ≤ t ≤ σ_max`: the time is the standard deviation of the noise.
///
/// - `a(t) = 0`, `g(t) = √(2t)`
/// - `α(t) = 1`, `σ(t) = t`
///
/// Source: Karras et al. 2022, *Elucidating the design space of diffusion-based generative models* (EDM), whose
/// samplers run from `σ_max = 80` down the levels of [`karras_sigmas`].
///
/// ```
/// use scorebook::diffusion::{Edm, NoisingProcess};
///
/// let process = Edm::default();
/// assert_eq!((process.horizon(), process.std(3.0), process.noise_level(3.0)), (80.0, 3.0, 3.0));
/// let shorter = Edm::new(10.0)?;
/// assert_eq!((shorter.horizon(), shorter.prior_std()), (10.0, 10.0));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parameters")]
pub struct Edm {
    sigma_max: f64,
}

#[derive(Deserialize)]
struct Parameters {
    sigma_max: f64,
}

impl TryFrom<Parameters> for Edm {
    type Error = crate::Error;

    fn try_from(parameters: Parameters) -> Result<Self> {
        Self::new(parameters.sigma_max)
    }
}

impl Edm {
    /// Noise that grows from 0 to `sigma_max`, which is the horizon too.
    ///
    /// # Errors
    /// If `sigma_max` is not a positive number.
    pub fn new(sigma_max: f64) -> Result<Self> {
        let sigma_max = checked("sigma_max", sigma_max, sigma_max > 0.0, "a positive number")?;
        Ok(Self { sigma_max })
    }
}

/// Up to 80, as in the paper.
impl Default for Edm {
    fn default() -> Self {
        Self { sigma_max: 80.0 }
    }
}

impl NoisingProcess for Edm {
    fn rate(&self, _t: f64) -> f64 {
        0.0
    }

    fn dispersion(&self, t: f64) -> f64 {
        (2.0 * t).sqrt()
    }

    fn mean_scale(&self, _t: f64) -> f64 {
        1.0
    }

    fn std(&self, t: f64) -> f64 {
        t
    }

    fn horizon(&self) -> f64 {
        self.sigma_max
    }

    fn prior_std(&self) -> f64 {
        self.sigma_max
    }

    fn time_of_noise_level(&self, level: f64) -> Result<f64> {
        check_level(self, level)?;
        Ok(level.min(self.sigma_max))
    }
}

/// The noise levels of EDM's samplers: `count` of them from `sigma_max` down to `sigma_min`, and 0 at the end.
///
/// `σ_i = (σ_max^(1/ρ) + i/(count - 1) (σ_min^(1/ρ) - σ_max^(1/ρ)))^ρ` for `i = 0, …, count - 1`: with `ρ = 1` equal
/// steps, with larger `ρ` more of them at the small levels, and with `ρ → ∞` equal ratios. The paper takes `ρ = 7`,
/// and `σ` from 80 to 0.002.
///
/// Source: Karras et al. 2022, equation 5. A process reaches the level `σ` at its
/// [`time_of_noise_level`](NoisingProcess::time_of_noise_level).
///
/// ```
/// use scorebook::diffusion::karras_sigmas;
///
/// let sigmas = karras_sigmas(18, 0.002, 80.0, 7.0)?;
/// assert_eq!((sigmas.len(), sigmas[18]), (19, 0.0));
/// assert!((sigmas[0] - 80.0).abs() < 1e-9 && (sigmas[1] - 57.586).abs() < 1e-3);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `count ≥ 2`, `0 < sigma_min < sigma_max` and `rho > 0` do not hold, or `σ_max^(1/ρ)` is too large for a number.
pub fn karras_sigmas(count: usize, sigma_min: f64, sigma_max: f64, rho: f64) -> Result<Vec<f64>> {
    if count < 2 {
        return Err(Error::argument("count", count, "at least 2"));
    }
    checked("sigma_min", sigma_min, sigma_min > 0.0, "a positive number")?;
    let above = format!("a number above `sigma_min`, which is {sigma_min}");
    checked("sigma_max", sigma_max, sigma_max > sigma_min, above)?;
    let (first, last) = (sigma_max.powf(1.0 / rho), sigma_min.powf(1.0 / rho));
    let expected = "a positive number for which `sigma_max^(1/rho)` is finite";
    checked("rho", rho, rho > 0.0 && first.is_finite(), expected)?;
    let level = |i| {
        let share = i as f64 / (count - 1) as f64;
        ((1.0 - share) * first + share * last).powf(rho)
    };
    Ok((0..count).map(level).chain([0.0]).collect())
}
