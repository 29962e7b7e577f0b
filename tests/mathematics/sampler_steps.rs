//! The steps of samplers for fixed noise, against diffusers' schedulers and score_sde's predictors and correctors.
//!
//! `tests/golden/samplers.py` made `tests/golden/samplers.json`.

use crate::*;
use scorebook::{
    Result,
    diffusion::NoisingProcess,
    metrics::values,
    sample::{AncestralVariance, Corrector, Predictor},
};
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Deserialize)]
struct Golden {
    noise: Vec<f64>,
    start: Vec<Vec<f64>>,
    cases: HashMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    alphas: Vec<f64>,
    sigmas: Vec<f64>,
    /// After each step.
    states: Vec<Vec<Vec<f64>>>,
}

/// A chain as a process: its kernels `N(α_k x0, σ_k²)` at whole times, straight lines between them.
#[derive(Clone, Debug)]
struct Chain {
    alphas: Vec<f64>,
    sigmas: Vec<f64>,
}

fn between(values: &[f64], t: f64) -> f64 {
    let k = (t.floor() as usize).min(values.len() - 2);
    values[k] + (t - k as f64) * (values[k + 1] - values[k])
}

impl NoisingProcess for Chain {
    fn rate(&self, t: f64) -> f64 {
        (self.mean_scale(t) / self.mean_scale(t - 1.0)).ln()
    }

    fn dispersion(&self, _: f64) -> f64 {
        f64::NAN
    }

    fn mean_scale(&self, t: f64) -> f64 {
        between(&self.alphas, t)
    }

    fn std(&self, t: f64) -> f64 {
        between(&self.sigmas, t)
    }

    fn horizon(&self) -> f64 {
        (self.alphas.len() - 1) as f64
    }

    fn prior_std(&self) -> f64 {
        1.0
    }
}

/// The score that `samplers.py` gives to a scheduler: `ε = 0.8 tanh x + 0.05 k`, or of `edm`'s denoiser.
struct Invented {
    chain: Chain,
    edm: bool,
}

impl Score for Invented {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let k = values(t)?[0];
        let sigma = self.chain.std(k);
        if self.edm {
            let denoised = (x.tanh()? / (1.0 + sigma))?;
            return Ok(((denoised - x)? / sigma.powi(2))?);
        }
        Ok((x.tanh()?.affine(0.8, 0.05 * k)? / -sigma)?)
    }
}

#[test]
fn steps_of_diffusers_and_score_sde() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/samplers.json")).unwrap();
    let mut drawn = vec![0.0; golden.noise.len()];
    Generator::new(7).fill_normal_f64(&mut drawn);
    for (drawn, noise) in drawn.iter().zip(&golden.noise) {
        assert!((drawn - noise).abs() < 1e-14, "make samplers.json anew with {drawn} for {noise}");
    }
    let pair = |predictor, corrector, snr: f64| {
        let corrector_steps = usize::from(snr > 0.0);
        let snr = if snr > 0.0 { snr } else { 1.0 };
        PredictorCorrector { predictor, corrector, corrector_steps, snr, ..Default::default() }
    };
    let ancestral = |variance| Ancestral { variance, ..Default::default() };
    let dpm = |noise| DpmSolver { noise, ..Default::default() };
    let deis = |order| ExponentialIntegrator { order, ..Default::default() };
    let ddim = |eta| Ddim { eta, ..Default::default() };
    let forward = Predictor::Ancestral(AncestralVariance::Forward);
    let (langevin, annealed) = (Corrector::Langevin, Corrector::AnnealedLangevin);
    let edm = EdmSampler {
        steps: 5,
        churn: 0.8,
        levels: (0.03, 2.0),
        noise: 1.003,
        ..Default::default()
    };
    // Each under the chain's own times: whole numbers.
    macro_rules! stepped {
        ($sampler:expr) => {
            Box::new(move |steps: usize, t_min: f64| -> Box<dyn Sampler> {
                let usual = $sampler;
                Box::new(Stepped { steps, t_min, usual })
            })
        };
    }
    type Make<'a> = Box<dyn Fn(usize, f64) -> Box<dyn Sampler> + 'a>;
    let expected: Vec<(&str, Make)> = vec![
        ("DDPMScheduler fixed_small", stepped!(ancestral(AncestralVariance::Posterior))),
        ("DDPMScheduler fixed_large", stepped!(ancestral(AncestralVariance::Forward))),
        ("DDIMScheduler 0.0", stepped!(ddim(0.0))),
        ("DDIMScheduler 0.6", stepped!(ddim(0.6))),
        ("DDIMScheduler 1.0", stepped!(ddim(1.0))),
        ("DPMSolverMultistepScheduler dpmsolver++ sigma_min", stepped!(dpm(0.0))),
        ("DPMSolverMultistepScheduler dpmsolver++ zero", stepped!(dpm(0.0))),
        ("DPMSolverMultistepScheduler sde-dpmsolver++ sigma_min", stepped!(dpm(1.0))),
        ("DPMSolverMultistepScheduler sde-dpmsolver++ zero", stepped!(dpm(1.0))),
        ("DEISMultistepScheduler 1", stepped!(deis(0))),
        ("DEISMultistepScheduler 2", stepped!(deis(1))),
        ("DEISMultistepScheduler 3", stepped!(deis(2))),
        ("EulerDiscreteScheduler", stepped!(ddim(0.0))),
        ("HeunDiscreteScheduler", stepped!(EdmSampler { churn: 0.0, ..Default::default() })),
        ("ScoreSdeVeScheduler", stepped!(pair(Predictor::ReverseDiffusion, langevin, 0.15))),
        ("score_sde reverse diffusion", stepped!(ReverseDiffusion::default())),
        ("score_sde ancestral", stepped!(ancestral(AncestralVariance::Forward))),
        (
            "score_sde reverse diffusion, langevin",
            stepped!(pair(Predictor::ReverseDiffusion, langevin, 0.16)),
        ),
        ("score_sde ancestral, ald", stepped!(pair(forward, annealed, 0.16))),
        ("score_sde none, langevin", stepped!(pair(Predictor::None, langevin, 0.16))),
        ("score_sde ancestral of VESDE", stepped!(ancestral(AncestralVariance::Posterior))),
        ("edm_sampler", stepped!(edm.clone())),
    ];
    assert_eq!(expected.len(), golden.cases.len());
    let mut wrong = vec![];
    for (name, make) in expected {
        let Case { alphas, sigmas, states } = &golden.cases[name];
        let chain = Chain { alphas: alphas.clone(), sigmas: sigmas.clone() };
        let scale = if name.contains("Discrete") || name.contains("SdeVe") { 10.0 } else { 1.0 };
        let start = Tensor::new(golden.start.clone(), CPU).unwrap();
        let start = (start * scale).unwrap();
        let steps = states.len();
        let sampler = make(steps, chain.horizon() - steps as f64);
        let score = Invented { chain: chain.clone(), edm: name == "edm_sampler" };
        let sample = sampler.sample_from(&chain, &score, &start, &mut Generator::new(7)).unwrap();
        let trajectory = sample.trajectory.unwrap();
        assert_eq!(trajectory.len(), steps + 1, "{name}");
        let mut worst = 0f64;
        for (state, expected) in trajectory[1..].iter().zip(states) {
            let (state, expected) = (values(state).unwrap(), expected.concat());
            for (x, y) in state.iter().zip(&expected) {
                worst = worst.max((x - y).abs() / (1.0 + y.abs()));
            }
        }
        println!("{name}: {worst:.1e}");
        // Some schedulers compute in float32.
        let tolerance = if name.contains("Scheduler") { 2e-6 } else { 1e-12 };
        if worst.is_nan() || worst > tolerance {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A sampler that goes down by ones, without a last denoising, and keeps all states.
#[derive(Debug)]
struct Stepped<S> {
    steps: usize,
    t_min: f64,
    usual: S,
}

impl<S: Sampler> Sampler for Stepped<S> {
    fn name(&self) -> &'static str {
        self.usual.name()
    }

    fn descent(&self) -> scorebook::sample::Descent {
        scorebook::sample::Descent {
            steps: self.steps,
            spacing: Spacing::Uniform,
            t_min: self.t_min,
            denoise: false,
            record: Some(1),
            progress: false,
        }
    }

    fn run(
        &self,
        way: &scorebook::sample::Way,
        start: &Tensor,
        generator: &mut Generator,
    ) -> Result<scorebook::sde::Solution> {
        self.usual.run(way, start, generator)
    }
}
