use crate::*;
use scorebook::data::Attribute;
use scorebook::metrics::accuracy;
use scorebook::random::Generator;
use scorebook::score::{
    ANY_LABEL, Classifier, ClassifierCard, ClassifierGuidance, ClassifierSettings, Label,
    LabelPosterior, MixturePosterior, Score,
};
use scorebook::train::{Classification, cross_entropy};

fn settings(process: Option<Process>) -> ClassifierSettings {
    let labels = vec![Label::new("shade", ["dark", "light"]), Label::new("side", 0..3)];
    ClassifierSettings {
        channels: vec![16, 24],
        features: 12,
        process,
        ..ClassifierSettings::new([3, 9, 8], labels)
    }
}

fn classifier(process: Option<Process>) -> Classifier {
    Classifier::new(settings(process), &mut Generator::new(1), CPU).unwrap()
}

fn vp() -> Process {
    VariancePreserving::default().into()
}

/// The exact score of a class is that of its component alone; scale 1 must give it, at all times, and scale 0 the score of
/// all data. Half the gradient, or one of the other sign, is far off.
#[test]
fn guidance_by_the_exact_posterior_is_the_score_of_the_class() {
    let mixture = three();
    for process in processes() {
        let all = MixtureScore::new(mixture.clone(), process);
        let posterior = MixturePosterior::new(mixture.clone(), process);
        let generator = &mut Generator::new(90);
        let x =
            (generator.normal((60, 2), CPU).unwrap().to_dtype(DType::F64).unwrap() * 3.0).unwrap();
        let horizon = process.horizon();
        let t: Vec<f64> = (1..=60).map(|i| horizon * f64::from(i) / 60.0).collect();
        let t = Tensor::new(t, CPU).unwrap();
        for (class, (mean, std)) in mixture.means().zip(mixture.stds()).enumerate() {
            let alone = Mixture::new([1.0], [mean.to_vec()], [*std]).unwrap();
            let expected = MixtureScore::new(alone, process).score(&x, &t).unwrap();
            let labels = Tensor::new(&[[class as u32]], CPU).unwrap();
            let guided = |scale| {
                ClassifierGuidance::new(all.clone(), posterior.clone(), &labels, scale)
                    .unwrap()
                    .score(&x, &t)
                    .unwrap()
            };
            let off = |score: &Tensor| {
                let difference = (score - &expected).unwrap().sqr().unwrap().sum_all().unwrap();
                let size = expected.sqr().unwrap().sum_all().unwrap();
                (difference / size).unwrap().to_scalar::<f64>().unwrap().sqrt()
            };
            assert!(off(&guided(1.0)) < 1e-10, "{process:?}: {}", off(&guided(1.0)));
            assert!(off(&guided(0.5)) > 1e-3);
            let unguided = (guided(0.0) - all.score(&x, &t).unwrap()).unwrap();
            assert_eq!(unguided.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap(), 0.0);
        }
        // A label that asks for nothing.
        let any = Tensor::new(&[[ANY_LABEL]], CPU).unwrap();
        let free = ClassifierGuidance::new(all.clone(), posterior.clone(), &any, 3.0).unwrap();
        let off = (free.score(&x, &t).unwrap() - all.score(&x, &t).unwrap()).unwrap();
        assert_eq!(off.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap(), 0.0);
    }
}

#[test]
fn labels_that_do_not_fit_are_errors() {
    let process = VariancePreserving::default();
    let (all, posterior) =
        (MixtureScore::new(three(), process), MixturePosterior::new(three(), process));
    let x = Tensor::zeros((2, 2), DType::F32, CPU).unwrap();
    let t = Tensor::new(&[0.1f32, 0.5], CPU).unwrap();
    let score = |labels: Tensor, x: &Tensor| {
        let guided = ClassifierGuidance::new(all.clone(), posterior.clone(), &labels, 1.0)?;
        guided.score(x, &t)
    };
    for (labels, expected) in [
        (Tensor::new(&[3u32], CPU).unwrap(), "[batch, attributes]"),
        (Tensor::new(&[[3u32]], CPU).unwrap(), "`label` is 3; expected less than 3"),
        (Tensor::new(&[[0u32], [1], [2]], CPU).unwrap(), "[2, 1], one a sample and attribute"),
    ] {
        let error = score(labels, &x).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let label = Tensor::new(&[[0u32]], CPU).unwrap();
    let tracked = candle_core::Var::from_tensor(&x).unwrap();
    assert!(score(label.clone(), &tracked).unwrap_err().to_string().contains("take differences"));
    assert!(ClassifierGuidance::new(all.clone(), posterior.clone(), &label, f64::NAN).is_err());
    // A classifier of clean images cannot guide.
    let clean = ClassifierGuidance::new(all, classifier(None), &label, 1.0).unwrap();
    let images = Tensor::zeros((2, 3, 9, 8), DType::F32, CPU).unwrap();
    assert!(clean.classifier.log_prob(&images, &t, &label).is_err());
}

#[test]
fn every_variable_of_a_classifier_receives_a_gradient() {
    let generator = &mut Generator::new(91);
    let x = generator.normal((6, 3, 9, 8), CPU).unwrap();
    let labels = Tensor::new(&[[0u32, 2], [1, 1], [0, 0], [1, 2], [0, 1], [1, 0]], CPU).unwrap();
    let t = Tensor::new(&[0.1f32, 0.3, 0.5, 0.7, 0.9, 1.0], CPU).unwrap();
    for (process, t) in [(None, None), (Some(vp()), Some(&t))] {
        let classifier = classifier(process);
        let gradients = cross_entropy(&classifier, &x, t, &labels).unwrap().backward().unwrap();
        for (name, variable) in classifier.parameters().iter() {
            let gradient = gradients.get(variable).unwrap_or_else(|| panic!("{name} has none"));
            let size = gradient.abs().unwrap().flatten_all().unwrap().max(0).unwrap();
            let size = size.to_scalar::<f32>().unwrap();
            assert!(size > 1e-7 && size.is_finite(), "{name}: {size}");
        }
    }
}

/// The probabilities of each label sum to 1, and the gradient in `x` is that of differences.
#[test]
fn the_posterior_of_a_classifier_is_differentiable() {
    let classifier = classifier(Some(vp()));
    let generator = &mut Generator::new(92);
    let x = generator.normal((2, 3, 9, 8), CPU).unwrap();
    let t = Tensor::new(&[0.2f32, 0.6], CPU).unwrap();
    for log_probs in classifier.log_probs(&x, Some(&t)).unwrap() {
        for total in log_probs.exp().unwrap().sum(1).unwrap().to_vec1::<f32>().unwrap() {
            assert!((total - 1.0).abs() < 1e-5);
        }
    }
    let labels = Tensor::new(&[[1u32, 2], [0, ANY_LABEL]], CPU).unwrap();
    let zero = ScoreFunction::new(|x, _| Ok(x.zeros_like()?));
    let guided = ClassifierGuidance::new(zero, classifier.clone(), &labels, 1.0).unwrap();
    let gradient = guided.score(&x, &t).unwrap();
    let direction = generator.normal_like(&x).unwrap();
    let slope = (&gradient * &direction).unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap();
    let h = 1e-2;
    let at = |h: f64| {
        let x = (&x + (&direction * h).unwrap()).unwrap();
        let log_prob = classifier.log_prob(&x, &t, &labels).unwrap();
        f64::from(log_prob.sum_all().unwrap().to_scalar::<f32>().unwrap())
    };
    let difference = (at(h) - at(-h)) / (2.0 * h);
    assert!((difference / f64::from(slope) - 1.0).abs() < 0.02, "{difference}, {slope}");
}

/// Images whose two attributes are plain to see: shade and which channel is brighter.
fn shades(count: usize, seed: u64) -> ImageSet {
    let mut noise = vec![0f32; count * 3 * 72];
    Generator::new(seed).fill_normal(&mut noise);
    let (mut shade, mut side) = (vec![], vec![]);
    for i in 0..count {
        shade.push((i % 2) as u8);
        side.push((i / 2 % 3) as u8);
    }
    let byte = |(at, z): (usize, f32)| {
        let (i, channel) = (at / 216, at / 72 % 3);
        let level = 90.0
            + 60.0 * f32::from(shade[i])
            + if channel == side[i] as usize { 40.0 } else { 0.0 };
        (level + 25.0 * z).clamp(0.0, 255.0) as u8
    };
    let bytes: Vec<u8> = noise.into_iter().enumerate().map(byte).collect();
    let images = Tensor::from_vec(bytes, (count, 3, 9, 8), CPU).unwrap();
    let attributes = vec![
        Attribute::new("shade", &["dark", "light"], shade),
        Attribute::new("side", &["0", "1", "2"], side),
    ];
    ImageSet::with_attributes("shades", "here", images, attributes).unwrap()
}

#[test]
fn a_classifier_learns_what_is_plain_to_see() {
    let (train, test) = (shades(240, 93), shades(120, 94));
    let labels = |set: &ImageSet| {
        let column = |i: usize| Tensor::new(set.attributes()[i].of.as_slice(), CPU).unwrap();
        Tensor::stack(&[column(0), column(1)], 1).unwrap().to_dtype(DType::U32).unwrap()
    };
    let images = test.tensor(0, 120).unwrap();
    for process in [None, Some(vp())] {
        let classifier = classifier(process);
        let right = |generator: &mut Generator| {
            let noise = process.is_some().then_some((0.1, generator));
            accuracy(&classifier, &images, &labels(&test), noise).unwrap()
        };
        let before = right(&mut Generator::new(95));
        let training = Classification { steps: 400, batch: 40, learning_rate: 5e-3, seed: 3 };
        let report = training.run(&classifier, &train, |_, _| {}).unwrap();
        let after = right(&mut Generator::new(95));
        // Chance is ½ and ⅓ and has a standard deviation of 0.05 in 120 images: what is more than 5 of them above is learned.
        assert!(before[0] < 0.8 && before[1] < 0.6, "{before:?}");
        assert!(after[0] > 0.95 && after[1] > 0.9, "{after:?}");
        assert!(report.losses.len() == 400 && !report.interrupted);
    }
    let points = Tensor::zeros((40, 2), DType::F32, CPU).unwrap();
    let error = Classification::default().run(&classifier(None), &points, |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("batch"), "{error}");
    let training = Classification { batch: 40, ..Default::default() };
    let error = training.run(&classifier(None), &points, |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("without labels"), "{error}");
}

#[test]
fn a_classifier_is_written_and_read_back() {
    let folder = std::env::temp_dir().join(format!("scorebook-classifier-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.safetensors");
    let classifier = classifier(Some(vp()));
    let card = ClassifierCard {
        name: "by-hand".into(),
        settings: classifier.settings().clone(),
        data: "nothing".into(),
        training: serde_json::json!({ "steps": 0 }),
    };
    classifier.save(&path, &card).unwrap();
    let (read, found) = Classifier::load(&path, CPU).unwrap();
    assert_eq!((read.name(), found), ("by-hand", card));
    let x = Generator::new(96).normal((2, 3, 9, 8), CPU).unwrap();
    let t = Tensor::new(&[0.2f32, 0.6], CPU).unwrap();
    let features = |of: &Classifier| of.features(&x, Some(&t)).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(features(&read), features(&classifier));

    for (images, time, expected) in [
        (&x, None, "expected a time"),
        (&x.narrow(2, 0, 8).unwrap(), Some(&t), "expected [batch, 3, 9, 8], the images of by-hand"),
    ] {
        let error = read.features(images, time).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let cut = std::fs::read(&path).unwrap();
    std::fs::write(&path, &cut[..cut.len() - 5]).unwrap();
    let error = Classifier::load(&path, CPU).unwrap_err().to_string();
    assert!(error.contains("not a whole safetensors file"), "{error}");
    let model = scorebook::data::folder().join("weights/fashion-mnist.safetensors");
    let error = Classifier::load(&model, CPU).unwrap_err().to_string();
    assert!(error.contains("no entry \"scorebook-classifier\""), "{error}");
    assert!(error.contains("scorebook train-classifier"), "{error}");
    assert!(Classifier::load(folder.join("none"), CPU).is_err());
    std::fs::remove_dir_all(folder).unwrap();

    let good = settings(None);
    for (settings, name) in [
        (ClassifierSettings { shape: [3, 7, 8], ..good.clone() }, "`shape`"),
        (ClassifierSettings { labels: vec![], ..good.clone() }, "`labels`"),
        (ClassifierSettings { labels: vec![Label::new("one", ["a"])], ..good.clone() }, "`values`"),
        (ClassifierSettings { channels: vec![8], ..good.clone() }, "`channels`"),
        (ClassifierSettings { features: 0, ..good }, "`features`"),
    ] {
        let error = Classifier::new(settings, &mut Generator::new(1), CPU).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}
