//! Steps as long as the tolerances allow.

use super::*;

fn tree(batch: usize, seed: u64) -> BrownianTree {
    let generator = &mut Generator::new(seed);
    BrownianTree::new(0.0, 1.0, (batch, 1), DType::F64, generator, CPU).unwrap()
}

fn ones(batch: usize) -> Tensor {
    Tensor::ones((batch, 1), DType::F64, CPU).unwrap()
}

/// The error follows the tolerance, on the path that the tree gives.
#[test]
fn tighter_tolerances_give_smaller_errors() {
    let (n, sde) = (200, GeometricBrownianMotion { mu: 0.5, sigma: 1.0 });
    let tree = tree(n, 80);
    let exact = tree.value(1.0).unwrap().exp().unwrap();
    let early = tree.value(0.3).unwrap().exp().unwrap();
    let mut errors = vec![];
    for tolerance in [1e-1, 1e-2, 1e-3] {
        let solver = Adaptive { rtol: tolerance, atol: tolerance, ..Default::default() };
        let solution = solver.solve(&sde, &ones(n), &tree, &[0.0, 0.3, 1.0]).unwrap();
        let error = |x: &Tensor, exact: &Tensor| {
            mean(&values(&(x - exact).unwrap().abs().unwrap()).unwrap())
        };
        let states = solution.trajectory.unwrap();
        println!("{tolerance:e}: {:?}, error {:.5}", solution.cost, error(&solution.x, &exact));
        assert!(error(&states[1], &early) < error(&solution.x, &exact));
        errors.push((1.0 / solution.cost.steps as f64, error(&solution.x, &exact)));
    }
    assert!(errors[2].1 < 0.2 * errors[0].1, "{errors:?}");
    // As it should be of Milstein's method, the error is of order 1 in the (mean) step.
    assert!((log_slope(&errors) - 1.0).abs() < 0.25, "{errors:?}");
}

/// Where noise is additive and there is no drift, any steps give the path itself: rejected ones leave no trace.
#[test]
fn rejected_steps_leave_the_path_as_it_was() {
    // A drift that wants short steps for a while and has the integral 1 over [0, 1].
    let bump = |t: f64| 100.0 / std::f64::consts::PI.sqrt() * (-(100.0 * (t - 0.5)).powi(2)).exp();
    let sde = Ito::new(move |x, t| x.ones_like()? * bump(t), |_| 1.0);
    let tree = tree(50, 81);
    let solver = Adaptive { rtol: 1e-4, atol: 1e-4, max_step: Some(0.05), ..Default::default() };
    let solution = solver.solve(&sde, &ones(50), &tree, &[0.0, 1.0]).unwrap();
    println!("{:?}", solution.cost);
    assert!(solution.cost.rejected_steps > 2);
    let expected = (tree.value(1.0).unwrap() + 2.0).unwrap();
    let off = values(&(solution.x - expected).unwrap()).unwrap();
    assert!(off.iter().all(|x| x.abs() < 2e-3), "{off:?}");
    // The same for all paths: only the drift's integral is off.
    assert!(variance(&off) < 1e-24);
    let again = solver.solve(&sde, &ones(50), &tree, &[0.0, 0.77, 1.0]).unwrap();
    assert_eq!(again.times, [0.0, 0.77, 1.0]);
}

/// Downward in time along the same tree.
#[test]
fn downward() {
    let (n, sde) = (100, GeometricBrownianMotion { mu: 1.0, sigma: 1.0 });
    let tree = tree(n, 82);
    let solver = Adaptive { rtol: 1e-3, ..Default::default() };
    let solution = solver.solve(&sde, &ones(n), &tree, &[1.0, 0.0]).unwrap();
    let exact = (tree.increment(1.0, 0.0).unwrap() - 1.5).unwrap().exp().unwrap();
    let error = values(&(solution.x - exact).unwrap().abs().unwrap()).unwrap();
    assert!(mean(&error) < 0.01, "{}", mean(&error));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let sde = GeometricBrownianMotion { mu: 0.5, sigma: 1.0 };
    let tree = tree(3, 83);
    let error =
        |result: scorebook::Result<scorebook::sde::Solution>| result.unwrap_err().to_string();
    let solver = Adaptive {
        solver: Sri1::default(),
        rtol: 0.1,
        atol: 0.1,
        first_step: None,
        max_step: None,
        progress: false,
    };
    let text = error(solver.solve(&sde, &ones(3), &tree, &[0.0, 1.0]));
    assert!(
        text.starts_with("`solver` is SRI1; expected a method that needs increments only"),
        "{text}"
    );
    let solver = Adaptive::default();
    let text = error(solver.solve(&sde, &ones(4), &tree, &[0.0, 1.0]));
    assert_eq!(text, "`tree` has shape [3, 1]; expected [4, 1]");
    let text = error(solver.solve(&sde, &ones(3), &tree, &[0.0, 2.0]));
    assert!(text.contains("expected a time in [0, 1]"), "{text}");
    let strict = Adaptive { rtol: 1e-12, atol: 1e-12, ..Default::default() };
    let text = error(strict.solve(&sde, &ones(3), &tree, &[0.0, 1.0]));
    assert!(
        text.starts_with("`rtol` is 1e-12; expected tolerances that a step can meet"),
        "{text}"
    );
}
