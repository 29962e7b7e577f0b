//! `scorebook eval` and `scorebook train-classifier`.

use super::*;
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;

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
}
