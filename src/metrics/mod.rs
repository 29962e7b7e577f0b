//! Distances between samples and laws, and what is measured of generated images.
//!
//! | the question | the answer |
//! |---|---|
//! | do numbers follow a law | [`ks_one_sample`], [`ks_two_sample`] |
//! | are two samples of one law | [`mmd_squared`], [`sliced_wasserstein`] |
//! | are generated images like real ones | [`frechet_distance`], [`kernel_distance`], on [`Features`] |
//! | are they good; are they various | [`precision_recall`] |
//! | is each class drawn as often as it comes; the one that was asked for | [`ClassHistogram`], [`accuracy`], [`joint_accuracy`] |
//! | were they learned by heart | [`Memorisation`] |
//! | all of these, beside what real images reach | [`ImageComparison`] |
//! | how near is an image to another | [`psnr`], [`ssim`] |
//!
//! In the book: [15-evaluation].
//!
//! [15-evaluation]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/15-evaluation.ipynb

mod attributes;
mod eigenvalues;
mod features;
mod frechet;
mod histogram;
mod image_comparison;
mod kernel_distance;
mod kolmogorov_smirnov;
mod maximum_mean_discrepancy;
mod memorisation;
mod neighbours;
mod precision_recall;
mod psnr;
mod sliced_wasserstein;
mod ssim;

pub use crate::tensor::values;
pub use attributes::{accuracy, joint_accuracy};
pub use features::Features;
pub use frechet::{Moments, frechet_distance};
pub use histogram::ClassHistogram;
pub use image_comparison::{FeatureComparison, ImageComparison, ImageMetric, ImageReport, Measure};
pub use kernel_distance::kernel_distance;
pub use kolmogorov_smirnov::{KsTest, ks_one_sample, ks_two_sample};
pub use maximum_mean_discrepancy::{median_distance, mmd_squared};
pub use memorisation::Memorisation;
pub use precision_recall::{PrecisionRecall, precision_recall};
pub use psnr::psnr;
pub use sliced_wasserstein::{sliced_wasserstein, wasserstein};
pub use ssim::ssim;

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
