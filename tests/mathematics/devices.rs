//! Every network, loss and sampler on the device that the environment variable `SCOREBOOK_TEST_DEVICE` names (`cuda`,
//! `metal`; the CPU where it is not set), beside the CPU with the same seed.
//!
//! The numbers may differ as those of two right machines do, by the rounding of sums in another order.

use crate::*;
use scorebook::distribution::Density;
use scorebook::metrics::values;
use scorebook::score::Architecture;
use scorebook::tensor::autocast;

fn device() -> Device {
    let name = std::env::var("SCOREBOOK_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    device::open(&name).unwrap()
}

/// The largest difference, as a part of the size of `reference`.
fn difference(found: &Tensor, reference: &Tensor) -> f64 {
    let (found, reference) = (values(found).unwrap(), values(reference).unwrap());
    assert_eq!(found.len(), reference.len());
    let size = reference.iter().map(|x| x * x).sum::<f64>() / reference.len() as f64;
    let apart = found.iter().zip(&reference).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // A gradient of nothing but zeros, behind layers that begin at zero, has no size.
    apart / size.sqrt().max(1e-30)
}

/// A network made on a device; equal seeds give equal weights.
type Made = Box<dyn Network>;

/// Each kind of network with the shape of its samples: a kind that is not here does not compile.
fn networks(device: &Device) -> Vec<(Vec<usize>, Made)> {
    let process: Process = VariancePreserving::default().into();
    let generator = &mut Generator::new(160);
    let mut made: Vec<(Vec<usize>, Made)> = vec![];
    let mlp = MlpSettings { hidden: 64, layers: 2, ..Default::default() };
    made.push((vec![2], Box::new(Mlp::new(mlp, process, generator, device).unwrap())));
    let unet = UnetSettings { channels: [16, 64, 64, 64], ..Default::default() };
    made.push((vec![1, 28, 28], Box::new(Unet::new(unet, process, generator, device).unwrap())));
    let residual =
        ResidualUnetSettings { channels: vec![16, 24], attention: vec![1], ..Default::default() };
    let residual = ResidualUnet::new(residual, process, generator, device).unwrap();
    made.push((vec![1, 8, 8], Box::new(residual)));
    for (_, network) in &made {
        match network.architecture() {
            Architecture::Mlp(_) | Architecture::Unet(_) | Architecture::ResidualUnet(_) => {}
        }
    }
    made
}

#[test]
fn networks_and_their_gradients_are_the_cpus() {
    let device = device();
    for ((shape, here), (_, there)) in networks(CPU).into_iter().zip(networks(&device)) {
        let name = here.architecture().summary();
        // Where weights are drawn on the device they may differ in the last digit.
        there.parameters().set(&here.parameters().to_map(""), "").unwrap();
        let shape = [&[6], shape.as_slice()].concat();
        let run = |network: &dyn Network, device: &Device| {
            let generator = &mut Generator::new(161);
            let x = generator.normal(shape.as_slice(), CPU).unwrap().to_device(device).unwrap();
            let t = Tensor::new(&[0.05f32, 0.2, 0.4, 0.6, 0.8, 1.0], device).unwrap();
            let y = network.noise_output(&x, &t).unwrap();
            let gradients = y.sqr().unwrap().mean_all().unwrap().backward().unwrap();
            let parameters = network.parameters().iter();
            let gradients: Vec<Tensor> =
                parameters.map(|(_, v)| gradients.get(v).unwrap().clone()).collect();
            (y, gradients)
        };
        let ((y, gradients), (found, of_found)) = (run(&*here, CPU), run(&*there, &device));
        assert!(difference(&found, &y) < 1e-4, "{name}");
        for ((found, expected), (parameter, _)) in
            of_found.iter().zip(&gradients).zip(here.parameters().iter())
        {
            let error = difference(found, expected);
            assert!(error < 2e-3, "{name}, {parameter}: off by {error:e}");
        }
        // In bf16, where the device computes so, with its three digits.
        let (x, t) = (found.detach(), Tensor::full(0.3f32, 6, &device).unwrap());
        let whole = there.score(&x, &t).unwrap();
        let half = autocast(true, || there.score(&x, &t)).unwrap();
        assert!(difference(&half, &whole) < 0.1, "{name} in bf16");
    }
}

#[test]
fn losses_and_the_steps_of_training_are_the_cpus() {
    let device = device();
    let law = three();
    let x0 = law.sample(256, &mut Generator::new(162), CPU).unwrap();
    for weighting in [
        Weighting::Variance,
        Weighting::Likelihood,
        Weighting::MinSnr { gamma: 5.0 },
        Weighting::Edm { data_std: 2.0 },
        Weighting::Uniform,
    ] {
        for times in [
            TimeSampling::Uniform,
            TimeSampling::Importance,
            TimeSampling::LogNormal { mean: -1.2, std: 1.2 },
        ] {
            for optimizer in [Optimizer::adam(), Optimizer::adamw(0.01), Optimizer::sgd(0.9)] {
                let loss = DenoisingLoss { t_min: 0.01, weighting, times };
                let settings = TrainingSettings {
                    batch: 64,
                    warmup: 2,
                    loss,
                    optimizer,
                    ..Default::default()
                };
                let run = |device: &Device| {
                    let process = VariancePreserving::default().into();
                    let network = MlpSettings { hidden: 32, layers: 2, ..Default::default() };
                    let network =
                        Mlp::new(network, process, &mut Generator::new(163), device).unwrap();
                    let mut training = Training::new(&network, settings.clone()).unwrap();
                    training.run(&x0, 5, |_| {}).unwrap().losses
                };
                for (found, expected) in run(&device).iter().zip(run(CPU)) {
                    let error = (found / expected - 1.0).abs();
                    assert!(error < 1e-3, "{weighting:?}, {times:?}, {optimizer:?}: {error:e}");
                }
            }
        }
    }
    let process = VariancePreserving::default();
    let exact = MixtureScore::new(law, process);
    let wrong = ScoreFunction::new(|x, _| Ok((x * -0.5)?));
    let losses = |device: &Device| -> Vec<f64> {
        let x = x0.to_device(device).unwrap();
        let t = Tensor::full(0.4f32, 256, device).unwrap();
        let along = DirectionalDerivative::default();
        let generator = &mut Generator::new(164);
        let bound = |bound: Result<scorebook::train::BoundTerms, scorebook::Error>| {
            bound.unwrap().total().unwrap()
        };
        let terms = [
            explicit_score_matching(&wrong, &exact, &x, &t).unwrap(),
            implicit_score_matching(&wrong, &process, &x, &t, along).unwrap(),
            sliced_score_matching(&wrong, &process, &x, &t, 4, along, generator).unwrap(),
            bound(chain_bound(&process, &wrong, &x, &[1e-3, 0.3, 0.7, 1.0], generator)),
            bound(continuous_bound(&process, &wrong, &x, 1e-3, 2, generator)),
        ];
        terms.iter().map(|terms| mean(&values(terms).unwrap())).collect()
    };
    for (i, (found, expected)) in losses(&device).iter().zip(losses(CPU)).enumerate() {
        assert!((found / expected - 1.0).abs() < 1e-3, "loss {i}: {found}, not {expected}");
    }
}

#[test]
fn samplers_take_the_cpus_way() {
    let device = device();
    let process = VariancePreserving::default();
    let score = MixtureScore::new(three(), process);
    let descent = samplers::Descent { steps: 40, ..Default::default() };
    let mut all = samplers::all(descent);
    all.push(("adaptive", Box::new(AdaptiveFlow { progress: false, ..Default::default() })));
    for (name, sampler) in all {
        let run = |device: &Device| {
            let generator = &mut Generator::new(165);
            sampler.sample(&process, &score, &[500, 2], generator, device).unwrap().x
        };
        let (found, expected) = (run(&device), run(CPU));
        assert_eq!(found.device().location(), device.location());
        // Where two ways part at the watershed between two components they end far from each other; few do.
        let apart = (found.to_device(CPU).unwrap() - expected).unwrap().abs().unwrap();
        let far = values(&apart).unwrap().iter().filter(|apart| **apart > 0.05).count();
        assert!(far <= 20, "{name}: {far} of 1000 coordinates differ");
    }
}
