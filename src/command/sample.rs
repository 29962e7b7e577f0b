//! `scorebook sample`: images from noise, by a trained model.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use scorebook::random::Generator;
use scorebook::sample::{
    PredictorCorrector, ProbabilityFlow, ReverseEulerMaruyama, Sample as Drawn,
};
use scorebook::score::Model;
use scorebook::{device, interrupt, plot};

/// Draw images from a trained model.
#[derive(Args)]
#[command(after_help = "Examples:
  scorebook sample runs/fashion --out garments.png
  scorebook sample runs/fashion --sampler probability-flow --steps 50 --out flow.png")]
pub struct Sample {
    /// The folder of a training, or a model file.
    model: PathBuf,
    /// How many images.
    #[arg(long, default_value_t = 64)]
    n: usize,
    /// The sampler.
    #[arg(long, value_enum, default_value_t = Sampler::PredictorCorrector)]
    sampler: Sampler,
    /// Steps from noise to data [default: 500, for the probability flow 100]
    #[arg(long)]
    steps: Option<usize>,
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
enum Sampler {
    /// Euler-Maruyama along the reverse SDE, with one Langevin step at each time.
    PredictorCorrector,
    /// Euler-Maruyama along the reverse SDE.
    ReverseEulerMaruyama,
    /// Heun's method along the probability flow ODE.
    ProbabilityFlow,
}

impl Sample {
    /// Samples and writes the picture.
    pub fn execute(self) -> Result<ExitCode> {
        let device = device::open(&self.device)?;
        if self.n == 0 {
            bail!("--n is 0; expected at least 1 image");
        }
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
        interrupt::listen()?;
        let begun = Instant::now();
        let drawn = self.draw(&model, shape, &device)?;
        if drawn.interrupted {
            eprintln!("Interrupted; no picture was written.");
            return Ok(ExitCode::from(130));
        }
        let columns = (self.n as f64).sqrt().ceil() as usize;
        plot::image_grid(&drawn.x, (-1.0, 1.0), columns)?.save(&self.out)?;
        let (n, seconds) = (self.n, begun.elapsed().as_secs_f64());
        eprintln!(
            "{n} images, {} score evaluations each, {seconds:.1} s: {}",
            drawn.score_evaluations,
            self.out.display()
        );
        Ok(ExitCode::SUCCESS)
    }

    fn draw(
        &self,
        model: &Model,
        shape: Vec<usize>,
        device: &candle_core::Device,
    ) -> Result<Drawn> {
        let process = model.network().process();
        let generator = &mut Generator::new(self.seed);
        Ok(match self.sampler {
            Sampler::PredictorCorrector => {
                let sampler = PredictorCorrector::default();
                let steps = self.steps.unwrap_or(sampler.steps);
                PredictorCorrector { steps, ..sampler }
                    .sample(&process, model, shape, generator, device)?
            }
            Sampler::ReverseEulerMaruyama => {
                let sampler = ReverseEulerMaruyama::default();
                let steps = self.steps.unwrap_or(sampler.steps);
                ReverseEulerMaruyama { steps, ..sampler }
                    .sample(&process, model, shape, generator, device)?
            }
            Sampler::ProbabilityFlow => {
                let sampler = ProbabilityFlow::default();
                let steps = self.steps.unwrap_or(sampler.steps);
                ProbabilityFlow { steps, ..sampler }
                    .sample(&process, model, shape, generator, device)?
            }
        })
    }
}
