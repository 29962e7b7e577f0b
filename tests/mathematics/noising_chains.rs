//! Chains against Bayes' rule, their closed kernels, their limits, and the process that runs through them.

use crate::*;
use scorebook::{
    diffusion::{Affine, Cosine, Edm, NoisingChain, Step, karras_sigmas},
    metrics::{ks_one_sample, values},
    random::Generator,
};
use std::f64::consts::FRAC_PI_2;

fn ddpm() -> DdpmChain {
    DdpmChain::linear(1000, 1e-4, 0.02).unwrap()
}

fn chains() -> Vec<Box<dyn NoisingChain>> {
    vec![
        Box::new(ddpm()),
        Box::new(DdpmChain::cosine(50).unwrap()),
        Box::new(DdpmChain::scaled_linear(20, 1e-3, 0.6).unwrap()),
        Box::new(SmldChain::geometric(30, 0.02, 10.0).unwrap()),
        Box::new(SmldChain::new([0.5, 0.6, 2.0, 2.5]).unwrap()),
    ]
}

/// The recursion gives `√ᾱ_i` and `√(1 - ᾱ_i)`, and `1` and `√(σ_i² - σ_0²)`. Note 000 (line 197) says `σ_i`.
#[test]
fn kernels_are_the_closed_ones() {
    let chain = DdpmChain::scaled_linear(20, 1e-3, 0.6).unwrap();
    for (kernel, alpha_bar) in chain.kernels().iter().zip(chain.alpha_bars()) {
        assert!((kernel.mean_scale.powi(2) - alpha_bar).abs() < 1e-14);
        assert!((kernel.std.powi(2) - (1.0 - alpha_bar)).abs() < 1e-14);
    }
    let chain = SmldChain::new([0.5, 0.6, 2.0, 2.5]).unwrap();
    for (kernel, sigma) in chain.kernels().iter().zip(chain.sigmas()) {
        assert_eq!(kernel.mean_scale, 1.0);
        assert!((kernel.std.powi(2) - (sigma * sigma - 0.25)).abs() < 1e-14);
        assert!((kernel.std - sigma).abs() > 0.04);
    }
}

/// Steps one after another lead to the closed kernel.
#[test]
fn simulated_steps_have_the_kernels_law() {
    let n = 50_000;
    let generator = &mut Generator::new(40);
    for chain in &chains()[1..] {
        let mut x = Tensor::full(1.5f32, (n, 1), CPU).unwrap();
        let half = chain.steps().len() / 2 + 1;
        for step in &chain.steps()[..half] {
            x = step.draw(&x, generator).unwrap();
        }
        let x = values(&x).unwrap();
        let kernel = chain.kernels()[half];
        let test = |std| ks_one_sample(&x, normal_cdf(1.5 * kernel.mean_scale, std)).unwrap();
        assert!(test(kernel.std).p_value > 1e-7, "{chain:?}");
        assert!(test(1.06 * kernel.std).p_value < 1e-7, "{chain:?}");
        let x0 = Tensor::full(1.5f64, (n, 1), CPU).unwrap();
        let (jumped, z) = kernel.perturb(&x0, generator).unwrap();
        let (jumped, z) = (values(&jumped).unwrap(), values(&z).unwrap());
        let off = |(x, z): (&f64, &f64)| x - 1.5 * kernel.mean_scale - kernel.std * z;
        assert!(jumped.iter().zip(&z).map(off).all(|off| off.abs() < 1e-12));
        assert!(ks_one_sample(&z, normal_cdf(0.0, 1.0)).unwrap().p_value > 1e-7);
    }
}

/// `q(x_{i-1} | x_i, x_0) ∝ q(x_i | x_{i-1}) q(x_{i-1} | x_0)`: the moments of the product by quadrature.
#[test]
fn posteriors_are_those_of_bayes() {
    let (x0, next) = (0.7, -0.4);
    for chain in chains() {
        let (kernels, posteriors) = (chain.kernels(), chain.posteriors());
        for i in [2, 3, chain.steps().len()] {
            let (step, before) = (chain.steps()[i - 1], kernels[i - 1]);
            let log_product = |x: f64| {
                let forward = (next - step.scale * x) / step.noise;
                let prior = (x - before.mean_scale * x0) / before.std;
                -0.5 * (forward * forward + prior * prior)
            };
            let posterior = posteriors[i - 1];
            let mean = posterior.from_x0 * x0 + posterior.from_next * next;
            // The trapezoidal rule over ±12 deviations is exact to rounding for Gaussians.
            let width = 12.0 * posterior.variance.sqrt();
            let (mut mass, mut first, mut second) = (0.0, 0.0, 0.0);
            for k in -400..=400 {
                let away = width * f64::from(k) / 400.0;
                let weight = (log_product(mean + away) - log_product(mean)).exp();
                mass += weight;
                first += weight * away;
                second += weight * away * away;
            }
            assert!((first / mass).abs() < 1e-9 * width, "{chain:?}, step {i}: mean");
            let ratio = second / mass / posterior.variance;
            assert!((ratio - 1.0).abs() < 1e-9, "{chain:?}, step {i}: variance off by {ratio}");
            assert!(posterior.large_variance >= posterior.variance);
        }
        assert_eq!((posteriors[0].from_x0, posteriors[0].variance), (1.0, 0.0));
    }
}

/// The large variance is that of a step back where the data are `N(0, I)`: `x_{i-1}` given `x_i` by regression.
#[test]
fn large_variance_is_right_for_normal_data() {
    let (n, chain) = (200_000, DdpmChain::new([0.3, 0.4, 0.2]).unwrap());
    let generator = &mut Generator::new(41);
    let mut before = generator.normal((n, 1), CPU).unwrap();
    before = chain.steps()[0].draw(&before, generator).unwrap();
    let after = chain.steps()[1].draw(&before, generator).unwrap();
    let (before, after) = (values(&before).unwrap(), values(&after).unwrap());
    let left = variance(&before) - covariance(&before, &after).powi(2) / variance(&after);
    let posterior = chain.posteriors()[1];
    let tolerance = 5.0 * (2.0 / n as f64).sqrt();
    assert!((left / posterior.large_variance - 1.0).abs() < tolerance, "{left}");
    assert!((left / posterior.variance - 1.0).abs() > 10.0 * tolerance);
}

/// The largest distance of a chain's moments from those of a process, over all steps.
fn distance(chain: &dyn NoisingChain, process: &dyn NoisingProcess) -> f64 {
    let kernels = chain.kernels();
    let n = chain.steps().len() as f64;
    let distance = |(i, kernel): (usize, &scorebook::diffusion::Kernel)| {
        let t = process.horizon() * i as f64 / n;
        let of_scale = (kernel.mean_scale - process.mean_scale(t)).abs();
        of_scale.max((kernel.std.powi(2) - process.std(t).powi(2)).abs())
    };
    kernels.iter().enumerate().map(distance).fold(0.0, f64::max)
}

/// Note 000 (line 229): the chain tends to the process like `1/N` with `c_i = c(t_i)/N`. As the note has it, with
/// `c_i = c(t_i)`, it tends to noise: the data are gone after a few steps however many there are.
#[test]
fn ddpm_tends_to_its_process_like_one_over_n() {
    let stationary = OrnsteinUhlenbeck::default();
    let processes: [Process; 4] = [
        VariancePreserving::default().into(),
        scorebook::diffusion::ScaledLinear::default().into(),
        Cosine::new(0.008, 0.9).unwrap().into(),
        stationary.into(),
    ];
    for process in processes {
        let of = |n: usize| (n as f64, distance(&DdpmChain::of(&process, n).unwrap(), &process));
        let errors = [200, 400, 800, 1600, 3200].map(of);
        let slope = log_slope(&errors);
        assert!((slope + 1.0).abs() < 0.1, "{process:?}: {errors:?}");
        assert!(distance(&DdpmChain::exact(&process, 20).unwrap(), &process) < 1e-12);
        let of_half = DdpmChain::of(&process, 200).unwrap().betas()[99];
        let t = 0.5 * process.horizon();
        assert!((of_half / (process.dispersion(t).powi(2) * t / 100.0) - 1.0).abs() < 1e-12);
    }
    // β at most ½, so that c_i = c(t_i) is a chain at all.
    let process = VariancePreserving::new(0.1, 0.5).unwrap();
    let without = |n: usize| {
        let betas: Vec<f64> = (1..=n).map(|i| process.beta(i as f64 / n as f64)).collect();
        distance(&DdpmChain::new(betas).unwrap(), &process)
    };
    for n in [200, 800, 3200] {
        assert!(distance(&DdpmChain::of(&process, n).unwrap(), &process) < 0.2 / n as f64);
        assert!(without(n) > 0.7, "{n}: {}", without(n));
    }
    let error = DdpmChain::new([VariancePreserving::default().beta(1.0)]).unwrap_err();
    let expected =
        "`betas` is 20; expected numbers above 0 and below 1 (in the limit of a rate c(t): c(t)/N)";
    assert_eq!(error.to_string(), expected);
}

/// SMLD's chain has the process's kernel at its times; between them, and in its noise a step, it tends to it like `1/N`.
#[test]
fn smld_tends_to_its_process_like_one_over_n() {
    let processes: [Process; 3] = [
        VarianceExploding::new(0.1, 5.0).unwrap().into(),
        scorebook::diffusion::Exponential::default().into(),
        Edm::new(3.0).unwrap().into(),
    ];
    for process in processes {
        let of = |n: usize| {
            let chain = SmldChain::of(&process, n).unwrap();
            let size = process.std(process.horizon()).powi(2);
            assert!(distance(&chain, &process) < 1e-11 * size, "{process:?}");
            let step = process.horizon() / n as f64;
            let error = |i: usize| {
                let g = process.dispersion(step * i as f64);
                (chain.steps()[i - 1].noise.powi(2) / step - g * g).abs()
            };
            (n as f64, (1..=n).map(error).fold(0.0, f64::max))
        };
        let errors = [200, 400, 800, 1600, 3200].map(of);
        let slope = log_slope(&errors);
        assert!((slope + 1.0).abs() < 0.05, "{process:?}: {errors:?}");
    }
    // From σ_0 = 0 the first step stays, and the limit has the variance σ²(t) that note 000 gives it.
    let process = VarianceExploding::new(0.3, 5.0).unwrap();
    for n in [200, 3200] {
        let chain = SmldChain::geometric(n, 0.3, 5.0).unwrap();
        let end = chain.kernels()[n].std.powi(2);
        assert!((end - 25.0).abs() < 1e-11 && (chain.steps()[0].noise - 0.3).abs() < 1e-15);
        assert!((end - process.std(1.0).powi(2) - 0.09).abs() < 1e-11);
    }
}

/// The process through a chain has its kernels at its times, solves the moment equations, and has the chain's limit.
#[test]
fn chains_in_continuous_time() {
    for chain in chains() {
        let process = chain.continuous(2.5).unwrap();
        let largest = chain.kernels().iter().map(|kernel| kernel.std.powi(2)).fold(1.0, f64::max);
        assert!(distance(&*chain, &process) < 1e-12 * largest, "{chain:?}");
        assert_eq!((process.mean_scale(0.0), process.std(0.0)), (1.0, 0.0));
        assert_eq!(process.prior_std(), process.std(2.5));
    }
    let chain = DdpmChain::scaled_linear(20, 1e-3, 0.6).unwrap();
    let process = chain.continuous(2.5).unwrap();
    let (by_rate, by_dispersion) = (process.clone(), process.clone());
    let rate = move |t| by_rate.rate(t);
    let affine = Affine::new(rate, move |t| by_dispersion.dispersion(t), 2.5).unwrap();
    for t in [0.01, 0.3, 1.07, 2.2, 2.5] {
        assert!((affine.mean_scale(t) / process.mean_scale(t) - 1.0).abs() < 1e-10, "{t}");
        assert!((affine.std(t) / process.std(t) - 1.0).abs() < 1e-10, "{t}");
        let level = process.noise_level(t);
        assert!((process.time_of_noise_level(level).unwrap() - t).abs() < 1e-12);
    }
    let limit = VariancePreserving::new(0.1, 20.0).unwrap();
    let of = |n: usize| {
        let chain = DdpmChain::linear(n, 0.1 / n as f64, 20.0 / n as f64).unwrap();
        let process = chain.continuous(1.0).unwrap();
        let error = |i| (process.std(i as f64 / 997.0) - limit.std(i as f64 / 997.0)).abs();
        (n as f64, (1..997).map(error).fold(0.0, f64::max))
    };
    let errors = [100, 200, 400, 800, 1600].map(of);
    assert!((log_slope(&errors) + 1.0).abs() < 0.1, "{errors:?}");
}

/// EDM writes iDDPM's noise levels as a recursion (Karras et al. 2022, table 1): with `C₁ = 0.001`, `C₂ = 0.008` and
/// `ᾱ_j = sin²(½π j/(M (C₂ + 1)))`, `u_M = 0` and `u_{j-1} = √((u_j² + 1)/max(ᾱ_{j-1}/ᾱ_j, C₁) - 1)`.
#[test]
fn cosine_chain_has_the_noise_levels_of_iddpm() {
    let m = 1000;
    let kernels = DdpmChain::cosine(m).unwrap().kernels();
    let alpha_bar = |j: usize| (FRAC_PI_2 * j as f64 / (m as f64 * 1.008)).sin().powi(2);
    let mut u = 0f64;
    for j in (1..=m).rev() {
        let ratio = (alpha_bar(j - 1) / alpha_bar(j)).max(0.001);
        u = ((u * u + 1.0) / ratio - 1.0).sqrt();
        let level = kernels[m - j + 1].noise_level();
        assert!((level / u - 1.0).abs() < 1e-8, "{j}: {level} for {u}");
    }
    let process = Cosine::default();
    for i in [1, 10, 500, 994] {
        assert!((kernels[i].std / process.std(i as f64 / 1000.0) - 1.0).abs() < 1e-10);
    }
}

#[test]
fn chains_that_cannot_be_are_errors() {
    let vp = VariancePreserving::default();
    let ve = VarianceExploding::default();
    let ddpm = |chain: scorebook::Result<DdpmChain>| chain.unwrap_err().to_string();
    let smld = |chain: scorebook::Result<SmldChain>| chain.unwrap_err().to_string();
    #[derive(Debug)]
    struct Own(Vec<Step>);
    impl NoisingChain for Own {
        fn steps(&self) -> &[Step] {
            &self.0
        }
    }
    let own =
        |scale, noise| Own(vec![Step { scale, noise }]).continuous(1.0).unwrap_err().to_string();
    for (error, expected) in [
        (ddpm(DdpmChain::new([])), "`betas` is empty; expected at least one number"),
        (ddpm(DdpmChain::new([0.1, 1.0])), "`betas` is 1; expected numbers above 0 and below 1"),
        (ddpm(DdpmChain::new([f64::NAN])), "`betas` is NaN"),
        (ddpm(DdpmChain::linear(0, 0.1, 0.2)), "`n` is 0; expected at least one step"),
        (ddpm(DdpmChain::scaled_linear(10, -0.1, 0.2)), "`betas` is NaN"),
        (ddpm(DdpmChain::cosine(0)), "`n` is 0"),
        (
            ddpm(DdpmChain::of(&vp, 10)),
            "`n` is 10; expected more steps: at t = 0.5 one has c_i = 1.00",
        ),
        (ddpm(DdpmChain::of(&ve, 1000)), "`process` is VarianceExploding"),
        (
            ddpm(DdpmChain::exact(&SubVariancePreserving::default(), 10)),
            "`process` is SubVariancePreserving",
        ),
        (smld(SmldChain::new([1.0])), "`sigmas` is [1.0]; expected at least two numbers"),
        (
            smld(SmldChain::new([1.0, 3.0, 2.0])),
            "`sigmas` is 2; expected a number above the one before it, which is 3",
        ),
        (
            smld(SmldChain::new([-1.0, 3.0])),
            "`sigmas` is -1; expected a first number of at least 0",
        ),
        (smld(SmldChain::geometric(10, 0.0, 1.0)), "`sigma_min` is 0"),
        (smld(SmldChain::geometric(10, 2.0, 1.0)), "`sigmas` is "),
        (smld(SmldChain::of(&vp, 10)), "`process` is VariancePreserving"),
        (smld(SmldChain::of(&ve, 0)), "`n` is 0"),
        (own(0.0, 1.0), "`scale` is 0"),
        (own(1.0, f64::NAN), "`noise` is NaN"),
        (Own(vec![]).continuous(1.0).unwrap_err().to_string(), "`steps` is empty"),
        (ddpm_in(-1.0), "`horizon` is -1; expected a positive time"),
        (karras_sigmas(1, 0.1, 1.0, 7.0).unwrap_err().to_string(), "`count` is 1"),
        (
            karras_sigmas(5, 1.0, 1.0, 7.0).unwrap_err().to_string(),
            "`sigma_max` is 1; expected a number above",
        ),
        (karras_sigmas(5, 0.1, 80.0, 1e-3).unwrap_err().to_string(), "`rho` is 0.001"),
    ] {
        assert!(error.starts_with(expected), "{error}");
    }
    let posterior = self::ddpm().posteriors()[3];
    let (x0, next) =
        (Tensor::zeros((2, 3), DType::F32, CPU), Tensor::zeros((3, 2), DType::F32, CPU));
    let error = posterior.mean(&x0.unwrap(), &next.unwrap()).unwrap_err().to_string();
    assert_eq!(error, "`next` has shape [3, 2]; expected that of `x0`, [2, 3]");
}

fn ddpm_in(horizon: f64) -> String {
    ddpm().continuous(horizon).unwrap_err().to_string()
}
