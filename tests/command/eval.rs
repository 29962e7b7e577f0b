//! `scorebook eval` and `scorebook train-classifier`.

use super::*;
use candle_core::{DType, Device, Tensor};
use scorebook::data::{Digits, Split};
use scorebook::diffusion::VariancePreserving;
use scorebook::metrics::Features;
use scorebook::plot;
use scorebook::random::Generator;
use scorebook::score::{
    Classifier, ClassifierCard, ClassifierSettings, Model, ModelCard, Network, ResidualUnet,
    ResidualUnetSettings,
};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

#[test]
fn what_cannot_be_measured_is_said() {
    let home = Folder::new("eval-errors");
    let noise = Tensor::rand(0f32, 255.0, (20, 1, 28, 28), &Device::Cpu).unwrap();
    let save = |name: &str, key: &str, images: &Tensor| {
        let tensors = HashMap::from([(key, images.to_dtype(DType::U8).unwrap())]);
        candle_core::safetensors::save(&tensors, home.join(name)).unwrap();
    };
    save("few.safetensors", "images", &noise);
    save("other.safetensors", "pictures", &noise);
    save("small.safetensors", "images", &noise.narrow(2, 0, 20).unwrap());
    home.write("net.safetensors", "not a net");
    for (arguments, expected) in [
        (&[][..], "name a model, or --images, or --features"),
        (&["--images", "none.safetensors"], "none.safetensors: cannot be read"),
        (&["--images", "other.safetensors"], "holds no tensor `images`"),
        (&["--images", "few.safetensors", "--net", "net.safetensors"], "not a whole safetensors"),
        (&["--images", "few.safetensors", "--data", "imagenet"], "there is no classifier"),
        (
            &["--images", "few.safetensors", "--reference-images", "200"],
            "expected at least 65, for the covariance of 64 features",
        ),
        (&["--images", "small.safetensors"], "expected [batch, 1, 28, 28], the images of"),
        (
            &["--images", "few.safetensors", "--metrics", "kernel", "--reference-images", "3"],
            "subset",
        ),
        (&["none"], "none: "),
    ] {
        let mut command = scorebook(&home);
        command.args(["eval", "--device", "cpu"]).args(arguments);
        let error = fails(&mut command, [""; 0]);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let (code, _, error) = run(&mut scorebook(&home), ["eval", "--metrics", "fid"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("expected `frechet`"), "{error}");
}

#[test]
fn features_of_any_net_are_compared() {
    let home = Folder::new("eval-features");
    for (name, count, shift) in [("drawn", 80, 0.5), ("real", 200, 0.0), ("others", 90, 0.0)] {
        let x = (Tensor::randn(0f32, 1.0, (count, 4), &Device::Cpu).unwrap() + shift).unwrap();
        x.write_npy(home.join(&format!("{name}.npy"))).unwrap();
    }
    let (code, table, error) = run(
        &mut scorebook(&home),
        [
            "eval",
            "--features",
            "drawn.npy",
            "--reference",
            "real.npy",
            "--held-out",
            "others.npy",
            "--out",
            "report.json",
        ],
    );
    assert_eq!(code, Some(0), "{error}");
    for said in ["by unnamed", "80 images", "floor: 80 real images", "Fréchet distance", "recall"]
    {
        assert!(table.contains(said), "{said}: {table}");
    }
    let report = &json(&home.join("report.json"))["report"];
    let distance = &report["measures"][0];
    assert_eq!(distance["name"], "Fréchet distance");
    assert_eq!(report["reference"], "real");
    // ‖v‖² = 4 · 0.5²; the floor is some 4 · (1/80 + 1/200) · 2.
    assert!(distance["value"].as_f64().unwrap() > 0.5, "{distance}");
    assert!(distance["floor"].as_f64().unwrap() < 0.5, "{distance}");
    let error =
        fails(&mut scorebook(&home), ["eval", "--features", "none.npy", "--reference", "real.npy"]);
    assert!(error.contains("none.npy: is not a file"), "{error}");
    home.write("broken.npy", "no array");
    let narrow = Tensor::zeros((90, 3), DType::F32, &Device::Cpu).unwrap();
    narrow.write_npy(home.join("narrow.npy")).unwrap();
    let x = Tensor::zeros((90, 4), DType::F32, &Device::Cpu).unwrap();
    Features::new(x, "inception", "drawn").unwrap().save(home.join("other.safetensors")).unwrap();
    for (drawn, expected) in [
        ("broken.npy", "its array cannot be read"),
        ("narrow.npy", "features of the same net"),
        ("other.safetensors", "\"inception\"; expected features of the same net, \"unnamed\""),
    ] {
        let files = ["eval", "--features", drawn, "--reference", "real.npy"];
        let error = fails(&mut scorebook(&home), files);
        assert!(error.contains(expected), "{error}");
    }
}

/// A model of digits by class that knows nothing yet, and a classifier that knows nothing, as files.
fn untrained(home: &Folder) {
    let attributes = Digits::default().load(Split::Test).unwrap().label_names();
    let settings = ResidualUnetSettings {
        channels: vec![16],
        attention: vec![],
        attributes: vec![10],
        ..Default::default()
    };
    let process = VariancePreserving::default().into();
    let generator = &mut Generator::new(5);
    let network = ResidualUnet::new(settings, process, generator, &Device::Cpu).unwrap();
    let card = ModelCard {
        architecture: network.architecture(),
        process,
        data: "digits".into(),
        shape: vec![1, 8, 8],
        attributes: attributes.clone(),
        training: serde_json::json!({}),
    };
    Model::save(home.join("model.safetensors"), &card, &network).unwrap();
    let settings = ClassifierSettings::new([1, 8, 8], attributes);
    let settings = ClassifierSettings { channels: vec![16], features: 8, ..settings };
    let classifier = Classifier::new(settings.clone(), generator, &Device::Cpu).unwrap();
    let card = ClassifierCard {
        name: "untrained".into(),
        settings,
        data: "nothing".into(),
        training: serde_json::json!({}),
    };
    classifier.save(home.join("net.safetensors"), &card).unwrap();
}

/// `scorebook eval` of digits by that classifier.
fn eval_digits(home: &Folder) -> Command {
    let mut command = scorebook(home);
    command.args(["eval", "--device", "cpu", "--data", "digits", "--net", "net.safetensors"]);
    command.args(["--reference-images", "200", "--out", "report.json"]);
    command
}

fn measure<'a>(report: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let measures = report["report"]["measures"].as_array().unwrap();
    measures.iter().find(|measure| measure["name"] == name).unwrap()
}

#[test]
fn a_model_is_asked_for_labels_and_its_answers_are_counted() {
    let home = Folder::new("eval-labels");
    untrained(&home);
    let draw = ["model.safetensors", "--n", "12", "--batch", "5", "--metrics", "accuracy"];
    let (code, table, error) = run(
        eval_digits(&home).args(draw),
        ["--steps", "3", "--guidance", "2", "--save", "drawn.safetensors"],
    );
    assert_eq!(code, Some(0), "{error}");
    for said in [
        "the reference: the first 200 training images of Digits",
        "the floor: 12 real images that are not of the reference",
    ] {
        assert!(table.contains(said), "{said}: {table}");
    }
    let report = json(&home.join("report.json"));
    assert_eq!(report["generated"]["guidance"], 2.0);
    let accuracy = measure(&report, "accuracy of class");
    // By hand.
    let drawn = candle_core::safetensors::load(home.join("drawn.safetensors"), &Device::Cpu);
    let drawn = drawn.unwrap();
    let labels = drawn["labels"].flatten_all().unwrap().to_vec1::<u32>().unwrap();
    assert_eq!((drawn["images"].dims(), labels.len()), (&[12, 1, 8, 8][..], 12));
    assert!(labels.iter().any(|label| *label != labels[0]), "{labels:?}");
    let x = drawn["images"].to_dtype(DType::F32).unwrap().affine(1.0 / 127.5, -1.0).unwrap();
    let net = Classifier::load(home.join("net.safetensors"), &Device::Cpu).unwrap().0;
    let told = net.predict(&x, None).unwrap().flatten_all().unwrap().to_vec1::<u32>().unwrap();
    let right = told.iter().zip(&labels).filter(|(told, asked)| told == asked).count();
    assert_eq!(accuracy["value"].as_f64(), Some(right as f64 / 12.0));
    // What was saved is measured alike.
    let (code, _, error) =
        run(eval_digits(&home).args(["--images", "drawn.safetensors"]), ["--metrics", "accuracy"]);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(measure(&json(&home.join("report.json")), "accuracy of class"), accuracy);
    // A row for each scale of guidance and number of steps.
    let (code, table, error) = run(
        eval_digits(&home).args(draw),
        ["--sampler", "ddim,adaptive-flow", "--steps", "2,3", "--guidance", "0,1"],
    );
    assert_eq!(code, Some(0), "{error}");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows[0], ["sampler", "steps", "guidance", "evaluations", "accuracy of class"]);
    let ways: Vec<&[&str]> = rows[1..].iter().map(|row| &row[1..3]).collect();
    let own = "its own";
    let expected =
        [["2", "0"], ["2", "1"], ["3", "0"], ["3", "1"], [own, "0"], [own, "1"], ["", ""]];
    assert_eq!(ways, expected);
    let (file, ways) = (json(&home.join("report.json")), expected.len() - 1);
    assert_eq!(file.as_array().unwrap().len(), ways);
    for (arguments, expected) in [
        (&["--guidance", "0,1", "--save", "x.safetensors"][..], "there are 2 combinations"),
        (&["--guidance", "inf"], "--guidance is inf; expected finite numbers"),
        (&["--data", "fashion-mnist"], "which Fashion-MNIST does not have with the same values"),
        (&["--sampler", "adaptive-flow", "--steps", "5"], "which chooses its steps"),
        (&["--bits-per-dim", "1"], "expected 2 to 297 test images"),
        (&["--bits-per-dim", "298"], "expected 2 to 297 test images"),
    ] {
        let mut command = scorebook(&home);
        command.args(["eval", "--device", "cpu", "--net", "net.safetensors"]).args(draw);
        if !arguments.contains(&"--data") {
            command.args(["--data", "digits"]);
        }
        let error = fails(command.args(arguments), [""; 0]);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}

/// Each image belongs to its own label, across the batches: skins have eight colours, so that chance gives an eighth.
#[test]
fn the_shipped_faces_have_what_they_were_asked_for() {
    let home = Folder::new("eval-faces");
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/weights");
    let mut command = scorebook(&home);
    command.arg("eval").arg(weights.join("pixel-faces-16.safetensors"));
    command.args(["--data", "pixel-faces-16", "--metrics", "accuracy", "--device", "cpu"]);
    command.args(["--n", "40", "--batch", "9", "--steps", "10", "--guidance", "1"]);
    let (code, _, error) = run(&mut command, ["--reference-images", "100", "--out", "report.json"]);
    assert_eq!(code, Some(0), "{error}");
    let report = json(&home.join("report.json"));
    for (name, least) in [("skin", 0.6), ("mouth", 0.8), ("hat", 0.6)] {
        let found = measure(&report, &format!("accuracy of {name}"));
        assert!(found["value"].as_f64().unwrap() >= least, "{found}");
        assert!(found["floor"].as_f64().unwrap() >= 0.9, "{found}");
    }
    let together = measure(&report, "accuracy of all together")["value"].as_f64().unwrap();
    assert!(together <= measure(&report, "accuracy of hat")["value"].as_f64().unwrap());
}

/// The untrained network leaves EDM's skip connection, which is the score of `N(0, s²)`: its bits are known.
#[test]
fn bits_a_dimension_of_a_known_law() {
    let home = Folder::new("eval-bits");
    untrained(&home);
    let (code, table, error) = run(
        eval_digits(&home).args(["model.safetensors", "--n", "12", "--metrics", "histogram"]),
        ["--steps", "2", "--bits-per-dim", "20"],
    );
    assert_eq!(code, Some(0), "{error}");
    assert!(table.contains("bits a dimension, of the flow"), "{table}");
    let report = json(&home.join("report.json"));
    assert_eq!(report["generated"]["bits_per_dim"]["images"], 20);
    let found = measure(&report, "bits a dimension, of the flow")["value"].as_f64().unwrap();
    let bytes = Digits::default().load(Split::Test).unwrap().bytes(0, 20).unwrap();
    let bytes = bytes.flatten_all().unwrap().to_vec1::<u8>().unwrap();
    let variance = ResidualUnetSettings::default().data_std.powi(2);
    let of = |byte: &u8| {
        let x = (f64::from(*byte) + 0.5) / 128.0 - 1.0;
        let log_density = -0.5 * (std::f64::consts::TAU * variance).ln() - x * x / 2.0 / variance;
        7.0 - log_density / std::f64::consts::LN_2
    };
    let expected = bytes.iter().map(of).sum::<f64>() / bytes.len() as f64;
    // The noise of the first time and the solver's tolerance; one offset or one ½ amiss is more.
    assert!((found - expected).abs() < 0.03, "{found}, not {expected}");
}

#[test]
fn a_folder_of_pictures_is_measured() {
    let home = Folder::new("eval-folder");
    untrained(&home);
    std::fs::create_dir(home.join("empty")).unwrap();
    std::fs::create_dir(home.join("drawn")).unwrap();
    let x = Generator::new(3).normal((9, 1, 16, 16), &Device::Cpu).unwrap();
    for i in 0..9 {
        let picture = plot::image_grid(&x.narrow(0, i, 1).unwrap(), (-1.0, 1.0), 1).unwrap();
        picture.save(home.join(&format!("drawn/{i}.png"))).unwrap();
    }
    let only = ["--metrics", "kernel,precision-recall,memorisation"];
    let (code, table, error) = run(eval_digits(&home).args(["--images", "drawn"]), only);
    assert_eq!(code, Some(0), "{error}");
    for said in ["9 images", "floor: 9 real images", "by untrained", "precision", "training"] {
        assert!(table.contains(said), "{said}: {table}");
    }
    assert_eq!(json(&home.join("report.json"))["report"]["images"], 9);
    let error = fails(eval_digits(&home).args(["--images", "empty"]), only);
    assert!(error.contains("empty: "), "{error}");
    home.write("drawn/broken.png", "no picture");
    let error = fails(eval_digits(&home).args(["--images", "drawn"]), only);
    assert!(error.contains("broken.png: "), "{error}");
    // The Fréchet distance needs more images than there are features; nothing else is lost by saying so.
    let (code, _, _) = run(eval_digits(&home).args(["--images", "none"]), only);
    assert_eq!(code, Some(1));
}

#[test]
fn an_interrupted_drawing_is_measured() {
    let home = Folder::new("eval-interrupt");
    untrained(&home);
    // Interrupts it some time after it began to draw; `None` if that was before anything was drawn.
    let interrupted = |batch: &str, steps: &str, wait: u64| {
        let mut child = eval_digits(&home)
            .args(["model.safetensors", "--n", "1000000", "--batch", batch, "--steps", steps])
            .args(["--metrics", "kernel,accuracy"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let opened = lines.by_ref().map(Result::unwrap).find(|line| line.contains("residual"));
        assert!(opened.is_some());
        std::thread::sleep(Duration::from_millis(wait));
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let said = lines.map(Result::unwrap).collect::<Vec<_>>().join("\n");
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), said)
    };
    let (code, table, said) = interrupted("2", "100000", 300);
    assert_eq!((code, table.as_str()), (Some(130), ""), "{said}");
    assert!(said.contains("Interrupted before any image was drawn"), "{said}");
    let mut wait = 1000;
    let (table, said) = loop {
        let (code, table, said) = interrupted("20", "2", wait);
        if code == Some(0) {
            break (table, said);
        }
        assert!(code == Some(130) && wait < 60_000, "{said}");
        wait *= 2;
    };
    let drawn = json(&home.join("report.json"))["generated"]["images"].as_u64().unwrap();
    assert!(drawn > 0 && drawn < 1_000_000 && drawn.is_multiple_of(20), "{drawn}");
    let line = format!("Interrupted: {drawn} of 1000000 images were drawn, and are measured.");
    assert!(said.contains(&line), "{said}");
    assert!(table.contains(&format!("{drawn} images")) && table.contains("accuracy"), "{table}");
}
