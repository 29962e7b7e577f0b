//! `scorebook cache`.

use super::*;

/// A finished build of this many bytes.
fn prepared(home: &Folder, name: &str, bytes: usize) {
    let build = format!("cache/scorebook/workshop/{name}");
    home.write(&format!("{build}/cells/target/code"), &"x".repeat(bytes));
    home.write(&format!("{build}/ready"), "");
}

fn cache(home: &Folder) -> Command {
    let mut command = scorebook(home);
    command.env("XDG_CACHE_HOME", home.join("cache")).arg("cache");
    command
}

#[test]
fn builds_are_listed_and_cleared_but_for_those_in_use() {
    let home = Folder::new("cache");
    let (code, output, _) = run(&mut cache(&home), [""; 0]);
    assert_eq!(code, Some(0));
    assert!(output.contains("0 builds, 0 kB; the limit is 20.0 GB"), "{output}");

    prepared(&home, "first", 3_000_000);
    prepared(&home, "second", 2_000_000);
    // A kernel of `second` lives: it holds the lock of its folder.
    let root = home.join("cache/scorebook/workshop/second");
    home.write("cache/scorebook/kernels/k/workshop", root.to_str().unwrap());
    let lock = std::fs::File::create(home.join("cache/scorebook/kernels/k/lock")).unwrap();
    lock.lock().unwrap();
    let (_, output, _) = run(cache(&home).env("SCOREBOOK_CACHE_LIMIT", "500MB"), [""; 0]);
    for expected in [
        "first      3 MB  used just now\n",
        "used just now, in use by 1 kernel\n",
        "2 builds, 5 MB; the limit is 500 MB",
    ] {
        assert!(output.contains(expected), "{output}");
    }
    let (code, output, _) = run(&mut cache(&home), ["--clear"]);
    assert_eq!(code, Some(0));
    assert_eq!(output, "Kept second: a kernel uses it.\nRemoved 1 build, 3 MB.\n");
    // The kernel ends.
    drop(lock);
    let (_, output, _) = run(&mut cache(&home), ["--clear"]);
    assert_eq!(output, "Removed 1 build, 2 MB.\n");
    let error = fails(cache(&home).env("SCOREBOOK_CACHE_LIMIT", "much"), [""; 0]);
    assert!(error.contains("SCOREBOOK_CACHE_LIMIT=much: give a size, such as 20GB"), "{error}");
}
