//! The library's mathematics against closed forms.
//!
//! Seeds are fixed, so a run repeats. Tolerances of random results are five standard errors, plus the
//! discretisation error where one is stated: a right implementation with another seed fails less than once in
//! a million. Beside a statistic stands a wrong formula that it must reject.

mod brownian_tree;
mod classifier;
mod devices;
mod diffusion;
mod distribution;
mod exact_scores;
mod fokker_planck;
mod fused;
mod image_metrics;
mod inverse;
mod likelihood;
mod markov;
mod metrics;
mod noising_chains;
mod parameterization;
mod path;
mod random;
mod reverse;
mod sample;
mod sampler_steps;
mod samplers;
mod schedules;
mod score;
mod score_matching;
mod sde;
mod stochastic_integral;
mod unet;
mod variational;
mod white_noise;

use scorebook::{
    diffusion::{
        OrnsteinUhlenbeck, Process, SubVariancePreserving, VarianceExploding, VariancePreserving,
    },
    distribution::Mixture,
    prelude::*,
};
use statrs::distribution::{ContinuousCDF, Normal};

const CPU: &Device = &Device::Cpu;

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn covariance(x: &[f64], y: &[f64]) -> f64 {
    let (of_x, of_y) = (mean(x), mean(y));
    x.iter().zip(y).map(|(x, y)| (x - of_x) * (y - of_y)).sum::<f64>() / x.len() as f64
}

fn variance(x: &[f64]) -> f64 {
    covariance(x, x)
}

/// The slope of the line through `(ln x, ln y)`, by least squares.
fn log_slope(points: &[(f64, f64)]) -> f64 {
    let (x, y): (Vec<f64>, Vec<f64>) = points.iter().map(|(x, y)| (x.ln(), y.ln())).unzip();
    covariance(&x, &y) / variance(&x)
}

fn normal_cdf(mean: f64, std: f64) -> impl Fn(f64) -> f64 {
    let law = Normal::new(mean, std).unwrap();
    move |x| law.cdf(x)
}

fn processes() -> [Process; 5] {
    [
        VarianceExploding::exponential(25.0).unwrap().into(),
        VarianceExploding::new(0.5, 8.0).unwrap().into(),
        VariancePreserving::default().into(),
        SubVariancePreserving::default().into(),
        OrnsteinUhlenbeck::new(1.0, 1.0, 1.0).unwrap().into(),
    ]
}

/// Three components so far apart that each sample's own is plain.
fn three() -> Mixture {
    let means = [[-3.0, 0.0], [2.0, 2.5], [2.0, -2.5]];
    Mixture::new([0.2, 0.5, 0.3], means, [0.3, 0.6, 0.45]).unwrap()
}
