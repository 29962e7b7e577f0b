//! What a sampler is.

use super::{Descent, Way};
use crate::{
    Error, Result,
    diffusion::NoisingProcess,
    random::Generator,
    score::{Counted, Score, tweedie},
    sde::Solution,
};
use candle_core::{Device, Tensor};
use std::fmt::Debug;

/// What a sampler returns.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The samples, `[batch, ...]`. After an interrupt, the states at the last of `times`.
    pub x: Tensor,
    /// The states at `times`, in the order of the way, if they were asked for.
    pub trajectory: Option<Vec<Tensor>>,
    /// The times of the trajectory. Without one, the time of `x` alone.
    pub times: Vec<f64>,
    /// How often the score was evaluated on the whole batch: what a sample costs.
    pub score_evaluations: usize,
    /// Whether an interrupt ended the sampling early.
    pub interrupted: bool,
}

/// A way from noise to data: a struct of settings, and how it runs through the times.
///
/// Everything else is written once, here. A list of different samplers is a list of `Box<dyn Sampler>`:
///
/// ```
/// use scorebook::prelude::*;
///
/// let process = VariancePreserving::default();
/// let score = MixtureScore::new(Mixture::ring(8, 2.0, 0.15)?, process);
/// let samplers: [Box<dyn Sampler>; 3] = [
///     Box::new(ReverseEulerMaruyama { steps: 40, ..Default::default() }),
///     Box::new(ProbabilityFlow { steps: 20, ..Default::default() }),
///     Box::new(DpmSolver { steps: 40, ..Default::default() }),
/// ];
/// for sampler in &samplers {
///     let sample = sampler.sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
///     assert_eq!(sample.score_evaluations, 41, "{}", sampler.name());
/// }
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// A sampler of one's own says its settings and its step:
///
/// ```
/// use scorebook::{prelude::*, sample::{Descent, Spacing, Way}, score::tweedie, sde::Solution};
///
/// /// Jumps to the mean of the data at each time, and noises it anew for the next.
/// #[derive(Debug)]
/// struct Restart;
///
/// impl Sampler for Restart {
///     fn name(&self) -> &'static str {
///         "restart"
///     }
///
///     fn descent(&self) -> Descent {
///         let spacing = Spacing::Uniform;
///         Descent { steps: 50, spacing, t_min: 1e-3, denoise: true, record: None, progress: false }
///     }
///
///     fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> scorebook::Result<Solution> {
///         way.march(start, |x, t, next| {
///             let mean = (tweedie(way.process, way.score, x, t)? * way.process.mean_scale(next))?;
///             Ok((mean + (generator.normal_like(x)? * way.process.std(next))?)?)
///         })
///     }
/// }
///
/// let process = VariancePreserving::default();
/// let score = MixtureScore::new(Mixture::ring(8, 2.0, 0.15)?, process);
/// let sample = Restart.sample(&process, &score, &[64, 2], &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(sample.score_evaluations, 51);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Sampler: Send + Sync + Debug {
    /// The method's name.
    fn name(&self) -> &'static str;

    /// The settings of the way down.
    fn descent(&self) -> Descent;

    /// Runs through the times of `way`, from `start` at the first of them.
    ///
    /// # Errors
    /// If a setting is out of its range, the score fails, or a state is not finite.
    fn run(&self, way: &Way, start: &Tensor, generator: &mut Generator) -> Result<Solution>;

    /// Whether the noise `x(T)` alone decides the sample, so that there is a way back to it.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let ddim = |eta| Ddim { eta, ..Default::default() };
    /// assert!(ddim(0.0).is_deterministic() && !ddim(1.0).is_deterministic());
    /// ```
    fn is_deterministic(&self) -> bool {
        false
    }

    /// Samples of the shape `[batch, ...]` in `f32`, from noise of the process's prior.
    ///
    /// # Errors
    /// If a setting is out of its range, the score fails, or a state is not finite (the error names the time).
    fn sample(
        &self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        shape: &[usize],
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Sample> {
        let noise = process.prior_sample(shape, generator, device)?;
        self.sample_from(process, score, &noise, generator)
    }

    /// Samples from given noise `x(T)`, `[batch, ...]`, in its type.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let (process, law) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
    /// let score = MixtureScore::new(law, process);
    /// let mut generator = Generator::new(7);
    /// let noise = process.prior_sample(&[64, 2], &mut generator, &Device::Cpu)?;
    /// let sampler = ProbabilityFlow { steps: 20, ..Default::default() };
    /// let x = sampler.sample_from(&process, &score, &noise, &mut generator)?.x;
    /// // Without noise of its own a sampler finds the same for it again.
    /// assert_eq!(x.to_vec2::<f32>()?, sampler.decode(&process, &score, &noise)?.x.to_vec2::<f32>()?);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    fn sample_from(
        &self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        noise: &Tensor,
        generator: &mut Generator,
    ) -> Result<Sample> {
        let times = self.descent().times(process)?;
        along(self, process, score, &times, noise, generator)
    }

    /// The samples that belong to given noise `x(T)`, `[batch, ...]`, where no other noise decides.
    ///
    /// # Errors
    /// As [`sample`](Self::sample), and if the sampler is not [deterministic](Self::is_deterministic).
    fn decode(
        &self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        noise: &Tensor,
    ) -> Result<Sample> {
        check_deterministic(self)?;
        self.sample_from(process, score, noise, &mut Generator::new(0))
    }

    /// The noise `x(T)` that belongs to data, `[batch, ...]`: the same steps upward, from the data taken as
    /// `x(t_min)`.
    ///
    /// The way there and back errs by what the steps err. A sampler that denoises at the end comes back to the
    /// mean of the data given `x(t_min)`, so turn `denoise` off, or `t_min` down, to come back to the data.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let (process, law) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
    /// let score = MixtureScore::new(law.clone(), process);
    /// let data = law.sample(64, &mut Generator::new(7), &Device::Cpu)?;
    /// let sampler = ProbabilityFlow { denoise: false, ..Default::default() };
    /// let noise = sampler.encode(&process, &score, &data)?.x;
    /// let again = sampler.decode(&process, &score, &noise)?.x;
    /// assert!((again - data)?.abs()?.max_all()?.to_scalar::<f32>()? < 0.02);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`decode`](Self::decode); and at `t_min = 0` for samplers that divide by the level of the noise.
    fn encode(
        &self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        data: &Tensor,
    ) -> Result<Sample> {
        check_deterministic(self)?;
        let mut times = self.descent().times(process)?;
        times.reverse();
        along(self, process, score, &times, data, &mut Generator::new(0))
    }
}

/// Runs a sampler over the times; denoises at the end of a way down.
fn along(
    sampler: &(impl Sampler + ?Sized),
    process: &dyn NoisingProcess,
    score: &dyn Score,
    times: &[f64],
    start: &Tensor,
    generator: &mut Generator,
) -> Result<Sample> {
    if start.rank() == 0 {
        return Err(Error::shape("x", start.dims(), "[batch, ...]"));
    }
    let Descent { denoise, record, progress, .. } = sampler.descent();
    let (first, last) = (times[0], times[times.len() - 1]);
    let score = Counted::new(score);
    let way = Way { process, score: &score, times, name: sampler.name(), record, progress };
    let Solution { mut x, mut trajectory, mut times, interrupted, .. } =
        sampler.run(&way, start, generator)?;
    if denoise && last < first && last > 0.0 && !interrupted {
        x = tweedie(process, &score, &x, last)?.detach();
        match &mut trajectory {
            Some(states) => {
                states.push(x.clone());
                times.push(0.0);
            }
            None => times = vec![0.0],
        }
    }
    let score_evaluations = score.evaluations();
    Ok(Sample { x, trajectory, times, score_evaluations, interrupted })
}

fn check_deterministic(sampler: &(impl Sampler + ?Sized)) -> Result<()> {
    if sampler.is_deterministic() {
        return Ok(());
    }
    let expected = "one without noise of its own, such as `ProbabilityFlow` or `Ddim` with `eta` 0";
    Err(Error::argument("sampler", sampler.name(), expected))
}
