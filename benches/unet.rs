//! The U-Net of Song's tutorial on a batch of 64 images of 28×28: training, the network alone, sampling.
//! `benches/unet_peers.py` runs it beside PyTorch.
//!
//! `unet CASE TIMES` answers every line of its input with the seconds of so many runs of the case, and the end of its
//! input with the most memory that the process held. Alone (`cargo bench --bench unet`) it runs every case five times
//! and prints the medians in milliseconds a run. The cases:
//!
//!     train      one training step: loss, gradients, clipping, Adam, moving average
//!     forward    the network without a graph
//!     stock      the same training step by candle's own ops and optimiser, without clipping and moving average
//!     corrector  one step of predictor-corrector, two evaluations of the network
//!     sample     64 images by the reverse SDE in 500 steps
//!     residual-train, residual-forward
//!                the same of the residual U-Net with attention, 1.1 million parameters, on the same images
//!     long       64 images in 1,000 steps of the reverse SDE: for the memory that it takes
//!     data       the test images of Fashion-MNIST from the disk, 10,000 of them

mod measure;
mod stock;

use scorebook::prelude::*;

const BATCH: usize = 64;

fn contestant(case: &str) -> scorebook::Result<Box<dyn FnMut() -> scorebook::Result<()>>> {
    let device = Device::Cpu;
    let mut generator = Generator::new(1);
    let process = VarianceExploding::exponential(25.0)?;
    let network = Unet::new(UnetSettings::default(), process.into(), &mut generator, &device)?;
    let residual = ResidualUnetSettings::default();
    let residual = ResidualUnet::new(residual, process.into(), &mut generator, &device)?;
    let images = generator.uniform(0.0, 1.0, (BATCH, 1, 28, 28), &device)?;
    Ok(match case {
        "train" => {
            let settings = TrainingSettings { batch: BATCH, ..Default::default() };
            let mut training = Training::new(&network, settings)?;
            Box::new(move || training.run(&images, 1, |_| {}).map(drop))
        }
        "stock" => {
            let mut training = stock::Training::new(&mut generator)?;
            Box::new(move || Ok(training.step(&images)?))
        }
        "residual-train" => {
            let settings = TrainingSettings { batch: BATCH, ..Default::default() };
            let mut training = Training::new(&residual, settings)?;
            Box::new(move || training.run(&images, 1, |_| {}).map(drop))
        }
        "forward" => Box::new(move || forward(&network, &images, &mut generator)),
        "residual-forward" => Box::new(move || forward(&residual, &images, &mut generator)),
        "corrector" => {
            let sampler = PredictorCorrector {
                steps: 1,
                t_min: 0.9,
                denoise: false,
                progress: false,
                ..Default::default()
            };
            Box::new(move || {
                sampler.sample_from(&process, &network, &images, &mut generator).map(drop)
            })
        }
        "sample" | "long" => {
            let steps = if case == "long" { 1000 } else { 500 };
            let sampler = ReverseEulerMaruyama { steps, progress: false, ..Default::default() };
            Box::new(move || {
                let shape = [BATCH, 1, 28, 28];
                sampler.sample(&process, &network, &shape, &mut generator, &device).map(drop)
            })
        }
        "data" => Box::new(|| {
            std::hint::black_box(FashionMnist::default().load(Split::Test)?);
            Ok(())
        }),
        _ => {
            let cases = "train, stock, forward, residual-train, residual-forward, corrector, sample, long or data";
            return Err(scorebook::Error::argument("case", case, cases));
        }
    })
}

fn forward(network: &dyn Network, x: &Tensor, generator: &mut Generator) -> scorebook::Result<()> {
    let t = generator.uniform(1e-5, 1.0, BATCH, &Device::Cpu)?;
    std::hint::black_box(network.score(x, &t)?);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [case, times] = &arguments[..] {
        let (mut run, times): (_, usize) = (contestant(case)?, times.parse()?);
        return measure::serve(|| (0..times).try_for_each(|_| run()));
    }
    for case in
        ["train", "forward", "residual-train", "residual-forward", "corrector", "data", "stock"]
    {
        let mut run = contestant(case)?;
        run()?;
        let mut seconds = (0..5)
            .map(|_| Ok(measure::timed(&mut run)?.0))
            .collect::<scorebook::Result<Vec<_>>>()?;
        seconds.sort_by(f64::total_cmp);
        println!("{case:10} {:8.1} ms", seconds[2] * 1e3);
    }
    Ok(())
}
