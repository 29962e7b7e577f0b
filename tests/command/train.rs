//! `scorebook train`.

use super::*;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The shipped data and a batch so small that a step takes a moment.
fn train(home: &Folder, arguments: &[&str]) -> Command {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/fashion-mnist");
    let mut command = scorebook(home);
    command.args(["train", "fashion-mnist", "--out", "run", "--device", "cpu", "--data"]);
    command.arg(data).args(arguments);
    command
}

fn log(home: &Folder) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(home.join("run/log.jsonl")).unwrap_or_default();
    // The last line may be half written.
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until the log has so many steps.
fn wait_for(child: &mut Child, home: &Folder, steps: usize) {
    let begun = Instant::now();
    while log(home).len() < steps {
        assert_eq!(child.try_wait().unwrap(), None, "it has ended");
        assert!(begun.elapsed() < Duration::from_secs(300), "it makes no steps");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn steps(home: &Folder) -> Vec<u64> {
    log(home).iter().map(|line| line["step"].as_u64().unwrap()).collect()
}

#[test]
fn options_that_do_not_fit_are_said_at_once() {
    let home = Folder::new("train-options");
    for (arguments, expected) in [
        (&["--accumulate", "3"][..], "`accumulate` is 3; expected a divisor of the batch"),
        (&["--weight-decay", "0.1"], "--weight-decay belongs to --optimizer adamw"),
        (&["--optimizer", "sgd", "--weight-decay", "1"], "--weight-decay belongs to"),
        (&["--optimizer", "adamw", "--momentum", "0.5"], "--momentum belongs to --optimizer sgd"),
        (&["--decay-from", "5"], "--decay-from belongs to --schedule inverse-square-root"),
        (&["--power-ema", "0.5"], "`power_ema` is 0.5; expected a relative width"),
        (&["--schedule", "cosine", "--epochs", "1"], "`steps` is 468; expected more than the 500"),
        (&["--patience", "5", "--validate-every", "0"], "--patience needs the loss"),
        (&["--network", "unet", "--blocks", "2"], "belong to --network residual-unet"),
        (&["--network", "unet", "--by-class"], "belong to --network residual-unet"),
        (&["--channels", "32,20"], "a multiple of 8 from 16 on"),
        (&["--attention", "5"], "levels less than 3"),
        (&["--batch", "0"], "`batch` is 0; expected at least 1"),
        (&["--resume"], "holds no training to resume"),
    ] {
        let error = fails(&mut train(&home, arguments), [""; 0]);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    // What clap tells itself.
    let (code, _, error) = run(&mut train(&home, &["--optimizer", "lion"]), [""; 0]);
    assert_eq!(code, Some(2));
    assert!(error.contains("adam, adamw, sgd"), "{error}");
}

#[test]
fn an_interrupt_saves_and_what_is_killed_is_resumed_without_a_step_twice() {
    let home = Folder::new("train-resume");
    let begin =
        ["--batch", "4", "--accumulate", "2", "--optimizer", "adamw", "--validate-every", "0"];
    let mut child = train(&home, &begin).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&mut child, &home, 3);
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{said}");
    let made = steps(&home);
    assert_eq!(made, (1..=made.len() as u64).collect::<Vec<_>>());
    assert!(said.contains(&format!("Interrupted at step {} of", made.len())), "{said}");
    assert!(home.join("run/model.safetensors").is_file());

    let error = fails(&mut train(&home, &[]), [""; 0]);
    assert!(error.contains("go on with --resume"), "{error}");
    for (option, expected) in [
        (["--seed", "5"], "begun with another --seed"),
        (["--batch", "8"], "begun with another --batch"),
        (["--process", "ve"], "begun with another --process"),
        (["--channels", "16,32"], "begun with another network"),
        (["--network", "unet"], "begun with another network"),
        (["--optimizer", "sgd"], "goes on with the moments of AdamW"),
    ] {
        let error = fails(&mut train(&home, &["--resume", option[0], option[1]]), [""; 0]);
        assert!(error.contains(expected), "{error}");
    }

    // Another rate, and then no time to save: the steps since the checkpoint are made again.
    let go_on = ["--resume", "--lr", "0.0005", "--warmup", "1", "--validate-every", "0"];
    let mut child = train(&home, &go_on).stderr(Stdio::null()).spawn().unwrap();
    wait_for(&mut child, &home, made.len() + 3);
    child.kill().unwrap();
    child.wait().unwrap();
    let lost = log(&home);
    let mut child = train(&home, &go_on).stderr(Stdio::null()).spawn().unwrap();
    // It removes them before it makes its first step.
    let begun = Instant::now();
    while log(&home).len() >= lost.len() {
        assert!(begun.elapsed() < Duration::from_secs(300), "nothing was removed");
        std::thread::sleep(Duration::from_millis(1));
    }
    wait_for(&mut child, &home, lost.len());
    child.kill().unwrap();
    child.wait().unwrap();
    let again = log(&home);
    for (a, b) in again.iter().zip(&lost) {
        assert_eq!((&a["step"], &a["loss"]), (&b["step"], &b["loss"]));
    }
    assert_eq!(steps(&home), (1..=again.len() as u64).collect::<Vec<_>>());
    assert_eq!(again[made.len()]["learning_rate"], 0.0005);
    assert_ne!(again[0]["learning_rate"], 0.0005);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_the_training_with_its_last_step_saved() {
    let home = Folder::new("train-full");
    let arguments = ["--batch", "4", "--validate-every", "0", "--log", "/dev/full"];
    let error = fails(&mut train(&home, &arguments), [""; 0]);
    assert!(error.contains("the training stopped after step 1, which is saved"), "{error}");
    assert!(error.contains("/dev/full: the log cannot be written"), "{error}");
    assert!(home.join("run/checkpoint.safetensors").is_file());
}
