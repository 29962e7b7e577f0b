//! `scorebook train-classifier`: the network whose features compare images, or that guides a sampler.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;
use scorebook::data::{self, Augmentation, ImageSet, Split};
use scorebook::diffusion::Process;
use scorebook::progress::Progress;
use scorebook::random::Generator;
use scorebook::score::{Classifier, ClassifierCard, ClassifierSettings};
use scorebook::train::Classification;
use scorebook::{device, interrupt, metrics};

/// Train a classifier on a data set: its features compare images (`scorebook eval`), its gradient guides a sampler.
#[derive(Args)]
#[command(after_help = "Examples:
  scorebook train-classifier fashion-mnist --flips --out fashion-mnist-classifier.safetensors
  scorebook train-classifier fashion-mnist --noised vp --out fashion-mnist-noised-classifier.safetensors")]
pub struct TrainClassifier {
    /// The data set: fashion-mnist, pixel-faces-16, emoji-32, digits, mnist, cifar-10 or images.
    dataset: String,
    /// The file of the classifier, which is called as it is.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How many times the data are gone through.
    #[arg(long, default_value_t = 8)]
    epochs: u64,
    /// Images a step.
    #[arg(long, default_value_t = Classification::default().batch)]
    batch: usize,
    /// The learning rate at the beginning; it falls to 0 as a half cosine.
    #[arg(long, default_value_t = Classification::default().learning_rate)]
    lr: f64,
    /// Mirror each image left to right with probability ½.
    #[arg(long)]
    flips: bool,
    /// The channels of the resolutions, finest first.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 32, 64])]
    channels: Vec<usize>,
    /// How many features there are.
    #[arg(long, default_value_t = 64)]
    features: usize,
    /// Classify images under the noise of a process (ve, vp, sub-vp, ...) at any time: for guidance.
    #[arg(long, value_name = "PROCESS")]
    noised: Option<String>,
    /// The seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// auto, cpu, cuda or metal.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Take the data from this folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl TrainClassifier {
    /// Trains, tells the accuracy on the test images, and writes the file.
    pub fn execute(self) -> Result<ExitCode> {
        let device = device::open(&self.device)?;
        let name = match self.out.file_stem() {
            Some(stem) if self.out.extension().is_some_and(|e| e == "safetensors") => {
                stem.to_string_lossy().into_owned()
            }
            _ => {
                bail!("--out is {}; expected a name that ends in .safetensors", self.out.display())
            }
        };
        let (train, test) = (self.load(Split::Train)?, self.load(Split::Test)?);
        let train = train.augmented(Augmentation { flips: self.flips, ..Default::default() });
        eprintln!("{train}");
        if train.attributes().is_empty() {
            bail!(
                "nothing is known of the images of {}, so there is nothing to classify",
                train.name()
            );
        }
        let process: Option<Process> = self.noised.as_deref().map(str::parse).transpose()?;
        let settings = ClassifierSettings {
            channels: self.channels.clone(),
            features: self.features,
            process,
            ..ClassifierSettings::new(train.shape().try_into()?, train.label_names())
        };
        let training = Classification {
            steps: self.epochs * (train.len() / self.batch.max(1)) as u64,
            batch: self.batch,
            learning_rate: self.lr,
            seed: self.seed,
        };
        let classifier = Classifier::new(settings, &mut Generator::new(self.seed), &device)?;
        interrupt::listen()?;
        let begun = Instant::now();
        let progress = Progress::new("training", training.steps);
        let mut smooth = None;
        let report = training.run(&classifier, &train, |step, loss| {
            let mean = smooth.get_or_insert(loss);
            *mean += 0.02 * (loss - *mean);
            progress.set(step, format!("cross-entropy {mean:.4}"));
        })?;
        progress.finish();
        if report.interrupted {
            eprintln!("Interrupted; no file was written.");
            return Ok(ExitCode::from(130));
        }
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        let accuracy = self.accuracy(&classifier, &test)?;
        let card = ClassifierCard {
            name,
            settings: classifier.settings().clone(),
            data: format!("{}, {} images", train.name(), train.len()),
            training: serde_json::json!({
                "settings": training,
                "flips": self.flips,
                "loss": "cross-entropy",
                "accuracy": accuracy,
            }),
        };
        classifier.save(&self.out, &card)?;
        let count = classifier.parameters().count();
        eprintln!(
            "{count} parameters, {} steps, {minutes:.1} minutes: {}",
            report.losses.len(),
            self.out.display()
        );
        for (what, share) in accuracy {
            eprintln!("  {what}: {:.2} % of {} test images", 100.0 * share, test.len());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The accuracy on the test images: for each attribute, or at each of a few times.
    fn accuracy(&self, classifier: &Classifier, test: &ImageSet) -> Result<Vec<(String, f64)>> {
        let (images, labels) = (test.tensor(0, test.len())?, test.all_labels()?);
        let device = &classifier.parameters().device();
        let (images, labels) = (images.to_device(device)?, labels.to_device(device)?);
        let names = classifier.settings().labels.iter().map(|label| label.name.clone());
        let Some(process) = &classifier.settings().process else {
            return Ok(names.zip(metrics::accuracy(classifier, &images, &labels, None)?).collect());
        };
        let mut found = vec![];
        for share in [0.01, 0.1, 0.2, 0.3, 0.5, 0.7] {
            let t = share * scorebook::diffusion::NoisingProcess::horizon(process);
            let noise = &mut Generator::new(self.seed).child(2);
            let of_time = metrics::accuracy(classifier, &images, &labels, Some((t, noise)))?;
            found.extend(names.clone().map(|name| format!("{name}, t = {t}")).zip(of_time));
        }
        Ok(found)
    }

    fn load(&self, split: Split) -> Result<ImageSet> {
        data::use_folder(super::assets::library()?.join("datasets"));
        Ok(data::open(&self.dataset, split, self.data.as_deref())?)
    }
}
