//! Training, checkpoints, models and data, as a program that uses the library would.

use candle_core::{DType, Device, Tensor};
use scorebook::data::{FashionMnist, ImageSet, Split, read_idx};
use scorebook::diffusion::{Process, VarianceExploding, VariancePreserving};
use scorebook::distribution::Mixture;
use scorebook::random::Generator;
use scorebook::score::{Mlp, MlpSettings, Model, ModelCard, Network, Score, Unet, UnetSettings};
use scorebook::train::{
    Checkpoint, DenoisingLoss, Source, Training, TrainingSettings, denoising_loss,
};
use std::fs;
use std::path::PathBuf;

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

#[test]
fn a_resumed_training_is_the_uninterrupted_one() {
    let folder = folder("resume");
    let path = folder.join("checkpoint.safetensors");
    let data = Generator::new(5).normal((100, 2), &Device::Cpu).unwrap();
    let settings = TrainingSettings { batch: 16, warmup: 5, seed: 9, ..Default::default() };

    let whole = mlp(1);
    let mut training = Training::new(&whole, settings.clone()).unwrap();
    training.run(&data, 30, |_| {}).unwrap();

    // Interrupted in the middle of its third epoch, saved, and taken up by another network.
    let half = mlp(1);
    let mut begun = Training::new(&half, settings.clone()).unwrap();
    begun.run(&data, 14, |_| {}).unwrap();
    begun.save(&path).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap().step, 14);
    let resumed = mlp(77);
    let mut again = Training::resume(&resumed, &path).unwrap();
    assert_eq!(again.settings(), &settings);
    again.run(&data, 16, |_| {}).unwrap();

    assert_eq!(again.step(), training.step());
    assert_eq!(bits(&resumed), bits(&whole));
    assert_eq!(bits(again.average()), bits(training.average()));
    // And a check that can fail: another seed ends elsewhere.
    let other = mlp(1);
    let mut training = Training::new(&other, TrainingSettings { seed: 10, ..settings }).unwrap();
    training.run(&data, 30, |_| {}).unwrap();
    assert_ne!(bits(&other), bits(&whole));
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
        (TrainingSettings { t_min: -1.0, ..Default::default() }, "t_min"),
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
    assert!(set(vec![0, 2]).unwrap_err().to_string().contains("the number of classes"));
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
