use crate::score::{assert_close, gradient, points};
use crate::*;
use candle_core::Var;
use scorebook::{
    diffusion::{NoisingProcess, same_time},
    distribution::{Density, Gaussian},
    metrics::values,
    random::Generator,
    score::{EmpiricalScore, GaussianScore, MixtureScore, Score},
};

fn tilted() -> Gaussian {
    Gaussian::full([0.5, -1.0], &[[2.0, 0.9], [0.9, 0.6]]).unwrap()
}

/// Times of each sample's own, and one for all.
fn times(process: &Process, like: &Tensor) -> [Tensor; 2] {
    let n = like.dim(0).unwrap();
    let own = Generator::new(44).uniform(0.05, process.horizon(), n, CPU).unwrap();
    [own.to_dtype(like.dtype()).unwrap(), same_time(0.3, like).unwrap()]
}

/// The score is the gradient of the log-density, and that is the law `N(α μ, α² Σ + σ² I)` by Cholesky.
#[test]
fn noised_gaussian_has_its_gradient() {
    let x = points();
    for process in processes() {
        let score = GaussianScore::new(tilted(), process);
        for t in times(&process, &x) {
            let exact = score.score(&x, &t).unwrap();
            let expected = gradient(&x, |x| score.log_prob(x, &t).unwrap());
            assert_close(&exact, &expected, 1e-6);
            let single = exact.to_dtype(DType::F32).unwrap();
            let (x, t) = (x.to_dtype(DType::F32).unwrap(), t.to_dtype(DType::F32).unwrap());
            let image = score.score(&x.reshape((64, 1, 2, 1)).unwrap(), &t).unwrap();
            assert_eq!(image.dims(), [64, 1, 2, 1]);
            assert_close(&image, &values(&single).unwrap(), 2e-3);
        }
        let (scale, variance) = (process.mean_scale(0.3), process.std(0.3).powi(2));
        let square = scale * scale;
        let covariance =
            [[2.0 * square + variance, 0.9 * square], [0.9 * square, 0.6 * square + variance]];
        let noised = Gaussian::full([0.5 * scale, -scale], &covariance).unwrap();
        let t = same_time(0.3, &x).unwrap();
        let log_prob = values(&noised.log_prob(&x).unwrap()).unwrap();
        assert_close(&score.log_prob(&x, &t).unwrap(), &log_prob, 1e-10);
        let expected = values(&noised.score(&x).unwrap()).unwrap();
        assert_close(&score.score(&x, &t).unwrap(), &expected, 1e-10);
    }
}

/// A finite set is a mixture of components without width. 150,000 points fill three blocks.
#[test]
fn empirical_score_is_that_of_a_mixture_of_points() {
    let x = points();
    let mut generator = Generator::new(50);
    for n in [5, 150_000] {
        let data = generator.normal((n, 2), CPU).unwrap().to_dtype(DType::F64).unwrap();
        let means = data.to_vec2::<f64>().unwrap();
        let mixture = Mixture::new(vec![1.0; n], means, vec![1e-12; n]).unwrap();
        for process in [processes()[0], processes()[2]] {
            let exact = MixtureScore::new(mixture.clone(), process);
            let score = EmpiricalScore::new(&data, process).unwrap();
            assert_eq!(score.count(), n);
            let mut checked = vec![same_time(0.3, &x).unwrap(), same_time(0.002, &x).unwrap()];
            if n < 10 {
                checked.extend(times(&process, &x));
            }
            for t in checked {
                let expected = values(&exact.score(&x, &t).unwrap()).unwrap();
                assert_close(&score.score(&x, &t).unwrap(), &expected, 1e-7);
                let expected = values(&exact.log_prob(&x, &t).unwrap()).unwrap();
                assert_close(&score.log_prob(&x, &t).unwrap(), &expected, 1e-9);
                // Tweedie's formula from the mean of the data that a state can have come from.
                let tweedie = scorebook::score::tweedie(&process, &exact, &x, 0.3).unwrap();
                let mean = score.posterior_mean(&x, &same_time(0.3, &x).unwrap()).unwrap();
                assert_close(&mean, &values(&tweedie).unwrap(), 1e-7);
            }
        }
    }
}

/// A backward pass through the log-density gives the score: what guidance needs.
#[test]
fn exact_scores_are_differentiable() {
    let process = VariancePreserving::default();
    let x = Var::from_tensor(&points()).unwrap();
    let t = same_time(0.3, &x).unwrap();
    let gaussian = GaussianScore::new(tilted(), process);
    let empirical = EmpiricalScore::new(&points().narrow(0, 0, 20).unwrap(), process).unwrap();
    for (log_prob, score) in [
        (gaussian.log_prob(&x, &t).unwrap(), gaussian.score(&x, &t).unwrap()),
        (empirical.log_prob(&x, &t).unwrap(), empirical.score(&x, &t).unwrap()),
    ] {
        let gradients = log_prob.sum_all().unwrap().backward().unwrap();
        let expected = values(&score).unwrap();
        assert_close(gradients.get(&x).unwrap(), &expected, 1e-9);
    }
}

/// Sampling with the score of a training set gives the training set back, each point as often as another; sampling with
/// the score of its law gives new points.
#[test]
fn the_empirical_score_memorises() {
    let (n, count) = (2000, 20);
    let process = VariancePreserving::default();
    // Half of a unit apart, so that no state stays between two of them; and a law from which they might come.
    let place = |i: usize| [0.5 * (i % 5) as f32 - 1.0, 0.5 * (i / 5) as f32 - 0.75];
    let places: Vec<f32> = (0..count).flat_map(place).collect();
    let data = Tensor::from_vec(places, (count, 2), CPU).unwrap();
    let law = Mixture::new([1.0], [[0.0, 0.0]], [0.7]).unwrap();
    // Down to σ = 0.001, where each state has one nearest point.
    let sampler =
        ReverseEulerMaruyama { steps: 300, t_min: 1e-5, progress: false, ..Default::default() };
    // For each sample which training point is nearest, and how far it is.
    let nearest = |score: &dyn Score| -> Vec<(usize, f64)> {
        let sample =
            sampler.sample(&process, score, &[n, 2], &mut Generator::new(52), CPU).unwrap();
        let points = data.to_vec2::<f32>().unwrap();
        let one = |x: Vec<f32>| {
            let distance = |y: &Vec<f32>| f64::from((x[0] - y[0]).hypot(x[1] - y[1]));
            let distances = points.iter().map(distance).enumerate();
            distances.min_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap()
        };
        sample.x.to_vec2::<f32>().unwrap().into_iter().map(one).collect()
    };
    let recalled = nearest(&EmpiricalScore::new(&data, process).unwrap());
    let furthest = recalled.iter().map(|(_, distance)| *distance).fold(0.0, f64::max);
    assert!(furthest < 1e-3, "{furthest}");
    // χ² with 19 degrees of freedom exceeds 75 once in 10⁷.
    let expected = n as f64 / count as f64;
    let frequency = |i: usize| recalled.iter().filter(|(which, _)| *which == i).count() as f64;
    let chi2: f64 = (0..count).map(|i| (frequency(i) - expected).powi(2) / expected).sum();
    assert!(chi2 < 75.0, "{chi2}");
    let new = nearest(&MixtureScore::new(law, process));
    let near = new.iter().filter(|(_, distance)| *distance < 1e-3).count();
    assert!(near < n / 100, "{near}");
}

#[test]
fn bad_input_is_an_error() {
    let process = VariancePreserving::default();
    let x = Tensor::zeros((2, 2), DType::F32, CPU).unwrap();
    let (zero, half) = (same_time(0.0, &x).unwrap(), same_time(0.5, &x).unwrap());
    let empirical = EmpiricalScore::new(&x, process).unwrap();
    let gaussian = GaussianScore::new(tilted(), process);
    assert!(gaussian.score(&x, &zero).is_ok());
    let error = empirical.score(&x, &zero).unwrap_err().to_string();
    assert!(error.starts_with("`t` is 0; expected a time above 0"), "{error}");
    let wide = Tensor::zeros((2, 3), DType::F32, CPU).unwrap();
    for score in [&empirical as &dyn Score, &gaussian] {
        let error = score.score(&wide, &half).unwrap_err().to_string();
        let expected = "`x` has shape [2, 3]; expected [batch, ...] with 2 numbers a sample";
        assert_eq!(error, expected);
        assert!(score.score(&x, &same_time(1.5, &x).unwrap()).is_err());
    }
    let lost = Tensor::new(&[[0f32, f32::NAN]], CPU).unwrap();
    let error = EmpiricalScore::new(&lost, process).unwrap_err().to_string();
    assert_eq!(error, "`points` is NaN; expected points of finite coordinates");
    assert!(EmpiricalScore::new(&half, process).is_err());
}
