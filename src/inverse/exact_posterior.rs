//! Posteriors in closed form.

use super::{Measurement, operator::constant, spectrum::Spectrum};
use crate::{
    Error, Result,
    diffusion::{NoisingProcess, per_sample, times_until},
    distribution::{Density, Gaussian, Mixture, cholesky, symmetric_eigen},
    random::Generator,
    score::Score,
};
use candle_core::{D, Device, Tensor};
use rand::Rng;
use std::{f64::consts::TAU, sync::Arc};

/// The posterior `p(x0|y)` of a linear measurement in closed form, for a Gaussian or a mixture as the prior; and the exact
/// score of its noised law `p_t(x|y)`, so that every sampler runs on it.
///
/// The posterior of a component `N(μ, Σ)` is Gaussian, with the covariance `(Σ⁻¹ + AᵀA/σ_y²)⁻¹`, and its weight
/// is multiplied by the evidence `N(y; A μ, A Σ Aᵀ + σ_y² I)`. `σ_y` may be 0: the posterior then has no width where
/// something is measured, and its score none at `t = 0`.
///
/// ```
/// use scorebook::prelude::*;
///
/// // x ~ N(0, [[2, 1], [1, 1]]), and x₁ = 1 was measured without noise: x₂ ~ N(½, ½).
/// let prior = Gaussian::full([0.0, 0.0], &[[2.0, 1.0], [1.0, 1.0]])?;
/// let first = Mask::new(&Tensor::new(&[1f64, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[1f64, 0.0]], &Device::Cpu)?, 0.0)?;
/// let posterior = ExactPosterior::of_gaussian(&prior, &measurement, VariancePreserving::default())?;
/// let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
/// assert!(close(&posterior.mean(), &[1.0, 0.5]));
/// assert!(close(&posterior.covariance(), &[0.0, 0.0, 0.0, 0.5]));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ExactPosterior {
    weights: Vec<f64>,
    /// The components' means and variances along the axes, `[components, dim]`.
    means: Vec<f64>,
    variances: Vec<f64>,
    /// The axes that all components have in common, as columns.
    axes: Vec<f64>,
    dim: usize,
    process: Arc<dyn NoisingProcess>,
}

impl ExactPosterior {
    /// The posterior of a mixture.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// // Clusters of variance ¼ at -2 and 2, and y = 1 with a noise of variance ¾.
    /// let prior = Mixture::new([1.0, 1.0], [[-2.0], [2.0]], [0.5, 0.5])?;
    /// let all = Mask::new(&Tensor::new(&[1f64], &Device::Cpu)?)?;
    /// let measurement = Measurement::new(all, &Tensor::new(&[[1f64]], &Device::Cpu)?, 0.75f64.sqrt())?;
    /// let posterior = ExactPosterior::of_mixture(&prior, &measurement, VariancePreserving::default())?;
    /// // Evidence N(1; ±2, 1), means ¼ + ¾ (±2), variances 3/16.
    /// let weight = 1.0 / (1.0 + (-4f64).exp());
    /// assert!((posterior.weights()[1] - weight).abs() < 1e-12);
    /// assert!((posterior.mean()[0] - (1.75 * weight - 1.25 * (1.0 - weight))).abs() < 1e-12);
    /// let (x, t) = (Tensor::new(&[[1.75f64]], &Device::Cpu)?, Tensor::new(&[0f64], &Device::Cpu)?);
    /// let density = posterior.log_prob(&x, &t)?.exp()?.to_vec1::<f64>()?[0];
    /// assert!((density - weight / (std::f64::consts::TAU * 3.0 / 16.0).sqrt()).abs() < 1e-9);
    /// assert_eq!(posterior.sample(100, &mut Generator::new(7), &Device::Cpu)?.dims(), [100, 1]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the operator is not linear, there is more than one measurement, or it is not one of the mixture's points.
    pub fn of_mixture(
        prior: &Mixture,
        measurement: &Measurement,
        process: impl NoisingProcess + 'static,
    ) -> Result<Self> {
        let dim = prior.dim();
        let spectrum = Spectrum::new(measurement, &vec![0.0; dim], &identity(dim))?;
        let (mut log_weights, mut means, mut variances) = (vec![], vec![], vec![]);
        for ((weight, centre), std) in prior.weights().iter().zip(prior.means()).zip(prior.stds()) {
            let (own, mut log_weight) = (std * std, weight.ln());
            for (along, measured) in spectrum.along(centre).iter().zip(&spectrum.measured) {
                let (mean, variance) = update(*along, own, *measured);
                if let Some((y, noise)) = measured {
                    log_weight -= 0.5 * ((y - along).powi(2) / (own + noise) + (own + noise).ln());
                }
                means.push(mean);
                variances.push(variance);
            }
            log_weights.push(log_weight);
        }
        let largest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut weights: Vec<f64> = log_weights.iter().map(|w| (w - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= total);
        let (axes, process) = (spectrum.axes, Arc::new(process));
        Ok(Self { weights, means, variances, axes, dim, process })
    }

    /// The posterior of a Gaussian with any covariance.
    ///
    /// # Errors
    /// As [`of_mixture`](Self::of_mixture).
    pub fn of_gaussian(
        prior: &Gaussian,
        measurement: &Measurement,
        process: impl NoisingProcess + 'static,
    ) -> Result<Self> {
        let dim = prior.dim();
        let covariance = prior.covariance();
        let rows: Vec<&[f64]> = covariance.chunks_exact(dim).collect();
        let lower = cholesky(&rows, dim)?;
        // In z, where x = μ + L z, the prior is standard normal.
        let spectrum = Spectrum::new(measurement, prior.mean(), &lower)?;
        let updated: Vec<(f64, f64)> =
            spectrum.measured.iter().map(|measured| update(0.0, 1.0, *measured)).collect();
        let turned = product(&lower, &spectrum.axes, dim);
        let mean: Vec<f64> = (0..dim)
            .map(|i| {
                let moved = (0..dim).map(|k| turned[i * dim + k] * updated[k].0);
                prior.mean()[i] + moved.sum::<f64>()
            })
            .collect();
        let entry = |at: usize| -> f64 {
            let (i, j) = (at / dim, at % dim);
            (0..dim).map(|k| turned[i * dim + k] * updated[k].1 * turned[j * dim + k]).sum()
        };
        let posterior: Vec<f64> = (0..dim * dim).map(entry).collect();
        let (mut variances, axes) = symmetric_eigen(&posterior, dim);
        // What a measurement without noise leaves nothing of comes out as rounding.
        let least = 1e-14 * covariance.iter().copied().fold(0.0, f64::max);
        variances.iter_mut().filter(|variance| **variance < least).for_each(|v| *v = 0.0);
        let means = (0..dim).map(|i| (0..dim).map(|j| axes[j * dim + i] * mean[j]).sum()).collect();
        Ok(Self { weights: vec![1.0], means, variances, axes, dim, process: Arc::new(process) })
    }

    /// The weights of the components given the measurement.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The posterior mean.
    pub fn mean(&self) -> Vec<f64> {
        let along = self.mean_along();
        (0..self.dim)
            .map(|i| (0..self.dim).map(|k| self.axes[i * self.dim + k] * along[k]).sum())
            .collect()
    }

    /// The posterior covariance, row after row.
    pub fn covariance(&self) -> Vec<f64> {
        let (dim, mean) = (self.dim, self.mean_along());
        let mut along = vec![0.0; dim * dim];
        for (k, weight) in self.weights.iter().enumerate() {
            let row = k * dim..(k + 1) * dim;
            let (means, variances) = (&self.means[row.clone()], &self.variances[row]);
            for i in 0..dim {
                along[i * dim + i] += weight * variances[i];
                for j in 0..dim {
                    along[i * dim + j] += weight * (means[i] - mean[i]) * (means[j] - mean[j]);
                }
            }
        }
        let turned = product(&self.axes, &along, dim);
        let entry = |at: usize| -> f64 {
            (0..dim).map(|k| turned[at / dim * dim + k] * self.axes[at % dim * dim + k]).sum()
        };
        (0..dim * dim).map(entry).collect()
    }

    /// `n` independent draws of `p(x0|y)`, `[n, dim]` in `f32`.
    ///
    /// # Errors
    /// If the device cannot take the tensor.
    pub fn sample(&self, n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor> {
        let dim = self.dim;
        let mut values = vec![0f64; n * dim];
        generator.fill_normal_f64(&mut values);
        for x in values.chunks_exact_mut(dim) {
            let mut left: f64 = generator.random();
            let chosen = self.weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            // Rounding may leave the sum of the weights a little below 1.
            let first = chosen.unwrap_or(self.weights.len() - 1) * dim;
            let along: Vec<f64> = (0..dim)
                .map(|i| self.means[first + i] + self.variances[first + i].sqrt() * x[i])
                .collect();
            for (i, x) in x.iter_mut().enumerate() {
                *x = (0..dim).map(|k| self.axes[i * dim + k] * along[k]).sum();
            }
        }
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        Ok(Tensor::from_vec(values, (n, dim), device)?)
    }

    /// `ln p_t(x|y)` for `x` `[batch, ...]` and `t` `[batch]`, as `[batch]`.
    ///
    /// # Errors
    /// If a sample has not the prior's dimension, `t` is not one time in `[0, T]` a sample, or there is no noise at all.
    pub fn log_prob(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let (log_joint, _) = self.log_joint(x, t)?;
        let largest = log_joint.max_keepdim(1)?;
        let sum = log_joint.broadcast_sub(&largest)?.exp()?.sum(1)?;
        Ok((sum.log()? + largest.squeeze(1)?)?)
    }

    fn mean_along(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.dim];
        for (means, weight) in self.means.chunks_exact(self.dim).zip(&self.weights) {
            mean.iter_mut().zip(means).for_each(|(sum, mean)| *sum += weight * mean);
        }
        mean
    }

    /// `ln w_k N(x; ..)` as `[batch, components]`, and the components' scores along the axes, `[batch, components, dim]`.
    fn log_joint(&self, x: &Tensor, t: &Tensor) -> Result<(Tensor, Tensor)> {
        let (dim, components) = (self.dim, self.weights.len());
        let times = times_until(self.process.horizon(), t, x)?;
        if x.elem_count() != times.len() * dim {
            let expected = format!("[batch, ...] with {dim} numbers a sample");
            return Err(Error::shape("x", x.dims(), expected));
        }
        let narrow = self.variances.contains(&0.0);
        if let Some(t) = times.iter().find(|t| narrow && self.process.std(**t) == 0.0) {
            let expected = "a positive time: without noise the posterior is no density";
            return Err(Error::argument("t", t, expected));
        }
        let flat = x.reshape((times.len(), dim))?;
        let along = flat.matmul(&constant(&self.axes, (dim, dim), x)?)?.unsqueeze(1)?;
        let scales = per_sample(t, &along, |t| self.process.mean_scale(t))?;
        let noise = per_sample(t, &along, |t| self.process.std(t).powi(2))?;
        let means = constant(&self.means, (1, components, dim), x)?;
        let variances = constant(&self.variances, (1, components, dim), x)?;
        let variances = variances.broadcast_mul(&scales.sqr()?)?.broadcast_add(&noise)?;
        let centred = along.broadcast_sub(&means.broadcast_mul(&scales)?)?;
        let scores = (&centred / &variances)?.neg()?;
        let squares = (&centred * &scores)?.sum(D::Minus1)?;
        let volumes = (&variances * TAU)?.log()?.sum(D::Minus1)?;
        let weights: Vec<f64> = self.weights.iter().map(|weight| weight.ln().max(-1e30)).collect();
        let weights = constant(&weights, (1, components), x)?;
        Ok((((squares - volumes)? * 0.5)?.broadcast_add(&weights)?, scores))
    }
}

impl Score for ExactPosterior {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let (log_joint, scores) = self.log_joint(x, t)?;
        let shares = log_joint.broadcast_sub(&log_joint.max_keepdim(1)?)?.exp()?;
        let shares = shares.broadcast_div(&shares.sum_keepdim(1)?)?.unsqueeze(2)?;
        let along = scores.broadcast_mul(&shares)?.sum(1)?;
        let back = constant(&self.axes, (self.dim, self.dim), x)?.t()?;
        Ok(along.matmul(&back)?.reshape(x.shape())?)
    }
}

/// The mean and variance of `u ~ N(mean, variance)` once `y = u + noise` is known.
fn update(mean: f64, variance: f64, measured: Option<(f64, f64)>) -> (f64, f64) {
    match measured {
        None => (mean, variance),
        Some((y, noise)) => {
            let total = variance + noise;
            ((variance * y + noise * mean) / total, variance * noise / total)
        }
    }
}

fn identity(dim: usize) -> Vec<f64> {
    (0..dim * dim).map(|at| f64::from(at / dim == at % dim)).collect()
}

/// The product of two square matrices.
fn product(a: &[f64], b: &[f64], dim: usize) -> Vec<f64> {
    let entry = |at: usize| (0..dim).map(|k| a[at / dim * dim + k] * b[k * dim + at % dim]).sum();
    (0..dim * dim).map(entry).collect()
}
