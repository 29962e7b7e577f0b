//! DiffPIR.

use super::{Measurement, replacement::to_data};
use crate::{
    Error, Result,
    random::Generator,
    sample::{Descent, Sampler, Spacing, Way},
    score::tweedie,
    sde::Solution,
};
use candle_core::Tensor;

/// DiffPIR: at each time the guess of the data is moved to fit the measurement, and then noised for the next time.
///
/// With `ς = σ/α`, the guess `x̂0` by Tweedie's formula and `ρ = λ σ_y²/ς²`:
///
/// `x̃0 = argmin ‖y - A x‖² + ρ ‖x - x̂0‖² = x̂0 + Aᵀ (A Aᵀ + ρ I)⁻¹ (y - A x̂0)`,
/// `ε̂ = (x_t - α(t) x̃0)/σ(t)`, `x_s ← α(s) x̃0 + σ(s) (√(1-ζ) ε̂ + √ζ z)`.
///
/// No derivative of the denoiser: as cheap as sampling. `λ = 1` is the posterior mean if `p(x0|x_t)` were
/// `N(x̂0, ς² I)`. Where nothing is measured, the step goes to the guess as it is. For linear operators; without noise
/// (`σ_y = 0`) the guess is projected onto the measurement.
///
/// Source: Zhu et al., *Denoising diffusion models for plug-and-play image restoration*, CVPR workshops 2023, equations 12
/// to 15 and algorithm 1.
///
/// ```
/// use scorebook::prelude::*;
///
/// let (process, law) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let first = Mask::new(&Tensor::new(&[1f32, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2f32, 0.0]], &Device::Cpu)?, 0.1)?;
/// let score = MixtureScore::new(law, process);
/// let sampler = DiffPir { steps: 50, ..DiffPir::new(measurement) };
/// let sample = sampler.sample(&process, &score, &[16, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 51);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DiffPir {
    /// What was measured.
    pub measurement: Measurement,
    /// The weight `λ > 0` of the guess against the measurement; the more noise, the more it counts.
    pub weight: f64,
    /// The share `ζ` of fresh noise, from 0 (deterministic but for the start) to 1.
    pub fresh: f64,
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

impl DiffPir {
    /// 100 equal steps down to 0.001, `λ = 1` and `ζ = 1` (the paper's for inpainting; 0.3 for blur), nothing recorded.
    pub fn new(measurement: Measurement) -> Self {
        Self {
            measurement,
            weight: 1.0,
            fresh: 1.0,
            steps: 100,
            spacing: Spacing::Uniform,
            t_min: 1e-3,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for DiffPir {
    fn name(&self) -> &'static str {
        "DiffPIR"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise: false, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            return Err(Error::argument("weight", self.weight, "a positive number"));
        }
        if !(0.0..=1.0).contains(&self.fresh) {
            return Err(Error::argument("fresh", self.fresh, "a share in [0, 1]"));
        }
        let linear = self.measurement.linear("DiffPIR")?;
        way.march_along(&to_data(way), start, |x, t, next| {
            let process = way.process;
            let guess = tweedie(process, way.score, x, t)?.detach();
            let r = self.weight * (self.measurement.std() / process.noise_level(t)).powi(2);
            let missing = linear.solve(&self.measurement.residual(&guess)?, r)?;
            let data = (guess + linear.adjoint(&missing)?)?;
            let noise = ((x - (&data * process.mean_scale(t))?)? / process.std(t))?;
            let fresh = (generator.normal_like(x)? * self.fresh.sqrt())?;
            let noise = ((noise * (1.0 - self.fresh).sqrt())? + fresh)?;
            Ok(((data * process.mean_scale(next))? + (noise * process.std(next))?)?)
        })
    }
}
