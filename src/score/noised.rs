//! What the exact scores of noised laws share.

use crate::{
    Error, Result,
    diffusion::{NoisingProcess, times_until},
};
use candle_core::{Device, Tensor};

/// `x` as `[batch, dim]`.
pub(super) fn flatten(x: &Tensor, dim: usize) -> Result<Tensor> {
    match x.dims() {
        [batch, rest @ ..] if rest.iter().product::<usize>() == dim => {
            Ok(x.reshape((*batch, dim))?)
        }
        dims => Err(Error::shape("x", dims, format!("[batch, ...] with {dim} numbers a sample"))),
    }
}

/// `α` and `σ` for each sample, or once where all times agree, as they do in a sampler.
pub(super) fn kernel(
    process: &dyn NoisingProcess,
    x: &Tensor,
    t: &Tensor,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut times = times_until(process.horizon(), t, x)?;
    if times.iter().all(|t| *t == times[0]) {
        times.truncate(1);
    }
    Ok(times.into_iter().map(|t| (process.mean_scale(t), process.std(t))).unzip())
}

/// Numbers, one row a sample or one for all, as a tensor of the type and device of `like` that broadcasts over it.
pub(super) fn rows(values: Vec<f64>, columns: usize, like: &Tensor) -> Result<Tensor> {
    let shape = (values.len() / columns, columns);
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?
        .to_dtype(like.dtype())?
        .to_device(like.device())?)
}
