//! The kernel distance of two sets of features.

use super::Features;
use crate::{Error, Result, likelihood::Estimate, tensor::values};
use candle_core::{D, DType, Tensor};

/// The kernel distance between two sets of features (Bińkowski et al. 2018, the KID where the net is Inception): the
/// squared maximum mean discrepancy with the kernel `k(x, y) = (x·y/size + 1)³`, without bias.
///
/// Both sets are cut into as many disjoint subsets of `subset` images as the smaller one holds; the value is the mean of the
/// subsets' estimates (equation 4 there), each of the mean 0 where the laws are equal, and the standard error is theirs,
/// since they are independent. The images should be in no order: see
/// [`Generator::permutation`](crate::random::Generator::permutation).
///
/// ```
/// use scorebook::{prelude::*, metrics::{Features, kernel_distance}};
///
/// let mut generator = Generator::new(7);
/// let mut features = |shift: f64| -> scorebook::Result<Features> {
///     Features::new((generator.normal((1000, 8), &Device::Cpu)? + shift)?, "identity", "points")
/// };
/// let (real, same, moved) = (features(0.0)?, features(0.0)?, features(0.5)?);
/// let distance = kernel_distance(&real, &same, 100)?;
/// assert!(distance.value.abs() < 5.0 * distance.standard_error);
/// let distance = kernel_distance(&real, &moved, 100)?;
/// assert!(distance.value > 5.0 * distance.standard_error);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the features are of different nets, or there are not two subsets of at least two images.
pub fn kernel_distance(x: &Features, y: &Features, subset: usize) -> Result<Estimate> {
    x.check_same_net(y)?;
    let subsets = x.len().min(y.len()).checked_div(subset).unwrap_or(0);
    if subset < 2 || subsets < 2 {
        let smaller = x.len().min(y.len());
        let expected = format!("from 2 to {}, half of the smaller set", smaller / 2);
        return Err(Error::argument("subset", subset, expected));
    }
    let part = |features: &Features, i: usize| -> Result<Tensor> {
        Ok(features.values().narrow(0, i * subset, subset)?.to_dtype(DType::F64)?)
    };
    let of_subsets = (0..subsets).map(|i| discrepancy(&part(x, i)?, &part(y, i)?));
    Estimate::of(&of_subsets.collect::<Result<Vec<f64>>>()?)
}

/// `mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) - 2 mean k(x_i, y_j)` of as many rows on both sides.
fn discrepancy(x: &Tensor, y: &Tensor) -> Result<f64> {
    let (count, size) = x.dims2()?;
    let kernel = |products: Tensor| -> Result<f64> {
        let base = ((products / size as f64)? + 1.0)?;
        Ok(values(&(base.sqr()? * &base)?.sum_all()?)?[0])
    };
    let within = |x: &Tensor| -> Result<f64> {
        Ok(kernel(x.matmul(&x.t()?)?)? - kernel(x.sqr()?.sum(D::Minus1)?)?)
    };
    let (n, pairs) = (count as f64, count as f64 * (count as f64 - 1.0));
    Ok((within(x)? + within(y)?) / pairs - 2.0 * kernel(x.matmul(&y.t()?)?)? / (n * n))
}
