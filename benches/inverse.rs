//! Posterior samplers on measurements that another program has made. `benches/inverse_peers.py` runs it beside deepinv.
//!
//!     inverse METHOD STEPS SETTING MODEL PROBLEM OUT
//!
//! PROBLEM is a safetensors file with the measurements `y`, the standard deviation `std` of their noise, and one of `mask`
//! `[channels, height, width]`, `kernel` `[rows, columns]` and `factor`; OUT gets the images `x`, one of each posterior. It
//! prints the seconds. The methods with their settings:
//!
//!     dps        the step size ζ
//!     pi-gdm     the standard deviation s of the data
//!     diffpir    the weight λ
//!     ddrm       the share η of fresh noise
//!
//! `inverse score MODEL IN OUT` gives the model's `score` at the `x` and `t` of the file IN.

use scorebook::prelude::*;
use std::{collections::HashMap, time::Instant};

type Tensors = HashMap<String, Tensor>;

fn read(path: &str) -> scorebook::Result<Tensors> {
    Ok(candle_core::safetensors::load(path, &Device::Cpu)?)
}

fn write(name: &str, tensor: Tensor, path: &str) -> scorebook::Result<()> {
    Ok(candle_core::safetensors::save(&HashMap::from([(name, tensor)]), path)?)
}

fn measurement(problem: &Tensors) -> scorebook::Result<Measurement> {
    let number = |x: &Tensor| -> scorebook::Result<f64> {
        Ok(x.to_dtype(DType::F64)?.flatten_all()?.get(0)?.to_scalar()?)
    };
    let (y, std) = (&problem["y"], number(&problem["std"])?);
    if let Some(mask) = problem.get("mask") {
        return Measurement::new(Mask::new(mask)?, y, std);
    }
    if let Some(kernel) = problem.get("kernel") {
        let (_, _, height, width) = y.dims4()?;
        return Measurement::new(Blur::new(kernel, (height, width))?, y, std);
    }
    Measurement::new(Downsample { factor: number(&problem["factor"])? as usize }, y, std)
}

fn restore(arguments: &[String]) -> scorebook::Result<()> {
    let [method, steps, setting, model, problem, out] = arguments else {
        let expected = "METHOD STEPS SETTING MODEL PROBLEM OUT";
        return Err(scorebook::Error::argument("arguments", arguments.len(), expected));
    };
    let steps: usize = steps.parse().expect("a number of steps");
    let setting: f64 = setting.parse().expect("a number");
    let (model, problem) = (Model::load(model, &Device::Cpu)?, read(problem)?);
    let (process, measurement) = (model.card.process, measurement(&problem)?);
    let progress = false;
    let prior = Bounded::new(model.clone(), process, (-1.0, 1.0))?;
    let guidance = PiGdm { data_std: setting };
    let guided = PosteriorScore::new(prior.clone(), process, measurement.clone(), guidance);
    let (sampler, score): (Box<dyn Sampler>, &dyn Score) = match method.as_str() {
        "dps" => {
            let new = DpsSampler::new(measurement);
            (Box::new(DpsSampler { step: setting, steps, progress, ..new }), &prior)
        }
        "pi-gdm" => (Box::new(Ddim { steps, eta: 1.0, progress, ..Default::default() }), &guided),
        "diffpir" => {
            let new = DiffPir::new(measurement);
            (Box::new(DiffPir { weight: setting, steps, progress, ..new }), &prior)
        }
        "ddrm" => {
            (Box::new(Ddrm { eta: setting, steps, progress, ..Ddrm::new(measurement) }), &prior)
        }
        _ => {
            let expected = "dps, pi-gdm, diffpir or ddrm";
            return Err(scorebook::Error::argument("method", method, expected));
        }
    };
    let shape = [&problem["y"].dims()[..1], &model.card.shape].concat();
    let begun = Instant::now();
    let sample = sampler.sample(&process, score, &shape, &mut Generator::new(1), &Device::Cpu)?;
    println!("{:.2}", begun.elapsed().as_secs_f64());
    write("x", sample.x, out)
}

fn score(arguments: &[String]) -> scorebook::Result<()> {
    let [model, states, out] = arguments else {
        return Err(scorebook::Error::argument("arguments", arguments.len(), "MODEL IN OUT"));
    };
    let (model, states) = (Model::load(model, &Device::Cpu)?, read(states)?);
    write("score", model.score(&states["x"], &states["t"])?, out)
}

fn main() -> scorebook::Result<()> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "score" => score(rest),
        Some(_) => restore(&arguments),
        None => {
            println!("run by benches/inverse_peers.py");
            Ok(())
        }
    }
}
