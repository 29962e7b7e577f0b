//! The Wasserstein distance on the line, and its mean over directions.

use super::rows;
use crate::{Error, Result, random::Generator};
use candle_core::Tensor;
use rayon::prelude::*;

/// The sliced Wasserstein-2 distance of two samples, `[n, ...]` and `[m, ...]`: the root of the mean of
/// `W₂²` over random directions, along which the samples are projected.
///
/// Source: Bonneel et al., J. Math. Imaging Vis. 51, 2015. Laws that differ by a shift `v` in `d` dimensions have the
/// distance `‖v‖/√d`.
///
/// ```
/// use scorebook::{prelude::*, metrics::sliced_wasserstein, random::Generator};
///
/// let mut generator = Generator::new(7);
/// let x = generator.normal((1000, 2), &Device::Cpu)?;
/// let distance = sliced_wasserstein(&x, &(&x + 1.0)?, 500, &mut generator)?;
/// assert!((distance - 1.0).abs() < 0.1);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the samples have not rows of one shape, or `directions` is 0.
pub fn sliced_wasserstein(
    x: &Tensor,
    y: &Tensor,
    directions: usize,
    generator: &mut Generator,
) -> Result<f64> {
    if directions == 0 {
        return Err(Error::argument("directions", directions, "at least 1"));
    }
    let (xs, ys, dim) = rows(x, y)?;
    let mut normals = vec![0f64; directions * dim];
    generator.fill_normal_f64(&mut normals);
    let squares: Vec<f64> = normals
        .par_chunks_exact(dim)
        .map(|normal| {
            // A normal vector points anywhere with equal probability.
            let length = normal.iter().map(|z| z * z).sum::<f64>().sqrt();
            let project = |rows: &[f64]| -> Vec<f64> {
                rows.chunks_exact(dim)
                    .map(|row| row.iter().zip(normal).map(|(x, z)| x * z).sum::<f64>() / length)
                    .collect()
            };
            squared_wasserstein(project(&xs), project(&ys))
        })
        .collect();
    Ok((squares.iter().sum::<f64>() / directions as f64).sqrt())
}

/// The Wasserstein-2 distance of two samples of numbers, `(∫₀¹ (F⁻¹(u) - G⁻¹(u))² du)^½`.
///
/// ```
/// let distance = scorebook::metrics::wasserstein(&[0.0, 1.0, 3.0], &[3.0, 2.0, 5.0])?;
/// assert!((distance - 2.0).abs() < 0.2);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If a sample is empty or a number not finite.
pub fn wasserstein(x: &[f64], y: &[f64]) -> Result<f64> {
    for (name, sample) in [("x", x), ("y", y)] {
        if sample.is_empty() {
            return Err(Error::argument(name, "empty", "at least one number"));
        }
        if let Some(value) = sample.iter().find(|value| !value.is_finite()) {
            return Err(Error::argument(name, value, "finite numbers"));
        }
    }
    Ok(squared_wasserstein(x.to_vec(), y.to_vec()).sqrt())
}

fn squared_wasserstein(mut x: Vec<f64>, mut y: Vec<f64>) -> f64 {
    x.sort_unstable_by(f64::total_cmp);
    y.sort_unstable_by(f64::total_cmp);
    // Both inverse distribution functions are steps: a share of probability at a time.
    let (n, m) = (x.len(), y.len());
    let (mut i, mut j, mut reached, mut sum) = (0, 0, 0, 0.0);
    while i < n && j < m {
        // Probabilities in units of 1/(n m) stay whole numbers.
        let (end_of_x, end_of_y) = ((i + 1) * m, (j + 1) * n);
        let end = end_of_x.min(end_of_y);
        sum += (end - reached) as f64 * (x[i] - y[j]).powi(2);
        reached = end;
        i += usize::from(end == end_of_x);
        j += usize::from(end == end_of_y);
    }
    sum / (n as f64 * m as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_different_sizes() {
        // Each number twice is the same law.
        let distance = wasserstein(&[0.0, 1.0, 5.0], &[5.0, 5.0, 1.0, 1.0, 0.0, 0.0]).unwrap();
        assert_eq!(distance, 0.0);
        // Mass ⅔ at 0 and ⅓ at 1 against ½ and ½: ⅙ of it moves by 1.
        let distance = wasserstein(&[0.0, 0.0, 1.0], &[0.0, 1.0]).unwrap();
        assert!((distance.powi(2) - 1.0 / 6.0).abs() < 1e-15);
        assert!(wasserstein(&[], &[1.0]).is_err() && wasserstein(&[1.0], &[f64::NAN]).is_err());
    }
}
