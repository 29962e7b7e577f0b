//! Golden schedules of diffusers, improved-diffusion and score_sde (`tests/golden/schedules.py`).

use crate::*;
use scorebook::diffusion::{NoisingChain, karras_sigmas};
use serde_json::Value;

fn golden(path: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("../golden/schedules.json")).unwrap();
    all.pointer(path).unwrap_or_else(|| panic!("{path} is not in schedules.json")).clone()
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// That `value` is the golden one, to a share of it and an absolute error.
fn check(what: &str, value: f64, golden: f64, relative: f64, absolute: f64) {
    let error = (value - golden).abs();
    assert!(error <= relative * golden.abs() + absolute, "{what}: {value} for {golden}");
}

/// diffusers computes in f32: products of a thousand numbers, and `1 - ᾱ_i/ᾱ_{i-1}` for `β_i`, which leaves an
/// absolute error of a few 6e-8.
#[test]
fn ddpm_chains_of_diffusers() {
    for (name, chain) in [
        ("linear", DdpmChain::linear(1000, 1e-4, 0.02)),
        ("scaled_linear", DdpmChain::scaled_linear(1000, 0.00085, 0.012)),
        ("squaredcos_cap_v2", DdpmChain::cosine(1000)),
    ] {
        let chain = chain.unwrap();
        let golden = golden(&format!("/diffusers/{name}"));
        let (alpha_bars, posteriors) = (chain.alpha_bars(), chain.posteriors());
        for (row, i) in numbers(&golden["steps"]).into_iter().map(|i| i as usize).enumerate() {
            let of = |what: &str| golden[what][row].as_f64().unwrap();
            let at = |what: &str| format!("{name}, {what} at {i}");
            check(&at("β"), chain.betas()[i - 1], of("beta"), 3e-7, 0.0);
            check(&at("ᾱ"), alpha_bars[i], of("alpha_bar"), 2e-5, 0.0);
            let large = posteriors[i - 1].large_variance;
            check(&at("β by ᾱ"), large, of("large_variance"), 1e-6, 2e-7);
            check(&at("β̃"), posteriors[i - 1].variance, of("posterior_variance"), 1e-6, 2e-7);
        }
    }
}

#[test]
fn chains_of_improved_diffusion() {
    for (name, chain) in
        [("linear", DdpmChain::linear(1000, 1e-4, 0.02)), ("cosine", DdpmChain::cosine(1000))]
    {
        let chain = chain.unwrap();
        let golden = golden(&format!("/improved_diffusion/{name}"));
        let (kernels, posteriors) = (chain.kernels(), chain.posteriors());
        for (row, i) in numbers(&golden["steps"]).into_iter().map(|i| i as usize).enumerate() {
            let of = |what: &str| golden[what][row].as_f64().unwrap();
            let at = |what: &str| format!("{name}, {what} at {i}");
            let posterior = posteriors[i - 1];
            // Theirs takes β of the cosine and 1 - ᾱ as differences of numbers near 1.
            check(&at("β"), chain.betas()[i - 1], of("beta"), 1e-11, 0.0);
            check(&at("ᾱ"), kernels[i].mean_scale.powi(2), of("alpha_bar"), 1e-11, 0.0);
            check(&at("β̃"), posterior.variance, of("posterior_variance"), 1e-10, 0.0);
            check(&at("x₀'s share"), posterior.from_x0, of("posterior_mean_coef1"), 1e-10, 0.0);
            check(&at("x's share"), posterior.from_next, of("posterior_mean_coef2"), 1e-10, 0.0);
        }
    }
}

#[test]
fn noise_levels_of_diffusers() {
    let euler = golden("/diffusers/euler_karras_20");
    let number = |what: &str| euler[what].as_f64().unwrap();
    let kernels = DdpmChain::scaled_linear(1000, 0.00085, 0.012).unwrap().kernels();
    // The levels of the training steps, from a 1 - ᾱ in f32.
    for (i, level) in [1, 2, 3, 10, 100, 250, 500, 750, 900, 990, 998, 999, 1000]
        .into_iter()
        .zip(numbers(&euler["training"]))
    {
        check(&format!("level {i}"), kernels[i].noise_level(), level, 2e-5, 0.0);
    }
    for (path, count, sigma_min, sigma_max, rho) in [
        ("/diffusers/edm_euler_18", 18, 0.002, 80.0, 7.0),
        ("/diffusers/edm_multistep_25", 25, 0.01, 50.0, 5.0),
        ("/diffusers/euler_karras_20/sigmas", 20, number("sigma_min"), number("sigma_max"), 7.0),
    ] {
        let levels = numbers(&golden(path));
        let ours = karras_sigmas(count, sigma_min, sigma_max, rho).unwrap();
        assert_eq!(ours.len(), levels.len());
        for (ours, level) in ours.into_iter().zip(levels) {
            check(path, ours, level, 1e-6, 0.0);
        }
    }
}

/// score_sde's `sde`, `marginal_prob` and `discretize`, in f64.
#[test]
fn processes_and_chains_of_score_sde() {
    let vp = VariancePreserving::new(0.1, 20.0).unwrap();
    let sub = SubVariancePreserving::new(0.1, 20.0).unwrap();
    let ve = VarianceExploding::new(0.01, 50.0).unwrap();
    let ddpm = DdpmChain::linear(1000, 0.1 / 1000.0, 20.0 / 1000.0).unwrap();
    let smld = SmldChain::geometric(1000, 0.01, 50.0).unwrap();
    let processes: [(&str, &dyn NoisingProcess); 2] = [("vpsde", &vp), ("subvpsde", &sub)];
    for (name, process) in processes {
        for row in golden(&format!("/score_sde/{name}")).as_array().unwrap() {
            let of = |what: &str| row[what].as_f64().unwrap();
            let t = of("t");
            let at = |what: &str| format!("{name}, {what} at {t}");
            check(&at("drift"), process.rate(t), of("drift"), 1e-13, 0.0);
            check(&at("mean"), process.mean_scale(t), of("mean"), 1e-13, 0.0);
            // Theirs are roots of differences of numbers near 1.
            check(&at("diffusion"), process.dispersion(t), of("diffusion"), 1e-9, 1e-12);
            check(&at("std"), process.std(t), of("std"), 1e-9, 1e-12);
        }
    }
    for row in golden("/score_sde/vpsde").as_array().unwrap() {
        let of = |what: &str| row[what].as_f64().unwrap();
        let step = ddpm.steps()[of("step") as usize];
        check("f", step.scale - 1.0, of("f"), 1e-11, 0.0);
        check("G", step.noise, of("G"), 1e-13, 0.0);
    }
    for row in golden("/score_sde/vesde").as_array().unwrap() {
        let of = |what: &str| row[what].as_f64().unwrap();
        let t = of("t");
        check(&format!("VE, diffusion at {t}"), ve.dispersion(t), of("diffusion"), 1e-13, 0.0);
        // Its marginal_prob adds the σ_min² with which its chain begins.
        check(&format!("VE, std at {t}"), ve.std(t).hypot(0.01), of("std"), 1e-13, 0.0);
        check("G", smld.steps()[of("step") as usize].noise, of("G"), 1e-11, 0.0);
    }
}
