//! The training loop: Adam with warm-up and clipping, a moving average of the weights, checkpoints.

use super::{DenoisingLoss, Source};
use crate::diffusion::Process;
use crate::random::Generator;
use crate::score::{Architecture, Network, model};
use crate::tensor::{AdamStep, Parameters, adam_step, average_into};
use crate::{Error, Result, interrupt};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Instant;

/// The settings of a [`Training`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSettings {
    /// How many samples a step takes.
    pub batch: usize,
    /// Adam's step size, after the warm-up.
    pub learning_rate: f64,
    /// Over how many steps the step size grows linearly to `learning_rate`.
    pub warmup: u64,
    /// The largest Euclidean norm of the whole gradient; a longer one is scaled down to it.
    pub clip: f64,
    /// The decay of the moving average of the weights, `w̄ ← decay w̄ + (1 - decay) w`; in the first steps
    /// `(1 + n) / (10 + n)` where that is less.
    pub ema: f64,
    /// The earliest time of the loss.
    pub t_min: f64,
    /// The seed of the order of the samples, the times and the noise.
    pub seed: u64,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            batch: 64,
            learning_rate: 1e-3,
            warmup: 500,
            clip: 1.,
            ema: 0.999,
            t_min: 1e-5,
            seed: 0,
        }
    }
}

impl TrainingSettings {
    fn check(&self) -> Result<()> {
        if self.batch == 0 {
            return Err(Error::argument("batch", 0, "at least 1"));
        }
        let positive = |name, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(Error::argument(name, value, "a positive number")),
        };
        positive("learning_rate", self.learning_rate)?;
        positive("clip", self.clip)?;
        positive("t_min", self.t_min)?;
        match (0.0..1.0).contains(&self.ema) {
            true => Ok(()),
            false => {
                Err(Error::argument("ema", self.ema, "a decay from 0 up to but not including 1"))
            }
        }
    }
}

/// What one step tells its watcher.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// How many steps have been made in all, this one included.
    pub step: u64,
    /// The loss of the step's batch.
    pub loss: f64,
    /// The Euclidean norm of the whole gradient, before clipping.
    pub gradient_norm: f64,
    /// Samples a second, over this run so far.
    pub throughput: f64,
}

/// What a run of steps did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The loss of every step of the run.
    pub losses: Vec<f64>,
    /// Whether the run was asked to stop before its last step. Nothing is lost: `run` again to go on.
    pub interrupted: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A training of a network by denoising score matching: its state between steps.
///
/// The network's variables are trained in place, so the network that was handed in learns. Every step is a function of
/// the state and the seed: a training that was saved and resumed ends with the same weights, bit for bit, as one that
/// went on.
///
/// ```
/// use scorebook::{diffusion::VariancePreserving, prelude::*, random::Generator};
/// use scorebook::score::{Mlp, MlpSettings};
/// use scorebook::train::{Training, TrainingSettings};
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let settings = MlpSettings { hidden: 32, layers: 2, ..Default::default() };
/// let network = Mlp::new(settings, process, &mut generator, &Device::Cpu)?;
/// let data = (generator.normal((1000, 2), &Device::Cpu)? * 0.1)?;
/// let settings = TrainingSettings { learning_rate: 1e-2, warmup: 10, ..Default::default() };
/// let mut training = Training::new(&network, settings)?;
/// let report = training.run(&data, 200, |_| {})?;
/// let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
/// assert!(mean(&report.losses[150..]) < 0.6 * mean(&report.losses[..10]));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Training<N: Network + Clone> {
    settings: TrainingSettings,
    network: N,
    average: N,
    first: Parameters,
    second: Parameters,
    step: u64,
}

/// What a checkpoint says beside its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The settings of the training.
    pub settings: TrainingSettings,
    /// The network.
    pub architecture: Architecture,
    /// The noising process whose score is learned.
    pub process: Process,
    /// How many steps have been made.
    pub step: u64,
}

impl Checkpoint {
    /// Reads what the checkpoint at `path` says, to make the network that [`Training::resume`] takes.
    ///
    /// # Errors
    /// If the file is missing, cut short or not a checkpoint.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Ok(model::read(path.as_ref(), STATE, &Device::Cpu)?.0)
    }
}

const STATE: &str = "scorebook-training";

impl<N: Network + Clone> Training<N> {
    /// A training that starts from the network's present weights.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(network: &N, settings: TrainingSettings) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            settings,
            average: network.copy()?,
            first: network.parameters().zeros_like()?,
            second: network.parameters().zeros_like()?,
            network: network.clone(),
            step: 0,
        })
    }

    /// The training that [`Training::save`] wrote, whose weights are put into `network`.
    ///
    /// # Errors
    /// If the file is missing, cut short, not a checkpoint, or one of another architecture or process.
    pub fn resume(network: &N, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (state, tensors): (Checkpoint, _) =
            model::read(path, STATE, &network.parameters().device())?;
        let remedy =
            "Resume with the network that was saved, or start a new training in another folder";
        if state.architecture != network.architecture() {
            let cause = format!(
                "holds a training of a {}, not of a {}",
                state.architecture.summary(),
                network.architecture().summary()
            );
            return Err(Error::file(path, cause, remedy));
        }
        if state.process != network.process() {
            let cause = format!("was trained for {:?}, not {:?}", state.process, network.process());
            return Err(Error::file(path, cause, remedy));
        }
        let mut training = Self::new(network, state.settings)?;
        training.step = state.step;
        for (parameters, prefix) in training.stored() {
            let set = parameters.set(&tensors, prefix);
            set.map_err(|error| Error::file(path, error.to_string(), remedy))?;
        }
        Ok(training)
    }

    /// Writes all that [`Training::resume`] needs. An interrupted write leaves the file of before.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let state = Checkpoint {
            settings: self.settings.clone(),
            architecture: self.network.architecture(),
            process: self.network.process(),
            step: self.step,
        };
        let stored = self.stored();
        let tensors = stored.iter().flat_map(|(p, prefix)| p.to_map(prefix)).collect();
        model::write(path.as_ref(), STATE, &state, tensors)
    }

    fn stored(&self) -> [(&Parameters, &'static str); 4] {
        [
            (self.network.parameters(), "weights."),
            (self.average.parameters(), "average."),
            (&self.first, "first."),
            (&self.second, "second."),
        ]
    }

    /// The settings.
    pub fn settings(&self) -> &TrainingSettings {
        &self.settings
    }

    /// How many steps have been made.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The network that is trained.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// The network with the moving average of the weights: the one to sample with.
    pub fn average(&self) -> &N {
        &self.average
    }

    /// Makes `steps` more steps on batches of `source`, telling `watch` of each.
    ///
    /// Stops early, with all that was learned kept, where an interrupt is asked for (see [`crate::interrupt`]).
    ///
    /// # Errors
    /// If the source's samples do not fit the network, or the loss is no longer finite; the weights are then those of
    /// the last good step.
    pub fn run(
        &mut self,
        source: &dyn Source,
        steps: u64,
        mut watch: impl FnMut(&Step),
    ) -> Result<Report> {
        let start = Instant::now();
        let mut report = Report::default();
        for made in 1..=steps {
            if interrupt::requested() {
                report.interrupted = true;
                break;
            }
            let (loss, gradient_norm) = self.advance(source)?;
            report.losses.push(loss);
            let throughput =
                made as f64 * self.settings.batch as f64 / start.elapsed().as_secs_f64();
            watch(&Step { step: self.step, loss, gradient_norm, throughput });
        }
        report.seconds = start.elapsed().as_secs_f64();
        Ok(report)
    }

    /// One step; its loss and its gradient's norm.
    fn advance(&mut self, source: &dyn Source) -> Result<(f64, f64)> {
        let generator = Generator::new(self.settings.seed);
        let (order, mut noise) = (generator.child(0), generator.child(1).child(self.step));
        let device = self.network.parameters().device();
        let x0 = source.batch(self.step, self.settings.batch, &order, &device)?;
        let loss = DenoisingLoss { t_min: self.settings.t_min, ..Default::default() };
        let loss = loss.draw(&self.network, &x0, &mut noise)?;
        let gradients = loss.backward()?;
        let loss = f64::from(loss.to_scalar::<f32>()?);
        let norm = self.gradient_norm(&gradients)?;
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(Error::NotFinite {
                what: if loss.is_finite() { "the gradient" } else { "the loss" }.into(),
                at: format!("step {}", self.step + 1),
                remedy: "Check the data for NaN, or take a smaller learning rate; the weights are those of the step before".into(),
            });
        }
        self.step += 1;
        let warmup = (self.step as f64 / self.settings.warmup.max(1) as f64).min(1.0);
        let (beta1, beta2) = (0.9f64, 0.999f64);
        let step = AdamStep {
            scale: (self.settings.clip / norm.max(f64::MIN_POSITIVE)).min(1.0),
            beta1,
            beta2,
            epsilon: 1e-8,
            rate: self.settings.learning_rate * warmup / (1.0 - beta1.powf(self.step as f64)),
            root: 1.0 / (1.0 - beta2.powf(self.step as f64)).sqrt(),
        };
        let decay = self.settings.ema.min((1.0 + self.step as f64) / (10.0 + self.step as f64));
        let moments = self.first.iter().zip(self.second.iter());
        let averages = self.average.parameters().iter();
        let weights = self.network.parameters().iter();
        for (((_, weight), (_, average)), ((_, first), (_, second))) in
            weights.zip(averages).zip(moments)
        {
            if let Some(gradient) = gradients.get(weight) {
                adam_step(&step, weight, gradient, first, second)?;
            }
            average_into(average, weight.as_tensor(), decay)?;
        }
        Ok((loss, norm))
    }

    fn gradient_norm(&self, gradients: &GradStore) -> Result<f64> {
        let mut squares = 0.0;
        for (_, weight) in self.network.parameters().iter() {
            if let Some(gradient) = gradients.get(weight) {
                squares += f64::from(sum_of_squares(gradient)?);
            }
        }
        Ok(squares.sqrt())
    }
}

fn sum_of_squares(x: &Tensor) -> Result<f32> {
    Ok(x.detach().sqr()?.sum_all()?.to_scalar::<f32>()?)
}
