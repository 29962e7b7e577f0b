//! A mean with its standard error.

use crate::{Error, Result};
use std::fmt;

/// The mean of independent values and its standard error.
///
/// ```
/// use scorebook::likelihood::Estimate;
///
/// let estimate = Estimate::of(&[1.0, 2.0, 3.0])?;
/// assert_eq!(estimate.value, 2.0);
/// assert!((estimate.standard_error - (1.0f64 / 3.0).sqrt()).abs() < 1e-15);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// The standard deviation of the mean: that of the values over the root of their number.
    pub standard_error: f64,
}

impl Estimate {
    /// The mean of `values`.
    ///
    /// # Errors
    /// If there are fewer than two.
    pub fn of(values: &[f64]) -> Result<Self> {
        if values.len() < 2 {
            let expected = "at least two values, to tell a standard error from";
            return Err(Error::shape("values", &[values.len()], expected));
        }
        let n = values.len() as f64;
        let value = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|each| (each - value).powi(2)).sum();
        Ok(Self { value, standard_error: (squares / (n - 1.0) / n).sqrt() })
    }
}

/// `0.1234 ± 0.0056`.
impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(4);
        write!(f, "{:.digits$} ± {:.digits$}", self.value, self.standard_error)
    }
}
