use crate::*;
use candle_core::Var;
use scorebook::{
    diffusion::{NoisingProcess, per_sample, same_time},
    distribution::{Density, Gaussian},
    metrics::values,
    random::Generator,
    score::{
        Architecture, GaussianScore, MixtureScore, Mlp, MlpSettings, Network, Score, ScoreFunction,
        Trainable, tweedie,
    },
    tensor::Parameters,
    train::{
        DenoisingLoss, DirectionalDerivative, TimeSampling, Weighting, denoising_loss,
        denoising_score_matching, explicit_score_matching, implicit_score_matching, minimize,
        sliced_score_matching,
    },
};
use statrs::distribution::Continuous;

/// Two components on the line.
fn line() -> Mixture {
    Mixture::new([0.3, 0.7], [[-1.5], [1.0]], [0.4, 0.6]).unwrap()
}

/// The density of [`line`].
fn density(x: f64) -> f64 {
    let normal = |mean, std| Normal::new(mean, std).unwrap().pdf(x);
    0.3 * normal(-1.5, 0.4) + 0.7 * normal(1.0, 0.6)
}

fn grid(low: f64, high: f64, n: usize) -> Vec<f64> {
    (0..n).map(|i| low + (high - low) * i as f64 / (n - 1) as f64).collect()
}

fn column(values: &[f64]) -> Tensor {
    Tensor::from_slice(values, (values.len(), 1), CPU).unwrap()
}

/// The value at one point of a function of tensors.
fn at(x: f64, f: impl Fn(&Tensor) -> scorebook::Result<Tensor>) -> f64 {
    values(&f(&column(&[x])).unwrap()).unwrap()[0]
}

/// What all `x0` that can have led to `x` say: pairs of a weight and of `∇ log p(x|x0) = -(x - α x0)/σ²`, by quadrature.
fn posterior(process: &Process, x: f64, t: f64) -> Vec<(f64, f64, f64)> {
    let (scale, std) = (process.mean_scale(t), process.std(t));
    let kernel = |x0: f64| (-0.5 * ((x - scale * x0) / std).powi(2)).exp();
    let points = grid(-6.0, 6.0, 24_001);
    let total: f64 = points.iter().map(|x0| density(*x0) * kernel(*x0)).sum();
    let one = |x0: f64| (density(x0) * kernel(x0) / total, x0, (scale * x0 - x) / (std * std));
    points.into_iter().map(one).collect()
}

/// The two proofs that note 003 leaves to do, as identities at points of space and time, by quadrature: the score is the
/// posterior mean of the conditional one (line 198), so Tweedie's formula holds (line 158); and
/// `E‖Z - a‖² = ‖E Z - a‖² + Var Z` (line 209), where the variance depends on `x_t` and on `t` (line 231).
#[test]
fn the_proofs_that_note_003_leaves_to_do() {
    let mut variances = vec![];
    for process in [processes()[1], processes()[2], processes()[4]] {
        let exact = MixtureScore::new(line(), process);
        for (t, x) in [(0.05, -1.0), (0.05, 0.5), (0.3, -1.0), (0.3, 0.5), (0.8, 0.5)] {
            let posterior = posterior(&process, x, t);
            let average = |f: &dyn Fn(f64, f64) -> f64| {
                posterior.iter().map(|(weight, x0, z)| weight * f(*x0, *z)).sum::<f64>()
            };
            let score = at(x, |x| exact.score(x, &same_time(t, x)?));
            let mean = average(&|_, z| z);
            assert!((mean - score).abs() < 1e-6 * score.abs().max(1.0), "{mean} for {score}");
            let data = at(x, |x| tweedie(&process, &exact, x, t));
            let mean_data = average(&|x0, _| x0);
            assert!((data - mean_data).abs() < 1e-6, "{data} for {mean_data}");
            // Line 158 takes the one conditional score of the nearest data point for it.
            let nearest = posterior.iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap().2;
            let variance = average(&|_, z| (z - mean).powi(2));
            for a in [-3.0, 0.0, score, 2.5] {
                let left = average(&|_, z| (z - a).powi(2));
                let right = (mean - a).powi(2) + variance;
                assert!((left / right - 1.0).abs() < 1e-10, "{left} {right}");
            }
            // The variance in closed form: 1/σ² + ∂² log p_t.
            let h = 1e-4;
            let slope = |h: f64| at(x + h, |x| exact.score(x, &same_time(t, x)?));
            let closed = process.std(t).powi(-2) + (slope(h) - slope(-h)) / (2.0 * h);
            assert!((variance / closed - 1.0).abs() < 1e-5, "{variance} for {closed}");
            variances.push((t, x, variance, (nearest - score).abs()));
            // Note 004, lines 59 and 63, forget the square: without it the best guess is the median, not the mean.
            let mut reached = 0.0;
            let below = posterior.iter().find(|(weight, ..)| {
                reached += weight;
                reached >= 0.5
            });
            let median = below.unwrap().2;
            let distance = |a: f64| average(&|_, z| (z - a).abs());
            assert!(distance(median) <= distance(score) + 1e-9);
        }
    }
    // On one process the variance differs from point to point and from time to time.
    let of = |t: f64, x: f64| variances[5..10].iter().find(|v| v.0 == t && v.1 == x).unwrap().2;
    assert!((of(0.3, -1.0) / of(0.3, 0.5) - 1.0).abs() > 0.2);
    assert!((of(0.05, 0.5) / of(0.3, 0.5) - 1.0).abs() > 0.2);
    assert!(variances.iter().any(|v| v.3 > 0.3));
}

/// The four objectives of a wrong score on the same law, by quadrature over data and noise: they differ by constants that
/// no score has a part in, `E‖∇ log p_t‖²` and `1/σ²` (notes 002 to 004, errata to 003, line 231).
#[test]
fn the_objectives_differ_by_constants() {
    let process: Process = VariancePreserving::default().into();
    let exact = MixtureScore::new(line(), process);
    let (data, noise) = (grid(-5.0, 5.0, 301), grid(-7.0, 7.0, 201));
    let standard = Normal::new(0.0, 1.0).unwrap();
    let (mut x0, mut z, mut weights) = (vec![], vec![], vec![]);
    for data in &data {
        for noise in &noise {
            x0.push(*data);
            z.push(*noise);
            weights.push(density(*data) * standard.pdf(*noise) * (10.0 / 300.0) * (14.0 / 200.0));
        }
    }
    let expectation = |terms: Tensor| -> f64 {
        values(&terms).unwrap().iter().zip(&weights).map(|(term, weight)| term * weight).sum()
    };
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    let (x0, z) = (column(&x0), column(&z));
    for t in [0.2, 0.5] {
        let times = same_time(t, &x0).unwrap();
        let x = ((&x0 * process.mean_scale(t)).unwrap() + (&z * process.std(t)).unwrap()).unwrap();
        let known =
            expectation(exact.score(&x, &times).unwrap().sqr().unwrap().squeeze(1).unwrap());
        let precision = process.std(t).powi(-2);
        for (stretch, wave) in [(1.0, 0.0), (0.7, 0.4), (0.0, 1.0)] {
            let truth = exact.clone();
            let score = ScoreFunction::new(move |x, t| {
                Ok(((truth.score(x, t)? * stretch)? + (x.sin()? * wave)?)?)
            });
            let explicit =
                expectation(explicit_score_matching(&score, &exact, &x, &times).unwrap());
            let denoising = denoising_score_matching(&score, &process, &x0, &times, &z).unwrap();
            let floor = expectation(denoising) - explicit;
            let expected = precision - known;
            assert!((floor - expected).abs() < 1e-7, "{floor} for {expected}");
            let steps = DirectionalDerivative::Differences { step: 1e-3 };
            let implicit = implicit_score_matching(&score, &process, &x, &times, steps).unwrap();
            let apart = explicit - expectation(implicit);
            assert!((apart - known).abs() < 1e-5, "{apart} for {known}");
            // In one dimension v = ±1, and slicing changes nothing.
            let sliced = sliced_score_matching(
                &score,
                &process,
                &x,
                &times,
                1,
                steps,
                &mut Generator::new(1),
            );
            let apart = explicit - expectation(sliced.unwrap());
            assert!((apart - known).abs() < 1e-5, "{apart} for {known}");
        }
    }
}

/// `E‖∇ log p(x_t|x0)‖² = d/σ_t²` (note 003, line 119, takes it to grow with the noise): what a score of 0 leaves.
#[test]
fn the_conditional_score_is_inverse_to_the_noise() {
    let n = 100_000;
    let zero = ScoreFunction::new(|x, _t| Ok(x.zeros_like()?));
    for process in processes() {
        let mut generator = Generator::new(70);
        let x0 = three().sample(n, &mut generator, CPU).unwrap();
        for t in [0.1, 0.9] {
            let z = generator.normal_like(&x0).unwrap();
            let times = same_time(t, &x0).unwrap();
            let terms = denoising_score_matching(&zero, &process, &x0, &times, &z).unwrap();
            let expected = process.std(t).powi(-2);
            // χ² with two degrees of freedom over 2 has the variance 1.
            let error = mean(&values(&terms).unwrap()) / expected - 1.0;
            assert!(error.abs() < 5.0 / (n as f64).sqrt(), "{error}");
        }
    }
}

/// Projections with entries ±1 leave the implicit loss its mean, in a dimension where they add variance.
#[test]
fn slices_are_unbiased() {
    let (process, n) = (VariancePreserving::default(), 20_000);
    let law = Gaussian::full([0.5, -1.0], &[[2.0, 0.9], [0.9, 0.6]]).unwrap();
    let score = GaussianScore::new(law.clone(), process);
    let mut generator = Generator::new(71);
    let x = law.sample(n, &mut generator, CPU).unwrap().to_dtype(DType::F64).unwrap();
    let t = same_time(0.1, &x).unwrap();
    let derivative = DirectionalDerivative::default();
    let whole = implicit_score_matching(&score, &process, &x, &t, derivative).unwrap();
    let whole = values(&whole).unwrap();
    let mut spread = vec![];
    for projections in [1, 4] {
        let terms = sliced_score_matching(
            &score,
            &process,
            &x,
            &t,
            projections,
            derivative,
            &mut generator,
        );
        let terms = values(&terms.unwrap()).unwrap();
        let apart: Vec<f64> = terms.iter().zip(&whole).map(|(a, b)| a - b).collect();
        let error = (variance(&apart) / n as f64).sqrt();
        assert!(error > 1e-4 && mean(&apart).abs() < 5.0 * error, "{} ± {error}", mean(&apart));
        spread.push(variance(&apart));
    }
    // Four independent projections have a quarter of the variance; five standard errors are 0.1 of it.
    assert!((spread[0] / spread[1] / 4.0 - 1.0).abs() < 0.1, "{spread:?}");
}

/// The divergence by backward passes through the score, one a coordinate: exact, but not to be trained.
fn exact_divergence(score: &dyn Score, x: &Tensor, t: &Tensor) -> Vec<f64> {
    let x = Var::from_tensor(x).unwrap();
    let value = score.score(&x, t).unwrap();
    let mut divergence = vec![0.0; x.dim(0).unwrap()];
    for i in 0..x.dim(1).unwrap() {
        let one = value.narrow(1, i, 1).unwrap().sum_all().unwrap();
        let gradient = one.backward().unwrap().get(&x).unwrap().narrow(1, i, 1).unwrap();
        let slopes = values(&gradient).unwrap();
        divergence.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += slope);
    }
    divergence
}

#[test]
fn differences_are_of_second_order() {
    let x = crate::score::points();
    let t = Generator::new(72).uniform(0.1, 1.0, 64, CPU).unwrap().to_dtype(DType::F64).unwrap();
    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let exact = exact_divergence(&score, &x, &t);
    let error = |step: f64| {
        let derivative = DirectionalDerivative::Differences { step };
        let divergence = derivative.divergence(&score, &process, &x, &t).unwrap();
        let apart = |(a, b): (f64, &f64)| (a - b).powi(2);
        (values(&divergence).unwrap().into_iter().zip(&exact).map(apart).sum::<f64>() / 64.0).sqrt()
    };
    let errors: Vec<(f64, f64)> = [0.08, 0.04, 0.02].map(|step| (step, error(step))).into();
    let order = log_slope(&errors);
    assert!((order - 2.0).abs() < 0.1, "{order}: {errors:?}");
    let size = (exact.iter().map(|value| value * value).sum::<f64>() / 64.0).sqrt();
    assert!(error(0.01) < 5e-4 * size, "{} of {size}", error(0.01));
    // In single precision rounding adds no more than that.
    let (x, t) = (x.to_dtype(DType::F32).unwrap(), t.to_dtype(DType::F32).unwrap());
    let single = DirectionalDerivative::default().divergence(&score, &process, &x, &t).unwrap();
    for (single, exact) in values(&single).unwrap().into_iter().zip(&exact) {
        assert!((single - exact).abs() < 2e-3 * size, "{single} for {exact}");
    }
}

/// A small network in double precision: `σ s = tanh(W x + b) - x/2`.
#[derive(Clone, Debug)]
struct Bend {
    parameters: Parameters,
}

impl Bend {
    fn new() -> Self {
        let mut parameters = Parameters::default();
        let weight = Tensor::new(&[[0.3, -0.8], [0.5, 0.2]], CPU).unwrap();
        parameters.insert("layer.weight", &weight).unwrap();
        parameters.insert("layer.bias", &Tensor::new(&[0.1, -0.4], CPU).unwrap()).unwrap();
        Self { parameters }
    }
}

impl Score for Bend {
    fn score(&self, x: &Tensor, t: &Tensor) -> scorebook::Result<Tensor> {
        let frozen = Self { parameters: self.parameters.frozen() };
        Ok(Trainable(&frozen).score(x, t)?.detach())
    }
}

impl Network for Bend {
    fn noise_output(&self, x: &Tensor, _t: &Tensor) -> scorebook::Result<Tensor> {
        Ok((self.parameters.apply_linear("layer", x)?.tanh()? - (x * 0.5)?)?)
    }
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }
    fn process(&self) -> Process {
        VariancePreserving::default().into()
    }
    fn architecture(&self) -> Architecture {
        Architecture::Mlp(MlpSettings::default())
    }
    fn copy(&self) -> scorebook::Result<Self> {
        Ok(self.clone())
    }
}

/// The gradient of a loss in all parameters of `network` against central differences.
fn check_gradient(network: &Bend, name: &str, loss: impl Fn() -> scorebook::Result<Tensor>) {
    let gradients = loss().unwrap().backward().unwrap();
    for (parameter, variable) in network.parameters().iter() {
        let gradient = values(gradients.get(variable).expect(parameter)).unwrap();
        let value = variable.as_detached_tensor().copy().unwrap();
        for (i, gradient) in gradient.into_iter().enumerate() {
            let h = 1e-5;
            let at = |h: f64| {
                let mut moved = values(&value).unwrap();
                moved[i] += h;
                variable.set(&Tensor::from_vec(moved, value.shape(), CPU).unwrap()).unwrap();
                values(&loss().unwrap()).unwrap()[0]
            };
            let difference = (at(h) - at(-h)) / (2.0 * h);
            variable.set(&value).unwrap();
            let error = (gradient - difference).abs();
            assert!(
                error < 1e-6 * difference.abs().max(0.1),
                "{name}, {parameter}: {gradient} for {difference}"
            );
        }
    }
}

fn bend_inputs() -> (Tensor, Tensor) {
    let x = crate::score::points().narrow(0, 0, 12).unwrap();
    let t = Tensor::from_vec(grid(0.1, 0.9, 12), 12, CPU).unwrap();
    (x, t)
}

/// Every loss has the gradient that its values have. The divergence is by differences, which one backward pass goes
/// through; a second derivative is refused where it would come out wrong.
#[test]
fn losses_have_their_gradients() {
    let (network, process) = (Bend::new(), VariancePreserving::default());
    let (x, t) = bend_inputs();
    let exact = MixtureScore::new(three(), process);
    let score = Trainable(&network);
    let derivative = DirectionalDerivative::default();
    check_gradient(&network, "explicit", || {
        Ok(explicit_score_matching(&score, &exact, &x, &t)?.mean_all()?)
    });
    check_gradient(&network, "implicit", || {
        Ok(implicit_score_matching(&score, &process, &x, &t, derivative)?.mean_all()?)
    });
    check_gradient(&network, "sliced", || {
        let generator = &mut Generator::new(73);
        let terms = sliced_score_matching(&score, &process, &x, &t, 2, derivative, generator);
        Ok(terms?.mean_all()?)
    });
    for weighting in [
        Weighting::Variance,
        Weighting::Likelihood,
        Weighting::MinSnr { gamma: 5.0 },
        Weighting::Edm { data_std: 0.5 },
        Weighting::Uniform,
    ] {
        for times in [
            TimeSampling::Uniform,
            TimeSampling::Importance,
            TimeSampling::LogNormal { mean: -1.2, std: 1.2 },
        ] {
            let loss = DenoisingLoss { t_min: 0.05, weighting, times };
            check_gradient(&network, "denoising", || {
                loss.draw(&network, &x, &mut Generator::new(74))
            });
            // The terms of the same draw have the loss for their mean.
            let terms = loss.terms(&score, &process, &x, &mut Generator::new(74)).unwrap();
            let drawn = loss.draw(&network, &x, &mut Generator::new(74)).unwrap();
            let (terms, drawn) = (mean(&values(&terms).unwrap()), values(&drawn).unwrap()[0]);
            assert!((terms / drawn - 1.0).abs() < 1e-12, "{terms} {drawn}");
        }
    }
    let second = DirectionalDerivative::SecondBackward;
    let error = implicit_score_matching(&score, &process, &x, &t, second).unwrap_err().to_string();
    assert!(error.contains("CANDLE_GRAD_DO_NOT_DETACH=1"), "{error}");
}

/// In a process of its own, since candle reads the variable once: with it, second derivatives are right.
#[test]
fn a_second_backward_pass_is_right_where_it_is_allowed() {
    let run = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["score_matching::second_derivatives", "--exact"])
        .env("CANDLE_GRAD_DO_NOT_DETACH", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && text.contains("1 passed"), "{text}");
}

/// What the test above runs.
#[test]
fn second_derivatives() {
    if std::env::var_os("CANDLE_GRAD_DO_NOT_DETACH").is_none() {
        return;
    }
    let (network, process) = (Bend::new(), VariancePreserving::default());
    let (x, t) = bend_inputs();
    let score = Trainable(&network);
    let second = DirectionalDerivative::SecondBackward;
    check_gradient(&network, "implicit", || {
        Ok(implicit_score_matching(&score, &process, &x, &t, second)?.mean_all()?)
    });
    check_gradient(&network, "sliced", || {
        let generator = &mut Generator::new(73);
        Ok(sliced_score_matching(&score, &process, &x, &t, 2, second, generator)?.mean_all()?)
    });
    let divergence = |derivative: DirectionalDerivative| {
        values(&derivative.divergence(&score, &process, &x, &t).unwrap()).unwrap()
    };
    let by_differences = divergence(DirectionalDerivative::Differences { step: 1e-3 });
    for ((second, first), differences) in
        divergence(second).iter().zip(exact_divergence(&score, &x, &t)).zip(by_differences)
    {
        assert!((second - first).abs() < 1e-10 && (second - differences).abs() < 1e-5);
    }
}

/// The floor `C₂ = E_t λ (1/σ² - E‖∇ log p_t‖²/d)` in closed form for a Gaussian, for every weighting and law of the
/// times; the loss of the exact score is the same; and with likelihood weighting importance sampling has far less variance.
#[test]
fn the_floor_is_the_loss_of_the_exact_score() {
    let (n, t_min, own) = (100_000, 0.01, 0.5f64);
    let process = VariancePreserving::default();
    let law = Gaussian::isotropic([0.3, -0.2], own).unwrap();
    let exact = GaussianScore::new(law.clone(), process);
    let x0 = law.sample(n, &mut Generator::new(75), CPU).unwrap().to_dtype(DType::F64).unwrap();
    let term = |t: f64| {
        let (signal, noise) = ((process.mean_scale(t) * own).powi(2), process.std(t).powi(2));
        signal / (signal + noise)
    };
    let mut spreads = vec![];
    for weighting in [
        Weighting::Variance,
        Weighting::Likelihood,
        Weighting::MinSnr { gamma: 5.0 },
        Weighting::Edm { data_std: own },
        Weighting::Uniform,
    ] {
        for times in [
            TimeSampling::Uniform,
            TimeSampling::Importance,
            TimeSampling::LogNormal { mean: -0.5, std: 1.0 },
        ] {
            let steps = 20_000;
            let middle = |i: usize| (i as f64 + 0.5) / steps as f64;
            let weighted = |t: f64| weighting.of_noise(&process, t) * term(t);
            let expected = match times {
                TimeSampling::LogNormal { mean, std } => {
                    let (low, high) =
                        (process.noise_level(t_min).ln(), process.noise_level(1.0).ln());
                    let normal = Normal::new(mean, std).unwrap();
                    let point = |i: usize| low + (high - low) * middle(i);
                    let mass: f64 = (0..steps).map(|i| normal.pdf(point(i))).sum();
                    let at = |log: f64| {
                        weighted(process.time_of_noise_level(log.exp()).unwrap()) * normal.pdf(log)
                    };
                    (0..steps).map(|i| at(point(i))).sum::<f64>() / mass
                }
                _ => {
                    let at = |i: usize| weighted(t_min + (1.0 - t_min) * middle(i));
                    (0..steps).map(at).sum::<f64>() / steps as f64
                }
            };
            let loss = DenoisingLoss { t_min, weighting, times };
            let generator = || Generator::new(76);
            let floor = loss.floor(&exact, &process, &x0, &mut generator()).unwrap();
            let terms = loss.terms(&exact, &process, &x0, &mut generator()).unwrap();
            let mut of_this = vec![];
            for measured in [floor, terms] {
                let measured = values(&measured).unwrap();
                let error = (variance(&measured) / n as f64).sqrt();
                let apart = (mean(&measured) - expected).abs();
                let slack = 1e-6 * expected;
                assert!(
                    apart < 5.0 * error + slack,
                    "{loss:?}: {apart} off, {error} of {expected}"
                );
                // The floor's own terms spread widely where EDM weighs the last times 90,000-fold.
                assert!(of_this.is_empty() || error < 0.05 * expected, "{loss:?}: {error}");
                of_this.push(variance(&measured));
            }
            spreads.push(of_this);
        }
    }
    // Likelihood weighting, terms of the loss: uniform times against importance sampling.
    let (uniform, importance) = (spreads[3][1], spreads[4][1]);
    assert!(importance < 0.5 * uniform, "{importance} {uniform}");
}

/// The default loss is the one it always was, and another weight of 1 the same to rounding.
#[test]
fn the_default_is_the_simple_loss() {
    let network = {
        let settings = MlpSettings { hidden: 8, layers: 1, ..Default::default() };
        Mlp::new(settings, VariancePreserving::default().into(), &mut Generator::new(1), CPU)
            .unwrap()
    };
    let x0 = three().sample(32, &mut Generator::new(2), CPU).unwrap();
    let mut generator = Generator::new(3);
    let drawn = DenoisingLoss::default().draw(&network, &x0, &mut generator).unwrap();
    let mut generator = Generator::new(3);
    let t = generator.uniform(1e-5, 1.0, 32, CPU).unwrap();
    let z = generator.normal_like(&x0).unwrap();
    let by_hand = denoising_loss(&network, &x0, &t, &z).unwrap();
    assert_eq!(drawn.to_scalar::<f32>().unwrap(), by_hand.to_scalar::<f32>().unwrap());
    let terms = denoising_score_matching(&network, &network.process(), &x0, &t, &z).unwrap();
    let weights =
        per_sample(&t, &terms, |t| Weighting::Variance.at(&network.process(), t)).unwrap();
    let weighted = mean(&values(&(terms * weights).unwrap()).unwrap());
    let drawn = values(&drawn).unwrap()[0];
    assert!((weighted / drawn - 1.0).abs() < 1e-4, "{weighted} {drawn}");
}

/// A small network comes within a hundredth of the floor, and its Fisher error is small in each of ten bins of time.
#[test]
fn a_trained_score_reaches_the_floor() {
    let process: Process = VariancePreserving::default().into();
    let law = Mixture::ring(3, 1.0, 0.35).unwrap();
    let exact = MixtureScore::new(law.clone(), process);
    let mut generator = Generator::new(77);
    let settings = MlpSettings { hidden: 64, layers: 2, features: 16, ..Default::default() };
    let network = Mlp::new(settings, process, &mut generator, CPU).unwrap();
    let loss = DenoisingLoss { t_min: 1e-3, ..Default::default() };
    minimize(network.parameters(), 2500, 0.01, |step| {
        let mut generator = Generator::new(78).child(step);
        let x0 = law.sample(512, &mut generator, CPU)?;
        loss.draw(&network, &x0, &mut generator)
    })
    .unwrap();
    let n = 200_000;
    let x0 = law.sample(n, &mut generator, CPU).unwrap();
    let draw = |score: &dyn Score| {
        values(&loss.terms(score, &process, &x0, &mut Generator::new(79)).unwrap()).unwrap()
    };
    // On the same draws, so that what both lose to the noise cancels.
    let (learned, floor) = (draw(&network), draw(&exact));
    let gap: Vec<f64> = learned.iter().zip(&floor).map(|(a, b)| a - b).collect();
    let (gap, error) = (mean(&gap), (variance(&gap) / n as f64).sqrt());
    assert!(gap + 5.0 * error < 0.01 * mean(&floor), "{gap} ± {error} of {}", mean(&floor));
    for bin in 0..10 {
        let (from, to) = (1e-3f64.max(bin as f64 / 10.0), (bin + 1) as f64 / 10.0);
        let t = generator.uniform(from, to, 20_000, CPU).unwrap();
        let x0 = law.sample(20_000, &mut generator, CPU).unwrap();
        let (x, _) = process.perturb(&x0, &t, &mut generator).unwrap();
        let terms = explicit_score_matching(&network, &exact, &x, &t).unwrap();
        let weights = per_sample(&t, &terms, |t| Weighting::Variance.at(&process, t)).unwrap();
        let terms = mean(&values(&(terms * weights).unwrap()).unwrap());
        assert!(terms < 0.02, "bin {bin}: {terms}");
    }
}

#[test]
fn bad_input_is_an_error() {
    let process = VariancePreserving::default();
    let network = Bend::new();
    let (x, t) = bend_inputs();
    let draw = |loss: DenoisingLoss| {
        loss.draw(&network, &x, &mut Generator::new(1)).unwrap_err().to_string()
    };
    let base = DenoisingLoss::default();
    let error = draw(DenoisingLoss { t_min: 0.0, ..base });
    assert_eq!(error, "`t_min` is 0; expected a time between 0 and 1, the end of the process");
    let error = draw(DenoisingLoss { weighting: Weighting::MinSnr { gamma: f64::NAN }, ..base });
    assert_eq!(error, "`gamma` is NaN; expected a positive number");
    let error = draw(DenoisingLoss { weighting: Weighting::Edm { data_std: -1.0 }, ..base });
    assert_eq!(error, "`data_std` is -1; expected a positive number");
    let times = TimeSampling::LogNormal { mean: 0.0, std: 0.0 };
    assert!(draw(DenoisingLoss { times, ..base }).starts_with("`mean, std` is 0 and 0"));
    let times = TimeSampling::LogNormal { mean: 500.0, std: 1.0 };
    let error = draw(DenoisingLoss { times, ..base });
    assert!(error.starts_with("`mean` is 500; expected a law with mass"), "{error}");
    let score = Trainable(&network);
    let step = DirectionalDerivative::Differences { step: 0.0 };
    let error = implicit_score_matching(&score, &process, &x, &t, step).unwrap_err().to_string();
    assert_eq!(error, "`step` is 0; expected a positive number");
    let derivative = DirectionalDerivative::default();
    let generator = &mut Generator::new(1);
    let error = sliced_score_matching(&score, &process, &x, &t, 0, derivative, generator);
    assert_eq!(error.unwrap_err().to_string(), "`projections` is 0; expected at least 1");
    let start = same_time(0.0, &x).unwrap();
    let error = derivative.divergence(&score, &process, &x, &start).unwrap_err().to_string();
    assert_eq!(error, "`t` is 0; expected a time above 0, at which there is noise");
    assert!(denoising_score_matching(&score, &process, &x, &start, &x).is_err());
    let wide = Tensor::zeros((12, 3), DType::F64, CPU).unwrap();
    assert!(derivative.along(&score, &process, &x, &t, &wide).is_err());
    assert!(denoising_score_matching(&score, &process, &x, &t, &wide).is_err());
    let parameters = network.parameters();
    assert!(minimize(parameters, 1, -1.0, |_| Ok(x.sum_all()?)).is_err());
    let lost = |_| Ok((parameters.get("layer.bias")?.sum_all()? * f64::NAN)?);
    let error = minimize(parameters, 1, 0.1, lost).unwrap_err().to_string();
    assert!(error.starts_with("the loss is not finite at step 1"), "{error}");
}
