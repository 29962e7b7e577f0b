use crate::*;
use scorebook::data::Attribute;
use scorebook::metrics::{
    ClassHistogram, FeatureComparison, Features, ImageComparison, ImageMetric, Memorisation,
    Moments, frechet_distance, kernel_distance, precision_recall, psnr, ssim,
};
use scorebook::random::Generator;
use scorebook::score::{Classifier, ClassifierSettings, Label};
use serde::Deserialize;

/// `tests/golden/image_metrics.py`.
#[derive(Deserialize)]
struct Golden {
    frechet: f64,
    frechet_singular: f64,
    kernel: [f64; 2],
    precision: f64,
    recall: f64,
    psnr: f64,
    ssim: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/image_metrics.json")).unwrap()
}

/// The formula of the golden data.
fn formula(count: usize, size: usize, seed: f64) -> Tensor {
    let value = |at: usize| {
        let (i, j) = ((at / size) as f64, (at % size) as f64);
        (seed + 0.7 * i * (j + 1.0) + 0.3 * j * j).sin() + 0.1 * seed * (1.3 * i + j).cos()
    };
    Tensor::from_vec((0..count * size).map(value).collect::<Vec<f64>>(), (count, size), CPU)
        .unwrap()
}

fn features(values: Tensor) -> Features {
    Features::new(values, "a net", "some images").unwrap()
}

fn normal(n: usize, dim: usize, generator: &mut Generator) -> Tensor {
    generator.normal((n, dim), CPU).unwrap()
}

/// The features are F32, which rounds them to 10⁻⁷.
#[test]
fn distances_of_features_are_those_of_scipy() {
    let golden = golden();
    let (x, y) = (formula(120, 6, 1.0), formula(90, 6, 2.0));
    // The moments are taken in the type of the rows.
    let distance = |x: &Tensor, y: &Tensor| {
        Moments::of(x).unwrap().frechet_distance(&Moments::of(y).unwrap()).unwrap()
    };
    assert!((distance(&x, &y) - golden.frechet).abs() < 1e-9, "{}", distance(&x, &y));
    let double = |x: &Tensor| {
        let ones = Tensor::ones((x.dim(0).unwrap(), 1), DType::F64, CPU).unwrap();
        Tensor::cat(&[x, &x.narrow(1, 0, 1).unwrap(), &ones], 1).unwrap()
    };
    // A root of an eigenvalue that rounds to 10⁻¹⁶ is 10⁻⁸, there as here.
    let singular = distance(&double(&x), &double(&y));
    assert!((singular - golden.frechet_singular).abs() < 1e-6, "{singular}");

    let (x, y) = (features(x), features(y));
    assert!((frechet_distance(&x, &y).unwrap() - golden.frechet).abs() < 1e-5);
    let kernel = kernel_distance(&x, &y, 30).unwrap();
    assert!((kernel.value - golden.kernel[0]).abs() < 1e-5, "{kernel}");
    assert!((kernel.standard_error - golden.kernel[1]).abs() < 1e-5, "{kernel}");
    let found = precision_recall(&x, &y, 3).unwrap().unwrap();
    assert!((found.precision - golden.precision).abs() < 1e-12, "{found:?}");
    assert!((found.recall - golden.recall).abs() < 1e-12, "{found:?}");
}

#[test]
fn likenesses_of_images_are_those_of_scipy() {
    let golden = golden();
    let image = |seed| formula(16, 20, seed).reshape((1, 1, 16, 20)).unwrap();
    let (x, y) = (image(1.0), image(3.0));
    assert!((psnr(&x, &y, 2.0).unwrap()[0] - golden.psnr).abs() < 1e-10);
    assert!((ssim(&x, &y, 2.0).unwrap()[0] - golden.ssim).abs() < 1e-10);
    // The mean over channels; the second image of the batch by itself.
    let pair = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], 1).unwrap();
    let batch = |a: &Tensor, b: &Tensor| Tensor::cat(&[pair(a, b), pair(b, b)], 0).unwrap();
    let found = ssim(&batch(&x, &x), &batch(&y, &x), 2.0).unwrap();
    assert!((found[0] - (golden.ssim + 1.0) / 2.0).abs() < 1e-10 && (found[1] - 1.0).abs() < 1e-10);
    assert_eq!(psnr(&x, &x, 2.0).unwrap(), [f64::INFINITY]);
    assert!(psnr(&x, &y, 0.0).is_err() && ssim(&x, &x.narrow(2, 0, 10).unwrap(), 2.0).is_err());
    let small = x.narrow(2, 0, 10).unwrap();
    assert!(ssim(&small, &small, 2.0).unwrap_err().to_string().contains("at least 11"));
}

/// With commuting covariances `d² = ‖μ - ν‖² + Σ (√λ - √κ)²`; a shift alone leaves `‖v‖²`.
#[test]
fn frechet_distance_of_known_moments() {
    let diagonal = |values: [f64; 3]| {
        (0..9).map(|at| if at % 4 == 0 { values[at / 4] } else { 0.0 }).collect::<Vec<f64>>()
    };
    let a = Moments::new(vec![0.0, 1.0, 2.0], diagonal([4.0, 0.0, 1.0])).unwrap();
    let b = Moments::new(vec![1.0, 1.0, 0.0], diagonal([1.0, 9.0, 0.0])).unwrap();
    let distance = a.frechet_distance(&b).unwrap();
    assert!((distance - (5.0 + 1.0 + 9.0 + 1.0)).abs() < 1e-12, "{distance}");
    assert_eq!(distance, b.frechet_distance(&a).unwrap());
    let nothing = Moments::new(vec![0.0; 3], vec![0.0; 9]).unwrap();
    assert_eq!(nothing.frechet_distance(&a).unwrap(), 5.0 + 5.0);
    // N(0, A) and N(0, B) in the plane, of which one is turned: tr (AB)^½ = √(tr AB + 2 √det AB).
    let plane = |covariance: [f64; 4]| Moments::new(vec![0.0; 2], covariance.to_vec()).unwrap();
    let distance = plane([2.0, 0.6, 0.6, 1.0]).frechet_distance(&plane([1.0, -0.5, -0.5, 3.0]));
    let (trace, determinants) = (2.0 - 0.6 + 3.0f64, (2.0 - 0.36) * (3.0 - 0.25f64));
    let expected = 7.0 - 2.0 * (trace + 2.0 * determinants.sqrt()).sqrt();
    assert!((distance.unwrap() - expected).abs() < 1e-12);

    let mut generator = Generator::new(80);
    let x = normal(300, 20, &mut generator);
    let moved = (&x + 0.5).unwrap();
    let distance = frechet_distance(&features(x.clone()), &features(moved)).unwrap();
    assert!((distance - 20.0 * 0.25).abs() < 1e-4, "{distance}");
    assert!(frechet_distance(&features(x.clone()), &features(x)).unwrap() < 1e-6);
}

/// Of two samples of `N(0, I)` the distance has a bias of about `d²/4 (1/n + 1/m) + d (1/n + 1/m)`: the floor is not 0.
#[test]
fn the_floor_of_the_frechet_distance_falls_with_the_number_of_images() {
    let mut generator = Generator::new(81);
    let mut floor = |n| {
        let (x, y) = (normal(n, 30, &mut generator), normal(n, 30, &mut generator));
        frechet_distance(&features(x), &features(y)).unwrap()
    };
    let (few, many) = (floor(300), floor(3000));
    // Each scatters by 7 %.
    assert!(few / many > 6.0 && few / many < 15.0, "{few}, {many}");
    assert!((many * 3000.0 / 2.0 / (30.0 + 900.0 / 4.0) - 1.0).abs() < 0.35, "{many}");
}

/// Forty estimates on equal laws: their mean is 0 to five of its standard errors, which the biased estimate (with the
/// diagonal) misses by far.
#[test]
fn the_kernel_distance_is_unbiased() {
    let mut generator = Generator::new(82);
    let (n, subset) = (2000, 50);
    let (x, y) = (normal(n, 10, &mut generator), normal(n, 10, &mut generator));
    let found = kernel_distance(&features(x.clone()), &features(y.clone()), subset).unwrap();
    assert!(found.value.abs() < 5.0 * found.standard_error, "{found}");
    // E k(x, x) ≥ 2³ by Jensen, E k(x, y) = 1.3.
    let bias = 2.0 * (8.0 - 1.3) / subset as f64;
    assert!(bias > 10.0 * found.standard_error, "{found}: the biased one would not be seen");
    // E k(x, y) = 1 + 3 E (x·y/d)²= 1 + 3/d for standard normal x, y; for y + v: 1 + 3 (d + v²)/d² with v² = ‖v‖²;
    // within y + v: 1 + 3 v²/d + 3 (d + 2v² + v⁴)/d² + (v⁶ + 6 v⁴ + 3 d v² + 6 v²)/d³, so
    // MMD² = 3 v²/d + 3 v⁴/d² + (v⁶ + 6 v⁴ + (3 d + 6) v²)/d³.
    let (d, v2) = (10.0f64, 10.0 * 0.3f64.powi(2));
    let expected = 3.0 * v2 / d
        + 3.0 * v2 * v2 / (d * d)
        + (v2.powi(3) + 6.0 * v2 * v2 + (3.0 * d + 6.0) * v2) / d.powi(3);
    let found = kernel_distance(&features(x), &features((y + 0.3).unwrap()), subset).unwrap();
    assert!((found.value - expected).abs() < 5.0 * found.standard_error, "{found}, not {expected}");
    assert!(expected > 5.0 * found.standard_error);
}

#[test]
fn precision_and_recall_of_supports() {
    let mut generator = Generator::new(83);
    let x = normal(400, 3, &mut generator);
    let (far, shifted) = ((&x + 100.0).unwrap(), normal(400, 3, &mut generator));
    let of = |real: &Tensor, generated: &Tensor| {
        let found = precision_recall(&features(real.clone()), &features(generated.clone()), 3);
        let found = found.unwrap().unwrap();
        (found.precision, found.recall)
    };
    assert_eq!(of(&x, &x), (1.0, 1.0));
    assert_eq!(of(&x, &far), (0.0, 0.0));
    let (precision, recall) = of(&x, &shifted);
    assert!(precision > 0.8 && recall > 0.8, "{precision}, {recall}");
    // A hundredth of the law: all of it is good, little is covered. The other way about the numbers change places.
    let narrow = (shifted * 0.2).unwrap();
    let (precision, recall) = of(&x, &narrow);
    assert!(precision > 0.95 && recall < 0.2, "{precision}, {recall}");
    assert_eq!(of(&narrow, &x), (recall, precision));
}

/// The shares of `p` against themselves: a tenth of the p-values is below 0.1.
#[test]
fn the_test_of_shares_is_calibrated() {
    let mut generator = Generator::new(84);
    let mut counts = |n: usize| {
        let mut u = vec![0f32; n];
        generator.fill_uniform(&mut u);
        let labels: Vec<u32> = u.iter().map(|u| (u * u * 4.0) as u32).collect();
        ClassHistogram::count(&labels, 5).unwrap()
    };
    let small = (0..2000)
        .filter(|_| ClassHistogram::compare(&counts(300), &counts(700)).unwrap().p_value < 0.1)
        .count() as f64;
    assert!((small - 200.0).abs() < 5.0 * 180f64.sqrt() + 10.0, "{small}");
    let apart = ClassHistogram::compare(&[10, 0], &[0, 20]).unwrap();
    // The table of a perfect separation has χ² = n + m.
    assert!(apart.total_variation == 1.0 && (apart.chi_squared - 30.0).abs() < 1e-12);
    assert_eq!(ClassHistogram::compare(&[3, 0], &[9, 0]).unwrap().p_value, 1.0);
    assert!(ClassHistogram::compare(&[0, 0], &[9, 0]).is_err());
    assert!(ClassHistogram::compare(&[1], &[9, 0]).is_err());
    assert!(ClassHistogram::count(&[5], 5).is_err());
}

/// More rows than a block of the table has, copies among them.
#[test]
fn neighbours_are_found_across_blocks() {
    let mut generator = Generator::new(85);
    let train = (normal(9000, 4, &mut generator) + 50.0).unwrap();
    let rows = Tensor::new(&[8999u32, 0, 8192, 511, 4000], CPU).unwrap();
    let copies = train.index_select(&rows, 0).unwrap();
    let held_out = (normal(600, 4, &mut generator) + 50.0).unwrap();
    let found = Memorisation::of(&copies, &train, &held_out).unwrap().unwrap();
    assert_eq!(found.nearest, [8999, 0, 8192, 511, 4000]);
    assert_eq!((found.distances.as_slice(), found.suspicious()), (&[0.0; 5][..], 1.0));
    let brute = |x: &[f32]| {
        let rows = train.to_vec2::<f32>().unwrap();
        let square =
            |row: &Vec<f32>| row.iter().zip(x).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
        (rows.iter().map(square).fold(f64::INFINITY, f64::min) / 4.0).sqrt()
    };
    for at in [0, 300, 599] {
        let x = held_out.to_vec2::<f32>().unwrap()[at].clone();
        assert!((found.held_out[at] - brute(&x)).abs() < 1e-6);
    }
    assert!(Memorisation::of(&copies, &train, &held_out.narrow(1, 0, 3).unwrap()).is_err());
}

#[test]
fn what_does_not_fit_is_an_error() {
    let mut generator = Generator::new(86);
    let (x, y) = (features(normal(40, 3, &mut generator)), features(normal(40, 4, &mut generator)));
    let other = Features::new(normal(40, 3, &mut generator), "another net", "").unwrap();
    assert!(frechet_distance(&x, &y).unwrap_err().to_string().contains("[images, 3]"));
    let error = frechet_distance(&x, &other).unwrap_err().to_string();
    assert!(error.contains("\"another net\"; expected features of the same net"), "{error}");
    let error = frechet_distance(&x, &x.first(1).unwrap()).unwrap_err().to_string();
    assert!(error.contains("at least two rows"), "{error}");
    assert!(kernel_distance(&x, &x, 21).unwrap_err().to_string().contains("from 2 to 20"));
    assert!(precision_recall(&x, &x, 40).unwrap_err().to_string().contains("from 1 to 39"));
    assert!(Features::new(Tensor::new(&[[f32::NAN]], CPU).unwrap(), "", "").is_err());
    let comparison = FeatureComparison::new(&x, Some(&x)).unwrap();
    let error = comparison.report(&x.first(3).unwrap(), &[ImageMetric::Frechet]).unwrap_err();
    let expected = "`images` is 3; expected at least 4, for the covariance of 3 features";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn features_come_from_files() {
    let folder = std::env::temp_dir().join(format!("scorebook-features-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let x = normal(7, 3, &mut Generator::new(87));
    features(x.clone()).save(folder.join("a.safetensors")).unwrap();
    x.write_npy(folder.join("inception.npy")).unwrap();
    let a = Features::load(folder.join("a.safetensors")).unwrap();
    let b = Features::load(folder.join("inception.npy")).unwrap();
    assert_eq!((a.net(), b.net(), a.images()), ("a net", "unnamed", "some images"));
    for found in [&a, &b] {
        assert_eq!(found.values().to_vec2::<f32>().unwrap(), x.to_vec2::<f32>().unwrap());
    }
    std::fs::write(folder.join("broken.npy"), "no array").unwrap();
    std::fs::write(folder.join("broken.safetensors"), "no tensors").unwrap();
    for (name, cause) in [
        ("broken.npy", "its array cannot be read"),
        ("broken.safetensors", "not a whole safetensors file"),
        ("missing.npy", "is not a file"),
    ] {
        let error = Features::load(folder.join(name)).unwrap_err().to_string();
        assert!(error.contains(cause), "{error}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// An untrained classifier serves: real images against real ones are at the floor, noise is far from it.
#[test]
fn a_comparison_of_images() {
    let generator = &mut Generator::new(88);
    let settings = ClassifierSettings::new([1, 8, 8], vec![Label::new("class", 0..3)]);
    let settings = ClassifierSettings { channels: vec![16], features: 8, ..settings };
    let classifier = Classifier::new(settings, generator, CPU).unwrap();
    let mut set = |count: usize| {
        // Bytes about 100 with gentle slopes.
        let x = generator.normal((count, 1, 1, 1), CPU).unwrap();
        let slope = Tensor::arange(0f32, 64.0, CPU).unwrap().reshape((1, 1, 8, 8)).unwrap();
        let bytes = (x.broadcast_mul(&slope).unwrap() + 100.0).unwrap().clamp(0.0, 255.0).unwrap();
        ImageSet::new("slopes", "here", bytes.to_dtype(DType::U8).unwrap(), vec![0; count], &["a"])
            .unwrap()
    };
    let (train, test, more) = (set(300), set(100), set(200));
    let comparison = ImageComparison::new(&classifier, &train, &test, 250).unwrap();
    let good = comparison.report(&more.tensor(0, 200).unwrap(), &ImageMetric::ALL).unwrap();
    assert_eq!((good.images, good.reference_images, good.floor_images), (200, 250, 100));
    let noise = Generator::new(89).normal((150, 1, 8, 8), CPU).unwrap();
    let bad = comparison.report(&noise, &ImageMetric::ALL).unwrap();
    let value = |report: &scorebook::metrics::ImageReport, name: &str| {
        let measure = report.get(name).unwrap();
        (measure.value, measure.floor.unwrap())
    };
    let (distance, floor) = value(&good, "Fréchet distance");
    let far = value(&bad, "Fréchet distance").0;
    assert!(distance < 0.05 * far && floor < 0.05 * far, "{distance}, {floor}, {far}");
    assert!(value(&good, "precision").0 > 0.8 && value(&bad, "precision").0 < 0.2);
    let (near, floor) = value(&good, "median distance to the training");
    assert!(near < 3.0 * floor && value(&bad, "median distance to the training").0 > 10.0 * floor);
    assert!(good.get("shares of class: p-value").is_some() && !good.interrupted);
    let wrong = Tensor::zeros((5, 1, 9, 8), DType::F32, CPU).unwrap();
    let error = comparison.report(&wrong, &ImageMetric::ALL).unwrap_err().to_string();
    assert!(error.contains("expected [batch, 1, 8, 8], the images of classifier"), "{error}");
}

/// Labels that the classifier gives are all right, shifted ones all wrong; the floor counts the set's own labels.
#[test]
fn the_accuracy_of_what_was_asked_for() {
    let generator = &mut Generator::new(90);
    let label = |name: &str, count: u8| Label::new(name, 0..count);
    let settings = ClassifierSettings::new([1, 8, 8], vec![label("shape", 3), label("colour", 2)]);
    let settings = ClassifierSettings { channels: vec![16], features: 8, ..settings };
    let classifier = Classifier::new(settings, generator, CPU).unwrap();
    let mut set = |count: usize, names: &[&str]| {
        let bytes = generator.uniform(0.0, 256.0, count * 64, CPU).unwrap();
        let bytes = bytes.floor().unwrap().to_dtype(DType::U8).unwrap();
        let of = |values: u8| (0..count).map(|i| (i % usize::from(values)) as u8).collect();
        let known = vec![
            Attribute::new(names[0], &["0", "1", "2"], of(3)),
            Attribute::new(names[1], &["0", "1"], of(2)),
        ];
        let bytes = bytes.reshape((count, 1, 8, 8)).unwrap();
        ImageSet::with_attributes("noise", "here", bytes, known).unwrap()
    };
    let names = ["shape", "colour"];
    let (train, test, stranger) = (set(40, &names), set(30, &names), set(30, &["form", "colour"]));
    let x = set(20, &names).tensor(0, 20).unwrap();
    let told = classifier.predict(&x, None).unwrap().to_vec2::<u32>().unwrap();
    let tensor = |rows: &[Vec<u32>]| Tensor::new(rows.to_vec(), CPU).unwrap();
    let comparison = ImageComparison::new(&classifier, &train, &test, 40).unwrap();
    let of = |labels: &[Vec<u32>]| {
        let metrics = [ImageMetric::Accuracy];
        comparison.report_given(&x, &tensor(labels), &metrics).unwrap().measures
    };
    let values = |measures: &[scorebook::metrics::Measure]| -> Vec<f64> {
        measures.iter().map(|measure| measure.value).collect()
    };
    let right = of(&told);
    let called: Vec<&str> = right.iter().map(|measure| measure.name.as_str()).collect();
    assert_eq!(called, ["accuracy of shape", "accuracy of colour", "accuracy of all together"]);
    assert_eq!(values(&right), [1.0; 3]);
    let shifted: Vec<Vec<u32>> = told.iter().map(|row| vec![(row[0] + 1) % 3, row[1]]).collect();
    assert_eq!(values(&of(&shifted)), [0.0, 1.0, 0.0]);
    // The floor is of the first 20 in the order of the comparison, which is the generator's 0.
    let order = Generator::new(0).permutation(30);
    let seen = classifier.predict(&test.tensor(0, 30).unwrap(), None).unwrap();
    let seen = seen.to_vec2::<u32>().unwrap();
    let shapes =
        order[..20].iter().filter(|&&i| seen[i as usize][0] == i % 3).count() as f64 / 20.0;
    assert_eq!(right[0].floor, Some(shapes));
    assert!(
        (right[0].floor_standard_error.unwrap() - (shapes * (1.0 - shapes) / 20.0).sqrt()).abs()
            < 1e-12
    );
    // A set that knows other things has no floor, and images without labels no accuracy.
    let comparison = ImageComparison::new(&classifier, &train, &stranger, 40).unwrap();
    let metrics = [ImageMetric::Accuracy];
    assert_eq!(
        comparison.report_given(&x, &tensor(&told), &metrics).unwrap().measures[0].floor,
        None
    );
    assert!(comparison.report(&x, &metrics).unwrap().measures.is_empty());
    assert!(comparison.report_given(&x, &tensor(&told[..3]), &metrics).is_err());
}
