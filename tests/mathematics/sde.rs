//! SDEs and ODEs: their solvers, the orders, the laws of what they give.

mod adaptive;
mod laws;
mod ode;
mod orders;
mod requests;

use crate::*;
use scorebook::{diffusion::NoisingProcess, metrics::values};

fn brownian(steps: usize, batch: usize, seed: u64) -> BrownianMotion {
    let times = time_grid(0.0, 1.0, steps).unwrap();
    BrownianMotion::sample(&times, (batch, 1), DType::F64, &mut Generator::new(seed), CPU).unwrap()
}

/// `(Δt, mean error at the end)` from `x(0) = 1`, for steps that are `strides` times the path's.
fn errors(
    sde: &dyn Sde,
    path: &BrownianMotion,
    strides: &[usize],
    exact: &Tensor,
) -> Vec<(f64, f64)> {
    let x0 = exact.ones_like().unwrap();
    strides
        .iter()
        .map(|stride| {
            let path = path.coarsen(*stride).unwrap();
            let x = EulerMaruyama::default().solve_along(sde, &x0, &path).unwrap().x;
            let error = values(&(x - exact).unwrap().abs().unwrap()).unwrap();
            (path.times[1], mean(&error))
        })
        .collect()
}

/// Geometric Brownian motion `dx = μ x dt + σ x dw`: `x(T) = x(0) exp((μ - σ²/2) T + σ W(T))`.
#[test]
fn strong_order_half_on_geometric_brownian_motion() {
    let path = brownian(1024, 4000, 20);
    let exact = path.values.get(1024).unwrap().affine(1.0, 1.0 - 0.5).unwrap().exp().unwrap();
    let order = |drift: f64| {
        let sde = Ito::general(move |x, _| x * drift, |x, _| Ok(Dispersion::Diagonal(x.clone())));
        log_slope(&errors(&sde, &path, &[1, 2, 4, 8, 16, 32], &exact))
    };
    println!("strong order on geometric Brownian motion: {:.3}", order(1.0));
    assert!((order(1.0) - 0.5).abs() < 0.1, "{}", order(1.0));
    // The drift of the Stratonovich reading of the same letters does not converge.
    assert!(order(0.5) < 0.2, "{}", order(0.5));
}

/// With additive noise the order is 1: `dx = -x dt + ½ dw`, against the solution on a grid at least 128 times as fine.
#[test]
fn strong_order_one_with_additive_noise() {
    let path = brownian(8192, 1000, 21);
    let sde = Ito::new(|x, _| x * -1.0, |_| 0.5);
    let x0 = Tensor::ones((1000, 1), DType::F64, CPU).unwrap();
    let exact = EulerMaruyama::default().solve_along(&sde, &x0, &path).unwrap().x;
    let order = log_slope(&errors(&sde, &path, &[128, 256, 512, 1024], &exact));
    println!("strong order with additive noise: {order:.3}");
    assert!((order - 1.0).abs() < 0.1, "{order}");
    // Noise of its own in place of the shared one: no order at all.
    let order = log_slope(&errors(&sde, &brownian(8192, 1000, 22), &[128, 256, 512, 1024], &exact));
    assert!(order < 0.2, "{order}");
}

/// Two states driven by three noises have the covariance `g gᵀ T`.
#[test]
fn matrix_dispersion() {
    let sde = Ito::general(
        |x, _| x.zeros_like(),
        |_, _| {
            let g = Tensor::new(&[[1.0, 0.0, 0.5], [0.3, 2.0, 0.0]], &Device::Cpu)?;
            Ok(Dispersion::Matrix(g))
        },
    );
    let n = 100_000;
    let x0 = Tensor::zeros((n, 2), DType::F64, CPU).unwrap();
    let times = time_grid(0.0, 2.0, 2).unwrap();
    let solver = EulerMaruyama::default();
    let end = solver.solve(&sde, &x0, &times, &mut Generator::new(23)).unwrap().x;
    let column = |i| values(&end.get_on_dim(1, i).unwrap()).unwrap();
    let (x, y) = (column(0), column(1));
    for (value, expected, scale) in [
        (variance(&x), 2.5, 2.5 * 2f64.sqrt()),
        (variance(&y), 8.18, 8.18 * 2f64.sqrt()),
        (covariance(&x, &y), 0.6, (2.5 * 8.18 + 0.36f64).sqrt()),
    ] {
        assert!((value - expected).abs() < 5.0 * scale / (n as f64).sqrt(), "{value}");
    }
}

/// `dx = -β x dt + σ dw` keeps `N(0, σ²/(2β))`; note 001 says `σ²/β`. (The method itself keeps `σ²/(2β - β² Δt)`.)
#[test]
fn stationary_law_of_ornstein_uhlenbeck() {
    let (beta, sigma, n, steps) = (1.5, 2.0f64, 200_000, 100);
    let sde = ForwardSde(OrnsteinUhlenbeck::new(beta, sigma, 1.0).unwrap());
    let times = time_grid(0.0, 1.0, steps).unwrap();
    let variance_at_end = |at_start: f64| {
        let mut generator = Generator::new(24);
        let x0 = (generator.normal((n, 1), CPU).unwrap() * at_start.sqrt()).unwrap();
        let end = EulerMaruyama::default().solve(&sde, &x0, &times, &mut generator).unwrap().x;
        variance(&values(&end).unwrap())
    };
    let stationary = sigma * sigma / (2.0 * beta);
    let share = 5.0 * (2.0 / n as f64).sqrt() + beta / steps as f64;
    let end = variance_at_end(stationary);
    println!("stationary variance {end:.4} for {stationary:.4}");
    assert!((end / stationary - 1.0).abs() < share, "{end}");
    // From the note's start the variance moves to σ²(1 + e^(-2βt))/(2β).
    let moved = stationary * (1.0 + (-2.0 * beta).exp());
    let end = variance_at_end(2.0 * stationary);
    assert!((end / moved - 1.0).abs() < share, "{end}");
    assert!(end / (2.0 * stationary) < 0.6, "{end}");
}

#[test]
fn what_goes_wrong_is_an_error() {
    let times = time_grid(0.0, 1.0, 4).unwrap();
    let x0 = Tensor::ones((3, 2), DType::F32, CPU).unwrap();
    let solve = |sde: &Ito| {
        let solver = EulerMaruyama::default();
        solver.solve(sde, &x0, &times, &mut Generator::new(1)).unwrap_err().to_string()
    };
    let explodes = Ito::new(|x, t| if t > 0.4 { x / 0.0 } else { x * 1.0 }, |_| 0.0);
    let expected = "the state is not finite at t = 0.75. \
                    Take more steps, or look at drift, dispersion and score there";
    assert_eq!(solve(&explodes), expected);
    let matrix = Ito::general(
        |x, _| x * 1.0,
        |_, _| Ok(Dispersion::Matrix(Tensor::zeros((3, 1), DType::F32, &Device::Cpu)?)),
    );
    let error = solve(&matrix);
    assert!(error.starts_with("`dispersion` has shape [3, 1]; expected [dim, noises]"), "{error}");
    let wide = Ito::general(
        |x, _| x * 1.0,
        |_, _| Ok(Dispersion::Diagonal(Tensor::zeros((5, 3, 2), DType::F32, &Device::Cpu)?)),
    );
    assert!(solve(&wide).starts_with("`dispersion` has shape [5, 3, 2]"), "{}", solve(&wide));
    let still = Ito::new(|x, _| x * 0.0, |_| 0.0);
    let solver = EulerMaruyama { record: Some(0), ..Default::default() };
    let error = solver.solve(&still, &x0, &times, &mut Generator::new(1)).unwrap_err();
    assert!(error.to_string().starts_with("`record` is 0"), "{error}");
    let path = brownian(4, 3, 1);
    assert!(EulerMaruyama::default().solve_along(&still, &x0, &path).is_err());
}
