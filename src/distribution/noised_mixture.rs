//! Log-density and score of a mixture, each point under its own noise.

use super::constant;
use crate::Result;
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// The components `w_k N(μ_k, v_k I)` that each point of a batch is held against. One row of them serves all
/// points where the noise is the same.
pub(super) struct NoisedMixture {
    pub dim: usize,
    /// `μ_k`, `[rows, components, dim]`.
    pub centres: Vec<f64>,
    /// `1/v_k`, `[rows, components]`.
    pub precisions: Vec<f64>,
    /// `ln w_k - (dim/2) ln 2πv_k`, `[rows, components]`.
    pub offsets: Vec<f64>,
    pub components: usize,
}

impl NoisedMixture {
    /// `ln p(x)` for `x` `[batch, dim]`, as `[batch]`.
    pub fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        if on_host(x) {
            return self.for_each_point(x, 1, |x, row, weights, out| {
                let largest = self.weigh(x, row, weights);
                out[0] = weights.iter().sum::<f64>().ln() + largest;
            });
        }
        let (log_joint, _) = self.log_joint(x)?;
        let largest = log_joint.max_keepdim(1)?;
        let sum = log_joint.broadcast_sub(&largest)?.exp()?.sum(1)?;
        Ok((sum.log()? + largest.squeeze(1)?)?)
    }

    /// `∇ ln p(x)` for `x` `[batch, dim]`, of the same shape.
    pub fn score(&self, x: &Tensor) -> Result<Tensor> {
        if on_host(x) {
            let score = self.for_each_point(x, self.dim, |x, row, weights, out| {
                self.weigh(x, row, weights);
                let total: f64 = weights.iter().sum();
                for ((weight, precision), centre) in
                    weights.iter().zip(self.row(&self.precisions, row)).zip(self.centres(row))
                {
                    let pull = weight / total * precision;
                    for ((out, x), centre) in out.iter_mut().zip(x).zip(centre) {
                        *out += pull * (centre - x);
                    }
                }
            })?;
            return Ok(score.reshape(x.shape())?);
        }
        let (log_joint, residuals) = self.log_joint(x)?;
        let weights = log_joint.broadcast_sub(&log_joint.max_keepdim(1)?)?.exp()?;
        let posterior = weights.broadcast_div(&weights.sum_keepdim(1)?)?;
        let pulls = posterior.broadcast_mul(&self.tensor(&self.precisions, x)?)?.unsqueeze(2)?;
        Ok(residuals.broadcast_mul(&pulls)?.sum(1)?.neg()?)
    }

    /// Writes the posterior weights of the components at `x`, up to a factor `e^largest`, which is returned: without
    /// it all of them underflow far from the centres.
    fn weigh(&self, x: &[f64], row: usize, weights: &mut [f64]) -> f64 {
        let mut largest = f64::NEG_INFINITY;
        for (((weight, precision), offset), centre) in weights
            .iter_mut()
            .zip(self.row(&self.precisions, row))
            .zip(self.row(&self.offsets, row))
            .zip(self.centres(row))
        {
            let squares: f64 = x.iter().zip(centre).map(|(x, c)| (x - c) * (x - c)).sum();
            *weight = offset - 0.5 * precision * squares;
            largest = largest.max(*weight);
        }
        for weight in weights {
            *weight = (*weight - largest).exp();
        }
        largest
    }

    fn row<'a>(&self, values: &'a [f64], row: usize) -> &'a [f64] {
        &values[row * self.components..(row + 1) * self.components]
    }

    fn centres(&self, row: usize) -> std::slice::ChunksExact<'_, f64> {
        let size = self.components * self.dim;
        self.centres[row * size..(row + 1) * size].chunks_exact(self.dim)
    }

    /// On the host the points are gone through one after another, in `f64`: three times as fast as by tensors.
    /// `compute(point, row, weights, out)` writes `width` numbers a point.
    fn for_each_point(
        &self,
        x: &Tensor,
        width: usize,
        compute: impl Fn(&[f64], usize, &mut [f64], &mut [f64]) + Sync,
    ) -> Result<Tensor> {
        let points = x.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        let batch = points.len() / self.dim;
        let own_row = self.offsets.len() > self.components;
        let mut out = vec![0.0; batch * width];
        out.par_chunks_mut(width)
            .zip(points.par_chunks(self.dim))
            .enumerate()
            .with_min_len(512)
            .for_each_init(
                || vec![0.0; self.components],
                |weights, (i, (out, x))| compute(x, if own_row { i } else { 0 }, weights, out),
            );
        Ok(Tensor::from_vec(out, batch * width, &Device::Cpu)?.to_dtype(x.dtype())?)
    }

    /// By tensors: `ln w_k N(x; μ_k, v_k I)` as `[batch, components]`, and `x - μ_k` as `[batch, components, dim]`.
    fn log_joint(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let rows = self.offsets.len() / self.components;
        let centres = constant(self.centres.clone(), (rows, self.components, self.dim), x)?;
        let residuals = x.unsqueeze(1)?.broadcast_sub(&centres)?;
        let log_joint = (residuals.sqr()?.sum(2)? * -0.5)?
            .broadcast_mul(&self.tensor(&self.precisions, x)?)?
            .broadcast_add(&self.tensor(&self.offsets, x)?)?;
        Ok((log_joint, residuals))
    }

    fn tensor(&self, values: &[f64], x: &Tensor) -> Result<Tensor> {
        constant(values.to_vec(), (values.len() / self.components, self.components), x)
    }
}

/// Whether loops may serve: a gradient must flow through tensors, and another device has its own.
fn on_host(x: &Tensor) -> bool {
    x.device().is_cpu() && !x.track_op()
}
