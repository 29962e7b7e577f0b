//! The Gaussian law.

use super::{Density, check_points, constant};
use crate::{Error, Result, random::Generator};
use candle_core::{D, DType, Device, Tensor};

/// The Gaussian law `N(μ, Σ)`, with an isotropic, a diagonal or a full covariance.
///
/// `ln p(x) = -½ (x-μ)ᵀ Σ⁻¹ (x-μ) - ½ ln det 2πΣ`, `∇ ln p(x) = -Σ⁻¹ (x-μ)`.
///
/// ```
/// use scorebook::{prelude::*, distribution::{Density, Gaussian}};
///
/// let density = Gaussian::full([1.0, 0.0], &[[2.0, 0.6], [0.6, 1.0]])?;
/// let x = Tensor::new(&[[2.0, 1.0]], &Device::Cpu)?;
/// let score = density.score(&x)?.to_vec2::<f64>()?;
/// assert!((score[0][0] + 0.4 / 1.64).abs() < 1e-12 && (score[0][1] + 1.4 / 1.64).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gaussian {
    mean: Vec<f64>,
    factor: Factor,
}

/// A matrix `L` with `Σ = L Lᵀ`.
#[derive(Clone, Debug)]
enum Factor {
    /// The standard deviations.
    Diagonal(Vec<f64>),
    /// Cholesky's lower triangle and its inverse, row after row.
    Full { lower: Vec<f64>, inverse: Vec<f64> },
}

impl Gaussian {
    /// `N(0, I)`.
    pub fn standard(dim: usize) -> Self {
        Self { mean: vec![0.0; dim], factor: Factor::Diagonal(vec![1.0; dim]) }
    }

    /// `N(μ, s² I)`.
    ///
    /// # Errors
    /// If `std` is not positive or `mean` not finite.
    pub fn isotropic(mean: impl Into<Vec<f64>>, std: f64) -> Result<Self> {
        let mean = mean.into();
        let stds = vec![std; mean.len()];
        Self::diagonal(mean, stds)
    }

    /// `N(μ, diag(s²))`.
    ///
    /// ```
    /// use scorebook::{prelude::*, distribution::Gaussian};
    ///
    /// let law = Gaussian::diagonal([1.0, 0.0], [2.0, 0.5])?;
    /// let score = law.score(&Tensor::new(&[[3.0, 1.0]], &Device::Cpu)?)?; // -(x - μ)/s²
    /// assert_eq!(score.to_vec2::<f64>()?, [[-0.5, -4.0]]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is not one positive standard deviation a coordinate, or `mean` is not finite.
    pub fn diagonal(mean: impl Into<Vec<f64>>, stds: impl Into<Vec<f64>>) -> Result<Self> {
        let (mean, stds) = (check_mean(mean.into())?, stds.into());
        if stds.len() != mean.len() {
            return Err(Error::shape("stds", &[stds.len()], format!("[{}]", mean.len())));
        }
        if let Some(std) = stds.iter().find(|std| !(**std > 0.0 && std.is_finite())) {
            return Err(Error::argument("stds", std, "positive numbers"));
        }
        Ok(Self { mean, factor: Factor::Diagonal(stds) })
    }

    /// `N(μ, Σ)` with the rows of `Σ`.
    ///
    /// # Errors
    /// If the covariance is not a symmetric positive definite matrix of the dimension of `mean`.
    pub fn full<R: AsRef<[f64]>>(mean: impl Into<Vec<f64>>, covariance: &[R]) -> Result<Self> {
        let mean = check_mean(mean.into())?;
        let lower = cholesky(covariance, mean.len())?;
        let inverse = invert_lower(&lower, mean.len());
        Ok(Self { mean, factor: Factor::Full { lower, inverse } })
    }

    /// The mean `μ`.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The covariance `Σ`, row after row.
    ///
    /// ```
    /// use scorebook::distribution::Gaussian;
    ///
    /// let law = Gaussian::full([1.0, 0.0], &[[4.0, 2.0], [2.0, 2.0]])?;
    /// assert_eq!(law.covariance(), [4.0, 2.0, 2.0, 2.0]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn covariance(&self) -> Vec<f64> {
        let dim = self.mean.len();
        let entry = |i: usize, j: usize| match &self.factor {
            Factor::Diagonal(stds) if i == j => stds[i].powi(2),
            Factor::Diagonal(_) => 0.0,
            Factor::Full { lower, .. } => {
                (0..=i.min(j)).map(|k| lower[i * dim + k] * lower[j * dim + k]).sum()
            }
        };
        (0..dim * dim).map(|at| entry(at / dim, at % dim)).collect()
    }

    /// `L⁻¹ (x - μ)`, which is standard normal.
    fn whiten(&self, x: &Tensor) -> Result<Tensor> {
        let dim = self.mean.len();
        check_points(x, dim)?;
        let centred = x.broadcast_sub(&constant(self.mean.clone(), dim, x)?)?;
        match &self.factor {
            Factor::Diagonal(stds) => {
                Ok(centred.broadcast_div(&constant(stds.clone(), dim, x)?)?)
            }
            Factor::Full { inverse, .. } => {
                Ok(centred.matmul(&constant(inverse.clone(), (dim, dim), x)?.t()?)?)
            }
        }
    }
}

impl Density for Gaussian {
    fn dim(&self) -> usize {
        self.mean.len()
    }

    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let dim = self.mean.len();
        let log_det: f64 = match &self.factor {
            Factor::Diagonal(stds) => stds.iter().map(|std| std.ln()).sum(),
            Factor::Full { lower, .. } => (0..dim).map(|i| lower[i * dim + i].ln()).sum(),
        };
        let constant = -log_det - 0.5 * dim as f64 * std::f64::consts::TAU.ln();
        Ok(self.whiten(x)?.sqr()?.sum(D::Minus1)?.affine(-0.5, constant)?)
    }

    fn score(&self, x: &Tensor) -> Result<Tensor> {
        let (white, dim) = (self.whiten(x)?, self.mean.len());
        match &self.factor {
            Factor::Diagonal(stds) => {
                Ok(white.neg()?.broadcast_div(&constant(stds.clone(), dim, x)?)?)
            }
            Factor::Full { inverse, .. } => {
                Ok(white.neg()?.matmul(&constant(inverse.clone(), (dim, dim), x)?)?)
            }
        }
    }

    fn sample(&self, n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor> {
        let dim = self.mean.len();
        let z = generator.normal((n, dim), device)?;
        let spread = match &self.factor {
            Factor::Diagonal(stds) => z.broadcast_mul(&constant(stds.clone(), dim, &z)?)?,
            Factor::Full { lower, .. } => {
                z.matmul(&constant(lower.clone(), (dim, dim), &z)?.t()?)?
            }
        };
        Ok(spread.broadcast_add(&constant(self.mean.clone(), dim, &z)?)?.to_dtype(DType::F32)?)
    }
}

fn check_mean(mean: Vec<f64>) -> Result<Vec<f64>> {
    match mean.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(Error::argument("mean", value, "finite numbers")),
        None if mean.is_empty() => Err(Error::argument("mean", "[]", "at least one coordinate")),
        None => Ok(mean),
    }
}

/// The lower triangle `L` with `Σ = L Lᵀ`, row after row.
pub(crate) fn cholesky<R: AsRef<[f64]>>(covariance: &[R], dim: usize) -> Result<Vec<f64>> {
    if covariance.len() != dim || covariance.iter().any(|row| row.as_ref().len() != dim) {
        let columns = covariance.first().map_or(0, |row| row.as_ref().len());
        let expected = format!("[{dim}, {dim}], as the mean has {dim} coordinates");
        return Err(Error::shape("covariance", &[covariance.len(), columns], expected));
    }
    let mut lower = vec![0.0; dim * dim];
    for i in 0..dim {
        for j in 0..=i {
            let value = covariance[i].as_ref()[j];
            let mirrored = covariance[j].as_ref()[i];
            if (value - mirrored).abs() > 1e-12 * value.abs().max(mirrored.abs()) {
                let values = format!("{value} at [{i}, {j}] and {mirrored} at [{j}, {i}]");
                return Err(Error::argument("covariance", values, "a symmetric matrix"));
            }
            let rest = value - (0..j).map(|k| lower[i * dim + k] * lower[j * dim + k]).sum::<f64>();
            if i > j {
                lower[i * dim + j] = rest / lower[j * dim + j];
            } else if rest > 0.0 && rest.is_finite() {
                lower[i * dim + i] = rest.sqrt();
            } else {
                let pivot = format!("a matrix whose pivot {i} is {rest}");
                return Err(Error::argument("covariance", pivot, "a positive definite matrix"));
            }
        }
    }
    Ok(lower)
}

/// The inverse of a lower triangle, by forward substitution.
fn invert_lower(lower: &[f64], dim: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; dim * dim];
    for column in 0..dim {
        for i in column..dim {
            let known: f64 =
                (column..i).map(|k| lower[i * dim + k] * inverse[k * dim + column]).sum();
            let unit = if i == column { 1.0 } else { 0.0 };
            inverse[i * dim + column] = (unit - known) / lower[i * dim + i];
        }
    }
    inverse
}

/// The distribution function of the standard normal law, `Φ(x) = P(Z ≤ x)`.
///
/// ```
/// use scorebook::distribution::normal_cdf;
///
/// assert_eq!(normal_cdf(0.), 0.5);
/// assert!((normal_cdf(1.959_963_985) - 0.975).abs() < 1e-9);
/// ```
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * statrs::function::erf::erfc(-x / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(density: &Gaussian, x: &[f64]) -> f64 {
        let x = Tensor::new(x, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        density.log_prob(&x).unwrap().to_vec1::<f64>().unwrap()[0]
    }

    #[test]
    fn full_agrees_with_the_formula_in_two_dimensions() {
        let density = Gaussian::full([1.0, -1.0], &[[2.0, 0.6], [0.6, 1.0]]).unwrap();
        let (x, y) = (0.3 - 1.0, 0.5 + 1.0);
        let det = 2.0 - 0.36;
        let quadratic = (1.0 * x * x - 2.0 * 0.6 * x * y + 2.0 * y * y) / det;
        let expected = -0.5 * quadratic - std::f64::consts::TAU.ln() - 0.5 * f64::ln(det);
        assert!((value(&density, &[0.3, 0.5]) - expected).abs() < 1e-12);
    }

    #[test]
    fn diagonal_is_full_without_correlation() {
        let mean = [1.0, -1.0, 0.5];
        let diagonal = Gaussian::diagonal(mean, [0.5, 2.0, 1.0]).unwrap();
        let covariance = [[0.25, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 1.0]];
        let full = Gaussian::full(mean, &covariance).unwrap();
        let x = [0.1, 0.2, 0.3];
        assert!((value(&diagonal, &x) - value(&full, &x)).abs() < 1e-12);
        let z = |density: &Gaussian| {
            let x = density.sample(5, &mut Generator::new(1), &Device::Cpu).unwrap();
            x.to_vec2::<f32>().unwrap()
        };
        assert_eq!(z(&diagonal), z(&full));
    }

    #[test]
    fn bad_parameters_are_errors() {
        let message = |result: Result<Gaussian>| result.unwrap_err().to_string();
        let error = message(Gaussian::full([0.0, 0.0], &[[1.0, 2.0], [2.0, 1.0]]));
        assert!(error.ends_with("expected a positive definite matrix"), "{error}");
        let error = message(Gaussian::full([0.0, 0.0], &[[1.0, 0.2], [0.1, 1.0]]));
        assert!(error.ends_with("expected a symmetric matrix"), "{error}");
        let error = message(Gaussian::full([0.0], &[[1.0, 0.2], [0.1, 1.0]]));
        assert!(error.starts_with("`covariance` has shape [2, 2]; expected [1, 1]"), "{error}");
        let error = message(Gaussian::isotropic([0.0], 0.0));
        assert_eq!(error, "`stds` is 0; expected positive numbers");
        assert!(Gaussian::isotropic([], 1.0).is_err());
        let x = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let error = Gaussian::standard(2).log_prob(&x).unwrap_err().to_string();
        assert_eq!(error, "`x` has shape [2, 3]; expected [batch, 2]");
    }
}
