//! Any matrix.

use super::{
    LinearOperator, Operator,
    operator::{alike, finite},
};
use crate::{Error, Result, random::Generator};
use candle_core::{Device, Tensor};

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
                Ok(Self { transposed: matrix.t()?.contiguous()?, shape: shape.to_vec() })
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
