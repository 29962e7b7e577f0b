//! Ordinary differential equations.

use super::*;

fn flow(method: FlowMethod) -> Flow {
    Flow { method, ..Default::default() }
}

/// `x' = cos(t) x`, with the solution `x(0) exp(sin t)`.
fn cosine() -> Ito {
    Ito::new(|x, t| x * t.cos(), |_| 0.0)
}

fn one() -> Tensor {
    Tensor::new(&[[1f64, 2.0]], CPU).unwrap()
}

fn error_at(x: &Tensor, t: f64) -> f64 {
    let x = values(x).unwrap();
    (x[0] - t.sin().exp()).abs().max((x[1] - 2.0 * t.sin().exp()).abs())
}

#[test]
fn orders_1_2_4_and_5() {
    for (method, expected) in
        [(FlowMethod::Euler, 1.0), (FlowMethod::Heun, 2.0), (FlowMethod::RungeKutta4, 4.0)]
    {
        for end in [2.0, -2.0] {
            let errors = [20, 40, 80, 160].map(|steps| {
                let times = time_grid(0.0, end, steps).unwrap();
                let x = flow(method).solve(&cosine(), &one(), &times).unwrap().x;
                (1.0 / steps as f64, error_at(&x, end))
            });
            let slope = log_slope(&errors);
            println!("{}: {slope:.3}", method.name());
            assert!((slope - expected).abs() < 0.1, "{errors:?}");
        }
        assert_eq!(method.order(), expected);
    }
    // Tolerances that accept every step leave steps of the length `max_step`.
    let errors = [40, 80, 160].map(|steps| {
        let h = Some(2.0 / steps as f64);
        let solver = DormandPrince { rtol: 1e3, first_step: h, max_step: h, ..Default::default() };
        let solution = solver.solve(&cosine(), &one(), &[0.0, 2.0]).unwrap();
        assert_eq!((solution.cost.steps, solution.cost.rejected_steps), (steps, 0));
        // Six slopes a step, and the first.
        assert_eq!(solution.cost.drift_evaluations, 6 * steps + 1);
        (1.0 / steps as f64, error_at(&solution.x, 2.0))
    });
    let slope = log_slope(&errors);
    println!("Dormand-Prince: {slope:.3}");
    assert!((slope - 5.0).abs() < 0.2, "{errors:?}");
}

/// A combination of slopes that is wrong by its ½ (Heun without it) has no order.
#[test]
fn wrong_weights_are_noticed() {
    let errors = [20, 40, 80, 160].map(|steps| {
        let h = 2.0 / steps as f64;
        let mut x = one();
        for k in 0..steps {
            let t = k as f64 * h;
            let right = FlowMethod::Heun.step(&cosine(), &x, t, t + h).unwrap();
            x = (&x + ((right - &x).unwrap() * 2.0).unwrap()).unwrap();
        }
        (h, error_at(&x, 2.0))
    });
    assert!(log_slope(&errors).abs() < 0.3, "{errors:?}");
}

fn pair(
    f: impl Fn(&Tensor, &Tensor) -> candle_core::Result<[Tensor; 2]> + Send + Sync + 'static,
) -> Ito {
    Ito::new(move |x, _| Tensor::cat(&f(&x.narrow(1, 0, 1)?, &x.narrow(1, 1, 1)?)?, 1), |_| 0.0)
}

/// Values of SciPy 1.x: `solve_ivp(f, (0, end), start, method="DOP853", rtol=1e-13, atol=1e-13, t_eval=times)` for
/// Lotka and Volterra's `f = [1.5 a - a b, a b - 3 b]` and van der Pol's `f = [b, 5 (1 - a²) b - a]`.
#[test]
fn dormand_prince_against_scipy() {
    let lotka_volterra = pair(|a, b| {
        let eaten = (a * b)?;
        Ok([((a * 1.5)? - &eaten)?, (eaten - (b * 3.0)?)?])
    });
    let van_der_pol = pair(|a, b| {
        let damping = (a.sqr()?.affine(-5.0, 5.0)? * b)?;
        Ok([b.clone(), (damping - a)?])
    });
    for (sde, start, times, expected) in [
        (lotka_volterra, [10.0, 5.0], [0.0, 3.3, 7.1, 15.0], LOTKA_VOLTERRA),
        (van_der_pol, [2.0, 0.0], [0.0, 5.0, 12.5, 20.0], VAN_DER_POL),
    ] {
        let x0 = Tensor::new(&[start], CPU).unwrap();
        let worst = |rtol: f64| {
            let solver = DormandPrince { rtol, atol: 1e-3 * rtol, ..Default::default() };
            let solution = solver.solve(&sde, &x0, &times).unwrap();
            assert_eq!(solution.times, times);
            let cost = solution.cost;
            // Each step tried takes six slopes; the first and its guess take one each.
            assert_eq!(cost.drift_evaluations, 2 + 6 * (cost.steps + cost.rejected_steps));
            println!("rtol {rtol:e}: {cost:?}");
            let states = solution.trajectory.unwrap();
            let off = states[1..].iter().zip(expected).map(|(x, y)| {
                let x = values(x).unwrap();
                (x[0] - y[0]).abs().max((x[1] - y[1]).abs())
            });
            off.fold(0.0, f64::max)
        };
        assert!(worst(1e-10) < 1e-6, "{}", worst(1e-10));
        assert!(worst(1e-6) < 0.01 && worst(1e-10) < 1e-2 * worst(1e-6));
    }
}

/// There and back again, and the same states whether or not others between them are asked for.
#[test]
fn dense_output_and_backward_time() {
    let solver = DormandPrince { rtol: 1e-8, atol: 1e-10, ..Default::default() };
    let times = time_grid(0.0, 3.0, 300).unwrap();
    let dense = solver.solve(&cosine(), &one(), &times).unwrap();
    let ends = solver.solve(&cosine(), &one(), &[0.0, 3.0]).unwrap();
    assert_eq!(values(&dense.x).unwrap(), values(&ends.x).unwrap());
    assert_eq!(dense.cost, ends.cost);
    assert!(dense.cost.steps < 150, "{:?}", dense.cost);
    for (x, t) in dense.trajectory.unwrap().iter().zip(&times) {
        assert!(error_at(x, *t) < 5e-7, "t = {t}: {}", error_at(x, *t));
    }
    let back = solver.solve(&cosine(), &ends.x, &[3.0, 1.5, 0.0]).unwrap();
    assert!(error_at(&back.x, 0.0) < 1e-6);
    assert!(error_at(&back.trajectory.unwrap()[1], 1.5) < 1e-6);
}

#[test]
fn what_cannot_be_solved_is_an_error() {
    // x' = x² from 1 ends at t = 1.
    let explodes = Ito::new(|x, _| x.sqr(), |_| 0.0);
    let x0 = Tensor::new(&[[1f64]], CPU).unwrap();
    let solver = DormandPrince::default();
    let error = solver.solve(&explodes, &x0, &[0.0, 2.0]).unwrap_err().to_string();
    assert!(
        error.starts_with("`rtol` is 1e-5; expected tolerances that a step can meet"),
        "{error}"
    );
    assert!(error.contains("from t = 1.0000") || error.contains("from t = 0.9999"), "{error}");
    // What f32 cannot hold.
    let strict = DormandPrince { rtol: 1e-14, atol: 1e-14, ..Default::default() };
    let single = Tensor::new(&[[1f32]], CPU).unwrap();
    let error = strict.solve(&cosine(), &single, &[0.0, 2.0]).unwrap_err().to_string();
    assert_eq!(error, "`rtol` is 1e-14; expected a number of at least 1.2e-6 for states of f32");
    for (solver, start) in [
        (DormandPrince { rtol: -1.0, ..Default::default() }, "`rtol` is -1e0"),
        (DormandPrince { atol: f64::NAN, ..Default::default() }, "`atol` is NaN"),
        (DormandPrince { rtol: 0.0, ..Default::default() }, "`rtol` is 0e0"),
        (DormandPrince { first_step: Some(0.0), ..Default::default() }, "`first_step` is 0"),
        (DormandPrince { max_step: Some(-1.0), ..Default::default() }, "`max_step` is -1"),
    ] {
        let error = solver.solve(&cosine(), &x0, &[0.0, 1.0]).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error}");
    }
    for times in [&[][..], &[0.0], &[0.0, 1.0, 0.5]] {
        assert!(solver.solve(&cosine(), &x0, times).is_err());
        assert!(flow(FlowMethod::Euler).solve(&cosine(), &x0, times).is_err());
    }
    let narrow = Ito::new(|x, _| x.narrow(1, 0, 1), |_| 0.0);
    let error = flow(FlowMethod::Heun).solve(&narrow, &one(), &[0.0, 1.0]).unwrap_err().to_string();
    assert_eq!(error, "`drift` has shape [1, 1]; expected the shape of `x`, [1, 2]");
    assert!(solver.solve(&narrow, &one(), &[0.0, 1.0]).is_err());
}

const LOTKA_VOLTERRA: [[f64; 2]; 3] = [
    [4.102463906147668, 0.021077700286799],
    [1.965633469252425, 0.022107005623585],
    [0.713751378097771, 0.075407796240796],
];

const VAN_DER_POL: [[f64; 2]; 3] = [
    [0.404181594633911, -2.437112684093914],
    [1.885949407747566, -0.146006989445364],
    [-1.601296879542835, 0.198326676338668],
];
