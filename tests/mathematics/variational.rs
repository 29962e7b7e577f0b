use crate::*;
use scorebook::{
    diffusion::NoisingProcess,
    distribution::{Density, Gaussian},
    metrics::values,
    path::time_grid,
    random::Generator,
    score::{GaussianScore, ScoreFunction},
    train::{
        DenoisingLoss, TimeSampling, Weighting, chain_bound, continuous_bound,
        explicit_score_matching, transition_weight,
    },
};

/// DDPM's chain of a thousand betas from 0.0001 to 0.02 as a process that is asked at its times `i/1000` only.
#[derive(Debug)]
struct Ddpm {
    /// `β_i` and `ᾱ_i` from `i = 1` on.
    betas: Vec<(f64, f64)>,
}

impl Ddpm {
    fn new() -> Self {
        let mut product = 1.0;
        let step = |i: usize| {
            let beta = 1e-4 + (0.02 - 1e-4) * i as f64 / 999.0;
            product *= 1.0 - beta;
            (beta, product)
        };
        Self { betas: (0..1000).map(step).collect() }
    }

    fn product(&self, t: f64) -> f64 {
        self.betas[(t * 1000.0).round() as usize - 1].1
    }
}

impl NoisingProcess for Ddpm {
    fn rate(&self, _t: f64) -> f64 {
        f64::NAN
    }
    fn dispersion(&self, _t: f64) -> f64 {
        f64::NAN
    }
    fn mean_scale(&self, t: f64) -> f64 {
        self.product(t).sqrt()
    }
    fn std(&self, t: f64) -> f64 {
        (1.0 - self.product(t)).sqrt()
    }
    fn horizon(&self) -> f64 {
        1.0
    }
    fn prior_std(&self) -> f64 {
        1.0
    }
}

/// The true bound weighs the error of the noise by `β²/(2 σ² α (1 - ᾱ))` (Ho et al. 2020, equation 12, with
/// `σ² = β̃`), the simple loss by 1: another weighting of one objective, not the same (note 003, line 450).
#[test]
fn the_bound_weighs_as_ddpm_has_it() {
    let chain = Ddpm::new();
    let mut weights = vec![];
    for i in 2..=1000 {
        let ((beta, product), (_, before)) = (chain.betas[i - 1], chain.betas[i - 2]);
        let posterior = beta * (1.0 - before) / (1.0 - product);
        let published = beta * beta / (2.0 * posterior * (1.0 - beta) * (1.0 - product));
        let weight = transition_weight(&chain, (i - 1) as f64 / 1000.0, i as f64 / 1000.0);
        assert!((weight / published - 1.0).abs() < 1e-8, "{i}: {weight} for {published}");
        weights.push(weight);
    }
    // The first transition counts a hundred times what one in the middle counts.
    assert!(
        weights[0] > 0.5 && weights[0] / weights[500] > 50.0,
        "{} {}",
        weights[0],
        weights[500]
    );
}

/// What the chain's bound is for one coordinate of `N(0, s²)` under the exact score, in closed form.
fn closed_form(process: &dyn NoisingProcess, times: &[f64], own: f64) -> (f64, Vec<f64>, f64) {
    let parts = |t: f64| {
        let (signal, noise) = ((process.mean_scale(t) * own).powi(2), process.std(t).powi(2));
        (signal, noise)
    };
    let share = |t: f64| parts(t).0 / (parts(t).0 + parts(t).1);
    let snr = |t: f64| (process.mean_scale(t) / process.std(t)).powi(2);
    let (signal, noise) = parts(process.horizon());
    let spread = process.prior_std().powi(2);
    let prior = 0.5 * ((signal + noise) / spread - 1.0 - (noise / spread).ln());
    let transitions =
        times.windows(2).map(|pair| 0.5 * (snr(pair[0]) / snr(pair[1]) - 1.0) * share(pair[1]));
    // E (x0 - E[x0|x_1])² = s² σ²/(α² s² + σ²).
    let (signal, noise) = parts(times[0]);
    let error = own * own * noise / (signal + noise);
    let reconstruction = 0.5 * (error / noise + (std::f64::consts::TAU * noise).ln());
    (prior, transitions.collect(), reconstruction)
}

fn entropy(own: f64) -> f64 {
    0.5 * (1.0 + (std::f64::consts::TAU * own * own).ln())
}

#[test]
fn the_bound_of_a_chain_in_closed_form() {
    let (n, own) = (40_000, 0.7);
    let law = Gaussian::isotropic([0.0, 0.0], own).unwrap();
    let x0 = law.sample(n, &mut Generator::new(80), CPU).unwrap();
    let x0 = x0.to_dtype(DType::F64).unwrap();
    for process in [processes()[1], processes()[2], processes()[3]] {
        let score = GaussianScore::new(law.clone(), process);
        let times = time_grid(0.02, 1.0, 10).unwrap();
        let bound = chain_bound(&process, &score, &x0, &times, &mut Generator::new(81)).unwrap();
        assert!(!bound.interrupted);
        let (prior, transitions, reconstruction) = closed_form(&process, &times, own);
        let check = |measured: &Tensor, one: f64| {
            let measured = values(measured).unwrap();
            let error = (variance(&measured) / n as f64).sqrt();
            let apart = (mean(&measured) - 2.0 * one).abs();
            assert!(apart < 5.0 * error + 1e-12, "{process:?}: {apart} off, {error} of {one}");
        };
        check(&bound.prior, prior);
        check(&bound.reconstruction, reconstruction);
        for (i, expected) in transitions.iter().enumerate() {
            check(&bound.transitions.get(i).unwrap(), *expected);
        }
        check(&bound.total().unwrap(), prior + transitions.iter().sum::<f64>() + reconstruction);
    }
}

/// Finer chains have lower bounds, down to the entropy of the data: with the exact score nothing is lost.
#[test]
fn finer_chains_have_tighter_bounds() {
    let (process, own) = (VariancePreserving::default(), 0.7);
    let gap = |steps: usize| {
        let first = process.time_of_noise_level(1e-3).unwrap();
        // Equal steps in the log of the noise level.
        let top = process.noise_level(1.0).ln();
        let level =
            |i: usize| (1e-3f64.ln() + (top - 1e-3f64.ln()) * i as f64 / steps as f64).exp();
        let mut times: Vec<f64> =
            (0..steps).map(|i| process.time_of_noise_level(level(i)).unwrap()).collect();
        times[0] = first;
        times.push(1.0);
        let (prior, transitions, reconstruction) = closed_form(&process, &times, own);
        prior + transitions.iter().sum::<f64>() + reconstruction - entropy(own)
    };
    let gaps = [10, 100, 1000, 10_000].map(gap);
    assert!(gaps.windows(2).all(|pair| pair[0] > pair[1]), "{gaps:?}");
    // First order in the step, and above 0.
    assert!(gaps[3] > 0.0 && gaps[3] < 0.01 && (gaps[2] / gaps[3] - 10.0).abs() < 1.0, "{gaps:?}");
}

/// In continuous time, with the exact score, the bound is the likelihood of every single data point; its integral is
/// `½ (T - t_min) d` times the denoising loss with likelihood weighting.
#[test]
fn the_bound_in_continuous_time_is_the_likelihood() {
    let (n, own, t_min) = (20_000, 0.7, 1e-4);
    let process = VariancePreserving::default();
    let law = Gaussian::isotropic([0.0], own).unwrap();
    let score = GaussianScore::new(law.clone(), process);
    for point in [0.0, 0.9, -2.0] {
        let x0 = Tensor::full(point, (n, 1), CPU).unwrap();
        let generator = &mut Generator::new(82);
        let bound = continuous_bound(&process, &score, &x0, t_min, 20, generator).unwrap();
        let total = values(&bound.total().unwrap()).unwrap();
        let error = (variance(&total) / n as f64).sqrt();
        let expected = -values(&law.log_prob(&x0).unwrap()).unwrap()[0];
        // The last variance is σ² where the posterior's is a little less, and p_T is not quite the prior.
        let apart = (mean(&total) - expected).abs();
        assert!(apart < 5.0 * error + 2e-4, "{point}: {apart} off, {error}");
        assert!(error < 0.03, "{error}");
    }
    let x0 = law.sample(n, &mut Generator::new(83), CPU).unwrap().to_dtype(DType::F64).unwrap();
    let t_min = 0.01;
    let wrong = ScoreFunction::new(|x, _t| Ok((x * -0.8)?));
    let loss =
        DenoisingLoss { t_min, weighting: Weighting::Likelihood, times: TimeSampling::Importance };
    let terms = loss.terms(&wrong, &process, &x0, &mut Generator::new(84)).unwrap();
    let terms = values(&(terms * (0.5 * (1.0 - t_min))).unwrap()).unwrap();
    let bound =
        continuous_bound(&process, &wrong, &x0, t_min, 10, &mut Generator::new(85)).unwrap();
    let integral = values(&bound.transitions.sum(0).unwrap()).unwrap();
    let error = ((variance(&terms) + variance(&integral)) / n as f64).sqrt();
    let apart = (mean(&terms) - mean(&integral)).abs();
    assert!(apart < 5.0 * error && error < 0.02 * mean(&integral), "{apart} off, {error}");
}

/// Notes 002 and 003 bound `KL(p₀ ‖ p_θ)` by `E_t g² ‖∇ log p_t - s_θ‖²` and the prior's part. The factor `T/2` belongs
/// before it: here `T = 4`, and the stationary process with a score that is off by `c e^(-βt)` all but attains the right
/// bound, so without the factor the sampler itself refutes it.
#[test]
fn the_bound_on_the_divergence_has_its_factor() {
    let (n, horizon, offset) = (40_000, 4.0, 0.5);
    let process = OrnsteinUhlenbeck::new(1.0, 1.0, horizon).unwrap();
    // The stationary law N(0, 1/2) has the score -2x at all times.
    let exact = ScoreFunction::new(|x, _t| Ok((x * -2.0)?));
    let wrong = ScoreFunction::new(move |x, t| {
        let t = scorebook::diffusion::per_sample(t, x, |t| offset * (-t).exp())?;
        Ok((x * -2.0)?.broadcast_add(&t)?)
    });
    // E_t g² ‖Δs‖² by the midpoint rule.
    let steps = 1000;
    let t: Vec<f64> = (0..steps).map(|i| horizon * (i as f64 + 0.5) / steps as f64).collect();
    let x = Tensor::zeros((steps, 1), DType::F64, CPU).unwrap();
    let t = Tensor::new(t, CPU).unwrap();
    let terms = explicit_score_matching(&wrong, &exact, &x, &t).unwrap();
    let times = values(&t).unwrap();
    let weight = |t: f64| Weighting::Likelihood.at(&process, t);
    let average = values(&terms).unwrap().into_iter().zip(&times).map(|(e, t)| e * weight(*t));
    let average = average.sum::<f64>() / steps as f64;
    let right = 0.5 * horizon * average;
    let sampler = ReverseEulerMaruyama {
        steps: 400,
        t_min: 0.0,
        denoise: false,
        progress: false,
        ..Default::default()
    };
    let sample = sampler.sample(&process, &wrong, &[n, 1], &mut Generator::new(86), CPU).unwrap();
    let x = values(&sample.x).unwrap();
    // Both laws are Gaussian with the variance 1/2: KL = (difference of the means)².
    let divergence = mean(&x).powi(2);
    let error = 2.0 * mean(&x).abs() * (0.5 / n as f64).sqrt();
    assert!((variance(&x) - 0.5).abs() < 0.02, "{}", variance(&x));
    // A step of 0.01 moves the mean by a hundredth.
    let slack = 5.0 * error + 0.02 * divergence;
    assert!(divergence < right + slack && divergence > 0.9 * right - slack, "{divergence} {right}");
    assert!(divergence - slack > average, "{divergence} {average}");
}

#[test]
fn bad_input_is_an_error() {
    let process = VariancePreserving::default();
    let zero = ScoreFunction::new(|x, _t| Ok(x.zeros_like()?));
    let x0 = Tensor::zeros((2, 1), DType::F32, CPU).unwrap();
    let generator = &mut Generator::new(1);
    for times in [&[0.5, 0.4, 1.0][..], &[0.0, 1.0], &[0.1, 0.9], &[1.0], &[0.1, f64::NAN, 1.0]] {
        let error = chain_bound(&process, &zero, &x0, times, generator).unwrap_err().to_string();
        assert!(
            error.contains("expected at least two times that rise from above 0 to 1"),
            "{error}"
        );
    }
    assert!(continuous_bound(&process, &zero, &x0, 0.0, 5, generator).is_err());
    assert!(continuous_bound(&process, &zero, &x0, 0.1, 0, generator).is_err());
}
