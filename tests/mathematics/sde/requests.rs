//! What a solver keeps, and what it refuses.

use super::*;
use scorebook::sde::Increment;

fn error(solver: &dyn Solver, sde: &dyn Sde) -> String {
    let x0 = Tensor::new(&[[0.3, -0.4], [1.0, 0.7]], CPU).unwrap();
    let times = time_grid(0.0, 1.0, 4).unwrap();
    solver.solve(sde, &x0, &times, &mut Generator::new(1)).unwrap_err().to_string()
}

/// `dx = dw₁`, `dy = x dw₂`: the area between the noises matters, and no increments tell it.
fn heisenberg() -> Ito {
    Ito::general(
        |x, _| x.zeros_like(),
        |x, _| {
            let (x, one) = (x.narrow(1, 0, 1)?, x.narrow(1, 0, 1)?.ones_like()?);
            let zero = one.zeros_like()?;
            let rows = [Tensor::cat(&[&one, &zero], 1)?, Tensor::cat(&[&zero, &x], 1)?];
            Ok(Dispersion::Matrix(Tensor::stack(&rows, 1)?))
        },
    )
}

#[test]
fn noise_that_does_not_commute_is_refused() {
    let text = error(&Milstein::default(), &heisenberg());
    let expected = "`sde` is an equation whose noise does not commute: columns 0 and 1 at t = 0; \
                    expected commutative noise, as this method needs; \
                    `EulerMaruyama` and `StochasticHeun` take any (strong order ½)";
    assert_eq!(text, expected);
    // Each coordinate's noise is the other coordinate.
    let crossed = Ito::general(
        |x, _| x.zeros_like(),
        |x, _| Ok(Dispersion::Diagonal(Tensor::cat(&[x.narrow(1, 1, 1)?, x.narrow(1, 0, 1)?], 1)?)),
    );
    for solver in [&Milstein::default() as &dyn Solver, &Sri1::default()] {
        assert!(error(solver, &crossed).contains("columns 0 and 1"), "{}", error(solver, &crossed));
    }
    let text = error(&Sri1::default(), &heisenberg());
    assert!(
        text.starts_with("`sde` is an equation with a dispersion matrix of shape [2, 2, 2]"),
        "{text}"
    );
    let text = error(&Sra1::default(), &GeometricBrownianMotion { mu: 1.0, sigma: 1.0 });
    assert!(
        text.starts_with("`sde` is an equation whose dispersion depends on the state"),
        "{text}"
    );
    // In single precision too, and where the noise only later stops commuting.
    let late = Ito::general(
        |x, _| x.zeros_like(),
        |x, t| {
            let other = Tensor::cat(&[x.narrow(1, 1, 1)?, x.narrow(1, 0, 1)?], 1)?;
            Ok(Dispersion::Diagonal(if t < 0.4 { x.clone() } else { other }))
        },
    );
    let x0 = Tensor::new(&[[0.3f32, -0.4]], CPU).unwrap();
    let times = time_grid(0.0, 1.0, 16).unwrap();
    let text = Milstein::default()
        .solve(&late, &x0, &times, &mut Generator::new(1))
        .unwrap_err()
        .to_string();
    assert!(text.contains("at t = 0.4375"), "{text}");
    // Noise that commutes is not refused in single precision.
    let sine = Ito::general(
        |x, _| x.zeros_like(),
        |x, _| Ok(Dispersion::Diagonal(((x * 3.0)?.sin()? + 2.0)?)),
    );
    assert!(Milstein::default().solve(&sine, &x0, &times, &mut Generator::new(1)).is_ok());
}

/// Any noise goes into the methods that say so; their limits agree.
#[test]
fn any_noise_suits_euler_maruyama_and_heun() {
    let times = time_grid(0.0, 1.0, 512).unwrap();
    let generator = &mut Generator::new(84);
    let path = BrownianMotion::sample(&times, (500, 2), DType::F64, generator, CPU).unwrap();
    let x0 = Tensor::zeros((500, 2), DType::F64, CPU).unwrap();
    let sde = Stratonovich(heisenberg());
    let [euler, heun] = [&EulerMaruyama::default() as &dyn Solver, &StochasticHeun::default()]
        .map(|solver| solver.solve_along(&sde, &x0, &path).unwrap().x);
    let off = values(&(euler - heun).unwrap().abs().unwrap()).unwrap();
    assert!(mean(&off) < 0.03, "{}", mean(&off));
}

#[test]
fn steps_that_are_too_long_are_an_error() {
    let stiff = |rate: f64| Ito::new(move |x, _| x * -rate, |_| 1.0);
    let times = time_grid(0.0, 1.0, 10).unwrap();
    let x0 = Tensor::ones((20, 2), DType::F64, CPU).unwrap();
    let solver = EulerMaruyama::default();
    let solve = |rate| solver.solve(&stiff(rate), &x0, &times, &mut Generator::new(1));
    assert!(solve(15.0).is_ok());
    let text = solve(50.0).unwrap_err().to_string();
    assert!(
        text.starts_with(
            "`times` is a grid with a step of 0.1 at t = 0.1; expected steps well below 4.000e-2"
        ),
        "{text}"
    );
    // Growth is none of it, nor is decay seen from above.
    assert!(solve(-50.0).is_ok());
    let down = time_grid(1.0, 0.0, 10).unwrap();
    assert!(solver.solve(&stiff(50.0), &x0, &down, &mut Generator::new(1)).is_ok());
    assert!(solver.solve(&stiff(-50.0), &x0, &down, &mut Generator::new(1)).is_err());
}

#[test]
fn chosen_times_are_hit() {
    let sde = Ito::new(|x, _| x.zeros_like(), |_| 1.0);
    let x0 = Tensor::zeros((3, 1), DType::F64, CPU).unwrap();
    let times = time_grid(0.0, 1.0, 10).unwrap();
    let with = |record: Option<usize>, save_at: &[f64]| EulerMaruyama {
        record,
        save_at: save_at.to_vec(),
        progress: false,
    };
    let solve = |solver: EulerMaruyama| solver.solve(&sde, &x0, &times, &mut Generator::new(1));
    // 3 · 0.1 is not 0.3, but the grid's time is meant.
    let solution = solve(with(None, &[0.0, 0.1, 0.30000000000000004, 0.55])).unwrap();
    assert_eq!(solution.times[..2], [0.0, 0.1]);
    assert!((solution.times[2] - 0.3).abs() < 1e-15 && solution.times[3] == 0.55);
    assert_eq!((solution.trajectory.unwrap().len(), solution.cost.steps), (4, 11));
    let solution = solve(with(Some(5), &[0.2])).unwrap();
    assert_eq!(solution.times, [0.0, 0.2, 0.5, 1.0]);
    let solution = solve(with(None, &[])).unwrap();
    assert!(solution.trajectory.is_none() && solution.times == [1.0]);
    for save_at in [&[1.5][..], &[-0.1], &[0.5, 0.2], &[0.5, 0.5], &[f64::NAN], &[0.2, 0.4, 1.1]] {
        assert!(solve(with(None, save_at)).is_err(), "{save_at:?}");
    }
    // A path has its own times.
    let path =
        BrownianMotion::sample(&times, (3, 1), DType::F64, &mut Generator::new(1), CPU).unwrap();
    let along = |save_at: &[f64]| with(None, save_at).solve_along(&sde, &x0, &path);
    let solution = along(&[0.5]).unwrap();
    let expected = values(&path.values.get(5).unwrap()).unwrap();
    let got = values(&solution.trajectory.unwrap()[0]).unwrap();
    assert!(got.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-14));
    let text = along(&[0.55]).unwrap_err().to_string();
    assert!(text.starts_with("`save_at` is [0.55]; expected times of the path"), "{text}");
}

#[test]
fn bad_requests_are_errors() {
    let sde = Ito::new(|x, _| x.zeros_like(), |_| 1.0);
    let x0 = Tensor::zeros((3, 1), DType::F64, CPU).unwrap();
    let generator = &mut Generator::new(1);
    for times in [&[][..], &[0.0], &[0.0, 1.0, 0.5], &[0.0, f64::NAN], &[0.0, 0.0]] {
        for solver in [
            &EulerMaruyama::default() as &dyn Solver,
            &Milstein::default(),
            &StochasticHeun::default(),
            &Sra1::default(),
            &Sri1::default(),
        ] {
            let text = solver.solve(&sde, &x0, times, generator).unwrap_err().to_string();
            assert!(text.starts_with("`times` is "), "{text}");
        }
    }
    let path =
        BrownianMotion::sample(&[0.0, 0.5, 1.0], (3, 1), DType::F64, generator, CPU).unwrap();
    let text = Sra1::default().solve_along(&sde, &x0, &path).unwrap_err().to_string();
    assert!(text.starts_with("`path` is without time integrals; expected one of `BrownianMotion::sample_with_integrals`"), "{text}");
    let wide = Ito::new(|x, _| Tensor::cat(&[x, x], 1), |_| 1.0);
    let text = EulerMaruyama::default().solve_along(&wide, &x0, &path).unwrap_err().to_string();
    assert_eq!(text, "`drift` has shape [3, 2]; expected the shape of `x`, [3, 1]");
    let scalar = Tensor::new(1f64, CPU).unwrap();
    let text = EulerMaruyama::default()
        .solve(&sde, &scalar, &[0.0, 1.0], generator)
        .unwrap_err()
        .to_string();
    assert!(text.starts_with("`x0` has shape []"), "{text}");
    let integers = Tensor::zeros((3, 1), DType::U32, CPU).unwrap();
    assert!(EulerMaruyama::default().solve(&sde, &integers, &[0.0, 1.0], generator).is_err());
    let nothing = Tensor::zeros((0, 1), DType::F64, CPU).unwrap();
    for solver in [
        &EulerMaruyama::default() as &dyn Solver,
        &Milstein::default(),
        &StochasticHeun::default(),
        &Sra1::default(),
        &Sri1::default(),
    ] {
        // An empty batch is solved or refused, but is no panic.
        let _ = solver.solve(
            &GeometricBrownianMotion { mu: 1.0, sigma: 0.0 },
            &nothing,
            &[0.0, 1.0],
            generator,
        );
    }
    let bare = Increment { dw: x0.clone(), integral: None };
    assert!(Sri1::default().step(&sde, &x0, 0.0, 1.0, &bare).is_err());
}
