//! `scorebook train`: a score model from a data set, as a notebook would train it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use scorebook::data::{FashionMnist, ImageSet, Split};
use scorebook::diffusion::Process;
use scorebook::progress::Progress;
use scorebook::random::Generator;
use scorebook::score::{Architecture, Model, ModelCard, Network, Unet, UnetSettings};
use scorebook::train::{Checkpoint, Training, TrainingSettings};
use scorebook::{device, interrupt};

/// The files of a training's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The averaged weights with their card: what `sample` reads.
pub const MODEL: &str = "model.safetensors";
const LOSSES: &str = "losses.tsv";

/// Train a score model on a data set.
///
/// The folder gets `checkpoint.safetensors` after every epoch (all that --resume needs), `model.safetensors` (the
/// averaged weights, for `scorebook sample` and notebooks) and `losses.tsv`. Ctrl-C saves and stops; --resume goes on
/// as if nothing had happened, to the last bit.
#[derive(Args)]
#[command(after_help = "Examples:
  scorebook train fashion-mnist --out runs/fashion
  scorebook train fashion-mnist --out runs/fashion --epochs 30 --resume")]
pub struct Train {
    /// The data set: fashion-mnist.
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
    /// Adam's learning rate [default: 0.001]
    #[arg(long)]
    lr: Option<f64>,
    /// The decay of the moving average of the weights [default: 0.999]
    #[arg(long)]
    ema: Option<f64>,
    /// The noising process: ve, vp, sub-vp, ou, exponential, cosine, scaled-linear or edm [default: vp]
    #[arg(long)]
    process: Option<String>,
    /// The seed of the weights, the order of the images, the times and the noise [default: 0]
    #[arg(long)]
    seed: Option<u64>,
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

impl Train {
    /// Trains to the end, or until Ctrl-C.
    pub fn execute(self) -> Result<ExitCode> {
        let device = device::open(&self.device)?;
        let data = self.load()?;
        eprintln!("{data}");
        let checkpoint = self.out.join(CHECKPOINT);
        let mut training = if self.resume {
            self.resume(&checkpoint, &device)?
        } else {
            self.begin(&checkpoint, &device)?
        };
        let batch = training.settings().batch;
        let epoch = (data.len() / batch) as u64;
        let last = epoch * self.epochs;
        if training.step() >= last {
            bail!(
                "the training in {} has made its {} epochs already; give more with --epochs",
                self.out.display(),
                training.step() / epoch
            );
        }
        interrupt::listen()?;
        let begun = Instant::now();
        let progress = Progress::new("training", last);
        while training.step() < last {
            let steps = epoch - training.step() % epoch;
            let mut smooth = None;
            let report = training.run(&data, steps, |step| {
                let mean = smooth.get_or_insert(step.loss);
                *mean += 0.02 * (step.loss - *mean);
                let message = format!(
                    "epoch {}, loss {mean:.4}, {:.0} images/s",
                    (step.step - 1) / epoch + 1,
                    step.throughput
                );
                progress.set(step.step, message);
            })?;
            self.log(&training, &report)?;
            training.save(&checkpoint)?;
            Model::save(self.out.join(MODEL), &self.card(&training, &data), training.average())?;
            if report.interrupted {
                progress.finish();
                let (step, out) = (training.step(), self.out.display());
                eprintln!(
                    "Interrupted at step {step} of {last}; saved. Go on with the same command and --resume."
                );
                eprintln!("The weights so far: {out}/{MODEL}");
                return Ok(ExitCode::from(130));
            }
        }
        progress.finish();
        let (out, minutes) = (self.out.display(), begun.elapsed().as_secs_f64() / 60.0);
        eprintln!(
            "{} epochs, {last} steps, {minutes:.1} minutes. The weights: {out}/{MODEL}",
            self.epochs
        );
        Ok(ExitCode::SUCCESS)
    }

    fn load(&self) -> Result<ImageSet> {
        scorebook::data::use_folder(super::assets::library()?.join("datasets"));
        match self.dataset.as_str() {
            "fashion-mnist" => {
                Ok(FashionMnist { folder: self.data.clone(), whole: false }.load(Split::Train)?)
            }
            other => bail!("there is no data set {other:?}; there is: fashion-mnist"),
        }
    }

    fn begin(&self, checkpoint: &Path, device: &candle_core::Device) -> Result<Training<Unet>> {
        if checkpoint.exists() {
            bail!(
                "{} already holds a training; go on with --resume, or name another folder",
                self.out.display()
            );
        }
        let defaults = TrainingSettings::default();
        let settings = TrainingSettings {
            batch: self.batch.unwrap_or(defaults.batch),
            learning_rate: self.lr.unwrap_or(defaults.learning_rate),
            ema: self.ema.unwrap_or(defaults.ema),
            seed: self.seed.unwrap_or(defaults.seed),
            ..defaults
        };
        let process: Process = self.process.as_deref().unwrap_or("vp").parse()?;
        let mut generator = Generator::new(settings.seed);
        let network = Unet::new(UnetSettings::default(), process, &mut generator, device)?;
        let training = Training::new(&network, settings)?;
        fs::create_dir_all(&self.out).with_context(|| {
            format!("{} cannot be made; name another folder", self.out.display())
        })?;
        Ok(training)
    }

    /// The training of the checkpoint. What was said again must be what it was begun with.
    fn resume(&self, checkpoint: &Path, device: &candle_core::Device) -> Result<Training<Unet>> {
        if !checkpoint.exists() {
            bail!("{} holds no training to resume; leave --resume away", self.out.display());
        }
        let saved = Checkpoint::read(checkpoint)?;
        let Architecture::Unet(unet) = saved.architecture else {
            bail!(
                "{} holds a training of a {}",
                checkpoint.display(),
                saved.architecture.summary()
            );
        };
        let network = Unet::new(unet, saved.process, &mut Generator::new(0), device)?;
        let training = Training::resume(&network, checkpoint)?;
        let settings = training.settings();
        let process = match &self.process {
            Some(name) => name.parse::<Process>()? == training.network().process(),
            None => true,
        };
        for (option, same) in [
            ("--batch", self.batch.is_none_or(|batch| batch == settings.batch)),
            ("--lr", self.lr.is_none_or(|lr| lr == settings.learning_rate)),
            ("--ema", self.ema.is_none_or(|ema| ema == settings.ema)),
            ("--seed", self.seed.is_none_or(|seed| seed == settings.seed)),
            ("--process", process),
        ] {
            if !same {
                bail!(
                    "the training in {} was begun with another {option}; leave it away, or name another folder",
                    self.out.display()
                );
            }
        }
        Ok(training)
    }

    fn card(&self, training: &Training<Unet>, data: &ImageSet) -> ModelCard {
        ModelCard {
            architecture: training.network().architecture(),
            process: training.network().process(),
            data: format!("{}, {} images", data.name(), data.len()),
            shape: data.shape().to_vec(),
            training: serde_json::json!({
                "settings": training.settings(),
                "steps": training.step(),
                "loss": "denoising score matching, λ = σ²",
            }),
        }
    }

    /// Adds a line to the table of losses: the last step, the mean loss of the run, its time.
    fn log(&self, training: &Training<Unet>, report: &scorebook::train::Report) -> Result<()> {
        let path = self.out.join(LOSSES);
        let new = !path.exists();
        let mut file = fs::OpenOptions::new().create(true).append(true).open(&path)?;
        if new {
            writeln!(file, "step\tmean loss\tseconds")?;
        }
        let mean = report.losses.iter().sum::<f64>() / report.losses.len().max(1) as f64;
        writeln!(file, "{}\t{mean:.6}\t{:.1}", training.step(), report.seconds)?;
        Ok(())
    }
}
