//! Training, checkpoints, models and data, as a program that uses the library would.

use candle_core::{DType, Device, Tensor};
use scorebook::data::{FashionMnist, ImageSet, Split, read_idx};
use scorebook::diffusion::{
    NoisingProcess, Process, VarianceExploding, VariancePreserving, per_sample,
};
use scorebook::distribution::Mixture;
use scorebook::metrics::values;
use scorebook::random::Generator;
use scorebook::score::{Mlp, MlpSettings, Model, ModelCard, Network, Score, Unet, UnetSettings};
use scorebook::train::{
    Checkpoint, DenoisingLoss, Log, LossByTime, Optimizer, Schedule, Source, Training,
    TrainingSettings, Validation, denoising_loss,
};
use std::fs;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("scorebook-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn process() -> Process {
    VariancePreserving::default().into()
}

fn mlp(seed: u64) -> Mlp {
    let settings = MlpSettings { hidden: 16, layers: 2, ..Default::default() };
    Mlp::new(settings, process(), &mut Generator::new(seed), &Device::Cpu).unwrap()
}

fn unet(channels: [usize; 4]) -> Unet {
    let settings = UnetSettings { channels, embedding: 32, ..Default::default() };
    Unet::new(settings, process(), &mut Generator::new(1), &Device::Cpu).unwrap()
}

/// Every value of a network, to the bit.
fn bits(network: &dyn Network) -> Vec<(String, Vec<u32>)> {
    let bits = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let parameters = network.parameters().iter();
    parameters
        .map(|(name, v)| (name.to_owned(), bits(v).into_iter().map(f32::to_bits).collect()))
        .collect()
}

#[test]
fn every_variable_receives_a_gradient() {
    let generator = &mut Generator::new(3);
    let images = generator.normal((4, 1, 28, 28), &Device::Cpu).unwrap();
    let points = generator.normal((16, 2), &Device::Cpu).unwrap();
    let networks: [(Box<dyn Network>, Tensor); 2] =
        [(Box::new(unet([8, 64, 64, 64])), images), (Box::new(mlp(1)), points)];
    for (network, x0) in networks {
        let loss = DenoisingLoss::default().draw(&*network, &x0, generator).unwrap();
        let gradients = loss.backward().unwrap();
        for (name, variable) in network.parameters().iter() {
            let gradient = gradients.get(variable).unwrap_or_else(|| panic!("{name} has none"));
            let size = gradient.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            let size = size.to_scalar::<f32>().unwrap();
            // More than rounding: a variable that has no effect has a gradient of some 1e-8.
            assert!(size > 1e-6 && size.is_finite(), "{name}: {size}");
        }
    }
}

#[test]
fn the_loss_of_a_network_has_the_derivatives_of_differences() {
    let network = unet([8, 64, 64, 64]);
    let generator = &mut Generator::new(4);
    let x0 = generator.normal((2, 1, 28, 28), &Device::Cpu).unwrap();
    let z = generator.normal_like(&x0).unwrap();
    let t = Tensor::new(&[0.3f32, 0.8], &Device::Cpu).unwrap();
    let loss = || denoising_loss(&network, &x0, &t, &z).unwrap();
    let gradients = loss().backward().unwrap();
    // One direction for each variable; what F32 leaves of central differences is a few parts in a thousand.
    for name in
        ["down1.conv.weight", "down3.norm.weight", "up3.time.bias", "up4.conv.weight", "out.bias"]
    {
        let (_, variable) = network.parameters().iter().find(|(n, _)| *n == name).unwrap();
        let gradient = gradients.get(variable).unwrap();
        let value = variable.as_detached_tensor().copy().unwrap();
        let norm = gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
        let direction = (gradient.detach() / f64::from(norm)).unwrap();
        let h = 1e-2;
        let at = |h: f64| {
            variable.set(&(&value + (&direction * h).unwrap()).unwrap()).unwrap();
            f64::from(loss().to_scalar::<f32>().unwrap())
        };
        let difference = (at(h) - at(-h)) / (2.0 * h);
        variable.set(&value).unwrap();
        let error = (difference / f64::from(norm) - 1.0).abs();
        assert!(error < 0.02, "{name}: {difference} by differences, {norm} by backward");
    }
}

/// Everything that a training keeps, to the bit: its checkpoint.
fn state<N: Network + Clone>(training: &Training<N>, folder: &Path) -> Vec<u8> {
    let path = folder.join("state.safetensors");
    training.save(&path).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn a_resumed_training_is_the_uninterrupted_one() {
    let folder = folder("resume");
    let path = folder.join("checkpoint.safetensors");
    let data = Generator::new(5).normal((100, 2), &Device::Cpu).unwrap();
    let held_out = Generator::new(6).normal((50, 2), &Device::Cpu).unwrap();
    let plain = TrainingSettings { batch: 16, warmup: 5, seed: 9, ..Default::default() };
    let mut all = vec![];
    for optimizer in [Optimizer::adam(), Optimizer::adamw(0.1), Optimizer::sgd(0.9)] {
        for schedule in [
            Schedule::Constant,
            Schedule::Cosine { steps: 40 },
            Schedule::InverseSquareRoot { reference: 10 },
        ] {
            for (power_ema, accumulate) in [(None, 1), (Some(0.1), 4)] {
                let plain = plain.clone();
                all.push(TrainingSettings { optimizer, schedule, power_ema, accumulate, ..plain });
            }
        }
    }
    let mut ends = vec![];
    for settings in all {
        let validation = Validation { every: 3, bins: 2, ..Default::default() };
        let whole = mlp(1);
        let mut training = Training::new(&whole, settings.clone()).unwrap();
        training.validate_on(&held_out, validation).unwrap();
        training.run(&data, 30, |_| {}).unwrap();

        // Interrupted in the middle of its third epoch, saved, and taken up by another network.
        let half = mlp(1);
        let mut begun = Training::new(&half, settings.clone()).unwrap();
        begun.validate_on(&held_out, validation).unwrap();
        begun.run(&data, 14, |_| {}).unwrap();
        begun.save(&path).unwrap();
        assert_eq!(Checkpoint::read(&path).unwrap().step, 14);
        let resumed = mlp(77);
        let mut again = Training::resume(&resumed, &path).unwrap();
        assert_eq!(again.settings(), &settings);
        again.validate_on(&held_out, validation).unwrap();
        again.run(&data, 16, |_| {}).unwrap();

        assert_eq!(again.step(), training.step());
        assert_eq!(bits(&resumed), bits(&whole), "{settings:?}");
        assert_eq!(bits(again.average()), bits(training.average()), "{settings:?}");
        // Weights, averages, moments, the step and the best loss: all that there is.
        assert!(state(&again, &folder) == state(&training, &folder), "{settings:?}");
        // To look at held-out samples changes nothing.
        let alone = mlp(1);
        Training::new(&alone, settings).unwrap().run(&data, 30, |_| {}).unwrap();
        assert_eq!(bits(&alone), bits(&whole));
        ends.push(bits(&whole));
    }
    // And a check that can fail: every optimiser and schedule ends elsewhere, and another seed does.
    for (i, end) in ends.iter().enumerate() {
        assert!(ends[..i].iter().all(|other| other != end), "combination {i}");
    }
    let other = mlp(1);
    let mut training = Training::new(&other, TrainingSettings { seed: 10, ..plain }).unwrap();
    training.run(&data, 30, |_| {}).unwrap();
    assert_ne!(bits(&other), ends[0]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_training_goes_on_with_other_settings_where_they_make_sense() {
    let data = Generator::new(5).normal((100, 2), &Device::Cpu).unwrap();
    let begun = TrainingSettings { batch: 16, warmup: 5, ..Default::default() };
    let run = |then: &TrainingSettings| {
        let network = mlp(1);
        let mut training = Training::new(&network, begun.clone()).unwrap();
        training.run(&data, 10, |_| {}).unwrap();
        training.change(then.clone()).unwrap();
        let report = training.run(&data, 10, |_| {}).unwrap();
        (report.losses.len(), bits(&network))
    };
    let unchanged = run(&begun);
    let optimizer = Optimizer::adamw(0.5);
    for then in [
        TrainingSettings { learning_rate: 1e-4, ..begun.clone() },
        TrainingSettings { schedule: Schedule::Cosine { steps: 25 }, ..begun.clone() },
        TrainingSettings { optimizer, ..begun.clone() },
        TrainingSettings { batch: 32, ..begun.clone() },
    ] {
        assert_ne!(run(&then), unchanged, "{then:?}");
    }
    let mut training = Training::new(&mlp(1), begun.clone()).unwrap();
    let optimizer = Optimizer::sgd(0.5);
    let then = TrainingSettings { optimizer, ..begun.clone() };
    let message = training.change(then).unwrap_err().to_string();
    assert!(message.contains("goes on with the moments of Adam"), "{message}");
    let then = TrainingSettings { seed: 1, ..begun.clone() };
    let message = training.change(then).unwrap_err().to_string();
    assert!(message.contains("`seed` is 1; expected 0"), "{message}");
    assert!(training.change(TrainingSettings { clip: -1.0, ..begun.clone() }).is_err());
    assert_eq!(training.settings(), &begun);
}

/// A checkpoint whose settings are those of before there were optimisers, schedules and a loss among them.
#[test]
fn a_checkpoint_of_an_earlier_version_is_read() {
    let folder = folder("earlier");
    let path = folder.join("checkpoint.safetensors");
    let data = Generator::new(5).normal((100, 2), &Device::Cpu).unwrap();
    let settings = TrainingSettings { batch: 16, warmup: 5, seed: 3, ..Default::default() };
    let mut training = Training::new(&mlp(1), settings).unwrap();
    training.run(&data, 7, |_| {}).unwrap();
    training.save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let entry = &mut header["__metadata__"]["scorebook-training"];
    let mut said: serde_json::Value = serde_json::from_str(entry.as_str().unwrap()).unwrap();
    said.as_object_mut().unwrap().remove("best").unwrap();
    said["settings"] = serde_json::from_str(
        r#"{"batch":16,"learning_rate":0.001,"warmup":5,"clip":1.0,"ema":0.999,"t_min":1e-5,"seed":3}"#,
    )
    .unwrap();
    let rewrite = |said: &serde_json::Value, header: &mut serde_json::Value| {
        header["__metadata__"]["scorebook-training"] = said.to_string().into();
        let text = header.to_string().into_bytes();
        let parts = [&(text.len() as u64).to_le_bytes()[..], &text, &bytes[8 + length..]];
        fs::write(&path, parts.concat()).unwrap();
    };
    rewrite(&said, &mut header);
    let network = mlp(2);
    let mut again = Training::resume(&network, &path).unwrap();
    assert_eq!(again.settings(), training.settings());
    again.run(&data, 7, |_| {}).unwrap();
    training.run(&data, 7, |_| {}).unwrap();
    assert!(state(&again, &folder) == state(&training, &folder));
    // What this version does not know is told, and the network is left alone.
    said["settings"]["optimizer"] = serde_json::json!({"optimizer": "sgd", "momentum": 0.9});
    rewrite(&said, &mut header);
    let untouched = mlp(3);
    let message = Training::resume(&untouched, &path).unwrap_err().to_string();
    assert!(message.contains("momentum."), "{message}");
    assert_eq!(bits(&untouched), bits(&mlp(3)));
    said["settings"]["optimizer"] = serde_json::json!({"optimizer": "lion"});
    rewrite(&said, &mut header);
    let message = Training::resume(&mlp(1), &path).unwrap_err().to_string();
    assert!(message.contains("cannot be read (unknown variant `lion`"), "{message}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_parts_of_a_batch_make_the_step_of_the_whole() {
    let data = Generator::new(5).normal((100, 2), &Device::Cpu).unwrap();
    let run = |accumulate: usize| {
        // Plain descent without clipping: a gradient of another length is another step.
        let optimizer = Optimizer::sgd(0.0);
        let settings = TrainingSettings {
            batch: 24,
            accumulate,
            optimizer,
            learning_rate: 0.05,
            warmup: 1,
            clip: 1e6,
            ..Default::default()
        };
        let network = mlp(1);
        let mut steps = vec![];
        let mut training = Training::new(&network, settings).unwrap();
        training.run(&data, 10, |step| steps.push((step.loss, step.gradient_norm))).unwrap();
        let weights = network.parameters().iter().flat_map(|(_, weight)| values(weight).unwrap());
        (steps, weights.collect::<Vec<f64>>())
    };
    let (steps, weights) = run(1);
    for parts in [2, 3, 24] {
        let (by_parts, weights_by_parts) = run(parts);
        for ((loss, norm), (by_loss, by_norm)) in steps.iter().zip(&by_parts) {
            assert!((by_loss / loss - 1.0).abs() < 1e-5, "{by_loss} is not {loss}");
            assert!((by_norm / norm - 1.0).abs() < 1e-4, "{by_norm} is not {norm}");
        }
        let worst = weights.iter().zip(&weights_by_parts).map(|(a, b)| (a - b).abs());
        let worst = worst.fold(0.0, f64::max);
        assert!(worst < 1e-6, "{parts} parts: {worst}");
    }
}

/// The averages of a training beside their sums over all of its weights.
#[test]
fn the_average_is_that_of_all_weights() {
    let data = Generator::new(5).normal((100, 2), &Device::Cpu).unwrap();
    let width = 0.1f64;
    // The exponent by bisection of its definition.
    let (mut low, mut high) = (0.0f64, 100.0);
    for _ in 0..100 {
        let g = (low + high) / 2.0;
        let wide = (g + 1.0).sqrt() / ((g + 2.0) * (g + 3.0).sqrt()) > width;
        if wide { low = g } else { high = g }
    }
    for power_ema in [None, Some(width)] {
        let settings =
            TrainingSettings { batch: 16, warmup: 1, ema: 0.9, power_ema, ..Default::default() };
        let settings = TrainingSettings { learning_rate: 0.02, ..settings };
        let network = mlp(1);
        let weights = || -> Vec<f64> {
            network.parameters().iter().flat_map(|(_, weight)| values(weight).unwrap()).collect()
        };
        let mut all = vec![weights()];
        let mut training = Training::new(&network, settings).unwrap();
        training.run(&data, 120, |_| all.push(weights())).unwrap();
        // The share of the weights of each step, the start included.
        let steps = all.len() - 1;
        let shares: Vec<f64> = (0..=steps)
            .map(|i| match power_ema {
                Some(_) if i == 0 => 0.0,
                Some(_) => {
                    let power = |i: usize| (i as f64 / steps as f64).powf(low + 1.0);
                    power(i) - power(i - 1)
                }
                None => {
                    let decay = |n: usize| 0.9f64.min((1 + n) as f64 / (10 + n) as f64);
                    let own = if i == 0 { 1.0 } else { 1.0 - decay(i) };
                    own * (i + 1..=steps).map(decay).product::<f64>()
                }
            })
            .collect();
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let average: Vec<f64> = (training.average().parameters().iter())
            .flat_map(|(_, weight)| values(weight).unwrap())
            .collect();
        let last = &all[steps];
        let (mut error, mut moved) = (0.0f64, 0.0f64);
        for (i, average) in average.iter().enumerate() {
            let expected: f64 = shares.iter().zip(&all).map(|(share, w)| share * w[i]).sum();
            error = error.max((average - expected).abs());
            moved = moved.max((average - last[i]).abs());
        }
        assert!(error < 2e-6 && moved > 1e-3, "{power_ema:?}: off by {error}, moved {moved}");
    }
}

/// A network that is the exact score of N(0, s² I), with a variable that does nothing.
#[derive(Clone)]
struct Exact {
    s: f64,
    parameters: scorebook::tensor::Parameters,
}

impl Score for Exact {
    fn score(&self, x: &Tensor, t: &Tensor) -> scorebook::Result<Tensor> {
        let p = process();
        let factor =
            per_sample(t, x, |t| -1.0 / (p.mean_scale(t) * self.s).hypot(p.std(t)).powi(2));
        Ok(x.broadcast_mul(&factor?)?)
    }
}

impl Network for Exact {
    fn noise_output(&self, x: &Tensor, t: &Tensor) -> scorebook::Result<Tensor> {
        let std = per_sample(t, x, |t| process().std(t))?;
        Ok(self.score(x, t)?.broadcast_mul(&std)?)
    }

    fn parameters(&self) -> &scorebook::tensor::Parameters {
        &self.parameters
    }

    fn process(&self) -> Process {
        process()
    }

    fn architecture(&self) -> scorebook::score::Architecture {
        mlp(1).architecture()
    }

    fn copy(&self) -> scorebook::Result<Self> {
        Ok(Self { parameters: self.parameters.copy()?, ..*self })
    }
}

/// The loss of the exact score of N(0, s²) at `t` is `α²s² / (α²s² + σ²)`: in each bin its mean, by quadrature. 40,000
/// numbers a bin leave a standard error below 0.0085 of each mean; 6 of them are allowed.
#[test]
fn the_loss_by_time_is_that_of_the_exact_score() {
    let s = 0.7;
    let network = Exact { s, parameters: Default::default() };
    let mut generator = Generator::new(8);
    let x0 = (generator.normal((20_000, 2), &Device::Cpu).unwrap() * s).unwrap();
    let found = LossByTime::of(&network, &x0, 0.01, 5, &generator).unwrap();
    assert!(!found.interrupted);
    let mut whole = 0.0;
    for (k, bin) in found.bins.iter().enumerate() {
        let (from, width) = (0.01 + 0.99 * k as f64 / 5.0, 0.99 / 5.0);
        assert!((bin.from - from).abs() < 1e-12 && (bin.to - from - width).abs() < 1e-12);
        let at = |t: f64| {
            let signal = (process().mean_scale(t) * s).powi(2);
            signal / (signal + process().std(t).powi(2))
        };
        let middle = |i: i32| from + width * (f64::from(i) + 0.5) / 1000.0;
        let exact = (0..1000).map(|i| at(middle(i)) / 1000.0).sum::<f64>();
        whole += exact / 5.0;
        let error = (bin.loss / exact - 1.0).abs();
        assert!(error < 0.051, "bin {k}: {} instead of {exact}", bin.loss);
    }
    assert!((found.loss / whole - 1.0).abs() < 0.04, "{} instead of {whole}", found.loss);
    // The same samples, times and noise each time.
    assert_eq!(LossByTime::of(&network, &x0, 0.01, 5, &generator).unwrap(), found);
    for (t_min, bins, name) in [(0.0, 5, "t_min"), (1.0, 5, "t_min"), (0.1, 0, "bins")] {
        let message = LossByTime::of(&network, &x0, t_min, bins, &generator).unwrap_err();
        assert!(message.to_string().contains(&format!("`{name}`")), "{message}");
    }
}

#[test]
fn a_training_without_progress_on_held_out_samples_stops_early() {
    let folder = folder("early");
    let data = Generator::new(5).normal((64, 2), &Device::Cpu).unwrap();
    // So large a step that it soon only gets worse.
    let settings = TrainingSettings {
        batch: 16,
        learning_rate: 0.5,
        warmup: 1,
        ema: 0.0,
        ..Default::default()
    };
    let mut training = Training::new(&mlp(1), settings).unwrap();
    let validation = Validation { every: 2, bins: 2, patience: Some(10), ..Default::default() };
    training.validate_on(&data, validation).unwrap();
    let report = training.run(&data, 1000, |_| {}).unwrap();
    assert!(report.stopped_early && !report.interrupted && report.losses.len() < 1000);
    let best = report.validations.iter().min_by(|a, b| a.1.loss.total_cmp(&b.1.loss)).unwrap();
    assert_eq!(training.step(), best.0 + 10);
    assert_eq!(report.validations.len() as u64, training.step() / 2);
    let path = folder.join("checkpoint.safetensors");
    training.save(&path).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap().best, Some((best.0, best.1.loss)));
    // Taken up, it still knows its low: the next look at the held-out samples ends it.
    let mut again = Training::resume(&mlp(2), &path).unwrap();
    again.validate_on(&data, validation).unwrap();
    let report = again.run(&data, 9, |_| {}).unwrap();
    assert!(report.stopped_early && report.losses.len() == 2, "{:?}", report.validations);
    let broken = Tensor::full(f32::NAN, (8, 2), &Device::Cpu).unwrap();
    training.validate_on(&broken, Validation { every: 1, ..validation }).unwrap();
    let message = training.run(&data, 1, |_| {}).unwrap_err().to_string();
    assert!(message.contains("the loss on held-out samples is not finite"), "{message}");
    let zero = Validation { patience: Some(0), ..validation };
    assert!(training.validate_on(&data, zero).unwrap_err().to_string().contains("`patience`"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_log_survives_an_end_and_is_taken_up_without_a_step_twice() {
    let folder = folder("log");
    let (path, checkpoint) = (folder.join("log.jsonl"), folder.join("checkpoint.safetensors"));
    let data = Generator::new(5).normal((100, 2), &Device::Cpu).unwrap();
    let settings = TrainingSettings { batch: 16, warmup: 5, ..Default::default() };
    let validation = Validation { every: 4, bins: 2, ..Default::default() };

    let mut whole = Training::new(&mlp(1), settings.clone()).unwrap();
    whole.validate_on(&data, validation).unwrap();
    let whole = whole.run(&data, 20, |_| {}).unwrap();

    let mut training = Training::new(&mlp(1), settings).unwrap();
    training.validate_on(&data, validation).unwrap();
    training.log_to(Log::create(&path).unwrap());
    training.run(&data, 10, |_| {}).unwrap();
    training.save(&checkpoint).unwrap();
    // Four steps more, which are lost, and a line that was cut short by the end of the program.
    training.run(&data, 4, |_| {}).unwrap();
    drop(training);
    assert_eq!(Log::read(&path).unwrap().len(), 14);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(br#"{"step":15,"loss":0.1"#);
    fs::write(&path, bytes).unwrap();
    assert_eq!(Log::read(&path).unwrap().len(), 14);
    let message = Log::create(&path).unwrap_err().to_string();
    assert!(message.contains("is not empty"), "{message}");

    let mut again = Training::resume(&mlp(2), &checkpoint).unwrap();
    again.validate_on(&data, validation).unwrap();
    again.log_to(Log::resume(&path, again.step()).unwrap());
    again.run(&data, 10, |_| {}).unwrap();
    let steps = Log::read(&path).unwrap();
    assert_eq!(steps.iter().map(|s| s.step).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    assert_eq!(steps.iter().map(|s| s.loss).collect::<Vec<_>>(), whole.losses);
    let validations = steps.iter().filter_map(|s| Some((s.step, s.validation.clone()?)));
    assert_eq!(validations.collect::<Vec<_>>(), whole.validations);
    assert!(steps.iter().all(|s| s.gradient_norm > 0.0 && s.throughput > 0.0));
    assert_eq!((steps[0].learning_rate, steps[9].learning_rate), (0.2e-3, 1e-3));

    // A log that is missing is begun; what is none is told, and left as it is.
    Log::resume(folder.join("new.jsonl"), 5).unwrap();
    fs::write(folder.join("other"), "one\ntwo\n").unwrap();
    let message = Log::resume(folder.join("other"), 5).unwrap_err().to_string();
    assert!(message.contains("line 1 is not one of a training's log"), "{message}");
    assert_eq!(fs::read_to_string(folder.join("other")).unwrap(), "one\ntwo\n");
    fs::remove_dir_all(folder).unwrap();
}

/// `/dev/full` is a disk without any room.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let folder = folder("full");
    let checkpoint = folder.join("checkpoint.safetensors");
    let data = Generator::new(5).normal((100, 2), &Device::Cpu).unwrap();
    let settings = TrainingSettings { batch: 16, warmup: 5, ..Default::default() };
    let mut whole = Training::new(&mlp(1), settings.clone()).unwrap();
    whole.run(&data, 6, |_| {}).unwrap();

    let mut training = Training::new(&mlp(1), settings).unwrap();
    training.log_to(Log::create("/dev/full").unwrap());
    let message = training.run(&data, 5, |_| {}).unwrap_err().to_string();
    assert!(message.contains("/dev/full: the log cannot be written"), "{message}");
    // The step was made and can be saved; the training goes on from it.
    assert_eq!(training.step(), 1);
    training.save(&checkpoint).unwrap();
    let saved = fs::read(&checkpoint).unwrap();
    training.log_to(Log::create(folder.join("log.jsonl")).unwrap());
    training.run(&data, 5, |_| {}).unwrap();
    assert!(state(&training, &folder) == state(&whole, &folder));
    // No room for the checkpoint: the one of before stands.
    std::os::unix::fs::symlink("/dev/full", folder.join("checkpoint.part")).unwrap();
    let message = training.save(&checkpoint).unwrap_err().to_string();
    assert!(message.contains("cannot be written") && message.contains("free space"), "{message}");
    assert!(fs::read(&checkpoint).unwrap() == saved);
    training.save(&checkpoint).unwrap();
    assert_eq!(Checkpoint::read(&checkpoint).unwrap().step, 6);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_number_that_is_lost_in_the_update_leaves_the_last_good_state() {
    let folder = folder("lost");
    let data = Generator::new(5).normal((100, 2), &Device::Cpu).unwrap();
    for optimizer in [Optimizer::adam(), Optimizer::adamw(0.1), Optimizer::sgd(0.9)] {
        let settings = TrainingSettings { batch: 16, warmup: 5, optimizer, ..Default::default() };
        let network = mlp(1);
        let mut training = Training::new(&network, settings.clone()).unwrap();
        training.run(&data, 8, |_| {}).unwrap();
        // Loss and gradient are good; the step that they make is too long for F32.
        let long = TrainingSettings { learning_rate: 1e300, ..settings.clone() };
        training.change(long).unwrap();
        let before = state(&training, &folder);
        let message = training.run(&data, 3, |_| {}).unwrap_err().to_string();
        assert!(message.contains("a weight is not finite at step 9"), "{message}");
        assert!(state(&training, &folder) == before, "{optimizer:?}");
        // And with broken data, whose loss is lost.
        training.change(settings.clone()).unwrap();
        let before = state(&training, &folder);
        let broken = Tensor::full(f32::NAN, (32, 2), &Device::Cpu).unwrap();
        let message = training.run(&broken, 3, |_| {}).unwrap_err().to_string();
        assert!(message.contains("the loss is not finite at step 9"), "{message}");
        assert!(state(&training, &folder) == before, "{optimizer:?}");
        // It goes on as if nothing had been.
        training.run(&data, 3, |_| {}).unwrap();
        let whole = mlp(1);
        Training::new(&whole, settings).unwrap().run(&data, 11, |_| {}).unwrap();
        assert_eq!(bits(&network), bits(&whole));
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_training_on_images_learns_and_any_number_of_threads_gives_the_same_bits() {
    let set = FashionMnist::default().load(Split::Test).unwrap();
    let images = set.tensor(0, 64).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let network = unet([8, 64, 64, 64]);
            let settings = TrainingSettings { batch: 16, warmup: 5, ..Default::default() };
            let mut training = Training::new(&network, settings).unwrap();
            (training.run(&images, 40, |_| {}).unwrap().losses, bits(&network))
        })
    };
    let (losses, one) = run(1);
    assert_eq!(one, run(2).1);
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&losses[..5]), mean(&losses[35..]));
    assert!(last < 0.7 * first, "the loss went from {first} to {last}");
}

#[test]
fn a_model_file_gives_back_the_network() {
    let folder = folder("model");
    let path = folder.join("model.safetensors");
    let network = mlp(1);
    let card = ModelCard {
        architecture: network.architecture(),
        process: network.process(),
        data: "points".into(),
        shape: vec![2],
        training: serde_json::json!({"steps": 0}),
    };
    Model::save(&path, &card, &network).unwrap();
    let model = Model::load(&path, &Device::Cpu).unwrap();
    assert_eq!(model.card, card);
    let x = Generator::new(2).normal((7, 2), &Device::Cpu).unwrap();
    let t = Tensor::full(0.4f32, 7, &Device::Cpu).unwrap();
    let values = |score: &dyn Score| score.score(&x, &t).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(values(&model), values(&network));

    // Cut short, not a model, another architecture under the card's name, missing.
    let bytes = fs::read(&path).unwrap();
    let error = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Model::load(&path, &Device::Cpu).unwrap_err().to_string()
    };
    assert!(error(&bytes[..bytes.len() / 2]).contains("not a whole safetensors file"));
    assert!(error(b"{}").contains("not a whole safetensors file"));
    Model::save(&path, &card, &unet([8, 64, 64, 64])).unwrap();
    let message = Model::load(&path, &Device::Cpu).unwrap_err().to_string();
    assert!(
        message.contains("another architecture") && message.contains("scorebook train"),
        "{message}"
    );
    candle_core::safetensors::save(&network.parameters().to_map(""), &path).unwrap();
    let message = Model::load(&path, &Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("no entry"), "{message}");
    fs::remove_file(&path).unwrap();
    let message = Model::load(&path, &Device::Cpu).unwrap_err().to_string();
    assert!(
        message.contains("model.safetensors") && message.contains("Check the path"),
        "{message}"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let folder = folder("checkpoint");
    let path = folder.join("checkpoint.safetensors");
    Training::new(&mlp(1), TrainingSettings::default()).unwrap().save(&path).unwrap();
    let settings = MlpSettings { hidden: 32, layers: 2, ..Default::default() };
    let wider = Mlp::new(settings, process(), &mut Generator::new(1), &Device::Cpu).unwrap();
    let message = Training::resume(&wider, &path).unwrap_err().to_string();
    assert!(
        message.contains("2 hidden layers of 16, not of a MLP of 2 hidden layers of 32"),
        "{message}"
    );
    let exploding: Process = VarianceExploding::default().into();
    let settings = MlpSettings { hidden: 16, layers: 2, ..Default::default() };
    let other = Mlp::new(settings, exploding, &mut Generator::new(1), &Device::Cpu).unwrap();
    let message = Training::resume(&other, &path).unwrap_err().to_string();
    assert!(message.contains("was trained for"), "{message}");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..100]).unwrap();
    let message = Training::resume(&mlp(1), &path).unwrap_err().to_string();
    assert!(message.contains("not a whole safetensors file"), "{message}");
    // A folder that is not there cannot be written to, and the file of before stands.
    let training = Training::new(&mlp(1), TrainingSettings::default()).unwrap();
    let message = training.save(folder.join("missing/x.safetensors")).unwrap_err().to_string();
    assert!(message.contains("cannot be written"), "{message}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn settings_out_of_range_are_errors_and_a_lost_loss_keeps_the_weights() {
    for (settings, name) in [
        (TrainingSettings { batch: 0, ..Default::default() }, "batch"),
        (TrainingSettings { learning_rate: f64::NAN, ..Default::default() }, "learning_rate"),
        (TrainingSettings { clip: 0.0, ..Default::default() }, "clip"),
        (TrainingSettings { ema: 1.0, ..Default::default() }, "ema"),
        (serde_json::from_str(r#"{"loss": {"t_min": -1}}"#).unwrap(), "t_min"),
        (TrainingSettings { accumulate: 0, ..Default::default() }, "accumulate"),
        (TrainingSettings { accumulate: 3, ..Default::default() }, "accumulate"),
        (TrainingSettings { power_ema: Some(0.3), ..Default::default() }, "power_ema"),
        (TrainingSettings { power_ema: Some(f64::NAN), ..Default::default() }, "power_ema"),
        (TrainingSettings { optimizer: Optimizer::sgd(1.0), ..Default::default() }, "momentum"),
        (
            TrainingSettings { schedule: Schedule::Cosine { steps: 500 }, ..Default::default() },
            "steps",
        ),
    ] {
        let message = Training::new(&mlp(1), settings).unwrap_err().to_string();
        assert!(message.contains(&format!("`{name}`")), "{message}");
    }
    let network = mlp(1);
    let mut training =
        Training::new(&network, TrainingSettings { batch: 4, ..Default::default() }).unwrap();
    let before = bits(&network);
    let broken = Tensor::full(f32::NAN, (8, 2), &Device::Cpu).unwrap();
    let message = training.run(&broken, 3, |_| {}).unwrap_err().to_string();
    assert!(message.contains("the loss is not finite at step 1"), "{message}");
    assert_eq!((bits(&network), training.step()), (before, 0));
    let wrong = Tensor::zeros((8, 3), DType::F32, &Device::Cpu).unwrap();
    let message = training.run(&wrong, 1, |_| {}).unwrap_err().to_string();
    assert!(message.contains("expected [batch, 2]"), "{message}");
}

#[test]
fn a_law_is_an_endless_source_and_a_seed_its_choice() {
    let law = Mixture::ring(4, 1.0, 0.1).unwrap();
    let batch = |step, seed| {
        let batch = law.batch(step, 3, &Generator::new(seed), &Device::Cpu).unwrap();
        batch.to_vec2::<f32>().unwrap()
    };
    assert_eq!(Source::count(&law), None);
    assert_eq!(batch(5, 1), batch(5, 1));
    assert_ne!(batch(5, 1), batch(6, 1));
    assert_ne!(batch(5, 1), batch(5, 2));
}

#[test]
fn fashion_mnist_says_where_it_was_found_and_what_is_wrong() {
    let shipped = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/fashion-mnist"));
    let from = |folder: &PathBuf, whole| FashionMnist { folder: Some(folder.clone()), whole };
    let train = from(&shipped, false).load(Split::Train).unwrap();
    assert_eq!((train.len(), train.shape()), (30_000, &[1, 28, 28][..]));
    assert!(train.to_string().contains("30000 images of 1×28×28 in 10 classes, from "));
    let x = train.tensor(0, 100).unwrap();
    let (low, high) = (x.min_all().unwrap(), x.max_all().unwrap());
    assert_eq!((low.to_scalar::<f32>().unwrap(), high.to_scalar::<f32>().unwrap()), (-1.0, 1.0));
    assert!(train.tensor(29_999, 2).is_err());
    let message = from(&shipped, true).load(Split::Train).unwrap_err().to_string();
    assert!(message.contains("holds no train-images-idx3-ubyte.gz"), "{message}");

    let folder = folder("fashion");
    let names = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"];
    for name in names {
        fs::copy(shipped.join(name), folder.join(name)).unwrap();
    }
    assert_eq!(from(&folder, true).load(Split::Test).unwrap().len(), 10_000);
    let images = folder.join(names[0]);
    let bytes = fs::read(&images).unwrap();
    fs::write(&images, &bytes[..bytes.len() / 2]).unwrap();
    let message = from(&folder, false).load(Split::Test).unwrap_err().to_string();
    assert!(message.contains("cut short") && message.contains("fetch it again"), "{message}");
    fs::copy(folder.join(names[1]), &images).unwrap();
    let message = from(&folder, false).load(Split::Test).unwrap_err().to_string();
    assert!(message.contains("SHA-256"), "{message}");
    assert!(read_idx(folder.join("nothing"), None).unwrap_err().to_string().contains("nothing"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_image_set_must_fit_together() {
    let images = Tensor::zeros((2, 1, 4, 4), DType::U8, &Device::Cpu).unwrap();
    let set = |labels: Vec<u8>| ImageSet::new("x", "y", images.clone(), labels, &["a", "b"]);
    assert_eq!(set(vec![0, 1]).unwrap().len(), 2);
    assert!(set(vec![0]).unwrap_err().to_string().contains("expected 2, one an image"));
    assert!(set(vec![0, 2]).unwrap_err().to_string().contains("the number of values of class"));
    let flat = images.flatten_from(1).unwrap();
    assert!(ImageSet::new("x", "y", flat, vec![0, 1], &["a", "b"]).is_err());
}

#[test]
fn the_shipped_model_knows_garments_from_noise() {
    let model = Model::shipped("fashion-mnist", &Device::Cpu).unwrap();
    let test = FashionMnist::default().load(Split::Test).unwrap();
    let generator = &mut Generator::new(6);
    let garments = test.tensor(0, 128).unwrap();
    let noise = generator.normal_like(&garments).unwrap();
    let mut loss = |x: &Tensor| {
        let loss = DenoisingLoss { t_min: 0.02, ..Default::default() }
            .draw(model.network(), x, generator)
            .unwrap();
        loss.to_scalar::<f32>().unwrap()
    };
    let (of_garments, of_noise) = (loss(&garments), loss(&noise));
    assert!(of_garments < 0.08 && of_noise > 2.0 * of_garments, "{of_garments} {of_noise}");
}
