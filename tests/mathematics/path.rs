use crate::*;
use scorebook::{
    metrics::{ks_one_sample, values},
    path::{BrownianMotion, quadratic_variation, time_grid},
    random::Generator,
    sde::{EulerMaruyama, Ito},
};

fn brownian(times: &[f64], batch: usize) -> BrownianMotion {
    BrownianMotion::sample(times, (batch, 2), DType::F64, &mut Generator::new(10), CPU).unwrap()
}

/// One coordinate of all paths at one time.
fn at(w: &BrownianMotion, k: usize, coordinate: usize) -> Vec<f64> {
    values(&w.values.get(k).unwrap().get_on_dim(1, coordinate).unwrap()).unwrap()
}

/// `W_t ~ N(0, t)`, `W_t - W_s ~ N(0, t - s)`, `Cov(W_s, W_t) = min(s, t)`, independent coordinates; on an uneven
/// grid and on its refinement.
#[test]
fn law_of_brownian_motion() {
    let n = 100_000;
    let coarse = brownian(&[0.0, 0.1, 0.5, 0.6, 2.0], n);
    let fine = coarse.refine(&mut Generator::new(11)).unwrap();
    for w in [coarse, fine] {
        assert!(at(&w, 0, 0).iter().all(|x| *x == 0.0));
        for (k, t) in w.times.iter().enumerate().skip(1) {
            let (x, s) = (at(&w, k, 0), w.times[k - 1]);
            assert!(ks_one_sample(&x, normal_cdf(0.0, t.sqrt())).unwrap().p_value > 1e-7);
            let step: Vec<f64> = x.iter().zip(at(&w, k - 1, 0)).map(|(x, y)| x - y).collect();
            let std = (t - s).sqrt();
            assert!(ks_one_sample(&step, normal_cdf(0.0, std)).unwrap().p_value > 1e-7);
            // A spread that is a twentieth off is noticed.
            assert!(ks_one_sample(&step, normal_cdf(0.0, 1.05 * std)).unwrap().p_value < 1e-7);
            for (j, s) in w.times.iter().enumerate().take(k).skip(1) {
                let error = covariance(&at(&w, j, 0), &x) - s;
                assert!(error.abs() < 5.0 * ((s * t + s * s) / n as f64).sqrt());
            }
            assert!(covariance(&x, &at(&w, k, 1)).abs() < 5.0 * t / (n as f64).sqrt());
        }
    }
}

#[test]
fn refinement_keeps_the_path() {
    let coarse = brownian(&time_grid(0.0, 1.0, 16).unwrap(), 100);
    let mut generator = Generator::new(12);
    let fine = coarse.refine(&mut generator).unwrap().refine(&mut generator).unwrap();
    assert_eq!(fine.values.dims(), [65, 100, 2]);
    let kept = fine.coarsen(4).unwrap();
    assert_eq!(kept.times, coarse.times);
    assert_eq!(values(&kept.values).unwrap(), values(&coarse.values).unwrap());
    // Four fine increments add up to a coarse one.
    let sums = fine.increments().unwrap().reshape((16, 4, 100, 2)).unwrap().sum(1).unwrap();
    let difference = (sums - coarse.increments().unwrap()).unwrap();
    assert!(values(&difference).unwrap().iter().all(|x| x.abs() < 1e-12));
}

/// `Σ (Δx)² → ∫ g² dt`, with the variance `2 (g² T)²/steps`, whatever the drift.
#[test]
fn quadratic_variation_shows_the_dispersion() {
    let (steps, paths) = (1000, 2000);
    let times = time_grid(0.0, 2.0, steps).unwrap();
    let x0 = Tensor::zeros((paths, 1), DType::F64, CPU).unwrap();
    for g in [1.0, 0.5] {
        let sde = Ito::new(|x, _| x * -1.0, move |_| g);
        let solver = EulerMaruyama { record: Some(1), ..Default::default() };
        let solution = solver.solve(&sde, &x0, &times, &mut Generator::new(13)).unwrap();
        let path = Tensor::stack(&solution.trajectory.unwrap(), 0).unwrap();
        let variation = values(&quadratic_variation(&path).unwrap()).unwrap();
        let expected = 2.0 * g * g;
        let of_one = 2.0 * expected * expected / steps as f64;
        // The drift adds E ∫ x² dt Δt, at most 2 g² Δt.
        let tolerance = 5.0 * (of_one / paths as f64).sqrt() + 4.0 * g * g / steps as f64;
        assert!((mean(&variation) - expected).abs() < tolerance);
        assert!((variance(&variation) / of_one - 1.0).abs() < 5.0 * (2.0 / paths as f64).sqrt());
    }
}

#[test]
fn bad_requests_are_errors() {
    let sample = |times: &[f64]| {
        BrownianMotion::sample(times, (2, 1), DType::F32, &mut Generator::new(1), CPU)
    };
    let error = sample(&[1.0, 0.5]).unwrap_err().to_string();
    assert_eq!(error, "`times` is 1 to 0.5; expected upward");
    assert!(sample(&[0.0]).is_err() && sample(&[0.0, 1.0, 1.0]).is_err());
    let path = sample(&[0.0, 0.5, 1.0]).unwrap();
    let error = path.coarsen(3).unwrap_err().to_string();
    assert_eq!(error, "`stride` is 3; expected a divisor of the number of steps, which is 2");
    let broken = BrownianMotion { times: vec![0.0, 1.0], ..path };
    assert!(broken.refine(&mut Generator::new(1)).is_err());
}
