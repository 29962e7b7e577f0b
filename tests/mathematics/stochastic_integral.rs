use crate::*;
use scorebook::{
    metrics::values,
    path::{
        BACKWARD, ITO, STRATONOVICH, SmoothFunction, SpectralDensity, covariation,
        integral_process, ito_lemma, stochastic_integral,
    },
};

fn brownian(horizon: f64, steps: usize, batch: usize, seed: u64) -> BrownianMotion {
    let times = time_grid(0.0, horizon, steps).unwrap();
    BrownianMotion::sample(&times, batch, DType::F64, &mut Generator::new(seed), CPU).unwrap()
}

/// The times of a path as an integrator, `[steps + 1, 1]`.
fn clock(w: &BrownianMotion) -> Tensor {
    Tensor::new(w.times.as_slice(), CPU).unwrap().unsqueeze(1).unwrap()
}

fn integral(y: &Tensor, x: &Tensor, point: f64) -> Vec<f64> {
    values(&stochastic_integral(y, x, point).unwrap()).unwrap()
}

fn rms(x: &[f64]) -> f64 {
    (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64).sqrt()
}

/// The Itô sum of `∫ β dβ` misses `(β² - t)/2` by `Σ (Δt - ΔW²)/2`, of the standard deviation `√(t Δt/2)`.
#[test]
fn integral_of_brownian_motion_against_itself() {
    let (t, n) = (2.0, 4000);
    let fine = brownian(t, 1024, n, 50);
    let end = values(&fine.values.get(1024).unwrap()).unwrap();
    let distance = |w: &BrownianMotion, point: f64, of_t: f64| {
        let sums = integral(&w.values, &w.values, point);
        let gaps = sums.iter().zip(&end).map(|(sum, end)| sum - 0.5 * (end * end - of_t));
        rms(&gaps.collect::<Vec<_>>())
    };
    for stride in [64, 16, 4, 1] {
        let w = fine.coarsen(stride).unwrap();
        let expected = (0.5 * t * w.times[1]).sqrt();
        let measured = distance(&w, ITO, t);
        // The square of a gap has the kurtosis 3 + 12 Δt/t.
        let share = 5.0 * 0.5 * ((2.0 + 12.0 * w.times[1] / t) / n as f64).sqrt();
        assert!((measured / expected - 1.0).abs() < share, "{measured} for {expected}");
        // The right end (note 000) is off by t, however fine the grid; Stratonovich's is β²/2 to rounding.
        assert!((distance(&w, BACKWARD, t) / t - 1.0).abs() < 0.05);
        assert!(distance(&w, STRATONOVICH, 0.0) < 1e-12);
    }
}

/// `E ∫₀ᵀ β dβ = λ T` with the integrand at the point `λ` of each interval.
#[test]
fn mean_by_the_point_of_evaluation() {
    let n = 40_000;
    let w = brownian(1.0, 100, n, 51);
    for point in [ITO, 0.25, STRATONOVICH, 0.75, BACKWARD] {
        let sums = integral(&w.values, &w.values, point);
        let error = 5.0 * (variance(&sums) / n as f64).sqrt();
        assert!((mean(&sums) - point).abs() < error, "{} at {point}", mean(&sums));
        assert!((mean(&sums) - (1.0 - point)).abs() > error || point == STRATONOVICH);
    }
}

/// Itô's isometry, `E (∫ Y dW)² = E ∫ Y² dt`, and that the integral is a martingale; not so with the right end.
#[test]
fn isometry() {
    let (steps, n) = (200, 40_000);
    let w = brownian(1.0, steps, n, 52);
    let time = clock(&w);
    for y in [
        w.values.sin().unwrap(),
        w.values.sqr().unwrap(),
        time.broadcast_as(w.values.shape()).unwrap(),
    ] {
        let time_integral = integral(&y.sqr().unwrap(), &time, ITO);
        let gap = |point: f64| {
            let sums = integral(&y, &w.values, point);
            let gaps = sums.iter().zip(&time_integral).map(|(sum, square)| sum * sum - square);
            let gaps: Vec<f64> = gaps.collect();
            mean(&gaps).abs() / (variance(&gaps) / n as f64).sqrt()
        };
        assert!(gap(ITO) < 5.0, "{}", gap(ITO));
    }
    let y = w.values.sin().unwrap();
    let square = mean(&integral(&y.sqr().unwrap(), &time, ITO));
    let backward = integral(&y, &w.values, BACKWARD);
    assert!(backward.iter().map(|x| x * x).sum::<f64>() / n as f64 > 1.5 * square);
    // What comes after a time does not depend on what was before.
    let process = integral_process(&y, &w.values, ITO).unwrap();
    let at = |k: usize| values(&process.get(k).unwrap()).unwrap();
    let (half, end) = (at(steps / 2), at(steps));
    assert_eq!(end, {
        let sums = integral(&y, &w.values, ITO);
        assert!(sums.iter().zip(&end).all(|(x, y)| (x - y).abs() < 1e-12));
        end.clone()
    });
    let later: Vec<f64> = end.iter().zip(&half).map(|(x, y)| x - y).collect();
    let error = 5.0 * (variance(&later) * variance(&half) / n as f64).sqrt() * 1.5;
    assert!(covariance(&half, &later).abs() < error);
}

/// `∫ X dY + ∫ Y dX + [X, Y] = X Y`, on every grid to rounding; without the covariation it fails.
#[test]
fn product_rule() {
    let w = brownian(1.0, 300, 50, 53);
    let (x, y) = (
        w.values.sin().unwrap(),
        (w.values.exp().unwrap() + clock(&w).broadcast_as(w.values.shape()).unwrap()).unwrap(),
    );
    let both = values(&(&x * &y).unwrap()).unwrap();
    let bracket = values(&covariation(&x, &y).unwrap()).unwrap();
    let sums: Vec<f64> =
        integral(&x, &y, ITO).iter().zip(integral(&y, &x, ITO)).map(|(a, b)| a + b).collect();
    for (i, (sum, bracket)) in sums.iter().zip(&bracket).enumerate() {
        let change = both[300 * 50 + i] - both[i];
        assert!((sum + bracket - change).abs() < 1e-12);
        assert!((sum - change).abs() > 0.05);
    }
    // Of which integration by parts is the case of a smooth φ: ∫ φ dW = φ W - ∫ φ′ W dt, up to Δt².
    let phi = |f: fn(f64) -> f64| {
        Tensor::from_vec(w.times.iter().map(|t| f(*t)).collect::<Vec<_>>(), (301, 1), CPU).unwrap()
    };
    let by_parts = integral(
        &w.values.broadcast_mul(&phi(|t| 3.0 * (3.0 * t).cos())).unwrap(),
        &clock(&w),
        STRATONOVICH,
    );
    let direct = integral(&phi(|t| (3.0 * t).sin()), &w.values, STRATONOVICH);
    let end = values(&w.values.get(300).unwrap()).unwrap();
    for ((direct, by_parts), end) in direct.iter().zip(&by_parts).zip(end) {
        let residual = direct - (3f64.sin() * end - by_parts);
        assert!(residual.abs() < 1e-4, "{residual}");
        assert!((direct - (3f64.sin() * end + by_parts)).abs() > 1e-3);
    }
}

/// `[Wⁱ, Wʲ] = Q_ij t`; independent motions have none with each other, and time none with any.
#[test]
fn covariation_of_correlated_noise() {
    let (steps, n) = (1000, 2000);
    let rows = [[1.0, 0.6, 0.0], [0.6, 2.0, -0.5], [0.0, -0.5, 0.5]];
    let q = SpectralDensity::new(&rows).unwrap();
    let times = time_grid(0.0, 2.0, steps).unwrap();
    let w =
        BrownianMotion::sample(&times, (n, 3), DType::F64, &mut Generator::new(54), CPU).unwrap();
    let v = q.correlate(&w.values).unwrap();
    let coordinate = |x: &Tensor, i: usize| x.get_on_dim(2, i).unwrap();
    for i in 0..3 {
        for j in 0..3 {
            let measured = |x: &Tensor| {
                values(&covariation(&coordinate(x, i), &coordinate(x, j)).unwrap()).unwrap()
            };
            let expected = 2.0 * rows[i][j];
            let spread =
                2.0 * ((rows[i][i] * rows[j][j] + rows[i][j].powi(2)) / (steps * n) as f64).sqrt();
            let of_v = mean(&measured(&v));
            assert!((of_v - expected).abs() < 5.0 * spread, "{of_v} for {expected}");
            let of_w = mean(&measured(&w.values));
            let unit = if i == j { 2.0 } else { 0.0 };
            assert!((of_w - unit).abs() < 5.0 * 2.0 * (2.0 / (steps * n) as f64).sqrt());
            assert!((of_w - expected).abs() > 5.0 * spread || rows[i][j] == unit / 2.0);
        }
    }
    let time = Tensor::new(times.as_slice(), CPU).unwrap().reshape((steps + 1, 1, 1)).unwrap();
    let with_time = values(&covariation(&w.values, &time).unwrap()).unwrap();
    // A sum of steps Δt ΔW has the standard deviation Δt √t.
    assert!(with_time.iter().all(|x| x.abs() < 6.0 * 0.002 * 2f64.sqrt()));
}

/// Itô's lemma leaves a residual of the order `√Δt`; without its second-order term, or with that term
/// whole in place of half, the residual stays.
#[test]
fn ito_lemma_is_an_identity() {
    let fine = brownian(1.0, 4096, 500, 55);
    // dX = (0.2 + 0.245) X dt + 0.7 X dW
    let growth = |w: &BrownianMotion| {
        let exponent =
            (w.values.affine(0.7, 0.0).unwrap()).broadcast_add(&clock(w).affine(0.2, 0.0).unwrap());
        exponent.unwrap().exp().unwrap()
    };
    let functions = [
        SmoothFunction::new(|x, t| x * x * t, |x, _| x * x, |x, t| 2.0 * x * t, |_, t| 2.0 * t),
        SmoothFunction::new(|x, _| x.cos(), |_, _| 0.0, |x, _| -x.sin(), |x, _| -x.cos()),
        // A martingale, exp(x - t/2).
        SmoothFunction::new(
            |x, t| (x - t / 2.0).exp(),
            |x, t| -0.5 * (x - t / 2.0).exp(),
            |x, t| (x - t / 2.0).exp(),
            |x, t| (x - t / 2.0).exp(),
        ),
        SmoothFunction::new(|x, _| x.ln(), |_, _| 0.0, |x, _| 1.0 / x, |x, _| -1.0 / (x * x)),
    ];
    for (i, phi) in functions.iter().enumerate() {
        let mut points = Vec::new();
        for stride in [64, 16, 4, 1] {
            let w = fine.coarsen(stride).unwrap();
            let (path, variation) = if i == 3 {
                let x = growth(&w);
                let squared = (x.sqr().unwrap() * 0.49).unwrap();
                let variation = integral_process(&squared, &clock(&w), ITO).unwrap();
                (x, variation)
            } else {
                (w.values.clone(), clock(&w))
            };
            let terms = ito_lemma(phi, &w.times, &path, &variation).unwrap();
            let size = |x: Tensor| rms(&values(&x).unwrap());
            points.push((w.times[1], size(terms.residual().unwrap())));
            let second = size(terms.second_order.clone());
            assert!(size(terms.ordinary_residual().unwrap()) > 0.8 * second);
            let doubled = (terms.residual().unwrap() - &terms.second_order).unwrap();
            assert!(size(doubled) > 0.8 * second);
        }
        let slope = log_slope(&points);
        assert!((slope - 0.5).abs() < 0.1, "{slope} for function {i}: {points:?}");
        assert!(points[3].1 < 0.03, "{points:?}");
    }
}

#[test]
fn bad_requests_are_errors() {
    let w = brownian(1.0, 4, 3, 56);
    let root = SmoothFunction::new(|x, _| x.sqrt(), |_, _| 0.0, |x, _| 0.5 / x.sqrt(), |_, _| 0.0);
    let error = ito_lemma(&root, &w.times, &w.values, &clock(&w)).unwrap_err().to_string();
    assert!(
        error.starts_with("the function, or a derivative of it, is not finite at x = "),
        "{error}"
    );
    let square = SmoothFunction::new(|x, _| x * x, |_, _| 0.0, |x, _| 2.0 * x, |_, _| 2.0);
    let lemma = |times: &[f64], path: &Tensor, variation: &Tensor| {
        ito_lemma(&square, times, path, variation).unwrap_err().to_string()
    };
    let short = w.values.narrow(0, 0, 3).unwrap();
    assert_eq!(lemma(&w.times, &short, &clock(&w)), "`path` has shape [3, 3]; expected [5, ...]");
    assert!(lemma(&w.times, &w.values, &short).starts_with("`variation` has shape [3, 3]"));
    assert!(lemma(&[0.0], &w.values, &clock(&w)).starts_with("`times` is [0.0]"));
}
