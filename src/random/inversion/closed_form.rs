//! Laws whose quantile function is a formula.

use super::Inversion;
use crate::{Error, Result};
use std::{f64::consts::PI, fmt, sync::Arc};

type Function = Arc<dyn Fn(f64) -> f64 + Send + Sync>;

/// A law whose distribution function and quantile function are formulas.
///
/// ```
/// use scorebook::random::{ClosedForm, Inversion};
///
/// // Laplace's law, handed in.
/// let law = ClosedForm::new(
///     |x| if x < 0.0 { 0.5 * x.exp() } else { 1.0 - 0.5 * (-x).exp() },
///     |u| if u < 0.5 { (2.0 * u).ln() } else { -(2.0 - 2.0 * u).ln() },
/// );
/// assert!((law.cdf(law.quantile(0.9)) - 0.9).abs() < 1e-15);
/// ```
#[derive(Clone)]
pub struct ClosedForm {
    cdf: Function,
    quantile: Function,
}

impl ClosedForm {
    /// The law with the distribution function `cdf` and its generalised inverse `quantile`. Nothing checks that they
    /// belong to each other.
    pub fn new(
        cdf: impl Fn(f64) -> f64 + Send + Sync + 'static,
        quantile: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self { cdf: Arc::new(cdf), quantile: Arc::new(quantile) }
    }

    /// The exponential law: `F(x) = 1 - e^(-λx)` for `x ≥ 0`, `F⁻¹(u) = -ln(1 - u)/λ`.
    ///
    /// ```
    /// use scorebook::random::{ClosedForm, Inversion};
    ///
    /// // The median is ln 2/λ.
    /// assert!((ClosedForm::exponential(2.0)?.quantile(0.5) - 2f64.ln() / 2.0).abs() < 1e-15);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `rate` is not positive.
    pub fn exponential(rate: f64) -> Result<Self> {
        check_positive("rate", rate)?;
        Self::weibull(1.0, rate.recip())
    }

    /// Weibull's law: `F(x) = 1 - exp(-(x/s)^k)` for `x ≥ 0`, `F⁻¹(u) = s (-ln(1 - u))^(1/k)`.
    ///
    /// ```
    /// use scorebook::random::{ClosedForm, Inversion};
    ///
    /// // Whatever the shape, F(s) = 1 - 1/e.
    /// let law = ClosedForm::weibull(2.0, 3.0)?;
    /// assert!((law.cdf(3.0) - (1.0 - (-1f64).exp())).abs() < 1e-15);
    /// assert!((law.quantile(law.cdf(1.7)) - 1.7).abs() < 1e-14);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `shape` `k` or `scale` `s` is not positive.
    pub fn weibull(shape: f64, scale: f64) -> Result<Self> {
        check_positive("shape", shape)?;
        check_positive("scale", scale)?;
        Ok(Self::new(
            move |x| -(-(x.max(0.0) / scale).powf(shape)).exp_m1(),
            move |u| scale * (-(-u).ln_1p()).powf(shape.recip()),
        ))
    }

    /// Cauchy's law: `F(x) = ½ + arctan((x - m)/s)/π`, `F⁻¹(u) = m + s tan(π(u - ½))`. It has no mean.
    ///
    /// ```
    /// use scorebook::random::{ClosedForm, Inversion};
    ///
    /// // The quartiles are m ± s.
    /// let law = ClosedForm::cauchy(1.0, 2.0)?;
    /// assert!((law.quantile(0.25) + 1.0).abs() < 1e-14 && (law.quantile(0.75) - 3.0).abs() < 1e-14);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `location` `m` is not finite or `scale` `s` not positive.
    pub fn cauchy(location: f64, scale: f64) -> Result<Self> {
        check_location(location)?;
        check_positive("scale", scale)?;
        Ok(Self::new(
            move |x| 0.5 + ((x - location) / scale).atan() / PI,
            move |u| location + scale * (PI * (u - 0.5)).tan(),
        ))
    }

    /// The logistic law: `F(x) = 1/(1 + e^(-(x - m)/s))`, `F⁻¹(u) = m + s ln(u/(1 - u))`.
    ///
    /// ```
    /// use scorebook::random::{ClosedForm, Inversion};
    ///
    /// // The quartiles are m ± s ln 3.
    /// let law = ClosedForm::logistic(1.0, 2.0)?;
    /// assert!((law.quantile(0.75) - (1.0 + 2.0 * 3f64.ln())).abs() < 1e-14);
    /// assert_eq!(law.cdf(1.0), 0.5);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `location` `m` is not finite or `scale` `s` not positive.
    pub fn logistic(location: f64, scale: f64) -> Result<Self> {
        check_location(location)?;
        check_positive("scale", scale)?;
        Ok(Self::new(
            move |x| 1.0 / (1.0 + (-(x - location) / scale).exp()),
            move |u| location + scale * (u.ln() - (-u).ln_1p()),
        ))
    }
}

impl Inversion for ClosedForm {
    fn cdf(&self, x: f64) -> f64 {
        (self.cdf)(x)
    }

    fn quantile(&self, u: f64) -> f64 {
        (self.quantile)(u)
    }
}

impl fmt::Debug for ClosedForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClosedForm with the median {}", self.quantile(0.5))
    }
}

fn check_positive(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::argument(name, value, "a positive number"))
}

fn check_location(location: f64) -> Result<()> {
    if location.is_finite() {
        return Ok(());
    }
    Err(Error::argument("location", location, "a finite number"))
}
