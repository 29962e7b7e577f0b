//! Any matrix.

use super::{
    LinearOperator, Operator,
    operator::{alike, constant, finite},
};
use crate::{Error, Result, distribution::symmetric_eigen, random::Generator};
use candle_core::{DType, Device, Tensor};
use std::sync::{Arc, OnceLock};

/// A linear projection by any matrix, `y = M x`, on the coordinates of a sample in their order: compressed sensing, if
/// the matrix is random.
///
/// `(A Aᵀ + r I)⁻¹` is found by conjugate gradients.
///
/// ```
/// use scorebook::prelude::*;
///
/// let sum = Projection::new(&Tensor::new(&[[1f64, 1.0]], &Device::Cpu)?, &[2])?;
/// let x = Tensor::new(&[[3f64, 4.0]], &Device::Cpu)?;
/// assert_eq!(sum.apply(&x)?.to_vec2::<f64>()?, [[7.0]]);
/// let few = Projection::random(100, &[1, 28, 28], &mut Generator::new(7))?;
/// assert_eq!(few.apply(&Tensor::zeros((2, 1, 28, 28), DType::F32, &Device::Cpu)?)?.dims(), [2, 100]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Projection {
    /// `Mᵀ`, `[dim, measurements]`.
    transposed: Tensor,
    shape: Vec<usize>,
    /// What [`LinearOperator::spectral`] needs, found when it is first asked for.
    singular: Arc<OnceLock<Singular>>,
}

/// The positive eigenvalues of `Mᵀ M`, and its eigenvectors as columns, `[dim, values]`.
#[derive(Debug)]
struct Singular {
    values: Vec<f64>,
    vectors: Tensor,
}

impl Projection {
    /// The `matrix` `[measurements, dim]`, for samples of the `shape`, with `dim` numbers.
    ///
    /// # Errors
    /// If the matrix is not finite, or has not as many columns as the shape has numbers.
    pub fn new(matrix: &Tensor, shape: &[usize]) -> Result<Self> {
        let matrix = finite("matrix", matrix)?;
        let dim = shape.iter().product::<usize>();
        match *matrix.dims() {
            [rows, columns] if rows > 0 && columns == dim && dim > 0 => {
                let (transposed, singular) = (matrix.t()?.contiguous()?, Arc::default());
                Ok(Self { transposed, shape: shape.to_vec(), singular })
            }
            ref dims => {
                let expected = format!("[measurements, {dim}], as a sample has {dim} numbers");
                Err(Error::shape("matrix", dims, expected))
            }
        }
    }

    /// Normal entries of variance `1/measurements`, so that `‖M x‖ ≈ ‖x‖`, for samples of the `shape`.
    ///
    /// # Errors
    /// If there are no measurements or no coordinates.
    pub fn random(measurements: usize, shape: &[usize], generator: &mut Generator) -> Result<Self> {
        let dim = shape.iter().product::<usize>();
        let mut values = vec![0f64; measurements * dim];
        generator.fill_normal_f64(&mut values);
        let scale = (measurements as f64).sqrt();
        values.iter_mut().for_each(|value| *value /= scale);
        Self::new(&Tensor::from_vec(values, (measurements, dim), &Device::Cpu)?, shape)
    }
}

impl Projection {
    /// By the eigenvalues of `Mᵀ M` or `M Mᵀ`, whichever is smaller: `v = Mᵀ u/s`.
    fn singular(&self) -> Result<&Singular> {
        if let Some(known) = self.singular.get() {
            return Ok(known);
        }
        let (dim, rows) = self.transposed.dims2()?;
        let small = match rows < dim {
            true => self.transposed.t()?.contiguous()?,
            false => self.transposed.clone(),
        };
        let size = rows.min(dim);
        let square = small.matmul(&small.t()?)?.flatten_all()?.to_vec1::<f64>()?;
        let (values, axes) = symmetric_eigen(&square, size);
        let least = 1e-12 * values.iter().copied().fold(0.0, f64::max);
        let chosen: Vec<usize> = (0..size).filter(|i| values[*i] > least).collect();
        let column = |i: usize| -> Result<Tensor> {
            let axis: Vec<f64> = (0..size).map(|j| axes[j * size + i]).collect();
            let axis = Tensor::from_vec(axis, (size, 1), &Device::Cpu)?;
            match rows < dim {
                true => Ok((self.transposed.matmul(&axis)? / values[i].sqrt())?),
                false => Ok(axis),
            }
        };
        let columns = chosen.iter().map(|i| column(*i)).collect::<Result<Vec<_>>>()?;
        let vectors = match columns.is_empty() {
            true => Tensor::zeros((dim, 0), DType::F64, &Device::Cpu)?,
            false => Tensor::cat(&columns, 1)?,
        };
        let values = chosen.iter().map(|i| values[*i]).collect();
        Ok(self.singular.get_or_init(|| Singular { values, vectors }))
    }
}

impl Operator for Projection {
    fn name(&self) -> &'static str {
        "projection"
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        super::operator::check_sample("x", x, &self.shape)?;
        let flat = x.reshape((x.dims()[0], self.transposed.dims()[0]))?;
        Ok(flat.matmul(&alike(&self.transposed, x)?)?)
    }

    fn as_linear(&self) -> Option<&dyn LinearOperator> {
        Some(self)
    }
}

impl LinearOperator for Projection {
    fn adjoint(&self, y: &Tensor) -> Result<Tensor> {
        super::operator::check_sample("y", y, &self.transposed.dims()[1..])?;
        let flat = y.matmul(&alike(&self.transposed, y)?.t()?)?;
        Ok(flat.reshape([&[y.dims()[0]], &*self.shape].concat())?)
    }

    /// The singular values are found at the first call, in time that grows with the cube of the smaller side of the matrix.
    fn spectral(&self, x: &Tensor, f: &dyn Fn(f64) -> f64) -> Result<Tensor> {
        super::operator::check_sample("x", x, &self.shape)?;
        let Singular { values, vectors } = self.singular()?;
        let open = f(0.0);
        if values.is_empty() {
            return Ok((x * open)?);
        }
        let weights: Vec<f64> = values.iter().map(|e| f(*e) - open).collect();
        let vectors = alike(vectors, x)?;
        let along = x.reshape((x.dims()[0], self.transposed.dims()[0]))?.matmul(&vectors)?;
        let along = along.broadcast_mul(&constant(&weights, (1, values.len()), x)?)?;
        Ok(((x * open)? + along.matmul(&vectors.t()?)?.reshape(x.shape())?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::operator::checks::check, *};

    #[test]
    fn adjoint_and_solves() {
        let generator = &mut Generator::new(1);
        check(&Projection::random(4, &[7], generator).unwrap(), &[7]);
        check(&Projection::random(5, &[2, 2, 3], generator).unwrap(), &[2, 2, 3]);
        // More equations than unknowns, and two that say the same.
        check(&Projection::random(6, &[4], generator).unwrap(), &[4]);
        let matrix = Tensor::new(&[[1f64, 2.0, 0.0], [2.0, 4.0, 0.0]], &Device::Cpu).unwrap();
        check(&Projection::new(&matrix, &[3]).unwrap(), &[3]);
    }

    #[test]
    fn bad_matrices_are_errors() {
        let matrix = Tensor::new(&[[1f64, 2.0, 0.0]], &Device::Cpu).unwrap();
        let error = Projection::new(&matrix, &[2]).unwrap_err().to_string();
        assert_eq!(
            error,
            "`matrix` has shape [1, 3]; expected [measurements, 2], as a sample has 2 numbers"
        );
        assert!(Projection::random(0, &[2], &mut Generator::new(1)).is_err());
        assert!(Projection::new(&(matrix / 0.0).unwrap(), &[3]).is_err());
    }
}
