//! `scorebook train`: a score model from a data set, as a notebook would train it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use scorebook::data::{ImageSet, Split};
use scorebook::diffusion::Process;
use scorebook::progress::Progress;
use scorebook::random::Generator;
use scorebook::score::{
    AnyNetwork, Architecture, Model, ModelCard, Network, ResidualUnetSettings, Score, UnetSettings,
};
use scorebook::train::{
    Checkpoint, DenoisingLoss, Log, Report, TimeSampling, Training, TrainingSettings, Validation,
    Weighting,
};
use scorebook::{device, interrupt, train};

/// The files of a training's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The averaged weights with their card: what `sample` reads.
pub const MODEL: &str = "model.safetensors";
const LOG: &str = "log.jsonl";

/// Train a score model on a data set.
///
/// The folder gets `checkpoint.safetensors` after every epoch (all that --resume needs), `model.safetensors` (the
/// averaged weights, for `scorebook sample` and notebooks) and `log.jsonl` (a line of JSON for every step). Ctrl-C saves
/// and stops; --resume goes on as if nothing had happened, to the last bit, unless options say otherwise: all but
/// --batch, --seed, --process and those of the network may be given anew.
#[derive(Args)]
#[command(after_help = "Examples:
  scorebook train fashion-mnist --out runs/fashion
  scorebook train fashion-mnist --out runs/fashion --epochs 30 --resume
  scorebook train fashion-mnist --by-class --out runs/classes
  scorebook train images --data ~/pictures --dropout 0.1 --out runs/pictures
  scorebook train fashion-mnist --out runs/decayed --optimizer adamw --weight-decay 0.01 --schedule cosine")]
pub struct Train {
    /// The data set: fashion-mnist, pixel-faces-16, emoji-32 or digits; with --data also mnist, cifar-10 or images, a folder
    /// of pictures.
    dataset: String,
    /// The folder of the training.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many times the data are gone through, in all.
    #[arg(long, default_value_t = 20)]
    epochs: u64,
    /// Images a step [default: 64]
    #[arg(long)]
    batch: Option<usize>,
    /// In how many parts the gradient of a batch is computed, to save memory [default: 1]
    #[arg(long, value_name = "PARTS")]
    accumulate: Option<usize>,
    /// What a step does with the gradient [default: adam]
    #[arg(long)]
    optimizer: Option<Optimizer>,
    /// The decay of the weights, of adamw [default: 0.01]
    #[arg(long)]
    weight_decay: Option<f64>,
    /// The momentum, of sgd [default: 0.9]
    #[arg(long)]
    momentum: Option<f64>,
    /// The learning rate [default: 0.001]
    #[arg(long)]
    lr: Option<f64>,
    /// Over how many steps the learning rate grows to its value [default: 500]
    #[arg(long, value_name = "STEPS")]
    warmup: Option<u64>,
    /// What the learning rate does then: cosine falls to 0 at the last step [default: constant]
    #[arg(long)]
    schedule: Option<Schedule>,
    /// The step from which inverse-square-root falls [default: the end of the warm-up]
    #[arg(long, value_name = "STEP")]
    decay_from: Option<u64>,
    /// The largest norm of a gradient [default: 1]
    #[arg(long, value_name = "NORM")]
    clip: Option<f64>,
    /// The decay of the moving average of the weights [default: 0.999]
    #[arg(long)]
    ema: Option<f64>,
    /// The relative width of a power function average in its place, such as 0.1.
    #[arg(long, value_name = "WIDTH", conflicts_with = "ema")]
    power_ema: Option<f64>,
    /// The noising process: ve, vp, sub-vp, ou, exponential, cosine, scaled-linear or edm [default: vp]
    #[arg(long)]
    process: Option<String>,
    /// The network [default: residual-unet]
    #[arg(long)]
    network: Option<NetworkKind>,
    /// The channels of each level of a residual U-Net, finest first [default: 32,64,96]
    #[arg(long, value_delimiter = ',')]
    channels: Option<Vec<usize>>,
    /// Its residual blocks a level and way [default: 1]
    #[arg(long)]
    blocks: Option<usize>,
    /// Its levels with self-attention, counted from 0 at the finest [default: the last]
    #[arg(long, value_delimiter = ',', value_name = "LEVELS")]
    attention: Option<Vec<usize>>,
    /// With which probability it drops a number in training [default: 0]
    #[arg(long, value_name = "PROBABILITY")]
    dropout: Option<f64>,
    /// Learn the score of each class, or by all attributes of the data, and that without them.
    #[arg(long)]
    by_class: bool,
    /// Which noise the loss looks at [default: edm for a residual U-Net, else simple]
    #[arg(long)]
    loss: Option<Loss>,
    /// The seed of the weights, the order of the images, the times and the noise [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// After how many steps the loss on test images is taken; 0 for never [default: an epoch]
    #[arg(long, value_name = "STEPS")]
    validate_every: Option<u64>,
    /// Stop when that loss has come to no new low for so many steps.
    #[arg(long, value_name = "STEPS")]
    patience: Option<u64>,
    /// Write the log to this file [default: log.jsonl in the folder]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// auto, cpu, cuda or metal.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Go on with the training in the folder.
    #[arg(long)]
    resume: bool,
    /// Take the data from this folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Optimizer {
    Adam,
    #[value(name = "adamw")]
    AdamW,
    Sgd,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
#[value(rename_all = "kebab-case")]
enum NetworkKind {
    /// Residual blocks with attention, for images of any size.
    ResidualUnet,
    /// The small U-Net of Song's tutorial, for 28×28.
    Unet,
}

#[derive(Clone, Copy, ValueEnum)]
enum Loss {
    /// Uniform times, each counted alike.
    Simple,
    /// The weights of Karras et al., with levels of noise from a wider law than theirs.
    Edm,
}

#[derive(Clone, Copy, ValueEnum)]
enum Schedule {
    Constant,
    Cosine,
    InverseSquareRoot,
}

impl Train {
    /// Trains to the end, or until Ctrl-C.
    pub fn execute(self) -> Result<ExitCode> {
        let device = device::open(&self.device)?;
        let data = self.load(Split::Train)?;
        eprintln!("{data}");
        let checkpoint = self.out.join(CHECKPOINT);
        let mut training = if self.resume {
            self.resume(&checkpoint, &data, &device)?
        } else {
            self.begin(&checkpoint, &data, &device)?
        };
        let epoch = steps_of_epoch(&data, training.settings().batch);
        let last = epoch * self.epochs;
        if training.step() >= last {
            bail!(
                "the training in {} has made its {} epochs already; give more with --epochs",
                self.out.display(),
                training.step() / epoch
            );
        }
        if training.settings().learning_rate_at(training.step() + 1) == 0.0 {
            bail!(
                "the learning rate of the training in {} has come to 0; say --schedule anew",
                self.out.display()
            );
        }
        let every = self.validate_every.unwrap_or(epoch);
        if every > 0 {
            let patience = self.patience;
            let validation = Validation { every, patience, ..Default::default() };
            let images = self.load(Split::Test).context(
                "the test images, for the loss on them, are missing; --validate-every 0 does without",
            )?;
            training.validate_on(&images, validation)?;
        } else if self.patience.is_some() {
            bail!("--patience needs the loss on test images; leave --validate-every 0 away");
        }
        let log = self.log.clone().unwrap_or_else(|| self.out.join(LOG));
        if self.resume {
            training.log_to(Log::resume(log, training.step())?);
        } else {
            training.log_to(Log::create(log)?);
            // From here on there is something to resume, whatever ends the program.
            training.save(&checkpoint)?;
        }
        interrupt::listen()?;
        let begun = Instant::now();
        let progress = Progress::new("training", last);
        let report = loop {
            let steps = epoch - training.step() % epoch;
            let report = watched(&mut training, &data, steps, &progress, epoch);
            // Saved before anything is said of an error: its last good step is not lost.
            training.save(&checkpoint)?;
            Model::save(self.out.join(MODEL), &self.card(&training, &data), training.average())?;
            let report = report.with_context(|| {
                format!("the training stopped after step {}, which is saved", training.step())
            })?;
            if report.interrupted || report.stopped_early || training.step() >= last {
                break report;
            }
        };
        progress.finish();
        let (step, out) = (training.step(), self.out.display());
        if report.interrupted {
            eprintln!(
                "Interrupted at step {step} of {last}; saved. Go on with the same command and --resume."
            );
            eprintln!("The weights so far: {out}/{MODEL}");
            return Ok(ExitCode::from(130));
        }
        if report.stopped_early {
            eprintln!("Stopped early: the loss on test images came to no new low.");
        }
        let (epochs, minutes) = (step / epoch, begun.elapsed().as_secs_f64() / 60.0);
        eprintln!(
            "{epochs} epochs, {step} steps, {minutes:.1} minutes. The weights: {out}/{MODEL}"
        );
        Ok(ExitCode::SUCCESS)
    }

    fn load(&self, split: Split) -> Result<ImageSet> {
        scorebook::data::use_folder(super::assets::library()?.join("datasets"));
        Ok(scorebook::data::open(&self.dataset, split, self.data.as_deref())?)
    }

    fn begin(
        &self,
        checkpoint: &Path,
        data: &ImageSet,
        device: &candle_core::Device,
    ) -> Result<Training<AnyNetwork>> {
        if checkpoint.exists() {
            bail!(
                "{} already holds a training; go on with --resume, or name another folder",
                self.out.display()
            );
        }
        let architecture = self.architecture(data)?;
        let loss = match &architecture {
            Architecture::ResidualUnet(network) => edm_loss(network.data_std),
            _ => DenoisingLoss::default(),
        };
        let begun = TrainingSettings { loss, ..Default::default() };
        let settings = self.settings(begun, data)?;
        let process: Process = self.process.as_deref().unwrap_or("vp").parse()?;
        let network = architecture.network(process, &mut Generator::new(settings.seed), device)?;
        let training = Training::new(&network, settings)?;
        fs::create_dir_all(&self.out).with_context(|| {
            format!("{} cannot be made; name another folder", self.out.display())
        })?;
        Ok(training)
    }

    /// The network that the options describe, for these images.
    fn architecture(&self, data: &ImageSet) -> Result<Architecture> {
        let image_channels = data.shape()[0];
        if self.network == Some(NetworkKind::Unet) {
            if self.by_class || self.describes_residual_unet() {
                bail!(
                    "--by-class, --channels, --blocks, --attention and --dropout belong to --network residual-unet"
                );
            }
            return Ok(Architecture::Unet(UnetSettings { image_channels, ..Default::default() }));
        }
        let usual = ResidualUnetSettings::default();
        let channels = self.channels.clone().unwrap_or(usual.channels);
        let attributes = match self.by_class {
            true => data.label_names().iter().map(|known| known.values.len()).collect(),
            false => vec![],
        };
        if self.by_class && attributes.is_empty() {
            bail!("--by-class needs data with classes; {} has none", data.name());
        }
        Ok(Architecture::ResidualUnet(ResidualUnetSettings {
            image_channels,
            blocks: self.blocks.unwrap_or(usual.blocks),
            attention: self.attention.clone().unwrap_or(vec![channels.len().saturating_sub(1)]),
            channels,
            dropout: self.dropout.unwrap_or(usual.dropout),
            attributes,
            data_std: root_mean_square(data)?,
            ..usual
        }))
    }

    fn describes_residual_unet(&self) -> bool {
        self.channels.is_some()
            || self.blocks.is_some()
            || self.attention.is_some()
            || self.dropout.is_some()
    }

    /// The training of the checkpoint, with what was said anew.
    fn resume(
        &self,
        checkpoint: &Path,
        data: &ImageSet,
        device: &candle_core::Device,
    ) -> Result<Training<AnyNetwork>> {
        if !checkpoint.exists() {
            bail!("{} holds no training to resume; leave --resume away", self.out.display());
        }
        let saved = Checkpoint::read(checkpoint)?;
        let network = saved.architecture.network(saved.process, &mut Generator::new(0), device)?;
        let mut training = Training::resume(&network, checkpoint)?;
        let begun = training.settings().clone();
        let process = match &self.process {
            Some(name) => name.parse::<Process>()? == training.network().process(),
            None => true,
        };
        for (option, same) in [
            ("--batch", self.batch.is_none_or(|batch| batch == begun.batch)),
            ("--seed", self.seed.is_none_or(|seed| seed == begun.seed)),
            ("--process", process),
            ("network", self.describes_the_network_of(&saved.architecture, data)?),
        ] {
            if !same {
                bail!(
                    "the training in {} was begun with another {option}; leave it away, or name another folder",
                    self.out.display()
                );
            }
        }
        training.change(self.settings(begun, data)?)?;
        Ok(training)
    }

    /// Whether what the options say of the network, where they say anything, is true of the one that was begun.
    fn describes_the_network_of(&self, begun: &Architecture, data: &ImageSet) -> Result<bool> {
        let says_nothing =
            self.network.is_none() && !self.by_class && !self.describes_residual_unet();
        Ok(says_nothing || self.architecture(data)? == *begun)
    }

    /// The settings `begun` with what the options say.
    fn settings(&self, begun: TrainingSettings, data: &ImageSet) -> Result<TrainingSettings> {
        let mut settings = TrainingSettings {
            batch: self.batch.unwrap_or(begun.batch),
            accumulate: self.accumulate.unwrap_or(begun.accumulate),
            optimizer: self.optimizer(begun.optimizer)?,
            learning_rate: self.lr.unwrap_or(begun.learning_rate),
            warmup: self.warmup.unwrap_or(begun.warmup),
            clip: self.clip.unwrap_or(begun.clip),
            ema: self.ema.unwrap_or(begun.ema),
            // Whoever asks for the exponential average does not want the other one.
            power_ema: self.power_ema.or(begun.power_ema).filter(|_| self.ema.is_none()),
            loss: match self.loss {
                None => begun.loss,
                Some(Loss::Simple) => DenoisingLoss::default(),
                Some(Loss::Edm) => edm_loss(root_mean_square(data)?),
            },
            seed: self.seed.unwrap_or(begun.seed),
            ..begun
        };
        if self.decay_from.is_some() && !matches!(self.schedule, Some(Schedule::InverseSquareRoot))
        {
            bail!("--decay-from belongs to --schedule inverse-square-root");
        }
        if let Some(schedule) = self.schedule {
            settings.schedule = match schedule {
                Schedule::Constant => train::Schedule::Constant,
                Schedule::Cosine => train::Schedule::Cosine {
                    steps: self.epochs * steps_of_epoch(data, settings.batch),
                },
                Schedule::InverseSquareRoot => train::Schedule::InverseSquareRoot {
                    reference: self.decay_from.unwrap_or(settings.warmup.max(1)),
                },
            };
        }
        Ok(settings)
    }

    fn optimizer(&self, begun: train::Optimizer) -> Result<train::Optimizer> {
        let mut optimizer = match self.optimizer {
            None => begun,
            Some(Optimizer::Adam) => train::Optimizer::adam(),
            Some(Optimizer::AdamW) => train::Optimizer::adamw(0.01),
            Some(Optimizer::Sgd) => train::Optimizer::sgd(0.9),
        };
        if let Some(asked) = self.weight_decay {
            let train::Optimizer::AdamW { weight_decay, .. } = &mut optimizer else {
                bail!("--weight-decay belongs to --optimizer adamw");
            };
            *weight_decay = asked;
        }
        if let Some(asked) = self.momentum {
            let train::Optimizer::Sgd { momentum } = &mut optimizer else {
                bail!("--momentum belongs to --optimizer sgd");
            };
            *momentum = asked;
        }
        Ok(optimizer)
    }

    fn card(&self, training: &Training<AnyNetwork>, data: &ImageSet) -> ModelCard {
        ModelCard {
            architecture: training.network().architecture(),
            process: training.network().process(),
            data: format!("{}, {} images", data.name(), data.len()),
            shape: data.shape().to_vec(),
            attributes: match training.network().attributes().is_empty() {
                true => vec![],
                false => data.label_names(),
            },
            training: serde_json::json!({
                "settings": training.settings(),
                "steps": training.step(),
                "loss": "denoising score matching",
            }),
        }
    }
}

/// The root of the mean square of the images' numbers: the standard deviation of data around 0.
fn root_mean_square(data: &ImageSet) -> Result<f64> {
    let mut sum = 0.0;
    for from in (0..data.len()).step_by(1000) {
        let part = data.tensor(from, 1000.min(data.len() - from))?;
        sum += f64::from(part.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let count = data.len().max(1) * data.shape().iter().product::<usize>();
    Ok((sum / count as f64).sqrt())
}

/// The loss of Karras et al. 2022, for data of this standard deviation. Their law of the levels, with -1.2 and 1.2, hardly
/// ever shows a level above 10. A process whose noise begins at 150 then has its first steps, in which it is decided what
/// an image shows, from a network that has not seen such levels; a small one does not guess them.
fn edm_loss(data_std: f64) -> DenoisingLoss {
    DenoisingLoss {
        weighting: Weighting::Edm { data_std },
        times: TimeSampling::LogNormal { mean: -0.5, std: 2.0 },
        ..Default::default()
    }
}

/// How many whole batches the data hold.
fn steps_of_epoch(data: &ImageSet, batch: usize) -> u64 {
    // A batch of 0 or more than the data is told by the training; nothing may divide by 0 before.
    (data.len() / batch.max(1)).max(1) as u64
}

/// A run of steps with its progress.
fn watched(
    training: &mut Training<AnyNetwork>,
    data: &ImageSet,
    steps: u64,
    progress: &Progress,
    epoch: u64,
) -> scorebook::Result<Report> {
    let (mut smooth, mut on_test) = (None, String::new());
    training.run(data, steps, |step| {
        let mean = smooth.get_or_insert(step.loss);
        *mean += 0.02 * (step.loss - *mean);
        if let Some(validation) = &step.validation {
            on_test = format!(", {:.4} on test images", validation.loss);
        }
        let message = format!(
            "epoch {}, loss {mean:.4}{on_test}, {:.0} images/s",
            (step.step - 1) / epoch + 1,
            step.throughput
        );
        progress.set(step.step, message);
    })
}
