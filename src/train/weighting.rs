//! How much each time counts in a loss.

use crate::{Error, Result, diffusion::NoisingProcess};
use serde::{Deserialize, Serialize};

/// The weighting `λ(t)` of score matching, `E_t λ(t) ‖s_θ - ∇ log p‖²` (notes 002 to 004).
///
/// The least loss lies at the true score whatever the weighting; it decides which errors a network avoids first. The
/// second column is the weight that an error of the noise, `‖ẑ - z‖² = σ² ‖s_θ - ∇ log p‖²`, then has.
///
/// | | `λ(t)` | `λ/σ²` | source |
/// |---|---|---|---|
/// | `Variance` | `σ²` | `1` | note 003; DDPM's simple loss, Ho et al. 2020 |
/// | `Likelihood` | `g²` | `g²/σ²` | note 003; bounds the likelihood, Song et al. 2021b |
/// | `MinSnr` | `σ² min(1, γ σ²/α²)` | `min(1, γ/SNR)` | Hang et al. 2023 |
/// | `Edm` | `σ² (1 + σ̃²/s²)` | `1 + σ̃²/s²` | Karras et al. 2022, with `σ̃ = σ/α` |
/// | `Uniform` | `1` | `1/σ²` | |
///
/// In EDM the weight `(σ̃² + s²)/(σ̃ s)²` stands before the error of the data, which is `σ̃²` times that of the noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Weighting {
    /// `λ = σ²`: the inverse of `E‖∇ log p(x_t|x0)‖²/d`, so all times count alike.
    #[default]
    Variance,
    /// `λ = g²`: the weighting of the bound on the likelihood.
    Likelihood,
    /// `λ = σ² min(1, γ/SNR)`: as `Variance`, but times of little noise, with `SNR = α²/σ²` above `γ`, count less.
    MinSnr {
        /// The largest signal-to-noise ratio of full weight; the paper's choice is 5.
        gamma: f64,
    },
    /// EDM's, under which the preconditioned network's error has the weight 1 at every time.
    Edm {
        /// The standard deviation `s` of the data.
        data_std: f64,
    },
    /// `λ = 1`.
    Uniform,
}

impl Weighting {
    /// `λ(t)`.
    ///
    /// ```
    /// use scorebook::{diffusion::{NoisingProcess, VariancePreserving}, train::Weighting};
    ///
    /// let process = VariancePreserving::default();
    /// assert_eq!(Weighting::Likelihood.at(&process, 0.5), process.dispersion(0.5).powi(2));
    /// assert_eq!(Weighting::Variance.at(&process, 0.5), process.std(0.5).powi(2));
    /// // The weight of an error of the noise is λ/σ².
    /// let weighting = Weighting::MinSnr { gamma: 5.0 };
    /// let of_noise = weighting.of_noise(&process, 0.1);
    /// assert!((of_noise - weighting.at(&process, 0.1) / process.std(0.1).powi(2)).abs() < 1e-12);
    /// assert!((of_noise - 5.0 * process.noise_level(0.1).powi(2)).abs() < 1e-12);
    /// ```
    pub fn at(self, process: &dyn NoisingProcess, t: f64) -> f64 {
        match self {
            Self::Uniform => 1.0,
            Self::Likelihood => process.dispersion(t).powi(2),
            _ => process.std(t).powi(2) * self.of_noise(process, t),
        }
    }

    /// `λ(t)/σ²(t)`: the weight of an error of the noise.
    pub fn of_noise(self, process: &dyn NoisingProcess, t: f64) -> f64 {
        match self {
            Self::Variance => 1.0,
            Self::Likelihood => (process.dispersion(t) / process.std(t)).powi(2),
            Self::MinSnr { gamma } => (gamma * process.noise_level(t).powi(2)).min(1.0),
            Self::Edm { data_std } => 1.0 + (process.noise_level(t) / data_std).powi(2),
            Self::Uniform => process.std(t).powi(-2),
        }
    }

    /// That the numbers in it are positive.
    pub(super) fn check(self) -> Result<()> {
        let (name, value) = match self {
            Self::MinSnr { gamma } => ("gamma", gamma),
            Self::Edm { data_std } => ("data_std", data_std),
            _ => return Ok(()),
        };
        match value > 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(Error::argument(name, value, "a positive number")),
        }
    }
}
