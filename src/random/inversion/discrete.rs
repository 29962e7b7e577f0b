//! Laws on finitely many values.

use super::{Inversion, check_weights};
use crate::{Error, Result};

/// A law on finitely many values: `P(X = x_k) ∝ w_k`.
///
/// `F` is a staircase, and its generalised inverse the first value whose step reaches `u`, found by bisection.
/// [`Alias`](crate::random::Alias) draws in constant time, but not monotonically in `u`.
///
/// ```
/// use scorebook::random::{Discrete, Inversion};
///
/// let coin = Discrete::new(&[(0.0, 1.0), (1.0, 3.0)])?;
/// assert_eq!((coin.quantile(0.25), coin.quantile(0.26)), (0.0, 1.0));
/// assert_eq!((coin.cdf(-0.1), coin.cdf(0.0), coin.cdf(1.0)), (0.0, 0.25, 1.0));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Discrete {
    /// Upward.
    values: Vec<f64>,
    /// `F` at each value; the last is 1.
    reached: Vec<f64>,
}

impl Discrete {
    /// The law on values with weights, `(x_k, w_k)`, in any order. Weights need not sum to 1.
    ///
    /// # Errors
    /// If a value or weight is not finite, a weight is negative, or none is positive.
    pub fn new(atoms: &[(f64, f64)]) -> Result<Self> {
        if let Some((value, _)) = atoms.iter().find(|(value, _)| !value.is_finite()) {
            return Err(Error::argument("atoms", value, "finite values"));
        }
        let mut atoms = atoms.to_vec();
        atoms.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (values, weights): (Vec<f64>, Vec<f64>) = atoms.into_iter().unzip();
        let total = check_weights("atoms", &weights)?;
        let mut sum = 0.0;
        let mut reached: Vec<f64> = weights
            .iter()
            .map(|weight| {
                sum += weight;
                sum / total
            })
            .collect();
        // Rounding may leave it a little below 1.
        let last = weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0);
        reached[last..].fill(1.0);
        Ok(Self { values, reached })
    }
}

impl Inversion for Discrete {
    fn cdf(&self, x: f64) -> f64 {
        let below = self.values.partition_point(|value| *value <= x);
        if below == 0 { 0.0 } else { self.reached[below - 1] }
    }

    fn quantile(&self, u: f64) -> f64 {
        let first = self.reached.partition_point(|reached| *reached < u);
        self.values[first.min(self.values.len() - 1)]
    }
}
