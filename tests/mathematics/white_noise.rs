use crate::*;
use scorebook::{
    metrics::{ks_one_sample, values},
    path::{STRATONOVICH, SpectralDensity, WhiteNoise, periodogram, stochastic_integral},
};
use std::f64::consts::{PI, TAU};

fn noise(modes: usize, batch: usize, seed: u64) -> WhiteNoise {
    WhiteNoise::sample(2.0, modes, batch, DType::F64, &mut Generator::new(seed), CPU).unwrap()
}

/// The spectral density is 1 up to the band edge and 0 beyond, at each frequency exponentially distributed.
#[test]
fn spectrum_is_flat_to_the_band_edge() {
    let (modes, n, points) = (40, 20_000, 256);
    let dt = 2.0 / points as f64;
    let times: Vec<f64> = (0..points).map(|i| i as f64 * dt).collect();
    let w = noise(modes, n, 60).values(&times).unwrap();
    let (frequencies, density) = periodogram(&w, dt).unwrap();
    for (k, frequency) in frequencies.iter().enumerate() {
        assert!((frequency - k as f64 / 2.0).abs() < 1e-12);
        let density = values(&density.get(k).unwrap()).unwrap();
        if k > modes {
            assert!(density.iter().all(|x| x.abs() < 1e-20));
        } else if k > 0 {
            assert!((mean(&density) - 1.0).abs() < 5.0 / (n as f64).sqrt());
            let exponential = |scale: f64| move |x: f64| 1.0 - (-x / scale).exp();
            assert!(ks_one_sample(&density, exponential(1.0)).unwrap().p_value > 1e-7);
            assert!(ks_one_sample(&density, exponential(1.1)).unwrap().p_value < 1e-7);
        }
    }
    // Brownian motion is not white: its density falls like 1/f².
    let grid = time_grid(0.0, 2.0, points).unwrap();
    let path =
        BrownianMotion::sample(&grid, 2000, DType::F64, &mut Generator::new(61), CPU).unwrap();
    let (_, density) = periodogram(&path.values.narrow(0, 0, points).unwrap(), dt).unwrap();
    let average = values(&density.mean(1).unwrap()).unwrap();
    assert!(average[2] > 50.0 * average[40], "{} {}", average[2], average[40]);
}

/// `Cov(w_K(s), w_K(t)) = (1 + 2 Σ cos 2πk(s - t)/T)/T`, Dirichlet's kernel, which tends to `δ(s - t)`.
#[test]
fn covariance_is_the_kernel_of_dirichlet() {
    let n = 100_000;
    let whole = noise(30, n, 62);
    for modes in [30, 5] {
        let w = whole.narrow(modes).unwrap();
        assert_eq!(w.band_edge(), modes as f64 / 2.0);
        let times = [0.0, 0.05, 0.3, 1.7];
        let rows = w.values(&times).unwrap();
        let at = |i: usize| values(&rows.get(i).unwrap()).unwrap();
        let spread = (2 * modes + 1) as f64 / 2.0;
        for (i, s) in times.iter().enumerate() {
            for (j, t) in times.iter().enumerate().take(i + 1) {
                let waves = (1..=modes).map(|k| (TAU * k as f64 * (s - t) / 2.0).cos());
                let kernel = (1.0 + 2.0 * waves.sum::<f64>()) / 2.0;
                let error = covariance(&at(i), &at(j)) - kernel;
                assert!(error.abs() < 5.0 * spread * (2.0 / n as f64).sqrt(), "{error}");
            }
        }
    }
}

/// `⟨w, φ⟩ ~ N(0, ∫ φ²)` and `E ⟨w, φ⟩⟨w, ψ⟩ = ∫ φ ψ`, once the band holds the test functions.
#[test]
fn against_test_functions() {
    let n = 100_000;
    let w = noise(60, n, 63);
    let bump = |t: f64| (-8.0 * (t - 1.0) * (t - 1.0)).exp();
    let wave = |t: f64| bump(t) * (3.0 * t).sin();
    let number = |phi: &dyn Fn(f64) -> f64| values(&w.against(phi).unwrap()).unwrap();
    // ∫ e^{-16 (t-1)²} dt over the line; the tails beyond [0, 2] weigh 1e-8.
    let square = (PI / 16.0).sqrt();
    let of_bump = number(&bump);
    assert!(ks_one_sample(&of_bump, normal_cdf(0.0, square.sqrt())).unwrap().p_value > 1e-7);
    assert!(ks_one_sample(&of_bump, normal_cdf(0.0, square)).unwrap().p_value < 1e-7);
    // ∫ e^{-16 u²} sin 3(1 + u) du = sin 3 √(π/16) e^{-9/64}
    let mixed = 3f64.sin() * square * (-9.0f64 / 64.0).exp();
    let of_wave = number(&wave);
    let error = 5.0 * ((square * variance(&of_wave) + mixed * mixed) / n as f64).sqrt();
    assert!((covariance(&of_bump, &of_wave) - mixed).abs() < error);
    assert!((covariance(&of_bump, &of_wave) + mixed).abs() > error);
    // By parts, ⟨w, φ⟩ = φ(T) W(T) - ∫ φ′ W dt with W the integral of this very noise.
    let times = time_grid(0.0, 2.0, 2000).unwrap();
    let few = noise(60, 50, 63);
    let path = few.integral(&times).unwrap();
    let slope = times.iter().map(|t| -16.0 * (t - 1.0) * bump(*t)).collect::<Vec<_>>();
    let slope = Tensor::from_vec(slope, (2001, 1), CPU).unwrap();
    let clock = Tensor::from_vec(times.clone(), (2001, 1), CPU).unwrap();
    let rest = stochastic_integral(&path.broadcast_mul(&slope).unwrap(), &clock, STRATONOVICH);
    let (rest, end) = (values(&rest.unwrap()).unwrap(), values(&path.get(2000).unwrap()).unwrap());
    let direct = values(&few.against(bump).unwrap()).unwrap();
    for ((direct, rest), end) in direct.iter().zip(rest).zip(end) {
        assert!((direct - (bump(2.0) * end - rest)).abs() < 1e-4, "{direct} {rest} {end}");
    }
}

/// The integral of the noise is Brownian motion in the limit (Wiener's series); with few modes it is too smooth.
#[test]
fn integral_is_brownian_motion() {
    let n = 100_000;
    let whole = noise(400, n, 64);
    let times = [0.0, 0.3, 0.74, 2.0];
    let paths = whole.integral(&times).unwrap();
    let at = |i: usize| values(&paths.get(i).unwrap()).unwrap();
    assert!(at(0).iter().all(|x| *x == 0.0));
    for k in 1..4 {
        let step: Vec<f64> = at(k).iter().zip(at(k - 1)).map(|(x, y)| x - y).collect();
        let law = normal_cdf(0.0, (times[k] - times[k - 1]).sqrt());
        assert!(ks_one_sample(&step, law).unwrap().p_value > 1e-7);
    }
    let few = whole.narrow(1).unwrap().integral(&[0.3]).unwrap();
    let law = normal_cdf(0.0, 0.3f64.sqrt());
    assert!(ks_one_sample(&values(&few).unwrap(), law).unwrap().p_value < 1e-7);
}

/// Increments of correlated noise have the covariance `Q Δt`, of rank 2 here.
#[test]
fn correlated_noise() {
    let (n, dt) = (100_000, 0.25);
    let rows = [[1.0, 0.5, 1.5], [0.5, 2.0, 2.5], [1.5, 2.5, 4.0]];
    let q = SpectralDensity::new(&rows).unwrap();
    let w = BrownianMotion::sample(&[0.0, dt], (n, 3), DType::F64, &mut Generator::new(65), CPU);
    let steps = q.correlate(&w.unwrap().increments().unwrap()).unwrap().squeeze(0).unwrap();
    let at = |i: usize| values(&steps.get_on_dim(1, i).unwrap()).unwrap();
    for i in 0..3 {
        for j in 0..3 {
            let error = covariance(&at(i), &at(j)) - rows[i][j] * dt;
            let spread = rows[i][i] * rows[j][j] + rows[i][j] * rows[i][j];
            assert!(error.abs() < 5.0 * dt * (spread / n as f64).sqrt());
        }
    }
    // The direction without noise: the third is the sum of the others.
    let (x, y, z) = (at(0), at(1), at(2));
    assert!((0..n).all(|i| (x[i] + y[i] - z[i]).abs() < 1e-12));
}

#[test]
fn bad_requests_are_errors() {
    let sample = |horizon, dtype| {
        WhiteNoise::sample(horizon, 3, 2, dtype, &mut Generator::new(1), CPU).map(|_| ())
    };
    let error = sample(0.0, DType::F64).unwrap_err().to_string();
    assert_eq!(error, "`horizon` is 0; expected a positive time");
    assert!(sample(f64::NAN, DType::F64).is_err() && sample(1.0, DType::U8).is_err());
    let w = noise(3, 2, 66);
    assert_eq!(
        w.narrow(4).unwrap_err().to_string(),
        "`modes` is 4; expected at most 3, as this noise has"
    );
    assert!(w.values(&[f64::INFINITY]).is_err());
    assert!(w.against(|t| if t > 1.0 { f64::NAN } else { t }).is_err());
    let x = Tensor::zeros((1, 2), DType::F64, CPU).unwrap();
    assert!(periodogram(&x, 1.0).unwrap_err().to_string().starts_with("`values` has shape [1, 2]"));
    assert!(periodogram(&Tensor::zeros(4, DType::F64, CPU).unwrap(), -1.0).is_err());
}
