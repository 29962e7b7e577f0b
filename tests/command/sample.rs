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
