//! What each place of a map takes from the others.

use crate::{Error, Result};
use candle_core::{D, Tensor};

/// Scaled dot-product attention `softmax(q kᵀ/√channels) v` for `q`, `k` and `v` of `[batch, places, channels]`:
/// what each place asks, what the others offer, and what they give.
///
/// By products and candle's composed `softmax`, whose derivatives are right, which those of `softmax_last_dim` are not.
/// Differentiable in all three. Source: Vaswani et al. 2017, equation (1).
///
/// # Errors
/// If the three have different shapes or are not of rank 3.
///
/// ```
/// use scorebook::{prelude::*, tensor};
///
/// // Where nothing is asked, every place gets the mean.
/// let q = Tensor::zeros((1, 2, 1), DType::F32, &Device::Cpu)?;
/// let v = Tensor::new(&[[[1f32], [3.0]]], &Device::Cpu)?;
/// let y = tensor::attention(&q, &v, &v)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [2.0, 2.0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    let &[_, _, channels] = q.dims() else {
        return Err(Error::shape("q", q.dims(), "[batch, places, channels]"));
    };
    for (name, other) in [("k", k), ("v", v)] {
        if other.dims() != q.dims() {
            return Err(Error::shape(name, other.dims(), format!("{:?}, as q", q.dims())));
        }
    }
    let scores = (q.matmul(&k.transpose(1, 2)?)? / (channels as f64).sqrt())?;
    Ok(candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(v)?)
}
