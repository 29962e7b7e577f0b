//! How often each class was drawn.

use crate::{Error, Result};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// How often each class comes in two sets, and whether that is chance.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassHistogram {
    /// How often each class comes in the first set.
    pub counts: Vec<u64>,
    /// The same in the set that it is compared with.
    pub reference: Vec<u64>,
    /// `½ Σ |p_k - q_k|` of the shares: 0 where they are equal, 1 where no class is in both.
    pub total_variation: f64,
    /// Pearson's statistic of the hypothesis that both have the same shares.
    pub chi_squared: f64,
    /// The probability of such a statistic, or a larger one, where it is true; the limit law, good where every class that
    /// occurs is expected five times in each set.
    pub p_value: f64,
}

impl ClassHistogram {
    /// Compares the counts of the same classes in two sets.
    ///
    /// ```
    /// use scorebook::metrics::ClassHistogram;
    ///
    /// let histogram = ClassHistogram::compare(&[60, 40], &[500, 500])?;
    /// assert!((histogram.total_variation - 0.1).abs() < 1e-12);
    /// assert!((0.05..0.06).contains(&histogram.p_value));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there are not as many classes in both, or a set is empty.
    pub fn compare(counts: &[u64], reference: &[u64]) -> Result<Self> {
        if counts.len() != reference.len() {
            let expected = format!("[{}], as many classes as in `counts`", counts.len());
            return Err(Error::shape("reference", &[reference.len()], expected));
        }
        let total = |counts: &[u64]| counts.iter().sum::<u64>() as f64;
        let (n, m) = (total(counts), total(reference));
        if n == 0.0 || m == 0.0 {
            return Err(Error::argument("counts", "all 0", "at least one image in each set"));
        }
        let pairs = || counts.iter().zip(reference).map(|(&a, &b)| (a as f64, b as f64));
        let total_variation = pairs().map(|(a, b)| (a / n - b / m).abs()).sum::<f64>() / 2.0;
        let (mut chi_squared, mut classes) = (0.0, 0);
        for (a, b) in pairs().filter(|(a, b)| a + b > 0.0) {
            let (expected, of_reference) = ((a + b) * n / (n + m), (a + b) * m / (n + m));
            chi_squared +=
                (a - expected).powi(2) / expected + (b - of_reference).powi(2) / of_reference;
            classes += 1;
        }
        let p_value = match ChiSquared::new(f64::from(classes - 1)) {
            Ok(law) => law.sf(chi_squared),
            // A single class leaves nothing to chance.
            Err(_) => 1.0,
        };
        let (counts, reference) = (counts.to_vec(), reference.to_vec());
        Ok(Self { counts, reference, total_variation, chi_squared, p_value })
    }

    /// How often each of `classes` is among `labels`.
    ///
    /// ```
    /// use scorebook::metrics::ClassHistogram;
    ///
    /// assert_eq!(ClassHistogram::count(&[0, 2, 2], 3)?, [1, 0, 2]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a label is none of them.
    pub fn count(labels: &[u32], classes: usize) -> Result<Vec<u64>> {
        let mut counts = vec![0; classes];
        for &label in labels {
            let expected = || format!("less than {classes}, the number of classes");
            let count = counts.get_mut(label as usize);
            *count.ok_or_else(|| Error::argument("label", label, expected()))? += 1;
        }
        Ok(counts)
    }
}
