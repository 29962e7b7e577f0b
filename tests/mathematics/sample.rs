use crate::*;
use scorebook::{
    diffusion::{ForwardSde, NoisingProcess},
    distribution::Density,
    metrics::values,
    path::time_grid,
    random::Generator,
    score::{MixtureScore, Score, ScoreFunction},
    sde::{EulerMaruyama, FlowMethod},
};

fn quiet() -> ReverseEulerMaruyama {
    ReverseEulerMaruyama { progress: false, ..Default::default() }
}

fn quiet_flow() -> ProbabilityFlow {
    ProbabilityFlow { progress: false, ..Default::default() }
}

/// How far a sample is from [`three`], in units of what is allowed: weights, means and covariances of the components
/// may be off by five standard errors and 1 %.
fn distance_from_three(sample: &Sample) -> f64 {
    let x = sample.x.to_dtype(DType::F64).unwrap().to_vec2::<f64>().unwrap();
    let mixture = three();
    let centres: Vec<&[f64]> = mixture.means().collect();
    let mut worst = 0f64;
    for (k, (weight, std)) in mixture.weights().iter().zip(mixture.stds()).enumerate() {
        let to = |x: &[f64], k: usize| -> f64 {
            x.iter().zip(centres[k]).map(|(x, m)| (x - m).powi(2)).sum()
        };
        let own: Vec<&Vec<f64>> =
            x.iter().filter(|x| (0..centres.len()).all(|j| to(x, k) <= to(x, j))).collect();
        let (n, total) = (own.len() as f64, x.len() as f64);
        let mut compare = |value: f64, expected: f64, error: f64, scale: f64| {
            worst = worst.max((value - expected).abs() / (5.0 * error + 0.01 * scale));
        };
        compare(n / total, *weight, (weight * (1.0 - weight) / total).sqrt(), *weight);
        let column = |i: usize| own.iter().map(|x| x[i]).collect::<Vec<f64>>();
        let (first, second) = (column(0), column(1));
        for (values, centre) in [&first, &second].into_iter().zip(centres[k]) {
            compare(mean(values), *centre, std / n.sqrt(), *std);
            compare(variance(values), std * std, std * std * (2.0 / n).sqrt(), std * std);
        }
        compare(covariance(&first, &second), 0.0, std * std / n.sqrt(), std * std);
    }
    worst
}

/// Noise with the exact law `p_T`, so that only the sampler errs.
fn exact_noise(process: &dyn NoisingProcess, n: usize) -> Tensor {
    let end = process.horizon();
    let law = three().noised(process.mean_scale(end), process.std(end)).unwrap();
    law.sample(n, &mut Generator::new(50), CPU).unwrap()
}

#[test]
fn samplers_return_the_mixture() {
    for process in [
        Process::from(VariancePreserving::default()),
        VarianceExploding::exponential(25.0).unwrap().into(),
        SubVariancePreserving::default().into(),
    ] {
        let (score, noise) = (MixtureScore::new(three(), process), exact_noise(&process, 20_000));
        let generator = &mut Generator::new(51);
        let sample = quiet().sample_from(&process, &score, &noise, generator).unwrap();
        assert_eq!(sample.score_evaluations, 501);
        let distance = distance_from_three(&sample);
        println!("reverse SDE, {process:?}: {distance:.2} of what is allowed");
        assert!(distance < 1.0, "reverse SDE, {process:?}: {distance}");
        let sample = quiet_flow().decode(&process, &score, &noise).unwrap();
        assert_eq!(sample.score_evaluations, 201);
        let distance = distance_from_three(&sample);
        println!("flow, {process:?}: {distance:.2} of what is allowed");
        assert!(distance < 1.0, "flow, {process:?}: {distance}");
    }
}

/// Langevin dynamics with steps of finite size keeps a law that is too wide by about `snr²`: small steps here.
#[test]
fn predictor_corrector_returns_the_mixture() {
    let process = VariancePreserving::default();
    let (score, noise) = (MixtureScore::new(three(), process), exact_noise(&process, 20_000));
    let sampler = PredictorCorrector { snr: 0.04, progress: false, ..Default::default() };
    let sample = sampler.sample_from(&process, &score, &noise, &mut Generator::new(52)).unwrap();
    assert_eq!(sample.score_evaluations, 1001);
    let distance = distance_from_three(&sample);
    println!("predictor-corrector: {distance:.2} of what is allowed");
    assert!(distance < 1.0, "{distance}");
}

/// Scores that are wrong by a little give samples that are told apart.
#[test]
fn wrong_scores_are_noticed() {
    let process = VariancePreserving::default();
    let noise = exact_noise(&process, 20_000);
    for factor in [0.9, 1.1] {
        let exact = MixtureScore::new(three(), process);
        let wrong = ScoreFunction::new(move |x, t| Ok((exact.score(x, t)? * factor)?));
        let sample = quiet_flow().decode(&process, &wrong, &noise).unwrap();
        assert!(distance_from_three(&sample) > 2.0, "{factor}");
    }
}

const PATHS: usize = 100_000;

/// Note 001's process on Gaussian data, `p_0 = N(0, 2)`, `β = σ = T = 1`, with its score and noise of the law `p_T`.
fn note_001() -> (OrnsteinUhlenbeck, MixtureScore, Tensor) {
    let process = OrnsteinUhlenbeck::new(1.0, 1.0, 1.0).unwrap();
    let data = Mixture::new([1.0], [[0.0]], [2f64.sqrt()]).unwrap();
    let noise = data.noised(process.mean_scale(1.0), process.std(1.0)).unwrap();
    let noise = noise.sample(PATHS, &mut Generator::new(53), CPU).unwrap();
    (process, MixtureScore::new(data, process), noise)
}

/// `(variance of the second, covariance of both)`.
fn moments(start: &Tensor, end: &Tensor) -> (f64, f64) {
    let (start, end) = (values(start).unwrap(), values(end).unwrap());
    (variance(&end), covariance(&start, &end))
}

/// Five standard errors of the variance 2 from [`PATHS`] paths.
fn variance_tolerance() -> f64 {
    5.0 * 2.0 * (2.0 / PATHS as f64).sqrt()
}

/// The joint law tells the flow from the SDEs: `Cov(X_0, X_T)` is 0.7358 forward and for the reverse SDE, 1.186 for
/// the flow (errata to note 001, line 245).
#[test]
fn joint_laws_of_the_three_ways() {
    let (process, score, noise) = note_001();
    let of_sdes = 2.0 * (-1f64).exp();
    let variance_of_noise = 2.0 * (-2f64).exp() + 0.5 * (1.0 - (-2f64).exp());
    let of_flow = (2.0 * variance_of_noise).sqrt();
    let tolerance = |covariance: f64| {
        5.0 * ((2.0 * variance_of_noise + covariance.powi(2)) / PATHS as f64).sqrt()
    };

    let data = (Generator::new(54).normal((PATHS, 1), CPU).unwrap() * 2f64.sqrt()).unwrap();
    let times = time_grid(0.0, 1.0, 200).unwrap();
    let solver = EulerMaruyama::default();
    let end = solver.solve(&ForwardSde(process), &data, &times, &mut Generator::new(55)).unwrap();
    let (_, covariance) = moments(&data, &end.x);
    println!("forward: covariance {covariance:.4} for {of_sdes:.4}");
    // Of the method itself (1 - Δt)^200, for e^(-1).
    assert!((covariance - of_sdes).abs() < tolerance(of_sdes) + 0.003);

    let sampler = ReverseEulerMaruyama { steps: 200, t_min: 0.0, ..quiet() };
    let sample = sampler.sample_from(&process, &score, &noise, &mut Generator::new(56)).unwrap();
    let (variance, covariance) = moments(&noise, &sample.x);
    println!("reverse SDE: variance {variance:.4}, covariance {covariance:.4} for {of_sdes:.4}");
    // Of the method itself 1 %.
    assert!((variance - 2.0).abs() < variance_tolerance() + 0.02);
    assert!((covariance - of_sdes).abs() < tolerance(of_sdes) + 0.007);

    let sampler = ProbabilityFlow { t_min: 0.0, ..quiet_flow() };
    let sample = sampler.decode(&process, &score, &noise).unwrap();
    let (variance, covariance) = moments(&noise, &sample.x);
    println!("flow: variance {variance:.4}, covariance {covariance:.4} for {of_flow:.4}");
    assert!((variance - 2.0).abs() < variance_tolerance());
    assert!((covariance - of_flow).abs() < tolerance(of_flow));
}

/// Every level of noise has the marginals; the formulas of the notes have not.
#[test]
fn marginals_at_every_level_of_noise() {
    let (process, score, noise) = note_001();
    for level in [0.0, 0.5, 1.5] {
        let sampler = ReverseEulerMaruyama { steps: 200, t_min: 0.0, noise: level, ..quiet() };
        let sample =
            sampler.sample_from(&process, &score, &noise, &mut Generator::new(57)).unwrap();
        let variance = moments(&noise, &sample.x).0;
        println!("λ = {level}: variance {variance:.4}");
        assert!((variance - 2.0).abs() < variance_tolerance() + 0.02, "λ = {level}: {variance}");
    }
    // Note 002 leaves out the flow's ½; note 001 turns the sign of its score. A factor of the score does both.
    let sampler = ProbabilityFlow { steps: 50, t_min: 0.0, ..quiet_flow() };
    for (factor, expected) in [(2.0, 0.77), (-1.0, 13.5)] {
        let exact = score.clone();
        let wrong = ScoreFunction::new(move |x, t| Ok((exact.score(x, t)? * factor)?));
        let sample = sampler.decode(&process, &wrong, &noise).unwrap();
        let variance = moments(&noise, &sample.x).0;
        println!("score times {factor}: variance {variance:.3}");
        assert!((variance / expected - 1.0).abs() < 0.02, "score times {factor}: {variance}");
        assert!((variance - 2.0).abs() > 20.0 * variance_tolerance());
    }
}

/// For Gaussian data `N(m, s²)` the flow is `x(0) = m + (x(T) - α_T m) s/√v_T` with `v = α² s² + σ²`.
#[test]
fn orders_of_the_flow() {
    let (m, s) = (1.5, 0.5);
    for process in [
        Process::from(OrnsteinUhlenbeck::new(1.0, 1.0, 1.0).unwrap()),
        VariancePreserving::new(0.5, 3.0).unwrap().into(),
    ] {
        let score = MixtureScore::new(Mixture::new([1.0], [[m]], [s]).unwrap(), process);
        let noise = Tensor::new(&[[-1.2], [-0.3], [0.4], [1.7]], CPU).unwrap();
        let scale = process.mean_scale(1.0);
        let spread = (s * scale).hypot(process.std(1.0));
        let exact = noise.affine(s / spread, m - scale * m * s / spread).unwrap();
        for (method, order) in [(FlowMethod::Euler, 1.0), (FlowMethod::Heun, 2.0)] {
            let error = |steps: usize| {
                let sampler = ProbabilityFlow { steps, method, t_min: 0.0, ..quiet_flow() };
                let x = sampler.decode(&process, &score, &noise).unwrap().x;
                mean(&values(&(x - &exact).unwrap().abs().unwrap()).unwrap())
            };
            let errors = [40, 80, 160, 320].map(|steps| (1.0 / steps as f64, error(steps)));
            let slope = log_slope(&errors);
            println!("{method:?}: order {slope:.3}");
            assert!((slope - order).abs() < 0.1, "{method:?}: {slope}, {errors:?}");
        }
    }
}

#[test]
fn same_bits_on_any_number_of_threads() {
    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let draw = || {
        let sampler = PredictorCorrector { steps: 20, progress: false, ..Default::default() };
        let generator = &mut Generator::new(58);
        let sample = sampler.sample(&process, &score, &[30_000, 2], generator, CPU).unwrap();
        sample.x.to_vec2::<f32>().unwrap()
    };
    let on = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(draw)
    };
    let one = on(1);
    assert!(one == on(2) && one == on(8));
}

#[test]
fn trajectories_begin_and_end_where_they_should() {
    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let noise = exact_noise(&process, 5);
    let sampler = ReverseEulerMaruyama { steps: 10, record: Some(4), ..quiet() };
    let sample = sampler.sample_from(&process, &score, &noise, &mut Generator::new(59)).unwrap();
    let states = sample.trajectory.unwrap();
    assert_eq!((states.len(), sample.times.len()), (5, 5));
    for (t, expected) in sample.times.iter().zip([1.0, 0.6004, 0.2008, 0.001, 0.0]) {
        assert!((t - expected).abs() < 1e-12, "{:?}", sample.times);
    }
    assert_eq!(values(&states[0]).unwrap(), values(&noise).unwrap());
    assert_eq!(values(&states[4]).unwrap(), values(&sample.x).unwrap());
}

/// States are detached, so no graph grows behind a score that has variables.
#[test]
fn samples_carry_no_graph() {
    let process = VariancePreserving::default();
    let weight = candle_core::Var::new(&[-1f32], CPU).unwrap();
    let score = ScoreFunction::new(move |x, _| Ok(x.broadcast_mul(weight.as_tensor())?));
    let generator = &mut Generator::new(60);
    let sampler = ReverseEulerMaruyama { steps: 3, ..quiet() };
    let sample = sampler.sample(&process, &score, &[2, 2], generator, CPU).unwrap();
    assert!(!sample.x.track_op());
    let sampler = PredictorCorrector { steps: 3, progress: false, ..Default::default() };
    let sample = sampler.sample(&process, &score, &[2, 2], generator, CPU).unwrap();
    assert!(!sample.x.track_op());
}

#[test]
fn what_goes_wrong_is_an_error() {
    let process = VariancePreserving::default();
    let score = ScoreFunction::new(|x, _| Ok(x.neg()?));
    let message = |sampler: ReverseEulerMaruyama, score: &dyn Score| {
        let generator = &mut Generator::new(61);
        sampler.sample(&process, score, &[2, 2], generator, CPU).unwrap_err().to_string()
    };
    let sampler = ReverseEulerMaruyama { steps: 0, ..quiet() };
    assert_eq!(message(sampler, &score), "`steps` is 0; expected at least 1");
    let sampler = ReverseEulerMaruyama { t_min: 1.0, ..quiet() };
    let expected = "`t_min` is 1; expected a time of at least 0 and below the horizon, which is 1";
    assert_eq!(message(sampler, &score), expected);
    let sampler = ReverseEulerMaruyama { noise: -1.0, ..quiet() };
    assert_eq!(message(sampler, &score), "`noise` is -1; expected a number of at least 0");
    let broken = ScoreFunction::new(|x, t| {
        Ok(if t.to_vec1::<f32>()?[0] < 0.55 { (x / 0.0)? } else { x.neg()? })
    });
    let error = message(ReverseEulerMaruyama { steps: 10, ..quiet() }, &broken);
    assert!(error.starts_with("the state is not finite at t = 0.4"), "{error}");
    let flat = ScoreFunction::new(|x, _| Ok(x.sum_keepdim(1)?));
    let expected = "`score` has shape [2, 1]; expected the shape of `x`, [2, 2]";
    assert_eq!(message(quiet(), &flat), expected);
    let sampler = PredictorCorrector { snr: 0.0, progress: false, ..Default::default() };
    let generator = &mut Generator::new(62);
    let error = sampler.sample(&process, &score, &[2, 2], generator, CPU).unwrap_err();
    assert_eq!(error.to_string(), "`snr` is 0; expected a positive number");
}

/// The reverse SDE is an SDE: the general solver on a grid that descends does what the sampler does.
#[test]
fn the_sampler_is_the_solver() {
    let (process, score, noise) = note_001();
    let noise = noise.narrow(0, 0, 100).unwrap();
    let reverse = ReverseSde { process, score: score.clone(), noise: 1.0 };
    let times = time_grid(1.0, 0.0, 50).unwrap();
    let solver = EulerMaruyama::default();
    let solution = solver.solve(&reverse, &noise, &times, &mut Generator::new(63)).unwrap();
    let sampler = ReverseEulerMaruyama { steps: 50, t_min: 0.0, ..quiet() };
    let sample = sampler.sample_from(&process, &score, &noise, &mut Generator::new(63)).unwrap();
    assert_eq!(values(&solution.x).unwrap(), values(&sample.x).unwrap());
}

/// Tweedie's formula is the mean of the data given the state: what it leaves of the data has no correlation with
/// any function of the state.
#[test]
fn tweedie_is_the_posterior_mean() {
    let n = 100_000;
    for process in processes() {
        let t = 0.3 * process.horizon();
        let generator = &mut Generator::new(64);
        let data = three().sample(n, generator, CPU).unwrap();
        let times = Tensor::full(t as f32, n, CPU).unwrap();
        let (state, _) = process.perturb(&data, &times, generator).unwrap();
        let score = MixtureScore::new(three(), process);
        let worst = |estimate: &Tensor| {
            let left = values(&(&data - estimate).unwrap()).unwrap();
            let state = values(&state).unwrap();
            let functions: [fn(f64) -> f64; 3] = [|_| 1.0, |x| x, |x| (2.0 * x).sin()];
            functions
                .iter()
                .map(|function| {
                    let products: Vec<f64> =
                        left.iter().zip(&state).map(|(left, x)| left * function(*x)).collect();
                    mean(&products).abs() / (variance(&products) / products.len() as f64).sqrt()
                })
                .fold(0.0, f64::max)
        };
        let estimate = tweedie(&process, &score, &state, t).unwrap();
        assert!(worst(&estimate) < 5.0, "{process:?}: {}", worst(&estimate));
        // The state itself, only rescaled, is no such mean; nor is Tweedie's with the sign turned.
        let rescaled = (&state / process.mean_scale(t)).unwrap();
        assert!(worst(&rescaled) > 5.0, "{process:?}: {}", worst(&rescaled));
        let turned = ((rescaled * 2.0).unwrap() - estimate).unwrap();
        assert!(worst(&turned) > 5.0, "{process:?}: {}", worst(&turned));
    }
}
