//! Derivatives of a dispersion, along its own columns and along the coordinates, by central differences: any function
//! will do.

use super::{Dispersion, Sde, solver::scalar};
use crate::{Error, Result};
use candle_core::{DType, Tensor};

/// `½ Σ_j (g_j·∇) g_j` over the columns `g_j` of `g`, by which the drifts of Itô's and Stratonovich's reading of
/// the same equation differ; `None` where the dispersion is a number, which has no derivative.
///
/// For a diagonal that is `½ g_i ∂_i g_i`. Every coordinate (of a diagonal) and every column (of a matrix)
/// takes two evaluations of `g`.
pub(super) fn noise_induced_drift(
    sde: &(impl Sde + ?Sized),
    x: &Tensor,
    t: f64,
) -> Result<Option<Tensor>> {
    let g = sde.dispersion(x, t)?;
    let mut sum: Option<Tensor> = None;
    match &g {
        Dispersion::Scalar(_) => return Ok(None),
        Dispersion::Diagonal(diagonal) => {
            for unit in coordinates(x) {
                let unit = unit?;
                let column = diagonal.broadcast_as(x.shape())?.broadcast_mul(&unit)?;
                let derivative = along(sde, x, t, &column)?.diagonal(x)?;
                sum = Some(add(sum, derivative.broadcast_mul(&unit)?)?);
            }
        }
        Dispersion::Matrix(_) => {
            for (j, column) in g.columns(x)?.iter().enumerate() {
                sum = Some(add(sum, along(sde, x, t, column)?.columns(x)?.swap_remove(j))?);
            }
        }
    }
    Ok(sum.map(|sum| sum * 0.5).transpose()?)
}

/// `Σ_j ∂_j G_ij` with `G = g gᵀ`; `None` where the dispersion is a number.
pub(super) fn covariance_divergence(
    sde: &(impl Sde + ?Sized),
    x: &Tensor,
    t: f64,
) -> Result<Option<Tensor>> {
    divergence(sde, x, t, Dispersion::covariance)
}

/// `Σ_j ∂_j g_jk`, one number a noise; `None` where the dispersion is a number.
pub(crate) fn dispersion_divergence(
    sde: &(impl Sde + ?Sized),
    x: &Tensor,
    t: f64,
) -> Result<Option<Tensor>> {
    divergence(sde, x, t, Dispersion::apply_transposed)
}

/// `Σ_j ∂_j row(g, e_j)` over the unit vectors `e_j`: two evaluations of `g` a coordinate.
fn divergence(
    sde: &(impl Sde + ?Sized),
    x: &Tensor,
    t: f64,
    row: impl Fn(&Dispersion, &Tensor) -> Result<Tensor>,
) -> Result<Option<Tensor>> {
    if let Dispersion::Scalar(_) = sde.dispersion(x, t)? {
        return Ok(None);
    }
    let reach =
        (per_sample(x)?.affine(1.0, 1.0)? * difference(x.dtype()))?.reshape(batch_dims(x))?;
    let mut sum: Option<Tensor> = None;
    for unit in coordinates(x) {
        let unit = unit?;
        let way = unit.broadcast_mul(&reach)?;
        let above = row(&sde.dispersion(&(x + &way)?, t)?, &unit)?;
        let below = row(&sde.dispersion(&(x - &way)?, t)?, &unit)?;
        sum = Some(add(sum, (above - below)?.broadcast_div(&(&reach * 2.0)?)?)?);
    }
    Ok(sum)
}

fn add(sum: Option<Tensor>, term: Tensor) -> Result<Tensor> {
    Ok(match sum {
        Some(sum) => (sum + term)?,
        None => term,
    })
}

/// That the noise is commutative, `(g_j·∇) g_k = (g_k·∇) g_j` for all columns `g_j`, `g_k`, at the states `x`.
///
/// A diagonal commutes where each number depends on its own coordinate alone.
pub(super) fn check_commutes(sde: &dyn Sde, x: &Tensor, t: f64) -> Result<()> {
    let g = sde.dispersion(x, t)?;
    let tolerance = 10.0 * difference(x.dtype());
    match &g {
        Dispersion::Scalar(_) => Ok(()),
        Dispersion::Diagonal(diagonal) => {
            let unit_scale = greatest(diagonal)?.powi(2) / (1.0 + greatest(x)?);
            for (j, unit) in coordinates(x).enumerate() {
                let unit = unit?;
                let column = diagonal.broadcast_as(x.shape())?.broadcast_mul(&unit)?;
                let derivative = along(sde, x, t, &column)?.diagonal(x)?;
                let own = greatest(&derivative.broadcast_mul(&unit)?)?;
                let others = derivative.broadcast_mul(&unit.affine(-1.0, 1.0)?)?;
                if greatest(&others)? > tolerance * (own + unit_scale) {
                    let k = scalar(&rows(&others)?.abs()?.max(0)?.argmax(0)?)?;
                    return Err(refusal(j, k as usize, t));
                }
            }
            Ok(())
        }
        Dispersion::Matrix(_) => {
            let columns = g.columns(x)?;
            let moved = columns
                .iter()
                .map(|column| along(sde, x, t, column)?.columns(x))
                .collect::<Result<Vec<_>>>()?;
            let sizes = columns.iter().map(greatest).collect::<Result<Vec<_>>>()?;
            let reach = 1.0 + greatest(x)?;
            for j in 0..columns.len() {
                for k in 0..j {
                    let (of_j, of_k) = (&moved[j][k], &moved[k][j]);
                    let scale = greatest(of_j)? + greatest(of_k)? + sizes[j] * sizes[k] / reach;
                    if greatest(&(of_j - of_k)?)? > tolerance * scale {
                        return Err(refusal(k, j, t));
                    }
                }
            }
            Ok(())
        }
    }
}

fn refusal(j: usize, k: usize, t: f64) -> Error {
    let value = format!("an equation whose noise does not commute: columns {j} and {k} at t = {t}");
    let expected = "commutative noise, as this method needs; \
                    `EulerMaruyama` and `StochasticHeun` take any (strong order ½)";
    Error::argument("sde", value, expected)
}

/// That the dispersion does not depend on the state, as far as one other state tells.
pub(super) fn is_additive(sde: &dyn Sde, x: &Tensor, t: f64) -> Result<bool> {
    let (Dispersion::Diagonal(here) | Dispersion::Matrix(here)) = sde.dispersion(x, t)? else {
        return Ok(true);
    };
    let other = x.abs()?.affine(0.3, 0.1)?.broadcast_add(x)?;
    let (Dispersion::Diagonal(there) | Dispersion::Matrix(there)) = sde.dispersion(&other, t)?
    else {
        return Ok(false);
    };
    let moved = greatest(&here.broadcast_sub(&there)?)?;
    Ok(moved <= difference(x.dtype()).powi(2) * greatest(&here)?)
}

/// The derivative of `g` along a direction of the shape of `x`, sample by sample.
fn along(sde: &(impl Sde + ?Sized), x: &Tensor, t: f64, direction: &Tensor) -> Result<Dispersion> {
    // As far as ε^(1/3) of the size of the state, which balances truncation and rounding.
    let size = per_sample(x)?.affine(1.0, 1.0)?;
    let length = per_sample(direction)?.maximum(1e-30)?;
    let reach = (size.broadcast_div(&length)? * difference(x.dtype()))?.reshape(batch_dims(x))?;
    let way = direction.broadcast_mul(&reach)?;
    let (above, below) = (sde.dispersion(&(x + &way)?, t)?, sde.dispersion(&(x - &way)?, t)?);
    let quotient = |above: &Tensor, below: &Tensor, reach: &Tensor| -> Result<Tensor> {
        Ok((above.broadcast_sub(below)? * 0.5)?.broadcast_div(reach)?)
    };
    match (&above, &below) {
        (Dispersion::Diagonal(above), Dispersion::Diagonal(below)) => {
            Ok(Dispersion::Diagonal(quotient(above, below, &reach)?))
        }
        (Dispersion::Matrix(above), Dispersion::Matrix(below)) => {
            Ok(Dispersion::Matrix(quotient(above, below, &reach.unsqueeze(1)?)?))
        }
        _ => Err(Error::argument("sde", "a dispersion of changing kind", "one kind everywhere")),
    }
}

impl Dispersion {
    /// The numbers of a diagonal, one a coordinate of `x`.
    fn diagonal(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Diagonal(g) => Ok(g.broadcast_as(x.shape())?),
            _ => {
                Err(Error::argument("sde", "a dispersion of changing kind", "one kind everywhere"))
            }
        }
    }
}

/// The unit vectors of one state, `[1, ...]` each.
fn coordinates(x: &Tensor) -> impl Iterator<Item = Result<Tensor>> {
    let mut dims = x.dims().to_vec();
    dims[0] = 1;
    let count: usize = dims.iter().product();
    (0..count).map(move |i| {
        let values: Vec<f32> = (0..count).map(|j| f32::from(u8::from(i == j))).collect();
        Ok(Tensor::from_vec(values, &*dims, x.device())?.to_dtype(x.dtype())?)
    })
}

/// The greatest coordinate of each sample, in absolute value: `[batch, 1]`.
fn per_sample(x: &Tensor) -> Result<Tensor> {
    Ok(rows(x)?.abs()?.max_keepdim(1)?)
}

/// `[batch, coordinates]`.
fn rows(x: &Tensor) -> Result<Tensor> {
    Ok(x.reshape((x.dims()[0], ()))?)
}

/// `[batch, 1, ...]`.
fn batch_dims(x: &Tensor) -> Vec<usize> {
    let mut dims = vec![1; x.rank()];
    dims[0] = x.dims()[0];
    dims
}

fn greatest(x: &Tensor) -> Result<f64> {
    scalar(&x.abs()?.max_all()?)
}

/// The cube root of the type's precision.
fn difference(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::EPSILON.cbrt(),
        DType::F32 => f64::from(f32::EPSILON).cbrt(),
        _ => 0.1,
    }
}
