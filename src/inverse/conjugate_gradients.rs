//! Conjugate gradients.

use super::{LinearOperator, operator::check_ridge};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// `(A Aᵀ + r I)⁻¹ y` for each sample of `y` `[batch, ...]`, by conjugate gradients through `A` and `Aᵀ`.
///
/// Started at 0 it stays in what `A` reaches, so that `r = 0` gives the shortest solution where there are many
/// (Hestenes and Stiefel 1952).
pub(super) fn conjugate_gradients(
    operator: &(impl LinearOperator + ?Sized),
    y: &Tensor,
    r: f64,
) -> Result<Tensor> {
    check_ridge(r)?;
    let y = y.detach();
    let (tolerance, least) = match y.dtype() {
        DType::F64 => (1e-13, 1e-300),
        _ => (1e-6, 1e-37),
    };
    let mut alone = vec![1; y.rank()];
    alone[0] = y.dims()[0];
    let dot = |a: &Tensor, b: &Tensor| -> Result<Tensor> {
        Ok((a * b)?.flatten_from(1)?.sum(1)?.reshape(&*alone)?)
    };
    // A sample that has arrived has 0/0 from then on.
    let quotient = |a: &Tensor, b: &Tensor| -> Result<Tensor> { Ok((a / (b + least)?)?) };
    let mut x = y.zeros_like()?;
    let mut residual = y.clone();
    let mut direction = y.clone();
    let mut square = dot(&residual, &residual)?;
    let first = host(&square)?;
    // In exact arithmetic as many steps as there are unknowns; rounding wants some more.
    let most = 10 + 4 * y.elem_count() / y.dims()[0].max(1);
    for _ in 0..most {
        let share = largest_share(&host(&square)?, &first);
        if share <= tolerance * tolerance {
            return Ok(x);
        }
        let image = operator.apply(&operator.adjoint(&direction)?)?;
        let image = (image + (&direction * r)?)?;
        let length = quotient(&square, &dot(&direction, &image)?)?;
        x = (x + direction.broadcast_mul(&length)?)?;
        residual = (residual - image.broadcast_mul(&length)?)?;
        let next = dot(&residual, &residual)?;
        direction = (&residual + direction.broadcast_mul(&quotient(&next, &square)?)?)?;
        square = next;
    }
    let share = largest_share(&host(&square)?, &first).sqrt();
    if share < 1e3 * tolerance {
        return Ok(x);
    }
    let value =
        format!("{} with r = {r}, unsolved by {share:.1e} after {most} steps", operator.name());
    Err(Error::argument("operator", value, "equations further from singular, such as a larger r"))
}

fn host(x: &Tensor) -> Result<Vec<f64>> {
    Ok(x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

/// The largest share of the first square that is left; not a number if something is not.
fn largest_share(squares: &[f64], first: &[f64]) -> f64 {
    let shares = squares.iter().zip(first).map(|(s, f)| if *f == 0.0 { 0.0 } else { s / f });
    shares.fold(0.0, |most: f64, share| if share.is_nan() || share > most { share } else { most })
}
