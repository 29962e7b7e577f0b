//! Measured orders against those that the solvers declare.

use super::*;
use scorebook::sde::{Increment, OrderReport};

const STRIDES: &[usize] = &[1, 2, 4, 8, 16];

fn brownian(steps: usize, shape: (usize, usize), seed: u64) -> BrownianMotion {
    let times = time_grid(0.0, 1.0, steps).unwrap();
    let generator = &mut Generator::new(seed);
    BrownianMotion::sample_with_integrals(&times, shape, DType::F64, generator, CPU).unwrap()
}

/// The slope of a report that is printed; its standard error leaves room for ±0.1.
fn order(report: scorebook::Result<OrderReport>) -> f64 {
    let report = report.unwrap();
    println!("{report}");
    assert!(report.slope_error < 0.05, "{report}");
    report.slope
}

const GEOMETRIC: GeometricBrownianMotion = GeometricBrownianMotion { mu: 0.5, sigma: 0.8 };

/// Geometric Brownian motion from 1 on 2,500 paths of 512 steps: order of a solver against the solution.
fn on_geometric(solver: &dyn Solver) -> f64 {
    let path = brownian(512, (2500, 1), 70);
    let x0 = Tensor::ones((2500, 1), DType::F64, CPU).unwrap();
    let exact = GEOMETRIC.along(&x0, &path).unwrap().get(512).unwrap();
    order(strong_order(solver, &GEOMETRIC, &x0, &path, STRIDES, Some(&exact)))
}

#[test]
fn on_geometric_brownian_motion() {
    for (solver, expected) in [
        (&EulerMaruyama::default() as &dyn Solver, 0.5),
        (&Milstein::default(), 1.0),
        (&StochasticHeun::default(), 1.0),
        (&Sri1::default(), 1.5),
    ] {
        assert!((on_geometric(solver) - expected).abs() < 0.1);
        assert!(expected == solver.strong_order());
    }
}

/// Milstein's method with a factor of its own before `g g' (ΔW² - Δt)`.
struct MilsteinWith(f64);

impl Solver for MilsteinWith {
    fn name(&self) -> &'static str {
        "wrong Milstein"
    }

    fn strong_order(&self) -> f64 {
        0.5
    }

    fn weak_order(&self) -> f64 {
        1.0
    }

    fn step(
        &self,
        sde: &dyn Sde,
        x: &Tensor,
        t: f64,
        next: f64,
        noise: &Increment,
    ) -> scorebook::Result<Tensor> {
        let euler = EulerMaruyama::default().step(sde, x, t, next, noise)?;
        let milstein = Milstein::default().step(sde, x, t, next, noise)?;
        Ok((&euler + ((milstein - &euler)? * (2.0 * self.0))?)?)
    }
}

/// The ½ dropped or its sign turned leaves order ½ (the slope is a little above it for steps of these lengths).
#[test]
fn wrong_milstein_formulas_lose_the_order() {
    assert!((on_geometric(&MilsteinWith(0.5)) - 1.0).abs() < 0.1);
    for wrong in [1.0, -0.5] {
        assert!(on_geometric(&MilsteinWith(wrong)) < 0.75);
    }
}

/// `x = sinh((t + w)/2 + arsinh x(0))` solves `dx = (x/8 + c/2) dt + c/2 dw` with `c = √(x²+1)` (after Kloeden and
/// Platen 1992, equation 4.4.31): noise that depends on the state, and not linearly.
#[test]
fn on_a_problem_that_is_not_linear() {
    let sde = Ito::general(
        |x, _| (x * 0.125)? + ((x.sqr()? + 1.0)?.sqrt()? * 0.5)?,
        |x, _| Ok(Dispersion::Diagonal(((x.sqr()? + 1.0)?.sqrt()? * 0.5)?)),
    );
    let path = brownian(512, (1500, 1), 71);
    let x0 = Tensor::zeros((1500, 1), DType::F64, CPU).unwrap();
    let exponent = path.values.get(512).unwrap().affine(0.5, 0.5).unwrap();
    let exact = ((exponent.exp().unwrap() - exponent.neg().unwrap().exp().unwrap()).unwrap() * 0.5)
        .unwrap();
    for solver in
        [&Milstein::default() as &dyn Solver, &StochasticHeun::default(), &Sri1::default()]
    {
        let slope = order(strong_order(solver, &sde, &x0, &path, STRIDES, Some(&exact)));
        assert!((slope - solver.strong_order()).abs() < 0.1);
    }
}

/// Additive noise that changes with time, a drift that is not linear: SRA1, and SRI1 too, have order 1½.
#[test]
fn on_additive_noise() {
    let sde = Ito::new(|x, t| (x * 3.0)?.cos()? + t, |t| 1.0 + t);
    let path = brownian(2048, (1000, 1), 72);
    let x0 = Tensor::ones((1000, 1), DType::F64, CPU).unwrap();
    let reference = Sra1::default().solve_along(&sde, &x0, &path).unwrap().x;
    let of = |solver: &dyn Solver, path: &BrownianMotion| {
        order(strong_order(solver, &sde, &x0, path, &[16, 32, 64, 128], Some(&reference)))
    };
    assert!((of(&Sra1::default(), &path) - 1.5).abs() < 0.1);
    assert!((of(&Sri1::default(), &path) - 1.5).abs() < 0.1);
    assert!((of(&EulerMaruyama::default(), &path) - 1.0).abs() < 0.1);
    let euler =
        strong_order(&EulerMaruyama::default(), &sde, &x0, &path, &[64, 128], None).unwrap();
    assert_eq!(euler.declared, 1.0);
    // Time integrals that are only the mean of what they should be given the increments lose half an order.
    let coarse_only = |stride: usize| {
        let coarse = path.coarsen(stride).unwrap();
        let integrals = (coarse.increments().unwrap() * (0.5 * stride as f64 / 2048.0)).unwrap();
        let coarse = BrownianMotion { integrals: Some(integrals), ..coarse };
        let x = Sra1::default().solve_along(&sde, &x0, &coarse).unwrap().x;
        mean(&values(&(x - &reference).unwrap().abs().unwrap()).unwrap())
    };
    let errors = [16, 32, 64, 128].map(|stride| (stride as f64, coarse_only(stride)));
    let slope = log_slope(&errors);
    assert!((slope - 1.0).abs() < 0.15, "{slope}");
}

/// Two states, three noises through a matrix `g(t)`: SRA1 takes it.
#[test]
fn on_additive_matrix_noise() {
    let sde = Ito::general(
        |x, _| {
            let (a, b) = ((x.narrow(1, 0, 1)? * 3.0)?, (x.narrow(1, 1, 1)? * 3.0)?);
            Tensor::cat(&[b.cos()?, (a.cos()? - b.sin()?)?], 1)
        },
        |_, t| {
            let g = Tensor::new(&[[0.8, t, 0.0], [0.3, 0.9, t * t]], &Device::Cpu)?;
            Ok(Dispersion::Matrix(g))
        },
    );
    let path = brownian(2048, (1000, 3), 73);
    let x0 = Tensor::ones((1000, 2), DType::F64, CPU).unwrap();
    let slope = order(strong_order(&Sra1::default(), &sde, &x0, &path, &[8, 16, 32, 64], None));
    assert!((slope - 1.5).abs() < 0.1);
}

/// Two geometric Brownian motions driven by two common noises: the columns `diag(σ_·j) x` commute, and
/// `x_i = exp((μ_i - ½ Σ_j σ_ij²) t + Σ_j σ_ij w_j)`.
#[test]
fn on_commutative_matrix_noise() {
    let matrix = [[0.6, 0.4], [-0.3, 0.8]];
    let sde = Ito::general(
        |x, _| x * 0.5,
        move |x, _| {
            Ok(Dispersion::Matrix(
                x.unsqueeze(2)?.broadcast_mul(&Tensor::new(&matrix, &Device::Cpu)?)?,
            ))
        },
    );
    let path = brownian(256, (1500, 2), 74);
    let x0 = Tensor::ones((1500, 2), DType::F64, CPU).unwrap();
    let w = path.values.get(256).unwrap();
    let rates = Tensor::new(&matrix, CPU).unwrap();
    let growth = (rates.sqr().unwrap().sum(1).unwrap() * -0.5).unwrap().affine(1.0, 0.5).unwrap();
    let exact =
        w.matmul(&rates.t().unwrap()).unwrap().broadcast_add(&growth).unwrap().exp().unwrap();
    for (solver, expected) in [
        (&Milstein::default() as &dyn Solver, 1.0),
        (&StochasticHeun::default(), 1.0),
        (&EulerMaruyama::default(), 0.5),
    ] {
        let slope = order(strong_order(solver, &sde, &x0, &path, STRIDES, Some(&exact)));
        assert!((slope - expected).abs() < 0.1);
    }
}

/// One noise for both coordinates (scalar noise): SRI1 takes the one column.
#[test]
fn on_scalar_noise() {
    let sde = Ito::general(|x, _| x * 0.5, |x, _| Ok(Dispersion::Matrix((x.unsqueeze(2)? * 0.5)?)));
    let path = brownian(256, (3000, 1), 75);
    let x0 = Tensor::ones((3000, 2), DType::F64, CPU).unwrap();
    let exact = path
        .values
        .get(256)
        .unwrap()
        .affine(0.5, 0.375)
        .unwrap()
        .exp()
        .unwrap()
        .broadcast_as((3000, 2))
        .unwrap()
        .contiguous()
        .unwrap();
    let slope = order(strong_order(&Sri1::default(), &sde, &x0, &path, STRIDES, Some(&exact)));
    assert!((slope - 1.5).abs() < 0.1);
}

/// The same letters in both readings: each solver converges to the solution of the equation it is given.
#[test]
fn both_readings_of_the_same_letters() {
    let letters = Ito::general(|x, _| x.zeros_like(), |x, _| Ok(Dispersion::Diagonal(x.clone())));
    let path = brownian(512, (2000, 1), 76);
    let x0 = Tensor::ones((2000, 1), DType::F64, CPU).unwrap();
    let w = path.values.get(512).unwrap();
    let (ito, stratonovich) = ((&w - 0.5).unwrap().exp().unwrap(), w.exp().unwrap());
    let error = |solver: &dyn Solver, sde: &dyn Sde, exact: &Tensor| {
        let x = solver.solve_along(sde, &x0, &path).unwrap().x;
        mean(&values(&(x - exact).unwrap().abs().unwrap()).unwrap())
    };
    let other = Stratonovich(letters.clone());
    for solver in
        [&Milstein::default() as &dyn Solver, &StochasticHeun::default(), &Sri1::default()]
    {
        assert!(error(solver, &letters, &ito) < 0.03);
        assert!(error(solver, &other, &stratonovich) < 0.03);
        assert!(error(solver, &letters, &stratonovich) > 0.3);
        assert!(error(solver, &other, &ito) > 0.3);
    }
    assert!(error(&EulerMaruyama::default(), &other, &stratonovich) < 0.1);
}

/// Weak orders on `dx = x dt + ½ x dw`, for the mean and the second moment.
#[test]
fn weak_orders() {
    let sde = GeometricBrownianMotion { mu: 1.0, sigma: 0.5 };
    let path = brownian(32, (40_000, 1), 77);
    let x0 = Tensor::ones((40_000, 1), DType::F64, CPU).unwrap();
    let exact = sde.along(&x0, &path).unwrap().get(32).unwrap();
    let of = |solver: &dyn Solver, strides: &[usize], power: f64| {
        let report = weak_order(solver, &sde, &x0, &path, strides, Some(&exact), |x| {
            x.powf(power)?.squeeze(1)
        })
        .unwrap();
        println!("{report}");
        assert!(report.slope_error < 0.1, "{report}");
        report.slope
    };
    for power in [1.0, 2.0] {
        assert!((of(&EulerMaruyama::default(), &[1, 2, 4, 8], power) - 1.0).abs() < 0.2);
        assert!((of(&Milstein::default(), &[1, 2, 4, 8], power) - 1.0).abs() < 0.2);
        assert!((of(&Sri1::default(), &[2, 4, 8], power) - 2.0).abs() < 0.3);
    }
}

/// Downward in time, along the reversed path: the solution of `dx = x dt + x dw̄` from `T` is known too.
#[test]
fn downward_in_time() {
    let path = brownian(512, (4000, 1), 78).reversed().unwrap();
    assert_eq!((path.times[0], path.times[512]), (1.0, 0.0));
    let x0 = Tensor::ones((4000, 1), DType::F64, CPU).unwrap();
    // With τ = T - t the drift is -x and the noise a Brownian motion: exp(-(1 + ½) τ + w).
    let exact = (path.values.get(512).unwrap() - 1.5).unwrap().exp().unwrap();
    let sde = GeometricBrownianMotion { mu: 1.0, sigma: 1.0 };
    for solver in [&EulerMaruyama::default() as &dyn Solver, &Milstein::default(), &Sri1::default()]
    {
        let slope = order(strong_order(solver, &sde, &x0, &path, STRIDES, Some(&exact)));
        assert!((slope - solver.strong_order()).abs() < 0.1);
    }
}

#[test]
fn reports_are_shown_as_table_and_figure() {
    use scorebook::notebook::Display;

    let path = brownian(16, (50, 1), 69);
    let x0 = Tensor::ones((50, 1), DType::F64, CPU).unwrap();
    let exact = GEOMETRIC.along(&x0, &path).unwrap().get(16).unwrap();
    let solver = EulerMaruyama::default();
    let report = strong_order(&solver, &GEOMETRIC, &x0, &path, &[1, 2], Some(&exact)).unwrap();
    let bundle = report.bundle();
    assert_eq!(bundle.get("text/html").unwrap().matches("<tr>").count(), 3);
    assert!(bundle.get("text/plain").unwrap().starts_with("Euler-Maruyama: strong order 0."));
    assert_eq!(report.errors()[1].0, 0.125);
    let svg = plot::orders(&[&report]).unwrap().svg().unwrap();
    assert!(svg.contains("strong error") && svg.contains("stroke-dasharray"));
    assert!(plot::orders(&[]).is_err());
}

#[test]
fn bad_order_requests_are_errors() {
    let path = brownian(4, (3, 1), 79);
    let x0 = Tensor::ones((3, 1), DType::F64, CPU).unwrap();
    let solver = EulerMaruyama::default();
    let of = |strides: &[usize]| strong_order(&solver, &GEOMETRIC, &x0, &path, strides, None);
    assert!(of(&[1]).unwrap_err().to_string().starts_with("`strides` is [1]"));
    assert!(of(&[2, 1]).is_err() && of(&[2, 3]).is_err());
    let still = Ito::new(|x, _| x.zeros_like(), |_| 1.0);
    let error = strong_order(&solver, &still, &x0, &path, &[1, 2], None).unwrap_err().to_string();
    assert!(error.starts_with("`sde` is solved exactly"), "{error}");
    let wrong = weak_order(&solver, &GEOMETRIC, &x0, &path, &[1, 2], None, |x| Ok(x.clone()));
    assert!(wrong.unwrap_err().to_string().starts_with("`function` has shape [3, 1]"));
}
