//! Image sets: attributes, batches, and the files that they are read from.

use candle_core::{DType, Device, Tensor};
use scorebook::data::{Attribute, Augmentation, ImageSet, to_bytes};
use scorebook::random::Generator;
use scorebook::train::Source;

const CPU: &Device = &Device::Cpu;

/// `count` images of 1×2×3 with a number of its own in every pixel, whose attribute is the image's index.
fn numbered(count: u8) -> ImageSet {
    let bytes: Vec<u8> = (0..6 * count).collect();
    let images = Tensor::from_vec(bytes, (count as usize, 1, 2, 3), CPU).unwrap();
    let names: Vec<String> = (0..count).map(|index| index.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let attributes = vec![
        Attribute::new("index", &names, (0..count).collect()),
        Attribute::new("odd", &["no", "yes"], (0..count).map(|index| index % 2).collect()),
    ];
    ImageSet::with_attributes("numbered", "here", images, attributes).unwrap()
}

fn bytes(x: &Tensor) -> Vec<Vec<u8>> {
    to_bytes(x).unwrap().flatten_from(1).unwrap().to_vec2().unwrap()
}

#[test]
fn labels_are_those_of_the_batch() {
    let (set, generator) = (numbered(10), Generator::new(3));
    let mut seen = vec![];
    for step in 0..7 {
        let x = bytes(&set.batch(step, 4, &generator, CPU).unwrap());
        let labels = set.labels(step, 4, &generator, CPU).unwrap().unwrap();
        assert_eq!((labels.dims(), labels.dtype()), (&[4, 2][..], DType::U32));
        for (image, label) in x.iter().zip(labels.to_vec2::<u32>().unwrap()) {
            assert_eq!(label, [u32::from(image[0]) / 6, u32::from(image[0]) / 6 % 2]);
            seen.push(label[0]);
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() > 8, "{seen:?}");
    assert!(set.labels(0, 11, &generator, CPU).is_err());
    let plain = ImageSet::with_attributes("plain", "here", set.bytes(0, 10).unwrap(), vec![]);
    assert!(plain.unwrap().labels(0, 4, &generator, CPU).unwrap().is_none());
    // A source that knows nothing says so.
    assert!(set.tensor(0, 4).unwrap().labels(0, 4, &generator, CPU).unwrap().is_none());
}

#[test]
fn flips_mirror_about_half_of_the_images_and_are_a_function_of_seed_and_step() {
    let plain = numbered(40);
    let flipped = plain.clone().augmented(Augmentation { flips: true, ..Default::default() });
    let batch = |set: &ImageSet, seed, step| {
        bytes(&set.batch(step, 20, &Generator::new(seed), CPU).unwrap())
    };
    let mirror = |x: &[u8]| vec![x[2], x[1], x[0], x[5], x[4], x[3]];
    let mut mirrored = vec![];
    for step in 0..50 {
        for (x, y) in batch(&plain, 1, step).iter().zip(batch(&flipped, 1, step)) {
            assert!(y == *x || y == mirror(x), "{y:?} of {x:?}");
            mirrored.push(y != *x);
        }
    }
    // Of 1000 fair coins, within 6 standard deviations of 15.8.
    let count = mirrored.iter().filter(|&&mirrored| mirrored).count();
    assert!(count.abs_diff(500) < 95, "{count}");
    assert_ne!(mirrored[..20], mirrored[20..40]);
    assert_eq!(batch(&flipped, 1, 7), batch(&flipped, 1, 7));
    assert_ne!(batch(&flipped, 1, 7), batch(&flipped, 2, 7));
    // Labels are those of the images, mirrored or not.
    let labels = flipped.labels(7, 20, &Generator::new(1), CPU).unwrap().unwrap();
    for (image, label) in batch(&flipped, 1, 7).iter().zip(labels.to_vec2::<u32>().unwrap()) {
        assert_eq!(u32::from(image[0]) / 6, label[0]);
    }
    // Outside of batches images are as they are.
    assert_eq!(bytes(&flipped.tensor(0, 40).unwrap()), bytes(&plain.tensor(0, 40).unwrap()));
}

#[test]
fn dequantised_batches_fill_the_cells_of_their_bytes_evenly() {
    let plain = numbered(40);
    let spread = plain.clone().augmented(Augmentation { dequantise: true, ..Default::default() });
    let generator = Generator::new(5);
    let mut shares = vec![];
    for step in 0..100 {
        let x = plain.batch(step, 40, &generator, CPU).unwrap();
        let y = spread.batch(step, 40, &generator, CPU).unwrap();
        assert_eq!(y.dtype(), DType::F32);
        let share = ((y - x).unwrap() * 127.5).unwrap();
        shares.extend(share.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    }
    // From -1/2 to 1/2 of a cell, each tenth equally: of n = 24000 draws a bin differs from n/10 by
    // less than 6√(0.09n) = 279 but once in 10⁸. The rounding of f32 is 1e-5 of a cell.
    let mut bins = [0usize; 10];
    for share in &shares {
        assert!(share.abs() <= 0.5 + 2e-5, "{share}");
        bins[((share + 0.5) * 10.0).clamp(0.0, 9.0) as usize] += 1;
    }
    assert_eq!(shares.len(), 24_000);
    assert!(bins.iter().all(|bin| bin.abs_diff(2400) < 279), "{bins:?}");
    assert!(
        bytes(&spread.batch(3, 9, &generator, CPU).unwrap())
            == bytes(&plain.batch(3, 9, &generator, CPU).unwrap())
    );
}

#[test]
fn bytes_survive_the_way_to_numbers_and_back() {
    let all = Tensor::arange(0u8, 255, CPU).unwrap();
    let all = Tensor::cat(&[&all, &Tensor::new(&[255u8], CPU).unwrap()], 0).unwrap();
    let images = all.reshape((1, 1, 16, 16)).unwrap();
    let set = ImageSet::with_attributes("all", "here", images.clone(), vec![]).unwrap();
    let x = set.tensor(0, 1).unwrap();
    for dtype in [DType::F32, DType::F64] {
        let back = to_bytes(&x.to_dtype(dtype).unwrap()).unwrap();
        assert_eq!(
            back.flatten_all().unwrap().to_vec1::<u8>().unwrap(),
            all.to_vec1::<u8>().unwrap()
        );
    }
    assert_eq!(to_bytes(&set.tensor(0, 1).unwrap()).unwrap().dims(), images.dims());
    let infinite = Tensor::new(&[f32::NEG_INFINITY, f32::INFINITY, -1.2], CPU).unwrap();
    assert_eq!(to_bytes(&infinite).unwrap().to_vec1::<u8>().unwrap(), [0, 255, 0]);
    let error = to_bytes(&Tensor::new(&[0f32, f32::NAN], CPU).unwrap()).unwrap_err();
    assert!(error.to_string().contains("NaN"), "{error}");
    let error = to_bytes(&all).unwrap_err();
    assert!(error.to_string().contains("u8") && error.to_string().contains("floating"), "{error}");
}

#[test]
fn attributes_are_found_by_name_and_follow_their_images() {
    let set = numbered(10);
    assert_eq!(set.to_string(), "numbered: 10 images of 1×2×3 with index (10), odd (2), from here");
    assert_eq!(set.attribute("odd").unwrap().counts(), [5, 5]);
    let error = set.attribute("hat").unwrap_err().to_string();
    assert_eq!(error, "`name` is hat; expected an attribute of numbered: index, odd");
    let chosen = set.select(&[7, 2, 2]).unwrap();
    assert_eq!(chosen.attribute("index").unwrap().of, [7, 2, 2]);
    assert_eq!(chosen.attribute("odd").unwrap().value_of(0), "yes");
    assert_eq!(bytes(&chosen.tensor(0, 1).unwrap())[0], [42, 43, 44, 45, 46, 47]);
    assert!(set.select(&[10]).unwrap_err().to_string().contains("less than 10"));
    assert_eq!(set.select(&[]).unwrap().len(), 0);
    let twice = vec![set.attributes()[0].clone(), set.attributes()[0].clone()];
    let images = set.bytes(0, 10).unwrap();
    let error = ImageSet::with_attributes("x", "y", images.clone(), twice).unwrap_err();
    assert!(error.to_string().contains("no other attribute"), "{error}");
    let plain = ImageSet::with_attributes("plain", "here", images, vec![]).unwrap();
    assert_eq!(plain.to_string(), "plain: 10 images of 1×2×3, from here");
    assert!(plain.attribute("class").unwrap_err().to_string().contains("no attributes"));
}
