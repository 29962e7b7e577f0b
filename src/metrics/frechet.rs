//! The Fréchet distance of two sets of features.

use super::Features;
use super::eigenvalues::symmetric_eigenvalues;
use crate::tensor::values;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// The mean and the covariance of a law in `dim` dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    mean: Vec<f64>,
    /// Row after row.
    covariance: Vec<f64>,
}

impl Moments {
    /// These moments; the covariance `dim × dim`, row after row.
    ///
    /// # Errors
    /// If the covariance has another size or is not symmetric, or a number is not finite.
    pub fn new(mean: Vec<f64>, covariance: Vec<f64>) -> Result<Self> {
        let dim = mean.len();
        if dim == 0 || covariance.len() != dim * dim {
            let expected = format!("{} numbers, for the {dim} of the mean", dim * dim);
            return Err(Error::argument("covariance.len()", covariance.len(), expected));
        }
        if let Some(value) = mean.iter().chain(&covariance).find(|value| !value.is_finite()) {
            return Err(Error::argument("covariance", value, "finite numbers"));
        }
        let size = covariance.iter().fold(0.0f64, |size, value| size.max(value.abs()));
        let skew = |at: usize| (covariance[at] - covariance[at % dim * dim + at / dim]).abs();
        if (0..dim * dim).any(|at| skew(at) > 1e-9 * size) {
            return Err(Error::argument("covariance", "not symmetric", "a symmetric matrix"));
        }
        Ok(Self { mean, covariance })
    }

    /// Those of the rows `x` `[n, dim]`, in `f64`; the covariance with `n - 1` in its denominator.
    ///
    /// ```
    /// use scorebook::{prelude::*, metrics::Moments};
    ///
    /// let x = Tensor::new(&[[0f64, 1.0], [2.0, 1.0]], &Device::Cpu)?;
    /// assert_eq!(Moments::of(&x)?, Moments::new(vec![1.0, 1.0], vec![2.0, 0.0, 0.0, 0.0])?);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `x` has another shape, or fewer than two rows: one has no covariance.
    pub fn of(x: &Tensor) -> Result<Self> {
        let [count, dim] = *x.dims() else {
            return Err(Error::shape("x", x.dims(), "[n, dim]"));
        };
        if count < 2 || dim == 0 {
            let expected = "at least two rows, of which there is a covariance; more than there are columns for one that is not singular";
            return Err(Error::shape("x", x.dims(), expected));
        }
        // A few rows at a time: in `f64` all of them take twice the memory.
        let parts =
            |count: usize| (0..count).step_by(4096).map(move |from| (from, 4096.min(count - from)));
        let part = |(from, size)| -> Result<Tensor> {
            Ok(x.narrow(0, from, size)?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?)
        };
        let mut mean = Tensor::zeros(dim, DType::F64, &Device::Cpu)?;
        for each in parts(count) {
            mean = (mean + part(each)?.sum(0)?)?;
        }
        let mean = (mean / count as f64)?;
        let mut squares = Tensor::zeros((dim, dim), DType::F64, &Device::Cpu)?;
        for each in parts(count) {
            let centred = part(each)?.broadcast_sub(&mean)?;
            squares = (squares + centred.t()?.matmul(&centred)?)?;
        }
        Self::new(values(&mean)?, values(&(squares / (count - 1) as f64)?)?)
    }

    /// The squared Fréchet distance to the moments of another law,
    /// `‖μ - ν‖² + tr Σ + tr Γ - 2 tr (Σ Γ)^½`: the squared Wasserstein-2 distance of the two Gaussians (Dowson & Landau
    /// 1982).
    ///
    /// With a factor `Σ = L Lᵀ` the last trace is the sum of the roots of the eigenvalues of `Lᵀ Γ L`, which is symmetric.
    /// `L` comes from Cholesky's method with pivots, so covariances may be singular.
    ///
    /// ```
    /// use scorebook::metrics::Moments;
    ///
    /// // N(0, 1) and N(3, 4): 3² + (1 - 2)².
    /// let (a, b) = (Moments::new(vec![0.0], vec![1.0])?, Moments::new(vec![3.0], vec![4.0])?);
    /// assert_eq!(a.frechet_distance(&b)?, 10.0);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the dimensions differ.
    pub fn frechet_distance(&self, other: &Self) -> Result<f64> {
        let dim = self.mean.len();
        if other.mean.len() != dim {
            let expected = format!("moments in {dim} dimensions");
            return Err(Error::argument("dim", other.mean.len(), expected));
        }
        let shift: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let trace = |matrix: &[f64]| (0..dim).map(|i| matrix[i * dim + i]).sum::<f64>();
        let traces = trace(&self.covariance) + trace(&other.covariance);
        let factor = factor(&self.covariance, dim);
        let rank = factor.len() / dim;
        if rank == 0 {
            return Ok(shift + traces);
        }
        let factor = Tensor::from_vec(factor, (rank, dim), &Device::Cpu)?;
        let between = Tensor::from_slice(&other.covariance, (dim, dim), &Device::Cpu)?;
        let product = factor.matmul(&between)?.matmul(&factor.t()?)?;
        let eigenvalues = symmetric_eigenvalues(&values(&product)?, rank);
        let root: f64 = eigenvalues.into_iter().map(|value| value.max(0.0).sqrt()).sum();
        // Rounding may leave less than 0 of two equal laws.
        Ok((shift + traces - 2.0 * root).max(0.0))
    }
}

/// The columns `l_k` of a factor, one after the other, `A = Σ l_k l_kᵀ`: Cholesky's method with pivots, which ends where
/// nothing but rounding is left.
fn factor(matrix: &[f64], dim: usize) -> Vec<f64> {
    let mut left: Vec<f64> = (0..dim).map(|i| matrix[i * dim + i]).collect();
    let least = left.iter().fold(0.0f64, |size, x| size.max(*x)) * f64::EPSILON * dim as f64;
    let mut columns: Vec<f64> = vec![];
    for _ in 0..dim {
        let pivot = (0..dim).max_by(|&i, &j| left[i].total_cmp(&left[j])).unwrap_or(0);
        if left[pivot] <= least {
            break;
        }
        let mut column = matrix[pivot * dim..(pivot + 1) * dim].to_vec();
        for before in columns.chunks_exact(dim) {
            let weight = before[pivot];
            column.iter_mut().zip(before).for_each(|(x, y)| *x -= weight * y);
        }
        let root = left[pivot].sqrt();
        for (x, left) in column.iter_mut().zip(&mut left) {
            *x /= root;
            *left -= *x * *x;
        }
        left[pivot] = 0.0;
        columns.extend(column);
    }
    columns
}

/// The Fréchet distance between two sets of features (Heusel et al. 2017, section 2, whose `d²` it is): that of the
/// Gaussians with their moments.
///
/// With the features of the Inception network it is the FID; with any other net a number of its own, to be compared only
/// with that of the same net. It is biased upward by a term of the order `1/n` (Bińkowski et al. 2018), so the number of
/// images belongs to it too, and the distance between two sets of real images of these sizes, the floor.
///
/// ```
/// use scorebook::{prelude::*, metrics::{Features, frechet_distance}};
///
/// let mut generator = Generator::new(7);
/// let real = Features::new(generator.normal((2000, 4), &Device::Cpu)?, "identity", "points")?;
/// let moved = Features::new((generator.normal((2000, 4), &Device::Cpu)? + 0.5)?, "identity", "points")?;
/// // ‖μ - ν‖² = 4 · 0.5²
/// assert!((frechet_distance(&real, &moved)? - 1.0).abs() < 0.3);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the features are of different nets, or of one image alone.
pub fn frechet_distance(x: &Features, y: &Features) -> Result<f64> {
    x.check_same_net(y)?;
    Moments::of(x.values())?.frechet_distance(&Moments::of(y.values())?)
}
