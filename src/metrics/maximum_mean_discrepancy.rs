//! The maximum mean discrepancy.

use super::rows;
use crate::{Error, Result};
use candle_core::Tensor;
use rayon::prelude::*;

/// The squared maximum mean discrepancy of two samples, `[n, ...]` and `[m, ...]`, for the kernel
/// `k(x, y) = exp(-‖x - y‖²/(2 bandwidth²))`, estimated without bias:
/// `mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) - 2 mean k(x_i, y_j)`.
///
/// Its mean is 0 where the laws are equal, so it may be negative (Gretton et al., JMLR 13, 2012, equation 3).
/// It takes `(n + m)²` evaluations. [`median_distance`] is the customary bandwidth.
///
/// ```
/// use scorebook::{prelude::*, metrics::mmd_squared, random::Generator};
///
/// let mut generator = Generator::new(7);
/// let (x, y) = (generator.normal((500, 2), &Device::Cpu)?, generator.normal((500, 2), &Device::Cpu)?);
/// assert!(mmd_squared(&x, &y, 1.0)?.abs() < 5e-3);
/// assert!(mmd_squared(&x, &(y + 0.5)?, 1.0)? > 3e-2);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the samples have not rows of one shape, are smaller than 2, or `bandwidth` is not positive.
pub fn mmd_squared(x: &Tensor, y: &Tensor, bandwidth: f64) -> Result<f64> {
    if !(bandwidth > 0.0 && bandwidth.is_finite()) {
        return Err(Error::argument("bandwidth", bandwidth, "a positive number"));
    }
    let (xs, ys, dim) = rows(x, y)?;
    let (n, m) = ((xs.len() / dim) as f64, (ys.len() / dim) as f64);
    if n < 2.0 || m < 2.0 {
        return Err(Error::shape("x", x.dims(), "at least two samples on each side"));
    }
    let kernel_sum = |a: &[f64], b: &[f64]| -> f64 {
        let sums: Vec<f64> = a
            .par_chunks_exact(dim)
            .map(|p| {
                b.chunks_exact(dim)
                    .map(|q| (-0.5 * squared_distance(p, q) / bandwidth.powi(2)).exp())
                    .sum()
            })
            .collect();
        // In order, so that the result does not depend on the threads.
        sums.iter().sum()
    };
    // The diagonal's n ones are left out.
    let within_x = (kernel_sum(&xs, &xs) - n) / (n * (n - 1.0));
    let within_y = (kernel_sum(&ys, &ys) - m) / (m * (m - 1.0));
    Ok(within_x + within_y - 2.0 * kernel_sum(&xs, &ys) / (n * m))
}

/// The median distance between a point of `x` and one of `y`: a bandwidth on the scale of the data.
///
/// ```
/// use scorebook::{prelude::*, metrics::median_distance};
///
/// let x = Tensor::new(&[[0f32], [1.0], [5.0]], &Device::Cpu)?;
/// assert_eq!(median_distance(&x, &Tensor::new(&[[0f32]], &Device::Cpu)?)?, 1.0);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the samples have not rows of one shape.
pub fn median_distance(x: &Tensor, y: &Tensor) -> Result<f64> {
    let (xs, ys, dim) = rows(x, y)?;
    let mut distances: Vec<f64> = xs
        .chunks_exact(dim)
        .flat_map(|p| ys.chunks_exact(dim).map(move |q| squared_distance(p, q)))
        .collect();
    let middle = distances.len() / 2;
    let (_, median, _) = distances.select_nth_unstable_by(middle, f64::total_cmp);
    Ok(median.sqrt())
}

fn squared_distance(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| (p - q).powi(2)).sum()
}
