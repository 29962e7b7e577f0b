//! The quantile function of any distribution function, by root finding.

use super::Inversion;
use crate::{Error, Result};
use std::{fmt, sync::Arc};

/// A law that is known by its distribution function alone; quantiles are found by bracketing.
///
/// From the middle of the law a bracket grows outward by doubling until `F(low) < u ≤ F(high)`, and then shrinks by the
/// method ITP (Oliveira and Takahashi, ACM TOMS 47(1), 2020): as fast as the secant method where `F` is smooth, and
/// at most one step slower than bisection where it jumps or is flat. The upper end of the bracket is returned, so
/// that the result is `inf{x : F(x) ≥ u}` up to a rounding error of `x` or of the width of the law, whichever is larger.
///
/// ```
/// use scorebook::{distribution::normal_cdf, random::{Inversion, NumericalInverse}};
///
/// let law = NumericalInverse::new(normal_cdf)?;
/// assert!((law.quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-10);
///
/// // A density is no distribution function.
/// assert!(NumericalInverse::new(|x| (-x * x / 2.0).exp() / 2.51).is_err());
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct NumericalInverse {
    cdf: Arc<dyn Fn(f64) -> f64 + Send + Sync>,
    median: f64,
    /// About the distance of the quartiles.
    width: f64,
}

/// How far from 0 and 1 a distribution function may still be at the ends of the numbers.
const REST: f64 = 1e-9;

impl NumericalInverse {
    /// The law with the distribution function `cdf`.
    ///
    /// # Errors
    /// If `cdf` does not go from 0 to 1 over the finite numbers, or decreases between two of the some thousand places
    /// where it is tried.
    pub fn new(cdf: impl Fn(f64) -> f64 + Send + Sync + 'static) -> Result<Self> {
        let mut law = Self { cdf: Arc::new(cdf), median: 0.0, width: 1.0 };
        for (end, reached) in [(f64::MIN, false), (f64::MAX, true)] {
            let value = law.cdf(end);
            let expected = if reached { 1.0 } else { 0.0 };
            if value.is_nan() || (value - expected).abs() > REST {
                let given = format!("{value} at {end:e}");
                let expected = format!("a distribution function, which is {expected} there");
                return Err(Error::argument("cdf", given, expected));
            }
        }
        let quartiles = [0.25, 0.5, 0.75].map(|u| law.quantile(u));
        law.median = quartiles[1];
        let width = quartiles[2] - quartiles[0];
        // One atom may hold more than half of the mass.
        let least = 1e-3 * law.median.abs();
        law.width = if width > least { width } else { least.max(f64::MIN_POSITIVE.sqrt()) };
        law.check_monotone()?;
        Ok(law)
    }

    /// Tries the function at places that lie densely about the middle and reach to the ends.
    fn check_monotone(&self) -> Result<()> {
        let steps = (0..1000).map(|i| f64::from(i) / 100.0 - 5.0);
        let far = (3..1000).map(|k| 2f64.powi(k)).take_while(|x| (x * self.width).is_finite());
        let far: Vec<f64> = far.collect();
        let places = far.iter().rev().map(|x| -x).chain(steps).chain(far.iter().copied());
        let mut last = (f64::NEG_INFINITY, 0.0);
        for place in places {
            let x = self.median + place * self.width;
            let value = self.cdf(x);
            // A formula may lose some digits.
            if !(value >= last.1 - 1e-12 && value <= 1.0 + 1e-12) {
                let given = format!("{value} at {x:e} after {} at {:e}", last.1, last.0);
                return Err(Error::argument("cdf", given, "a function that increases from 0 to 1"));
            }
            last = (x, value);
        }
        Ok(())
    }

    /// `F(low) < u ≤ F(high)`, found by going outward from the middle.
    fn bracket(&self, u: f64) -> (f64, f64) {
        let (mut low, mut high) = (self.median, self.median);
        let mut step = self.width;
        if self.cdf(self.median) >= u {
            loop {
                low = high - step;
                if !(self.cdf(low) >= u && low.is_finite()) {
                    return (low, high);
                }
                high = low;
                step *= 2.0;
            }
        }
        loop {
            high = low + step;
            if self.cdf(high) >= u || high.is_infinite() {
                return (low, high);
            }
            low = high;
            step *= 2.0;
        }
    }
}

impl Inversion for NumericalInverse {
    fn cdf(&self, x: f64) -> f64 {
        (self.cdf)(x)
    }

    fn quantile(&self, u: f64) -> f64 {
        let (mut low, mut high) = self.bracket(u);
        if !(low.is_finite() && high.is_finite()) {
            return if high.is_finite() { low } else { high };
        }
        let (mut below, mut above) = (self.cdf(low) - u, self.cdf(high) - u);
        let tolerance = f64::EPSILON * low.abs().max(high.abs()).max(f64::EPSILON * self.width);
        let length = high - low;
        // Bisection would take one step less.
        let most = (length / (2.0 * tolerance)).log2().ceil().max(0.0) as i32 + 1;
        for step in 0..=most {
            if high - low <= 2.0 * tolerance {
                break;
            }
            let half = 0.5 * (low + high);
            let secant = (above * low - below * high) / (above - below);
            // The secant's point, pulled towards the middle, and no farther from it than bisection could mend.
            let towards = (half - secant).signum();
            let pull = 0.2 * (high - low).powi(2) / length;
            let nearer = if pull <= (half - secant).abs() { secant + towards * pull } else { half };
            let radius = (tolerance * 2f64.powi(most - step) - 0.5 * (high - low)).max(0.0);
            let x = if (nearer - half).abs() <= radius { nearer } else { half - towards * radius };
            let value = self.cdf(x) - u;
            if value >= 0.0 {
                (high, above) = (x, value);
            } else {
                (low, below) = (x, value);
            }
        }
        high
    }
}

impl fmt::Debug for NumericalInverse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NumericalInverse with the median {}", self.median)
    }
}
