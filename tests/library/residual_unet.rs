//! The residual U-Net, its labels, and guidance.

use super::{bits, folder, process, state};
use candle_core::{DType, Device, Tensor};
use scorebook::data::{Attribute, ImageSet};
use scorebook::distribution::Mixture;
use scorebook::metrics::values;
use scorebook::random::Generator;
use scorebook::score::{
    AnyNetwork, Architecture, ByClass, ClassifierFreeGuidance, Condition, Given, Label,
    MixtureScore, Model, ModelCard, Network, ResidualUnet, ResidualUnetSettings, Score,
};
use scorebook::train::{
    LabelDrop, Training, TrainingSettings, Validation, denoising_loss, denoising_loss_given,
};
use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

const CPU: &Device = &Device::Cpu;

fn network(settings: ResidualUnetSettings) -> ResidualUnet {
    ResidualUnet::new(settings, process(), &mut Generator::new(1), CPU).unwrap()
}

/// All weights away from where they began, some of them at 0.
fn moved(network: ResidualUnet) -> ResidualUnet {
    let generator = &mut Generator::new(2);
    for (_, variable) in network.parameters().iter() {
        let moved = generator.normal(variable.dims(), CPU).unwrap() * 0.1;
        variable.set(&(variable.as_detached_tensor() + moved.unwrap()).unwrap()).unwrap();
    }
    network
}

/// A small one with two attributes.
fn small() -> ResidualUnet {
    moved(network(ResidualUnetSettings {
        channels: vec![16, 24],
        attention: vec![1],
        embedding: 16,
        attributes: vec![3, 2],
        ..Default::default()
    }))
}

fn labels(rows: &[[u32; 2]]) -> Condition {
    let labels = Tensor::from_vec(rows.concat(), (rows.len(), 2), CPU).unwrap();
    Condition { labels: Some(labels), ..Default::default() }
}

fn largest(x: &Tensor) -> f64 {
    values(x).unwrap().iter().fold(0.0, |most, x| most.max(x.abs()))
}

/// Numbers between -0.2 and 0.2, as in tests/golden/residual_unet.py.
fn sequence(place: usize, count: usize) -> Vec<f64> {
    let value = |i: usize| {
        let i = (i + 1) as f64;
        0.4 * ((i * 0.6180339887498949 + i * i * 0.0137 + place as f64 * 0.37) % 1.0) - 0.2
    };
    (0..count).map(value).collect()
}

fn tensor(values: Vec<f64>, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values, shape, CPU).unwrap().to_dtype(DType::F32).unwrap()
}

#[derive(serde::Deserialize)]
struct Golden {
    output: Vec<f64>,
    gradients: HashMap<String, [f64; 2]>,
}

#[test]
fn it_is_the_network_written_in_pytorch() {
    let golden: Golden =
        serde_json::from_str(include_str!("../golden/residual_unet.json")).unwrap();
    let network = network(ResidualUnetSettings {
        image_channels: 2,
        channels: vec![16, 24],
        blocks: 2,
        attention: vec![1],
        embedding: 12,
        attributes: vec![3, 2],
        data_std: 0.7,
        ..Default::default()
    });
    let mut weights = network.parameters().to_map("");
    let mut names: Vec<String> = weights.keys().cloned().collect();
    names.sort();
    for (place, name) in names.iter().enumerate() {
        let weight = weights.get_mut(name).unwrap();
        let shift = if name.ends_with("norm.weight") { 1.0 } else { 0.0 };
        let values = sequence(place, weight.elem_count()).iter().map(|v| v + shift).collect();
        *weight = tensor(values, weight.dims());
    }
    network.parameters().set(&weights, "").unwrap();

    let x = sequence(100, 3 * 2 * 8 * 4).iter().map(|x| 5.0 * x).collect();
    let (x, t) = (tensor(x, &[3, 2, 8, 4]), Tensor::new(&[0.1f32, 0.6, 0.9], CPU).unwrap());
    let output = network.noise_output_given(&x, &t, &labels(&[[0, 1], [3, 0], [2, 2]])).unwrap();
    let scale = golden.output.iter().fold(0f64, |most, x| most.max(x.abs()));
    for (found, expected) in values(&output).unwrap().iter().zip(&golden.output) {
        assert!((found - expected).abs() < 1e-4 * scale, "{found} is not {expected}");
    }

    let direction = tensor(sequence(200, golden.output.len()), output.dims());
    let gradients = (output * direction).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(golden.gradients.len(), network.parameters().iter().count());
    for (name, variable) in network.parameters().iter() {
        let [norm, product] = golden.gradients[name];
        let gradient = values(gradients.get(variable).unwrap()).unwrap();
        let found = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let projected: f64 = gradient.iter().enumerate().map(|(i, g)| g * (i as f64).cos()).sum();
        assert!((found - norm).abs() < 1e-4 * norm, "{name}: {found} is not {norm}");
        assert!((projected - product).abs() < 1e-4 * norm, "{name}: {projected}, not {product}");
    }
}

#[test]
fn every_variable_has_the_derivative_of_differences() {
    let network = small();
    let generator = &mut Generator::new(4);
    let x0 = generator.normal((3, 1, 8, 8), CPU).unwrap();
    let z = generator.normal_like(&x0).unwrap();
    let t = Tensor::new(&[0.3f32, 0.8, 0.5], CPU).unwrap();
    // Each value of each attribute occurs, not given too.
    let condition = labels(&[[0, 1], [3, 0], [1, 2]]);
    let loss = || denoising_loss_given(&network, &x0, &t, &z, &condition).unwrap();
    let gradients = loss().backward().unwrap();
    for (name, variable) in network.parameters().iter() {
        let gradient = gradients.get(variable).unwrap_or_else(|| panic!("{name} has none"));
        let norm = values(gradient).unwrap().iter().map(|g| g * g).sum::<f64>().sqrt();
        assert!(norm > 1e-5 && norm.is_finite(), "{name}: {norm}");
        let value = variable.as_detached_tensor().copy().unwrap();
        let direction = (gradient.detach() / norm).unwrap();
        // The loss moves by some thousandths, of which F32 keeps a few parts in a thousand.
        let h = (2e-3 / norm).min(0.05);
        let at = |h: f64| {
            variable.set(&(&value + (&direction * h).unwrap()).unwrap()).unwrap();
            values(&loss()).unwrap()[0]
        };
        let difference = (at(h) - at(-h)) / (2.0 * h);
        variable.set(&value).unwrap();
        let error = (difference / norm - 1.0).abs();
        assert!(error < 0.03, "{name}: {difference} by differences, {norm} by backward");
    }
}

#[test]
fn untrained_it_predicts_what_gaussian_data_would_have() {
    let network = network(ResidualUnetSettings { image_channels: 3, ..Default::default() });
    let generator = &mut Generator::new(4);
    for (height, width) in [(8, 8), (28, 28), (16, 64)] {
        let x = generator.normal((2, 3, height, width), CPU).unwrap();
        let t = Tensor::new(&[0.02f32, 1.0], CPU).unwrap();
        let score = network.score(&x, &t).unwrap();
        for (i, t) in [0.02f64, 1.0].into_iter().enumerate() {
            use scorebook::diffusion::NoisingProcess;
            let variance = (process().mean_scale(t) * 0.5).powi(2) + process().std(t).powi(2);
            let apart = score.get(i).unwrap() + (x.get(i).unwrap() / variance).unwrap();
            assert!(largest(&apart.unwrap()) < 1e-4 / variance);
        }
    }
}

/// Images of two classes, with a bright upper or left half, and what is drawn in the other half by a second attribute.
fn halves(count: usize) -> ImageSet {
    let (mut bytes, mut sides, mut shades): (Vec<u8>, _, _) = (vec![], vec![], vec![]);
    for i in 0..count {
        let (side, shade) = (i % 2, i / 2 % 3);
        sides.push(side as u8);
        shades.push(shade as u8);
        for y in 0..8usize {
            for x in 0..8usize {
                let bright = if side == 0 { y < 4 } else { x < 4 };
                bytes.push(if bright { 230 } else { [10, 60, 110][shade] });
            }
        }
    }
    let images = Tensor::from_vec(bytes, (count, 1, 8, 8), CPU).unwrap();
    let side = Attribute::new("side", &["upper", "left"], sides);
    let shade = Attribute::new("shade", &["black", "dark", "grey"], shades);
    ImageSet::with_attributes("halves", "this test", images, vec![side, shade]).unwrap()
}

fn for_halves(dropout: f64) -> ResidualUnet {
    network(ResidualUnetSettings {
        channels: vec![16, 16],
        attention: vec![1],
        embedding: 16,
        attributes: vec![2, 3],
        dropout,
        ..Default::default()
    })
}

#[test]
fn a_training_by_attributes_learns_them_and_goes_on_as_if_never_interrupted() {
    let folder = folder("by-attributes");
    let data = halves(48);
    let settings = TrainingSettings {
        batch: 16,
        learning_rate: 3e-3,
        warmup: 5,
        label_drop: LabelDrop { all: 0.2, each: 0.1 },
        ..Default::default()
    };
    let validation = Validation { every: 15, samples: 20, bins: 2, patience: None };
    let whole = for_halves(0.1);
    let mut training = Training::new(&whole, settings.clone()).unwrap();
    training.validate_on(&data, validation).unwrap();
    let report = training.run(&data, 60, |_| {}).unwrap();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&report.losses[..10]), mean(&report.losses[50..]));
    assert!(last < 0.7 * first, "from {first} to {last}");
    assert_eq!(report.validations.len(), 4);

    // Saved in the middle of an epoch and taken up by another network: the same bits, dropout and labels included.
    let path = folder.join("checkpoint.safetensors");
    let mut begun = Training::new(&for_halves(0.1), settings.clone()).unwrap();
    begun.run(&data, 25, |_| {}).unwrap();
    begun.save(&path).unwrap();
    let resumed = for_halves(0.1);
    let mut again = Training::resume(&resumed, &path).unwrap();
    again.validate_on(&data, validation).unwrap();
    again.run(&data, 35, |_| {}).unwrap();
    assert_eq!(bits(&resumed), bits(&whole));
    assert!(state(&again, &folder) == state(&training, &folder));

    // Right labels help, wrong ones harm.
    let x0 = data.tensor(0, 48).unwrap();
    let given = |shift: u32| {
        let row = |i: u32| [(i + shift) % 2, (i / 2 + shift) % 3];
        labels(&(0..48).map(row).collect::<Vec<_>>())
    };
    let z = Generator::new(8).normal_like(&x0).unwrap();
    let t = Tensor::full(0.7f32, 48, CPU).unwrap();
    let loss = |condition: &Condition| {
        values(&denoising_loss_given(&whole, &x0, &t, &z, condition).unwrap()).unwrap()[0]
    };
    let (right, wrong) = (loss(&given(0)), loss(&given(1)));
    let free = values(&denoising_loss(&whole, &x0, &t, &z).unwrap()).unwrap()[0];
    assert!(right < free && free < wrong, "right {right}, none {free}, wrong {wrong}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_batch_in_parts_drops_what_the_whole_batch_drops() {
    let data = halves(24);
    let run = |accumulate: usize, dropout: f64| {
        let settings = TrainingSettings { batch: 12, accumulate, ..Default::default() };
        let mut training = Training::new(&moved(for_halves(dropout)), settings).unwrap();
        training.run(&data, 3, |_| {}).unwrap().losses
    };
    let (whole, by_parts, none) = (run(1, 0.3), run(3, 0.3), run(1, 0.0));
    let apart = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max)
    };
    assert!(apart(&by_parts, &whole) < 1e-4, "{by_parts:?} is not {whole:?}");
    assert!(apart(&none, &whole) > 1e-3, "{none:?} without dropout, {whole:?} with it");
}

/// 6 standard errors of a share of 20,000 are 0.021 at most.
#[test]
fn labels_are_left_out_as_often_as_asked() {
    let labels = Tensor::zeros((20_000, 2), DType::U32, CPU).unwrap();
    let drop = LabelDrop { all: 0.25, each: 0.4 };
    let left = drop.apply(&labels, &[5, 9], &mut Generator::new(3)).unwrap();
    let rows = left.to_vec2::<u32>().unwrap();
    let share = |f: &dyn Fn(&Vec<u32>) -> bool| {
        rows.iter().filter(|row| f(row)).count() as f64 / rows.len() as f64
    };
    assert!((share(&|row| row[0] == 5 && row[1] == 9) - (0.25 + 0.75 * 0.16)).abs() < 0.021);
    assert!((share(&|row| row[0] == 5 && row[1] == 0) - 0.75 * 0.24).abs() < 0.021);
    assert!((share(&|row| row[0] == 0 && row[1] == 9) - 0.75 * 0.24).abs() < 0.021);
    assert!((share(&|row| row[0] == 0 && row[1] == 0) - 0.75 * 0.36).abs() < 0.021);
}

#[test]
fn what_does_not_fit_is_told() {
    let network = small();
    let t = Tensor::new(&[0.5f32, 0.5], CPU).unwrap();
    let x = |side: usize| Tensor::zeros((2, 1, side, side), DType::F32, CPU).unwrap();
    let told = |result: scorebook::Result<Tensor>, expected: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    };
    told(network.score(&x(7), &t), "[batch, 1, height, width] with sides divisible by 2");
    told(network.score(&x(0), &t), "with sides divisible by 2");
    let given = |rows: &[[u32; 2]]| network.noise_output_given(&x(8), &t, &labels(rows));
    told(
        given(&[[0, 0], [4, 0]]),
        "`labels` is 4; expected less than 3, the number of values of attribute 0, or 3 for not given",
    );
    told(given(&[[0, 0]]), "`labels` has shape [1, 2]; expected [2, 2]");
    let floats = Tensor::zeros((2, 2), DType::F32, CPU).unwrap();
    told(network.score_given(&x(8), &t, &floats), "of the type U32");
    let plain = for_plain();
    told(plain.score_given(&x(8), &t, &floats), "knows of no attributes");
    let guided = ClassifierFreeGuidance { score: &plain, labels: floats, scale: f64::NAN };
    told(guided.score(&x(8), &t), "`scale` is NaN");

    let usual = ResidualUnetSettings::default;
    for (settings, expected) in [
        (ResidualUnetSettings { channels: vec![], ..usual() }, "one to 16 levels"),
        (ResidualUnetSettings { channels: vec![20], ..usual() }, "a multiple of 8 from 16 on"),
        (ResidualUnetSettings { attention: vec![3], ..usual() }, "levels less than 3"),
        (ResidualUnetSettings { blocks: 0, ..usual() }, "`blocks` is 0"),
        (ResidualUnetSettings { embedding: 7, ..usual() }, "an even number"),
        (ResidualUnetSettings { dropout: 1.0, ..usual() }, "not including 1"),
        (ResidualUnetSettings { attributes: vec![3, 0], ..usual() }, "at least one value"),
        (ResidualUnetSettings { data_std: -1.0, ..usual() }, "a positive number"),
    ] {
        let made = ResidualUnet::new(settings, process(), &mut Generator::new(1), CPU);
        let message = made.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }

    let images = Generator::new(1).normal((30, 1, 8, 8), CPU).unwrap();
    let settings = TrainingSettings { batch: 10, ..Default::default() };
    let error = Training::new(&network, settings.clone()).unwrap().run(&images, 1, |_| {});
    let message = error.unwrap_err().to_string();
    assert!(message.contains("the network takes 2 attributes"), "{message}");
    let drop = LabelDrop { all: 1.5, each: 0.0 };
    let message = Training::new(&network, TrainingSettings { label_drop: drop, ..settings });
    assert!(message.unwrap_err().to_string().contains("`all` is 1.5"));
}

/// One without attributes.
fn for_plain() -> ResidualUnet {
    network(ResidualUnetSettings {
        channels: vec![16, 16],
        attention: vec![],
        ..Default::default()
    })
}

#[test]
fn a_model_knows_its_attributes_by_name() {
    let folder = folder("attributes");
    let path = folder.join("model.safetensors");
    let network = small();
    let names = |name: &str, values: &[&str]| Label::new(name, values);
    let mut card = ModelCard {
        architecture: network.architecture(),
        process: network.process(),
        data: "faces".into(),
        shape: vec![1, 8, 8],
        attributes: vec![names("hair", &["red", "brown", "grey"]), names("hat", &["none", "hat"])],
        training: serde_json::json!({}),
    };
    Model::save(&path, &card, &network).unwrap();
    let model = Model::load(&path, CPU).unwrap();
    assert_eq!((&model.card, model.attributes()), (&card, &[3, 2][..]));
    let labels = |given: &[(&str, &str)]| model.labels(given).map(|l| l.to_vec2::<u32>().unwrap());
    assert_eq!(labels(&[]).unwrap(), [[3, 2]]);
    assert_eq!(labels(&[("hat", "none")]).unwrap(), [[3, 0]]);
    assert_eq!(labels(&[("hat", "hat"), ("hair", "brown")]).unwrap(), [[1, 1]]);
    for (given, expected) in [
        (
            ("beard", "none"),
            "`attribute` is \"beard\"; expected an attribute of the model: hair, hat",
        ),
        (("hair", "blue"), "`value` is \"blue\"; expected a value of hair: red, brown, grey"),
    ] {
        assert_eq!(labels(&[given]).unwrap_err().to_string(), expected);
    }
    // Given nothing is not to be asked for labels.
    let x = Generator::new(2).normal((2, 1, 8, 8), CPU).unwrap();
    let t = Tensor::new(&[0.2f32, 0.7], CPU).unwrap();
    let score = |score: &dyn Score| values(&score.score(&x, &t).unwrap()).unwrap();
    assert_eq!(score(&model.given(&[]).unwrap()), score(&model));
    assert_ne!(score(&model.given(&[("hair", "red")]).unwrap()), score(&model));

    card.attributes.pop();
    Model::save(&path, &card, &network).unwrap();
    let message = Model::load(&path, CPU).unwrap_err().to_string();
    assert!(message.contains("names attributes of [3] values, its network has [3, 2]"));
    fs::remove_dir_all(folder).unwrap();

    // A file of before there were attributes.
    let old = Model::shipped("fashion-mnist", CPU).unwrap();
    assert_eq!((old.card.attributes.len(), old.attributes().len()), (0, 0));
    let message = old.labels(&[("class", "Boot")]).unwrap_err().to_string();
    assert!(message.contains("the model was trained without labels"), "{message}");
    assert!(matches!(old.card.architecture, Architecture::Unet(_)));
}

#[test]
fn any_network_is_the_one_in_it() {
    let network = small();
    let architecture = network.architecture();
    let any = architecture.network(process(), &mut Generator::new(5), CPU).unwrap();
    assert!(matches!(any, AnyNetwork::ResidualUnet(_)));
    any.parameters().set(&network.parameters().to_map(""), "").unwrap();
    let x = Generator::new(2).normal((2, 1, 8, 8), CPU).unwrap();
    let t = Tensor::new(&[0.2f32, 0.7], CPU).unwrap();
    let row = Tensor::new(&[[1u32, 1], [3, 0]], CPU).unwrap();
    let of = |network: &dyn Network| values(&network.score_given(&x, &t, &row).unwrap()).unwrap();
    assert_eq!(of(&any), of(&network));
    assert_eq!(of(&any.copy().unwrap()), of(&network));
    assert_eq!((any.attributes(), any.architecture()), (&[3, 2][..], architecture));
}

/// A score that counts how often it is asked.
struct Asked<S>(S, AtomicUsize);

impl<S: Score> Score for Asked<S> {
    fn score(&self, x: &Tensor, t: &Tensor) -> scorebook::Result<Tensor> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.score(x, t)
    }

    fn attributes(&self) -> &[usize] {
        self.0.attributes()
    }

    fn score_given(&self, x: &Tensor, t: &Tensor, l: &Tensor) -> scorebook::Result<Tensor> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.score_given(x, t, l)
    }
}

/// `∇ log [p(x) p(c|x)^(1+w)]` by central differences of the exact densities.
#[test]
fn guidance_is_the_score_of_the_class_to_a_power() {
    let (weights, means) = ([0.2, 0.3, 0.5], [[-1.0, 0.0], [0.5, 1.0], [0.8, -0.4]]);
    let law = |k: &[usize]| {
        let weights: Vec<f64> = k.iter().map(|k| weights[*k]).collect();
        let means: Vec<Vec<f64>> = k.iter().map(|k| means[*k].to_vec()).collect();
        let stds = vec![0.4; k.len()];
        MixtureScore::new(Mixture::new(weights, means, stds).unwrap(), process())
    };
    // The second class has two components.
    let classes = [law(&[0]), law(&[1, 2])];
    let whole = law(&[0, 1, 2]);
    let by_class = ByClass::new(whole.clone(), classes.clone());
    let x = Generator::new(3).normal((6, 2), CPU).unwrap().to_dtype(DType::F64).unwrap();
    let t = Tensor::new(&[0.01f64, 0.05, 0.1, 0.2, 0.4, 0.9], CPU).unwrap();
    let classes_of = [0usize, 1, 1, 0, 0, 1];
    let rows = classes_of.map(|class| class as u32);
    let given = Tensor::new(&rows, CPU).unwrap().unsqueeze(1).unwrap();
    for w in [-1.0, -0.5, 0.0, 0.7, 3.0] {
        // log p(x) + (1+w) log p(c|x), without the constant log p(c).
        let log_power = |x: &Tensor| -> Vec<f64> {
            let of = |law: &MixtureScore| values(&law.log_prob(x, &t).unwrap()).unwrap();
            let (all, classes) = (of(&whole), [of(&classes[0]), of(&classes[1])]);
            (0..6).map(|i| all[i] + (1.0 + w) * (classes[classes_of[i]][i] - all[i])).collect()
        };
        let asked = Asked(by_class.clone(), AtomicUsize::new(0));
        let guided = ClassifierFreeGuidance { score: &asked, labels: given.clone(), scale: w };
        let score = guided.score(&x, &t).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(asked.1.load(Ordering::Relaxed), 1);
        for axis in 0..2 {
            let step = Tensor::new(&[[0.0, 1.0][1 - axis], [0.0, 1.0][axis]], CPU).unwrap();
            let at = |h: f64| log_power(&x.broadcast_add(&(&step * h).unwrap()).unwrap());
            for (i, (up, down)) in at(1e-5).iter().zip(at(-1e-5)).enumerate() {
                let difference = (up - down) / 2e-5;
                let error = (score[i][axis] - difference).abs();
                assert!(error < 1e-6 * difference.abs().max(1.0), "w {w}: {error:e}");
            }
        }
    }
    // One row serves all, each row is its own class, and the number of the classes says nothing.
    let same = |a: &dyn Score, b: &dyn Score| {
        let (a, b) = (a.score(&x, &t).unwrap(), b.score(&x, &t).unwrap());
        assert!(largest(&(a - b).unwrap()) < 1e-12);
    };
    let one = |c: u32| Given { score: by_class.clone(), labels: Tensor::new(&[[c]], CPU).unwrap() };
    same(&one(0), &classes[0]);
    same(&one(1), &classes[1]);
    same(&one(2), &whole);
}
