//! How the learning rate changes over the steps.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What the learning rate does after the warm-up, as a factor that multiplies it; steps are counted from 1.
///
/// ```
/// use scorebook::train::Schedule;
///
/// let schedule = Schedule::Cosine { steps: 1000 };
/// assert_eq!(schedule.factor(50, 100), 0.5); // In the middle of the warm-up.
/// assert_eq!(schedule.factor(100, 100), 1.0);
/// assert!((schedule.factor(550, 100) - 0.5).abs() < 1e-15);
/// assert_eq!(schedule.factor(1000, 100), 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// Half a cosine from the end of the warm-up down to 0 (Loshchilov & Hutter 2017, equation 5).
    Cosine {
        /// The step at which the rate is 0; it is 0 after it as well.
        steps: u64,
    },
    /// `1/√max(n / reference, 1)` at step `n` (Karras et al. 2024, EDM2).
    InverseSquareRoot {
        /// The step from which the rate falls.
        reference: u64,
    },
}

impl Schedule {
    /// The factor of the learning rate at step `step`, after a linear `warmup` of so many steps.
    pub fn factor(&self, step: u64, warmup: u64) -> f64 {
        let rise = (step as f64 / warmup.max(1) as f64).min(1.0);
        rise * match *self {
            Self::Constant => 1.0,
            Self::Cosine { steps } => {
                let length = steps.saturating_sub(warmup).max(1) as f64;
                let way = (step.saturating_sub(warmup) as f64 / length).min(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * way).cos())
            }
            Self::InverseSquareRoot { reference } => {
                (step as f64 / reference.max(1) as f64).max(1.0).sqrt().recip()
            }
        }
    }

    pub(super) fn check(&self, warmup: u64) -> Result<()> {
        match *self {
            Self::Cosine { steps } if steps <= warmup => {
                let expected = format!("more than the {warmup} steps of the warm-up");
                Err(Error::argument("steps", steps, expected))
            }
            Self::InverseSquareRoot { reference: 0 } => {
                Err(Error::argument("reference", 0, "at least 1"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_its_formula() {
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-14, "{a} is not {b}");
        assert_eq!(Schedule::Constant.factor(1, 0), 1.0);
        near(Schedule::Constant.factor(3, 4), 0.75);
        assert_eq!(Schedule::Constant.factor(1_000_000, 4), 1.0);
        let cosine = Schedule::Cosine { steps: 110 };
        near(cosine.factor(35, 10), (1.0 + 0.5f64.sqrt()) / 2.0);
        near(cosine.factor(85, 10), (1.0 - 0.5f64.sqrt()) / 2.0);
        near(cosine.factor(200, 10), 0.0);
        let root = Schedule::InverseSquareRoot { reference: 100 };
        assert_eq!((root.factor(100, 10), root.factor(5, 10)), (1.0, 0.5));
        near(root.factor(400, 10), 0.5);
        near(root.factor(200, 400), 0.5 / 2f64.sqrt());
    }
}
