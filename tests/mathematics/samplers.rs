//! All samplers: the law they reach, their orders, and where one of them is another.

// The macro `make!` serves structs with and without settings of their own.
#![allow(clippy::needless_update)]

use crate::*;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape};
use scorebook::{
    diffusion::NoisingProcess,
    distribution::Density,
    metrics::{ks_two_sample, sliced_wasserstein, values},
    sample::{
        AncestralVariance, Corrector, GaussianResponse, Predictor, Spacing, interpolate, spherical,
    },
    score::{MixtureScore, ScoreFunction},
    sde::FlowMethod,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A sampler that takes a number of steps, and what is known of it.
pub struct Entry {
    name: &'static str,
    /// The order of its law's error.
    order: f64,
    make: Make,
}

type Make = fn(Descent) -> Box<dyn Sampler>;

/// What the tests choose.
#[derive(Clone, Copy)]
pub struct Descent {
    pub steps: usize,
    pub spacing: Spacing,
    pub t_min: f64,
    pub denoise: bool,
    pub record: Option<usize>,
}

impl Default for Descent {
    fn default() -> Self {
        Self { steps: 200, spacing: Spacing::Uniform, t_min: 1e-3, denoise: true, record: None }
    }
}

/// `make!(Struct { field: value })`: a boxed sampler under the settings of a descent.
macro_rules! make {
    ($name:ident { $($field:ident: $value:expr),* }) => {
        |descent: Descent| {
            let Descent { steps, spacing, t_min, denoise, record } = descent;
            Box::new($name {
                steps, spacing, t_min, denoise, record,
                progress: false $(, $field: $value)*, ..Default::default()
            })
        }
    };
}

fn entries() -> Vec<Entry> {
    let entry = |name, order, make| Entry { name, order, make };
    vec![
        entry("reverse SDE", 1.0, make!(ReverseEulerMaruyama {})),
        entry("reverse SDE, λ = 0.5", 1.0, make!(ReverseEulerMaruyama { noise: 0.5 })),
        entry("reverse diffusion", 1.0, make!(ReverseDiffusion {})),
        entry("ancestral", 1.0, make!(Ancestral {})),
        entry(
            "ancestral, forward variance",
            1.0,
            make!(Ancestral { variance: AncestralVariance::Forward }),
        ),
        entry("flow, Euler", 1.0, make!(ProbabilityFlow { method: FlowMethod::Euler })),
        entry("flow, Heun", 2.0, make!(ProbabilityFlow {})),
        entry("flow, RK4", 4.0, make!(ProbabilityFlow { method: FlowMethod::RungeKutta4 })),
        entry("DDIM", 1.0, make!(Ddim {})),
        entry("DDIM, η = 0.5", 1.0, make!(Ddim { eta: 0.5 })),
        entry("DPM-Solver++ 1", 1.0, make!(DpmSolver { order: 1 })),
        entry("DPM-Solver++ 2M", 2.0, make!(DpmSolver {})),
        entry("SDE-DPM-Solver++ 2M", 2.0, make!(DpmSolver { noise: 1.0 })),
        entry("DEIS 0", 1.0, make!(ExponentialIntegrator { order: 0 })),
        entry("DEIS 1", 2.0, make!(ExponentialIntegrator { order: 1 })),
        entry("DEIS 2", 2.0, make!(ExponentialIntegrator { order: 2 })),
        entry("DEIS 3", 2.0, make!(ExponentialIntegrator { order: 3 })),
        entry("EDM without churn", 2.0, make!(EdmSampler { churn: 0.0 })),
        entry("EDM", 2.0, make!(EdmSampler { churn: 5.0 })),
    ]
}

/// A few steps of a corrector, so small that they widen the law by less than a test sees.
fn correctors() -> Vec<Entry> {
    vec![
        Entry {
            name: "reverse diffusion and Langevin",
            order: 1.0,
            make: make!(PredictorCorrector { predictor: Predictor::ReverseDiffusion, snr: 0.05 }),
        },
        Entry {
            name: "ancestral and annealed Langevin",
            order: 1.0,
            make: make!(PredictorCorrector {
                predictor: Predictor::Ancestral(AncestralVariance::Posterior),
                corrector: Corrector::AnnealedLangevin,
                snr: 0.05
            }),
        },
        Entry {
            name: "annealed Langevin alone",
            order: 1.0,
            make: make!(AnnealedLangevinDynamics { langevin_steps: 10, step: 0.2 }),
        },
    ]
}

/// All of them, with their names.
pub fn all(descent: Descent) -> Vec<(&'static str, Box<dyn Sampler>)> {
    let all = entries().into_iter().chain(correctors());
    all.map(|entry| (entry.name, (entry.make)(descent))).collect()
}

/// Noise with the exact law `p_T` of [`three`], so that only the sampler errs.
fn exact_noise(process: &dyn NoisingProcess, n: usize) -> Tensor {
    let end = process.horizon();
    let law = three().noised(process.mean_scale(end), process.std(end)).unwrap();
    law.sample(n, &mut Generator::new(150), CPU).unwrap()
}

/// The least p-value of Kolmogorov and Smirnov's two-sample test along four directions.
fn least_p_value(x: &Tensor, y: &Tensor) -> f64 {
    let along = |x: &Tensor, a: f64, b: f64| -> Vec<f64> {
        values(x).unwrap().chunks(2).map(|row| a * row[0] + b * row[1]).collect()
    };
    [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0)]
        .map(|(a, b)| ks_two_sample(&along(x, a, b), &along(y, a, b)).unwrap().p_value)
        .into_iter()
        .fold(1.0, f64::min)
}

/// Every sampler on every process, by a two-sample test at the level 10⁻⁸ along four directions and by the sliced
/// Wasserstein distance, which may be no more than 1.5 times the largest of ten distances between samples of the law.
/// (It hangs on the shares of the three components, whose deviations are normal: half as much again as the largest of ten
/// is more than five standard errors. A quarter taken from the score is beyond the first.)
#[test]
fn all_samplers_return_the_mixture() {
    let mut off = vec![];
    let n = 4000;
    let truth = three().sample(4 * n, &mut Generator::new(151), CPU).unwrap();
    let distance =
        |x: &Tensor| sliced_wasserstein(x, &truth, 40, &mut Generator::new(152)).unwrap();
    let floor = (0..10u64)
        .map(|i| distance(&three().sample(n, &mut Generator::new(160 + i), CPU).unwrap()))
        .fold(0.0, f64::max);
    for process in [
        Process::from(VariancePreserving::default()),
        VarianceExploding::exponential(25.0).unwrap().into(),
        SubVariancePreserving::default().into(),
    ] {
        let (score, noise) = (MixtureScore::new(three(), process), exact_noise(&process, n));
        let adaptive = AdaptiveFlow { progress: false, ..Default::default() };
        let mut samplers: Vec<(&str, Box<dyn Sampler>)> =
            vec![("adaptive flow", Box::new(adaptive))];
        for entry in entries().iter().chain(&correctors()) {
            let spacing = Spacing::Karras { rho: 7.0 };
            let descent = Descent { steps: 150, spacing, ..Default::default() };
            samplers.push((entry.name, (entry.make)(descent)));
        }
        for (name, sampler) in samplers {
            let generator = &mut Generator::new(153);
            let sample = sampler.sample_from(&process, &score, &noise, generator).unwrap();
            let (p, distance) = (least_p_value(&sample.x, &truth), distance(&sample.x));
            println!(
                "{name}, {process:?}: p {p:.1e}, distance {distance:.3} (floor {floor:.3}), {} evaluations",
                sample.score_evaluations
            );
            if p < 1e-8 || distance > 1.5 * floor {
                off.push((name, process, p, distance));
            }
        }
        let exact = score.clone();
        let wrong = ScoreFunction::new(move |x, t| Ok((exact.score(x, t)? * 0.75)?));
        let sampler = ProbabilityFlow { progress: false, ..Default::default() };
        let sample = sampler.decode(&process, &wrong, &noise).unwrap();
        assert!(least_p_value(&sample.x, &truth) < 1e-8);
    }
    assert!(off.is_empty(), "{off:?}");
}

/// The order of each sampler from `t = 1` to 0.05, in steps that double in number. Those with noise by their law on
/// Gaussian data, without a sample's error; those without by where they send each state, against Runge-Kutta in 2000
/// steps, on a mixture.
#[test]
fn orders_of_all_samplers() {
    let mut wrong = vec![];
    let mixture = Mixture::new([0.4, 0.6], [[-1.0], [1.5]], [0.5, 0.7]).unwrap();
    for process in [
        Process::from(VariancePreserving::new(0.5, 5.0).unwrap()),
        VarianceExploding::new(0.2, 4.0).unwrap().into(),
        SubVariancePreserving::new(0.5, 5.0).unwrap().into(),
    ] {
        let score = MixtureScore::new(mixture.clone(), process);
        let states: Vec<f64> =
            (-10..=10).map(|i| 0.2 * f64::from(i) * process.prior_std()).collect();
        let noise = Tensor::new(states, CPU).unwrap().unsqueeze(1).unwrap();
        let descent = Descent { steps: 2000, t_min: 0.05, denoise: false, ..Default::default() };
        let exact = make!(ProbabilityFlow { method: FlowMethod::RungeKutta4 }) as Make;
        let exact = exact(descent).decode(&process, &score, &noise).unwrap().x;
        for Entry { name, order, make } in entries() {
            let error = |steps: usize| {
                let sampler = make(Descent { steps, ..descent });
                if sampler.is_deterministic() {
                    let x = sampler.decode(&process, &score, &noise).unwrap().x;
                    mean(&values(&(x - &exact).unwrap().abs().unwrap()).unwrap())
                } else {
                    GaussianResponse::measure(&*sampler, &process, 1.5, 0.6).unwrap().error
                }
            };
            let errors = [50, 100, 200].map(|steps| (1.0 / steps as f64, error(steps)));
            let slope = log_slope(&errors);
            println!("{name}, {process:?}: order {slope:.3}, {errors:?}");
            if (slope - order).abs() > 0.25 || errors[0].1 > 0.2 {
                wrong.push((name, process, slope));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The response is the law: its mean and standard deviation against those of a sample, five standard errors.
#[test]
fn response_is_the_law_of_a_sample() {
    let process = VariancePreserving::default();
    let data = Mixture::new([1.0], [[1.5]], [0.6]).unwrap();
    let score = MixtureScore::new(data.clone(), process);
    let n = 100_000;
    let noise = data.noised(process.mean_scale(1.0), process.std(1.0)).unwrap();
    let noise = noise.sample(n, &mut Generator::new(154), CPU).unwrap();
    for sampler in [
        (make!(ReverseEulerMaruyama {}) as Make),
        make!(EdmSampler { churn: 5.0, noise: 1.05 }),
        make!(DpmSolver { noise: 1.0 }),
    ] {
        let sampler = sampler(Descent { steps: 10, t_min: 0.01, ..Default::default() });
        let response = GaussianResponse::measure(&*sampler, &process, 1.5, 0.6).unwrap();
        let x = sampler.sample_from(&process, &score, &noise, &mut Generator::new(155)).unwrap().x;
        let x = values(&x).unwrap();
        let (of_mean, of_std) = (mean(&x), variance(&x).sqrt());
        println!("{}: {response:?}, {of_mean:.4}, {of_std:.4}", sampler.name());
        let error = 5.0 * response.std / (n as f64).sqrt();
        assert!((of_mean - response.mean).abs() < error);
        assert!((of_std - response.std).abs() < error / 2f64.sqrt());
    }
    assert!(GaussianResponse::measure(&Ddim::default(), &process, 0.0, 0.0).is_err());
}

/// RK45: the error follows the tolerance, and so does the cost.
#[test]
fn adaptive_flow_keeps_its_tolerance() {
    let process = VariancePreserving::default();
    let measured = [1e-3, 1e-5, 1e-7, 1e-9].map(|tolerance| {
        let sampler = AdaptiveFlow {
            rtol: tolerance,
            atol: tolerance,
            denoise: false,
            progress: false,
            ..Default::default()
        };
        let response = GaussianResponse::measure(&sampler, &process, 1.5, 0.6).unwrap();
        println!("{tolerance:.0e}: {:.1e}, {}", response.error, response.score_evaluations);
        assert!(response.error < 10.0 * tolerance, "{tolerance}: {response:?}");
        (tolerance, response)
    });
    let slope = log_slope(&measured.map(|(tolerance, response)| (tolerance, response.error)));
    assert!((slope - 1.0).abs() < 0.25, "{slope}");
    assert!(measured[3].1.score_evaluations > 2 * measured[1].1.score_evaluations);
}

/// Langevin steps of finite size keep a variance that is too large by a share of `r²`: `v/(1 - r²)` for a Gaussian law
/// in one dimension, since there `ε = 2 r² v`.
#[test]
fn correctors_widen_the_law() {
    let process = VarianceExploding::exponential(25.0).unwrap();
    for snr in [0.15f64, 0.25, 0.4] {
        let sampler = PredictorCorrector {
            steps: 1,
            predictor: Predictor::Ancestral(AncestralVariance::Posterior),
            corrector_steps: (10.0 / snr.powi(2)) as usize,
            snr,
            t_min: 0.9,
            denoise: false,
            progress: false,
            ..Default::default()
        };
        let response = GaussianResponse::measure(&sampler, &process, 0.0, 0.6).unwrap();
        let variance = 0.36 + process.std(0.9).powi(2);
        let widening = response.std.powi(2) / variance - 1.0;
        let expected = snr.powi(2) / (1.0 - snr.powi(2));
        println!("r = {snr}: wider by {widening:.4}, expected {expected:.4}");
        // The norms are means over 10/r² rows and more, 60 at least, whose ratio strays by about a tenth; ε by twice as
        // much, but anew in each of as many steps.
        assert!((widening / expected - 1.0).abs() < 0.2, "{snr}: {widening} for {expected}");
    }
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (values(a).unwrap(), values(b).unwrap());
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Where one sampler is another: the same noise gives the same samples.
#[test]
fn samplers_that_are_the_same() {
    let mut other = vec![];
    let exploding = Process::from(VarianceExploding::new(0.05, 8.0).unwrap());
    let all =
        [VariancePreserving::default().into(), exploding, SubVariancePreserving::default().into()];
    let descent = Descent { steps: 12, t_min: 0.02, ..Default::default() };
    let pairs: [(&str, Make, Make, &[Process]); 8] = [
        ("DDIM, DEIS 0", make!(Ddim {}), make!(ExponentialIntegrator { order: 0 }), &all),
        ("DDIM, DPM-Solver++ 1", make!(Ddim {}), make!(DpmSolver { order: 1 }), &all),
        ("η = 1, ancestral", make!(Ddim { eta: 1.0 }), make!(Ancestral {}), &all),
        (
            "ancestral, SDE-DPM-Solver++ 1",
            make!(Ancestral {}),
            make!(DpmSolver { order: 1, noise: 1.0 }),
            &all,
        ),
        (
            "λ = 0, Euler",
            make!(ReverseEulerMaruyama { noise: 0.0 }),
            make!(ProbabilityFlow { method: FlowMethod::Euler }),
            &all,
        ),
        (
            "without corrector",
            make!(PredictorCorrector {
                predictor: Predictor::Ancestral(AncestralVariance::Forward),
                corrector_steps: 0
            }),
            make!(Ancestral { variance: AncestralVariance::Forward }),
            &all,
        ),
        (
            "corrector alone",
            make!(PredictorCorrector {
                predictor: Predictor::None,
                corrector: Corrector::AnnealedLangevin,
                corrector_steps: 3,
                snr: 0.2
            }),
            make!(AnnealedLangevinDynamics { langevin_steps: 3, step: 0.16 }),
            &all[1..2],
        ),
        // Without a predictor's step the exploding chain of SMLD has r = 1: reverse diffusion is ancestral but for σ̃.
        (
            "r = 1",
            make!(ReverseDiffusion {}),
            make!(Ancestral { variance: AncestralVariance::Forward }),
            &all[1..2],
        ),
    ];
    for (name, first, second, processes) in pairs {
        for process in processes {
            let score = MixtureScore::new(three(), *process);
            let noise = exact_noise(process, 50).to_dtype(DType::F64).unwrap();
            let run = |sampler: Box<dyn Sampler>| {
                let generator = &mut Generator::new(156);
                sampler.sample_from(process, &score, &noise, generator).unwrap().x
            };
            let difference = largest_difference(&run(first(descent)), &run(second(descent)));
            if difference.is_nan() || difference > 1e-9 {
                other.push((name, process, difference));
            }
        }
    }
    assert!(other.is_empty(), "{other:?}");
}

/// `σ(t) = t` without scaling, the process of Karras et al.
#[derive(Clone, Copy, Debug)]
struct Plain;

impl NoisingProcess for Plain {
    fn rate(&self, _: f64) -> f64 {
        0.0
    }

    fn dispersion(&self, t: f64) -> f64 {
        (2.0 * t).sqrt()
    }

    fn mean_scale(&self, _: f64) -> f64 {
        1.0
    }

    fn std(&self, t: f64) -> f64 {
        t
    }

    fn horizon(&self) -> f64 {
        80.0
    }

    fn prior_std(&self) -> f64 {
        80.0
    }
}

/// On `σ(t) = t` Karras et al.'s algorithm without churn is Heun's method for the flow, and DDIM is Euler's.
#[test]
fn edm_is_heun_where_time_is_noise() {
    let score = MixtureScore::new(three(), Plain);
    let noise = exact_noise(&Plain, 50).to_dtype(DType::F64).unwrap();
    let spacing = Spacing::Karras { rho: 7.0 };
    let descent = Descent { steps: 20, spacing, t_min: 0.01, ..Default::default() };
    for (first, second) in [
        (make!(EdmSampler { churn: 0.0 })(descent), make!(ProbabilityFlow {})(descent)),
        (make!(Ddim {})(descent), make!(ProbabilityFlow { method: FlowMethod::Euler })(descent)),
    ] as [(Box<dyn Sampler>, Box<dyn Sampler>); 2]
    {
        let first = first.decode(&Plain, &score, &noise).unwrap().x;
        let second = second.decode(&Plain, &score, &noise).unwrap().x;
        let difference = largest_difference(&first, &second);
        assert!(difference < 1e-8, "{difference}");
    }
}

/// The levels of `EDMEulerScheduler(sigma_min=0.002, sigma_max=80).set_timesteps(18)` of diffusers 0.42, and what the
/// other spacings space equally.
#[test]
fn spacings() {
    let times = Spacing::Karras { rho: 7.0 }.times(&Plain, 0.002, 17).unwrap();
    let published = [
        80.0, 57.58598, 40.78557, 28.37458, 19.35245, 12.91008, 8.400935, 5.315195, 3.256822,
        1.92334, 1.088171, 0.5853481, 0.2964423, 0.1395165, 0.05994731, 0.02293452, 0.00752802,
        0.002,
    ];
    for (time, level) in times.iter().zip(published) {
        assert!((time / level - 1.0).abs() < 1e-5, "{time} for {level}");
    }
    for process in processes() {
        let horizon = process.horizon();
        let equal: [(Spacing, &dyn Fn(f64) -> f64); 4] = [
            (Spacing::Uniform, &|t| t),
            (Spacing::Quadratic, &|t| t.sqrt()),
            (Spacing::LogSnr, &|t| (process.std(t) / process.mean_scale(t)).ln()),
            (Spacing::Karras { rho: 3.0 }, &|t| (process.std(t) / process.mean_scale(t)).cbrt()),
        ];
        for (spacing, scale) in equal {
            let times = spacing.times(&process, 0.01 * horizon, 13).unwrap();
            assert_eq!((times.len(), times[0], times[13]), (14, horizon, 0.01 * horizon));
            let step = (scale(times[13]) - scale(times[0])) / 13.0;
            for pair in times.windows(2) {
                let length = scale(pair[1]) - scale(pair[0]);
                assert!((length / step - 1.0).abs() < 1e-6, "{spacing:?}, {process:?}: {times:?}");
            }
        }
    }
}

/// To `t_min = 0`, where there is no noise left, and in both types of numbers.
#[test]
fn down_to_no_noise_in_either_type() {
    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let noise = exact_noise(&process, 100).to_dtype(DType::F64).unwrap();
    for entry in entries().iter().chain(&correctors()) {
        let steps = 30;
        let spacing = Spacing::Karras { rho: 7.0 };
        let descent = Descent { steps, spacing, t_min: 0.0, record: Some(8), ..Default::default() };
        let sampler = (entry.make)(descent);
        let run = |dtype| {
            let (noise, generator) = (noise.to_dtype(dtype).unwrap(), &mut Generator::new(157));
            sampler.sample_from(&process, &score, &noise, generator).unwrap()
        };
        let (double, single) = (run(DType::F64), run(DType::F32));
        assert_eq!((double.x.dtype(), single.x.dtype()), (DType::F64, DType::F32));
        assert_eq!(double.times.len(), 5, "{}", entry.name);
        assert_eq!(double.trajectory.unwrap().len(), 5);
        assert_eq!((double.times[0], double.times[4]), (1.0, 0.0));
        // The two have the same noise where none is drawn on the way.
        if sampler.is_deterministic() {
            let difference = largest_difference(&double.x, &single.x);
            assert!(difference < 2e-3, "{}: {difference}", entry.name);
        }
    }
}

#[test]
fn settings_out_of_range_are_errors() {
    let process = VariancePreserving::default();
    let score = ScoreFunction::new(|x, _| Ok(x.neg()?));
    let cases: [(Box<dyn Sampler>, &str); 13] = [
        (Box::new(Ddim { eta: -1.0, ..Default::default() }), "`eta` is -1; expected a number of"),
        (Box::new(Ddim { eta: 30.0, ..Default::default() }), "`eta` is 30; expected at most 1."),
        (Box::new(DpmSolver { order: 3, ..Default::default() }), "`order` is 3; expected 1 or 2"),
        (
            Box::new(DpmSolver { noise: f64::NAN, ..Default::default() }),
            "`noise` is NaN; expected a number of at least 0",
        ),
        (
            Box::new(DpmSolver { t_min: 0.0, ..Default::default() }),
            "`t_min` is 0; expected a positive time",
        ),
        (
            Box::new(ExponentialIntegrator { order: 4, ..Default::default() }),
            "`order` is 4; expected 0 to 3",
        ),
        (
            Box::new(EdmSampler { churn: -1.0, ..Default::default() }),
            "`churn` is -1; expected a number",
        ),
        (
            Box::new(EdmSampler { levels: (f64::NAN, 1.0), ..Default::default() }),
            "`levels` is (NaN, 1.0); expected two numbers",
        ),
        (
            Box::new(EdmSampler { spacing: Spacing::Karras { rho: 0.0 }, ..Default::default() }),
            "`rho` is 0; expected a positive number",
        ),
        (
            Box::new(AnnealedLangevinDynamics { langevin_steps: 0, ..Default::default() }),
            "`langevin_steps` is 0; expected at least 1",
        ),
        (
            Box::new(AnnealedLangevinDynamics { step: 0.0, ..Default::default() }),
            "`step` is 0; expected a positive number",
        ),
        (
            Box::new(AdaptiveFlow { record: Some(0), ..Default::default() }),
            "`record` is 0; expected at least 1",
        ),
        (
            Box::new(AdaptiveFlow { rtol: 0.0, ..Default::default() }),
            "`rtol` is 0e0; expected a number of at least",
        ),
    ];
    for (sampler, expected) in cases {
        let generator = &mut Generator::new(159);
        let error = sampler.sample(&process, &score, &[2, 2], generator, CPU).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let x = Tensor::zeros((2, 2), DType::F32, CPU).unwrap();
    let error = ReverseDiffusion::default().encode(&process, &score, &x).unwrap_err().to_string();
    assert!(error.starts_with("`sampler` is reverse diffusion; expected one without"), "{error}");
    let sampler = Ddim { t_min: 0.0, ..Default::default() };
    let error = sampler.encode(&process, &score, &x).unwrap_err().to_string();
    assert!(error.starts_with("`t_min` is 0; expected a time with noise"), "{error}");
    let error = spherical(&x, &x, 1.5).unwrap_err().to_string();
    assert_eq!(error, "`share` is 1.5; expected a number in [0, 1]");
    assert!(spherical(&x, &x.narrow(1, 0, 1).unwrap(), 0.5).is_err());
}

/// There and back: the error is that of the steps, and falls with their order.
#[test]
fn encoded_and_decoded() {
    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let data = three().sample(200, &mut Generator::new(170), CPU).unwrap();
    let data = data.to_dtype(DType::F64).unwrap();
    let deterministic: [(&str, f64, Make); 4] = [
        ("flow, RK4", 4.0, make!(ProbabilityFlow { method: FlowMethod::RungeKutta4 })),
        ("DDIM", 1.0, make!(Ddim {})),
        ("DPM-Solver++", 2.0, make!(DpmSolver {})),
        ("EDM", 2.0, make!(EdmSampler { churn: 0.0 })),
    ];
    for (name, order, make) in deterministic {
        let error = |steps| {
            let spacing = Spacing::LogSnr;
            let descent = Descent { steps, spacing, denoise: false, ..Default::default() };
            let sampler = make(descent);
            let noise = sampler.encode(&process, &score, &data).unwrap();
            assert_eq!(noise.times, [1.0]);
            let again = sampler.decode(&process, &score, &noise.x).unwrap();
            let mut errors = values(&(&again.x - &data).unwrap().abs().unwrap()).unwrap();
            // The median: a state between two components may come back to the other one.
            errors.sort_by(f64::total_cmp);
            errors[errors.len() / 2]
        };
        let errors = [160, 320, 640].map(|steps| (1.0 / steps as f64, error(steps)));
        let slope = log_slope(&errors);
        println!("{name}: there and back {errors:?}, slope {slope:.2}");
        // The errors of the two ways cancel in part, so the order may be one better.
        assert!(slope > order - 0.3 && errors[2].1 < 0.02, "{name}: {slope}, {errors:?}");
    }
    // What is encoded has the law of the noise.
    let sampler = ProbabilityFlow { progress: false, ..Default::default() };
    let many = three().sample(4000, &mut Generator::new(171), CPU).unwrap();
    let noise = sampler.encode(&process, &score, &many).unwrap().x;
    let normal = Generator::new(172).normal((16_000, 2), CPU).unwrap();
    assert!(least_p_value(&noise, &normal) > 1e-8);
    assert!(least_p_value(&many, &normal) < 1e-8);
}

/// On the great circle the length stays; what lies between two samples lies in the law.
#[test]
fn between_two_samples() {
    let generator = &mut Generator::new(173);
    let (a, b) = (
        generator.normal((20, 3, 50), CPU).unwrap().to_dtype(DType::F64).unwrap(),
        generator.normal((20, 3, 50), CPU).unwrap().to_dtype(DType::F64).unwrap(),
    );
    let lengths =
        |x: &Tensor| values(&x.flatten_from(1).unwrap().sqr().unwrap().sum(1).unwrap()).unwrap();
    let middle = spherical(&a, &b, 0.5).unwrap();
    let straight = ((&a + &b).unwrap() * 0.5).unwrap();
    for ((length, ends), short) in
        lengths(&middle).iter().zip(lengths(&a).iter().zip(lengths(&b))).zip(lengths(&straight))
    {
        let expected = 0.5 * (ends.0 + ends.1);
        assert!((length / expected - 1.0).abs() < 0.03 && short / expected < 0.7);
    }
    assert!(largest_difference(&spherical(&a, &b, 0.0).unwrap(), &a) < 1e-12);
    assert!(largest_difference(&spherical(&a, &b, 1.0).unwrap(), &b) < 1e-12);
    assert!(largest_difference(&spherical(&a, &a, 0.3).unwrap(), &a) < 1e-12);

    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let data = three().sample(4000, generator, CPU).unwrap();
    let (a, b) = (data.narrow(0, 0, 2000).unwrap(), data.narrow(0, 2000, 2000).unwrap());
    let sampler = ProbabilityFlow { denoise: false, progress: false, ..Default::default() };
    let between = interpolate(&sampler, &process, &score, &a, &b, &[0.0, 0.5]).unwrap();
    assert!(largest_difference(&between.get(0).unwrap(), &a) < 0.02);
    // The shortest distance to a mean, in units of its standard deviation: small for data, large for the straight middle.
    let stray = |x: &Tensor| {
        let far = values(x)
            .unwrap()
            .chunks(2)
            .filter(|x| {
                three()
                    .means()
                    .zip(three().stds())
                    .all(|(mean, std)| (x[0] - mean[0]).hypot(x[1] - mean[1]) > 4.0 * std)
            })
            .count();
        far as f64 / 2000.0
    };
    let straight = ((&a + &b).unwrap() * 0.5).unwrap();
    println!(
        "strays: {} on the great circle, {} on the straight line",
        stray(&between.get(1).unwrap()),
        stray(&straight)
    );
    assert!(stray(&between.get(1).unwrap()) < 0.1 && stray(&straight) > 0.4);
}

/// Counts in the graph's memory: made with a score's result, gone with the last tensor that hangs on it.
struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl CustomOp1 for Alive {
    fn name(&self) -> &'static str {
        "alive"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((x.clone(), layout.shape().clone()))
    }
}

/// With a score whose result hangs on a variable: a sampler that did not cut the graph would keep every step of the way in
/// memory. Within a step there are up to seven stages.
#[test]
fn no_sampler_keeps_the_graph_of_the_steps_before() {
    let process = VariancePreserving::default();
    let weight = candle_core::Var::new(1f32, CPU).unwrap();
    let mut all = all(Descent { steps: 60, ..Default::default() });
    all.push(("adaptive", Box::new(AdaptiveFlow { progress: false, ..Default::default() })));
    for (name, sampler) in all {
        let (weight, alive) = (weight.as_tensor().clone(), Arc::new(AtomicUsize::new(0)));
        let most = Arc::new(AtomicUsize::new(0));
        let (counted, largest) = (alive.clone(), most.clone());
        let score = ScoreFunction::new(move |x, _| {
            let now = counted.fetch_add(1, Ordering::Relaxed) + 1;
            largest.fetch_max(now, Ordering::Relaxed);
            Ok(x.broadcast_mul(&weight)?.neg()?.contiguous()?.apply_op1(Alive(counted.clone()))?)
        });
        let sample =
            sampler.sample(&process, &score, &[8, 2], &mut Generator::new(1), CPU).unwrap();
        assert!(sample.score_evaluations >= 40, "{name}: {}", sample.score_evaluations);
        let most = most.load(Ordering::Relaxed);
        assert!(most <= 8, "{name}: {most} evaluations were held at once");
        assert!(!sample.x.track_op(), "{name}");
    }
}
