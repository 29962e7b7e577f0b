//! Twisted particles.

use super::{Denoised, Measurement, PiGdm, replacement::to_data};
use crate::{
    Error, Result,
    random::Generator,
    sample::{Descent, Sampler, Spacing, Transition, Way},
    sde::Solution,
    tensor::values,
};
use candle_core::Tensor;
use rand::Rng;

/// The twisted diffusion sampler: the batch is a cloud of particles that are guided by [`PiGdm`], weighted by what the
/// guidance gets wrong, and resampled. With more and more particles its law is the posterior of the model that the steps
/// make, whatever the guidance: the one method here that an approximate guidance does not bias.
///
/// A step draws `x_s ~ N((x_t + v (s + ĝ))/r, v)`, where `ĝ` is the guidance, and multiplies a particle's weight, which is
/// `p̂(y|x_T)` at first, by `p(x_s|x_t) p̂(y|x_s)/(p(x_s|x_t, guided) p̂(y|x_t))`; at the end `p̂(y|x_0) = p(y|x_0)`. If the weights are those of fewer
/// than half of the particles, `(Σ w)²/Σ w² < n/2`, they are drawn anew by systematic resampling, and in any case at the
/// end. So the samples are not independent, and it takes one measurement only.
///
/// Source: Wu et al., *Practical and asymptotically exact conditional sampling in diffusion models*, NeurIPS 2023,
/// algorithm 1, with the variance of ΠGDM for the likelihood.
///
/// ```
/// use scorebook::prelude::*;
///
/// let (process, law) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let first = Mask::new(&Tensor::new(&[1f32, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2f32, 0.0]], &Device::Cpu)?, 0.3)?;
/// let score = MixtureScore::new(law, process);
/// let sampler = TwistedParticles { steps: 100, ..TwistedParticles::new(measurement) };
/// let sample = sampler.sample(&process, &score, &[256, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.x.dims(), [256, 2]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TwistedParticles {
    /// What was measured: one measurement, with noise.
    pub measurement: Measurement,
    /// The guidance.
    pub guidance: PiGdm,
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

impl TwistedParticles {
    /// 200 equal steps down to 0.001, guided by ΠGDM for data of variance 1, nothing recorded.
    pub fn new(measurement: Measurement) -> Self {
        Self {
            measurement,
            guidance: PiGdm::default(),
            steps: 200,
            spacing: Spacing::Uniform,
            t_min: 1e-3,
            record: None,
            progress: true,
        }
    }
}

impl Sampler for TwistedParticles {
    fn name(&self) -> &'static str {
        "twisted particles"
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise: false, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        if self.measurement.std() == 0.0 {
            let expected =
                "a positive noise of the measurement, since particles are weighted by its density";
            return Err(Error::argument("std", 0, expected));
        }
        if self.measurement.y().dims()[0] != 1 {
            let expected = "[1, ...]: the batch is the particles of one measurement";
            return Err(Error::shape("y", self.measurement.y().dims(), expected));
        }
        let count = start.dims()[0];
        let times = to_data(way);
        // What a step at the state needs: the guidance and log p̂(y|x).
        let look = |x: &Tensor, t: f64| -> Result<(Tensor, Tensor, Vec<f64>)> {
            let state = Denoised::at(way.process, way.score, x, t)?;
            let (guidance, log_prob) = self.guidance.evaluate(&state, &self.measurement)?;
            Ok((state.score.detach(), guidance, values(&log_prob)?))
        };
        let mut log_weights = vec![0.0; count];
        let mut known: Option<(Tensor, Tensor, Vec<f64>)> = None;
        way.march_along(&times, start, |x, t, next| {
            let (score, guidance, log_prob) = match known.take() {
                Some(known) => known,
                None => {
                    let first = look(x, t)?;
                    log_weights.copy_from_slice(&first.2);
                    first
                }
            };
            let Transition { scale, variance, .. } = Transition::between(way.process, next, t);
            let std = variance.sqrt();
            let shift = ((guidance * variance)? / scale)?;
            let mean = ((x + (score * variance)?)? / scale)?;
            let z = generator.normal_like(x)?;
            let mut x = ((mean + &shift)? + (&z * std)?)?.detach();
            // log N(x; mean, std²) - log N(x; mean + shift, std²), with x = mean + shift + std z.
            let cross = (&shift * ((&z * (2.0 * std))? + &shift)?)?.flatten_from(1)?.sum(1)?;
            let quotient = values(&(cross * (-0.5 / (std * std)))?)?;
            let new_log_prob = if next > 0.0 {
                let found = look(&x, next)?;
                let log_prob = found.2.clone();
                known = Some(found);
                log_prob
            } else {
                let squares = self.measurement.residual(&x)?.sqr()?.flatten_from(1)?.sum(1)?;
                values(&(squares * (-0.5 / self.measurement.std().powi(2)))?)?
            };
            for i in 0..count {
                log_weights[i] += quotient[i] + new_log_prob[i] - log_prob[i];
            }
            if let Some(chosen) = resample(&mut log_weights, next == 0.0, generator)? {
                let chosen = Tensor::new(chosen, x.device())?;
                x = x.index_select(&chosen, 0)?;
                if let Some((score, guidance, log_prob)) = known.take() {
                    let indices = chosen.to_vec1::<u32>()?;
                    let log_prob = indices.iter().map(|i| log_prob[*i as usize]).collect();
                    let pick = |x: Tensor| x.index_select(&chosen, 0);
                    known = Some((pick(score)?, pick(guidance)?, log_prob));
                }
            }
            Ok(x)
        })
    }
}

/// Which particles go on, if the weights have become too uneven: systematic resampling, after which all weigh the same.
fn resample(
    log_weights: &mut [f64],
    always: bool,
    generator: &mut Generator,
) -> Result<Option<Vec<u32>>> {
    let count = log_weights.len();
    let largest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = log_weights.iter().map(|w| (w - largest).exp()).collect();
    let (sum, squares) = weights.iter().fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
    if !(sum.is_finite() && sum > 0.0) {
        return Err(Error::NotFinite {
            what: "the weight of a particle".into(),
            at: "a resampling".into(),
            remedy: "Take more steps, or look at the score".into(),
        });
    }
    if !always && sum * sum / squares >= 0.5 * count as f64 {
        return Ok(None);
    }
    log_weights.fill(0.0);
    let offset: f64 = generator.random();
    let (mut reached, mut i) = (weights[0], 0);
    let chosen = (0..count).map(|k| {
        let wanted = (k as f64 + offset) / count as f64 * sum;
        while reached < wanted && i + 1 < count {
            i += 1;
            reached += weights[i];
        }
        i as u32
    });
    Ok(Some(chosen.collect()))
}
