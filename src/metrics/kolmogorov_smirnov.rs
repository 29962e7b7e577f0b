//! The Kolmogorov-Smirnov tests.

use crate::{Error, Result};

/// The outcome of a Kolmogorov-Smirnov test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KsTest {
    /// The largest distance `D` of the two distribution functions.
    pub statistic: f64,
    /// The probability of such a distance, or a larger one, where the laws are equal.
    pub p_value: f64,
}

/// Tests numbers against a law: `D = sup |F_n(x) - F(x)|` with the distribution function `F` = `cdf`.
///
/// The p-value is Kolmogorov's limit with Stephens' correction for finite `n` (J. Roy. Statist. Soc. B 32, 1970),
/// good for `n` of ten and more.
///
/// ```
/// use scorebook::{metrics::ks_one_sample, random::Generator};
///
/// let mut u = [0f32; 1000];
/// Generator::new(7).fill_uniform(&mut u);
/// let test = ks_one_sample(&u.map(f64::from), |x| x.clamp(0.0, 1.0))?;
/// assert!(test.p_value > 1e-6);
/// let wrong = ks_one_sample(&u.map(f64::from), |x| x.clamp(0.0, 1.0).powi(2))?;
/// assert!(wrong.p_value < 1e-6);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If there is no number, or one that is not finite.
pub fn ks_one_sample(sample: &[f64], cdf: impl Fn(f64) -> f64) -> Result<KsTest> {
    let sorted = sorted("sample", sample)?;
    let n = sorted.len() as f64;
    let statistic = sorted
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let f = cdf(*x);
            (f - i as f64 / n).max((i + 1) as f64 / n - f)
        })
        .fold(0.0, f64::max);
    Ok(KsTest { statistic, p_value: p_value(statistic, n) })
}

/// Tests whether two samples come from one law: `D = sup |F_n(x) - G_m(x)|`, with the p-value of [`ks_one_sample`] for
/// `nm/(n + m)` numbers.
///
/// ```
/// use scorebook::metrics::ks_two_sample;
///
/// // Three of four numbers lie below all of the others.
/// let test = ks_two_sample(&[1.0, 2.0, 3.0, 6.0], &[4.0, 5.0, 6.0, 7.0])?;
/// assert_eq!(test.statistic, 0.75);
/// let even: Vec<f64> = (0..500).map(f64::from).collect();
/// let shifted: Vec<f64> = even.iter().map(|x| x + 100.0).collect();
/// assert!(ks_two_sample(&even, &shifted)?.p_value < 1e-6);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If a sample is empty, or a number not finite.
pub fn ks_two_sample(x: &[f64], y: &[f64]) -> Result<KsTest> {
    let (x, y) = (sorted("x", x)?, sorted("y", y)?);
    let (n, m) = (x.len() as f64, y.len() as f64);
    let (mut i, mut j, mut statistic) = (0, 0, 0f64);
    while i < x.len() && j < y.len() {
        // Equal numbers are passed together: the functions are compared after both steps.
        let at = x[i].min(y[j]);
        while i < x.len() && x[i] <= at {
            i += 1;
        }
        while j < y.len() && y[j] <= at {
            j += 1;
        }
        statistic = statistic.max((i as f64 / n - j as f64 / m).abs());
    }
    Ok(KsTest { statistic, p_value: p_value(statistic, n * m / (n + m)) })
}

fn sorted(name: &'static str, sample: &[f64]) -> Result<Vec<f64>> {
    if sample.is_empty() {
        return Err(Error::argument(name, "empty", "at least one number"));
    }
    if let Some(x) = sample.iter().find(|x| !x.is_finite()) {
        return Err(Error::argument(name, x, "finite numbers"));
    }
    let mut sorted = sample.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Ok(sorted)
}

/// `P(D ≥ statistic)` for `n` numbers (for two samples, `n m/(n + m)`).
fn p_value(statistic: f64, n: f64) -> f64 {
    let x = statistic * (n.sqrt() + 0.12 + 0.11 / n.sqrt());
    // Two series of the same function; each converges fast on its side.
    if x < 0.2 {
        1.0
    } else if x < 1.0 {
        let c = std::f64::consts::PI.powi(2) / (8.0 * x * x);
        let sum: f64 = (0..5).map(|k| (-c * f64::from((2 * k + 1) * (2 * k + 1))).exp()).sum();
        1.0 - std::f64::consts::TAU.sqrt() / x * sum
    } else {
        2.0 * (1..6).map(|k| sign(k) * (-2.0 * f64::from(k * k) * x * x).exp()).sum::<f64>()
    }
}

fn sign(k: i32) -> f64 {
    if k % 2 == 1 { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of Kolmogorov's law, Smirnov's table (Ann. Math. Statist. 19, 1948).
    #[test]
    fn limit_law() {
        for (x, p) in
            [(0.5, 0.963945), (0.83, 0.496), (1.22, 0.101794), (1.36, 0.049486), (1.63, 0.009846)]
        {
            let n = 1e12;
            assert!((p_value(x / f64::sqrt(n), n) - p).abs() < 5e-4, "{x}");
        }
        // The two series meet.
        assert!((p_value(0.999_999e-6, 1e12) - p_value(1.000_001e-6, 1e12)).abs() < 1e-5);
    }

    #[test]
    fn distances_by_hand() {
        let test = ks_one_sample(&[0.5, 0.25], |x| x).unwrap();
        assert_eq!(test.statistic, 0.5);
        assert_eq!(ks_two_sample(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]).unwrap().statistic, 0.0);
        assert_eq!(ks_two_sample(&[1.0, 2.0], &[3.0, 4.0, 5.0]).unwrap().statistic, 1.0);
        let statistic = ks_two_sample(&[1.0, 3.0], &[2.0, 3.0, 4.0]).unwrap().statistic;
        assert!((statistic - 0.5).abs() < 1e-15);
        assert!(ks_one_sample(&[], |x| x).is_err() && ks_two_sample(&[f64::NAN], &[1.0]).is_err());
    }
}
