//! `scorebook install` and `scorebook uninstall`.

use super::*;

#[test]
fn a_kernelspec_comes_and_goes() {
    let home = Folder::new("install");
    let prefix = home.join("prefix").display().to_string();
    let (code, said, _) = run(&mut scorebook(&home), ["install", "--prefix", &prefix]);
    let folder = home.join("prefix/share/jupyter/kernels/scorebook");
    assert_eq!(code, Some(0));
    assert!(said.contains(&folder.display().to_string()), "{said}");

    let spec = json(&folder.join("kernel.json"));
    let program = env!("CARGO_BIN_EXE_scorebook");
    assert_eq!(spec["argv"], serde_json::json!([program, "kernel", "-f", "{connection_file}"]));
    assert_eq!(spec["display_name"], "Rust (scorebook)");
    assert_eq!(spec["language"], "rust");
    assert_eq!(spec["interrupt_mode"], "message");
    assert_eq!(spec["env"]["SCOREBOOK_DEVICE"], "auto");
    for (logo, size) in [("logo-32x32.png", 32), ("logo-64x64.png", 64)] {
        let image = std::fs::read(folder.join(logo)).unwrap();
        let header = png::Decoder::new(std::io::Cursor::new(image)).read_info().unwrap();
        assert_eq!((header.info().width, header.info().height), (size, size));
    }
    let svg = std::fs::read_to_string(folder.join("logo-svg.svg")).unwrap();
    assert!(svg.starts_with("<svg"));

    // Again: the new one takes the old one's place, and nothing else is left there.
    let (code, ..) =
        run(&mut scorebook(&home), ["install", "--prefix", &prefix, "--device", "cpu"]);
    assert_eq!(code, Some(0));
    assert_eq!(json(&folder.join("kernel.json"))["env"]["SCOREBOOK_DEVICE"], "cpu");
    assert_eq!(std::fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1);

    let (code, ..) = run(&mut scorebook(&home), ["uninstall", "--prefix", &prefix]);
    assert_eq!(code, Some(0));
    assert!(!folder.exists());
    let error = fails(&mut scorebook(&home), ["uninstall", "--prefix", &prefix]);
    assert!(error.contains("no kernelspec is installed there"), "{error}");
}

#[test]
fn the_place_of_the_user_is_jupyters() {
    let home = Folder::new("user");
    let spec = "kernels/scorebook/kernel.json";
    for (variable, value, expected) in [
        ("JUPYTER_DATA_DIR", "data", format!("data/{spec}")),
        #[cfg(target_os = "linux")]
        ("XDG_DATA_HOME", "xdg", format!("xdg/jupyter/{spec}")),
        #[cfg(target_os = "linux")]
        ("UNRELATED", "", format!(".local/share/jupyter/{spec}")),
    ] {
        let mut command = scorebook(&home);
        command.env(variable, home.join(value));
        assert_eq!(run(&mut command, ["install"]).0, Some(0));
        assert!(home.join(&expected).is_file(), "{expected}");
    }
}

#[test]
fn the_active_python_says_its_prefix() {
    let home = Folder::new("sys-prefix");
    let prefix = home.join("environment");
    home.program("bin/python3", &format!("echo {}", prefix.display()));
    let mut command = scorebook(&home);
    command.env("PATH", home.join("bin"));
    assert_eq!(run(&mut command, ["install", "--sys-prefix"]).0, Some(0));
    assert!(prefix.join("share/jupyter/kernels/scorebook/kernel.json").is_file());

    let mut command = scorebook(&home);
    let error = fails(command.env("PATH", home.join("empty")), ["install", "--sys-prefix"]);
    assert!(error.contains("no Python on the PATH") && error.contains("--user"), "{error}");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let home = Folder::new("unwritable");
    let file = home.write("file", "");
    let arguments = ["install".as_ref(), "--prefix".as_ref(), file.as_os_str()];
    let error = fails(&mut scorebook(&home), arguments);
    assert!(error.contains("file/share/jupyter") && error.contains("--user"), "{error}");
    let (code, _, error) = run(&mut scorebook(&home), ["install", "--user", "--sys-prefix"]);
    assert_eq!(code, Some(2), "{error}");
}
