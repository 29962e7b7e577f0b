//! How the noise enters an SDE.

use crate::{Error, Result};
use candle_core::{D, Tensor};

/// The dispersion `g(x, t)` at one time: a number, one number a coordinate, or a matrix.
#[derive(Clone, Debug)]
pub enum Dispersion {
    /// `g` times the identity. One number for all states, so it cannot depend on them: additive noise.
    Scalar(f64),
    /// A tensor that broadcasts over the state, often of its shape.
    Diagonal(Tensor),
    /// A matrix `[dim, noises]`, or one a sample, `[batch, dim, noises]`, for states `[batch, dim]`.
    Matrix(Tensor),
}

impl Dispersion {
    /// `g dw` for an increment `dw` of the shape [`noise_dims`](Self::noise_dims).
    ///
    /// ```
    /// use scorebook::{prelude::*, sde::Dispersion};
    ///
    /// let dw = Tensor::new(&[[1f64, 2.0]], &Device::Cpu)?;
    /// let g = Tensor::new(&[[1f64, 0.0], [3.0, 4.0], [0.0, 1.0]], &Device::Cpu)?;
    /// assert_eq!(Dispersion::Scalar(2.0).apply(&dw)?.to_vec2::<f64>()?, [[2.0, 4.0]]);
    /// assert_eq!(Dispersion::Matrix(g).apply(&dw)?.to_vec2::<f64>()?, [[1.0, 11.0, 2.0]]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn apply(&self, dw: &Tensor) -> Result<Tensor> {
        match self {
            Self::Scalar(g) => Ok((dw * *g)?),
            Self::Diagonal(g) => Ok(dw.broadcast_mul(g)?),
            Self::Matrix(g) => Ok(dw.unsqueeze(1)?.broadcast_matmul(&g.t()?)?.squeeze(1)?),
        }
    }

    /// `gᵀ v` for a vector `v` of the shape of the state: one number a noise.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// // Three coordinates, two noises.
    /// let g = Dispersion::Matrix(Tensor::new(&[[1f64, 0.0], [3.0, 4.0], [0.0, 1.0]], &Device::Cpu)?);
    /// let v = Tensor::new(&[[1f64, 1.0, 2.0]], &Device::Cpu)?;
    /// assert_eq!(g.noise_dims(&v)?, [1, 2]);
    /// assert_eq!(g.apply_transposed(&v)?.to_vec2::<f64>()?, [[4.0, 6.0]]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn apply_transposed(&self, v: &Tensor) -> Result<Tensor> {
        match self {
            Self::Matrix(g) => Ok(v.unsqueeze(1)?.broadcast_matmul(g)?.squeeze(1)?),
            _ => self.apply(v),
        }
    }

    /// `G v` for a vector `v` of the shape of the state, with the rate of covariance `G = g gᵀ` of the noise.
    ///
    /// ```
    /// use scorebook::{prelude::*, sde::Dispersion};
    ///
    /// let v = Tensor::new(&[[1f64, 0.0]], &Device::Cpu)?;
    /// let g = Dispersion::Matrix(Tensor::new(&[[1f64, 0.0], [3.0, 4.0]], &Device::Cpu)?);
    /// assert_eq!(g.covariance(&v)?.to_vec2::<f64>()?, [[1.0, 3.0]]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn covariance(&self, v: &Tensor) -> Result<Tensor> {
        self.apply(&self.apply_transposed(v)?)
    }

    /// `λ g`.
    pub(crate) fn scaled(self, level: f64) -> Result<Self> {
        Ok(match self {
            Self::Scalar(g) => Self::Scalar(level * g),
            Self::Diagonal(g) => Self::Diagonal((g * level)?),
            Self::Matrix(g) => Self::Matrix((g * level)?),
        })
    }

    /// The shape of the increments that drive a state `x`.
    ///
    /// # Errors
    /// If the shape of `g` does not fit that of `x`.
    pub fn noise_dims(&self, x: &Tensor) -> Result<Vec<usize>> {
        let dims = x.dims();
        match self {
            Self::Scalar(_) => Ok(dims.to_vec()),
            Self::Diagonal(g) => {
                if g.shape().broadcast_shape_binary_op(x.shape(), "dispersion")?.dims() != dims {
                    return Err(Error::shape(
                        "dispersion",
                        g.dims(),
                        format!("a part of {dims:?}"),
                    ));
                }
                Ok(dims.to_vec())
            }
            Self::Matrix(g) => match (g.dims(), dims) {
                ([rows, noises], [batch, dim]) if rows == dim => Ok(vec![*batch, *noises]),
                ([n, rows, noises], [batch, dim]) if n == batch && rows == dim => {
                    Ok(vec![*batch, *noises])
                }
                _ => {
                    let expected = format!("[dim, noises] or [batch, dim, noises] for {dims:?}");
                    Err(Error::shape("dispersion", g.dims(), expected))
                }
            },
        }
    }

    /// Zeros with the shape of the increments and the type and device of `x`.
    pub(super) fn noise_like(&self, x: &Tensor) -> Result<Tensor> {
        Ok(Tensor::zeros(self.noise_dims(x)?, x.dtype(), x.device())?)
    }

    /// The columns of a matrix, each a direction of the shape of `x`; none for the other kinds.
    pub(super) fn columns(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let Self::Matrix(g) = self else { return Ok(vec![]) };
        (0..g.dim(D::Minus1)?)
            .map(|j| Ok(g.narrow(D::Minus1, j, 1)?.squeeze(D::Minus1)?.broadcast_as(x.shape())?))
            .collect()
    }
}
