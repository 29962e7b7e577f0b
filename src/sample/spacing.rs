//! How a sampler's times are spaced.

use crate::{
    Error, Result,
    diffusion::NoisingProcess,
    path::{check_times, time_grid},
};

/// How the times of a sampler lie between the horizon `T` and `t_min`. Every sampler takes any of them.
///
/// Write `ς(t) = σ(t)/α(t)` for the [noise level](NoisingProcess::noise_level) and `u` for the share of the steps
/// that is made, from 0 to 1.
///
/// ```
/// use scorebook::{prelude::*, sample::Spacing};
///
/// let process = VariancePreserving::default();
/// let times = Spacing::Karras { rho: 7.0 }.times(&process, 1e-3, 10)?;
/// assert_eq!((times.len(), times[0], times[10]), (11, 1.0, 1e-3));
/// // Half the steps lie below the noise level 5.8, of levels up to 152.
/// assert!((process.noise_level(times[5]) - 5.81).abs() < 0.01);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Spacing {
    /// Equal steps of time.
    #[default]
    Uniform,
    /// Equal steps of `√t`, so shorter ones near the data (Song, Meng and Ermon 2021, appendix D.2).
    Quadratic,
    /// Equal steps of `ln ς`, of the log of the signal-to-noise ratio that is (Lu et al. 2022, section 3.3).
    /// It needs a positive `t_min`.
    LogSnr,
    /// Equal steps of `ς^(1/ρ)` (Karras et al. 2022, equation 5, with their `ρ = 7`).
    Karras {
        /// The exponent `ρ`: 1 is equal steps of `ς`; the larger, the more steps go to little noise.
        rho: f64,
    },
}

impl Spacing {
    /// The `steps + 1` times from the horizon of the process down to `t_min`, both of them exact.
    ///
    /// # Errors
    /// If `steps` is 0, `t_min` is not in `[0, T)` (not in `(0, T)` for `LogSnr`), or `rho` is not positive.
    pub fn times(self, process: &dyn NoisingProcess, t_min: f64, steps: usize) -> Result<Vec<f64>> {
        let horizon = process.horizon();
        if !(0.0..horizon).contains(&t_min) {
            let expected =
                format!("a time of at least 0 and below the horizon, which is {horizon}");
            return Err(Error::argument("t_min", t_min, expected));
        }
        self.check(t_min)?;
        let mut times = time_grid(horizon, t_min, steps)?;
        let (high, low) = (process.noise_level(horizon), process.noise_level(t_min));
        // The ends stay as they are, whatever the rounding of the level and back.
        for (i, time) in times.iter_mut().enumerate().take(steps).skip(1) {
            let u = i as f64 / steps as f64;
            let between = |from: f64, to: f64| from + u * (to - from);
            *time = match self {
                Self::Uniform => *time,
                Self::Quadratic => between(horizon.sqrt(), t_min.sqrt()).powi(2),
                Self::LogSnr => process.time_of_noise_level(between(high.ln(), low.ln()).exp())?,
                Self::Karras { rho } => {
                    let root = between(high.powf(1.0 / rho), low.powf(1.0 / rho));
                    process.time_of_noise_level(root.powf(rho))?
                }
            };
        }
        check_times(&times)?;
        Ok(times)
    }

    fn check(self, t_min: f64) -> Result<()> {
        match self {
            Self::LogSnr if t_min == 0.0 => {
                Err(Error::argument("t_min", 0, "a positive time: without noise ln σ is infinite"))
            }
            Self::Karras { rho } if !(rho > 0.0 && rho.is_finite()) => {
                Err(Error::argument("rho", rho, "a positive number"))
            }
            _ => Ok(()),
        }
    }
}
