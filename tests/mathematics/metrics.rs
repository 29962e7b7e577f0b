use crate::*;
use scorebook::{
    metrics::{ks_two_sample, mmd_squared, sliced_wasserstein, values},
    random::Generator,
};

/// Two samples of one law: a tenth of the p-values is below 0.1.
#[test]
fn two_sample_test_is_calibrated() {
    let mut generator = Generator::new(70);
    let mut draw = |n: usize| values(&generator.normal(n, CPU).unwrap()).unwrap();
    let small = (0..2000)
        .filter(|_| ks_two_sample(&draw(400), &draw(601)).unwrap().p_value < 0.1)
        .count() as f64;
    assert!((small - 200.0).abs() < 5.0 * 180f64.sqrt(), "{small}");
}

/// For `N(0, I)` and `N(v, I)` in the plane with bandwidth `h`: `MMD² = 2 h²/(h² + 2) (1 - exp(-‖v‖²/(2h² + 4)))`.
#[test]
fn discrepancy_of_shifted_gaussians() {
    let mut generator = Generator::new(71);
    let (n, h, shift) = (3000, 1.3f64, 0.8);
    let x = generator.normal((n, 2), CPU).unwrap();
    let y = (generator.normal((n, 2), CPU).unwrap() + shift).unwrap();
    let h2 = h * h;
    let decay = (-2.0 * shift * shift / (2.0 * h2 + 4.0)).exp();
    let expected = 2.0 * h2 / (h2 + 2.0) * (1.0 - decay);
    let value = mmd_squared(&x, &y, h).unwrap();
    // The kernel is at most 1, so the standard error of MMD² is at most 4 MMD/√n to first order.
    let tolerance = 5.0 * 4.0 * expected.sqrt() / (n as f64).sqrt();
    assert!((value - expected).abs() < tolerance, "{value} for {expected}");
    let same = mmd_squared(&x, &generator.normal((n, 2), CPU).unwrap(), h).unwrap();
    assert!(same.abs() < 5.0 * 2.0 / n as f64, "{same}");
    assert!(mmd_squared(&x, &y, 0.0).is_err());
    assert!(mmd_squared(&x.narrow(0, 0, 1).unwrap(), &y, h).is_err());
}

/// A shift by `v` in `d` dimensions has the sliced distance `‖v‖/√d`; a scale `c` of `N(0, I)` has `|c - 1|`.
#[test]
fn sliced_distance_of_gaussians() {
    let mut generator = Generator::new(72);
    let x = generator.normal((20_000, 3), CPU).unwrap();
    let y = generator.normal((10_000, 3), CPU).unwrap();
    let mut distance = |y: &Tensor| sliced_wasserstein(&x, y, 400, &mut generator);
    let same = distance(&y).unwrap();
    assert!(same < 0.04, "{same}");
    // ‖v‖² = 12: (v·u)² has the mean 4 and the standard deviation 12 √(4/45) over directions u.
    let shifted = distance(&(&y + 2.0).unwrap()).unwrap();
    assert!((shifted.powi(2) - 4.0).abs() < 5.0 * 12.0 * (4.0 / 45.0f64 / 400.0).sqrt() + 0.1);
    let scaled = distance(&(&y * 1.5).unwrap()).unwrap();
    assert!((scaled - 0.5).abs() < 0.04, "{scaled}");
    assert!(distance(&y.narrow(1, 0, 2).unwrap()).is_err());
    assert!(distance(&y.narrow(0, 0, 0).unwrap()).is_err());
    assert!(sliced_wasserstein(&x, &y, 0, &mut Generator::new(1)).is_err());
}
