//! Building a workshop.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, bail};

use super::copy::{copy_file, copy_tree};
use super::key::{library_files, toolchain_key};
use super::manifest::{self, PROFILE, cell_dependencies, cells_manifest};
use super::toolchain::Toolchain;
use super::{is_ready, standard, storage};

/// The prepared workshop for the library in the folder `library` (with `Cargo.toml` and `src`) and
/// these features of it, built now if it is not there. `progress` is told, line by line, how far it is.
///
/// Two processes do not build the same workshop at once: the second waits for the first. A build that
/// is cut short is taken up where it stopped.
///
/// # Errors
/// No compiler, no room, no network for the crates that are missing, or sources that do not compile;
/// the message ends with the last lines that cargo wrote.
pub fn prepare(
    library: &Path,
    features: &[&str],
    mut progress: impl FnMut(&str),
) -> anyhow::Result<PathBuf> {
    let root = super::location(library, features)?;
    if !is_ready(&root) {
        // A limit that cannot be read is told before minutes have passed.
        let limit = storage::limit()?;
        let _lock = exclusive(&root, &mut progress)?;
        if !is_ready(&root) {
            standard::install(&mut progress)?;
            lay_out(&root, library, features)?;
            borrow(&root, features, &mut progress)?;
            compile(&root, &mut progress)?;
            publish(&root, features)?;
            storage::tidy(&root, limit);
        }
    }
    // The time of the last use decides which workshops are kept.
    let _ = File::options()
        .write(true)
        .open(root.join("ready"))
        .and_then(|ready| ready.set_modified(SystemTime::now()));
    Ok(root)
}

/// Waits until no other process builds the workshop at `root`.
fn exclusive(root: &Path, progress: &mut impl FnMut(&str)) -> anyhow::Result<File> {
    fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
    let path = root.join("lock");
    let lock = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) => {
            progress("waiting for another process that prepares the same build");
            lock.lock()?;
        }
        other => other?,
    }
    Ok(lock)
}

/// Writes the sources and manifests.
fn lay_out(root: &Path, library: &Path, features: &[&str]) -> anyhow::Result<()> {
    let ours = root.join("library");
    for file in library_files(library)? {
        let target = ours.join(&file);
        fs::create_dir_all(target.parent().unwrap_or(&ours))?;
        if file == Path::new("Cargo.toml") {
            let manifest = fs::read_to_string(library.join(&file))?;
            write_if_new(&target, &manifest::library_manifest(&manifest))?;
        } else {
            copy_file(&library.join(&file), &target)?;
        }
    }
    let cells = root.join("cells");
    let dependencies = cell_dependencies(root, features)?;
    write_if_new(&root.join(".cargo/config.toml"), PROFILE)?;
    write_if_new(&cells.join("Cargo.toml"), &cells_manifest(&dependencies))?;
    write_if_new(&cells.join("src/lib.rs"), "")?;
    let (versions, ours) = (library.join("Cargo.lock"), manifest::lock_file(&cells));
    if versions.is_file() && !ours.exists() {
        copy_file(&versions, &ours)?;
    }
    Ok(())
}

/// Leaves a file that is as it should be alone, so that cargo does not take it for changed.
fn write_if_new(path: &Path, content: &str) -> anyhow::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Takes over the dependencies that the workshop of another version of the library has compiled.
fn borrow(root: &Path, features: &[&str], progress: &mut impl FnMut(&str)) -> anyhow::Result<()> {
    let target = root.join("cells/target");
    if target.exists() {
        return Ok(());
    }
    let wanted = toolchain_key(features)?;
    let lender = workshops(root).into_iter().find(|other| {
        fs::read_to_string(other.join("ready")).is_ok_and(|key| key.trim() == wanted)
    });
    if let Some(lender) = lender {
        progress("taking over the dependencies of an earlier build");
        copy_tree(&lender.join("cells/target"), &target)?;
    }
    Ok(())
}

/// The finished workshops beside the one at `root`, the one used last first.
fn workshops(root: &Path) -> Vec<PathBuf> {
    let folders = root.parent().map(fs::read_dir).into_iter().flatten().flatten().flatten();
    let mut used: Vec<(SystemTime, PathBuf)> = folders
        .map(|folder| folder.path())
        .filter(|other| other != root)
        .filter_map(|other| Some((storage::used(&other)?, other)))
        .collect();
    used.sort();
    used.into_iter().rev().map(|(_, other)| other).collect()
}

fn compile(root: &Path, progress: &mut impl FnMut(&str)) -> anyhow::Result<()> {
    let toolchain = Toolchain::find()?;
    let host = toolchain.host()?;
    // The sources of all platforms, not only of this one: evcxr and rust-analyzer ask for them all.
    let mut fetch = toolchain.cargo();
    follow(fetch.arg("fetch").current_dir(root.join("cells")), |line| {
        if line.starts_with("Download") {
            progress(line);
        }
    })?;
    let total = count_crates(toolchain, root, host);
    // evcxr checks a cell, instead of building it, when it cannot tell a variable's type: without what
    // `check` needs, the first mistake of that kind would cost the reader minutes.
    for (task, verb, said) in
        [("build", "Compiling ", "compiling"), ("check", "Checking ", "then checking")]
    {
        let mut done = 0;
        let mut command = toolchain.cargo();
        follow(command.args([task, "--target", host]).current_dir(root.join("cells")), |line| {
            if let Some(what) = line.strip_prefix(verb) {
                done += 1;
                let total = total.map(|total| format!(" of {total}")).unwrap_or_default();
                // The name and the version; a path behind them is the reader's own folder.
                let name = what.split(" (").next().unwrap_or(what);
                progress(&format!("{said} crate {done}{total}: {name}"));
            }
        })?;
    }
    Ok(())
}

/// Runs a command of cargo and reads along; an error ends with the last lines that it wrote.
fn follow(command: &mut Command, mut read: impl FnMut(&str)) -> anyhow::Result<()> {
    let mut running = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut last = VecDeque::new();
    let errors = running.stderr.take().context("cargo has no standard error")?;
    for line in BufReader::new(errors).lines().map_while(Result::ok) {
        read(line.trim_start());
        last.push_back(line);
        if last.len() > 40 {
            last.pop_front();
        }
    }
    if !running.wait()?.success() {
        let said: Vec<String> = last.into();
        bail!("the notebooks' dependencies could not be built:\n{}", said.join("\n"));
    }
    Ok(())
}

/// How many crates there are to compile, for the count; unknown where cargo does not say.
fn count_crates(toolchain: &Toolchain, root: &Path, host: &str) -> Option<usize> {
    let output = toolchain
        .cargo()
        .args(["tree", "--edges", "normal,build", "--prefix", "none", "--target", host])
        .current_dir(root.join("cells"))
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut crates: Vec<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    crates.sort_unstable();
    crates.dedup();
    output.status.success().then_some(crates.len())
}

/// From here on the workshop counts as finished.
fn publish(root: &Path, features: &[&str]) -> anyhow::Result<()> {
    let draft = root.join("ready.draft");
    fs::write(&draft, toolchain_key(features)?)?;
    fs::rename(&draft, root.join("ready"))?;
    Ok(())
}
