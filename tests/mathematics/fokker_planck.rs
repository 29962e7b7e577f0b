use crate::*;
use scorebook::{
    diffusion::{ForwardSde, NoisingProcess},
    distribution::Density,
    fokker_planck::{FokkerPlanck, Grid, GridDensity, Stepping, stationary},
    metrics::{ks_one_sample, values},
    path::time_grid,
    random::Generator,
    reverse::ReverseSde,
    score::MixtureScore,
    sde::{Dispersion, EulerMaruyama, Ito, Sde},
};

const METHODS: [Stepping; 2] = [Stepping::Exponential, Stepping::Implicit];

fn with(stepping: Stepping) -> FokkerPlanck {
    FokkerPlanck { stepping, ..Default::default() }
}

fn gaussian(mean: f64, variance: f64) -> Gaussian {
    Gaussian::isotropic([mean], variance.sqrt()).unwrap()
}

fn on(grid: &Grid, density: &dyn Density) -> GridDensity {
    GridDensity::from_density(grid, density).unwrap()
}

/// `dx = -β x dt + σ dw`.
fn ornstein_uhlenbeck(beta: f64, sigma: f64) -> Ito {
    Ito::new(move |x, _| x * -beta, move |_| sigma)
}

/// `dx = (x - x³) dt + σ dw`: the motion in the double well `V = x⁴/4 - x²/2`.
fn double_well(sigma: f64) -> Ito {
    Ito::new(|x, _| x - x.powf(3.0)?, move |_| sigma)
}

/// In the plane `dx = A x dt + L dw` with constant matrices.
fn linear(a: [[f64; 2]; 2], l: [[f64; 2]; 2]) -> Ito {
    Ito::general(
        move |x, _| x.matmul(&Tensor::new(&a, CPU)?.t()?),
        move |_, _| Ok(Dispersion::Matrix(Tensor::new(&l, CPU)?)),
    )
}

type Matrix = [[f64; 2]; 2];

fn product(a: Matrix, b: Matrix) -> Matrix {
    [0, 1].map(|i| [0, 1].map(|j| a[i][0] * b[0][j] + a[i][1] * b[1][j]))
}

fn transposed(a: Matrix) -> Matrix {
    [0, 1].map(|i| [0, 1].map(|j| a[j][i]))
}

/// Mean and covariance of [`linear`] at time `t`, by `ṁ = A m`, `Ṗ = A P + P Aᵀ + L Lᵀ` in small steps of Heun.
fn linear_moments(
    a: Matrix,
    l: Matrix,
    mut m: [f64; 2],
    mut p: Matrix,
    t: f64,
) -> ([f64; 2], Matrix) {
    let steps = 20_000;
    let dt = t / f64::from(steps);
    let noise = product(l, transposed(l));
    let slope_m = |m: [f64; 2]| [0, 1].map(|i| a[i][0] * m[0] + a[i][1] * m[1]);
    let slope_p = |p: Matrix| {
        let pull = product(a, p);
        [0, 1].map(|i| [0, 1].map(|j| pull[i][j] + pull[j][i] + noise[i][j]))
    };
    let go = |p: Matrix, s: Matrix, dt: f64| [0, 1].map(|i| [0, 1].map(|j| p[i][j] + dt * s[i][j]));
    for _ in 0..steps {
        let first = slope_m(m);
        let second = slope_m([m[0] + dt * first[0], m[1] + dt * first[1]]);
        m = [0, 1].map(|i| m[i] + 0.5 * dt * (first[i] + second[i]));
        let first = slope_p(p);
        let second = slope_p(go(p, first, dt));
        p = go(go(p, first, 0.5 * dt), second, 0.5 * dt);
    }
    (m, p)
}

/// Mass and sign hold on coarse and fine grids, for short and for absurdly long steps, in one and two dimensions.
#[test]
fn mass_and_sign() {
    let line = Grid::line((-3.0, 3.0), 300).unwrap();
    let circle = Grid::line((-3.0, 3.0), 150).unwrap().periodic(0).unwrap();
    let plane = Grid::plane((-3.0, 3.0), (-2.0, 4.0), 40, 30).unwrap();
    let band = plane.clone().periodic(0).unwrap();
    let one = double_well(0.3);
    // Correlated noise, 0.9 and growing with x₁, and a drift that turns.
    let two = Ito::general(
        |x, _| (x.matmul(&Tensor::new(&[[-0.5, -3.0], [3.0, -0.5]], CPU)?)?).sin(),
        |x, _| {
            let g = Tensor::new(&[[1.0, 0.0], [0.9, 0.43]], CPU)?.unsqueeze(0)?;
            let size = x.narrow(1, 0, 1)?.sin()?.affine(0.4, 0.6)?.unsqueeze(2)?;
            Ok(Dispersion::Matrix(g.broadcast_mul(&size)?))
        },
    );
    for (grid, sde) in [(line, &one), (circle, &one), (plane, &two), (band, &two)] {
        let start = GridDensity::dirac(&grid, &[0.1, 0.2][..grid.dim()]).unwrap();
        for (stepping, end, steps) in [
            (Stepping::Exponential, 1.0, 20),
            (Stepping::Implicit, 1.0, 20),
            (Stepping::Implicit, 1e6, 3),
        ] {
            let times = time_grid(0.0, end, steps).unwrap();
            let solver = FokkerPlanck { record: Some(1), ..with(stepping) };
            let evolution = solver.solve(sde, &start, &times).unwrap();
            let report = &evolution.report;
            assert!(report.mass_error < 1e-12, "{stepping:?}: {report}");
            assert!(report.least >= 0.0, "{stepping:?}: {report}");
            assert_eq!((report.steps, evolution.densities.len()), (steps, steps + 1));
            for density in &evolution.densities {
                assert!((density.mass() - 1.0).abs() < 1e-12);
                assert!(density.values().iter().all(|p| *p >= 0.0));
            }
        }
    }
}

/// `N(0, σ²/(2β))`, cell by cell: where the drift is linear the scheme's stationary law is the closed form itself.
#[test]
fn stationary_law_of_ornstein_uhlenbeck() {
    let (beta, sigma) = (1.5, 2.0f64);
    let sde = ornstein_uhlenbeck(beta, sigma);
    let exact = gaussian(0.0, sigma * sigma / (2.0 * beta));
    for cells in [60, 400] {
        let grid = Grid::line((-10.0, 10.0), cells).unwrap();
        let (law, exact) = (stationary(&sde, &grid, 0.0).unwrap(), on(&grid, &exact));
        let distance = law.l1_distance(&exact).unwrap();
        let relative = law.values().iter().zip(exact.values()).map(|(p, q)| (p / q - 1.0).abs());
        let relative = relative.fold(0.0, f64::max);
        println!("{cells} cells: L1 {distance:.1e}, relative {relative:.1e} in every cell");
        assert!(distance < 1e-10 && relative < 1e-10);
        // A march keeps it.
        for stepping in METHODS {
            let evolution = with(stepping).solve(&sde, &exact, &[0.0, 0.5, 1.0]).unwrap();
            assert!(evolution.last().l1_distance(&exact).unwrap() < 1e-10);
        }
        // The note's N(0, σ²/β) is another law; so is what a dropped ½ gives.
        for wrong in
            [ornstein_uhlenbeck(0.5 * beta, sigma), ornstein_uhlenbeck(beta, 2f64.sqrt() * sigma)]
        {
            let law = stationary(&wrong, &grid, 0.0).unwrap();
            assert!(law.l1_distance(&exact).unwrap() > 0.3);
        }
    }
    // In the plane, with correlated noise: dx = -x dt + L dw keeps N(0, L Lᵀ/2). Cells need not be square.
    let l = [[1.0, 0.0], [1.2, 0.5]];
    let grid = Grid::plane((-6.0, 6.0), (-9.0, 9.0), 50, 60).unwrap();
    let law = stationary(&linear([[-1.0, 0.0], [0.0, -1.0]], l), &grid, 0.0).unwrap();
    let covariance = product(l, transposed(l)).map(|row| row.map(|entry| 0.5 * entry));
    let exact = on(&grid, &Gaussian::full([0.0, 0.0], &covariance).unwrap());
    let distance = law.l1_distance(&exact).unwrap();
    println!("in the plane: L1 {distance:.1e}");
    assert!(distance < 1e-10);
}

/// `(width, L1 error)` of the density at the end against a closed form, in the limit of many steps.
fn errors(
    sde: &dyn Sde,
    ends: (f64, f64),
    start: &dyn Density,
    end: &dyn Density,
    t: f64,
) -> Vec<(f64, f64)> {
    [50, 100, 200, 400]
        .map(|cells| {
            let grid = Grid::line(ends, cells).unwrap();
            let solver = FokkerPlanck::default();
            let evolution = solver.solve(sde, &on(&grid, start), &[0.0, t]).unwrap();
            let error = evolution.last().l1_distance(&on(&grid, end)).unwrap();
            (grid.cell_volume(), error)
        })
        .to_vec()
}

#[test]
fn second_order_in_space() {
    let (start, t) = (gaussian(1.0, 0.16), 0.7f64);
    let (beta, sigma) = (1.3f64, 0.9f64);
    let decay = (-beta * t).exp();
    let moved = |sigma: f64| {
        let noise = sigma * sigma * (1.0 - decay * decay) / (2.0 * beta);
        gaussian(decay, 0.16 * decay * decay + noise)
    };
    let ou = ornstein_uhlenbeck(beta, sigma);
    let brownian = ornstein_uhlenbeck(0.0, sigma);
    let spread = gaussian(1.0, 0.16 + sigma * sigma * t);
    for (name, sde, end) in [("OU", &ou, &moved(sigma)), ("Brownian", &brownian, &spread)] {
        let errors = errors(sde, (-6.0, 6.0), &start, end, t);
        let slope = log_slope(&errors);
        println!("{name}: order {slope:.3}, finest error {:.1e}", errors[3].1);
        assert!((slope - 2.0).abs() < 0.1 && errors[3].1 < 1e-3, "{name}: {slope}, {errors:?}");
    }
    // The ½ dropped, the sign of the drift turned: errors that no grid makes small.
    let turned = ornstein_uhlenbeck(-beta, sigma);
    let doubled = ornstein_uhlenbeck(beta, 2f64.sqrt() * sigma);
    for wrong in [&turned, &doubled] {
        let errors = errors(wrong, (-6.0, 6.0), &start, &moved(sigma), t);
        assert!(errors.iter().all(|(_, error)| *error > 0.1), "{errors:?}");
    }
}

/// Noise that depends on the state: geometric Brownian motion `dx = μ x dt + σ x dw`, whose logarithm is Gaussian.
#[test]
fn noise_that_depends_on_the_state() {
    #[derive(Debug)]
    struct LogNormal(f64, f64);
    impl Density for LogNormal {
        fn dim(&self) -> usize {
            1
        }
        fn log_prob(&self, x: &Tensor) -> scorebook::Result<Tensor> {
            let log = x.log()?;
            Ok((gaussian(self.0, self.1).log_prob(&log)? - log.squeeze(1)?)?)
        }
        fn score(&self, _: &Tensor) -> scorebook::Result<Tensor> {
            unreachable!("not asked for")
        }
        fn sample(&self, _: usize, _: &mut Generator, _: &Device) -> scorebook::Result<Tensor> {
            unreachable!("not asked for")
        }
    }
    let (mu, sigma, t) = (0.2, 0.5f64, 0.6f64);
    let sde = |pull: f64| {
        Ito::general(move |x, _| x * pull, move |x, _| Ok(Dispersion::Diagonal((x * sigma)?)))
    };
    let start = LogNormal(0.3, 0.02);
    let end = LogNormal(0.3 + (mu - 0.5 * sigma * sigma) * t, 0.02 + sigma * sigma * t);
    let of = |pull: f64| errors(&sde(pull), (0.0, 10.0), &start, &end, t);
    let slope = log_slope(&of(mu)[1..]);
    println!("geometric Brownian motion: order {slope:.3}, finest error {:.1e}", of(mu)[3].1);
    assert!((slope - 2.0).abs() < 0.15, "{:?}", of(mu));
    // -∂(f p) + ½ ∂(G ∂p), without the term with G′ = 2σ²x, is the equation with ½ G′ more drift; Stratonovich's has ¼ G′.
    for wrong in [mu + sigma * sigma, mu + 0.5 * sigma * sigma] {
        assert!(of(wrong).iter().all(|(_, error)| *error > 0.1), "{:?}", of(wrong));
    }
}

/// Steps in time: the exponential is exact where nothing depends on time and second order where something does,
/// implicit Euler first order.
#[test]
fn orders_in_time() {
    let moving = Ito::new(|x, t| x.affine(-1.0, 3.0 * (6.0 * t).sin()), |t| 1.0 + 2.0 * t * t);
    let grid = Grid::line((-5.0, 5.0), 200).unwrap();
    let start = on(&grid, &gaussian(1.0, 0.1));
    let order = |sde: &dyn Sde, stepping: Stepping| {
        let at_end = |steps: usize| {
            let times = time_grid(0.0, 0.5, steps).unwrap();
            with(stepping).solve(sde, &start, &times).unwrap().last().clone()
        };
        let fine = at_end(400);
        let errors: Vec<(f64, f64)> = [5, 10, 20, 40]
            .map(|steps| (1.0 / steps as f64, at_end(steps).l1_distance(&fine).unwrap()))
            .to_vec();
        (log_slope(&errors), errors[3].1)
    };
    let (slope, error) = order(&moving, Stepping::Exponential);
    println!("exponential: order {slope:.3}, error {error:.1e}");
    assert!((slope - 2.0).abs() < 0.1, "{slope}");
    // Against a solution of 400 implicit steps: the slope of e - e/10.
    let (slope, error) = order(&moving, Stepping::Implicit);
    println!("implicit: order {slope:.3}, error {error:.1e}");
    assert!((slope - 1.0).abs() < 0.15, "{slope}");
    let (_, error) = order(&ornstein_uhlenbeck(1.0, 1.0), Stepping::Exponential);
    assert!(error < 1e-12, "{error:e}");
}

/// One SDE object, two solvers: 40,000 particles and a grid. Also on the way down in time, where the drift turns.
#[test]
fn agrees_with_particles() {
    let n = 40_000;
    let grid = Grid::line((-6.0, 6.0), 300).unwrap();
    let sde = |noise: f64| {
        Ito::general(
            |x, t| x.affine(2.0, 3.0 * t)?.sin()? + 0.5 * (3.0 * t).sin(),
            move |x, _| Ok(Dispersion::Diagonal(x.cos()?.affine(0.3 * noise, 0.6 * noise)?)),
        )
    };
    let sde_of_both = sde(1.0);
    for (times, steps) in [((0.0, 1.0), 200), ((0.6, 0.0), 200)] {
        let times = time_grid(times.0, times.1, steps).unwrap();
        let start = gaussian(0.3, 0.04);
        let generator = &mut Generator::new(70);
        let x0 = start.sample(n, generator, CPU).unwrap().to_dtype(DType::F64).unwrap();
        let x = EulerMaruyama::default().solve(&sde_of_both, &x0, &times, generator).unwrap().x;
        let density = |sde: &Ito| {
            let solver = FokkerPlanck::default();
            solver.solve(sde, &on(&grid, &start), &times).unwrap().last().clone()
        };
        let law = density(&sde_of_both);
        let test = ks_one_sample(&values(&x).unwrap(), law.cdf().unwrap()).unwrap();
        // What a histogram of n particles differs by: the sum over the cells of E|count - np|/n = √(2 p (1-p)/(π n)).
        let particles = GridDensity::from_samples(&grid, &x).unwrap();
        let distance = particles.l1_distance(&law).unwrap();
        let chance: f64 = law
            .values()
            .iter()
            .map(|p| (2.0 * p * grid.cell_volume() / (std::f64::consts::PI * n as f64)).sqrt())
            .sum();
        println!(
            "KS {:.4} (p = {:.2}), L1 {distance:.4}, by chance {chance:.4}",
            test.statistic, test.p_value
        );
        // Five standard errors of F, plus the weak error of Euler-Maruyama with Δt = 1/200.
        assert!(test.statistic < 2.5 / (n as f64).sqrt() + 0.004, "{test:?}");
        assert!(distance < 1.3 * chance + 0.01, "{distance} for {chance}");
        // The ½ dropped.
        let wrong =
            ks_one_sample(&values(&x).unwrap(), density(&sde(2f64.sqrt())).cdf().unwrap()).unwrap();
        assert!(wrong.statistic > 1.5 * (2.5 / (n as f64).sqrt() + 0.004), "{wrong:?}");
    }
}

/// The plane with full matrices: a drift that turns and noise that is correlated, against the Gaussian closed form.
#[test]
fn correlated_noise_in_the_plane() {
    let (a, l) = ([[-0.8, 1.0], [-1.2, -0.5]], [[0.9, 0.0], [0.6, 0.4]]);
    let (mean, covariance) = ([0.8, -0.4], [[0.3, -0.1], [-0.1, 0.25]]);
    let start = Gaussian::full(mean, &covariance).unwrap();
    let t = 0.6;
    let (m, p) = linear_moments(a, l, mean, covariance, t);
    let end = Gaussian::full(m, &p).unwrap();
    let error = |l: Matrix, columns: usize, rows: usize| {
        let grid = Grid::plane((-5.0, 5.0), (-4.0, 4.0), columns, rows).unwrap();
        let solver = FokkerPlanck::default();
        let evolution = solver.solve(&linear(a, l), &on(&grid, &start), &[0.0, t]).unwrap();
        (grid.cell_volume().sqrt(), evolution.last().l1_distance(&on(&grid, &end)).unwrap())
    };
    let errors = [(80, 60), (120, 90), (160, 120)].map(|(columns, rows)| error(l, columns, rows));
    let slope = log_slope(&errors);
    println!("in the plane: order {slope:.3}, finest error {:.1e}", errors[2].1);
    assert!((slope - 2.0).abs() < 0.15 && errors[2].1 < 0.01, "{errors:?}");
    // Cells so far from square that the stencil of nine cells would need negative rates: |G₁₂| > G₁₁ h₂/h₁.
    let (_, error_of_flat) = error(l, 160, 48);
    println!("flat cells: error {error_of_flat:.1e}");
    assert!(error_of_flat < 0.04);
    // The correlation turned, or left out.
    for wrong in [[[0.9, 0.0], [-0.6, 0.4]], [[0.9, 0.0], [0.0, 0.52f64.sqrt()]]] {
        assert!(error(wrong, 80, 60).1 > 0.1);
    }
}

/// Correlated noise that depends on the state. Two Ornstein-Uhlenbeck processes `Y` in bent coordinates, `X₁ = Y₁` and
/// `X₂ = Y₂ + a sin Y₁`, have by Itô's lemma the dispersion `σ [[1, 0], [a cos X₁, 1]]`, of which the stencil changes from place
/// to place, and the density `p_Y(x₁, x₂ - a sin x₁)`.
#[test]
fn correlated_noise_that_depends_on_the_state() {
    let (bend, sigma, t) = (1.2, 0.9f64, 0.5f64);
    let sde = |ito: f64| {
        let drift = move |x: &Tensor, _: f64| {
            let (first, second) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
            let (sin, cos) = (first.sin()?, first.cos()?);
            let back = ((&second - (&sin * bend)?)? + ((&first * cos)? * bend)?)?;
            let correction = (sin * (0.5 * ito * bend * sigma * sigma))?;
            Tensor::cat(&[first.neg()?, (back + correction)?.neg()?], 1)
        };
        let dispersion = move |x: &Tensor, _: f64| {
            let slope = (x.narrow(1, 0, 1)?.cos()? * bend)?;
            let (one, zero) = (slope.ones_like()?, slope.zeros_like()?);
            let g = Tensor::cat(&[&one, &zero, &slope, &one], 1)?.reshape(((), 2, 2))?;
            Ok(Dispersion::Matrix((g * sigma)?))
        };
        Ito::general(drift, dispersion)
    };
    let bent = |grid: &Grid, mean: [f64; 2], variance: f64| {
        GridDensity::from_fn(grid, |x| {
            let y = [x[0], x[1] - bend * x[0].sin()];
            (-((y[0] - mean[0]).powi(2) + (y[1] - mean[1]).powi(2)) / (2.0 * variance)).exp()
        })
        .unwrap()
    };
    let decay = (-t).exp();
    let variance = 0.09 * decay * decay + 0.5 * sigma * sigma * (1.0 - decay * decay);
    let error = |ito: f64, cells: usize| {
        let grid = Grid::plane((-3.5, 3.5), (-4.5, 4.5), cells, cells).unwrap();
        let start = bent(&grid, [0.5, -0.5], 0.09);
        let end = FokkerPlanck::default().solve(&sde(ito), &start, &[0.0, t]).unwrap();
        assert!(end.report.least >= 0.0);
        let exact = bent(&grid, [0.5 * decay, -0.5 * decay], variance);
        (7.0 / cells as f64, end.last().l1_distance(&exact).unwrap())
    };
    let errors = [50, 80, 120].map(|cells| error(1.0, cells));
    let slope = log_slope(&errors);
    println!("in bent coordinates: order {slope:.3}, finest error {:.1e}", errors[2].1);
    assert!((slope - 2.0).abs() < 0.25 && errors[2].1 < 0.02, "{errors:?}");
    // Without Itô's correction the drift is another.
    assert!(error(0.0, 80).1 > 0.1);
    let grid = Grid::plane((-3.5, 3.5), (-4.5, 4.5), 80, 80).unwrap();
    let law = stationary(&sde(1.0), &grid, 0.0).unwrap();
    let distance = law.l1_distance(&bent(&grid, [0.0, 0.0], 0.5 * sigma * sigma)).unwrap();
    println!("its stationary law: {distance:.1e}");
    assert!(distance < 0.03);
}

/// Noise in one direction only. Along the diagonal it makes a walk on the diagonal, whose moments are exact; in the
/// velocity alone (the Langevin equation of a particle on a spring) the stationary law is `N(0, σ²/(2γ))` for both coordinates.
#[test]
fn degenerate_noise() {
    let grid = Grid::plane((-4.0, 4.0), (-4.0, 4.0), 81, 81).unwrap();
    let sde = linear([[0.0; 2]; 2], [[0.5, 0.0], [0.5, 0.0]]);
    let start = GridDensity::dirac(&grid, &[0.0, 0.0]).unwrap();
    let end = FokkerPlanck::default().solve(&sde, &start, &[0.0, 1.0]).unwrap().last().clone();
    for (cell, p) in end.values().iter().enumerate() {
        assert!(cell % 81 == cell / 81 || *p == 0.0);
    }
    for entry in end.covariance().concat() {
        assert!((entry - 0.25).abs() < 1e-9, "{entry}");
    }
    // A pull towards 0 along the same diagonal: the Ornstein-Uhlenbeck process on it.
    let sde = linear([[-1.0, 0.0], [0.0, -1.0]], [[0.5, 0.0], [0.5, 0.0]]);
    let end = FokkerPlanck::default().solve(&sde, &start, &[0.0, 1.0]).unwrap().last().clone();
    for entry in end.covariance().concat() {
        assert!((entry / (0.125 * (1.0 - (-2f64).exp())) - 1.0).abs() < 0.02, "{entry}");
    }
    assert!(end.values().iter().enumerate().all(|(cell, p)| cell % 81 == cell / 81 || *p < 1e-12));
    let (gamma, sigma) = (1.0, 1.0f64);
    let sde = linear([[0.0, 1.0], [-1.0, -gamma]], [[0.0, 0.0], [0.0, sigma]]);
    let errors = [40, 80].map(|cells| {
        let grid = Grid::plane((-4.0, 4.0), (-4.0, 4.0), cells, cells).unwrap();
        let law = stationary(&sde, &grid, 0.0).unwrap();
        let exact =
            Gaussian::isotropic([0.0, 0.0], (sigma * sigma / (2.0 * gamma)).sqrt()).unwrap();
        (8.0 / cells as f64, law.l1_distance(&on(&grid, &exact)).unwrap())
    });
    // Upwind where there is no noise: first order.
    let slope = log_slope(&errors);
    println!("Langevin equation: order {slope:.2}, errors {errors:?}");
    assert!(slope > 0.8 && errors[1].1 < 0.15, "{errors:?}");
}

/// `exp(-2V/σ²)`, with second order, by elimination and by waiting.
#[test]
fn double_well_keeps_boltzmanns_law() {
    let sigma = 0.7f64;
    let potential = |x: f64| 0.25 * x.powi(4) - 0.5 * x * x;
    let law_of = |grid: &Grid, factor: f64| {
        GridDensity::from_fn(grid, |x| (-factor * potential(x[0]) / (sigma * sigma)).exp()).unwrap()
    };
    let errors = [50, 100, 200, 400].map(|cells| {
        let grid = Grid::line((-2.5, 2.5), cells).unwrap();
        let law = stationary(&double_well(sigma), &grid, 0.0).unwrap();
        (grid.cell_volume(), law.l1_distance(&law_of(&grid, 2.0)).unwrap())
    });
    let slope = log_slope(&errors);
    println!("double well: order {slope:.3}, finest error {:.1e}", errors[3].1);
    assert!((slope - 2.0).abs() < 0.1 && errors[3].1 < 1e-3, "{errors:?}");
    let grid = Grid::line((-2.5, 2.5), 100).unwrap();
    let law = stationary(&double_well(sigma), &grid, 0.0).unwrap();
    assert!(law.l1_distance(&law_of(&grid, 1.0)).unwrap() > 0.1, "the factor 2");
    let left = on(&grid, &gaussian(-1.0, 0.02));
    let times = time_grid(0.0, 1e4, 40).unwrap();
    let waited = with(Stepping::Implicit).solve(&double_well(sigma), &left, &times).unwrap();
    assert!(waited.last().l1_distance(&law).unwrap() < 1e-9);
}

/// On the circle `dθ = (c - ½ κ σ² sin θ) dt + σ dw`. With `c = 0` the law is von Mises', `∝ exp(κ cos θ)`; with a push `c` it
/// circulates, and solves `J = const`, here by quadrature.
#[test]
fn on_the_circle() {
    let (kappa, sigma, pi) = (2.0, 0.8f64, std::f64::consts::PI);
    let sde = |push: f64| {
        let pull = 0.5 * kappa * sigma * sigma;
        Ito::new(move |x, _| x.sin()?.affine(-pull, push), move |_| sigma)
    };
    let circle = |cells: usize| Grid::line((-pi, pi), cells).unwrap().periodic(0).unwrap();
    // p(θ) ∝ e^(-Φ(θ)) ∫_θ^(θ+2π) e^(Φ(s)) ds with Φ' = -2 f/σ².
    let exact = |grid: &Grid, push: f64| {
        let phi = move |s: f64| -kappa * s.cos() - 2.0 * push * s / (sigma * sigma);
        let n = 4000;
        GridDensity::from_fn(grid, move |x| {
            let middles = (0..n).map(|i| x[0] + 2.0 * pi * (f64::from(i) + 0.5) / f64::from(n));
            middles.map(|s| (phi(s) - phi(x[0])).exp()).sum()
        })
        .unwrap()
    };
    for push in [0.0, 0.5] {
        let errors = [40, 80, 160].map(|cells| {
            let grid = circle(cells);
            let law = stationary(&sde(push), &grid, 0.0).unwrap();
            (grid.cell_volume(), law.l1_distance(&exact(&grid, push)).unwrap())
        });
        let slope = log_slope(&errors);
        println!("circle, push {push}: order {slope:.3}, finest error {:.1e}", errors[2].1);
        assert!((slope - 2.0).abs() < 0.1, "{errors:?}");
    }
    let grid = circle(80);
    let von_mises = GridDensity::from_fn(&grid, |x| (kappa * x[0].cos()).exp()).unwrap();
    assert!(exact(&grid, 0.0).l1_distance(&von_mises).unwrap() < 1e-6);
    assert!(stationary(&sde(0.5), &grid, 0.0).unwrap().l1_distance(&von_mises).unwrap() > 0.1);
    // Free diffusion from a point becomes the wrapped normal law; with walls in place of the circle it does not.
    let free = ornstein_uhlenbeck(0.0, 1.0);
    let wrapped = GridDensity::from_fn(&grid, |x| {
        (-5..=5).map(|k| (-0.25 * (x[0] - 3.0 + 2.0 * pi * f64::from(k)).powi(2)).exp()).sum()
    })
    .unwrap();
    for stepping in METHODS {
        let times = time_grid(0.0, 2.0, 200).unwrap();
        let distance = |grid: Grid| {
            let start = GridDensity::dirac(&grid, &[3.0]).unwrap();
            let end = with(stepping).solve(&free, &start, &times).unwrap().last().clone();
            let terms = end.values().iter().zip(wrapped.values()).map(|(p, q)| (p - q).abs());
            terms.sum::<f64>() * grid.cell_volume()
        };
        assert!(distance(grid.clone()) < 5e-3, "{}", distance(grid.clone()));
        assert!(distance(Grid::line((-pi, pi), 80).unwrap()) > 0.3);
    }
    // The torus: both coordinates at once are two circles.
    let torus = Grid::plane((-pi, pi), (-pi, pi), 40, 24).unwrap();
    let torus = torus.periodic(0).unwrap().periodic(1).unwrap();
    let law = stationary(&sde(0.5), &torus, 0.0).unwrap();
    let one = stationary(&sde(0.5), &circle(40), 0.0).unwrap();
    let gap = law.marginal(0).unwrap().l1_distance(&one).unwrap();
    assert!(gap < 1e-10, "{gap}");
}

/// Without noise the density is carried along, by the upwind scheme: `dx = c dt`, and a turn in the plane.
#[test]
fn pure_transport() {
    let sde = Ito::new(|x, _| x.ones_like()? * 1.5, |_| 0.0);
    let errors = [300, 600, 1200].map(|cells| {
        let grid = Grid::line((-4.5, 5.5), cells).unwrap();
        let start = on(&grid, &gaussian(-1.0, 0.25));
        let end = FokkerPlanck::default().solve(&sde, &start, &[0.0, 2.0]).unwrap();
        assert!(end.report.least >= 0.0);
        assert!((end.last().mean()[0] - 2.0).abs() < 1e-6);
        (grid.cell_volume(), end.last().l1_distance(&on(&grid, &gaussian(2.0, 0.25))).unwrap())
    });
    let slope = log_slope(&errors);
    println!("transport: order {slope:.3}, finest error {:.1e}", errors[2].1);
    assert!((slope - 1.0).abs() < 0.15, "{errors:?}");
    let turn = linear([[0.0, -1.0], [1.0, 0.0]], [[0.0; 2]; 2]);
    let grid = Grid::plane((-3.0, 3.0), (-3.0, 3.0), 60, 60).unwrap();
    let start = on(&grid, &Gaussian::isotropic([1.5, 0.0], 0.3).unwrap());
    let quarter = std::f64::consts::FRAC_PI_2;
    for stepping in METHODS {
        let times = time_grid(0.0, quarter, 200).unwrap();
        let end = with(stepping).solve(&turn, &start, &times).unwrap();
        let mean = end.last().mean();
        assert!(end.report.least >= 0.0);
        assert!(mean[0].abs() < 0.02 && (mean[1] - 1.5).abs() < 0.02, "{mean:?}");
    }
}

/// `∫ φ f′ dx = -∫ φ′ f dx`, and `∂ₜ E φ(X_t) = E[φ′ f + ½ g² φ″]` (note 001): the notes' way to the Fokker-Planck equation,
/// as residuals on the grid.
#[test]
fn derivation_by_test_functions() {
    let grid = Grid::line((-6.0, 6.0), 600).unwrap();
    let h = grid.cell_volume();
    let difference = |f: &dyn Fn(f64) -> f64, x: f64| (f(x + 1e-4) - f(x - 1e-4)) / 2e-4;
    let second = |f: &dyn Fn(f64) -> f64, x: f64| (f(x + 1e-3) - 2.0 * f(x) + f(x - 1e-3)) / 1e-6;
    // Smooth functions, of which the first decays and the second is cut off by the density.
    let tests: [&dyn Fn(f64) -> f64; 3] =
        [&|x| (-(x - 0.5) * (x - 0.5)).exp(), &|x| x * x, &|x| (2.0 * x).sin()];
    let bell = |x: f64| (-x * x).exp() * (1.0 + 0.3 * x);
    for phi in tests {
        let integral = |f: &dyn Fn(f64) -> f64| h * grid.axis(0).into_iter().map(f).sum::<f64>();
        let left = integral(&|x| phi(x) * difference(&bell, x));
        let right = integral(&|x| difference(phi, x) * bell(x));
        assert!((left + right).abs() < 1e-7, "{left} {right}");
        assert!((left - right).abs() > 1e-2, "the sign");
    }
    let sde = double_well(0.8);
    let start = on(&grid, &gaussian(0.4, 0.3));
    let (t, dt) = (0.3, 1e-3);
    let solver = FokkerPlanck { record: Some(1), ..Default::default() };
    let march = solver.solve(&sde, &start, &[0.0, t - dt, t, t + dt]).unwrap();
    let [_, before, now, after] = &march.densities[..] else { panic!("four densities") };
    for phi in tests {
        let mean = |p: &GridDensity| p.expectation(|x| phi(x[0]));
        let rate = (mean(after) - mean(before)) / (2.0 * dt);
        let generator = |half: f64, sign: f64| {
            now.expectation(|x| {
                let x = x[0];
                let drift = x - x.powi(3);
                sign * difference(phi, x) * drift + half * 0.64 * second(phi, x)
            })
        };
        let residual = (rate - generator(0.5, 1.0)).abs();
        println!("∂E φ = {rate:.6}, residual {residual:.1e}");
        // Second order: h² = 4e-4, and dt² = 1e-6 of the difference in time.
        assert!(residual < 1e-3 * (1.0 + rate.abs()), "{residual}");
        assert!((rate - generator(1.0, 1.0)).abs() > 0.02, "the ½");
        assert!((rate - generator(0.5, -1.0)).abs() > 0.02, "the sign of the drift");
    }
}

/// Two Gaussians, of unequal weight.
fn two() -> Mixture {
    Mixture::new([0.3, 0.7], [[-1.5], [1.0]], [0.4, 0.5]).unwrap()
}

/// Anderson's proof by substitution (note 001, with its errata): `p̄ = p` solves
/// `∂ₜp̄ = -∂[(f - g²∂ ln p) p̄] - ½ g² ∂²p̄`, the equation of the reverse SDE; the brackets as the note sets them do not.
#[test]
fn andersons_proof_by_substitution() {
    let (beta, sigma) = (1.0, 1.2f64);
    let process = OrnsteinUhlenbeck::new(beta, sigma, 1.0).unwrap();
    let law = MixtureScore::new(two(), process);
    let g2 = sigma * sigma;
    let worst = |h: f64| {
        let x: Vec<f64> = (0..=(8.0 / h) as usize).map(|i| -4.0 + i as f64 * h).collect();
        let points = Tensor::from_slice(&x, (x.len(), 1), CPU).unwrap();
        let p_at = |t: f64| {
            let t = Tensor::full(t, x.len(), CPU).unwrap();
            values(&law.log_prob(&points, &t).unwrap().exp().unwrap()).unwrap()
        };
        let t = 0.4;
        let (before, p, after) = (p_at(t - 1e-4), p_at(t), p_at(t + 1e-4));
        let score = {
            use scorebook::score::Score;
            let t = Tensor::full(t, x.len(), CPU).unwrap();
            values(&law.score(&points, &t).unwrap()).unwrap()
        };
        let slope = |f: &dyn Fn(usize) -> f64, i: usize| (f(i + 1) - f(i - 1)) / (2.0 * h);
        let bend = |i: usize| (p[i + 1] - 2.0 * p[i] + p[i - 1]) / (h * h);
        let mut residuals = [0f64; 4];
        for i in 2..x.len() - 2 {
            let rate = (after[i] - before[i]) / 2e-4;
            let flux = |i: usize| (-beta * x[i] - g2 * score[i]) * p[i];
            let forward = slope(&|i| -beta * x[i] * p[i], i);
            let spread = slope(&|i| g2 * score[i] * p[i], i);
            let equations = [
                // The reverse equation, and the forward one in the form that the note brings it to.
                -slope(&flux, i) - 0.5 * g2 * bend(i),
                -forward + spread - 0.5 * g2 * bend(i),
                // Line 276: a minus sign before the bracket that holds the second derivative too.
                -slope(&flux, i) + 0.5 * g2 * bend(i),
                // Line 280: -∂((f p) + g² ∂p) - ½ g² ∂²p.
                -forward - spread - 0.5 * g2 * bend(i),
            ];
            for (worst, equation) in residuals.iter_mut().zip(equations) {
                *worst = worst.max((rate - equation).abs());
            }
        }
        residuals
    };
    let (coarse, fine) = (worst(0.04), worst(0.02));
    println!("residuals {fine:.5?}");
    for (coarse, fine) in coarse.iter().zip(fine).take(2) {
        // Second order: half the width, a quarter of the residual.
        assert!(fine < 2e-3 && (coarse / fine - 4.0).abs() < 0.5, "{coarse} {fine}");
    }
    assert!(fine[2] > 0.5 && fine[3] > 0.5, "{fine:?}");
}

/// The first look at reversal. The density of the reverse SDE, from `p_T` down, comes back to `p_0`; so does that of the
/// probability flow. The forward SDE on the same descending times, the naive way, does not, and the particles say the same.
#[test]
fn reverse_time() {
    let process = OrnsteinUhlenbeck::new(1.0, 1.0, 1.0).unwrap();
    let score = MixtureScore::new(two(), process);
    let grid = Grid::line((-8.0, 8.0), 400).unwrap();
    let data = on(&grid, &two());
    let noise = two().noised(process.mean_scale(1.0), process.std(1.0)).unwrap();
    let up = FokkerPlanck::default().solve(&ForwardSde(process), &data, &[0.0, 1.0]).unwrap();
    assert!(up.last().l1_distance(&on(&grid, &noise)).unwrap() < 2e-3);
    let times = time_grid(1.0, 0.0, 100).unwrap();
    let down = |sde: &dyn Sde| {
        let end = FokkerPlanck::default().solve(sde, up.last(), &times).unwrap().last().clone();
        (end.l1_distance(&data).unwrap(), end)
    };
    let reverse = |noise: f64| ReverseSde { process, score: score.clone(), noise };
    let (distance, _) = down(&reverse(1.0));
    println!("reverse SDE: L1 {distance:.4} from the data");
    assert!(distance < 0.01, "{distance}");
    // Transport is first order in the width of the cells: the flow smears a little.
    let (distance, _) = down(&reverse(0.0));
    println!("probability flow: L1 {distance:.4}");
    assert!(distance < 0.25, "{distance}");
    let (distance, naive) = down(&ForwardSde(process));
    println!("naive rewinding: L1 {distance:.4}");
    assert!(distance > 0.5, "{distance}");
    // Its variance: of the noise times e², plus (e² - 1)/2.
    let at_noise = up.last().covariance()[0][0];
    let expected = at_noise * 2f64.exp() + 0.5 * (2f64.exp() - 1.0);
    assert!((naive.covariance()[0][0] / expected - 1.0).abs() < 0.02);
    let n = 100_000;
    let generator = &mut Generator::new(71);
    let x = noise.sample(n, generator, CPU).unwrap();
    let x = EulerMaruyama::default().solve(&ForwardSde(process), &x, &times, generator).unwrap().x;
    // Five standard errors, and βΔt of the method.
    let spread = variance(&values(&x).unwrap());
    assert!((spread / expected - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt() + 0.02, "{spread}");
}

/// `∫ φ p_T dx = ∫ u p_0 dx` with `u` from Kolmogorov's backward equation, and `u` itself where it is known.
#[test]
fn backward_equation() {
    let process = VariancePreserving::default();
    let sde = ForwardSde(process);
    let grid = Grid::line((-6.0, 6.0), 300).unwrap();
    let start = on(&grid, &two());
    let times = time_grid(0.0, 0.6, 12).unwrap();
    for stepping in METHODS {
        let solver = FokkerPlanck { record: Some(6), ..with(stepping) };
        let payoff = |x: &[f64]| (1.5 * x[0]).cos() + x[0] * x[0];
        let end = solver.solve(&sde, &start, &times).unwrap().last().clone();
        let expectation = solver.expectation(&sde, &grid, payoff, &times).unwrap();
        assert_eq!(
            expectation.times,
            [0.6, 0.3, 0.0].map(|t: f64| times[(t * 20.0).round() as usize])
        );
        let u = expectation.last();
        let ahead: f64 =
            start.values().iter().zip(u).map(|(p, u)| p * u).sum::<f64>() * grid.cell_volume();
        let behind = end.expectation(payoff);
        assert!((ahead - behind).abs() < 1e-12, "{stepping:?}: {ahead} {behind}");
    }
    // dx = -x dt + dw: E[X_T² | x] = x² e^(-2T) + (1 - e^(-2T))/2.
    let end = FokkerPlanck::default()
        .expectation(&ornstein_uhlenbeck(1.0, 1.0), &grid, |x| x[0] * x[0], &[0.0, 0.5])
        .unwrap();
    let decay = (-1f64).exp();
    for (x, u) in grid.axis(0).into_iter().zip(end.last()) {
        let exact = x * x * decay + 0.5 * (1.0 - decay);
        // Far from the walls.
        assert!(x.abs() > 4.0 || (u - exact).abs() < 1e-3 * (1.0 + exact), "{x}: {u} {exact}");
    }
    // The plane, with correlated noise and a time step long enough to need all of the elimination.
    let sde = linear([[-0.8, 1.0], [-1.2, -0.5]], [[0.9, 0.0], [0.6, 0.4]]);
    let grid = Grid::plane((-4.0, 4.0), (-4.0, 4.0), 24, 20).unwrap().periodic(1).unwrap();
    let start = GridDensity::dirac(&grid, &[0.5, 0.5]).unwrap();
    for stepping in METHODS {
        let payoff = |x: &[f64]| f64::from(x[0] + x[1] > 0.3);
        let end = with(stepping).solve(&sde, &start, &[0.0, 0.5, 1.0]).unwrap().last().clone();
        let u = with(stepping).expectation(&sde, &grid, payoff, &[0.0, 0.5, 1.0]).unwrap();
        let ahead: f64 = start.values().iter().zip(u.last()).map(|(p, u)| p * u).sum::<f64>()
            * grid.cell_volume();
        assert!((ahead - end.expectation(payoff)).abs() < 1e-12);
    }
}

/// Against its time the equation is solved exactly for a moment, and then not at all; the report says by how much
/// errors have grown.
#[test]
fn the_terminal_value_problem_is_ill_posed() {
    let sde = ornstein_uhlenbeck(1.0, 1.0);
    let grid = Grid::line((-4.0, 4.0), 80).unwrap();
    let start = on(&grid, &gaussian(0.5, 0.2));
    for stepping in METHODS {
        let solver = with(stepping);
        let there_and_back = |end: f64| {
            let times = time_grid(0.0, end, 20).unwrap();
            let forth = solver.solve(&sde, &start, &times).unwrap();
            let back = solver.terminal_value(&sde, forth.last(), &times).unwrap();
            assert_eq!((back.times.clone(), back.report.steps), (vec![0.0], 20));
            assert!(back.report.warnings[0].contains("ill posed"), "{}", back.report);
            (back.report.error_growth, back.report.least, back.last().l1_distance(&start).unwrap())
        };
        let (growth, _, distance) = there_and_back(0.01);
        println!("{stepping:?}, t = 0.01: errors grow by 10^{growth:.1}, L1 {distance:.1e}");
        assert!(growth > 0.5 && distance < 1e-10);
        let (growth, least, distance) = there_and_back(1.0);
        println!(
            "{stepping:?}, t = 1: errors grow by 10^{growth:.1}, L1 {distance:.1e}, least {least:.1e}"
        );
        assert!(growth > 18.0 && distance > 0.1 && least < 0.0);
        // Never more than it says, of rounding.
        assert!(distance < 10f64.powf(growth) * 1e-14);
    }
    let times = time_grid(0.0, 10.0, 20).unwrap();
    let error = with(Stepping::Exponential).terminal_value(&sde, &start, &times).unwrap_err();
    assert!(error.to_string().starts_with("the value of a cell is not finite at t = "), "{error}");
}

#[test]
fn the_grid_is_a_density() {
    let grid = Grid::plane((-6.0, 6.0), (-5.0, 5.0), 120, 100).unwrap();
    let exact = Gaussian::full([0.5, -0.3], &[[1.0, 0.4], [0.4, 0.8]]).unwrap();
    let density = on(&grid, &exact);
    assert!((density.mean()[0] - 0.5).abs() < 1e-6);
    let covariance = density.covariance();
    assert!((covariance[0][1] - 0.4).abs() < 1e-5 && (covariance[1][1] - 0.8).abs() < 1e-5);
    let x = Tensor::new(&[[0.2, 0.7], [-2.3, -1.9], [3.1, 2.2]], CPU).unwrap();
    let gap = |a: Tensor, b: Tensor| {
        (a - b)
            .unwrap()
            .abs()
            .unwrap()
            .flatten_all()
            .unwrap()
            .max(0)
            .unwrap()
            .to_scalar::<f64>()
            .unwrap()
    };
    assert!(gap(density.log_prob(&x).unwrap(), exact.log_prob(&x).unwrap()) < 5e-3);
    assert!(gap(density.score(&x).unwrap(), exact.score(&x).unwrap()) < 1e-9);
    let outside = Tensor::new(&[[0.0, 5.1]], CPU).unwrap();
    assert_eq!(values(&density.log_prob(&outside).unwrap()).unwrap(), [f64::NEG_INFINITY]);
    // Drawn again, it is itself.
    let n = 100_000;
    let sample = density.sample(n, &mut Generator::new(72), CPU).unwrap();
    let first = values(&sample.get_on_dim(1, 0).unwrap()).unwrap();
    let marginal = density.marginal(0).unwrap();
    let test = ks_one_sample(&first, marginal.cdf().unwrap()).unwrap();
    assert!(test.p_value > 1e-6, "{test:?}");
    assert!(
        ks_one_sample(&first, density.marginal(1).unwrap().cdf().unwrap()).unwrap().p_value < 1e-6
    );
    let histogram = GridDensity::from_samples(&grid, &sample).unwrap();
    assert!(histogram.l1_distance(&density).unwrap() < 0.25);
}

#[test]
fn same_bits_on_any_number_of_threads() {
    let sde = linear([[-0.8, 1.0], [-1.2, -0.5]], [[0.9, 0.0], [0.6, 0.4]]);
    let grid = Grid::plane((-4.0, 4.0), (-4.0, 4.0), 100, 100).unwrap();
    let start = GridDensity::dirac(&grid, &[0.5, 0.5]).unwrap();
    let run = || FokkerPlanck::default().solve(&sde, &start, &[0.0, 0.1]).unwrap().last().clone();
    let on = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
    };
    let one = on(1);
    assert!(one == on(2) && one == on(8));
}

#[test]
fn what_goes_wrong_is_an_error() {
    let grid = Grid::line((-4.0, 4.0), 40).unwrap();
    let start = on(&grid, &gaussian(0.0, 1.0));
    let sde = ornstein_uhlenbeck(1.0, 1.0);
    let solve = |sde: &dyn Sde, times: &[f64]| {
        FokkerPlanck::default().solve(sde, &start, times).unwrap_err().to_string()
    };
    let error = solve(&sde, &[0.0, 0.5, 0.5]);
    assert!(error.starts_with("`times` is 0.5 followed by 0.5; expected finite times"), "{error}");
    assert!(solve(&sde, &[0.0]).starts_with("`times` is [0.0]"));
    let flat = Ito::new(|x, _| x.sum_keepdim(0), |_| 1.0);
    let error = solve(&flat, &[0.0, 1.0]);
    assert_eq!(error, "`drift` has shape [1, 1]; expected that of the points, [40, 1]");
    let infinite = Ito::new(|x, _| x.sqrt(), |_| 1.0);
    let error = solve(&infinite, &[0.0, 1.0]);
    assert!(error.starts_with("the drift is not finite at x = [-3.9000], t = 0.5"), "{error}");
    let broken = Ito::new(|x, _| x * 1.0, |t| 1.0 / (t - 0.5));
    let error = solve(&broken, &[0.0, 1.0]);
    assert!(error.starts_with("the dispersion is not finite at x = [-3.9000], t = 0.5"), "{error}");
    let wide = Ito::general(
        |x, _| x * 1.0,
        |_, _| Ok(Dispersion::Matrix(Tensor::zeros((2, 2), DType::F64, &Device::Cpu)?)),
    );
    let error = solve(&wide, &[0.0, 1.0]);
    assert!(error.starts_with("`dispersion` has shape [2, 2]; expected"), "{error}");
    let solver = FokkerPlanck { record: Some(0), ..Default::default() };
    let error = solver.solve(&sde, &start, &[0.0, 1.0]).unwrap_err().to_string();
    assert_eq!(error, "`record` is 0; expected at least 1, or `None` for the last alone");
    let error = FokkerPlanck::default().expectation(&sde, &grid, |x| x[0].ln(), &[0.0, 1.0]);
    assert_eq!(error.unwrap_err().to_string(), "`payoff` is NaN; expected finite in every cell");

    // Densities that do not integrate, and a grid that does not see one.
    let message = |density: scorebook::Result<GridDensity>| density.unwrap_err().to_string();
    let error = message(GridDensity::from_fn(&grid, |_| 0.0));
    assert!(error.starts_with("`density` is of the mass 0 in the middles of the cells"), "{error}");
    let error = message(GridDensity::from_fn(&grid, |x| 1.0 / (x[0] - 0.1)));
    assert!(error.starts_with("`density` is -"), "{error}");
    let error = message(GridDensity::from_fn(&grid, |x| 1.0 / x[0].max(0.0)));
    assert!(error.starts_with("`density` is inf at x = [-3.9000]"), "{error}");
    let error = message(GridDensity::from_density(&grid, &gaussian(0.0, 1e-8)));
    assert!(error.contains("take cells narrower than the density"), "{error}");
    assert!(GridDensity::from_density(&grid, &Gaussian::standard(2)).is_err());
    assert!(
        GridDensity::dirac(&grid, &[5.0]).is_err()
            && GridDensity::dirac(&grid, &[0.0, 0.0]).is_err()
    );
    let far = Tensor::new(&[[9.0]], CPU).unwrap();
    assert!(GridDensity::from_samples(&grid, &far).is_err());
    assert!(GridDensity::from_samples(&grid, &Tensor::new(&[1.0], CPU).unwrap()).is_err());
    for coarse in [on(&grid, &gaussian(0.0, 2e-3)), on(&grid, &gaussian(3.5, 1.0))] {
        let evolution = FokkerPlanck::default().solve(&sde, &coarse, &[0.0, 0.1]).unwrap();
        let warning = &evolution.report.warnings[0];
        assert!(warning.starts_with("the grid saw a mass of "), "{warning}");
    }
    let evolution = FokkerPlanck::default().solve(&sde, &start, &[0.0, 0.1]).unwrap();
    assert!(evolution.report.warnings.is_empty(), "{}", evolution.report);
    let other = on(&Grid::line((-4.0, 4.0), 41).unwrap(), &gaussian(0.0, 1.0));
    assert!(start.l1_distance(&other).is_err());

    // Noise in one direction that meets no cells, and SDEs that do not mix.
    let plane = Grid::plane((-1.0, 1.0), (-1.0, 1.0), 10, 10).unwrap();
    let point = GridDensity::dirac(&plane, &[0.0, 0.0]).unwrap();
    let slant = linear([[0.0; 2]; 2], [[1.0, 0.0], [2f64.sqrt(), 0.0]]);
    let error = FokkerPlanck::default().solve(&slant, &point, &[0.0, 1.0]).unwrap_err().to_string();
    assert!(
        error.starts_with("`dispersion` is g gᵀ = [[1.0000, 1.4142], [1.4142, 2.0000]]"),
        "{error}"
    );
    assert!(point.cdf().is_err() && point.points().is_err() && point.marginal(2).is_err());
    let error = message(stationary(&ornstein_uhlenbeck(1.0, 0.0), &grid, 0.0));
    assert!(error.contains("one stationary law"), "{error}");
}
