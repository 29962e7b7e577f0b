//! Denoising diffusion restoration models.

use super::{Measurement, replacement::to_data};
use crate::{
    Error, Result,
    random::Generator,
    sample::{Descent, Sampler, Spacing, Way},
    score::tweedie,
    sde::Solution,
};
use candle_core::Tensor;

/// Denoising diffusion restoration models, DDRM: each coordinate along the singular vectors of `A` is noised, measured and
/// restored by itself.
///
/// Along a right singular vector with the singular value `s > 0`, the measurement says `ȳ = x̄0 + τ n` with `τ = σ_y/s`. In
/// the variance-exploding picture `x̄ = x/α` with the noise level `ς = σ/α` and the guess `x̂0` by Tweedie's formula, the step
/// from `ς` to `ς'` draws the coordinate from
///
/// - `N(x̂0 + √(1-η²) ς' (x̄ - x̂0)/ς, η² ς'²)` where nothing is measured,
/// - `N(x̂0 + √(1-η²) ς' (ȳ - x̂0)/τ, η² ς'²)` where the measurement is noisier than the state, `ς' < τ`,
/// - `N((1-η_b) x̂0 + η_b ȳ, ς'² - η_b² τ²)` where it is better, `ς' ≥ τ`.
///
/// The way starts with `ȳ` in the measured coordinates. No derivative of the denoiser: as cheap as sampling, and made for
/// few steps: of the noise that a step leaves the share `η²` is fresh, however short the step is. So with ever more steps
/// draws gather, where nothing is measured: Gaussian data of the variance `v` come out with `(1 + √(1-η²)) v/2`. Without noise (`σ_y = 0`) and with `η_b = 1` the
/// result fits the measurement exactly. For linear operators that know their singular values: see
/// [`spectral`](super::LinearOperator::spectral).
///
/// Source: Kawar, Elad, Ermon and Song, *Denoising diffusion restoration models*, NeurIPS 2022, section 3.2, with their
/// `η = 0.85`, `η_b = 1` and 20 steps.
///
/// ```
/// use scorebook::prelude::*;
///
/// let (process, law) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let first = Mask::new(&Tensor::new(&[1f32, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2f32, 0.0]], &Device::Cpu)?, 0.0)?;
/// let score = MixtureScore::new(law, process);
/// let sampler = Ddrm::new(measurement);
/// let sample = sampler.sample(&process, &score, &[16, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 21);
/// let off = (sample.x.narrow(1, 0, 1)? - 2.0)?.abs()?.max_all()?;
/// assert!(off.to_scalar::<f32>()? < 1e-5);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ddrm {
    /// What was measured.
    pub measurement: Measurement,
    /// The share `η` of fresh noise, from 0 to 1, where the measurement says nothing or little.
    pub eta: f64,
    /// The trust `η_b` in the measurement, from 0 to 1, where it says more than the state.
    pub eta_measured: f64,
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

impl Ddrm {
    /// 20 steps down to 0.001, equal ones of `√t`, `η = 0.85` and `η_b = 1`, nothing recorded. Steps are few, so they belong
    /// where the data take shape: equal steps of `t` gave 1 dB less when holes in garments were filled.
    pub fn new(measurement: Measurement) -> Self {
        Self {
            measurement,
            eta: 0.85,
            eta_measured: 1.0,
            steps: 20,
            spacing: Spacing::Quadratic,
            t_min: 1e-3,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for Ddrm {
    fn name(&self) -> &'static str {
        "DDRM"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise: false, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        let (eta, trust) = (self.eta, self.eta_measured);
        for (name, share) in [("eta", eta), ("eta_measured", trust)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::argument(name, share, "a share in [0, 1]"));
            }
        }
        let linear = self.measurement.linear("DDRM")?;
        let (process, std) = (way.process, self.measurement.std());
        // Along each singular vector Aᵀ y is s² ȳ. It alone knows of y, so that no small s is divided by before its weight
        // is known. The functions below are of e = s².
        let pulled = linear.adjoint(&self.measurement.residual(&start.zeros_like()?)?)?;
        let noise_of = |e: f64| std / e.sqrt();
        let times = to_data(way);
        let level = process.noise_level(times[0]);
        let heard = |e: f64| e > 0.0 && noise_of(e) <= level;
        let first = linear.spectral(start, &|e| match heard(e) {
            true => (1.0 - (noise_of(e) / level).powi(2)).sqrt(),
            false => 1.0,
        })?;
        let known = linear.spectral(&pulled, &|e| if heard(e) { 1.0 / e } else { 0.0 })?;
        let start = (first + (known * process.mean_scale(times[0]))?)?;
        way.march_along(&times, &start, |x, t, next| {
            let guess = tweedie(process, way.score, x, t)?.detach();
            let (level, after) = (process.noise_level(t), process.noise_level(next));
            let kept = (1.0 - eta * eta).sqrt() * after;
            // What the guess, the state, Aᵀ y and fresh noise count along a singular vector.
            let weights = |e: f64| -> [f64; 4] {
                if e == 0.0 {
                    [1.0 - kept / level, kept / level, 0.0, eta * after]
                } else if after < noise_of(e) {
                    let share = kept / noise_of(e);
                    [1.0 - share, 0.0, share / e, eta * after]
                } else {
                    let rest = after.powi(2) - (trust * noise_of(e)).powi(2);
                    [1.0 - trust, 0.0, trust / e, rest.sqrt()]
                }
            };
            let state = (x / process.mean_scale(t))?;
            let terms = [guess, state, pulled.clone(), generator.normal_like(x)?];
            let mut sum = x.zeros_like()?;
            for (i, term) in terms.iter().enumerate() {
                sum = (sum + linear.spectral(term, &|e| weights(e)[i])?)?;
            }
            Ok((sum * process.mean_scale(next))?)
        })
    }
}
