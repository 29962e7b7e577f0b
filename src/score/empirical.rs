//! The exact score of a finite data set under noise: what a network would learn that fits its data perfectly.

use super::{
    Score,
    noised::{flatten, kernel, rows},
};
use crate::{Error, Result, diffusion::NoisingProcess};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// The exact score of `p_t`, where the data are the finite set of points `y_1 … y_n` itself.
///
/// `p_t(x) = (1/n) Σ_i N(x; α y_i, σ² I)`, so by Tweedie's formula
/// `∇ log p_t(x) = (α E[x0 | x] - x)/σ²` with `E[x0 | x] = Σ_i w_i y_i` and the weights
/// `w = softmax(-‖x - α y_i‖²/(2σ²))`.
///
/// It is the minimiser of the denoising loss over a training set, and its samples are the training points: a
/// generative model that learned it would have memorised its data (Karras et al. 2022, appendix B.3; Scarvelis et al.
/// 2023, *Closed-form diffusion models*). A subset of a data set is the empirical law of its rows.
///
/// The points are gone through in blocks with a running maximum of the exponents, so that nothing overflows at any
/// noise and the memory stays that of one block, of a few million numbers, whatever `n` is. The exponents are large
/// where the noise is small; they are computed in `f64`, but on Metal, which has none, in `f32`: there
/// `σ` should not be much below a hundredth of the size of a point.
///
/// ```
/// use scorebook::{prelude::*, diffusion::VariancePreserving, score::{EmpiricalScore, tweedie}};
///
/// let points = Tensor::new(&[[-1f32, 0.0], [1.0, 0.0], [0.0, 2.0]], &Device::Cpu)?;
/// let process = VariancePreserving::default();
/// let score = EmpiricalScore::new(&points, process)?;
/// // With little noise there is but one point that a state can have come from.
/// let x = Tensor::new(&[[0.9f32, 0.1]], &Device::Cpu)?;
/// let origin = tweedie(&process, &score, &x, 0.01)?.to_vec2::<f32>()?;
/// assert!((origin[0][0] - 1.0).abs() < 1e-4 && origin[0][1].abs() < 1e-4);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EmpiricalScore {
    /// `[n, dim]`, of the type that they were given in.
    points: Tensor,
    /// `‖y_i‖²`, `[1, n]`, of the type that exponents are computed in.
    squares: Tensor,
    process: Arc<dyn NoisingProcess>,
}

/// What the points say of `x` and `t`.
struct Posterior {
    /// `x`, `[batch, dim]`.
    x: Tensor,
    /// `α` and `σ`, `[batch, 1]` or `[1, 1]`.
    scale: Tensor,
    std: Tensor,
    /// `E[x0 | x]`, `[batch, dim]`.
    mean: Tensor,
    /// `ln Σ_i exp(α x·y_i/σ² - α² ‖y_i‖²/(2σ²))`, `[batch, 1]`.
    log_sum: Tensor,
}

/// How many numbers a block of points and of exponents may have together.
const BLOCK: usize = 1 << 22;

impl EmpiricalScore {
    /// The score of the points `[n, ...]` noised by `process`.
    ///
    /// # Errors
    /// If there is no point, or one is not finite.
    pub fn new(points: &Tensor, process: impl NoisingProcess + 'static) -> Result<Self> {
        if points.rank() < 2 || points.elem_count() == 0 {
            return Err(Error::shape("points", points.dims(), "[n, ...] with at least one point"));
        }
        let points = points.detach().flatten_from(1)?.contiguous()?;
        let exact = if points.device().is_metal() { DType::F32 } else { DType::F64 };
        let (n, dim) = points.dims2()?;
        let mut squares = vec![];
        for (start, count) in blocks(n, dim) {
            let block = points.narrow(0, start, count)?.to_dtype(exact)?;
            squares.push(block.sqr()?.sum(1)?);
        }
        let squares = Tensor::cat(&squares, 0)?.unsqueeze(0)?;
        let total = squares.sum_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let total = total.to_scalar::<f64>()?;
        if !total.is_finite() {
            return Err(Error::argument("points", total, "points of finite coordinates"));
        }
        Ok(Self { points, squares, process: Arc::new(process) })
    }

    /// How many points there are.
    pub fn count(&self) -> usize {
        self.squares.elem_count()
    }

    /// `ln p_t(x)` for `x` `[batch, ...]` and `t` `[batch]`, as `[batch]`.
    ///
    /// # Errors
    /// If a sample has not the points' dimension, or `t` is not one time in `(0, T]` a sample: at 0 there is no density.
    pub fn log_prob(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let Posterior { x: flat, std, log_sum, .. } = self.posterior(x, t)?;
        let dim = flat.dim(1)? as f64;
        let far = (flat.sqr()?.sum_keepdim(1)?.broadcast_div(&std.sqr()?)? * -0.5)?;
        let volume = (std.log()? * -dim)?;
        let constant = -0.5 * dim * std::f64::consts::TAU.ln() - (self.count() as f64).ln();
        let log_prob = ((log_sum + far)?.broadcast_add(&volume)? + constant)?;
        Ok(log_prob.squeeze(1)?.to_dtype(x.dtype())?)
    }

    /// The mean `E[x0 | x_t = x]` of the points that a state can have come from, with the shape of `x`.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// // Points at -1 and 1: E[x0 | x] = tanh(α x/σ²), and the density is that of two equal clusters.
    /// let process = VariancePreserving::default();
    /// let score = EmpiricalScore::new(&Tensor::new(&[[-1f64], [1.0]], &Device::Cpu)?, process)?;
    /// let (x, t) = (Tensor::new(&[[0.3f64]], &Device::Cpu)?, Tensor::new(&[0.4f64], &Device::Cpu)?);
    /// let (scale, std) = (process.mean_scale(0.4), process.std(0.4));
    /// let mean = score.posterior_mean(&x, &t)?.to_vec2::<f64>()?[0][0];
    /// assert!((mean - (scale * 0.3 / std.powi(2)).tanh()).abs() < 1e-12);
    /// let clusters = Mixture::new([1.0; 2], [[-scale], [scale]], [std; 2])?;
    /// let log_prob = score.log_prob(&x, &t)?.to_vec1::<f64>()?[0];
    /// assert!((log_prob - clusters.log_prob(&x)?.to_vec1::<f64>()?[0]).abs() < 1e-12);
    /// assert_eq!(score.count(), 2);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`log_prob`](Self::log_prob).
    pub fn posterior_mean(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let mean = self.posterior(x, t)?.mean;
        Ok(mean.reshape(x.shape())?.to_dtype(x.dtype())?)
    }

    fn posterior(&self, x: &Tensor, t: &Tensor) -> Result<Posterior> {
        let (n, dim) = self.points.dims2()?;
        let (scales, stds) = kernel(&*self.process, x, t)?;
        if stds.iter().any(|std| *std <= 0.0) {
            let expected = "a time above 0: without noise a set of points has no density";
            return Err(Error::argument("t", 0, expected));
        }
        let x = flatten(x, dim)?.to_dtype(self.squares.dtype())?;
        let column = |f: &dyn Fn(f64, f64) -> f64| {
            rows(scales.iter().zip(&stds).map(|(scale, std)| f(*scale, *std)).collect(), 1, &x)
        };
        let pull = x.broadcast_mul(&column(&|scale, std| scale / (std * std))?)?;
        let half = column(&|scale, std| -0.5 * (scale / std).powi(2))?;
        // (largest exponent, Σ e^(exponent - largest), Σ e^(exponent - largest) y) of the blocks so far.
        let mut so_far: Option<(Tensor, Tensor, Tensor)> = None;
        for (start, count) in blocks(n, dim + x.dim(0)?) {
            let points = self.points.narrow(0, start, count)?.to_dtype(x.dtype())?;
            let own = half.broadcast_mul(&self.squares.narrow(1, start, count)?)?;
            let exponents = pull.matmul(&points.t()?)?.broadcast_add(&own)?;
            // The result does not depend on what is subtracted, so no derivative is taken of it.
            let mut largest = exponents.detach().max_keepdim(1)?;
            if let Some((before, ..)) = &so_far {
                largest = largest.maximum(before)?;
            }
            let weights = exponents.broadcast_sub(&largest)?.exp()?;
            let (mut sum, mut mean) = (weights.sum_keepdim(1)?, weights.matmul(&points)?);
            if let Some((before, sum_before, mean_before)) = so_far {
                let fade = (before - &largest)?.exp()?;
                sum = (sum + (sum_before * &fade)?)?;
                mean = (mean + mean_before.broadcast_mul(&fade)?)?;
            }
            so_far = Some((largest, sum, mean));
        }
        let (largest, sum, mean) = so_far.expect("there is at least one point");
        Ok(Posterior {
            mean: mean.broadcast_div(&sum)?,
            log_sum: (largest + sum.log()?)?,
            scale: column(&|scale, _| scale)?,
            std: column(&|_, std| std)?,
            x,
        })
    }
}

impl Score for EmpiricalScore {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let Posterior { x: flat, scale, std, mean, .. } = self.posterior(x, t)?;
        let score = (mean.broadcast_mul(&scale)? - flat)?.broadcast_div(&std.sqr()?)?;
        Ok(score.reshape(x.shape())?.to_dtype(x.dtype())?)
    }
}

/// The blocks `(start, count)` of `0..n`, where each index takes `width` numbers.
fn blocks(n: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    let size = (BLOCK / width).max(1);
    (0..n).step_by(size).map(move |start| (start, size.min(n - start)))
}
