//! Where in time a loss looks.

use crate::{Error, Result, diffusion::NoisingProcess, random::Generator};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// The law of the times of a loss, between `t_min` and the horizon `T`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TimeSampling {
    /// Uniform times, as in notes 002 to 004.
    #[default]
    Uniform,
    /// Times of the density `q(t) ∝ g²(t)/σ²(t)`, each term divided by `(T - t_min) q(t)`: the expectation is that of
    /// uniform times, and with [`Weighting::Likelihood`](super::Weighting::Likelihood) the weight, which grows without
    /// bound towards `t = 0`, becomes a constant: so the variance is far less (Song et al. 2021b, section 4.3).
    ///
    /// For every affine process `g²/σ² = d ln(σ²/α²)/dt`, so this is the uniform law of the log of the signal-to-noise
    /// ratio (Kingma et al. 2021).
    Importance,
    /// Noise levels `σ/α` whose logarithm has the law `N(mean, std²)`, cut to the levels of `[t_min, T]`. This law is a
    /// part of the loss: nothing is divided by it (Karras et al. 2022, with -1.2 and 1.2 for images).
    LogNormal {
        /// The mean of the logarithm of the noise level.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
}

impl TimeSampling {
    /// `n` times, `[n]` on the host, and by what a term at each must be multiplied.
    pub(super) fn draw(
        self,
        process: &dyn NoisingProcess,
        t_min: f64,
        n: usize,
        generator: &mut Generator,
    ) -> Result<(Tensor, Vec<f64>)> {
        let horizon = process.horizon();
        let levels = (process.noise_level(t_min), process.noise_level(horizon));
        match self {
            Self::Uniform => {
                Ok((generator.uniform(t_min, horizon, n, &Device::Cpu)?, vec![1.0; n]))
            }
            Self::Importance => {
                let range = log_range(levels)?;
                let t = times_at(
                    process,
                    t_min,
                    uniform(n, generator).map(|u| (range.0 + u * (range.1 - range.0)).exp()),
                )?;
                // q = (g²/σ²)/Z with Z = ∫ g²/σ² = 2 ln(σ/α) between the ends.
                let total = 2.0 * (range.1 - range.0) / (horizon - t_min);
                let rate = |t: f64| (process.dispersion(t) / process.std(t)).powi(2);
                let corrections = t.iter().map(|t| total / rate(*t)).collect();
                Ok((Tensor::from_vec(t, n, &Device::Cpu)?, corrections))
            }
            Self::LogNormal { mean, std } => {
                let law = Normal::new(mean, std).map_err(|_| {
                    let given = format!("{mean} and {std}");
                    Error::argument("mean, std", given, "finite numbers, `std` above 0")
                })?;
                let (low, high) = (law.cdf(levels.0.ln()), law.cdf(levels.1.ln()));
                if high <= low {
                    let expected = format!(
                        "a law with mass on the noise levels from {} to {} of the process",
                        levels.0, levels.1
                    );
                    return Err(Error::argument("mean", mean, expected));
                }
                let level = |u: f64| law.inverse_cdf(low + u * (high - low)).exp();
                let t = times_at(process, t_min, uniform(n, generator).map(level))?;
                Ok((Tensor::from_vec(t, n, &Device::Cpu)?, vec![1.0; n]))
            }
        }
    }
}

/// The logarithms of the least and the greatest noise level.
pub(super) fn log_range((low, high): (f64, f64)) -> Result<(f64, f64)> {
    match low > 0.0 && low < high && high.is_finite() {
        true => Ok((low.ln(), high.ln())),
        false => {
            let expected = "finite noise levels that rise with time; end the process before its signal is lost";
            Err(Error::argument("process", format!("one of the levels {low} to {high}"), expected))
        }
    }
}

/// The times at which the noise has these levels, kept in `[t_min, T]` against rounding.
pub(super) fn times_at(
    process: &dyn NoisingProcess,
    t_min: f64,
    levels: impl Iterator<Item = f64>,
) -> Result<Vec<f64>> {
    let horizon = process.horizon();
    let (low, high) = (process.noise_level(t_min), process.noise_level(horizon));
    let time = |level: f64| process.time_of_noise_level(level.clamp(low, high));
    levels.map(|level| Ok(time(level)?.clamp(t_min, horizon))).collect()
}

/// Uniform numbers of (0, 1).
pub(super) fn uniform(n: usize, generator: &mut Generator) -> impl Iterator<Item = f64> + use<> {
    let mut values = vec![0.0; n];
    generator.fill_uniform_f64(&mut values);
    values.into_iter()
}
