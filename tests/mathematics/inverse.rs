//! Posteriors of linear measurements against closed forms, and what each method makes of them.
//!
//! `tests/golden/inverse.py` made `tests/golden/inverse.json`.

use super::*;
use scorebook::{
    metrics::values,
    sample::{AncestralVariance, Sampler},
    score::UnetSettings,
};
use serde::Deserialize;

fn matrix(rows: &[&[f64]]) -> Tensor {
    let flat: Vec<f64> = rows.concat();
    Tensor::from_vec(flat, (rows.len(), rows[0].len()), CPU).unwrap()
}

fn row(values: &[f64]) -> Tensor {
    Tensor::from_slice(values, (1, values.len()), CPU).unwrap()
}

/// Some coordinates, measured as they are.
fn mask(values: &[f64]) -> Mask {
    Mask::new(&Tensor::new(values, CPU).unwrap()).unwrap()
}

fn normal(shape: &[usize], seed: u64) -> Tensor {
    Generator::new(seed).normal(shape, CPU).unwrap().to_dtype(DType::F64).unwrap()
}

fn largest(x: &[f64], y: &[f64]) -> f64 {
    assert_eq!(x.len(), y.len());
    x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

fn gap(x: &Tensor, y: &Tensor) -> f64 {
    largest(&values(x).unwrap(), &values(y).unwrap())
}

fn all_times(t: f64, batch: usize) -> Tensor {
    Tensor::full(t, batch, CPU).unwrap()
}

const VP: fn() -> VariancePreserving = VariancePreserving::default;

/// A Gaussian of three coordinates that hang together.
fn gaussian() -> Gaussian {
    let covariance = [[1.0, 0.6, -0.3], [0.6, 0.8, 0.2], [-0.3, 0.2, 0.7]];
    Gaussian::full([0.4, -0.2, 0.1], &covariance).unwrap()
}

/// `(μ, Σ)` given `aᵀ x + σ_y n = y`, by the formula of one measurement.
fn kalman(law: &Gaussian, a: &[f64], y: f64, std: f64) -> (Vec<f64>, Vec<f64>) {
    let (dim, covariance) = (a.len(), law.covariance());
    let gain: Vec<f64> =
        (0..dim).map(|i| (0..dim).map(|j| covariance[i * dim + j] * a[j]).sum()).collect();
    let total: f64 = gain.iter().zip(a).map(|(g, a)| g * a).sum::<f64>() + std * std;
    let missing = y - law.mean().iter().zip(a).map(|(m, a)| m * a).sum::<f64>();
    let mean = law.mean().iter().zip(&gain).map(|(m, g)| m + g * missing / total).collect();
    let rest =
        (0..dim * dim).map(|at| covariance[at] - gain[at / dim] * gain[at % dim] / total).collect();
    (mean, rest)
}

/// The mean and the covariance, row after row, of samples `[n, dim]`.
fn moments(x: &Tensor) -> (Vec<f64>, Vec<f64>) {
    let dim = x.dims()[1];
    let columns: Vec<Vec<f64>> =
        (0..dim).map(|i| values(&x.narrow(1, i, 1).unwrap()).unwrap()).collect();
    let means = columns.iter().map(|column| mean(column)).collect();
    let entry = |at: usize| covariance(&columns[at / dim], &columns[at % dim]);
    (means, (0..dim * dim).map(entry).collect())
}

#[test]
fn posterior_of_a_gaussian() {
    let a = [0.5, -1.0, 2.0];
    for std in [0.0, 0.3, 100.0] {
        let projection = Projection::new(&matrix(&[&a]), &[3]).unwrap();
        let measurement = Measurement::new(projection, &row(&[0.8]), std).unwrap();
        let posterior = ExactPosterior::of_gaussian(&gaussian(), &measurement, VP()).unwrap();
        let (mean, covariance) = kalman(&gaussian(), &a, 0.8, std);
        assert!(largest(&posterior.mean(), &mean) < 1e-12);
        assert!(largest(&posterior.covariance(), &covariance) < 1e-12);
        if std > 0.0 {
            let rows: Vec<&[f64]> = covariance.chunks(3).collect();
            let law = GaussianScore::new(Gaussian::full(mean, &rows).unwrap(), VP());
            let x = normal(&[5, 3], 1);
            for t in [0.0, 0.2, 0.9] {
                let t = all_times(t, 5);
                let (ours, other) = (posterior.score(&x, &t), law.score(&x, &t));
                assert!(gap(&ours.unwrap(), &other.unwrap()) < 1e-8);
                let (ours, other) = (posterior.log_prob(&x, &t), law.log_prob(&x, &t));
                assert!(gap(&ours.unwrap(), &other.unwrap()) < 1e-9);
            }
        } else {
            let error = posterior.score(&row(&[0.0; 3]), &all_times(0.0, 1)).unwrap_err();
            assert!(error.to_string().starts_with("`t` is 0; expected a positive time"), "{error}");
        }
    }
}

/// By the sum over a fine grid, to rounding: the trapezoidal rule on a smooth density.
#[test]
fn posterior_of_a_mixture_by_quadrature() {
    let prior = Mixture::new([0.3, 0.7], [[-1.0], [1.2]], [0.5, 0.4]).unwrap();
    let (slope, y, std) = (2.0, 0.4, 0.9);
    let twice = Projection::new(&matrix(&[&[slope]]), &[1]).unwrap();
    let measurement = Measurement::new(twice, &row(&[y]), std).unwrap();
    let posterior = ExactPosterior::of_mixture(&prior, &measurement, VP()).unwrap();
    let grid = Tensor::arange(-8000f64, 8000.0, CPU).unwrap().affine(1e-3, 0.0).unwrap();
    let prior = values(&prior.log_prob(&grid.unsqueeze(1).unwrap()).unwrap()).unwrap();
    let x = values(&grid).unwrap();
    let p: Vec<f64> = x
        .iter()
        .zip(&prior)
        .map(|(x, log)| (log - 0.5 * ((y - slope * x) / std).powi(2)).exp())
        .collect();
    let total: f64 = p.iter().sum();
    let mean: f64 = x.iter().zip(&p).map(|(x, p)| x * p / total).sum();
    let variance: f64 = x.iter().zip(&p).map(|(x, p)| (x - mean).powi(2) * p / total).sum();
    assert!(largest(&posterior.mean(), &[mean]) < 1e-10);
    assert!(largest(&posterior.covariance(), &[variance]) < 1e-10);
    let log_prob = posterior.log_prob(&grid.unsqueeze(1).unwrap(), &all_times(0.0, 16_000));
    let log_prob = values(&log_prob.unwrap()).unwrap();
    let at = 8300;
    assert!((log_prob[at] - (p[at] / total / 1e-3).ln()).abs() < 1e-9);
    // Draws have its law: five standard errors of 40,000.
    let draws = posterior.sample(40_000, &mut Generator::new(2), CPU).unwrap();
    let (found, spread) = moments(&draws);
    assert!((found[0] - mean).abs() < 5.0 * (variance / 40_000.0).sqrt());
    assert!((spread[0] / variance - 1.0).abs() < 5.0 * (2.0 / 40_000f64).sqrt());
}

fn plane() -> Mixture {
    let means = [[-1.0, 1.0], [1.0, 0.6], [0.6, -1.2]];
    Mixture::new([0.3, 0.4, 0.3], means, [0.5, 0.35, 0.6]).unwrap()
}

/// Prior and likelihood add up to the posterior: two derivations of it, at all times, for any process and operator.
#[test]
fn scores_add_up() {
    let x = normal(&[6, 2], 3);
    let operators: [(fn() -> Projection, Tensor); 3] = [
        (|| Projection::new(&matrix(&[&[1.0, 0.0]]), &[2]).unwrap(), row(&[0.7])),
        (|| Projection::new(&matrix(&[&[0.4, -1.5]]), &[2]).unwrap(), row(&[-0.3])),
        (
            || Projection::new(&matrix(&[&[1.0, 2.0], &[0.3, 0.1], &[0.0, 1.0]]), &[2]).unwrap(),
            row(&[0.7, 0.1, 0.2]),
        ),
    ];
    for process in processes() {
        for (operator, y) in &operators {
            for std in [0.4, 2.0] {
                let measurement = Measurement::new(operator(), y, std).unwrap();
                let posterior =
                    ExactPosterior::of_mixture(&plane(), &measurement, process).unwrap();
                let prior = MixtureScore::new(plane(), process);
                let guidance = ExactLikelihood::new(plane());
                let sum = PosteriorScore::new(prior, process, measurement, guidance);
                for share in [0.01, 0.3, 0.7, 1.0] {
                    let t = all_times(share * process.horizon(), 6);
                    let expected = posterior.score(&x, &t).unwrap();
                    let size =
                        1.0 + values(&expected.abs().unwrap().max_all().unwrap()).unwrap()[0];
                    let error = gap(&sum.score(&x, &t).unwrap(), &expected) / size;
                    assert!(error < 1e-8, "{process:?}, {share}: {error}");
                }
                // One time a sample.
                let t: Vec<f64> = (1..=6).map(|i| i as f64 / 7.0 * process.horizon()).collect();
                let t = Tensor::new(t, CPU).unwrap();
                let expected = posterior.score(&x, &t).unwrap();
                let size = 1.0 + values(&expected.abs().unwrap().max_all().unwrap()).unwrap()[0];
                assert!(gap(&sum.score(&x, &t).unwrap(), &expected) / size < 1e-8);
            }
        }
    }
}

fn likelihood(
    guidance: &dyn Guidance,
    law: &Mixture,
    measurement: &Measurement,
    x: &Tensor,
    t: f64,
) -> Tensor {
    let state = Denoised::at(&VP(), &MixtureScore::new(law.clone(), VP()), x, t).unwrap();
    guidance.likelihood_score(&state, measurement).unwrap()
}

/// Where the assumption of a guidance holds, it is exact: ΠGDM for data `N(μ, s² I)`, the Jacobian-free one for data that
/// may be anywhere, DPS where there is next to no noise.
#[test]
fn guidances_where_they_are_exact() {
    let x = normal(&[5, 3], 4);
    let projection =
        || Projection::new(&matrix(&[&[1.0, 0.5, -0.2], &[0.0, 1.0, 0.7]]), &[3]).unwrap();
    let measurement = Measurement::new(projection(), &row(&[0.5, -0.3]), 0.3).unwrap();
    let one = |std| Mixture::new([1.0], [[0.2, -0.4, 0.1]], [std]).unwrap();
    for t in [0.05, 0.5, 0.95] {
        let law = one(0.6);
        let exact = likelihood(&ExactLikelihood::new(law.clone()), &law, &measurement, &x, t);
        let guided = likelihood(&PiGdm { data_std: 0.6 }, &law, &measurement, &x, t);
        assert!(gap(&guided, &exact) < 1e-9);
        // Not so with another variance, nor if the noise of the measurement is forgotten.
        let size = values(&exact.abs().unwrap().max_all().unwrap()).unwrap()[0];
        let other = likelihood(&PiGdm::default(), &law, &measurement, &x, t);
        assert!(gap(&other, &exact) > 1e-2 * size);
        let silent = Measurement::new(projection(), &row(&[0.5, -0.3]), 0.0).unwrap();
        let other = likelihood(&PiGdm { data_std: 0.6 }, &law, &silent, &x, t);
        assert!(gap(&other, &exact) > 1e-2 * size);
    }
    let (law, t) = (one(0.6), 1e-5);
    let exact = likelihood(&ExactLikelihood::new(law.clone()), &law, &measurement, &x, t);
    assert!(gap(&likelihood(&Dps, &law, &measurement, &x, t), &exact) < 1e-3);
    // With A Aᵀ = I.
    let (first, law) = (mask(&[1.0, 0.0, 1.0]), one(1e5));
    let measurement = Measurement::new(first, &row(&[0.5, 0.0, -0.3]), 0.3).unwrap();
    let exact = likelihood(&ExactLikelihood::new(law.clone()), &law, &measurement, &x, 0.3);
    assert!(gap(&likelihood(&JacobianFree, &law, &measurement, &x, 0.3), &exact) < 1e-6);
}

/// DPS is a gradient, of linear and of clipped measurements: central differences of the misfit.
#[test]
fn dps_is_the_gradient_of_the_misfit() {
    let law = plane();
    let clipped = Clip { low: -0.5, high: 0.4 };
    let cases = [
        Measurement::new(mask(&[0.0, 1.0]), &row(&[0.0, 0.3]), 0.5).unwrap(),
        Measurement::new(clipped, &row(&[0.4, -0.1]), 0.5).unwrap(),
    ];
    let score = MixtureScore::new(law.clone(), VP());
    let (x, t, h) = (normal(&[4, 2], 5), 0.4, 1e-5);
    for measurement in cases {
        let log_prob = |x: &Tensor| {
            let mean = tweedie(&VP(), &score, x, t).unwrap();
            let misfit = measurement.residual(&mean).unwrap().sqr().unwrap().sum(1).unwrap();
            (misfit * (-0.5 / 0.25)).unwrap()
        };
        let found = likelihood(&Dps, &law, &measurement, &x, t);
        for i in 0..2 {
            let mut unit = vec![0.0; 2];
            unit[i] = h;
            let shift = row(&unit).broadcast_as((4, 2)).unwrap();
            let above = log_prob(&(&x + &shift).unwrap());
            let below = log_prob(&(&x - &shift).unwrap());
            let slope = ((above - below).unwrap() / (2.0 * h)).unwrap();
            let error = gap(&found.narrow(1, i, 1).unwrap().squeeze(1).unwrap(), &slope);
            assert!(error < 1e-6, "{}: {error}", measurement.operator().name());
        }
    }
}

#[derive(Deserialize)]
struct Golden {
    times: Vec<f64>,
    dps: Vec<Vec<Vec<f64>>>,
    pi_gdm: Vec<Vec<Vec<f64>>>,
    dps_step: Step,
    diff_pir_step: DiffPirStep,
    ddrm_step: DdrmStep,
}

#[derive(Deserialize)]
struct Step {
    from: f64,
    to: f64,
    zeta: f64,
    x: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct DdrmStep {
    to: f64,
    eta: f64,
    eta_b: f64,
    x: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct DiffPirStep {
    to: f64,
    weight: f64,
    fresh: f64,
    x: Vec<Vec<f64>>,
}

/// PyTorch's numbers.
#[test]
fn other_implementations() {
    let golden: Golden = serde_json::from_str(include_str!("../golden/inverse.json")).unwrap();
    let means = [[-1.0, 0.5, 0.0, 1.0], [1.0, 1.5, -0.5, 0.0], [0.3, -1.0, 0.7, -0.8]];
    let law = Mixture::new([0.2, 0.5, 0.3], means, [0.3, 0.6, 0.45]).unwrap();
    let projection = matrix(&[&[1.0, 0.5, 0.0, -0.3], &[0.2, 0.0, -1.0, 0.8]]);
    let projection = Projection::new(&projection, &[4]).unwrap();
    let measurement = Measurement::new(projection, &row(&[0.7, -0.4]), 0.2).unwrap();
    let x = matrix(&[&[0.3, -0.2, 1.1, 0.4], &[-1.2, 0.6, 0.1, -0.9], &[0.0, 2.0, -0.7, 0.5]]);
    for (i, t) in golden.times.iter().enumerate() {
        let ours = values(&likelihood(&Dps, &law, &measurement, &x, *t)).unwrap();
        assert!(largest(&ours, &golden.dps[i].concat()) < 1e-9, "DPS at {t}");
        let ours = values(&likelihood(&PiGdm::default(), &law, &measurement, &x, *t)).unwrap();
        assert!(largest(&ours, &golden.pi_gdm[i].concat()) < 1e-9, "ΠGDM at {t}");
    }
    let Step { from, to, zeta, x: expected } = golden.dps_step;
    assert_eq!(from, VP().horizon());
    let sampler = DpsSampler {
        step: zeta,
        steps: 1,
        t_min: to,
        record: Some(1),
        progress: false,
        ..DpsSampler::new(measurement.clone())
    };
    let score = MixtureScore::new(law, VP());
    let sample = sampler.sample_from(&VP(), &score, &x, &mut Generator::new(6)).unwrap();
    assert_eq!(sample.times, [from, to, 0.0]);
    let ours = &sample.trajectory.unwrap()[1];
    // The same step with the noise of the other implementation.
    let z = matrix(&[&[0.5, -1.0, 0.2, 0.0], &[1.5, 0.3, -0.6, -0.2], &[-0.4, 0.8, 0.9, -1.1]]);
    let drawn = Generator::new(6).normal_like(&x).unwrap();
    let r = VP().mean_scale(from) / VP().mean_scale(to);
    let v = VP().std(from).powi(2) - (r * VP().std(to)).powi(2);
    let std = v.sqrt() * VP().std(to) / VP().std(from);
    let other = |std: f64| ((&z - &drawn).unwrap() * std).unwrap();
    let ours = (ours + other(std)).unwrap();
    assert!(largest(&values(&ours).unwrap(), &expected.concat()) < 1e-9);

    let DiffPirStep { to, weight, fresh, x: expected } = golden.diff_pir_step;
    let (steps, t_min, record, progress) = (1, to, Some(1), false);
    let new = DiffPir::new(measurement);
    let sampler = DiffPir { weight, fresh, steps, t_min, record, progress, ..new };
    let sample = sampler.sample_from(&VP(), &score, &x, &mut Generator::new(6)).unwrap();
    let ours = &sample.trajectory.unwrap()[1];
    let ours = (ours + other(fresh.sqrt() * VP().std(to))).unwrap();
    assert!(largest(&values(&ours).unwrap(), &expected.concat()) < 1e-9);

    let DdrmStep { to, eta, eta_b, x: expected } = golden.ddrm_step;
    let uneven = matrix(&[&[1.0, 0.5, 0.0, -0.3], &[0.1, 0.0, -0.3, 0.2]]);
    let uneven = Projection::new(&uneven, &[4]).unwrap();
    let measurement = Measurement::new(uneven.clone(), &row(&[0.7, -0.4]), 0.2).unwrap();
    let (steps, t_min) = (1, to);
    let new = Ddrm::new(measurement);
    let sampler = Ddrm { eta, eta_measured: eta_b, steps, t_min, record, progress, ..new };
    let sample = sampler.sample_from(&VP(), &score, &x, &mut Generator::new(6)).unwrap();
    let level = VP().noise_level(to);
    let std = |e: f64| match 0.2 / e.sqrt() {
        noise if e > 0.0 && noise <= level => (level * level - (eta_b * noise).powi(2)).sqrt(),
        _ => eta * level,
    };
    let other = uneven.spectral(&other(VP().mean_scale(to)), &std).unwrap();
    let ours = (&sample.trajectory.unwrap()[1] + other).unwrap();
    assert!(largest(&values(&ours).unwrap(), &expected.concat()) < 1e-9);
}

/// The Gaussian that the flow's samples of a linear score have, without drawing one: the flow is affine, so the images of
/// `0` and of the unit vectors say all. The noise at the horizon is standard normal.
fn law_of_flow(score: &dyn Score, dim: usize) -> (Vec<f64>, Vec<f64>) {
    let origin = Tensor::zeros((1, dim), DType::F64, CPU).unwrap();
    let unit = Tensor::eye(dim, DType::F64, CPU).unwrap();
    let points = Tensor::cat(&[origin, unit], 0).unwrap();
    let spacing = Spacing::Karras { rho: 7.0 };
    let sampler = ProbabilityFlow { steps: 60, spacing, progress: false, ..Default::default() };
    let images = sampler.decode(&VP(), score, &points).unwrap().x.to_vec2::<f64>().unwrap();
    let mean = images[0].clone();
    let entry = |at: usize| -> f64 {
        let of = |k: usize, i: usize| images[k + 1][i] - mean[i];
        (0..dim).map(|k| of(k, at / dim) * of(k, at % dim)).sum()
    };
    ((mean.clone()), (0..dim * dim).map(entry).collect())
}

/// The greatest error of means and covariances, in units of the prior's standard deviations.
fn error((mean, covariance): &(Vec<f64>, Vec<f64>), expected: &(Vec<f64>, Vec<f64>)) -> f64 {
    largest(mean, &expected.0).max(largest(covariance, &expected.1))
}

/// On a Gaussian with full covariance: the exact score reaches mean and covariance to 2 % (of data of variance about 1)
/// without a random number; the approximate ones have the biases that their assumptions give them.
#[test]
fn exact_guidance_reaches_the_posterior_of_a_gaussian() {
    let a = [1.0, 0.4, -0.6];
    let projection = || Projection::new(&matrix(&[&a]), &[3]).unwrap();
    for std in [0.1, 0.5] {
        let measurement = Measurement::new(projection(), &row(&[1.2]), std).unwrap();
        let posterior = ExactPosterior::of_gaussian(&gaussian(), &measurement, VP()).unwrap();
        let expected = (posterior.mean(), posterior.covariance());
        let exact = error(&law_of_flow(&posterior, 3), &expected);
        assert!(exact < 0.02, "{exact}");
        let by = |guidance: Box<dyn Guidance>| {
            let prior = GaussianScore::new(gaussian(), VP());
            let guidance = Boxed(guidance);
            let score = PosteriorScore::new(prior, VP(), measurement.clone(), guidance);
            error(&law_of_flow(&score, 3), &expected)
        };
        let pi_gdm = by(Box::<PiGdm>::default());
        let jacobian_free = by(Box::new(JacobianFree));
        println!(
            "σ_y = {std}: exact {exact:.4}, ΠGDM {pi_gdm:.3}, Jacobian-free {jacobian_free:.3}"
        );
        assert!(pi_gdm > 5.0 * exact && jacobian_free > 5.0 * exact);
        // Twice the likelihood, or none: what a lost ½ or a lost term would do.
        for factor in [0.0, 0.5, 2.0] {
            let (posterior, prior) = (posterior.clone(), GaussianScore::new(gaussian(), VP()));
            let wrong = ScoreFunction::new(move |x, t| {
                let prior = prior.score(x, t)?;
                let likelihood = (posterior.score(x, t)? - &prior)?;
                Ok((prior + (likelihood * factor)?)?)
            });
            assert!(error(&law_of_flow(&wrong, 3), &expected) > 0.02, "{factor}");
        }
    }
}

/// A guidance in a box is one.
#[derive(Debug)]
struct Boxed(Box<dyn Guidance>);

impl Guidance for Boxed {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn likelihood_score(
        &self,
        state: &Denoised,
        measurement: &Measurement,
    ) -> scorebook::Result<Tensor> {
        self.0.likelihood_score(state, measurement)
    }
}

/// On a mixture, with 8000 samples: mean and covariance of the exact guidance to 2 % and five standard errors, those of
/// the particles to what resampled ones can tell; the others as biased as they are known to be.
#[test]
fn methods_on_a_mixture() {
    let (law, n) = (plane(), 8000);
    let measurement = Measurement::new(mask(&[1.0, 0.0]), &row(&[0.5, 0.0]), 0.3).unwrap();
    let posterior = ExactPosterior::of_mixture(&law, &measurement, VP()).unwrap();
    let expected = (posterior.mean(), posterior.covariance());
    let prior = MixtureScore::new(law.clone(), VP());
    let truth = posterior.sample(n, &mut Generator::new(7), CPU).unwrap();
    let spacing = Spacing::Karras { rho: 7.0 };
    let off = |name: &str, sampler: &dyn Sampler, score: &dyn Score| -> f64 {
        let x = sampler.sample(&VP(), score, &[n, 2], &mut Generator::new(8), CPU).unwrap().x;
        let found = moments(&x);
        let error = error(&found, &expected);
        let distance =
            scorebook::metrics::sliced_wasserstein(&x, &truth, 50, &mut Generator::new(9));
        println!("{name}: error {error:.3}, sliced Wasserstein {:.3}", distance.unwrap());
        error
    };
    let flow = ProbabilityFlow { steps: 20, spacing, progress: false, ..Default::default() };
    let ancestral = Ancestral {
        steps: 100,
        spacing,
        variance: AncestralVariance::Posterior,
        progress: false,
        ..Default::default()
    };
    let guided = |guidance: Box<dyn Guidance>| {
        PosteriorScore::new(prior.clone(), VP(), measurement.clone(), Boxed(guidance))
    };
    // Means and covariances of variables with fourth moments of at most 5 here.
    let statistics = 5.0 * (5.0 / n as f64).sqrt();
    let exact = off("exact", &flow, &guided(Box::new(ExactLikelihood::new(law.clone()))));
    assert!(exact < 0.02 + statistics * 0.5, "{exact}");
    let twice = {
        let (posterior, prior) = (posterior.clone(), prior.clone());
        ScoreFunction::new(move |x, t| Ok(((posterior.score(x, t)? * 2.0)? - prior.score(x, t)?)?))
    };
    assert!(off("twice the likelihood", &flow, &twice) > 0.02 + statistics * 0.5);
    let pi_gdm = off("ΠGDM", &flow, &guided(Box::<PiGdm>::default()));
    off("Jacobian-free", &flow, &guided(Box::new(JacobianFree)));
    off("DPS", &ancestral, &guided(Box::new(Dps)));
    off("DDRM", &Ddrm { progress: false, spacing, ..Ddrm::new(measurement.clone()) }, &prior);
    let particles = TwistedParticles {
        steps: 100,
        spacing,
        progress: false,
        ..TwistedParticles::new(measurement.clone())
    };
    let particles = off("twisted particles", &particles, &prior);
    assert!(particles < 0.02 + statistics && pi_gdm > 0.03, "{particles}, {pi_gdm}");
}

/// DDRM on coordinates that know nothing of each other, with singular values 2, 0.1 and none: its law by the recursion of
/// mean and variance of each, five standard errors of 20,000; and that of infinitely many steps, where nothing is measured.
#[test]
fn ddrm_on_single_coordinates() {
    let (means, variances) = ([0.5, -1.0, 0.8], [1.0, 0.49, 0.25]);
    let rows = [[1.0, 0.0, 0.0], [0.0, 0.49, 0.0], [0.0, 0.0, 0.25]];
    let prior = GaussianScore::new(Gaussian::full(means, &rows).unwrap(), VP());
    let uneven = Projection::new(&matrix(&[&[2.0, 0.0, 0.0], &[0.0, 0.1, 0.0]]), &[3]).unwrap();
    let (y, std, n) = ([1.6, -0.05], 0.2, 20_000);
    let measurement = Measurement::new(uneven, &row(&y), std).unwrap();
    let (steps, spacing, t_min, progress) = (20, Spacing::Karras { rho: 7.0 }, 1e-3, false);
    let mut times = spacing.times(&VP(), t_min, steps).unwrap();
    times.push(0.0);
    let levels: Vec<f64> = times.iter().map(|t| VP().noise_level(*t)).collect();
    let law = |i: usize, eta: f64, trust: f64, levels: &[f64]| -> (f64, f64) {
        let (m, v) = (means[i], variances[i]);
        let known = [(y[0] / 2.0, std / 2.0), (y[1] / 0.1, std / 0.1)].get(i).copied();
        // The state at the horizon is σ_T times a standard normal, over α_T.
        let mut mean = known.map_or(0.0, |(bar_y, _)| bar_y);
        let mut variance = levels[0].powi(2) - known.map_or(0.0, |(_, tau)| tau * tau);
        variance *= VP().std(1.0).powi(-2);
        for pair in levels.windows(2) {
            let (old, new) = (pair[0], pair[1]);
            // x̂0 = gain x̄ + rest, and the step is that of x̂0, the state and fresh noise.
            let gain = v / (v + old * old);
            let kept = (1.0 - eta * eta).sqrt() * new;
            let (guess, state, shift, fresh) = match known {
                None => (1.0 - kept / old, kept / old, 0.0, eta * new),
                Some((bar_y, tau)) if new < tau => {
                    (1.0 - kept / tau, 0.0, kept / tau * bar_y, eta * new)
                }
                Some((bar_y, tau)) => {
                    let fresh = (new * new - (trust * tau).powi(2)).sqrt();
                    (1.0 - trust, 0.0, trust * bar_y, fresh)
                }
            };
            mean = (guess * gain + state) * mean + guess * (1.0 - gain) * m + shift;
            variance = (guess * gain + state).powi(2) * variance + fresh * fresh;
        }
        (mean, variance)
    };
    for (eta, eta_measured) in [(0.85, 1.0), (0.3, 0.6)] {
        let new = Ddrm::new(measurement.clone());
        let sampler = Ddrm { eta, eta_measured, steps, spacing, t_min, progress, ..new };
        let x = sampler.sample(&VP(), &prior, &[n, 3], &mut Generator::new(20), CPU).unwrap().x;
        let (found, spread) = moments(&x);
        for i in 0..3 {
            let (mean, variance) = law(i, eta, eta_measured, &levels);
            let five = 5.0 / (n as f64).sqrt();
            assert!((found[i] - mean).abs() < five * variance.sqrt() + 1e-6, "{i}: {found:?}");
            let off = spread[4 * i] / variance - 1.0;
            assert!(off.abs() < five * 2f64.sqrt() + 1e-3, "{i}: {spread:?}, {variance}");
        }
    }
    // The limit that the documentation of `Ddrm` names.
    let many = Spacing::LogSnr.times(&VP(), 1e-5, 20_000).unwrap();
    let levels: Vec<f64> = many.iter().map(|t| VP().noise_level(*t)).collect();
    for eta in [0.85f64, 0.5] {
        let share = (1.0 + (1.0 - eta * eta).sqrt()) / 2.0;
        let (_, variance) = law(2, eta, 1.0, &levels);
        assert!((variance / 0.25 - share).abs() < 0.01, "{eta}: {} for {share}", variance / 0.25);
    }
}

/// Inpainting without noise on a Gaussian of correlation 0.9, x₁ = 1.5 known. Plain replacement takes the other
/// coordinate's steps without knowing where the first will end; going down again and again mends it.
#[test]
fn replacement_is_biased_and_repaint_less() {
    let law = Gaussian::full([0.0, 0.0], &[[1.0, 0.9], [0.9, 1.0]]).unwrap();
    let measurement = Measurement::new(mask(&[1.0, 0.0]), &row(&[1.5, 0.0]), 0.0).unwrap();
    let posterior = ExactPosterior::of_gaussian(&law, &measurement, VP()).unwrap();
    assert!(largest(&posterior.mean(), &[1.5, 1.35]) < 1e-12);
    assert!((posterior.covariance()[3] - 0.19).abs() < 1e-12);
    let prior = GaussianScore::new(law, VP());
    let n = 4000;
    let off = |sampler: &dyn Sampler| {
        let x = sampler.sample(&VP(), &prior, &[n, 2], &mut Generator::new(10), CPU).unwrap().x;
        let known = values(&x.narrow(1, 0, 1).unwrap()).unwrap();
        assert!(known.iter().all(|value| (value - 1.5).abs() < 1e-5));
        let (mean, covariance) = moments(&x);
        println!("{}: mean {:.3}, variance {:.3}", sampler.name(), mean[1], covariance[3]);
        (mean[1] - 1.35).abs() + (covariance[3] - 0.19).abs()
    };
    let plain =
        Replacement { steps: 100, progress: false, ..Replacement::new(measurement.clone()) };
    let repaint = Replacement { resampling: 10, jump: 5, ..plain.clone() };
    let (plain, repaint) = (off(&plain), off(&repaint));
    // The standard error of the mean is 0.007, that of the variance 0.004.
    assert!(plain > 0.1 && repaint < 0.5 * plain, "{plain}, {repaint}");
    off(&DiffPir { progress: false, ..DiffPir::new(measurement) });
}

/// On the way down the measured coordinate is `α y + σ z` at each time; and where nothing is measured, going up and down
/// again keeps the law. Five standard errors of 4000, and what 100 steps err on a standard Gaussian.
#[test]
fn replacement_on_the_way() {
    let standard = ScoreFunction::new(|x, _| Ok(x.neg()?));
    let n = 4000;
    let run = |values: &[f64], resampling| {
        let measurement = Measurement::new(mask(values), &row(&[2.0, 0.0]), 0.0).unwrap();
        let (steps, progress, record, jump) = (100, false, Some(5), 5);
        let new = Replacement::new(measurement);
        let sampler = Replacement { steps, progress, record, jump, resampling, ..new };
        sampler.sample(&VP(), &standard, &[n, 2], &mut Generator::new(18), CPU).unwrap()
    };
    let standard_error = 5.0 / (n as f64).sqrt();
    for resampling in [1, 3] {
        let sample = run(&[1.0, 0.0], resampling);
        assert_eq!(sample.times[1], VP().horizon() + (1e-3 - VP().horizon()) * 0.25);
        for (x, t) in sample.trajectory.unwrap().iter().zip(sample.times).skip(1) {
            let (scale, std) = (VP().mean_scale(t), VP().std(t));
            let (mean, covariance) = moments(x);
            assert!((mean[0] - 2.0 * scale).abs() <= standard_error * std + 1e-6, "{t}: {mean:?}");
            assert!((covariance[0] - std * std).abs() <= 1.5 * standard_error * std * std + 1e-9);
        }
        let (mean, covariance) = moments(&run(&[0.0, 0.0], resampling).x);
        assert!(mean[0].abs() < standard_error, "{mean:?}");
        assert!((covariance[3] - 1.0).abs() < 0.05 + 1.5 * standard_error, "{covariance:?}");
    }
}

/// Everything measured without noise: that is the answer. Nothing measured, or nothing to be learned: the prior.
#[test]
fn all_and_nothing_measured() {
    let (law, y) = (plane(), row(&[0.6, -0.9]));
    let prior = MixtureScore::new(law.clone(), VP());
    let make = |values: &[f64], std: f64| Measurement::new(mask(values), &y, std).unwrap();
    let samplers = |measurement: &Measurement| -> Vec<Box<dyn Sampler>> {
        let (steps, progress) = (60, false);
        let plain = Replacement { steps, progress, ..Replacement::new(measurement.clone()) };
        vec![
            Box::new(Replacement { resampling: 2, jump: 7, ..plain.clone() }),
            Box::new(plain),
            Box::new(DiffPir { steps, progress, ..DiffPir::new(measurement.clone()) }),
            // Without fresh noise, which would take from the spread.
            Box::new(Ddrm { eta: 0.0, steps, progress, ..Ddrm::new(measurement.clone()) }),
        ]
    };
    for sampler in samplers(&make(&[1.0, 1.0], 0.0)) {
        let x = sampler.sample(&VP(), &prior, &[50, 2], &mut Generator::new(11), CPU).unwrap().x;
        let error = gap(&x, &y.broadcast_as((50, 2)).unwrap());
        assert!(error < 1e-5, "{}: {error}", sampler.name());
    }
    let spacing = Spacing::Karras { rho: 7.0 };
    let ancestral =
        Ancestral { steps: 100, spacing, t_min: 1e-4, progress: false, ..Default::default() };
    let draw = |sampler: &dyn Sampler, score: &dyn Score| {
        sampler.sample(&VP(), score, &[500, 2], &mut Generator::new(12), CPU).unwrap().x
    };
    let whole = make(&[1.0, 1.0], 0.0);
    let guidances = || -> Vec<Box<dyn Guidance>> {
        vec![
            Box::new(ExactLikelihood::new(law.clone())),
            Box::<PiGdm>::default(),
            Box::new(JacobianFree),
        ]
    };
    for guidance in guidances() {
        let name = guidance.name();
        let score = PosteriorScore::new(prior.clone(), VP(), whole.clone(), Boxed(guidance));
        let x = draw(&ancestral, &score);
        let error = gap(&x, &y.broadcast_as(x.shape()).unwrap());
        assert!(error < 0.05, "{name}: {error}");
    }
    // The same noise, and no word from the measurement.
    let unguided = draw(&ancestral, &prior);
    for (measurement, tolerance) in [(make(&[0.0, 0.0], 0.1), 1e-5), (make(&[1.0, 1.0], 1e5), 1e-2)]
    {
        for guidance in guidances().into_iter().chain([Box::new(Dps) as Box<dyn Guidance>]) {
            let name = guidance.name();
            let score =
                PosteriorScore::new(prior.clone(), VP(), measurement.clone(), Boxed(guidance));
            let error = gap(&draw(&ancestral, &score), &unguided);
            assert!(error < tolerance, "{name}: {error}");
        }
        let closed = ExactPosterior::of_mixture(&law, &measurement, VP()).unwrap();
        assert!(gap(&draw(&ancestral, &closed), &unguided) < tolerance);
    }
    let nothing = make(&[0.0, 0.0], 0.0);
    for guidance in guidances() {
        let name = guidance.name();
        let score = PosteriorScore::new(prior.clone(), VP(), nothing.clone(), Boxed(guidance));
        let error = gap(&draw(&ancestral, &score), &unguided);
        assert!(error < 1e-5, "{name} without noise: {error}");
    }
    let silent = make(&[0.0, 0.0], 0.1);
    let uniform = |steps| Ancestral { steps, progress: false, ..Default::default() };
    for measurement in [&silent, &nothing] {
        let dps = DpsSampler { steps: 50, progress: false, ..DpsSampler::new(measurement.clone()) };
        assert!(gap(&draw(&dps, &prior), &draw(&uniform(50), &prior)) < 1e-5);
    }
    // DPS jumps to and fro over the answer, by its step.
    let step = 0.05;
    let dps = DpsSampler { steps: 400, step, progress: false, ..DpsSampler::new(whole.clone()) };
    let off = draw(&dps, &prior).to_dtype(DType::F64).unwrap().broadcast_sub(&y).unwrap();
    let off = off.sqr().unwrap().sum(1).unwrap();
    let off = mean(&values(&off.sqrt().unwrap()).unwrap());
    assert!(off < 2.0 * step, "{off}");
    let twisted =
        TwistedParticles { steps: 50, progress: false, ..TwistedParticles::new(silent.clone()) };
    let forward = Ancestral { variance: AncestralVariance::Forward, t_min: 1e-3, ..uniform(50) };
    // Only the step to 0 differs, which is noisy for the particles.
    assert!(gap(&draw(&twisted, &prior), &draw(&forward, &prior)) < 0.1);
    let floor = 5.0 * (5.0 / 500f64).sqrt();
    for sampler in samplers(&silent).into_iter().chain(samplers(&nothing)) {
        let found = moments(&draw(&*sampler, &prior));
        let expected = moments(&law.sample(100_000, &mut Generator::new(13), CPU).unwrap());
        assert!(error(&found, &expected) < floor, "{}", sampler.name());
    }
}

/// The way back through a network: differences of the denoised image.
#[test]
fn through_a_network() {
    let process = VP().into();
    let settings = UnetSettings { channels: [8, 64, 64, 64], embedding: 16, ..Default::default() };
    let network = Unet::new(settings, process, &mut Generator::new(14), CPU).unwrap();
    let mut generator = Generator::new(15);
    let shape = [2, 1, 20, 20];
    let x = generator.normal(&shape[..], CPU).unwrap();
    let (v, w) = (generator.normal_like(&x).unwrap(), generator.normal_like(&x).unwrap());
    let (t, h) = (0.5, 1e-2);
    let mean = |x: &Tensor| tweedie(&process, &network, x, t).unwrap();
    let shift = (&w * h).unwrap();
    let slope = (mean(&(&x + &shift).unwrap()) - mean(&(&x - &shift).unwrap())).unwrap();
    let sum = |x: Tensor| values(&x.sum_all().unwrap()).unwrap()[0];
    let expected = sum((slope * &v).unwrap()) / (2.0 * h);
    let state = Denoised::at(&process, &network, &x, t).unwrap();
    let found = sum((state.pull_back(&v).unwrap() * &w).unwrap());
    assert!((found / expected - 1.0).abs() < 0.05, "{found} for {expected}");
    // A whole round: images in, images out.
    let blur = Blur::gaussian(1.0, (20, 20)).unwrap();
    let truth = generator.normal(&shape[..], CPU).unwrap();
    let measurement = Measurement::of(blur, &truth, 0.1, &mut generator).unwrap();
    let measurement = measurement.repeat(2).unwrap();
    let score = PosteriorScore::new(network, process, measurement, PiGdm { data_std: 0.5 });
    let sampler = Ddim { steps: 3, eta: 1.0, progress: false, ..Default::default() };
    let x = sampler.sample(&process, &score, &[4, 1, 20, 20], &mut generator, CPU).unwrap().x;
    let draws = Draws::new(&x, 2).unwrap();
    assert_eq!(draws.mean().unwrap().dims(), shape);
    assert_eq!(draws.std().unwrap().dims(), shape);
    assert!(Draws::new(&x, 3).is_err() && Draws::new(&x, 4).unwrap().std().is_ok());
}

/// An operator of one's own, which says no more than it must.
#[derive(Debug)]
struct Sums;

impl Operator for Sums {
    fn name(&self) -> &'static str {
        "sums"
    }

    fn apply(&self, x: &Tensor) -> scorebook::Result<Tensor> {
        Ok(x.sum_keepdim(1)?)
    }

    fn as_linear(&self) -> Option<&dyn LinearOperator> {
        Some(self)
    }
}

impl LinearOperator for Sums {
    fn adjoint(&self, y: &Tensor) -> scorebook::Result<Tensor> {
        Ok(y.broadcast_as((y.dims()[0], 2))?.contiguous()?)
    }
}

#[test]
fn what_cannot_be_is_an_error() {
    let law = plane();
    let prior = MixtureScore::new(law.clone(), VP());
    let make = |std| Measurement::new(mask(&[1.0, 0.0]), &row(&[0.5, 0.0]), std).unwrap();
    let clipped = Measurement::new(Clip { low: 0.0, high: 1.0 }, &row(&[0.5, 0.0]), 0.1).unwrap();
    let x = normal(&[3, 2], 16);
    let at = |guidance: Box<dyn Guidance>, measurement: Measurement, x: &Tensor, t: f64| {
        let score = PosteriorScore::new(prior.clone(), VP(), measurement, Boxed(guidance));
        score.score(x, &all_times(t, x.dims()[0])).unwrap_err().to_string()
    };
    let error = at(Box::new(Dps), make(0.0), &x, 0.5);
    assert!(error.starts_with("`std` is 0; expected a positive noise"), "{error}");
    let error = at(Box::<PiGdm>::default(), make(0.0), &x, 0.0);
    assert!(error.starts_with("`t` is 0; expected a positive time"), "{error}");
    let error = at(Box::new(PiGdm { data_std: 0.0 }), make(0.1), &x, 0.5);
    assert!(error.starts_with("`data_std` is 0; expected"), "{error}");
    let error = at(Box::<PiGdm>::default(), clipped.clone(), &x, 0.5);
    let expected = "`operator` is clipping; expected a linear operator for ΠGDM; `Dps` takes any";
    assert_eq!(error, expected);
    let error = at(Box::new(JacobianFree), make(0.1).repeat(2).unwrap(), &x, 0.5);
    assert!(error.starts_with("`y` has shape [2, 2]; expected [3, 2] or one row"), "{error}");
    let error =
        at(Box::new(ExactLikelihood::new(law.clone())), make(0.1).repeat(3).unwrap(), &x, 0.5);
    assert!(error.contains("that of one measurement"), "{error}");
    assert!(ExactPosterior::of_mixture(&law, &clipped, VP()).is_err());
    let score = PosteriorScore::new(prior.clone(), VP(), make(0.1), PiGdm::default());
    let error = score.clone().up_to_noise_level(0.0).unwrap_err().to_string();
    assert_eq!(error, "`level` is 0; expected a positive noise level");
    // Above the level the prior stands alone, below it nothing changes.
    let level = VP().noise_level(0.5);
    let limited = score.clone().up_to_noise_level(level).unwrap();
    for (t, same) in [(0.49, &score as &dyn Score), (0.51, &prior)] {
        let t = all_times(t, 3);
        assert!(gap(&limited.score(&x, &t).unwrap(), &same.score(&x, &t).unwrap()) < 1e-12);
    }
    let three = Measurement::new(mask(&[1.0, 0.0, 1.0]), &row(&[0.0; 3]), 0.1).unwrap();
    assert!(ExactPosterior::of_mixture(&law, &three, VP()).is_err());
    assert!(ExactPosterior::of_gaussian(&Gaussian::standard(2), &three, VP()).is_err());

    let run = |sampler: &dyn Sampler| {
        let generator = &mut Generator::new(17);
        sampler.sample(&VP(), &prior, &[3, 2], generator, CPU).unwrap_err().to_string()
    };
    let cases: [(Box<dyn Sampler>, &str); 14] = [
        (Box::new(DpsSampler { step: -1.0, ..DpsSampler::new(make(0.1)) }), "`step` is -1;"),
        (Box::new(DpsSampler { step: f64::NAN, ..DpsSampler::new(make(0.1)) }), "`step` is NaN;"),
        (Box::new(DpsSampler::new(three)), "`x` has shape [3, 2]; expected [batch, 3]"),
        (Box::new(Replacement::new(clipped.clone())), "`operator` is clipping;"),
        (Box::new(Ddrm::new(clipped)), "`operator` is clipping;"),
        (Box::new(Ddrm { eta: 1.1, ..Ddrm::new(make(0.1)) }), "`eta` is 1.1; expected a share"),
        (
            Box::new(Ddrm { eta_measured: f64::NAN, ..Ddrm::new(make(0.1)) }),
            "`eta_measured` is NaN;",
        ),
        (
            Box::new(Ddrm::new(Measurement::new(Sums, &row(&[0.5]), 0.1).unwrap())),
            "`operator` is sums; expected an operator that knows its singular values",
        ),
        (Box::new(Replacement { jump: 0, ..Replacement::new(make(0.1)) }), "`jump` is 0;"),
        (Box::new(Replacement { resampling: 0, ..Replacement::new(make(0.1)) }), "`resampling` is"),
        (Box::new(DiffPir { weight: 0.0, ..DiffPir::new(make(0.1)) }), "`weight` is 0;"),
        (Box::new(DiffPir { fresh: 1.5, ..DiffPir::new(make(0.1)) }), "`fresh` is 1.5;"),
        (Box::new(TwistedParticles::new(make(0.0))), "`std` is 0; expected a positive noise"),
        (
            Box::new(TwistedParticles::new(make(0.1).repeat(3).unwrap())),
            "`y` has shape [3, 2]; expected [1, ...]",
        ),
    ];
    for (sampler, expected) in cases {
        let error = run(&*sampler);
        assert!(error.starts_with(expected), "{error}");
    }
}
