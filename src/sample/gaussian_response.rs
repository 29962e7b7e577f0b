//! The exact law of a sampler's samples, for Gaussian data.

use super::Sampler;
use crate::{
    Error, Result,
    diffusion::{NoisingProcess, per_sample},
    random::Generator,
    score::Score,
    tensor::values,
};
use candle_core::{DType, Device, Tensor};

/// The law of what a sampler gives where the data are `N(mean, std²)` on the line, without a sample's error.
///
/// The score of Gaussian data is linear in the state, and so is every sampler in the noise `x(T)` and the draws
/// `z_1, …, z_n` on its way: `x = b + a x(T) + Σ c_k z_k`. As many runs as there are coefficients, with known draws,
/// give all of them; `x(T)` of the law `p_T` makes the samples `N(b + a E x(T), a² Var x(T) + Σ c_k²)`.
///
/// ```
/// use scorebook::{prelude::*, sample::GaussianResponse};
///
/// let process = VariancePreserving::default();
/// let error = |steps| -> scorebook::Result<f64> {
///     let sampler = Ancestral { steps, progress: false, ..Default::default() };
///     Ok(GaussianResponse::measure(&sampler, &process, 1.5, 0.5)?.error)
/// };
/// // Weak order 1: half the step, half the error.
/// assert!((error(100)? / error(200)? - 2.0).abs() < 0.2);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GaussianResponse {
    /// The mean of the samples.
    pub mean: f64,
    /// Their standard deviation.
    pub std: f64,
    /// The Wasserstein-2 distance from what steps without error would have given: the law of `x(t_min)` or, for a
    /// sampler that denoises, of its `E[x0 | x(t_min)]`.
    pub error: f64,
    /// How often the score was evaluated.
    pub score_evaluations: usize,
}

impl GaussianResponse {
    /// Runs the sampler on `process` with data `N(mean, std²)`.
    ///
    /// It takes a system of as many linear equations as the sampler draws normal numbers for one sample.
    ///
    /// # Errors
    /// If `std` is not positive, the sampler fails, or its samples are no linear function of what it draws.
    pub fn measure(
        sampler: &dyn Sampler,
        process: &dyn NoisingProcess,
        mean: f64,
        std: f64,
    ) -> Result<Self> {
        if !(std > 0.0 && std.is_finite()) {
            return Err(Error::argument("std", std, "a positive number"));
        }
        let data = Noised { process, mean, std };
        let seed = Generator::new(0x6c6177);
        let one = Tensor::zeros((1, 1), DType::F64, &Device::Cpu)?;
        let mut generator = seed.clone();
        sampler.sample_from(process, &data, &one, &mut generator)?;
        let end = generator.position();
        let (mut generator, mut draws) = (seed.clone(), 0);
        while generator.position() < end {
            generator.normal_like(&one)?;
            draws += 1;
        }
        // One more row than unknowns, to see whether the rule holds.
        let (unknowns, rows) = (draws + 2, draws + 3);
        let (scale, spread) = data.law(process.horizon());
        let start =
            seed.child(1).normal_like(&Tensor::zeros((rows, 1), DType::F64, &Device::Cpu)?)?;
        let start = start.affine(spread, scale * mean)?;
        let sample = sampler.sample_from(process, &data, &start, &mut seed.clone())?;
        let mut columns = vec![vec![1.0; rows], values(&start)?];
        let mut generator = seed.clone();
        for _ in 0..draws {
            columns.push(values(&generator.normal_like(&start)?)?);
        }
        let ends = values(&sample.x)?;
        let row = |i: usize| columns.iter().map(move |column| column[i]);
        let equations = (0..unknowns).map(|i| row(i).chain([ends[i]]).collect()).collect();
        let solution = solve(equations);
        let predicted: f64 = row(unknowns).zip(&solution).map(|(value, c)| value * c).sum();
        if (predicted - ends[unknowns]).abs() > 1e-6 * (1.0 + ends[unknowns].abs()) {
            let expected = "one whose samples are a linear function of the normal numbers it draws";
            return Err(Error::argument("sampler", sampler.name(), expected));
        }
        let law_mean = solution[0] + solution[1] * scale * mean;
        let fresh: f64 = solution[2..].iter().map(|c| c * c).sum();
        let law_std = ((solution[1] * spread).powi(2) + fresh).sqrt();
        let descent = sampler.descent();
        let (scale, spread) = data.law(descent.t_min);
        let (ideal_mean, ideal_std) = if descent.denoise {
            (mean, scale * std * std / spread)
        } else {
            (scale * mean, spread)
        };
        Ok(Self {
            mean: law_mean,
            std: law_std,
            error: (law_mean - ideal_mean).hypot(law_std - ideal_std),
            score_evaluations: sample.score_evaluations,
        })
    }
}

/// Gaussian data under noise.
struct Noised<'a> {
    process: &'a dyn NoisingProcess,
    mean: f64,
    std: f64,
}

impl Noised<'_> {
    /// `α(t)` and the standard deviation of `p_t`.
    fn law(&self, t: f64) -> (f64, f64) {
        let scale = self.process.mean_scale(t);
        (scale, (scale * self.std).hypot(self.process.std(t)))
    }
}

impl Score for Noised<'_> {
    /// `-(x - α(t) mean)/(α²(t) std² + σ²(t))`.
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let centre = per_sample(t, x, |t| self.law(t).0 * self.mean)?;
        let precision = per_sample(t, x, |t| -self.law(t).1.powi(-2))?;
        Ok(x.broadcast_sub(&centre)?.broadcast_mul(&precision)?)
    }
}

/// Gauss's elimination with pivots; each row ends with its right side.
fn solve(mut rows: Vec<Vec<f64>>) -> Vec<f64> {
    let n = rows.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|i, j| rows[*i][k].abs().total_cmp(&rows[*j][k].abs()));
        rows.swap(k, pivot.unwrap_or(k));
        let (done, rest) = rows.split_at_mut(k + 1);
        let from = &done[k];
        for row in rest {
            let factor = row[k] / from[k];
            for (value, above) in row[k..].iter_mut().zip(&from[k..]) {
                *value -= factor * above;
            }
        }
    }
    let mut solution = vec![0.0; n];
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| rows[k][j] * solution[j]).sum();
        solution[k] = (rows[k][n] - known) / rows[k][k];
    }
    solution
}
