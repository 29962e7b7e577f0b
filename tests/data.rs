//! Image sets: attributes, batches, and the files that they are read from.

use base64::Engine;
use candle_core::{DType, Device, Tensor};
use flate2::{Compression, write::GzEncoder};
use scorebook::Result;
use scorebook::data::{
    self, Attribute, Augmentation, Digits, Emoji, ImageFolder, ImageSet, PixelFaces, Split,
    cifar10, mnist, to_bytes,
};
use scorebook::random::Generator;
use scorebook::train::Source;
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const CPU: &Device = &Device::Cpu;

/// A new folder of this name.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("scorebook-data-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn message(result: Result<ImageSet>) -> String {
    result.unwrap_err().to_string()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

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
    // Between two bytes, the nearer one.
    let between = Tensor::new(&[-1.0 + 9.4 / 127.5, -1.0 + 9.6 / 127.5], CPU).unwrap();
    assert_eq!(to_bytes(&between).unwrap().to_vec1::<u8>().unwrap(), [9, 10]);
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

/// All images of a set, a vector of bytes each.
fn images(set: &ImageSet) -> Vec<Vec<u8>> {
    set.bytes(0, set.len()).unwrap().flatten_from(1).unwrap().to_vec2().unwrap()
}

#[test]
fn pixel_faces_wear_what_their_attributes_say() {
    let (train, test) = (PixelFaces::default(), PixelFaces::default());
    let (train, test) = (train.load(Split::Train).unwrap(), test.load(Split::Test).unwrap());
    assert_eq!((train.len(), test.len(), train.shape()), (18_000, 2000, &[3, 16, 16][..]));
    let names: Vec<&str> = test.attributes().iter().map(|known| known.name.as_str()).collect();
    assert_eq!(names, ["hair", "glasses", "hat", "beard", "mouth", "skin"]);
    let all: HashSet<_> = images(&train).into_iter().chain(images(&test)).collect();
    assert_eq!(all.len(), 20_000, "some face is there twice");
    // Counted in the table by awk.
    let counts = |name: &str| {
        let both = [&train, &test].map(|set| set.attribute(name).unwrap().counts());
        both[0].iter().zip(&both[1]).map(|(a, b)| a + b).collect::<Vec<_>>()
    };
    assert_eq!(counts("hair"), [10_736, 9264]);
    assert_eq!(counts("glasses"), [15_943, 2056, 2001]);
    assert_eq!(counts("hat"), [18_990, 1010]);
    assert_eq!(counts("beard"), [18_999, 1001]);
    assert_eq!(counts("mouth"), [11_269, 8731]);
    assert_eq!(counts("skin"), [2511, 2554, 2553, 2469, 2405, 2514, 2529, 2465]);
    // The lighter the skin that is said, the lighter the middle of the face: the mean of rows 6 to 9, columns 6 to 9.
    let skin = train.attribute("skin").unwrap();
    let mut light = [(0u32, 0u32); 8];
    for (face, &value) in images(&train).iter().zip(&skin.of) {
        let (sum, count) = &mut light[value as usize];
        let of_row = |row: usize| &face[16 * row + 6..16 * row + 10];
        *sum += (6..10).flat_map(of_row).map(|&byte| u32::from(byte)).sum::<u32>();
        *count += 1;
    }
    let means: Vec<u32> = light.iter().map(|(sum, count)| sum / count / 16).collect();
    assert!(means.is_sorted() && means[7] > means[0] + 60, "{means:?}");
    // Styles are finer, and a style belongs to its kind.
    let styled = PixelFaces { styles: true, ..Default::default() }.load(Split::Test).unwrap();
    let sizes: Vec<usize> = styled.attributes().iter().map(|known| known.values.len()).collect();
    assert_eq!(sizes, [45, 15, 11, 9, 23, 8]);
    for name in names {
        let (kind, style) = (test.attribute(name).unwrap(), styled.attribute(name).unwrap());
        for face in 0..test.len() {
            let (kind, style) = (kind.value_of(face), style.value_of(face));
            let same = style.starts_with(kind) || kind == name && style.starts_with("variant");
            assert!(same, "{name}: {kind}, {style}");
        }
    }
}

#[test]
fn emoji_are_split_by_glyph() {
    let (train, test) = (Emoji::default(), Emoji::default());
    let (train, test) = (train.load(Split::Train).unwrap(), test.load(Split::Test).unwrap());
    assert_eq!((train.len(), test.len(), train.shape()), (4935, 550, &[3, 32, 32][..]));
    let counts = |name: &str| {
        let both = [&train, &test].map(|set| set.attribute(name).unwrap().counts());
        both[0].iter().zip(&both[1]).map(|(a, b)| a + b).collect::<Vec<_>>()
    };
    assert_eq!(counts("style"), [1584, 1680, 1193, 1028]);
    assert_eq!(counts("category"), [470, 1135, 550, 358, 739, 234, 1060, 885, 54]);
    // No test image is nearer than 20 of 255 to a training image.
    let (train, test) = (images(&train), images(&test));
    let mut nearest = u32::MAX;
    for image in &test {
        for other in &train {
            // In parts, as most images are far apart from their first rows on.
            let mut distance = 0;
            for (a, b) in image.chunks(384).zip(other.chunks(384)) {
                let squares = a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2));
                distance += squares.sum::<u32>();
                if distance >= nearest {
                    break;
                }
            }
            nearest = nearest.min(distance);
        }
    }
    let nearest = (f64::from(nearest) / 3072.0).sqrt();
    assert!((20.0..22.0).contains(&nearest), "{nearest}");
    // White at the corners, where the drawings leave it.
    let corners = test.iter().filter(|image| [0, 31, 3071].map(|at| image[at]) == [255; 3]);
    assert!(corners.count() > 400);
}

#[test]
fn digits_have_seventeen_levels() {
    let (train, test) = (Digits::default(), Digits::default());
    let (train, test) = (train.load(Split::Train).unwrap(), test.load(Split::Test).unwrap());
    assert_eq!((train.len(), test.len(), train.shape()), (1500, 297, &[1, 8, 8][..]));
    let (mut levels, mut counts) = (HashSet::new(), [0; 10]);
    for set in [&train, &test] {
        levels.extend(images(set).concat());
        let of = set.attribute("class").unwrap().counts();
        counts.iter_mut().zip(of).for_each(|(sum, count)| *sum += count);
    }
    let mut levels: Vec<u8> = levels.into_iter().collect();
    levels.sort_unstable();
    let wanted: Vec<u8> = (0..=16).map(|k| (255.0 * k as f64 / 16.0).round() as u8).collect();
    assert_eq!(levels, wanted);
    // scikit-learn's own counts.
    assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    // The first digit is a zero: rows 0 and 3 of scikit-learn's first image.
    let first = &images(&train)[0];
    let row = |row: usize| {
        first[8 * row..8 * row + 8].iter().map(|&byte| (byte as f64 * 16.0 / 255.0).round())
    };
    assert_eq!(row(0).collect::<Vec<_>>(), [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]);
    assert_eq!(row(3).collect::<Vec<_>>(), [0.0, 4.0, 12.0, 0.0, 0.0, 8.0, 8.0, 0.0]);
}

#[test]
fn a_shipped_set_that_is_missing_or_broken_says_what_to_do() {
    let empty = folder("shipped");
    let named = Some(empty.clone());
    for message in [
        message(PixelFaces { folder: named.clone(), styles: false }.load(Split::Train)),
        message(Emoji { folder: named.clone() }.load(Split::Train)),
        message(Digits { folder: named.clone() }.load(Split::Train)),
    ] {
        assert!(message.contains("is not there. Set SCOREBOOK_DATASETS"), "{message}");
    }
    let shipped = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/pixel-faces-16"));
    for name in ["faces16-20k.rgb.gz", "faces16-20k.tsv.gz"] {
        fs::copy(shipped.join(name), empty.join(name)).unwrap();
    }
    let faces = PixelFaces { folder: named, styles: false };
    assert_eq!(faces.load(Split::Test).unwrap().len(), 2000);
    let table = empty.join("faces16-20k.tsv.gz");
    let bytes = fs::read(&table).unwrap();
    fs::write(&table, &bytes[..bytes.len() - 100]).unwrap();
    let cut = message(faces.load(Split::Test));
    assert!(cut.contains("faces16-20k.tsv.gz") && cut.contains("cut short"), "{cut}");
    fs::write(&table, b"long21\t\t\t\thappy05\t#f5cfa0").unwrap();
    let other = message(faces.load(Split::Test));
    assert!(other.contains("SHA-256") && other.contains("fetch it again"), "{other}");
    fs::remove_dir_all(empty).unwrap();
}

#[test]
fn names_open_their_sets() {
    for (name, shape) in
        [("pixel-faces-16", [3, 16, 16]), ("emoji-32", [3, 32, 32]), ("digits", [1, 8, 8])]
    {
        assert_eq!(data::open(name, Split::Test, None).unwrap().shape(), shape);
    }
    assert_eq!(data::open("fashion-mnist", Split::Test, None).unwrap().len(), 10_000);
    let unknown = message(data::open("imagenet", Split::Test, None));
    assert!(data::NAMES.iter().all(|name| unknown.contains(name)), "{unknown}");
    for name in ["mnist", "cifar-10", "images"] {
        let missing = message(data::open(name, Split::Test, None));
        assert!(missing.contains("`folder` is not given; expected the folder of"), "{missing}");
        let nowhere = message(data::open(name, Split::Test, Some(Path::new("/nowhere/at/all"))));
        assert!(nowhere.contains("/nowhere/at/all"), "{nowhere}");
    }
}

/// An IDX file of these dimensions.
fn idx(dims: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    bytes.extend(values);
    bytes
}

#[test]
fn mnist_files_are_found_by_each_of_their_names() {
    let folder = folder("mnist");
    let values: Vec<u8> = (0..24).collect();
    let (pixels, labels) = (idx(&[4, 2, 3], &values), idx(&[4], &[7, 0, 9, 1]));
    fs::write(folder.join("train-images-idx3-ubyte"), &pixels).unwrap();
    fs::write(folder.join("train-labels.idx1-ubyte.gz"), gzipped(&labels)).unwrap();
    let set = mnist(&folder, Split::Train).unwrap();
    assert_eq!((set.shape(), set.attribute("class").unwrap().value_of(2)), (&[1, 2, 3][..], "9"));
    assert_eq!(images(&set)[1], [6, 7, 8, 9, 10, 11]);
    let missing = message(mnist(&folder, Split::Test));
    assert!(missing.contains("holds no t10k-images-idx3-ubyte"), "{missing}");
    let labels_of = |bytes: &[u8]| {
        fs::write(folder.join("train-labels-idx1-ubyte"), bytes).unwrap();
        message(mnist(&folder, Split::Train))
    };
    for (bytes, cause) in [
        (idx(&[3], &[7, 0, 9]), "the dimensions [3] for 4 images"),
        (idx(&[4], &[7, 0, 10, 1]), "the label 10, but there are 10 classes"),
        (labels[..10].to_vec(), "cut short: 2 of 4 values"),
        (gzipped(&labels)[..20].to_vec(), "gzip stream is broken or cut short"),
    ] {
        let message = labels_of(&bytes);
        assert!(
            message.contains("train-labels-idx1-ubyte: ") && message.contains(cause),
            "{message}"
        );
    }
    fs::write(folder.join("train-images-idx3-ubyte"), &labels).unwrap();
    let swapped = message(mnist(&folder, Split::Train));
    assert!(swapped.contains("not [count, height, width]"), "{swapped}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn cifar_records_are_a_label_and_rows_of_red_green_and_blue() {
    let folder = folder("cifar");
    // By hand: red grows with the column, green with the row, blue is 7, and the last record has a bright point at row 2,
    // column 30. Swapping height and width, or channels last, gives another picture.
    let record = |label: u8, bright: bool| {
        let mut record = vec![label];
        record.extend((0..1024).map(|at| (at % 32) as u8));
        record.extend((0..1024).map(|at| 100 + (at / 32) as u8));
        record.extend([7; 1024]);
        if bright {
            record[1 + 2048 + 2 * 32 + 30] = 250;
        }
        record
    };
    let batch = [record(3, false), record(9, true)].concat();
    for number in 1..=5 {
        fs::write(folder.join(format!("data_batch_{number}.bin")), &batch).unwrap();
    }
    let set = cifar10(&folder, Split::Train).unwrap();
    assert_eq!((set.len(), set.shape()), (10, &[3, 32, 32][..]));
    let class = set.attribute("class").unwrap();
    assert_eq!((class.value_of(0), class.value_of(9)), ("cat", "truck"));
    let x = set.bytes(9, 1).unwrap().squeeze(0).unwrap().to_vec3::<u8>().unwrap();
    assert_eq!((x[0][5][20], x[1][5][20], x[2][5][20]), (20, 105, 7));
    assert_eq!((x[2][2][30], x[2][30][2]), (250, 7));
    let missing = message(cifar10(&folder, Split::Test));
    assert!(missing.contains("holds no test_batch.bin"), "{missing}");
    // Below the folder that the archive is unpacked in, and gzipped.
    let below = folder.join("cifar-10-batches-bin");
    fs::create_dir(&below).unwrap();
    fs::write(below.join("test_batch.bin.gz"), gzipped(&batch)).unwrap();
    assert_eq!(cifar10(&folder, Split::Test).unwrap().len(), 2);
    let test = below.join("test_batch.bin");
    for (bytes, cause) in [
        (&batch[..6000], "6000 bytes, not whole records of 3073"),
        (&[], "0 bytes"),
        (&record(10, false), "the label 10, not one from 0 to 9"),
    ] {
        fs::write(&test, bytes).unwrap();
        let message = message(cifar10(&folder, Split::Test));
        assert!(message.contains("test_batch.bin: ") && message.contains(cause), "{message}");
    }
    fs::remove_dir_all(folder).unwrap();
}

/// The pictures of `tests/golden/pictures.py`: name, file, and the rest.
fn golden() -> Vec<(String, Vec<u8>, Value)> {
    let document: Value = serde_json::from_str(include_str!("golden/pictures.json")).unwrap();
    assert_eq!(document["side"], 5);
    let pictures = document["pictures"].as_object().unwrap().clone();
    let decoded = |file: &Value| {
        base64::engine::general_purpose::STANDARD.decode(file.as_str().unwrap()).unwrap()
    };
    pictures.into_iter().map(|(name, it)| (name, decoded(&it["file"]), it)).collect()
}

fn picture(name: &str) -> Vec<u8> {
    golden().into_iter().find(|(known, ..)| known == name).unwrap().1
}

#[test]
fn pictures_of_all_kinds_come_out_as_pillow_has_them() {
    let folder = folder("pictures");
    for (name, file, golden) in golden() {
        let place = folder.join(name.replace('.', "-"));
        fs::create_dir(&place).unwrap();
        fs::write(place.join(&name), file).unwrap();
        let set = ImageFolder::new(&place, 5).all().unwrap();
        let channels = golden["channels"].as_u64().unwrap() as usize;
        assert_eq!(set.shape(), [channels, 5, 5], "{name}");
        let expected = golden["expected"].as_array().unwrap().iter().map(|it| it.as_i64().unwrap());
        let tolerance = golden["tolerance"].as_i64().unwrap();
        let found = &images(&set)[0];
        let error = found.iter().zip(expected).map(|(&a, b)| (i64::from(a) - b).abs()).max();
        assert!(error.unwrap() <= tolerance, "{name}: {error:?}, {found:?}");
        assert!(set.attributes().is_empty());
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_of_classes_is_a_set_of_them() {
    let folder = folder("classes");
    for class in ["cats", "dogs"] {
        fs::create_dir(folder.join(class)).unwrap();
        for number in 0..20 {
            let name = if class == "cats" { "rgb.png" } else { "photo.jpg" };
            let end = &name[name.len() - 4..];
            fs::write(folder.join(format!("{class}/{number:02}{end}")), picture(name)).unwrap();
        }
        fs::write(folder.join(class).join("notes.txt"), "not a picture").unwrap();
        fs::write(folder.join(class).join(".hidden.png"), "not one either").unwrap();
    }
    let pictures = ImageFolder::new(&folder, 8);
    let all = pictures.all().unwrap();
    assert_eq!((all.len(), all.shape()), (40, &[3, 8, 8][..]));
    let class = all.attribute("class").unwrap();
    assert_eq!((class.counts(), class.value_of(39)), (vec![20, 20], "dogs"));
    // Every tenth of a class is for judging.
    let (train, test) = (pictures.load(Split::Train).unwrap(), pictures.load(Split::Test).unwrap());
    assert_eq!(train.attribute("class").unwrap().counts(), [18, 18]);
    assert_eq!(test.attribute("class").unwrap().counts(), [2, 2]);
    assert_eq!(data::open("images", Split::Test, Some(&folder)).unwrap().shape(), [3, 32, 32]);
    // Grey, and three channels of grey.
    let grey = ImageFolder { channels: Some(1), ..pictures.clone() }.all().unwrap();
    let [r, g, b] = [0, 1, 2].map(|channel| images(&all)[0][64 * channel] as f64);
    let luma = 0.299 * r + 0.587 * g + 0.114 * b;
    // The luma of the mean is the mean of the luma, but for the rounding of both.
    assert!((images(&grey)[0][0] as f64 - luma).abs() <= 1.5);
    // The reader's own two parts, in which a label means the same though a class is missing in one.
    for (part, classes) in [("train", &["cats", "dogs"][..]), ("test", &["dogs"])] {
        for class in classes {
            fs::create_dir_all(folder.join("parts").join(part).join(class)).unwrap();
            let file = folder.join("parts").join(part).join(class).join("a.PNG");
            fs::write(file, picture("grey.png")).unwrap();
        }
    }
    let parts = ImageFolder::new(folder.join("parts"), 4);
    let test = parts.load(Split::Test).unwrap();
    assert_eq!((test.len(), test.attribute("class").unwrap().value_of(0)), (1, "dogs"));
    assert_eq!(parts.load(Split::Train).unwrap().len(), 2);
    let colour = ImageFolder { channels: Some(3), ..parts }.load(Split::Test).unwrap();
    let image = &images(&colour)[0];
    assert!(
        colour.shape() == [3, 4, 4] && image[..16] == image[16..32] && image[..16] == image[32..]
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_wrong_with_a_folder_is_named() {
    let folder = folder("wrong");
    let pictures = ImageFolder::new(&folder, 8);
    let all = |cause: &str| {
        let message = message(pictures.all());
        assert!(message.contains(cause), "{message}");
        message
    };
    all("holds no pictures: no files that end in .png, .jpg or .jpeg");
    let one = folder.join("one.png");
    let (whole, photo) = (picture("rgb.png"), picture("photo.jpg"));
    for (bytes, cause) in [
        (&b""[..], "an empty file"),
        (b"GIF89a, in truth", "neither a PNG nor a JPEG file"),
        (&whole[..whole.len() * 2 / 3], "a broken PNG file"),
        (&whole[..20], "a broken PNG file"),
        (&photo[..photo.len() * 2 / 3], "a broken JPEG file"),
        (&photo[..100], "a broken JPEG file"),
    ] {
        fs::write(&one, bytes).unwrap();
        let message = all(cause);
        assert!(message.contains("one.png: ") && message.contains("Delete the file"), "{message}");
    }
    // A bit that flipped is caught by the checksum of PNG.
    let mut flipped = whole.clone();
    flipped[60] ^= 4;
    fs::write(&one, flipped).unwrap();
    all("a broken PNG file");
    fs::write(&one, &whole).unwrap();
    assert_eq!(pictures.all().unwrap().len(), 1);
    assert!(message(pictures.load(Split::Test)).contains("no class has ten pictures"));
    fs::write(folder.join("two.png"), picture("grey.png")).unwrap();
    let message_ = all("grey, but ");
    assert!(message_.contains("two.png") && message_.contains("Set `channels` to 3"), "{message_}");
    assert_eq!(ImageFolder { channels: Some(3), ..pictures.clone() }.all().unwrap().len(), 2);
    fs::create_dir(folder.join("class")).unwrap();
    all("one.png: a picture beside the folders of classes");
    fs::remove_file(&one).unwrap();
    fs::remove_file(folder.join("two.png")).unwrap();
    all("class: an empty class");
    let wrong = |side, channels| ImageFolder { side, channels, ..pictures.clone() }.all();
    assert!(message(wrong(0, None)).contains("`side` is 0"));
    assert!(message(wrong(8, Some(2))).contains("`channels` is 2; expected 1 (grey) or 3 (RGB)"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_model_that_is_not_shipped_says_where_to_look() {
    let error = scorebook::score::Model::shipped("unicorns", CPU).unwrap_err().to_string();
    let said = error.contains("unicorns.safetensors: is not there. Set SCOREBOOK_DATASETS to the");
    assert!(said, "{error}");
}
