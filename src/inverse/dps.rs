//! Diffusion posterior sampling.

use super::{Denoised, Guidance, Measurement, replacement::to_data};
use crate::{
    Error, Result,
    random::Generator,
    sample::{Descent, Sampler, Spacing, Transition, Way},
    sde::Solution,
};
use candle_core::Tensor;

/// Diffusion posterior sampling's likelihood: all of `p(x0|x_t)` at its mean, `p_t(y|x_t) ≈ N(y; A(x̂0), σ_y² I)`, so
///
/// `∇ log p_t(y|x_t) ≈ -1/(2σ_y²) ∇_{x_t} ‖y - A(x̂0(x_t))‖²`.
///
/// For any operator that can be differentiated. It is too sure where `x0` is not: early, where `x̂0` is nearly the same for
/// all `x_t`, the factor `1/σ_y²` is far too large, so posteriors come out too narrow and small `σ_y` needs many steps.
/// [`DpsSampler`] has the paper's own step instead.
///
/// Source: Chung et al., *Diffusion posterior sampling for general noisy inverse problems*, ICLR 2023, equations 11 and 16.
///
/// ```
/// use scorebook::prelude::*;
///
/// // For data N(0, 4 I), x̂0 = c x_t with c = 4α/(4α² + σ²).
/// let (process, law) = (VariancePreserving::default(), Mixture::new([1.0], [[0.0, 0.0]], [2.0])?);
/// let first = Mask::new(&Tensor::new(&[1f64, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2f64, 0.0]], &Device::Cpu)?, 0.5)?;
/// let x = Tensor::new(&[[0.3f64, 0.1]], &Device::Cpu)?;
///
/// let state = Denoised::at(&process, &MixtureScore::new(law, process), &x, 0.5)?;
/// let guess = Dps.likelihood_score(&state, &measurement)?.to_vec2::<f64>()?;
/// let c = 4.0 * state.scale / (4.0 * state.scale.powi(2) + state.std.powi(2));
/// assert!((guess[0][0] - c * (2.0 - 0.3 * c) / 0.25).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Dps;

impl Guidance for Dps {
    fn name(&self) -> &'static str {
        "DPS"
    }

    fn likelihood_score(&self, state: &Denoised, measurement: &Measurement) -> Result<Tensor> {
        let std = measurement.std();
        if std == 0.0 {
            let expected = "a positive noise of the measurement, since `Dps` divides by its variance; `DpsSampler` takes 0";
            return Err(Error::argument("std", std, expected));
        }
        let misfit = measurement.residual(&state.mean)?.sqr()?.sum_all()?;
        Ok((state.gradient(&misfit)? * (-0.5 / (std * std)))?)
    }
}

/// Diffusion posterior sampling as its authors run it: an ancestral step with the prior's score, and then a step down the
/// slope of the misfit,
///
/// `x_s ← x_s' - ζ ∇_{x_t} ‖y - A(x̂0(x_t))‖`.
///
/// The paper's step size `ζ_i = ζ/‖y - A(x̂0)‖` before the gradient of the *squared* norm is, but for a factor 2 in `ζ`,
/// this gradient of the norm itself, which is what its program takes. `σ_y` does not enter, so what comes out is no
/// posterior of any noise level: a smaller `ζ` or fewer steps trust the measurement less.
///
/// The gradient is as long as `A` is large, so a good `ζ` is one over the largest singular value of `A`, if that is not 1: 4
/// for means over blocks of 4 × 4. As for every guided step, let a network's score be [`Bounded`](crate::score::Bounded).
///
/// Source: Chung et al. 2023, algorithm 1 and appendix D.1.
///
/// ```
/// use scorebook::prelude::*;
///
/// let (process, law) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let first = Mask::new(&Tensor::new(&[1f32, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2f32, 0.0]], &Device::Cpu)?, 0.0)?;
/// let sampler = DpsSampler { steps: 100, ..DpsSampler::new(measurement) };
/// let score = MixtureScore::new(law, process);
/// let sample = sampler.sample(&process, &score, &[16, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 101);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DpsSampler {
    /// What was measured.
    pub measurement: Measurement,
    /// The step size `ζ`, in the units of the data over those of the measurement.
    pub step: f64,
    /// Steps from the horizon to `t_min`; one more goes to 0.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// Where the last step but one ends.
    pub t_min: f64,
    /// Keep every so many-th state in [`Sample::trajectory`](crate::sample::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

impl DpsSampler {
    /// 500 equal steps down to 0.001, `ζ = 1` (the paper's for faces is 0.5 to 1, for 1000 steps), nothing recorded.
    pub fn new(measurement: Measurement) -> Self {
        Self {
            measurement,
            step: 1.0,
            steps: 500,
            spacing: Spacing::Uniform,
            t_min: 1e-3,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for DpsSampler {
    fn name(&self) -> &'static str {
        "DPS"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise: false, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        if !(self.step >= 0.0 && self.step.is_finite()) {
            return Err(Error::argument("step", self.step, "a number of at least 0"));
        }
        way.march_along(&to_data(way), start, |x, t, next| {
            let state = Denoised::at(way.process, way.score, x, t)?;
            let squares = self.measurement.residual(&state.mean)?.sqr()?.flatten_from(1)?.sum(1)?;
            let slope = state.gradient(&squares.sum_all()?)?;
            // ∇‖r‖ = ∇‖r‖²/(2‖r‖), and 0 where nothing is amiss.
            let norms = (squares.detach().sqrt()? * 2.0)?;
            let lost = norms.eq(0f64)?.to_dtype(norms.dtype())?;
            let inverse = ((1.0 - &lost)? / (norms + lost)?)?;
            let mut alone = vec![1; x.rank()];
            alone[0] = x.dims()[0];
            let slope = slope.broadcast_mul(&inverse.reshape(alone)?)?;
            let x = ancestral(way, &state, next, generator)?;
            Ok((x - (slope * self.step)?)?)
        })
    }
}

/// The step of DDPM's sampler from a state to the time `s`: `x_s = (x_t + v s)/r + σ̃ z`. At `s = 0` that is `x̂0`.
pub(super) fn ancestral(
    way: &Way,
    state: &Denoised,
    s: f64,
    generator: &mut Generator,
) -> Result<Tensor> {
    let transition = Transition::between(way.process, s, state.t);
    let x = state.x().detach();
    let mean = ((&x + (state.score.detach() * transition.variance)?)? / transition.scale)?;
    Ok((mean + (generator.normal_like(&x)? * transition.posterior_std)?)?)
}
