use crate::*;
use scorebook::{
    diffusion::{ForwardSde, NoisingProcess},
    metrics::{ks_one_sample, values},
    path::time_grid,
    random::Generator,
    sde::EulerMaruyama,
};

/// Draws of the kernel have the law `N(α x0, σ² I)`, each sample at its own time, and come with their noise.
#[test]
fn perturbed_data_have_the_kernels_law() {
    let n = 100_000;
    for process in processes() {
        let mut generator = Generator::new(30);
        let x0 = Tensor::full(1.5f32, (n, 1), CPU).unwrap();
        let t = generator.uniform(0.01, process.horizon(), n, CPU).unwrap();
        let (x, z) = process.perturb(&x0, &t, &mut generator).unwrap();
        let (x, times) = (values(&x).unwrap(), values(&t).unwrap());
        let standardise = |offset: f64| -> Vec<f64> {
            let one = |(x, t): (&f64, &f64)| {
                (x - 1.5 * process.mean_scale(*t)) / process.std(*t) + offset
            };
            x.iter().zip(&times).map(one).collect()
        };
        let standard = standardise(0.0);
        assert!(ks_one_sample(&standard, normal_cdf(0.0, 1.0)).unwrap().p_value > 1e-7);
        let wrong = standardise(0.03);
        assert!(ks_one_sample(&wrong, normal_cdf(0.0, 1.0)).unwrap().p_value < 1e-7);
        let worst = values(&z)
            .unwrap()
            .iter()
            .zip(&standard)
            .map(|(z, x)| (z - x).abs())
            .fold(0.0, f64::max);
        assert!(worst < 1e-3, "{process:?}: {worst}");
    }
}

/// Paths of the forward SDE arrive where the kernel says.
#[test]
fn paths_agree_with_the_kernel() {
    let (n, steps) = (50_000, 500);
    for process in processes() {
        let end = 0.5 * process.horizon();
        let x0 = Tensor::full(1.5f32, (n, 1), CPU).unwrap();
        let times = time_grid(0.0, end, steps).unwrap();
        let solver = EulerMaruyama::default();
        let solution =
            solver.solve(&ForwardSde(process), &x0, &times, &mut Generator::new(31)).unwrap();
        let x = values(&solution.x).unwrap();
        let (centre, std) = (1.5 * process.mean_scale(end), process.std(end));
        // The method's own error: at most 1 % with these steps.
        let error = (mean(&x) - centre).abs();
        assert!(error < 5.0 * std / (n as f64).sqrt() + 0.01 * centre, "{process:?}: {error}");
        let ratio = variance(&x) / std.powi(2);
        let tolerance = 5.0 * (2.0 / n as f64).sqrt() + 0.01;
        assert!((ratio - 1.0).abs() < tolerance, "{process:?}: {ratio}");
    }
}
