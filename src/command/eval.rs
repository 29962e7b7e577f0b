//! `scorebook eval`: how good the images of a model are, in numbers beside what real images reach.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use clap::Args;
use scorebook::data::{self, ImageFolder, ImageSet, Split};
use scorebook::likelihood::{Dequantisation, Divergence, Estimate, FlowSolver, Likelihood, Probe};
use scorebook::metrics::{
    FeatureComparison, Features, ImageComparison, ImageMetric, ImageReport, Measure,
};
use scorebook::notebook::Display;
use scorebook::progress::Progress;
use scorebook::random::Generator;
use scorebook::score::{Classifier, Model};
use scorebook::{device, interrupt};

use super::sample::Sampler;

/// Measure the images of a model: distances to real images, variety, memorisation, likelihood.
///
/// Every number stands beside the floor: the same number for real images that the model was not trained on, which is what a
/// perfect model would reach. The distances are those of the features of a small classifier, which is named; they are to be
/// compared with numbers by the same net at the same number of images only. Images are rounded to bytes first.
///
/// Ctrl-C while it draws ends the drawing; what was drawn is measured. Features of another net, such as Inception, are read
/// from files: see the documentation of `metrics::Features` for their format.
#[derive(Args)]
#[command(after_help = "Examples:
  scorebook eval datasets/weights/fashion-mnist.safetensors --sampler ddim --steps 50 --n 2000
  scorebook eval runs/fashion --n 10000 --bits-per-dim 200 --out report.json --save drawn.safetensors
  scorebook eval --images drawn.safetensors --metrics frechet,kernel
  scorebook eval --features drawn.npy --reference real.npy --held-out others.npy")]
pub struct Eval {
    /// The folder of a training, or a model file.
    model: Option<PathBuf>,
    /// The real images: fashion-mnist, pixel-faces-16, emoji-32, digits, mnist, cifar-10 or images.
    #[arg(long, default_value = "fashion-mnist")]
    data: String,
    /// Take the real images from this folder.
    #[arg(long, value_name = "DIR")]
    data_folder: Option<PathBuf>,
    /// How many images are drawn.
    #[arg(long, default_value_t = 10_000)]
    n: usize,
    /// The sampler.
    #[arg(long, value_enum, default_value_t = Sampler::DpmSolver)]
    sampler: Sampler,
    /// Steps from noise to data [default: the sampler's own number, 25 to 500]
    #[arg(long)]
    steps: Option<usize>,
    /// Measure these images instead: a folder of pictures, or a file that --save wrote.
    #[arg(long, value_name = "PATH", conflicts_with = "model")]
    images: Option<PathBuf>,
    /// Measure these features instead.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "images"], requires = "reference")]
    features: Option<PathBuf>,
    /// The features of the real images to compare with.
    #[arg(long, value_name = "FILE", requires = "features")]
    reference: Option<PathBuf>,
    /// The features of other real images, for the floor.
    #[arg(long, value_name = "FILE", requires = "features")]
    held_out: Option<PathBuf>,
    /// The classifier whose features are compared [default: the data set's, in datasets/weights]
    #[arg(long, value_name = "FILE")]
    net: Option<PathBuf>,
    /// How many of the training images are compared with.
    #[arg(long, value_name = "IMAGES", default_value_t = 30_000)]
    reference_images: usize,
    /// What is measured [default: all of frechet, kernel, precision-recall, histogram, memorisation]
    #[arg(long, value_delimiter = ',', value_name = "METRICS")]
    metrics: Vec<ImageMetric>,
    /// Bits a dimension of so many test images, too: minutes.
    #[arg(long, value_name = "IMAGES", requires = "model")]
    bits_per_dim: Option<usize>,
    /// Write the numbers as JSON, too.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Keep the images: a safetensors file with `images`, bytes [n, channels, height, width].
    #[arg(long, value_name = "FILE", requires = "model")]
    save: Option<PathBuf>,
    /// How many images are drawn at a time.
    #[arg(long, default_value_t = 250)]
    batch: usize,
    /// The seed of the noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// auto, cpu, cuda or metal.
    #[arg(long, default_value = "auto")]
    device: String,
}

impl Eval {
    /// Draws, measures, and tells.
    pub fn execute(self) -> Result<ExitCode> {
        let device = device::open(&self.device)?;
        let metrics = match self.metrics.is_empty() {
            true => ImageMetric::ALL.to_vec(),
            false => self.metrics.clone(),
        };
        interrupt::listen()?;
        if let (Some(features), Some(reference)) = (&self.features, &self.reference) {
            let held_out = self.held_out.as_ref().map(Features::load).transpose()?;
            let comparison =
                FeatureComparison::new(&Features::load(reference)?, held_out.as_ref())?;
            let report = comparison.report(&Features::load(features)?, &metrics)?;
            return self.tell(&report, serde_json::json!({ "features": features }));
        }
        data::use_folder(super::assets::library()?.join("datasets"));
        let net = match &self.net {
            Some(file) => Classifier::load(file, &device)?.0,
            None => {
                Classifier::shipped(&format!("{}-classifier", self.data), &device)
                    .context("there is no classifier of this data set; name one with --net")?
                    .0
            }
        };
        let (train, test) = (self.load(Split::Train)?, self.load(Split::Test)?);
        let (generated, model, mut about) = match (&self.model, &self.images) {
            (Some(file), _) => {
                let model = self.open(file, &net, &device)?;
                let Some((images, about)) = self.draw(&model, &device)? else {
                    eprintln!("Interrupted before any image was drawn.");
                    return Ok(ExitCode::from(130));
                };
                (images, Some(model), about)
            }
            (None, Some(path)) => {
                let images = match path.is_dir() {
                    true => read_folder(path, net.settings().shape)?.to_device(&device)?,
                    false => read_images(path, &device)?,
                };
                (images, None, serde_json::json!({ "images": path }))
            }
            (None, None) => bail!("name a model, or --images, or --features with --reference"),
        };
        eprintln!("measuring {} images", generated.dim(0)?);
        // The floor takes no more of them than there are generated ones.
        let mut others = Generator::new(0).permutation(test.len());
        others.truncate(generated.dim(0)?);
        let others = test.select(&others)?;
        let comparison = ImageComparison::new(&net, &train, &others, self.reference_images)?;
        let mut report = comparison.report(&generated, &metrics)?;
        if let (Some(count), Some(model)) = (self.bits_per_dim, &model) {
            match self.bits_per_dim(model, &test, count, &device)? {
                Some((bits, evaluations)) => {
                    report.measures.push(Measure {
                        name: "bits a dimension, of the flow".into(),
                        value: bits.value,
                        standard_error: Some(bits.standard_error),
                        floor: None,
                        floor_standard_error: None,
                    });
                    about["bits_per_dim"] =
                        serde_json::json!({ "images": count, "score_evaluations": evaluations });
                }
                None => report.interrupted = true,
            }
        }
        self.tell(&report, about)
    }

    /// The table, the JSON, and how it ended.
    fn tell(&self, report: &ImageReport, about: serde_json::Value) -> Result<ExitCode> {
        println!("{}", report.bundle().get("text/plain").unwrap_or_default());
        println!("compared with {} ({} images)", report.reference, report.reference_images);
        if report.floor_images > 0 && report.floor_images < report.images {
            println!(
                "the floor is of {} images: there are no more; with more it would be lower",
                report.floor_images
            );
        }
        if let Some(file) = &self.out {
            let whole = serde_json::json!({ "generated": about, "report": report });
            fs::write(file, serde_json::to_string_pretty(&whole)? + "\n")
                .with_context(|| format!("{} cannot be written", file.display()))?;
        }
        if report.interrupted {
            eprintln!("Interrupted: some numbers are missing.");
            return Ok(ExitCode::from(130));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn open(&self, file: &Path, net: &Classifier, device: &Device) -> Result<Model> {
        let file = match file.is_dir() {
            true => file.join(super::train::MODEL),
            false => file.to_owned(),
        };
        let model = Model::load(&file, device)?;
        let (card, shape) = (&model.card, net.settings().shape);
        eprintln!("{}: {} of {}", file.display(), card.architecture.summary(), card.data);
        if card.shape != shape {
            bail!(
                "{} gives samples of shape {:?}; the net {} takes images of {shape:?}",
                file.display(),
                card.shape,
                net.name()
            );
        }
        Ok(model)
    }

    /// The images that were drawn until the end or an interrupt, and how; `None` if there is none.
    fn draw(&self, model: &Model, device: &Device) -> Result<Option<(Tensor, serde_json::Value)>> {
        if self.n == 0 || self.batch == 0 {
            bail!("--n and --batch must be at least 1");
        }
        let sampler = self.sampler.with_steps(self.steps)?;
        let process = model.network().process();
        let progress = Progress::new("drawing", self.n as u64);
        let begun = Instant::now();
        let (mut parts, mut drawn, mut evaluations) = (vec![], 0, 0);
        while drawn < self.n {
            let size = self.batch.min(self.n - drawn);
            let shape = [&[size], model.card.shape.as_slice()].concat();
            // Each batch has noise of its own.
            let generator = &mut Generator::new(self.seed).child(parts.len() as u64);
            let sample = sampler.sample(&process, model, &shape, generator, device)?;
            if sample.interrupted {
                break;
            }
            parts.push(as_bytes(&sample.x)?);
            drawn += size;
            evaluations = evaluations.max(sample.score_evaluations);
            progress.set(drawn as u64, format!("{evaluations} score evaluations each"));
        }
        progress.finish();
        if parts.is_empty() {
            return Ok(None);
        }
        if drawn < self.n {
            // Another Ctrl-C ends the measuring.
            interrupt::clear();
            eprintln!("Interrupted: {drawn} of {} images were drawn, and are measured.", self.n);
        }
        let bytes = Tensor::cat(&parts, 0)?;
        if let Some(file) = &self.save {
            let tensors =
                std::collections::HashMap::from([("images", bytes.to_device(&Device::Cpu)?)]);
            candle_core::safetensors::save(&tensors, file)
                .with_context(|| format!("{} cannot be written", file.display()))?;
        }
        let about = serde_json::json!({
            "model": self.model,
            "sampler": sampler.name(),
            "steps": sampler.descent().steps,
            "score_evaluations": evaluations,
            "images": drawn,
            "seed": self.seed,
            "seconds": begun.elapsed().as_secs_f64(),
        });
        eprintln!("{drawn} images by {}, {evaluations} score evaluations each", sampler.name());
        Ok(Some((as_numbers(&bytes)?, about)))
    }

    /// Bits a dimension of the first `count` test images along the probability flow, and the number of score evaluations;
    /// `None` after an interrupt.
    fn bits_per_dim(
        &self,
        model: &Model,
        test: &ImageSet,
        count: usize,
        device: &Device,
    ) -> Result<Option<(Estimate, usize)>> {
        let pixels = test.bytes(0, count)?.to_device(device)?;
        let process = model.network().process();
        let likelihood = Likelihood {
            divergence: Divergence::Hutchinson { probes: 1, probe: Probe::Rademacher },
            solver: FlowSolver::Adaptive { rtol: 1e-3, atol: 1e-3 },
            t_min: 1e-3,
            ..Default::default()
        };
        let cells = Dequantisation::of_images(1);
        let generator = &mut Generator::new(self.seed).child(u64::MAX);
        let progress = Progress::new("likelihood", count as u64);
        let (mut bits, mut evaluations) = (vec![], 0);
        const BATCH: usize = 50;
        for from in (0..count).step_by(BATCH) {
            let part = pixels.narrow(0, from, BATCH.min(count - from))?;
            let mut interrupted = false;
            let found = cells.bits_per_dim(&part, generator, |x, generator| {
                let found = likelihood.log_prob(&process, model, x, generator)?;
                interrupted |= found.interrupted;
                evaluations = evaluations.max(found.score_evaluations);
                Ok(found.log_prob)
            })?;
            if interrupted || found.interrupted {
                return Ok(None);
            }
            bits.extend(found.bound);
            progress.set(bits.len() as u64, format!("{evaluations} score evaluations"));
        }
        progress.finish();
        Ok(Some((Estimate::of(&bits)?, evaluations)))
    }

    fn load(&self, split: Split) -> Result<ImageSet> {
        Ok(data::open(&self.data, split, self.data_folder.as_deref())?)
    }
}

/// Images from -1 to 1 as bytes, as a file would have them.
fn as_bytes(x: &Tensor) -> Result<Tensor> {
    Ok(x.clamp(-1.0, 1.0)?.affine(127.5, 127.5)?.round()?.to_dtype(DType::U8)?)
}

fn as_numbers(bytes: &Tensor) -> Result<Tensor> {
    Ok(bytes.to_dtype(DType::F32)?.affine(1.0 / 127.5, -1.0)?)
}

/// The pictures of a folder, brought to a shape.
fn read_folder(folder: &Path, [channels, side, width]: [usize; 3]) -> Result<Tensor> {
    if side != width {
        bail!("folders of pictures are read as squares; the net takes images of {side}×{width}");
    }
    let channels = Some(channels);
    let set = ImageFolder { channels, progress: true, ..ImageFolder::new(folder, side) }.all()?;
    Ok(set.tensor(0, set.len())?)
}

/// The images of a file that `--save` wrote.
fn read_images(file: &Path, device: &Device) -> Result<Tensor> {
    let remedy = "Use a safetensors file with `images`, bytes [n, channels, height, width], such as --save writes";
    let broken = |cause: String| scorebook::Error::file(file, cause, remedy);
    let mut tensors = candle_core::safetensors::load(file, device)
        .map_err(|error| broken(format!("cannot be read ({error})")))?;
    let bytes =
        tensors.remove("images").ok_or_else(|| broken("holds no tensor `images`".into()))?;
    if bytes.dtype() != DType::U8 || bytes.rank() != 4 || bytes.elem_count() == 0 {
        let found = format!("its `images` are {:?} of {:?}", bytes.dtype(), bytes.dims());
        return Err(broken(found).into());
    }
    as_numbers(&bytes)
}
