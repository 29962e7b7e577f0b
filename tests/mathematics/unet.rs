//! The U-Net against PyTorch's, with the same weights (`tests/golden/unet.py`).

use scorebook::data;
use scorebook::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    times: Vec<f64>,
    /// Every seventh number of it.
    output: Vec<f64>,
    /// Of each gradient its norm and its products with three patterns.
    gradients: BTreeMap<String, [f64; 4]>,
    of_input: [f64; 4],
}

fn pattern(n: usize, k: f64) -> f64 {
    ((0.61 + 0.13 * k) * n as f64 + k).sin()
}

/// Norm and products agree to 10⁻⁴ of what they could be.
fn check(name: &str, gradient: &Tensor, expected: &[f64; 4]) {
    let values = metrics::values(gradient).unwrap();
    let norm = values.iter().map(|g| g * g).sum::<f64>().sqrt();
    assert!((norm / expected[0] - 1.0).abs() < 1e-4, "{name}: {norm}, not {}", expected[0]);
    for k in 1..4 {
        let product: f64 = values.iter().enumerate().map(|(n, g)| g * pattern(n, k as f64)).sum();
        let length = (values.len() as f64 / 2.0).sqrt();
        let error = (product - expected[k]).abs() / (expected[0] * length);
        assert!(error < 1e-4, "{name}, pattern {k}: {product}, not {}", expected[k]);
    }
}

#[test]
fn its_output_and_all_its_gradients_are_pytorchs() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/unet.json")).unwrap();
    let model = data::folder().join("weights/fashion-mnist.safetensors");
    let model = Model::load(model, &Device::Cpu).unwrap();
    let network = model.network();
    let batch = golden.times.len();
    let number = |n: usize| (1.2 * (0.37 * n as f64).sin() + 0.3 * (1.7 * n as f64).cos()) as f32;
    let x: Vec<f32> = (0..batch * 784).map(number).collect();
    let x = Tensor::from_vec(x, (batch, 1, 28, 28), &Device::Cpu).unwrap();
    let x = candle_core::Var::from_tensor(&x).unwrap();
    let times: Vec<f32> = golden.times.iter().map(|t| *t as f32).collect();
    let t = Tensor::new(times, &Device::Cpu).unwrap();
    let out = network.noise_output(&x, &t).unwrap();
    let found = metrics::values(&out).unwrap();
    let size = golden.output.iter().map(|y| y * y).sum::<f64>() / golden.output.len() as f64;
    for (found, expected) in found.iter().step_by(7).zip(&golden.output) {
        assert!((found - expected).abs() < 1e-4 * size.sqrt(), "{found}, not {expected}");
    }
    let patterns: Vec<f32> = (0..found.len()).map(|n| pattern(n, 1.0) as f32).collect();
    let patterns = Tensor::from_vec(patterns, out.shape(), &Device::Cpu).unwrap();
    let gradients = (out * patterns).unwrap().sum_all().unwrap().backward().unwrap();
    let names: Vec<&str> = network.parameters().iter().map(|(name, _)| name).collect();
    assert_eq!(names, golden.gradients.keys().collect::<Vec<_>>());
    for (name, variable) in network.parameters().iter() {
        check(name, gradients.get(variable).unwrap(), &golden.gradients[name]);
    }
    check("x", gradients.get(&x).unwrap(), &golden.of_input);
}
