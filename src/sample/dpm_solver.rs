//! DPM-Solver++.

use super::{Descent, Sampler, Spacing, Way};
use crate::{Error, Result, random::Generator, score::tweedie, sde::Solution};
use candle_core::Tensor;

/// DPM-Solver++(2M), for the probability flow and for the reverse SDE: the linear part is solved exactly, and the
/// data `x̂0` that the score sees are continued from the last two steps.
///
/// In the log of the signal-to-noise ratio, `ℓ = ln(α/σ)`, a step of length `h` from `t` to `s` with the level of
/// noise `λ` of [`ReverseSde`](crate::reverse::ReverseSde) is, with `k = 1 + λ²`,
/// `x ← (σ(s)/σ(t)) e^(-λ² h) x + α(s) (1 - e^(-k h)) D + σ(s) √(1 - e^(-2λ² h)) z`
/// with `D = x̂0 + (h/2h') (x̂0 - x̂0')`, where a prime means the step before; the first step takes `D = x̂0`. So does a
/// last one to a time without noise, where `h` is infinite.
///
/// `λ = 0` is DPM-Solver++(2M), of order 2; `λ = 1` is SDE-DPM-Solver++(2M). One evaluation of the score a step.
///
/// Source: Lu et al., *DPM-Solver++*, 2022, algorithm 2 and section 4.3 (2M), section 5 (SDE); for any `λ` Xue et
/// al., *SA-Solver*, 2023.
///
/// ```
/// use scorebook::prelude::*;
///
/// let process = VariancePreserving::default();
/// let score = MixtureScore::new(Mixture::ring(8, 4.0, 0.3)?, process);
/// let sampler = DpmSolver { noise: 1.0, ..Default::default() };
/// let sample = sampler.sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 26);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DpmSolver {
    /// Steps from the horizon to `t_min`.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// 2, or 1 for steps without memory: DDIM where there is no noise.
    pub order: usize,
    /// The level of noise `λ`: 0 for the probability flow, 1 for Anderson's SDE.
    pub noise: f64,
    /// Where the steps end; what is left is denoised.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state in [`Sample::trajectory`](super::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

/// 25 steps of order 2, equal in `ℓ`, down to 0.001 without noise, denoised, nothing recorded.
impl Default for DpmSolver {
    fn default() -> Self {
        Self {
            steps: 25,
            spacing: Spacing::LogSnr,
            order: 2,
            noise: 0.0,
            t_min: 1e-3,
            denoise: true,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for DpmSolver {
    fn name(&self) -> &'static str {
        if self.noise == 0.0 { "DPM-Solver++" } else { "SDE-DPM-Solver++" }
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, denoise, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        if !matches!(self.order, 1 | 2) {
            return Err(Error::argument("order", self.order, "1 or 2"));
        }
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            return Err(Error::argument("noise", self.noise, "a number of at least 0"));
        }
        way.starts_with_noise()?;
        let (process, of_noise) = (way.process, self.noise.powi(2));
        // The data of the step before and its length.
        let mut before: Option<(Tensor, f64)> = None;
        way.march(start, |x, t, next| {
            let data = tweedie(process, way.score, x, t)?.detach();
            let h = (process.noise_level(t) / process.noise_level(next)).ln();
            let continued = match &before {
                Some((earlier, length)) if self.order == 2 && h.is_finite() => {
                    (&data + ((&data - earlier)? * (0.5 * h / length))?)?
                }
                _ => data.clone(),
            };
            before = Some((data, h));
            let mut kept = process.std(next) / process.std(t);
            if of_noise > 0.0 {
                kept *= (-of_noise * h).exp();
            }
            let taken = -process.mean_scale(next) * (-(1.0 + of_noise) * h).exp_m1();
            let mean = ((x * kept)? + (continued * taken)?)?;
            if of_noise == 0.0 {
                return Ok(mean);
            }
            let std = process.std(next) * (-(-2.0 * of_noise * h).exp_m1()).sqrt();
            Ok((mean + (generator.normal_like(x)? * std)?)?)
        })
    }

    fn is_deterministic(&self) -> bool {
        self.noise == 0.0
    }
}
