use crate::*;
use scorebook::{
    diffusion::{Affine, Cosine, Edm, Exponential, ForwardSde, NoisingProcess, ScaledLinear},
    metrics::{ks_one_sample, values},
    path::time_grid,
    random::Generator,
    sde::EulerMaruyama,
};

/// One of each kind that a few numbers describe.
fn all() -> Vec<Process> {
    let others: [Process; 5] = [
        Exponential::default().into(),
        Cosine::default().into(),
        ScaledLinear::default().into(),
        ScaledLinear::new(0.0, 3.0).unwrap().into(),
        Edm::default().into(),
    ];
    processes().into_iter().chain(others).collect()
}

/// `a` and `g` that none of the closed kernels has: the rate swings, the noise grows.
fn own() -> Affine {
    Affine::new(|t| -1.0 - 0.5 * (5.0 * t).sin(), |t| 0.3 + t * t, 2.0).unwrap()
}

/// Draws of the kernel have the law `N(α x0, σ² I)`, each sample at its own time, and come with their noise.
#[test]
fn perturbed_data_have_the_kernels_law() {
    let n = 100_000;
    for process in all() {
        let mut generator = Generator::new(30);
        let x0 = Tensor::full(1.5f32, (n, 1), CPU).unwrap();
        let t = generator.uniform(0.01, process.horizon(), n, CPU).unwrap();
        let (x, z) = process.perturb(&x0, &t, &mut generator).unwrap();
        let (x, times) = (values(&x).unwrap(), values(&t).unwrap());
        let standardise = |offset: f64| -> Vec<f64> {
            let one = |(x, t): (&f64, &f64)| {
                (x - 1.5 * process.mean_scale(*t)) / process.std(*t) + offset
            };
            x.iter().zip(&times).map(one).collect()
        };
        let standard = standardise(0.0);
        assert!(ks_one_sample(&standard, normal_cdf(0.0, 1.0)).unwrap().p_value > 1e-7);
        let wrong = standardise(0.03);
        assert!(ks_one_sample(&wrong, normal_cdf(0.0, 1.0)).unwrap().p_value < 1e-7);
        let worst = values(&z)
            .unwrap()
            .iter()
            .zip(&standard)
            .map(|(z, x)| (z - x).abs())
            .fold(0.0, f64::max);
        assert!(worst < 1e-3, "{process:?}: {worst}");
    }
}

/// Paths of the forward SDE arrive where the kernel says.
#[test]
fn paths_agree_with_the_kernel() {
    let (n, steps) = (50_000, 500);
    for process in all() {
        let end = 0.5 * process.horizon();
        let x0 = Tensor::full(1.5f32, (n, 1), CPU).unwrap();
        let times = time_grid(0.0, end, steps).unwrap();
        let solver = EulerMaruyama::default();
        let solution =
            solver.solve(&ForwardSde(process), &x0, &times, &mut Generator::new(31)).unwrap();
        let x = values(&solution.x).unwrap();
        let (centre, std) = (1.5 * process.mean_scale(end), process.std(end));
        // The method's own error: at most 1 % with these steps.
        let error = (mean(&x) - centre).abs();
        assert!(error < 5.0 * std / (n as f64).sqrt() + 0.01 * centre, "{process:?}: {error}");
        let ratio = variance(&x) / std.powi(2);
        let tolerance = 5.0 * (2.0 / n as f64).sqrt() + 0.01;
        assert!((ratio - 1.0).abs() < tolerance, "{process:?}: {ratio}");
    }
}

/// The kernels from the moment equations are the closed ones, and so are the times of the noise levels.
#[test]
fn integrated_kernels_are_the_closed_ones() {
    for process in all() {
        let (rate, dispersion) = (move |t| process.rate(t), move |t| process.dispersion(t));
        let horizon = process.horizon();
        let integrated = Affine::new(rate, dispersion, horizon).unwrap();
        // More of them next to 0, where variances are small.
        for i in 1..=200 {
            let t = horizon * (f64::from(i) / 200.0).powi(3);
            let ratio = integrated.mean_scale(t) / process.mean_scale(t);
            assert!((ratio - 1.0).abs() < 1e-10, "{process:?} at {t}: α off by {ratio}");
            let ratio = integrated.std(t) / process.std(t);
            assert!((ratio - 1.0).abs() < 1e-10, "{process:?} at {t}: σ off by {ratio}");
        }
        let t = 0.4 * horizon;
        let found = integrated.time_of_noise_level(process.noise_level(t)).unwrap();
        assert!((found - t).abs() < 1e-9 * horizon, "{process:?}: {found} for {t}");
    }
}

/// Against quadrature with 30 digits:
///
/// ```python
/// from mpmath import mp, quad, mpf, exp, cos; mp.dps = 30
/// A = lambda t: -t - (1 - cos(5*t))/10
/// for t in map(mpf, ["0.1", "0.75", "2"]):
///     print(exp(A(t)), quad(lambda s: exp(2*(A(t) - A(s)))*(mpf("0.3") + s*s)**2, [0, t/2, t]))
/// ```
#[test]
fn moment_equations_of_an_own_process() {
    let process = own();
    for (t, scale, variance) in [
        (0.1, 0.893_828_153_956_279_3, 0.008_219_653_067_821_52),
        (0.75, 0.393_743_366_592_284_5, 0.131_352_708_048_357_44),
        (2.0, 0.112_600_721_809_851_87, 4.357_509_901_559_808),
    ] {
        assert!((process.mean_scale(t) / scale - 1.0).abs() < 1e-10);
        assert!((process.std(t).powi(2) / variance - 1.0).abs() < 1e-10);
    }
    assert_eq!(process.prior_std(), process.std(2.0));
}

/// Particles of an own process have the law of its integrated kernel, not that of the variance without the drift.
#[test]
fn paths_of_an_own_process_agree_with_its_kernel() {
    let (n, process) = (50_000, own());
    let x0 = Tensor::full(1.5f32, (n, 1), CPU).unwrap();
    let times = time_grid(0.0, 1.5, 1000).unwrap();
    let generator = &mut Generator::new(32);
    let sde = ForwardSde(process.clone());
    let solution = EulerMaruyama::default().solve(&sde, &x0, &times, generator).unwrap();
    let x = values(&solution.x).unwrap();
    let (mean, std) = (1.5 * process.mean_scale(1.5), process.std(1.5));
    // The method's own error, some Δt = 0.0015 of the moments, moves the law by less than a standard error of F.
    assert!(ks_one_sample(&x, normal_cdf(mean, std)).unwrap().p_value > 1e-7);
    // ∫g² = ∫(0.3 + t²)².
    let t = 1.5f64;
    let wrong = (0.09 * t + 0.2 * t.powi(3) + 0.2 * t.powi(5)).sqrt();
    assert!(ks_one_sample(&x, normal_cdf(mean, wrong)).unwrap().p_value < 1e-7);
}

/// Jumps and bends of `a` and `g` are found, wherever they are.
#[test]
fn jumps_are_integrated() {
    let jump = 1.0 / 3.0f64.sqrt();
    let rate = move |t| if t < jump { 0.5 } else { -2.0 };
    let dispersion = move |t| if t < jump { 0.0 } else { 1.0 };
    let process = Affine::new(rate, dispersion, 1.0).unwrap();
    assert_eq!(process.std(0.5), 0.0);
    for t in [0.6, 0.8, 1.0] {
        let scale = (0.5 * jump - 2.0 * (t - jump)).exp();
        assert!((process.mean_scale(t) / scale - 1.0).abs() < 1e-10);
        let variance = -(-4.0 * (t - jump)).exp_m1() / 4.0;
        assert!((process.std(t).powi(2) - variance).abs() < 1e-10, "{t}");
    }
    // Before the jump there is no noise; the first level above 0 comes after it.
    let t = process.time_of_noise_level(1e-3).unwrap();
    assert!(t > jump && (process.noise_level(t) - 1e-3).abs() < 1e-10);
}

#[test]
fn affine_processes_that_cannot_be_are_errors() {
    let error = |rate: fn(f64) -> f64, dispersion: fn(f64) -> f64, horizon| {
        Affine::new(rate, dispersion, horizon).unwrap_err().to_string()
    };
    for (message, expected) in [
        (
            error(|_| 0.0, |t| 0.5 - t, 1.0),
            "`dispersion` is -0.5; expected a finite number of at least 0",
        ),
        (
            error(|_| f64::NAN, |_| 1.0, 1.0),
            "`rate` is NaN; expected a finite number at every time; this is at t = 0",
        ),
        (error(|t| if t > 0.7 && t < 0.8 { f64::NAN } else { 0.0 }, |_| 1.0, 1.0), "`rate` is NaN"),
        (error(|t| -1.0 / (1.0 - t), |_| 1.0, 1.0), "`rate` is -inf"),
        (error(|_| 0.0, |_| 1.0, 0.0), "`horizon` is 0; expected a positive time"),
        (error(|_| 0.0, |_| 1.0, f64::NAN), "`horizon` is NaN; expected a positive time"),
        (error(|_| 0.0, |_| 0.0, 1.0), "`dispersion` is 0; expected not 0 at all times"),
        (
            error(|_| -1e4, |_| 1.0, 1.0),
            "`horizon` is 1; expected a shorter time: at t = 1 the mean scale is e^-10000",
        ),
        (error(|_| 1e4, |_| 1.0, 1.0), "`horizon` is 1; expected a shorter time"),
        (error(|t| (1e7 * t).sin(), |_| 1.0, 1.0), "`rate and dispersion` is too fast"),
        (
            error(|_| 0.0, |t| (t - 0.4123).abs().powf(-0.5), 1.0),
            "`rate and dispersion` is not integrable",
        ),
    ] {
        assert!(message.starts_with(expected), "{message}");
    }
}

/// Note 001 (line 128) starts from `N(0, σ²/β)` and finds `N(0, σ²/(2β))` at every time. That is where the process
/// stands still; from `N(0, σ²/β)` the variance is `σ²(1 + e^(-2βt))/(2β)`.
#[test]
fn stationary_law_of_ornstein_and_uhlenbeck() {
    let (n, beta, sigma, t) = (200_000, 0.7, 1.3, 0.8);
    let process = OrnsteinUhlenbeck::new(beta, sigma, 2.0).unwrap();
    let generator = &mut Generator::new(33);
    let mut after = |start: f64| {
        let x0 = (generator.normal((n, 1), CPU).unwrap() * start.sqrt()).unwrap();
        let times = Tensor::full(t as f32, n, CPU).unwrap();
        let x = process.perturb(&x0, &times, generator).unwrap().0;
        variance(&values(&x).unwrap())
    };
    let stationary = sigma * sigma / (2.0 * beta);
    let tolerance = 5.0 * (2.0 / n as f64).sqrt();
    assert!((after(stationary) / stationary - 1.0).abs() < tolerance);
    let from_the_note = after(2.0 * stationary) / stationary;
    assert!((from_the_note / (1.0 + (-2.0 * beta * t).exp()) - 1.0).abs() < tolerance);
    assert!((from_the_note - 1.0).abs() > 10.0 * tolerance);
}

/// Note 002 (line 45): not the noise `dw` grows, but its coefficient; `∫₀ᵗ e^s dw` has the variance `(e^(2t) - 1)/2`.
/// Line 64: where an exploding process ends is no standard Gaussian.
#[test]
fn exponential_noise_has_the_integrated_variance() {
    let (n, steps, end) = (100_000, 400, 1.0);
    let generator = &mut Generator::new(34);
    let sde = ForwardSde(Exponential::default());
    let x0 = Tensor::zeros((n, 1), DType::F32, CPU).unwrap();
    let times = time_grid(0.0, end, steps).unwrap();
    let x = EulerMaruyama::default().solve(&sde, &x0, &times, generator).unwrap().x;
    let measured = variance(&values(&x).unwrap());
    let expected = ((2.0 * end).exp() - 1.0) / 2.0;
    // Five standard errors, and the left ends of the sum: Δt (e² - 1)/2 = 0.008.
    let tolerance = 5.0 * (2.0 / n as f64).sqrt() * expected + 0.008;
    assert!((measured - expected).abs() < tolerance, "{measured}");
    assert!(((2.0 * end).exp() - expected).abs() > 10.0 * tolerance);
    for process in [VarianceExploding::default().into(), Process::from(Edm::default())] {
        let at_end = process.std(process.horizon());
        assert!((at_end / process.prior_std() - 1.0).abs() < 1e-6 && at_end > 40.0);
    }
}

/// Note 002 (line 55) shows the sub-VP SDE without its name; the standard deviation is `1 - e^(-∫β)`, the square of
/// VP's. Note 003 (line 25): `p_T` forgets `p_0` only nearly, VP keeps 0.0066 of it.
#[test]
fn sub_vp_has_the_square_of_the_standard_deviation() {
    let (n, t) = (100_000, 0.15);
    let process = SubVariancePreserving::default();
    let generator = &mut Generator::new(35);
    let x0 = Tensor::zeros((n, 1), DType::F32, CPU).unwrap();
    let times = time_grid(0.0, t, 600).unwrap();
    let sde = ForwardSde(process);
    let x = EulerMaruyama::default().solve(&sde, &x0, &times, generator).unwrap().x;
    let measured = variance(&values(&x).unwrap()).sqrt();
    let integral = 0.1 * t + 0.5 * 19.9 * t * t;
    let (sub, full) = (1.0 - (-integral).exp(), (1.0 - (-integral).exp()).sqrt());
    // Five standard errors, and 1 % for the method.
    let tolerance = (5.0 / (2.0 * n as f64).sqrt() + 0.01) * sub;
    assert!((measured - sub).abs() < tolerance, "{measured} for {sub}");
    assert!((measured - full).abs() > 10.0 * tolerance);

    let kept = VariancePreserving::default().mean_scale(1.0);
    assert!((kept - 0.0066).abs() < 5e-5 && (kept - (-0.25f64 * 19.9 - 0.05).exp()).abs() < 1e-12);
}

/// Note 003 (lines 28-29) says that the drift is "kind of like the derivative" of the coefficient of `x_0`, and `g`
/// like that of the noise's. It is the derivative of its logarithm, and `g` also has to make up for the drift.
#[test]
fn drift_and_dispersion_are_not_the_plain_derivatives() {
    let (process, t, h) = (VariancePreserving::default(), 0.4, 1e-5);
    let slope = |f: &dyn Fn(f64) -> f64| (f(t + h) - f(t - h)) / (2.0 * h);
    let rate = slope(&|t| process.mean_scale(t).ln());
    assert!((process.rate(t) - rate).abs() < 1e-7 * rate.abs());
    let plain = slope(&|t| process.mean_scale(t));
    assert!((process.rate(t) - plain).abs() > 0.5 * rate.abs());
    let g2 = slope(&|t| process.std(t).powi(2)) - 2.0 * process.std(t).powi(2) * rate;
    assert!((process.dispersion(t).powi(2) - g2).abs() < 1e-7 * g2);
    let without_drift = slope(&|t| process.std(t).powi(2)).sqrt();
    let plain = slope(&|t| process.std(t));
    for wrong in [without_drift, plain] {
        assert!((process.dispersion(t) - wrong).abs() > 0.3 * g2.sqrt(), "{wrong}");
    }
}
