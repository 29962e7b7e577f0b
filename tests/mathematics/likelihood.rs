use crate::*;
use scorebook::{
    diffusion::{NoisingProcess, per_sample},
    distribution::{Density, normal_cdf as standard_normal_cdf},
    likelihood::{
        Dequantisation, Derivative, Divergence, Estimate, FlowSolver, Likelihood, LogLikelihood,
        Probe, VariationalBound, prior_log_prob, prior_mismatch, prior_mismatch_bound,
    },
    metrics::values,
    random::Generator,
    score::{MixtureScore, Score, ScoreFunction},
    sde::FlowMethod,
};
use std::f64::consts::{LN_2, TAU};

/// Tolerances so tight that what is left is the formula's.
fn exact() -> Likelihood {
    let solver = FlowSolver::Adaptive { rtol: 1e-9, atol: 1e-9 };
    Likelihood { solver, t_min: 0.0, ..Default::default() }
}

/// Without a generator: for exact divergences.
fn evaluate(
    likelihood: &Likelihood,
    process: &dyn NoisingProcess,
    score: &dyn Score,
    x: &Tensor,
) -> LogLikelihood {
    likelihood.log_prob(process, score, x, &mut Generator::new(0)).unwrap()
}

/// The greatest difference between two tensors.
fn gap(one: &Tensor, other: &Tensor) -> f64 {
    let (one, other) = (values(one).unwrap(), values(other).unwrap());
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// The score of `N(μ, Σ)` under a process: `N(α μ, α² Σ + σ² I)` keeps every covariance in closed form.
fn noised<const D: usize>(
    mean: [f64; D],
    covariance: [[f64; D]; D],
    process: &impl NoisingProcess,
    t: f64,
) -> Gaussian {
    let (scale, std) = (process.mean_scale(t), process.std(t));
    let mut covariance = covariance.map(|row| row.map(|value| scale * scale * value));
    for (i, row) in covariance.iter_mut().enumerate() {
        row[i] += std * std;
    }
    Gaussian::full(mean.map(|value| scale * value), &covariance).unwrap()
}

fn gaussian_score<const D: usize>(
    mean: [f64; D],
    covariance: [[f64; D]; D],
    process: Process,
) -> ScoreFunction {
    ScoreFunction::new(move |x, t| noised(mean, covariance, &process, values(t)?[0]).score(x))
}

/// Point 4 of the plan: a full covariance, the exact trace, 10⁻⁶ nats a dimension; for every process, by backpropagation
/// and by differences.
#[test]
fn gaussian_with_full_covariance() {
    let mean = [1.0, -0.5, 0.3];
    let covariance = [[2.0, 0.9, -0.3], [0.9, 0.7, 0.1], [-0.3, 0.1, 0.25]];
    let data = Gaussian::full(mean, &covariance).unwrap();
    let x = data.sample(6, &mut Generator::new(1), CPU).unwrap().to_dtype(DType::F64).unwrap();
    for process in processes() {
        let score = gaussian_score(mean, covariance, process);
        let end = noised(mean, covariance, &process, process.horizon());
        for derivative in [Derivative::Automatic, Derivative::Differences] {
            let found = evaluate(&Likelihood { derivative, ..exact() }, &process, &score, &x);
            let mismatch = prior_mismatch(&process, &end, &found.latent).unwrap();
            let error = gap(&(found.log_prob + mismatch).unwrap(), &data.log_prob(&x).unwrap());
            println!(
                "{process:?}, {derivative:?}: {error:.1e}, {} scores",
                found.score_evaluations
            );
            assert!(error < 3.0 * 1e-6, "{process:?}, {derivative:?}: {error}");
            assert!(found.standard_error.is_none() && !found.interrupted);
        }
    }
}

/// Four planes, in each a covariance with the eigenvalues `λ`, turned by an angle; the Jacobian of the score is the same
/// everywhere, so `∫ ½ g² ∂s/∂x dt = U diag(c) Uᵀ` with `c = -½ ln(v_T/λ) + ln α_T`, and the variance of the estimators is
/// in closed form.
#[test]
fn hutchinson_and_its_standard_error() {
    const LAMBDA: [f64; 2] = [1.3, 0.8];
    const ANGLE: f64 = 0.4;
    let (sin, cos) = ANGLE.sin_cos();
    let mut covariance = [[0.0; 8]; 8];
    for i in [0, 2, 4, 6] {
        covariance[i][i] = LAMBDA[0] * cos * cos + LAMBDA[1] * sin * sin;
        covariance[i + 1][i + 1] = LAMBDA[0] * sin * sin + LAMBDA[1] * cos * cos;
        covariance[i][i + 1] = (LAMBDA[0] - LAMBDA[1]) * sin * cos;
        covariance[i + 1][i] = covariance[i][i + 1];
    }
    let process = Process::from(VariancePreserving::default());
    let (scale, std) = (process.mean_scale(1.0), process.std(1.0));
    let ends = LAMBDA.map(|lambda| scale * scale * lambda + std * std);
    let volume = 4.0 * 0.5 * ((ends[0] / LAMBDA[0]).ln() + (ends[1] / LAMBDA[1]).ln());
    let c = [0, 1].map(|i| -0.5 * (ends[i] / LAMBDA[i]).ln() + scale.ln());
    // Twice the squares of the entries outside the diagonal, or of all.
    let of_rademacher = 4.0 * 4.0 * ((c[0] - c[1]) * sin * cos).powi(2);
    let of_gaussian = 4.0 * 2.0 * (c[0] * c[0] + c[1] * c[1]);

    let score = gaussian_score([0.0; 8], covariance, process);
    let (samples, probes) = (5000, 8);
    let x = Generator::new(2).normal_like(&Tensor::zeros((samples, 8), DType::F64, CPU).unwrap());
    let x = x.unwrap();
    for (probe, variance) in [(Probe::Rademacher, of_rademacher), (Probe::Gaussian, of_gaussian)] {
        let likelihood = Likelihood {
            divergence: Divergence::Hutchinson { probes, probe },
            solver: FlowSolver::Steps { method: FlowMethod::RungeKutta4, steps: 30 },
            t_min: 0.0,
            ..Default::default()
        };
        let found = likelihood.log_prob(&process, &score, &x, &mut Generator::new(3)).unwrap();
        let volumes = values(&found.volume).unwrap();
        let errors = values(&found.standard_error.unwrap()).unwrap();
        let off = Estimate::of(&volumes).unwrap();
        println!("{probe:?}: {off:.5} for {volume:.5}");
        // Five standard errors; RK4's own error is below 1e-5.
        assert!((off.value - volume).abs() < 5.0 * off.standard_error + 1e-5, "{off} for {volume}");
        if probe == Probe::Rademacher {
            // 10⁻³ bits a dimension, as the plan has it.
            assert!((off.value - volume).abs() < 1e-3 * 8.0 * LN_2);
        }
        // The mean of the reported variances is that of the formula, and that of the samples. A single probe's value has
        // a kurtosis of at most 15 (for one normal's square), so a variance is off by √(14/40,000) of it.
        let reported = mean(&errors.iter().map(|error| error * error).collect::<Vec<_>>());
        let expected = variance / probes as f64;
        let ratios = [reported / expected, samples as f64 * off.standard_error.powi(2) / expected];
        println!("{probe:?}: variances reported and seen, over that of the formula: {ratios:.3?}");
        assert!((ratios[0] - 1.0).abs() < 5.0 * (14.0 / 40_000f64).sqrt(), "{ratios:?}");
        assert!((ratios[1] - 1.0).abs() < 5.0 * (14.0 / 5000f64).sqrt(), "{ratios:?}");
        // Student's 95 % interval with 7 degrees of freedom. Sums of a few products of
        // signs are not quite normal, which may cost 2 %.
        let covered = volumes.iter().zip(&errors).filter(|(v, e)| (*v - volume).abs() < 2.365 * *e);
        let coverage = covered.count() as f64 / samples as f64;
        println!("{probe:?}: coverage {coverage:.4}");
        let tolerance = 5.0 * (0.95 * 0.05 / samples as f64).sqrt() + 0.02;
        assert!((coverage - 0.95).abs() < tolerance, "{coverage}");
    }
}

/// The log-density of a mixture of Gaussians from its score, at data and between them.
#[test]
fn mixture_from_its_score() {
    let x = three().sample(20, &mut Generator::new(4), CPU).unwrap().to_dtype(DType::F64).unwrap();
    let between = Tensor::new(&[[0.0, 0.0], [1.0, -1.0], [-1.0, 2.0]], CPU).unwrap();
    let x = Tensor::cat(&[x, between], 0).unwrap();
    let truth = three().log_prob(&x).unwrap();
    for process in processes() {
        let score = MixtureScore::new(three(), process);
        let horizon = process.horizon();
        let end = three().noised(process.mean_scale(horizon), process.std(horizon)).unwrap();
        let found = evaluate(&exact(), &process, &score, &x);
        let mismatch = prior_mismatch(&process, &end, &found.latent).unwrap();
        let error = gap(&(&found.log_prob + mismatch).unwrap(), &truth);
        println!("{process:?}: {error:.1e}, {} scores", found.score_evaluations);
        assert!(error < 2e-6, "{process:?}: {error}");
        let sum = (&found.prior + &found.volume).unwrap();
        assert_eq!(values(&sum).unwrap(), values(&found.log_prob).unwrap());
        let prior = prior_log_prob(&process, &found.latent).unwrap();
        assert_eq!(values(&prior).unwrap(), values(&found.prior).unwrap());
    }
}

/// In `f32`, as networks have it, with the default tolerances.
#[test]
fn single_precision() {
    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let x = three().sample(50, &mut Generator::new(5), CPU).unwrap();
    let found = evaluate(&Likelihood::default(), &process, &score, &x);
    assert_eq!(found.log_prob.dtype(), DType::F32);
    let end = three().noised(process.mean_scale(1.0), process.std(1.0)).unwrap();
    let mismatch = prior_mismatch(&process, &end, &found.latent).unwrap();
    let error = gap(&(found.log_prob + mismatch).unwrap(), &three().log_prob(&x).unwrap());
    println!("f32: {error:.1e} nats, {} scores", found.score_evaluations);
    assert!(error < 5e-3, "{error}");
}

/// The score of tests/golden/flow_likelihood.py: [`three`]'s, a fifth too long at the end, with a ripple and a rotation.
fn perturbed() -> ScoreFunction {
    let exact = MixtureScore::new(three(), VariancePreserving::default());
    ScoreFunction::new(move |x, t| {
        let length = t.affine(0.2, 1.0)?.unsqueeze(1)?;
        let turn = Tensor::new(&[[0.0, -0.05], [0.05, 0.0]], CPU)?;
        let score = exact.score(x, t)?.broadcast_mul(&length)?;
        Ok(((score + (x.sin()? * 0.1)?)? + x.matmul(&turn)?)?)
    })
}

/// The points, `log π(x(T))`, `∫ ∇·f̃ dt` and their sum that the script prints.
const GOLDEN: [([f64; 2], [f64; 3]); 5] = [
    ([2.0, 2.5], [-2.0543023006060674, 1.018545692331331, -1.0357566082747365]),
    ([-3.0, 0.4], [-4.0599982457892985, 2.2100649429555683, -1.8499333028337301]),
    ([0.0, 0.0], [-2.132062907688704, -13.964432067017958, -16.096494974706662]),
    ([1.0, -1.0], [-2.1142085890086113, -7.693690419608132, -9.807899008616744]),
    ([2.5, -2.0], [-3.5400243227608685, 0.6405181996111469, -2.8995061231497217]),
];

#[test]
fn solve_ivp_agrees() {
    let process = VariancePreserving::default();
    let x = Tensor::new(&GOLDEN.map(|(x, _)| x), CPU).unwrap();
    let column = |i: usize| Tensor::new(&GOLDEN.map(|(_, values)| values[i]), CPU).unwrap();
    for derivative in [Derivative::Automatic, Derivative::Differences] {
        let found = evaluate(&Likelihood { derivative, ..exact() }, &process, &perturbed(), &x);
        let errors = [
            gap(&found.prior, &column(0)),
            gap(&found.volume, &column(1)),
            gap(&found.log_prob, &column(2)),
        ];
        println!("{derivative:?}: {errors:?}");
        assert!(errors.iter().all(|error| *error < 1e-6), "{derivative:?}: {errors:?}");
    }
    // A trace that misses what a hundredth of the ripple adds would be seen.
    assert!(gap(&column(2), &three().log_prob(&x).unwrap()) > 1e-2);
}

/// The errors of the fixed steps are those of their methods.
#[test]
fn orders_of_the_solvers() {
    let process = OrnsteinUhlenbeck::new(1.0, 1.0, 1.0).unwrap();
    let score = MixtureScore::new(Mixture::new([1.0], [[0.5]], [0.6]).unwrap(), process);
    let x = Tensor::new(&[[-0.7], [0.1], [1.4]], CPU).unwrap();
    let truth = evaluate(&exact(), &process, &score, &x).log_prob;
    for method in [FlowMethod::Euler, FlowMethod::Heun, FlowMethod::RungeKutta4] {
        let error = |steps: usize| {
            let solver = FlowSolver::Steps { method, steps };
            gap(&evaluate(&Likelihood { solver, ..exact() }, &process, &score, &x).log_prob, &truth)
        };
        let slope = log_slope(&[10, 20, 40].map(|steps| (1.0 / steps as f64, error(steps))));
        println!("{method:?}: order {slope:.2}");
        assert!((slope - method.order()).abs() < 0.25, "{method:?}: {slope}");
    }
}

/// Points of a line, `[n, 1]`, and the width between them.
fn line(low: f64, high: f64, n: usize) -> (Tensor, f64) {
    let width = (high - low) / (n - 1) as f64;
    let x: Vec<f64> = (0..n).map(|i| low + width * i as f64).collect();
    (Tensor::from_vec(x, (n, 1), CPU).unwrap(), width)
}

/// Two humps on the line.
fn humps() -> Mixture {
    Mixture::new([0.4, 0.6], [[-1.5], [1.0]], [0.5, 0.3]).unwrap()
}

/// `humps`' score under the process, with a ripple that fades as the noise grows.
fn rippled(process: Process, ripple: f64) -> ScoreFunction {
    let exact = MixtureScore::new(humps(), process);
    ScoreFunction::new(move |x, t| {
        let height = per_sample(t, x, |t| ripple / (1.0 + process.std(t).powi(2)))?;
        Ok((exact.score(x, t)? + x.sin()?.broadcast_mul(&height)?)?)
    })
}

/// Whatever the score, the flow has a density, whose integral is 1.
#[test]
fn densities_of_the_flow_have_the_mass_1() {
    let (x, width) = line(-12.0, 12.0, 801);
    for process in processes() {
        let score = rippled(process, 0.2);
        let solver = FlowSolver::Adaptive { rtol: 1e-7, atol: 1e-7 };
        let found = evaluate(&Likelihood { solver, ..exact() }, &process, &score, &x);
        let p: Vec<f64> = values(&found.log_prob).unwrap().iter().map(|log| log.exp()).collect();
        let mass = width * p.iter().sum::<f64>();
        println!("{process:?}: mass {mass:.8}");
        assert!((mass - 1.0).abs() < 1e-5, "{process:?}: {mass}");
        // It is another law than that of the exact score.
        let truth = values(&humps().log_prob(&x).unwrap()).unwrap();
        let apart: f64 = p.iter().zip(&truth).map(|(p, q)| width * (p - q.exp()).abs()).sum();
        assert!(apart > 1e-3, "{process:?}: {apart}");
    }
}

/// `log p_t` along the path, from the waypoints; and the latent is the noise from which the sampler comes back.
#[test]
fn along_the_path() {
    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let x = Tensor::new(&[[2.0, 2.2], [-2.8, 0.1], [0.5, 0.5]], CPU).unwrap();
    for solver in
        [exact().solver, FlowSolver::Steps { method: FlowMethod::RungeKutta4, steps: 200 }]
    {
        let likelihood = Likelihood { solver, save_at: vec![0.1, 0.35, 0.8], ..exact() };
        let found = evaluate(&likelihood, &process, &score, &x);
        let times: Vec<f64> = found.waypoints.iter().map(|point| point.t).collect();
        assert_eq!(times, [0.0, 0.1, 0.35, 0.8, 1.0]);
        let start = three().log_prob(&x).unwrap();
        for point in &found.waypoints {
            let t = Tensor::full(point.t, 3, CPU).unwrap();
            let expected = score.log_prob(&point.x, &t).unwrap();
            let error = gap(&(&start - &point.volume).unwrap(), &expected);
            assert!(error < 1e-5, "{solver:?}, t = {}: {error}", point.t);
        }
        assert_eq!(gap(&found.waypoints[0].x, &x), 0.0);
        assert_eq!(gap(&found.waypoints[4].x, &found.latent), 0.0);
        let sampler =
            ProbabilityFlow { steps: 1000, t_min: 0.0, progress: false, ..Default::default() };
        let back = sampler.decode(&process, &score, &found.latent).unwrap().x;
        assert!(gap(&back, &x) < 1e-3);
    }
}

/// The mismatch of the prior where noise has not yet covered the data, and its bound.
#[test]
fn mismatch_of_the_prior() {
    let process = OrnsteinUhlenbeck::new(1.0, 1.0, 1.0).unwrap();
    let (scale, std) = (process.mean_scale(1.0), process.std(1.0));
    let end = humps().noised(scale, std).unwrap();
    let (x, width) = line(-6.0, 6.0, 1201);
    let p = |law: &Mixture| -> Vec<f64> {
        values(&law.log_prob(&x).unwrap()).unwrap().iter().map(|log| log.exp()).collect()
    };
    let expectation = |of: &Tensor, law: &Mixture| -> f64 {
        values(of).unwrap().iter().zip(p(law)).map(|(value, p)| width * value * p).sum()
    };
    let kl = expectation(&prior_mismatch(&process, &end, &x).unwrap(), &end);
    let bound = expectation(&prior_mismatch_bound(&process, &x).unwrap(), &humps());
    println!("KL(p_T‖π) = {kl:.4}, at most {bound:.4}");
    assert!(0.05 < kl && kl < bound && bound < 0.5);
    // The closed form: the prior's width is the kernel's, so only the mean's square is left.
    let square: f64 = expectation(&x.sqr().unwrap().squeeze(1).unwrap(), &humps());
    assert!((bound - 0.5 * scale * scale * square / (std * std)).abs() < 1e-9);
    // Where the data are all but a point, the bound is the divergence itself; here of another width too.
    let process = VarianceExploding::new(0.5, 2.0).unwrap();
    let point = Mixture::new([1.0], [[1.2]], [1e-4]).unwrap();
    let end = point.noised(1.0, process.std(1.0)).unwrap();
    let (x, width) = line(-20.0, 20.0, 4001);
    let mismatch = values(&prior_mismatch(&process, &end, &x).unwrap()).unwrap();
    let p = values(&end.log_prob(&x).unwrap()).unwrap();
    let kl: f64 = mismatch.iter().zip(p).map(|(value, log)| width * value * log.exp()).sum();
    let x0 = Tensor::new(&[[1.2]], CPU).unwrap();
    let bound = values(&prior_mismatch_bound(&process, &x0).unwrap()).unwrap()[0];
    assert!((bound - kl).abs() < 1e-6, "{bound} for {kl}");
}

/// Pixels of 6 levels with the law of a Gaussian's cells: `P(k)` by its distribution function, the gap of one draw by
/// quadrature.
#[test]
fn bits_of_a_discretised_gaussian() {
    let (mean_of, std, levels, low, high) = (0.45, 0.25, 6u32, -0.5, 1.5);
    let width = (high - low) / f64::from(levels);
    let law = Gaussian::isotropic([mean_of; 3], std).unwrap();
    let pixels: Vec<f64> =
        (0..levels).flat_map(|k| [k, 2, (k + 3) % levels]).map(f64::from).collect();
    let x = Tensor::from_slice(&pixels, (levels as usize, 3), CPU).unwrap();
    let draws = 20_000;
    let dequantisation = Dequantisation { levels, low, high, draws };
    let generator = &mut Generator::new(6);
    let found = dequantisation.bits_per_dim(&x, generator, |x, _| law.log_prob(x)).unwrap();
    let edge = |k: f64| (low + width * k - mean_of) / std;
    let chance = |k: f64| standard_normal_cdf(edge(k + 1.0)) - standard_normal_cdf(edge(k));
    // The mean over a cell of log₂ of the density, times the cell's width.
    let jensen = |k: f64| {
        let n = 10_000;
        let log = |i: usize| {
            let z = edge(k + (i as f64 + 0.5) / n as f64);
            -0.5 * z * z - 0.5 * (TAU * std * std).ln() + width.ln()
        };
        (0..n).map(log).sum::<f64>() / n as f64 / LN_2
    };
    for (i, of_sample) in pixels.chunks(3).enumerate() {
        let exact = -of_sample.iter().map(|k| chance(*k).log2()).sum::<f64>() / 3.0;
        let bound = -of_sample.iter().map(|k| jensen(*k)).sum::<f64>() / 3.0;
        let (weighted, error) = (found.importance_weighted[i], found.standard_error[i]);
        println!(
            "{exact:.4} bits, {weighted:.4} weighted; {bound:.4}, {:.4} bound",
            found.bound[i]
        );
        assert!((found.bound[i] - bound).abs() < 5.0 * error, "{} for {bound}", found.bound[i]);
        assert!(found.bound[i] > exact + 5.0 * error);
        // The densities in a cell have at most 3 times their mean as a standard deviation.
        assert!((weighted - exact).abs() < 5.0 * 3.0 / (draws as f64).sqrt() / (3.0 * LN_2));
        assert!(weighted < found.bound[i]);
    }
    // The chances of all pixels sum to 1, near enough: the offset is right.
    let total: f64 = (0..levels).map(|k| chance(f64::from(k))).sum();
    assert!((total - 1.0).abs() < 1e-3);
}

/// The same from a score: bits by the flow are bits by the density.
#[test]
fn bits_by_the_flow() {
    let process = VariancePreserving::default();
    let (law, score) = (humps(), MixtureScore::new(humps(), process));
    let pixels = Tensor::arange(0u8, 16, CPU).unwrap().reshape((16, 1)).unwrap();
    let dequantisation = Dequantisation { levels: 16, low: -3.0, high: 3.0, draws: 3 };
    assert!((dequantisation.offset() - (16f64 / 6.0).log2()).abs() < 1e-15);
    let by_density = dequantisation
        .bits_per_dim(&pixels, &mut Generator::new(7), |x, _| law.log_prob(x))
        .unwrap();
    let by_flow = dequantisation
        .bits_per_dim(&pixels, &mut Generator::new(7), |x, generator| {
            Ok(Likelihood::default().log_prob(&process, &score, x, generator)?.log_prob)
        })
        .unwrap();
    for (flow, density) in by_flow.bound.iter().zip(&by_density.bound) {
        assert!((flow - density).abs() < 0.01, "{flow} for {density}");
    }
    // The cells of images hold them in their middles.
    let of_images = Dequantisation::of_images(1);
    let bytes = Tensor::new(&[[0u8, 1, 255]], CPU).unwrap();
    let mut generator = Generator::new(8);
    for _ in 0..100 {
        let x = values(&of_images.dequantise(&bytes, &mut generator).unwrap()).unwrap();
        for (x, byte) in x.iter().zip([0.0, 1.0, 255.0]) {
            assert!((x - (byte / 127.5 - 1.0)).abs() <= 0.5 / 127.5 + 1e-6);
        }
    }
    assert!((of_images.offset() - 127.5f64.log2()).abs() < 1e-12);
}

/// `x(t) ~ N(0, I)` at all times, and a score that is too long by `ε`: everything is in closed form.
#[test]
fn bound_of_a_gaussian() {
    let (process, epsilon, d) = (VariancePreserving::default(), 0.25, 2.0);
    let score = ScoreFunction::new(move |x, _| Ok((x * -(1.0 + epsilon))?));
    let x = Tensor::new(&[[0.0, 0.0], [0.7, -1.0], [2.0, 1.5], [-3.0, 0.5]], CPU).unwrap();
    let bound = VariationalBound { t_min: 0.0, ..Default::default() };
    let found = bound.log_prob(&process, &score, &x, &mut Generator::new(9)).unwrap();
    assert_eq!(found.score_evaluations, 4 * 64);
    let integral = process.beta_integral(1.0);
    let (faded, length) = ((-integral).exp(), 1.0 + epsilon);
    // The variance of the reverse SDE's samples: v′ = β (1 - (1 + 2ε) v) from v = 1.
    let stands = 1.0 / (1.0 + 2.0 * epsilon);
    let variance = stands + (1.0 - stands) * (-(1.0 + 2.0 * epsilon) * integral).exp();
    for (i, x) in x.to_vec2::<f64>().unwrap().iter().enumerate() {
        let excess = x.iter().map(|x| x * x).sum::<f64>() - d;
        let of_score = (length * length - 2.0 * length) * d * integral
            + length * length * excess * (1.0 - faded);
        let prior = 0.5 * (d + faded * excess) + 0.5 * d * TAU.ln();
        let expected = -(prior + 0.5 * d * integral + 0.5 * of_score);
        let (value, error) = (found.log_prob[i], found.standard_error[i]);
        println!("{value:.4} ± {error:.4} for {expected:.4}");
        assert!(error < 0.2 && (value - expected).abs() < 5.0 * error, "{value} for {expected}");
        let of_sde = -0.5 * (excess + d) / variance - 0.5 * d * (TAU * variance).ln();
        assert!(expected < of_sde - 1e-3, "{expected} for {of_sde}");
    }
}

/// With the exact score the bound is `log p₀` itself, up to the prior; its standard errors are honest.
#[test]
fn bound_with_the_exact_score_is_the_likelihood() {
    for process in [
        Process::from(VariancePreserving::default()),
        SubVariancePreserving::default().into(),
        VarianceExploding::exponential(25.0).unwrap().into(),
    ] {
        let score = MixtureScore::new(three(), process);
        let x = three().sample(300, &mut Generator::new(10), CPU).unwrap();
        let x = x.to_dtype(DType::F64).unwrap();
        let bound = VariationalBound { strata: 32, t_min: 0.0, ..Default::default() };
        let found = bound.log_prob(&process, &score, &x, &mut Generator::new(11)).unwrap();
        let truth = values(&three().log_prob(&x).unwrap()).unwrap();
        let gaps: Vec<f64> = found.log_prob.iter().zip(&truth).map(|(p, q)| p - q).collect();
        let off = Estimate::of(&gaps).unwrap();
        let square = |values: &[f64]| mean(&values.iter().map(|x| x * x).collect::<Vec<_>>());
        let ratio = square(&gaps) / square(&found.standard_error);
        println!("{process:?}: {off}, squared errors over squared standard errors {ratio:.2}");
        // The prior of the variance-exploding process lacks 4 % of p_T's variance.
        assert!(off.value.abs() < 5.0 * off.standard_error + 0.02, "{process:?}: {off}");
        // Both means are over 300 samples of heavy tails.
        assert!((0.5..2.0).contains(&ratio), "{process:?}: {ratio}");
    }
}

/// `∫ p log p/q` on the line, from the logarithms.
fn kl(log_p: &Tensor, log_q: &Tensor, width: f64) -> f64 {
    let (log_p, log_q) = (values(log_p).unwrap(), values(log_q).unwrap());
    log_p.iter().zip(log_q).map(|(p, q)| width * p.exp() * (p - q)).sum()
}

/// The part of the scores: against a closed form, `E sin² x = ½ (1 - Σ w e^(-2v) cos 2μ)` under the noised humps; and with
/// equality in the bound, where `s` is the score of another law under the same process.
#[test]
fn divergence_of_the_scores() {
    for process in processes() {
        let x0 = humps().sample(4000, &mut Generator::new(12), CPU).unwrap();
        let x0 = x0.to_dtype(DType::F64).unwrap();
        let truth = MixtureScore::new(humps(), process);
        let bound = VariationalBound { strata: 32, t_min: 0.0, ..Default::default() };
        let generator = &mut Generator::new(13);
        let found =
            bound.score_kl(&process, &truth, &rippled(process, 0.3), &x0, generator).unwrap().kl;
        let n = 20_000;
        let at = |i: usize| {
            let t = (i as f64 + 0.5) / n as f64 * process.horizon();
            let law = humps().noised(process.mean_scale(t), process.std(t)).unwrap();
            let parts = law.weights().iter().zip(law.means()).zip(law.stds());
            let cosine: f64 =
                parts.map(|((w, m), s)| w * (-2.0 * s * s).exp() * (2.0 * m[0]).cos()).sum();
            let height = 0.3 / (1.0 + process.std(t).powi(2));
            0.5 * (process.dispersion(t) * height).powi(2) * 0.5 * (1.0 - cosine)
        };
        let expected = (0..n).map(at).sum::<f64>() * process.horizon() / n as f64;
        println!("{process:?}, ripple: {found} for {expected:.4}");
        assert!((found.value - expected).abs() < 5.0 * found.standard_error, "{found}, {expected}");
        assert!(found.standard_error < 0.02 * expected);

        let other = Mixture::new([0.5, 0.5], [[-1.0], [0.8]], [0.7, 0.5]).unwrap();
        let generator = &mut Generator::new(14);
        let score = MixtureScore::new(other.clone(), process);
        let found = bound.score_kl(&process, &truth, &score, &x0, generator).unwrap().kl;
        let (x, width) = line(-150.0, 150.0, 60_001);
        let apart = |t: f64| {
            let (scale, std) = (process.mean_scale(t), process.std(t));
            let p = humps().noised(scale, std).unwrap().log_prob(&x).unwrap();
            kl(&p, &other.noised(scale, std).unwrap().log_prob(&x).unwrap(), width)
        };
        let expected = apart(0.0) - apart(process.horizon());
        println!("{process:?}, another law: {found} for {expected:.4}");
        assert!((found.value - expected).abs() < 5.0 * found.standard_error, "{found}, {expected}");
        assert!(found.standard_error < 0.1 * expected);
    }
}

/// The bound holds for the samples of the reverse SDE, found by the Fokker-Planck equation, and is strict for a rippled
/// score. It does not hold for those of the flow: a score that is 10 % too long contradicts it, in closed form and by
/// [`Likelihood`] (errata to note 002, lines 93 and 97).
#[test]
fn bound_holds_for_the_sde_and_not_for_the_flow() {
    let process = VariancePreserving::default();
    let x0 = humps().sample(4000, &mut Generator::new(15), CPU).unwrap();
    let x0 = x0.to_dtype(DType::F64).unwrap();
    let truth = MixtureScore::new(humps(), process);
    let score = rippled(process.into(), 0.3);
    let bound = VariationalBound { strata: 32, t_min: 0.0, ..Default::default() };
    let at_most =
        bound.score_kl(&process, &truth, &score, &x0, &mut Generator::new(16)).unwrap().kl;
    let grid = Grid::line((-6.0, 6.0), 400).unwrap();
    let start = GridDensity::from_density(&grid, &Gaussian::standard(1)).unwrap();
    let reverse = ReverseSde { process, score: &score, noise: 1.0 };
    let times = time_grid(1.0, 0.0, 400).unwrap();
    let samples = FokkerPlanck::default().solve(&reverse, &start, &times).unwrap();
    let log_p = humps().log_prob(&grid.middles().unwrap()).unwrap();
    let of_sde = Tensor::new(samples.last().values(), CPU).unwrap().log().unwrap();
    let of_sde = kl(&log_p, &of_sde, grid.cell_volume());
    println!("KL of the SDE's samples {of_sde:.4}, at most {at_most}");
    // The grid's own error is below 1e-3; the prior's divergence below 1e-4.
    assert!(of_sde > 0.005 && of_sde < at_most.value - 5.0 * at_most.standard_error - 1e-3);

    let truth = ScoreFunction::new(|x, _| Ok(x.neg()?));
    let score = ScoreFunction::new(|x, _| Ok((x * -1.1)?));
    let x0 = Generator::new(17).normal_like(&Tensor::zeros((4000, 1), DType::F64, CPU).unwrap());
    let generator = &mut Generator::new(18);
    let at_most = bound.score_kl(&process, &truth, &score, &x0.unwrap(), generator).unwrap().kl;
    let (x, width) = line(-8.0, 8.0, 801);
    let of_flow = evaluate(&exact(), &process, &score, &x).log_prob;
    let of_flow = kl(&Gaussian::standard(1).log_prob(&x).unwrap(), &of_flow, width);
    let integral = process.beta_integral(1.0);
    let expected = 0.5 * ((0.1 * integral).exp() - 1.0 - 0.1 * integral);
    println!("KL of the flow's samples {of_flow:.4} ({expected:.4}), the bound {at_most}");
    assert!((of_flow - expected).abs() < 1e-5, "{of_flow} for {expected}");
    assert!((at_most.value - 0.005 * integral).abs() < 5.0 * at_most.standard_error);
    assert!(of_flow > 5.0 * at_most.value);
    let of_sde = 0.5 * (1.2 - 1.0 - 1.2f64.ln());
    assert!(of_sde < at_most.value);
}

/// Gradients flow through the networks; candle's convolutions and our group norm too.
#[test]
fn networks_are_differentiated() {
    let process = Process::from(VariancePreserving::default());
    let mut generator = Generator::new(19);
    let settings = MlpSettings { hidden: 32, layers: 2, ..Default::default() };
    let network = Mlp::new(settings, process, &mut generator, CPU).unwrap();
    let x = generator.normal((10, 2), CPU).unwrap();
    let likelihood = Likelihood { t_min: 1e-3, ..Default::default() };
    let automatic = evaluate(&likelihood, &process, &network, &x);
    let derivative = Derivative::Differences;
    let differences = evaluate(&Likelihood { derivative, ..likelihood }, &process, &network, &x);
    let error = gap(&automatic.log_prob, &differences.log_prob);
    println!("MLP: {error:.1e} between the two derivatives");
    assert!(error < 0.02, "{error}");
    let settings = UnetSettings { channels: [8, 64, 64, 64], ..Default::default() };
    let network = Unet::new(settings, process, &mut generator, CPU).unwrap();
    let x = generator.normal((2, 1, 28, 28), CPU).unwrap();
    let likelihood = Likelihood {
        divergence: Divergence::Hutchinson { probes: 2, probe: Probe::Rademacher },
        solver: FlowSolver::Steps { method: FlowMethod::Heun, steps: 2 },
        t_min: 1e-2,
        ..Default::default()
    };
    // The derivatives of its first evaluation are compared with differences; here of its paths, too.
    let found = |derivative| {
        let likelihood = Likelihood { derivative, ..likelihood.clone() };
        let generator = &mut Generator::new(20);
        likelihood.log_prob(&process, &network, &x, generator).unwrap().log_prob
    };
    let (one, other) = (found(Derivative::Automatic), found(Derivative::Differences));
    let error = gap(&one, &other) / 784.0;
    println!("U-Net: {error:.1e} nats a pixel between the two derivatives");
    assert!(error < 1e-2, "{error}");
}

#[test]
fn what_goes_wrong_is_an_error() {
    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let x = Tensor::zeros((3, 2), DType::F64, CPU).unwrap();
    let message = |likelihood: Likelihood, score: &dyn Score, x: &Tensor| {
        let generator = &mut Generator::new(0);
        likelihood.log_prob(&process, score, x, generator).unwrap_err().to_string()
    };
    let probes = |probes| Divergence::Hutchinson { probes, probe: Probe::Gaussian };
    let steps = |steps| FlowSolver::Steps { method: FlowMethod::Heun, steps };
    for (likelihood, expected) in [
        (Likelihood { t_min: 1.0, ..exact() }, "`t_min` is 1; expected a time of at least 0"),
        (Likelihood { t_min: f64::NAN, ..exact() }, "`t_min` is NaN"),
        (Likelihood { divergence: probes(0), ..exact() }, "`probes` is 0; expected at least 1"),
        (Likelihood { solver: steps(0), ..exact() }, "`steps` is 0; expected at least 1"),
        (Likelihood { save_at: vec![0.5, 0.2], ..exact() }, "`save_at` is 0.2; expected ascending"),
        (Likelihood { save_at: vec![1.5], ..exact() }, "`save_at` is 1.5; expected ascending"),
        (
            Likelihood { solver: FlowSolver::Adaptive { rtol: 0.0, atol: 1e-5 }, ..exact() },
            "`rtol` is 0e0; expected",
        ),
    ] {
        let error = message(likelihood, &score, &x);
        assert!(error.starts_with(expected), "{error}");
    }
    let integers = Tensor::zeros((3, 2), DType::U32, CPU).unwrap();
    let error = message(exact(), &score, &integers);
    assert_eq!(error, "`x` is u32; expected a tensor of floats");
    let error = message(exact(), &score, &(&x * f64::NAN).unwrap());
    assert!(error.contains("finite"), "{error}");
    let error = message(exact(), &score, &Tensor::zeros((0, 2), DType::F64, CPU).unwrap());
    assert!(error.starts_with("`x` has shape [0, 2]; expected"), "{error}");
    let error = message(exact(), &score, &Tensor::zeros((3, 5), DType::F64, CPU).unwrap());
    assert!(error.starts_with("`x` has shape [3, 5]; expected"), "{error}");

    // Scores whose gradients do not flow, wholly and in part: as candle's own `layer_norm` would have it.
    let detached = ScoreFunction::new(|x, _| Ok(x.detach().neg()?));
    let error = message(exact(), &detached, &x);
    assert!(error.starts_with("`score` is without a gradient in `x`; expected a score"), "{error}");
    let half = ScoreFunction::new(|x, _| Ok((x.neg()? - (x.detach() * 0.5)?)?));
    let error = message(exact(), &half, &x);
    assert!(
        error.contains("whose gradients differ by") && error.contains("Differences"),
        "{error}"
    );
    let differences = Likelihood { derivative: Derivative::Differences, ..exact() };
    let found = evaluate(&differences, &process, &half, &x);
    assert!(values(&found.log_prob).unwrap().iter().all(|value| value.is_finite()));
    let narrow = ScoreFunction::new(|x, _| Ok(x.narrow(1, 0, 1)?));
    let error = message(differences, &narrow, &x);
    assert!(error.starts_with("`score` has shape [3, 1]; expected the shape of `x`"), "{error}");

    let bits = |dequantisation: Dequantisation, pixel: f64| {
        let pixels = Tensor::new(&[[pixel]], CPU).unwrap();
        let log_prob = |x: &Tensor, _: &mut Generator| Gaussian::standard(1).log_prob(x);
        let generator = &mut Generator::new(0);
        dequantisation.bits_per_dim(&pixels, generator, log_prob).unwrap_err().to_string()
    };
    let default = Dequantisation::default;
    for (dequantisation, pixel, expected) in [
        (default(), 256.0, "`pixels` is 256; expected whole numbers from 0 to 255"),
        (default(), -1.0, "`pixels` is -1; expected"),
        (default(), 0.5, "`pixels` is 0.5; expected"),
        (default(), f64::NAN, "`pixels` is NaN; expected"),
        (Dequantisation { draws: 0, ..default() }, 1.0, "`draws` is 0; expected at least 1"),
        (Dequantisation { levels: 0, ..default() }, 1.0, "`levels` is 0; expected at least 1"),
        (Dequantisation { high: -1.0, ..default() }, 1.0, "`high` is -1; expected a finite"),
    ] {
        let error = bits(dequantisation, pixel);
        assert!(error.starts_with(expected), "{error}");
    }
    let wrong = default().bits_per_dim(&integers, &mut Generator::new(0), |x, _| Ok(x.clone()));
    let error = wrong.unwrap_err().to_string();
    assert!(error.starts_with("`log_prob` has shape [3, 2]; expected [3]"), "{error}");

    let bound = |bound: VariationalBound, score: &dyn Score| {
        let generator = &mut Generator::new(0);
        bound.log_prob(&process, score, &x, generator).unwrap_err().to_string()
    };
    let none = VariationalBound { strata: 0, ..Default::default() };
    assert_eq!(bound(none, &score), "`strata` is 0; expected at least 1");
    let late = VariationalBound { t_min: 2.0, ..Default::default() };
    assert!(bound(late, &score).starts_with("`t_min` is 2; expected a time"));
    let broken = ScoreFunction::new(|x, _| Ok((x * f64::NAN)?));
    let error = bound(Default::default(), &broken);
    assert!(error.starts_with("the bound's integrand is not finite"), "{error}");
    let error = Estimate::of(&[1.0]).unwrap_err().to_string();
    assert!(error.starts_with("`values` has shape [1]; expected at least two"), "{error}");
}
