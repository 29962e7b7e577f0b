//! The law that chains shall have as their stationary one.

use crate::{Error, Result, distribution::Density, tensor};
use candle_core::{DType, Device, Tensor, Var};
use std::{fmt, sync::Arc};

/// A law on `ℝ^dim` that is known up to a factor, by `ln p` plus any constant, by its score, or by both.
///
/// Plain functions of a point are fastest: each chain then runs by itself, without a tensor. Functions of tensors
/// `[chains, dim]` see all chains at once.
///
/// ```
/// use scorebook::{prelude::*, markov::Target};
///
/// // Four ways to say N(0, I).
/// let plain = Target::function(2, |x| -0.5 * (x[0] * x[0] + x[1] * x[1]));
/// let with_score = Target::differentiable(2, |x, score| {
///     score.iter_mut().zip(x).for_each(|(s, x)| *s = -x);
///     -0.5 * (x[0] * x[0] + x[1] * x[1])
/// });
/// let by_tensors = Target::tensors(2, |x| Ok((x.sqr()?.sum(1)? * -0.5)?));
/// let density = Target::density(Gaussian::standard(2));
/// // Where `ln p` is not known, the score alone serves Langevin dynamics.
/// let score_only = Target::score(2, |x| Ok(x.neg()?));
/// assert!([plain, with_score, by_tensors, density, score_only].iter().all(|target| target.dim() == 2));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct Target {
    dim: usize,
    known: Known,
}

/// What a chain must know of its target at each of its places.
#[derive(Clone, Copy)]
pub(super) struct Needs {
    pub log_density: bool,
    pub score: bool,
}

pub(super) type LogDensity = dyn Fn(&[f64]) -> f64 + Send + Sync;
type LogDensityAndScore = dyn Fn(&[f64], &mut [f64]) -> f64 + Send + Sync;
type OfTensors = dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync;

#[derive(Clone)]
enum Known {
    Function(Arc<LogDensity>),
    Differentiable(Arc<LogDensityAndScore>),
    Tensors(Arc<OfTensors>),
    Density(Arc<dyn Density>),
    Score(Arc<OfTensors>),
}

impl Target {
    /// The law with `ln p(x) = log_density(x) + constant` for a point `x` of `dim` numbers; `-∞` outside the support.
    pub fn function(
        dim: usize,
        log_density: impl Fn(&[f64]) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self { dim, known: Known::Function(Arc::new(log_density)) }
    }

    /// The law with `ln p(x) = log_density(x, score) + constant`; the function also writes `∇ ln p(x)` into `score`.
    pub fn differentiable(
        dim: usize,
        log_density: impl Fn(&[f64], &mut [f64]) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self { dim, known: Known::Differentiable(Arc::new(log_density)) }
    }

    /// The law with `ln p = log_density + constant`, a function of tensors from `[chains, dim]` to `[chains]`. Where a
    /// score is needed it is found by backward differentiation.
    pub fn tensors(
        dim: usize,
        log_density: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        Self { dim, known: Known::Tensors(Arc::new(log_density)) }
    }

    /// The law of a [`Density`].
    pub fn density(density: impl Density + 'static) -> Self {
        Self { dim: density.dim(), known: Known::Density(Arc::new(density)) }
    }

    /// The law with the score `∇ ln p`, a function of tensors `[chains, dim]`. Without `ln p` there is no
    /// Metropolis-Hastings, only Langevin dynamics without correction.
    pub fn score(
        dim: usize,
        score: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        Self { dim, known: Known::Score(Arc::new(score)) }
    }

    /// The dimension of the space.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Whether points are evaluated one by one, so that chains can run by themselves.
    pub(super) fn is_pointwise(&self) -> bool {
        matches!(self.known, Known::Function(_) | Known::Differentiable(_))
    }

    /// That the target knows what a chain needs.
    pub(super) fn check(&self, needs: Needs) -> Result<()> {
        if needs.log_density && matches!(self.known, Known::Score(_)) {
            let expected = "one with a log-density, which Metropolis-Hastings compares";
            return Err(Error::argument("target", "known by its score alone", expected));
        }
        if needs.score && matches!(self.known, Known::Function(_)) {
            let expected = "one with a score, for instance `Target::differentiable`";
            return Err(Error::argument("target", "known by a log-density alone", expected));
        }
        Ok(())
    }

    /// Writes what is needed at points `[chains, dim]`. Tensors are made of the given type on the given device.
    pub(super) fn evaluate(
        &self,
        points: &[f64],
        (dtype, device): (DType, &Device),
        needs: Needs,
        log_density: &mut [f64],
        score: &mut [f64],
    ) -> Result<()> {
        let dim = self.dim;
        let tensor = || -> Result<Tensor> {
            let shape = (points.len() / dim, dim);
            Ok(Tensor::from_slice(points, shape, &Device::Cpu)?
                .to_dtype(dtype)?
                .to_device(device)?)
        };
        match &self.known {
            Known::Function(f) => {
                for (value, x) in log_density.iter_mut().zip(points.chunks_exact(dim)) {
                    *value = f(x);
                }
            }
            Known::Differentiable(f) => {
                for ((value, score), x) in log_density
                    .iter_mut()
                    .zip(score.chunks_exact_mut(dim))
                    .zip(points.chunks_exact(dim))
                {
                    *value = f(x, score);
                }
            }
            Known::Tensors(f) if needs.score => {
                let x = Var::from_tensor(&tensor()?)?;
                let value = f(x.as_tensor())?;
                copy("log_density", &value, 1, log_density)?;
                let gradients = value.sum_all()?.backward()?;
                let Some(gradient) = gradients.get(&x) else {
                    let expected = "a function of its argument, all the way by tensors";
                    return Err(Error::argument("log_density", "detached", expected));
                };
                copy("score", gradient, dim, score)?;
            }
            Known::Tensors(f) => copy("log_density", &f(&tensor()?)?, 1, log_density)?,
            Known::Density(density) => {
                let x = tensor()?;
                if needs.log_density {
                    copy("log_density", &density.log_prob(&x)?, 1, log_density)?;
                }
                if needs.score {
                    copy("score", &density.score(&x)?, dim, score)?;
                }
            }
            Known::Score(f) => copy("score", &f(&tensor()?)?, dim, score)?,
        }
        Ok(())
    }
}

/// Copies `[chains]` (a log-density, of `width` 1) or `[chains, width]` (a score).
fn copy(name: &'static str, values: &Tensor, width: usize, to: &mut [f64]) -> Result<()> {
    let chains = to.len() / width;
    let expected = if name == "score" { vec![chains, width] } else { vec![chains] };
    if values.dims() != expected {
        return Err(Error::shape(name, values.dims(), format!("{expected:?}")));
    }
    to.copy_from_slice(&tensor::values(values)?);
    Ok(())
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = match &self.known {
            Known::Function(_) => "a function",
            Known::Differentiable(_) => "a function with its score",
            Known::Tensors(_) => "a function of tensors",
            Known::Density(density) => return write!(f, "Target of {density:?}"),
            Known::Score(_) => "a score",
        };
        write!(f, "Target on {} coordinates, known by {known}", self.dim)
    }
}
