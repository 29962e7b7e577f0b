//! Distances between samples and laws.

mod kolmogorov_smirnov;
mod maximum_mean_discrepancy;
mod psnr;
mod sliced_wasserstein;

pub use crate::tensor::values;
pub use kolmogorov_smirnov::{KsTest, ks_one_sample, ks_two_sample};
pub use maximum_mean_discrepancy::{median_distance, mmd_squared};
pub use psnr::psnr;
pub use sliced_wasserstein::{sliced_wasserstein, wasserstein};

use crate::{Error, Result};
use candle_core::Tensor;

/// Two samples `[n, ...]` and `[m, ...]` as rows of numbers, and the length of a row.
fn rows(x: &Tensor, y: &Tensor) -> Result<(Vec<f64>, Vec<f64>, usize)> {
    let ([n, of_x @ ..], [m, of_y @ ..]) = (x.dims(), y.dims()) else {
        return Err(Error::shape("x", x.dims(), "[n, ...]"));
    };
    if of_x != of_y {
        return Err(Error::shape("y", y.dims(), format!("[m, ...] with the rows of x, {of_x:?}")));
    }
    let dim = of_x.iter().product();
    if *n == 0 || *m == 0 || dim == 0 {
        return Err(Error::shape("x", x.dims(), "at least one sample of at least one number"));
    }
    let (x, y) = (values(x)?, values(y)?);
    if x.iter().chain(&y).any(|value| !value.is_finite()) {
        return Err(Error::NotFinite {
            what: "a sample".into(),
            at: "the comparison of two samples".into(),
            remedy: "Look at what made it".into(),
        });
    }
    Ok((x, y, dim))
}
