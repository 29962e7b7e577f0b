//! `scorebook sample`.

use super::*;

#[test]
fn what_the_model_does_not_know_is_told() {
    let home = Folder::new("sample-labels");
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/weights");
    let refused = |model: &str, arguments: &[&str], expected: &str| {
        let mut command = scorebook(&home);
        command.arg("sample").arg(weights.join(model)).args(["--out", "x.png", "--n", "1"]);
        let error = fails(command.args(arguments), [""; 0]);
        assert!(error.contains(expected), "{arguments:?}: {error}");
        assert!(!home.join("x.png").exists());
    };
    let plain = "fashion-mnist.safetensors";
    refused(plain, &["--class", "Boot"], "the model was trained without labels");
    refused(plain, &["--guidance", "1"], "--guidance needs something to guide to");
    refused(plain, &["--attribute", "hair"], "expected NAME=VALUE, such as hair=brown");
    let faces = "pixel-faces-16.safetensors";
    refused(faces, &["--class", "Boot"], "hair, glasses, hat, beard, mouth, skin");
    refused(faces, &["--attribute", "hair=blue"], "a value of hair: short, long");
}

#[test]
fn classes_in_turn_are_a_column_each() {
    let home = Folder::new("sample-classes");
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/weights");
    let sample = |classes: &str, out: &str| {
        let mut command = scorebook(&home);
        command.arg("sample").arg(weights.join("fashion-mnist-by-class.safetensors"));
        command.args(["--sampler", "dpm-solver", "--steps", "4", "--n", "6", "--guidance", "1"]);
        command.args(["--class", classes, "--out", out]);
        command
    };
    let draw = |classes: &str, out: &str| {
        let (code, _, error) = run(&mut sample(classes, out), [""; 0]);
        assert_eq!(code, Some(0), "{error}");
        std::fs::read(home.join(out)).unwrap()
    };
    let grid = draw("Trouser,Boot,Bag", "grid.png");
    // Three columns and two rows of squares.
    let decoder = png::Decoder::new(std::io::Cursor::new(&grid));
    let (width, height) = decoder.read_info().unwrap().info().size();
    let shape = f64::from(width) / f64::from(height);
    assert!((1.4..1.6).contains(&shape), "{width}×{height}");
    // From the same noise, asked for in another order.
    assert!(grid != draw("Boot,Trouser,Bag", "other.png"));
    let error = fails(&mut sample("Boot,Hat", "none.png"), [""; 0]);
    assert!(error.contains("Hat") && error.contains("Trouser"), "{error}");
}
