//! The variational bound on the likelihood of the reverse SDE.

use super::{Estimate, prior::rows};
use crate::{
    Error, Result,
    diffusion::{NoisingProcess, per_sample},
    interrupt,
    progress::Progress,
    random::{Generator, Inversion, Tabulated},
    score::Score,
    tensor::values,
};
use candle_core::{DType, Device, Tensor};
use std::f64::consts::TAU;

/// Bounds on the likelihood of the samples of the reverse SDE with a score `s`, where that of the flow is
/// [`Likelihood`](super::Likelihood)'s.
///
/// Integrals over time are estimated from random times, one stratum after another, with weights: times are drawn from
/// an even mixture of densities in proportion to `g²/(α² + σ²)`, where data are of size one, and to `g²/σ²`, where they
/// have no size at all. Noise is drawn in pairs `±z`. Each stratum has two independent draws, which tell the
/// standard error; where few strata carry most of it, it is itself rough.
///
/// Sources: Song et al. 2021, *Maximum likelihood training of score-based diffusion models*, theorems 1 to 3; Huang et al.
/// 2021; Kingma et al. 2021, who weigh times likewise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VariationalBound {
    /// Strata of time, each with two draws of a time and a pair `±z` a sample.
    pub strata: usize,
    /// Where the integrals start.
    pub t_min: f64,
    /// Show a progress bar.
    pub progress: bool,
}

/// 64 strata from the time 10⁻⁵ on.
impl Default for VariationalBound {
    fn default() -> Self {
        Self { strata: 64, t_min: 1e-5, progress: false }
    }
}

/// What [`VariationalBound::log_prob`] found, one number a sample, in nats.
#[derive(Clone, Debug)]
pub struct LowerBound {
    /// In expectation at most `log p₀(x)` of the reverse SDE's samples. Not a number after an interrupt.
    pub log_prob: Vec<f64>,
    /// Its standard error.
    pub standard_error: Vec<f64>,
    /// How often the score was evaluated on the whole batch.
    pub score_evaluations: usize,
    /// Whether an interrupt ended the estimate early.
    pub interrupted: bool,
}

/// What [`VariationalBound::score_kl`] found.
#[derive(Clone, Debug)]
pub struct ScoreKl {
    /// `½ ∫ g² E‖∇log p_t - s‖² dt`, in nats. Not a number after an interrupt.
    pub kl: Estimate,
    /// How often the two scores were evaluated on the whole batch.
    pub score_evaluations: usize,
    /// Whether an interrupt ended the estimate early.
    pub interrupted: bool,
}

impl VariationalBound {
    /// A lower bound on `log p₀(x)` at `x` `[batch, ...]` for the reverse SDE from the prior `π`:
    ///
    /// `E log π(x_T) + d ∫ a dt - ½ ∫ g² E[‖s(x_t, t)‖² + 2 s(x_t, t)·z/σ_t] dt`
    ///
    /// over `x_t = α_t x + σ_t z`. It is theorem 3 of Song et al. 2021, with `E s·z/σ = E ∇·s` (integration by parts) in
    /// place of the difference of two terms that each grow without bound towards `t = 0`; the first two terms are in closed
    /// form. With `t_min > 0` it bounds the mean of `log p` of that time over `x` noised until then. For the exact score
    /// and the prior `p_T` it is `log p₀(x)` itself.
    ///
    /// ```
    /// use scorebook::{prelude::*, likelihood::VariationalBound};
    ///
    /// // Standard normal data under a process that preserves them: the bound is exact.
    /// let (process, score) = (VariancePreserving::default(), ScoreFunction::new(|x, _| Ok(x.neg()?)));
    /// let x = Tensor::new(&[[0.5f64, -1.0]], &Device::Cpu)?;
    /// let bound = VariationalBound::default().log_prob(&process, &score, &x, &mut Generator::new(7))?;
    /// let exact = Gaussian::standard(2).log_prob(&x)?.to_vec1::<f64>()?[0];
    /// assert!((bound.log_prob[0] - exact).abs() < 5.0 * bound.standard_error[0] + 1e-3);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// An interrupt leaves no estimate:
    ///
    /// ```
    /// use scorebook::{prelude::*, interrupt};
    ///
    /// let score = ScoreFunction::new(|x, _| {
    ///     interrupt::request();
    ///     Ok(x.neg()?)
    /// });
    /// let (process, x) = (VariancePreserving::default(), Tensor::new(&[[0.5f64]], &Device::Cpu)?);
    /// let bound = VariationalBound::default().log_prob(&process, &score, &x, &mut Generator::new(7))?;
    /// assert!(bound.interrupted && bound.score_evaluations == 4 && bound.log_prob[0].is_nan());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a setting is out of its range, the score fails, or a number is not finite.
    pub fn log_prob(
        &self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        x: &Tensor,
        generator: &mut Generator,
    ) -> Result<LowerBound> {
        let (start, dim) = rows(x)?;
        let strata = self.strata(process, x, generator, |x, t, z| {
            let squares = |s: &Tensor| -> Result<Tensor> { Ok(rows(s)?.0.sqr()?.sum(1)?) };
            let shift = z.broadcast_mul(&per_sample(t, z, |t| process.std(t))?)?;
            let (above, below) = (score.score(&(x + &shift)?, t)?, score.score(&(x - &shift)?, t)?);
            let slope = (above.sub(&below)? * z)?;
            let slope = slope.broadcast_div(&per_sample(t, z, |t| process.std(t))?)?;
            let found =
                (((squares(&above)? + squares(&below)?)? * 0.5)? + rows(&slope)?.0.sum(1)?)?;
            // For the score -x/v of Gaussian data of size one, v = α² + σ², it depends on the noise by ‖z‖², whose mean
            // is d: near the end of time every score is like that.
            let control = per_sample(t, &found, |t| {
                let variance = process.mean_scale(t).powi(2) + process.std(t).powi(2);
                (process.std(t).powi(2) / variance - 2.0) / variance
            })?;
            Ok((found - ((squares(z)? - dim as f64)? * control)?)?)
        })?;
        let (end, prior) = (process.horizon(), process.prior_std().powi(2));
        let (scale, std, d) = (process.mean_scale(end), process.std(end), dim as f64);
        let volume = d * (scale / process.mean_scale(self.t_min)).ln();
        let known = |squares: f64| {
            volume
                - 0.5 * ((scale * scale * squares + d * std * std) / prior + d * (TAU * prior).ln())
        };
        let squares = values(&start.sqr()?.sum(1)?)?;
        let integrals = strata.integrals.iter();
        Ok(LowerBound {
            log_prob: squares.iter().zip(integrals).map(|(s, (i, _))| known(*s) - i).collect(),
            standard_error: strata.integrals.iter().map(|(_, error)| *error).collect(),
            score_evaluations: 4 * strata.done,
            interrupted: strata.interrupted,
        })
    }

    /// `½ ∫ g² E_{p_t}‖∇log p_t - s‖² dt` over data `x0` `[batch, ...]`, where the true score is known.
    ///
    /// By Girsanov's theorem it is the divergence of the reverse SDE's paths with the two scores, so with that of the
    /// prior it bounds the divergence of the samples (theorem 1):
    /// `KL(p₀‖p_θ) ≤ (T/2) E_{t~U(0,T)} E_{p_t}[g² ‖∇log p_t - s‖²] + KL(p_T‖π)`. Note 002 (lines 93 and 97) drops the
    /// factors, note 003 (line 342) has "=". It holds for the samples of the SDE, not for those of the flow.
    ///
    /// ```
    /// use scorebook::{prelude::*, likelihood::VariationalBound};
    ///
    /// // x(t) ~ N(0, 1) for all t, and a score that is 10 % too long: ½ ∫ β dt 0.1² = 0.05.
    /// let process = VariancePreserving::default();
    /// let truth = ScoreFunction::new(|x, _| Ok(x.neg()?));
    /// let score = ScoreFunction::new(|x, _| Ok((x * -1.1)?));
    /// let mut generator = Generator::new(7);
    /// let x0 = generator.normal((1000, 1), &Device::Cpu)?;
    /// let found = VariationalBound::default().score_kl(&process, &truth, &score, &x0, &mut generator)?;
    /// assert!((found.kl.value - 0.05025).abs() < 5.0 * found.kl.standard_error);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`log_prob`](Self::log_prob), and if there are fewer than two samples.
    pub fn score_kl(
        &self,
        process: &dyn NoisingProcess,
        truth: &dyn Score,
        score: &dyn Score,
        x0: &Tensor,
        generator: &mut Generator,
    ) -> Result<ScoreKl> {
        let strata = self.strata(process, x0, generator, |x, t, z| {
            let shift = z.broadcast_mul(&per_sample(t, z, |t| process.std(t))?)?;
            let gap = |x: &Tensor| -> Result<Tensor> {
                let gap = (truth.score(x, t)? - score.score(x, t)?)?;
                Ok(rows(&gap)?.0.sqr()?.sum(1)?)
            };
            Ok(((gap(&(x + &shift)?)? + gap(&(x - &shift)?)?)? * 0.5)?)
        })?;
        let of_samples: Vec<f64> = strata.integrals.iter().map(|(value, _)| *value).collect();
        Ok(ScoreKl {
            kl: Estimate::of(&of_samples)?,
            score_evaluations: 8 * strata.done,
            interrupted: strata.interrupted,
        })
    }

    /// `½ ∫ g² E integrand(α_t x0, t, z) dt` for each sample.
    fn strata(
        &self,
        process: &dyn NoisingProcess,
        x0: &Tensor,
        generator: &mut Generator,
        integrand: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
    ) -> Result<Strata> {
        if self.strata == 0 {
            return Err(Error::argument("strata", 0, "at least 1"));
        }
        let batch = rows(x0)?.0.dims()[0];
        let law = self.law_of_times(process)?;
        let progress = self.progress.then(|| Progress::new("bound", self.strata as u64));
        let (mut sums, mut squares) = (vec![0.0; batch], vec![0.0; batch]);
        let (mut done, mut interrupted) = (0, false);
        for stratum in 0..self.strata {
            if interrupt::requested() {
                interrupted = true;
                break;
            }
            let mut draw = || -> Result<Vec<f64>> {
                let mut times = vec![0.0; batch];
                generator.fill_uniform_f64(&mut times);
                for t in &mut times {
                    *t = law.quantile((stratum as f64 + *t) / self.strata as f64);
                }
                // Times are rounded to the type of the states; the weights are those of the rounded ones.
                let t = Tensor::from_vec(times, batch, &Device::Cpu)?;
                let t = t.to_dtype(x0.dtype())?.to_device(x0.device())?;
                let z = generator.normal_like(x0)?;
                let mean = x0.broadcast_mul(&per_sample(&t, x0, |t| process.mean_scale(t))?)?;
                let integrand = values(&integrand(&mean, &t, &z)?.to_dtype(DType::F64)?)?;
                let weight = |t: f64| {
                    let t = t.clamp(self.t_min, process.horizon());
                    0.5 * process.dispersion(t).powi(2) / law.density(t)
                };
                Ok(integrand.iter().zip(values(&t)?).map(|(y, t)| y * weight(t)).collect())
            };
            for (i, (first, second)) in draw()?.into_iter().zip(draw()?).enumerate() {
                sums[i] += 0.5 * (first + second);
                squares[i] += 0.25 * (first - second).powi(2);
            }
            done += 1;
            if let Some(progress) = &progress {
                progress.set(done as u64, String::new());
            }
        }
        if let Some(progress) = &progress {
            progress.finish();
        }
        if sums.iter().any(|sum| !sum.is_finite()) {
            return Err(Error::NotFinite {
                what: "the bound's integrand".into(),
                at: format!("a time from {} on", self.t_min),
                remedy: "Raise `t_min`, or look at the score there".into(),
            });
        }
        let n = self.strata as f64;
        let integral = |(sum, square): (&f64, &f64)| match interrupted {
            true => (f64::NAN, f64::NAN),
            false => (sum / n, square.sqrt() / n),
        };
        let integrals = sums.iter().zip(&squares).map(integral).collect();
        Ok(Strata { integrals, done, interrupted })
    }

    /// The law that times are drawn from, as a histogram: exact weights need no more.
    fn law_of_times(&self, process: &dyn NoisingProcess) -> Result<Tabulated> {
        let horizon = process.horizon();
        if !(0.0..horizon).contains(&self.t_min) {
            let expected =
                format!("a time of at least 0 and below the horizon, which is {horizon}");
            return Err(Error::argument("t_min", self.t_min, expected));
        }
        let first = self.t_min.max(1e-6 * horizon);
        let mut edges = if self.t_min < first { vec![self.t_min] } else { vec![] };
        let ratio = horizon / first;
        edges.extend((0..CELLS).map(|i| first * ratio.powf(i as f64 / CELLS as f64)));
        edges.push(horizon);
        let cells = || edges.windows(2).map(|edge| (0.5 * (edge[0] + edge[1]), edge[1] - edge[0]));
        let density = |size: f64| -> Vec<f64> {
            let height = |t: f64| {
                let spread = (size * process.mean_scale(t)).hypot(process.std(t));
                (process.dispersion(t) / spread).powi(2)
            };
            let total: f64 = cells().map(|(t, width)| height(t) * width).sum();
            cells().map(|(t, _)| height(t) / total).collect()
        };
        let heights: Vec<f64> =
            density(1.0).into_iter().zip(density(0.0)).map(|(one, none)| one + none).collect();
        Tabulated::constant(&edges, &heights)
    }
}

/// Cells of the histogram of times, in geometric progression.
const CELLS: usize = 1000;

struct Strata {
    /// The integral of each sample and its standard error.
    integrals: Vec<(f64, f64)>,
    /// Strata that were gone through.
    done: usize,
    interrupted: bool,
}
