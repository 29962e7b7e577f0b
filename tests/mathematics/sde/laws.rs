//! Laws of solutions: exact transitions, moments from the literature, noise with time integrals.

use super::*;
use scorebook::{metrics::ks_one_sample, sde::Increment};

fn within(value: f64, expected: f64, of_one: f64, n: usize) -> bool {
    (value - expected).abs() < 5.0 * of_one / (n as f64).sqrt()
}

/// Over a step `h`, `Var ΔW = h`, `Var I = h³/3`, `Cov = h²/2`; on an uneven grid, coarsened and refined, upward and
/// downward. `W(t) - W(s)` and `I` of several steps composed are those of one step.
#[test]
fn time_integrals_of_brownian_motion() {
    let n = 200_000;
    let times = [0.0, 0.2, 0.5, 1.1, 1.2];
    let mut generator = Generator::new(90);
    let path =
        BrownianMotion::sample_with_integrals(&times, (n, 1), DType::F64, &mut generator, CPU)
            .unwrap();
    let halves = path.refine(&mut generator).unwrap();
    let coarse = path.coarsen(4).unwrap();
    for w in [&path, &halves, &coarse, &path.coarsen(2).unwrap(), &path.reversed().unwrap()] {
        let (increments, integrals) = (w.increments().unwrap(), w.integrals.as_ref().unwrap());
        for (k, pair) in w.times.windows(2).enumerate() {
            let h = pair[1] - pair[0];
            let dw = values(&increments.get(k).unwrap()).unwrap();
            let integral = values(&integrals.get(k).unwrap()).unwrap();
            let (a, b, c) = (h.abs(), h.abs().powi(3) / 3.0, 0.5 * h * h.abs());
            assert!(within(variance(&dw), a, a * 2f64.sqrt(), n));
            assert!(within(variance(&integral), b, b * 2f64.sqrt(), n));
            let product = (a * b + c * c).sqrt();
            assert!(within(covariance(&dw, &integral), c, product, n));
            // The ½ dropped is noticed.
            assert!(!within(covariance(&dw, &integral), 2.0 * c, product, n));
            // No step knows of the next.
            if k > 0 {
                let before = values(&increments.get(k - 1).unwrap()).unwrap();
                let other = (pair[0] - w.times[k - 1]).abs();
                assert!(within(covariance(&before, &integral), 0.0, (other * b).sqrt(), n));
                let before = values(&integrals.get(k - 1).unwrap()).unwrap();
                assert!(within(covariance(&before, &dw), 0.0, (other.powi(3) / 3.0 * a).sqrt(), n));
            }
        }
    }
    // What is refined and coarsened again has not moved.
    let back = halves.coarsen(2).unwrap();
    assert_eq!(back.times, path.times);
    let distance = |a: &Tensor, b: &Tensor| {
        values(&(a - b).unwrap()).unwrap().iter().fold(0.0, |most: f64, x| most.max(x.abs()))
    };
    assert_eq!(distance(&back.values, &path.values), 0.0);
    let integrals = |w: &BrownianMotion| w.integrals.clone().unwrap();
    assert!(distance(&integrals(&back), &integrals(&path)) < 1e-12);
    let again = path.reversed().unwrap().reversed().unwrap();
    assert!(distance(&again.values, &path.values) < 1e-12);
    assert!(distance(&integrals(&again), &integrals(&path)) < 1e-12);
    // The integral from the start to the end, step by step: ∫ W ds = Σ I_k + h_k W(t_k).
    let by_hand = (0..4).fold(Tensor::zeros((n, 1), DType::F64, CPU).unwrap(), |sum, k| {
        let h = path.times[k + 1] - path.times[k];
        let start = (path.values.get(k).unwrap() * h).unwrap();
        ((sum + integrals(&path).get(k).unwrap()).unwrap() + start).unwrap()
    });
    assert!(distance(&by_hand, &integrals(&coarse).get(0).unwrap()) < 1e-12);
    // Fresh noise has the same law.
    let like = Tensor::zeros((n, 1), DType::F64, CPU).unwrap();
    for h in [0.3, -0.3] {
        let noise = Increment::sample(&like, h, true, &mut generator).unwrap();
        let (dw, integral) =
            (values(&noise.dw).unwrap(), values(&noise.integral.unwrap()).unwrap());
        assert!(within(variance(&integral), 0.009, 0.009 * 2f64.sqrt(), n));
        let scale = (0.3f64 * 0.009 + 0.045 * 0.045).sqrt();
        assert!(within(covariance(&dw, &integral), 0.045 * h.signum(), scale, n));
    }
    let broken = BrownianMotion { integrals: Some(path.values.clone()), ..path };
    assert!(broken.coarsen(2).unwrap_err().to_string().starts_with("`integrals` has shape"));
}

/// Exact transitions have the law of the kernel on any grid, of any affine process.
#[test]
fn exact_transitions() {
    let n = 100_000;
    let times = [0.0, 0.01, 0.3, 0.31, 0.9];
    for process in processes() {
        let x0 = Tensor::full(1.5f64, (n, 1), CPU).unwrap();
        let times = times.map(|t| t * process.horizon());
        let solver = Exact { save_at: vec![times[2], times[4]], ..Default::default() };
        let solution =
            solver.solve(&ForwardSde(process), &x0, &times, &mut Generator::new(91)).unwrap();
        let states = solution.trajectory.unwrap();
        let (s, t) = (times[2], times[4]);
        let (first, last) = (values(&states[0]).unwrap(), values(&states[1]).unwrap());
        let cdf = |t: f64| normal_cdf(1.5 * process.mean_scale(t), process.std(t));
        assert!(ks_one_sample(&first, cdf(s)).unwrap().p_value > 1e-7, "{process:?}");
        assert!(ks_one_sample(&last, cdf(t)).unwrap().p_value > 1e-7, "{process:?}");
        let joint = process.mean_scale(t) / process.mean_scale(s) * process.std(s).powi(2);
        let of_one = (joint.powi(2) + (process.std(s) * process.std(t)).powi(2)).sqrt();
        assert!(within(covariance(&first, &last), joint, of_one, n), "{process:?}");
    }
    let gbm = GeometricBrownianMotion { mu: 0.4, sigma: 0.5 };
    let x0 = Tensor::full(2f64, (n, 1), CPU).unwrap();
    let end = Exact::default().solve(&gbm, &x0, &[0.0, 0.2, 1.5], &mut Generator::new(92)).unwrap();
    let logs = values(&(end.x / 2.0).unwrap().log().unwrap()).unwrap();
    let law = normal_cdf((0.4 - 0.125) * 1.5, 0.5 * 1.5f64.sqrt());
    assert!(ks_one_sample(&logs, law).unwrap().p_value > 1e-7);
    let wrong = normal_cdf(0.4 * 1.5, 0.5 * 1.5f64.sqrt());
    assert!(ks_one_sample(&logs, wrong).unwrap().p_value < 1e-7);
    let error = Exact::default().solve(&gbm, &x0, &[1.0, 0.0], &mut Generator::new(1)).unwrap_err();
    assert_eq!(error.to_string(), "`times` is 1 followed by 0; expected times upward");
}

/// What note 001 states about the Ornstein-Uhlenbeck process, corrected, and its limit `β = 0`.
#[test]
fn ornstein_uhlenbeck() {
    let (n, beta, sigma) = (100_000, 1.5, 2.0f64);
    let process = OrnsteinUhlenbeck::new(beta, sigma, 1.0).unwrap();
    let stationary = process.stationary_variance().unwrap();
    assert!((stationary - 4.0 / 3.0).abs() < 1e-15);
    let run = |start: f64| {
        let generator = &mut Generator::new(93);
        let z = generator.normal_like(&Tensor::zeros((n, 1), DType::F64, CPU).unwrap()).unwrap();
        let x0 = (z * start.sqrt()).unwrap();
        let solver = Exact { record: Some(1), ..Default::default() };
        let solution =
            solver.solve(&ForwardSde(process), &x0, &[0.0, 0.2, 0.5], generator).unwrap();
        solution.trajectory.unwrap().iter().map(|x| values(x).unwrap()).collect::<Vec<_>>()
    };
    for start in [0.0, stationary, 2.0 * stationary] {
        let states = run(start);
        for (x, s) in [(1, 0.2), (2, 0.5)] {
            for (y, t) in [(1, 0.2), (2, 0.5)] {
                let expected = process.covariance(start, s, t);
                let (v, w) = (process.covariance(start, s, s), process.covariance(start, t, t));
                let of_one = (v * w + expected * expected).sqrt();
                assert!(within(covariance(&states[x], &states[y]), expected, of_one, n));
            }
        }
    }
    // From the stationary law nothing changes but by e^(-β|t-s|); from note 001's σ²/β the variance moves.
    let decay = (-beta * 0.3f64).exp();
    assert!((process.covariance(stationary, 0.2, 0.5) - stationary * decay).abs() < 1e-12);
    let moved = stationary * (1.0 + (-2.0 * beta * 0.5).exp());
    assert!((process.covariance(sigma * sigma / beta, 0.5, 0.5) - moved).abs() < 1e-12);
    assert!(!within(
        variance(&run(2.0 * stationary)[2]),
        2.0 * stationary,
        2.0 * stationary * 2f64.sqrt(),
        n
    ));

    // The transition density integrates to 1 and has the kernel's mean and variance; so for small β its limit.
    for beta in [1.5, 1e-9, 0.0] {
        let process = OrnsteinUhlenbeck::new(beta, sigma, 1.0).unwrap();
        let (count, t) = (4001, 0.7);
        let grid: Vec<f64> = (0..count).map(|i| -20.0 + 0.01 * i as f64).collect();
        let x = Tensor::from_vec(grid.clone(), (count, 1), CPU).unwrap();
        let x0 = Tensor::full(1.5f64, (count, 1), CPU).unwrap();
        let density = values(&process.log_transition(&x, &x0, t).unwrap().exp().unwrap()).unwrap();
        let moment = |f: &dyn Fn(f64) -> f64| {
            density.iter().zip(&grid).map(|(p, x)| 0.01 * p * f(*x)).sum::<f64>()
        };
        let centre = 1.5 * (-beta * t).exp();
        assert!((moment(&|_| 1.0) - 1.0).abs() < 1e-10);
        assert!((moment(&|x| x) - centre).abs() < 1e-10);
        assert!((moment(&|x| (x - centre).powi(2)) - process.variance(t)).abs() < 1e-9);
    }
    let brownian = OrnsteinUhlenbeck::new(0.0, sigma, 1.0).unwrap();
    assert!((brownian.variance(0.7) - 2.8).abs() < 1e-12);
    assert!((brownian.covariance(0.0, 0.2, 0.5) - 0.8).abs() < 1e-12);
    assert!(brownian.stationary_variance().is_none());
    assert!(brownian.stationary_law(2).unwrap().is_none());
    let x = Tensor::zeros((2, 1), DType::F64, CPU).unwrap();
    assert!(process.log_transition(&x, &x, 0.0).unwrap_err().to_string().starts_with("`t` is 0"));
    let other = Tensor::zeros((2, 2), DType::F64, CPU).unwrap();
    assert!(process.log_transition(&x, &other, 1.0).is_err());
}

/// Cox, Ingersoll and Ross's `dx = κ(θ - x) dt + σ √x dw` has the moments of their paper (Econometrica 53, 1985,
/// equation 19).
#[test]
fn moments_of_cox_ingersoll_ross() {
    let (n, kappa, theta, sigma, t) = (50_000, 2.0f64, 1.0, 0.5f64, 1.0);
    let sde = Ito::general(
        move |x, _| x.affine(-kappa, kappa * theta),
        move |x, _| Ok(Dispersion::Diagonal((x.relu()?.sqrt()? * sigma)?)),
    );
    let x0 = Tensor::full(2f64, (n, 1), CPU).unwrap();
    let decay = (-kappa * t).exp();
    let centre = theta + (2.0 - theta) * decay;
    let spread = 2.0 * sigma.powi(2) / kappa * (decay - decay * decay)
        + theta * sigma.powi(2) / (2.0 * kappa) * (1.0 - decay).powi(2);
    let times = time_grid(0.0, t, 100).unwrap();
    for solver in [&EulerMaruyama::default() as &dyn Solver, &Milstein::default(), &Sri1::default()]
    {
        let x = solver.solve(&sde, &x0, &times, &mut Generator::new(94)).unwrap().x;
        let x = values(&x).unwrap();
        println!(
            "{}: mean {:.4} for {centre:.4}, variance {:.4} for {spread:.4}",
            solver.name(),
            mean(&x),
            variance(&x)
        );
        // Steps of 0.01 shift the moments by about κΔt/2 of what the start leaves.
        assert!((mean(&x) - centre).abs() < 5.0 * (spread / n as f64).sqrt() + 0.003);
        assert!((variance(&x) / spread - 1.0).abs() < 5.0 * (3.0 / n as f64).sqrt() + 0.02);
    }
}

/// The damped oscillator `dq = p dt`, `dp = (-ω²q - γp) dt + σ dw` has the stationary variances `σ²/(2γω²)` and
/// `σ²/(2γ)` (Langevin's equation; Uhlenbeck and Ornstein, Phys. Rev. 36, 1930).
#[test]
fn stationary_law_of_the_damped_oscillator() {
    let (n, omega, gamma, sigma) = (20_000, 2.0, 1.0, 1.5f64);
    let sde = Ito::general(
        move |x, _| {
            let (q, p) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
            Tensor::cat(&[p.clone(), ((q * (-omega * omega))? - (p * gamma)?)?], 1)
        },
        move |_, _| Ok(Dispersion::Matrix(Tensor::new(&[[0.0], [sigma]], &Device::Cpu)?)),
    );
    let expected = [sigma.powi(2) / (2.0 * gamma * omega * omega), sigma.powi(2) / (2.0 * gamma)];
    let x0 = Tensor::zeros((n, 2), DType::F64, CPU).unwrap();
    let times = time_grid(0.0, 10.0, 200).unwrap();
    let x = Sra1::default().solve(&sde, &x0, &times, &mut Generator::new(95)).unwrap().x;
    for (i, expected) in expected.iter().enumerate() {
        let x = values(&x.get_on_dim(1, i).unwrap()).unwrap();
        let ratio = variance(&x) / expected;
        assert!((ratio - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt() + 0.01, "{i}: {ratio}");
    }
}

/// Every solver gives the same bits on any number of threads.
#[test]
fn same_bits_on_any_number_of_threads() {
    let scalar = Ito::new(|x, _| x * -1.0, |_| 0.5);
    let matrix = Ito::general(
        |x, _| x * -1.0,
        |x, _| {
            let g = Tensor::new(&[[0.5f32, 0.1], [0.2, 0.3]], &Device::Cpu)?;
            Ok(Dispersion::Matrix(x.unsqueeze(2)?.broadcast_mul(&g)?))
        },
    );
    let diagonal = GeometricBrownianMotion { mu: 0.1, sigma: 0.4 };
    let all = || {
        let x0 = Tensor::ones((20_000, 2), DType::F32, CPU).unwrap();
        let times = time_grid(0.0, 1.0, 4).unwrap();
        let solve = |solver: &dyn Solver, sde: &dyn Sde| {
            let x = solver.solve(sde, &x0, &times, &mut Generator::new(96)).unwrap().x;
            values(&x).unwrap()
        };
        let (euler, milstein, heun) =
            (EulerMaruyama::default(), Milstein::default(), StochasticHeun::default());
        let mut results = vec![
            solve(&Sra1::default(), &scalar),
            solve(&Sri1::default(), &diagonal),
            solve(&milstein, &diagonal),
            solve(&heun, &diagonal),
        ];
        for solver in [&euler as &dyn Solver, &milstein, &heun] {
            results.push(solve(solver, &matrix));
        }
        let generator = &mut Generator::new(97);
        let tree = BrownianTree::new(0.0, 1.0, (20_000, 2), DType::F32, generator, CPU).unwrap();
        let solver = Adaptive { rtol: 0.05, atol: 0.05, ..Default::default() };
        results.push(values(&solver.solve(&diagonal, &x0, &tree, &[0.0, 1.0]).unwrap().x).unwrap());
        results
    };
    let on = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all)
    };
    let one = on(1);
    assert!(one == on(2) && one == on(8));
}
