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
use scorebook::score::{Classifier, ClassifierFreeGuidance, Model};
use scorebook::{device, interrupt};

use super::sample::{Sampler, of_images};

/// Measure the images of a model: distances to real images, variety, memorisation, likelihood.
///
/// Images are compared with the reference, images of the training set. Every number stands beside the floor: the same number
/// for images of the test set, as many as were drawn where there are so many, compared with the same reference, which is
/// what a perfect model would reach. The distances are those of the features of a small classifier, which is named; they
/// are to be compared with numbers by the same net at the same number of images only. Images are rounded to bytes first.
///
/// A model that was trained with labels is asked for those of training images drawn at random, and how many images have
/// what was asked for is told, beside how many of the test images the classifier is right on.
///
/// Several samplers, numbers of steps or scales of guidance give a table with a row for each. The score's guesses at the
/// image are cut to the range from black to white, as `sample` does; the bits a dimension are those of the score as it is.
///
/// Ctrl-C while it draws ends the drawing; what was drawn is measured. Features of another net, such as Inception, are read
/// from files: see the documentation of `metrics::Features` for their format.
#[derive(Args)]
#[command(after_help = "Examples:
  scorebook eval datasets/weights/fashion-mnist.safetensors --sampler ddim --steps 50 --n 2000
  scorebook eval runs/fashion --sampler ddim,dpm-solver --steps 10,20,50 --n 2000 --metrics frechet
  scorebook eval runs/faces --data pixel-faces-16 --guidance 0,1,2,3 --n 1000 --metrics accuracy
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
    /// The sampler, or several.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Sampler::DpmSolver])]
    sampler: Vec<Sampler>,
    /// Steps from noise to data, or several numbers of them [default: the sampler's own number, 25 to 500]
    #[arg(long, value_delimiter = ',')]
    steps: Vec<usize>,
    /// The scale w of classifier-free guidance, or several, for a model trained with labels: (1+w) times the score with
    /// labels, less w times that without [default: 0]
    #[arg(
        long,
        value_name = "W",
        value_delimiter = ',',
        allow_negative_numbers = true,
        requires = "model"
    )]
    guidance: Vec<f64>,
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
    /// What is measured [default: all of frechet, kernel, precision-recall, histogram, memorisation, accuracy]
    #[arg(long, value_delimiter = ',', value_name = "METRICS")]
    metrics: Vec<ImageMetric>,
    /// Bits a dimension of so many test images, too: minutes.
    #[arg(long, value_name = "IMAGES", requires = "model")]
    bits_per_dim: Option<usize>,
    /// Write the numbers as JSON, too.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Keep the images: a safetensors file with `images`, bytes [n, channels, height, width], and the `labels` that they
    /// were asked to have.
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
        match (&self.model, &self.images) {
            (Some(file), _) => {
                let model = self.open(file, &net, &device)?;
                self.measure_model(&model, &net, &train, &test, &metrics, &device)
            }
            (None, Some(path)) => {
                let (images, labels) = match path.is_dir() {
                    true => (read_folder(path, net.settings().shape)?.to_device(&device)?, None),
                    false => read_images(path, &device)?,
                };
                let comparison = self.comparison(&net, &train, &test, images.dim(0)?)?;
                let report = measure(&comparison, &images, labels.as_ref(), &metrics)?;
                self.tell(&report, serde_json::json!({ "images": path }))
            }
            (None, None) => bail!("name a model, or --images, or --features with --reference"),
        }
    }

    /// Draws images by each sampler at each number of steps and each scale of guidance, and measures them.
    fn measure_model(
        &self,
        model: &Model,
        net: &Classifier,
        train: &ImageSet,
        test: &ImageSet,
        metrics: &[ImageMetric],
        device: &Device,
    ) -> Result<ExitCode> {
        if self.n == 0 || self.batch == 0 {
            bail!("--n and --batch must be at least 1");
        }
        let ways = self.ways()?;
        if ways.len() > 1 && (self.save.is_some() || self.bits_per_dim.is_some()) {
            bail!(
                "--save and --bits-per-dim go with one sampler, one number of steps and one scale of guidance; there are {} combinations",
                ways.len()
            );
        }
        if let Some(count) = self.bits_per_dim.filter(|count| !(2..=test.len()).contains(count)) {
            bail!("--bits-per-dim is {count}; expected 2 to {} test images", test.len());
        }
        let labels = self.asked(model, train)?;
        let told = net.settings().labels == model.card.attributes;
        if labels.is_some() && !told {
            eprintln!(
                "{} does not tell what the model was asked for, so the accuracy is left out",
                net.name()
            );
        }
        let comparison = self.comparison(net, train, test, self.n)?;
        let mut rows: Vec<Row> = vec![];
        let several = ways.len() > 1;
        for way in ways {
            let Some(Drawn { images, mut about, whole }) =
                self.draw(model, way, labels.as_ref(), device)?
            else {
                eprintln!("Interrupted before any image was drawn.");
                break;
            };
            let count = images.dim(0)?;
            eprintln!("measuring {count} images");
            let asked = labels.as_ref().filter(|_| told);
            let asked = asked.map(|labels| labels.narrow(0, 0, count)).transpose()?;
            let asked = asked.map(|labels| labels.to_device(device)).transpose()?;
            let mut metrics = metrics.to_vec();
            if !whole && count <= net.settings().features {
                metrics.retain(|metric| {
                    use ImageMetric::{Frechet, Kernel, PrecisionRecall};
                    ![Frechet, Kernel, PrecisionRecall].contains(metric)
                });
                eprintln!("They are too few for distances and coverage, which are left out.");
            }
            let mut report = measure(&comparison, &images, asked.as_ref(), &metrics)?;
            if let Some(count) = self.bits_per_dim.filter(|_| whole) {
                match self.bits_per_dim(model, test, count, device)? {
                    Some((bits, evaluations)) => {
                        report.measures.push(Measure {
                            name: "bits a dimension, of the flow".into(),
                            value: bits.value,
                            standard_error: Some(bits.standard_error),
                            floor: None,
                            floor_standard_error: None,
                        });
                        about["bits_per_dim"] = serde_json::json!({ "images": count, "score_evaluations": evaluations });
                    }
                    None => report.interrupted = true,
                }
            }
            if !several {
                return self.tell(&report, about);
            }
            let ended = !whole || report.interrupted;
            rows.push(Row { way, about, report });
            if ended {
                eprintln!("The rows that would follow are left out.");
                break;
            }
        }
        if rows.is_empty() {
            return Ok(ExitCode::from(130));
        }
        self.tell_all(&rows)
    }

    /// Every sampler with every number of steps that it takes and every scale of guidance.
    fn ways(&self) -> Result<Vec<Way>> {
        let steps: Vec<Option<usize>> = match self.steps.is_empty() {
            true => vec![None],
            false => self.steps.iter().copied().map(Some).collect(),
        };
        let guidance: &[f64] = if self.guidance.is_empty() { &[0.0] } else { &self.guidance };
        if let Some(scale) = guidance.iter().find(|scale| !scale.is_finite()) {
            bail!("--guidance is {scale}; expected finite numbers");
        }
        let mut ways = vec![];
        for &sampler in &self.sampler {
            // One that chooses its steps stands beside the others once.
            let steps = match sampler {
                Sampler::AdaptiveFlow if self.sampler.len() > 1 => &[None][..],
                _ => &steps,
            };
            for &steps in steps {
                // What does not go together is told before hours of drawing.
                sampler.with_steps(steps)?;
                ways.extend(guidance.iter().map(|&guidance| Way { sampler, steps, guidance }));
            }
        }
        Ok(ways)
    }

    /// The labels that a model is asked for, `[n, attributes]`: those of training images in a random order. `None` for a
    /// model without labels.
    fn asked(&self, model: &Model, train: &ImageSet) -> Result<Option<Tensor>> {
        let attributes = &model.card.attributes;
        if attributes.is_empty() {
            if !self.guidance.is_empty() {
                bail!("--guidance needs a model that was trained with labels; this one was not");
            }
            return Ok(None);
        }
        if *attributes != train.label_names() {
            let names: Vec<&str> = attributes.iter().map(|known| known.name.as_str()).collect();
            bail!(
                "the model was trained with {}, which {} does not have with the same values; name its data set with --data",
                names.join(", "),
                train.name()
            );
        }
        let order = Generator::new(self.seed).child(u64::MAX).split().permutation(train.len());
        let drawn: Vec<u32> = order.into_iter().cycle().take(self.n).collect();
        let drawn = Tensor::from_vec(drawn, self.n, &Device::Cpu)?;
        Ok(Some(train.all_labels()?.index_select(&drawn, 0)?))
    }

    /// The reference, and as many test images for the floor as there are generated ones, if there are so many.
    fn comparison(
        &self,
        net: &Classifier,
        train: &ImageSet,
        test: &ImageSet,
        generated: usize,
    ) -> Result<ImageComparison> {
        let mut others = Generator::new(0).permutation(test.len());
        others.truncate(generated);
        Ok(ImageComparison::new(net, train, &test.select(&others)?, self.reference_images)?)
    }

    /// The table, the JSON, and how it ended.
    fn tell(&self, report: &ImageReport, about: serde_json::Value) -> Result<ExitCode> {
        println!("{}", report.bundle().get("text/plain").unwrap_or_default());
        explain(report);
        if let Some(file) = &self.out {
            write_json(file, &serde_json::json!({ "generated": about, "report": report }))?;
        }
        if report.interrupted {
            eprintln!("Interrupted: some numbers are missing.");
            return Ok(ExitCode::from(130));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The rows as one table, in Markdown, the floor below them; the JSON; and how it ended.
    fn tell_all(&self, rows: &[Row]) -> Result<ExitCode> {
        let first = &rows[0].report;
        let labelled = rows.iter().any(|row| row.about.get("guidance").is_some());
        let mut header = vec!["sampler", "steps"];
        header.extend(labelled.then_some("guidance"));
        header.push("evaluations");
        let start = header.len();
        header.extend(first.measures.iter().map(|measure| measure.name.as_str()));
        let line = |cells: &[String]| println!("| {} |", cells.join(" | "));
        line(&header.iter().map(|name| (*name).into()).collect::<Vec<String>>());
        println!("|{}", "---|".repeat(header.len()));
        for Row { way, about, report } in rows {
            let number = |key: &str| about[key].to_string();
            let mut cells = vec![about["sampler"].as_str().unwrap_or_default().into()];
            cells.push(match way.sampler {
                Sampler::AdaptiveFlow => "its own".into(),
                _ => number("steps"),
            });
            cells.extend(labelled.then(|| way.guidance.to_string()));
            cells.push(number("score_evaluations"));
            cells.extend(
                header[start..].iter().map(|name| {
                    report.get(name).map(|found| short(found.value)).unwrap_or_default()
                }),
            );
            line(&cells);
        }
        let mut cells = vec!["the floor".to_owned()];
        cells.resize(start, String::new());
        let floors = first.measures.iter().map(|measure| measure.floor.map(short));
        cells.extend(floors.map(Option::unwrap_or_default));
        line(&cells);
        println!("\n{} images a row, by {}", first.images, first.net);
        explain(first);
        if let Some(file) = &self.out {
            let rows: Vec<_> = rows
                .iter()
                .map(|row| serde_json::json!({ "generated": row.about, "report": row.report }))
                .collect();
            write_json(file, &rows.into())?;
        }
        if rows.iter().any(|row| row.report.interrupted) {
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
    fn draw(
        &self,
        model: &Model,
        way: Way,
        labels: Option<&Tensor>,
        device: &Device,
    ) -> Result<Option<Drawn>> {
        let sampler = way.sampler.with_steps(way.steps)?;
        let process = model.network().process();
        let progress = Progress::new("drawing", self.n as u64);
        let begun = Instant::now();
        let (mut parts, mut drawn, mut evaluations) = (vec![], 0, 0);
        while drawn < self.n {
            let size = self.batch.min(self.n - drawn);
            let shape = [&[size], model.card.shape.as_slice()].concat();
            let score = match labels {
                Some(labels) => of_images(
                    ClassifierFreeGuidance {
                        score: model.clone(),
                        labels: labels.narrow(0, drawn, size)?.to_device(device)?,
                        scale: way.guidance,
                    },
                    model,
                ),
                None => of_images(model.clone(), model),
            }?;
            // Each batch has noise of its own.
            let generator = &mut Generator::new(self.seed).child(parts.len() as u64);
            let sample = sampler.sample(&process, &score, &shape, generator, device)?;
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
            let mut tensors =
                std::collections::HashMap::from([("images", bytes.to_device(&Device::Cpu)?)]);
            if let Some(labels) = labels {
                tensors.insert("labels", labels.narrow(0, 0, drawn)?.contiguous()?);
            }
            candle_core::safetensors::save(&tensors, file)
                .with_context(|| format!("{} cannot be written", file.display()))?;
        }
        let mut about = serde_json::json!({
            "model": self.model,
            "sampler": sampler.name(),
            "steps": sampler.descent().steps,
            "score_evaluations": evaluations,
            "images": drawn,
            "seed": self.seed,
            "seconds": begun.elapsed().as_secs_f64(),
        });
        if labels.is_some() {
            about["guidance"] = way.guidance.into();
        }
        eprintln!("{drawn} images by {}, {evaluations} score evaluations each", sampler.name());
        Ok(Some(Drawn { images: as_numbers(&bytes)?, about, whole: drawn == self.n }))
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

/// One way to draw images.
#[derive(Clone, Copy)]
struct Way {
    sampler: Sampler,
    steps: Option<usize>,
    guidance: f64,
}

/// What was drawn in one way.
struct Drawn {
    images: Tensor,
    about: serde_json::Value,
    /// Whether no interrupt ended it early.
    whole: bool,
}

/// What one way reaches.
struct Row {
    way: Way,
    about: serde_json::Value,
    report: ImageReport,
}

fn measure(
    comparison: &ImageComparison,
    images: &Tensor,
    labels: Option<&Tensor>,
    metrics: &[ImageMetric],
) -> Result<ImageReport> {
    Ok(match labels {
        Some(labels) => comparison.report_given(images, labels, metrics)?,
        None => comparison.report(images, metrics)?,
    })
}

/// What the images were compared with, and what the floor is.
fn explain(report: &ImageReport) {
    println!("the reference: {} ({} images)", report.reference, report.reference_images);
    if report.floor_images == 0 {
        println!("there is no floor: no other real images were given");
        return;
    }
    println!(
        "the floor: {} real images that are not of the reference, compared with it as the generated ones are; a perfect model would come to it",
        report.floor_images
    );
    if report.floor_images < report.images {
        println!("there are no more of them; with {} it would be lower", report.images);
    }
}

fn short(value: f64) -> String {
    match value.abs() < 0.01 && value != 0.0 {
        true => format!("{value:.1e}"),
        false => format!("{value:.3}"),
    }
}

fn write_json(file: &Path, value: &serde_json::Value) -> Result<()> {
    fs::write(file, serde_json::to_string_pretty(value)? + "\n")
        .with_context(|| format!("{} cannot be written", file.display()))
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

/// The images of a file that `--save` wrote, and their labels if it has any.
fn read_images(file: &Path, device: &Device) -> Result<(Tensor, Option<Tensor>)> {
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
    let labels = tensors.remove("labels");
    if let Some(labels) = labels.as_ref().filter(|labels| labels.dtype() != DType::U32) {
        return Err(broken(format!("its `labels` are {:?}, not U32", labels.dtype())).into());
    }
    Ok((as_numbers(&bytes)?, labels))
}
