//! `scorebook sample`: images from noise, by a trained model.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use candle_core::Tensor;
use clap::{Args, ValueEnum};
use scorebook::random::Generator;
use scorebook::sample::{
    AdaptiveFlow, Ancestral, AnnealedLangevinDynamics, Ddim, DpmSolver, EdmSampler,
    ExponentialIntegrator, PredictorCorrector, ProbabilityFlow, ReverseDiffusion,
    ReverseEulerMaruyama,
};
use scorebook::score::{Bounded, ClassifierFreeGuidance, Model, Score};
use scorebook::{device, interrupt, plot};

/// Draw images from a trained model.
///
/// Its score's guesses at the image are cut to the range from black to white.
#[derive(Args)]
#[command(after_help = "Examples:
  scorebook sample runs/fashion --out garments.png
  scorebook sample runs/fashion --sampler probability-flow --steps 50 --out flow.png
  scorebook sample runs/classes --class Boot --guidance 1 --out boots.png
  scorebook sample runs/classes --class Sandal,Sneaker,Boot --n 30 --guidance 1 --out shoes.png
  scorebook sample runs/faces --attribute hair=brown --attribute glasses=none --out faces.png")]
pub struct Sample {
    /// The folder of a training, or a model file.
    model: PathBuf,
    /// How many images.
    #[arg(long, default_value_t = 64)]
    n: usize,
    /// The sampler.
    #[arg(long, value_enum, default_value_t = Sampler::PredictorCorrector)]
    sampler: Sampler,
    /// Steps from noise to data [default: the sampler's own number, 25 to 500]
    #[arg(long)]
    steps: Option<usize>,
    /// Images of this class, or of several in turn, a column each.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    class: Vec<String>,
    /// Images with this value of an attribute; may be given for several.
    #[arg(long, value_name = "NAME=VALUE")]
    attribute: Vec<String>,
    /// The scale w of classifier-free guidance: (1+w) times the score of the class, less w times that without it.
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// The picture, .png or .svg.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The seed of the noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// auto, cpu, cuda or metal.
    #[arg(long, default_value = "auto")]
    device: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Sampler {
    /// Euler-Maruyama along the reverse SDE, with one Langevin step at each time.
    PredictorCorrector,
    /// Euler-Maruyama along the reverse SDE.
    ReverseEulerMaruyama,
    /// The reverse SDE, discretised as the forward chain is.
    ReverseDiffusion,
    /// The chain backward, as DDPM does.
    Ancestral,
    /// Langevin dynamics alone, at ever lower levels of noise.
    AnnealedLangevin,
    /// Heun's method along the probability flow ODE.
    ProbabilityFlow,
    /// RK45 along the probability flow ODE; it chooses its steps.
    AdaptiveFlow,
    /// DDIM without noise.
    Ddim,
    /// DPM-Solver++(2M).
    DpmSolver,
    /// SDE-DPM-Solver++(2M).
    SdeDpmSolver,
    /// DEIS.
    ExponentialIntegrator,
    /// The stochastic sampler of Karras et al.
    Edm,
}

impl Sampler {
    /// With as many steps, where they can be chosen, or its own number.
    pub(super) fn with_steps(
        self,
        steps: Option<usize>,
    ) -> Result<Box<dyn scorebook::sample::Sampler>> {
        /// The sampler's default settings, but for the steps and what else is named.
        macro_rules! sampler {
            ($name:ident $(, $field:ident: $value:expr)*) => {{
                let usual = $name::default();
                Box::new($name { steps: steps.unwrap_or(usual.steps) $(, $field: $value)*, ..usual })
            }};
        }
        Ok(match self {
            Self::PredictorCorrector => sampler!(PredictorCorrector),
            Self::ReverseEulerMaruyama => sampler!(ReverseEulerMaruyama),
            Self::ReverseDiffusion => sampler!(ReverseDiffusion),
            Self::Ancestral => sampler!(Ancestral),
            Self::AnnealedLangevin => sampler!(AnnealedLangevinDynamics),
            Self::ProbabilityFlow => sampler!(ProbabilityFlow),
            Self::AdaptiveFlow if steps.is_some() => {
                bail!("--steps does not go with --sampler adaptive-flow, which chooses its steps")
            }
            Self::AdaptiveFlow => Box::new(AdaptiveFlow::default()),
            Self::Ddim => sampler!(Ddim),
            Self::DpmSolver => sampler!(DpmSolver),
            Self::SdeDpmSolver => sampler!(DpmSolver, noise: 1.0),
            Self::ExponentialIntegrator => sampler!(ExponentialIntegrator),
            Self::Edm => sampler!(EdmSampler),
        })
    }
}

/// The score to draw images from -1 to 1 with: its guesses at the image are cut to that range, without which few steps and
/// strong guidance go beyond it.
pub(super) fn of_images(score: impl Score + 'static, model: &Model) -> Result<Bounded> {
    Ok(Bounded::new(score, model.network().process(), (-1.0, 1.0))?)
}

impl Sample {
    /// The model's score of what was asked for.
    fn score(&self, model: &Model) -> Result<Bounded> {
        let mut attributes = vec![];
        for attribute in &self.attribute {
            let Some(pair) = attribute.split_once('=') else {
                bail!("--attribute is {attribute:?}; expected NAME=VALUE, such as hair=brown");
            };
            attributes.push(pair);
        }
        if attributes.is_empty() && self.class.is_empty() {
            if self.guidance.is_some() {
                bail!("--guidance needs something to guide to: --class or --attribute");
            }
            return of_images(model.clone(), model);
        }
        let labels = match self.class.is_empty() {
            true => model.labels(&attributes)?,
            false => {
                let of =
                    |class: &String| model.labels(&[&attributes[..], &[("class", class)]].concat());
                let rows = self.class.iter().map(of).collect::<scorebook::Result<Vec<_>>>()?;
                let in_turn: Vec<&Tensor> = rows.iter().cycle().take(self.n).collect();
                Tensor::cat(&in_turn, 0)?
            }
        };
        // Without guidance it is the score of what was asked for.
        let scale = self.guidance.unwrap_or(0.0);
        of_images(ClassifierFreeGuidance { score: model.clone(), labels, scale }, model)
    }

    /// Samples and writes the picture.
    pub fn execute(self) -> Result<ExitCode> {
        let device = device::open(&self.device)?;
        if self.n == 0 {
            bail!("--n is 0; expected at least 1 image");
        }
        let sampler = self.sampler.with_steps(self.steps)?;
        let extension = self.out.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if !matches!(extension, "png" | "svg") {
            bail!("--out is {}; expected a name that ends in .png or .svg", self.out.display());
        }
        let file = match self.model.is_dir() {
            true => self.model.join(super::train::MODEL),
            false => self.model.clone(),
        };
        let model = Model::load(&file, &device)?;
        eprintln!(
            "{}: {} of {}",
            file.display(),
            model.card.architecture.summary(),
            model.card.data
        );
        if model.card.shape.len() != 3 {
            bail!("{} gives points of shape {:?}, not images", file.display(), model.card.shape);
        }
        let shape = [&[self.n], model.card.shape.as_slice()].concat();
        let score = self.score(&model)?;
        interrupt::listen()?;
        let begun = Instant::now();
        let process = model.network().process();
        let generator = &mut Generator::new(self.seed);
        let drawn = sampler.sample(&process, &score, &shape, generator, &device)?;
        if drawn.interrupted {
            eprintln!("Interrupted; no picture was written.");
            return Ok(ExitCode::from(130));
        }
        let columns = match self.class.len() {
            0 | 1 => (self.n as f64).sqrt().ceil() as usize,
            classes => classes,
        };
        plot::image_grid(&drawn.x, (-1.0, 1.0), columns)?.save(&self.out)?;
        let (n, seconds) = (self.n, begun.elapsed().as_secs_f64());
        eprintln!(
            "{n} images, {} score evaluations each, {seconds:.1} s: {}",
            drawn.score_evaluations,
            self.out.display()
        );
        Ok(ExitCode::SUCCESS)
    }
}
