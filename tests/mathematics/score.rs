use crate::*;
use scorebook::{
    diffusion::NoisingProcess,
    distribution::{Density, Gaussian, Ring, toy},
    metrics::{ks_one_sample, values},
    random::Generator,
    score::{MixtureScore, Score},
};

/// The gradient of `log_prob` by fourth-order central differences, in `f64`.
pub(crate) fn gradient(x: &Tensor, log_prob: impl Fn(&Tensor) -> Tensor) -> Vec<f64> {
    let (batch, dim) = x.dims2().unwrap();
    let h = 1e-3;
    let mut gradient = vec![0.0; batch * dim];
    for i in 0..dim {
        let at = |steps: f64| {
            let mut direction = vec![0.0; dim];
            direction[i] = steps * h;
            let direction = Tensor::new(direction, CPU).unwrap();
            values(&log_prob(&x.broadcast_add(&direction).unwrap())).unwrap()
        };
        let (right, left, far_right, far_left) = (at(1.0), at(-1.0), at(2.0), at(-2.0));
        for row in 0..batch {
            let near = 8.0 * (right[row] - left[row]);
            gradient[row * dim + i] = (near - (far_right[row] - far_left[row])) / (12.0 * h);
        }
    }
    gradient
}

pub(crate) fn assert_close(score: &Tensor, expected: &[f64], tolerance: f64) {
    let score = values(score).unwrap();
    assert_eq!(score.len(), expected.len());
    for (value, expected) in score.iter().zip(expected) {
        let error = (value - expected).abs();
        assert!(error < tolerance * expected.abs().max(1.0), "{value} for {expected}");
    }
}

pub(crate) fn points() -> Tensor {
    let x = Generator::new(40).normal((64, 2), CPU).unwrap();
    (x.to_dtype(DType::F64).unwrap() * 2.0).unwrap()
}

#[test]
fn densities_have_their_gradients() {
    let x = points();
    let densities: [Box<dyn Density>; 4] = [
        Box::new(Gaussian::diagonal([0.5, -1.0], [1.5, 0.7]).unwrap()),
        Box::new(Gaussian::full([0.5, -1.0], &[[2.0, 0.9], [0.9, 1.0]]).unwrap()),
        Box::new(three()),
        Box::new(Ring::new(2.0, 0.5).unwrap()),
    ];
    for density in densities {
        let expected = gradient(&x, |x| density.log_prob(x).unwrap());
        assert_close(&density.score(&x).unwrap(), &expected, 1e-6);
    }
}

/// Draws belong to the density: `E s(x) = 0` and `E x·s(x) = -dim`, by integration by parts.
#[test]
fn densities_sample_their_law() {
    let n = 200_000;
    let densities: [Box<dyn Density>; 3] = [
        Box::new(Gaussian::full([0.5, -1.0], &[[2.0, 0.9], [0.9, 1.0]]).unwrap()),
        Box::new(three()),
        Box::new(Mixture::ring(8, 4.0, 0.5).unwrap()),
    ];
    for density in densities {
        let x = density.sample(n, &mut Generator::new(41), CPU).unwrap();
        let x = x.to_dtype(DType::F64).unwrap();
        let product = |x: &Tensor| {
            let score = density.score(x).unwrap();
            values(&(x * score).unwrap().sum(1).unwrap()).unwrap()
        };
        let tolerance = |values: &[f64]| 5.0 * (variance(values) / n as f64).sqrt();
        let products = product(&x);
        assert!((mean(&products) + 2.0).abs() < tolerance(&products), "{density:?}");
        let first = values(&density.score(&x).unwrap().get_on_dim(1, 0).unwrap()).unwrap();
        assert!(mean(&first).abs() < tolerance(&first), "{density:?}");
        // Draws that are a twentieth too wide do not pass.
        let products = product(&(&x * 1.05).unwrap());
        assert!((mean(&products) + 2.0).abs() > tolerance(&products), "{density:?}");
    }
}

/// The ring's score has an infinite variance at the centre, and the moons have no density: one coordinate of each.
#[test]
fn round_things_sample_their_law() {
    let n = 200_000;
    let x = Ring::new(2.0, 0.3).unwrap().sample(n, &mut Generator::new(42), CPU).unwrap();
    let radius = values(&x.sqr().unwrap().sum(1).unwrap().sqrt().unwrap()).unwrap();
    assert!(ks_one_sample(&radius, normal_cdf(2.0, 0.3)).unwrap().p_value > 1e-7);
    assert!(ks_one_sample(&radius, normal_cdf(2.0, 0.32)).unwrap().p_value < 1e-7);
    let moons = toy::two_moons(n, 0.0, &mut Generator::new(43), CPU).unwrap();
    let x = values(&moons.get_on_dim(1, 0).unwrap()).unwrap();
    // cos θ has the arc-sine law on [-1, 1], and 1 - cos θ that on [0, 2].
    let arcsine = |x: f64| 1.0 - x.clamp(-1.0, 1.0).acos() / std::f64::consts::PI;
    let cdf = |x: f64| 0.5 * (arcsine(x) + arcsine(x - 1.0));
    assert!(ks_one_sample(&x, cdf).unwrap().p_value > 1e-7);
    assert!(toy::two_moons(n, -1.0, &mut Generator::new(43), CPU).is_err());
}

/// The exact score of a noised mixture is the gradient of its log-density, at each sample's own time.
#[test]
fn noised_mixture_has_its_gradient() {
    let x = points();
    for process in processes() {
        let score = MixtureScore::new(three(), process);
        let t = Generator::new(44).uniform(0.05, process.horizon(), 64, CPU).unwrap();
        let t = t.to_dtype(DType::F64).unwrap();
        let expected = gradient(&x, |x| score.log_prob(x, &t).unwrap());
        let exact = score.score(&x, &t).unwrap();
        assert_close(&exact, &expected, 1e-6);
        // In single precision and in the shape of images, the same.
        let (x, t) = (x.to_dtype(DType::F32).unwrap(), t.to_dtype(DType::F32).unwrap());
        let image = score.score(&x.reshape((64, 1, 2, 1)).unwrap(), &t).unwrap();
        assert_eq!(image.dims(), [64, 1, 2, 1]);
        assert_close(&image, &values(&exact).unwrap(), 2e-3);
    }
}

/// One Gaussian: `∇ log p_t(x) = -(x - α m)/(α² s² + σ²)`.
#[test]
fn one_gaussian_in_closed_form() {
    let (x, t) = (points(), 0.3);
    for process in processes() {
        let mixture = Mixture::new([1.0], [[0.7, -0.2]], [0.4]).unwrap();
        let score = MixtureScore::new(mixture, process);
        let scale = process.mean_scale(t);
        let variance = (0.4 * scale).powi(2) + process.std(t).powi(2);
        let centre = Tensor::new(&[0.7 * scale, -0.2 * scale], CPU).unwrap();
        let expected = (x.broadcast_sub(&centre).unwrap() / -variance).unwrap();
        let times = Tensor::full(t, 64, CPU).unwrap();
        assert_close(&score.score(&x, &times).unwrap(), &values(&expected).unwrap(), 1e-12);
    }
}

#[test]
fn bad_input_is_an_error() {
    let score = MixtureScore::new(three(), VariancePreserving::default());
    let x = Tensor::zeros((2, 3), DType::F32, CPU).unwrap();
    let t = Tensor::new(&[0.5f32, 0.5], CPU).unwrap();
    let error = score.score(&x, &t).unwrap_err().to_string();
    assert_eq!(error, "`x` has shape [2, 3]; expected [batch, ...] with 2 numbers a sample");
    let x = Tensor::zeros((2, 2), DType::F32, CPU).unwrap();
    let t = Tensor::new(&[0.5f32, -0.5], CPU).unwrap();
    let error = score.score(&x, &t).unwrap_err().to_string();
    assert_eq!(error, "`t` is -0.5; expected a time in [0, 1]");
}
