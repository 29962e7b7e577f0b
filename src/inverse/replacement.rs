//! Replacement, and RePaint.

use super::{Denoised, Measurement, dps::ancestral};
use crate::{
    Error, Result, interrupt,
    random::Generator,
    sample::{Descent, Sampler, Spacing, Transition, Way},
    sde::Solution,
};
use candle_core::Tensor;

/// Replacement: an ancestral step of the prior, and then the measured part of the state is replaced by a draw of what the
/// measurement says about it at that level of noise,
///
/// `x_s ← x_s' + A⁺ (α(s) y - A (x_s' - σ(s) z))`.
///
/// With a [`Mask`](super::Mask) that is imputation: measured pixels become `α y + σ z`, the others stay. With
/// [`Grey`](super::Grey) it is colourisation, with a mask in the basis where grey is one coordinate; so with any linear
/// operator, whose `A⁺ A` projects onto what is measured. The measurement is taken as if it had no noise.
///
/// It is biased, with an exact score too: the other part of the state takes a step of the *prior*, which does not know where
/// the measured part will have to end; each draw of it is as good a guess for `y` as any other of the same level of
/// noise. Where the measured part says much about the other only at little noise, that comes too late.
///
/// RePaint mends this in part: after `jump` steps down the state is noised up again, and comes down anew, `resampling`
/// times in all, so that the two parts have time to agree.
///
/// Source: Song et al. 2021, appendix I.2 (imputation and colourisation); Lugmayr et al., *RePaint*, CVPR 2022, algorithm 1
/// and appendix B.
///
/// ```
/// use scorebook::prelude::*;
///
/// let (process, law) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let first = Mask::new(&Tensor::new(&[1f32, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2f32, 0.0]], &Device::Cpu)?, 0.0)?;
/// let score = MixtureScore::new(law, process);
/// let sampler = Replacement { steps: 100, ..Replacement::new(measurement.clone()) };
/// let sample = sampler.sample(&process, &score, &[16, 2], &mut Generator::new(7), &Device::Cpu)?;
/// let first = sample.x.narrow(1, 0, 1)?;
/// assert!((first - 2.0)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-5);
/// let repaint = Replacement { steps: 20, resampling: 5, jump: 5, ..Replacement::repaint(measurement) };
/// let sample = repaint.sample(&process, &score, &[16, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 20 * 5 + 1);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// An interrupt keeps what was reached:
///
/// ```
/// use scorebook::{prelude::*, interrupt};
///
/// let score = ScoreFunction::new(|x, t| {
///     if t.to_vec1::<f32>()?[0] < 0.5 {
///         interrupt::request();
///     }
///     Ok(x.neg()?)
/// });
/// let first = Mask::new(&Tensor::new(&[1f32, 0.0], &Device::Cpu)?)?;
/// let measurement = Measurement::new(first, &Tensor::new(&[[2f32, 0.0]], &Device::Cpu)?, 0.0)?;
/// let (process, sampler) = (VariancePreserving::default(), Replacement::new(measurement));
/// let sample = sampler.sample(&process, &score, &[4, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert!(sample.interrupted && (sample.times[0] - 0.5).abs() < 0.01);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[doc(alias = "RePaint")]
#[doc(alias = "imputation")]
#[derive(Clone, Debug)]
pub struct Replacement {
    /// What was measured.
    pub measurement: Measurement,
    /// How often each stretch of the way is gone down: RePaint's `r`. 1 is plain replacement.
    pub resampling: usize,
    /// How many steps a stretch has: RePaint's jump length `j`.
    pub jump: usize,
    /// Steps from the horizon to `t_min`; one more goes to 0.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// Where the last step but one ends.
    pub t_min: f64,
    /// Keep the state at the end of every so many-th stretch in
    /// [`Sample::trajectory`](crate::sample::Sample::trajectory).
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

impl Replacement {
    /// Plain replacement in 500 equal steps down to 0.001, nothing recorded.
    pub fn new(measurement: Measurement) -> Self {
        Self {
            measurement,
            resampling: 1,
            jump: 1,
            steps: 500,
            spacing: Spacing::Uniform,
            t_min: 1e-3,
            record: None,
            progress: true,
        }
    }

    /// RePaint with the paper's settings: 250 steps, stretches of 10, each gone down 10 times.
    pub fn repaint(measurement: Measurement) -> Self {
        Self { resampling: 10, jump: 10, steps: 250, ..Self::new(measurement) }
    }
}

impl Sampler for Replacement {
    fn name(&self) -> &'static str {
        if self.resampling > 1 { "RePaint" } else { "replacement" }
    }

    fn descent(&self) -> Descent {
        let Self { steps, spacing, t_min, record, progress, .. } = *self;
        Descent { steps, spacing, t_min, denoise: false, record, progress }
    }

    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution> {
        let linear = self.measurement.linear("replacement")?;
        for (name, value) in [("resampling", self.resampling), ("jump", self.jump)] {
            if value == 0 {
                return Err(Error::argument(name, 0, "at least 1"));
            }
        }
        let step = |x: &Tensor, t: f64, next: f64, generator: &mut Generator| -> Result<Tensor> {
            let state = Denoised::at(way.process, way.score, x, t)?;
            let x = ancestral(way, &state, next, generator)?;
            let (scale, std) = (way.process.mean_scale(next), way.process.std(next));
            let noise = (generator.normal_like(&x)? * std)?;
            let fitted = self.measurement.fit(linear, &(x - &noise)?, scale)?;
            Ok((fitted + noise)?)
        };
        let fine = to_data(way);
        // The last step, to 0, belongs to no stretch.
        let last = way.times.len() - 1;
        let mut ends: Vec<usize> = (0..last).step_by(self.jump).chain([last]).collect();
        ends.extend(last + 1..fine.len());
        let coarse: Vec<f64> = ends.iter().map(|i| fine[*i]).collect();
        let mut stretch = 0;
        way.march_along(&coarse, start, |start, _, _| {
            let times = &fine[ends[stretch]..=ends[stretch + 1]];
            stretch += 1;
            let rounds = if ends[stretch] > last { 1 } else { self.resampling };
            let mut x = start.clone();
            for round in 0..rounds {
                if round > 0 {
                    let (early, late) = (times[times.len() - 1], times[0]);
                    let up = Transition::between(way.process, early, late);
                    let z = generator.normal_like(&x)?;
                    x = ((x * up.scale)? + (z * up.variance.sqrt())?)?;
                }
                for pair in times.windows(2) {
                    x = step(&x, pair[0], pair[1], generator)?.detach();
                }
                if interrupt::requested() {
                    break;
                }
            }
            Ok(x)
        })
    }
}

/// The times of the way, and 0 at their end.
pub(super) fn to_data(way: &Way) -> Vec<f64> {
    let mut times = way.times.to_vec();
    if times.last().is_some_and(|last| *last > 0.0) {
        times.push(0.0);
    }
    times
}
