//! What the workshops take on the disk, and which of them stay.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};

use super::{is_ready, spare};

/// How much the workshops may take in all, such as `20GB`.
pub const LIMIT_VARIABLE: &str = "SCOREBOOK_CACHE_LIMIT";
/// What they may take where that is not set.
const USUAL_LIMIT: u64 = 20_000_000_000;

/// A workshop on the disk.
#[derive(Clone, Debug)]
pub struct Workshop {
    /// Its folder.
    pub folder: PathBuf,
    /// The bytes of its files. Those that it shares with a workshop used later are counted there.
    pub bytes: u64,
    /// When it was last used; `None` if it is not finished.
    pub used: Option<SystemTime>,
    /// How many living kernels use it.
    pub kernels: usize,
}

/// The folder of the workshops.
///
/// # Errors
/// The user has no cache folder.
pub fn folder() -> anyhow::Result<PathBuf> {
    Ok(super::cache()?.join("workshop"))
}

/// All workshops, the one used last first, and behind them the unfinished ones.
///
/// # Errors
/// The user has no cache folder.
pub fn stored() -> anyhow::Result<Vec<Workshop>> {
    Ok(stored_in(&folder()?, &spare::workshops_in_use()))
}

fn stored_in(folder: &Path, in_use: &[PathBuf]) -> Vec<Workshop> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<Workshop> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .map(|folder| Workshop {
            bytes: 0,
            used: used(&folder),
            kernels: in_use.iter().filter(|used| **used == folder).count(),
            folder,
        })
        .collect();
    all.sort_by(|a, b| (b.used, &a.folder).cmp(&(a.used, &b.folder)));
    let mut counted = HashSet::new();
    for workshop in &mut all {
        workshop.bytes = size(&workshop.folder, &mut counted);
    }
    all
}

/// When the finished workshop at `root` was last used.
pub(super) fn used(root: &Path) -> Option<SystemTime> {
    fs::metadata(root.join("ready")).ok()?.modified().ok()
}

/// What the files below `folder` take, but for those that were counted before: the dependencies' files are linked from
/// one workshop to the next.
fn size(folder: &Path, counted: &mut HashSet<(u64, u64)>) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size(&entry.path(), counted),
            Ok(data) if counted.insert((data.dev(), data.ino())) => 512 * data.blocks(),
            _ => 0,
        })
        .sum()
}

/// How many bytes the workshops may take.
///
/// # Errors
/// The variable [`LIMIT_VARIABLE`] holds no size.
pub fn limit() -> anyhow::Result<u64> {
    match std::env::var(LIMIT_VARIABLE) {
        Ok(text) => bytes(&text).with_context(|| {
            format!("{LIMIT_VARIABLE}={text}: give a size, such as 20GB or 500MB")
        }),
        Err(std::env::VarError::NotPresent) => Ok(USUAL_LIMIT),
        Err(error) => bail!("{LIMIT_VARIABLE}: {error}"),
    }
}

/// `20GB`, `1.5 TB`, `500000000`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1.0,
        "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some((number * unit) as u64)
}

/// Removes what is beyond the limit, the workshops first that were not used for the longest time, and those that somebody
/// began and gave up. The one at `root`, which is about to be used, and those of living kernels stay.
pub(super) fn tidy(root: &Path, limit: u64) {
    let Some(folder) = root.parent() else { return };
    tidy_in(folder, root, limit, &spare::workshops_in_use());
}

fn tidy_in(folder: &Path, root: &Path, limit: u64, in_use: &[PathBuf]) {
    let all = stored_in(folder, in_use);
    let stays = |workshop: &Workshop| workshop.folder == root || workshop.kernels > 0;
    // What must stay has its room before the others.
    let mut taken: u64 = all.iter().filter(|w| stays(w)).map(|workshop| workshop.bytes).sum();
    let mut is_full = false;
    for workshop in all.iter().filter(|workshop| !stays(workshop)) {
        if workshop.used.is_none() {
            if is_given_up(&workshop.folder) {
                remove(&workshop.folder);
            }
            continue;
        }
        taken += workshop.bytes;
        is_full |= taken > limit;
        if is_full {
            remove(&workshop.folder);
        }
    }
}

/// Removes all workshops that no kernel uses and nobody builds; those that stay, with the reason.
///
/// # Errors
/// The user has no cache folder.
pub fn clear() -> anyhow::Result<Vec<(Workshop, &'static str)>> {
    Ok(clear_in(&folder()?, &spare::workshops_in_use()))
}

fn clear_in(folder: &Path, in_use: &[PathBuf]) -> Vec<(Workshop, &'static str)> {
    let mut kept = Vec::new();
    for workshop in stored_in(folder, in_use) {
        if workshop.kernels > 0 {
            kept.push((workshop, "a kernel uses it"));
        } else if !is_ready(&workshop.folder) && is_being_built(&workshop.folder) {
            kept.push((workshop, "it is being built"));
        } else {
            remove(&workshop.folder);
            if workshop.folder.exists() {
                kept.push((workshop, "it cannot be removed"));
            }
        }
    }
    kept
}

/// From the first moment on nobody takes it for finished.
fn remove(root: &Path) {
    let _ = fs::remove_file(root.join("ready"));
    let _ = fs::remove_dir_all(root);
}

/// Whether somebody holds the lock of the unfinished workshop at `root`.
fn is_being_built(root: &Path) -> bool {
    File::open(root.join("lock")).is_ok_and(|lock| lock.try_lock().is_err())
}

/// Whether nobody builds the unfinished workshop at `root`, nor has begun to within the last day.
fn is_given_up(root: &Path) -> bool {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let begun = fs::metadata(root.join("lock")).and_then(|data| data.modified());
    let old = begun.is_ok_and(|begun| begun.elapsed().is_ok_and(|age| age > DAY));
    old && !is_being_built(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four finished workshops of 100 kB each, of which `old` is the one used first, and an unfinished one.
    fn laid_out(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("scorebook-storage-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        for (age, workshop) in ["new", "recent", "middle", "old"].into_iter().enumerate() {
            let root = folder.join(workshop);
            fs::create_dir_all(root.join("cells/target")).unwrap();
            fs::write(root.join("cells/target/code"), vec![7; 100_000]).unwrap();
            fs::write(root.join("ready"), "").unwrap();
            let ready = File::options().write(true).open(root.join("ready")).unwrap();
            let used = SystemTime::now() - Duration::from_secs(60 * age as u64);
            ready.set_modified(used).unwrap();
        }
        fs::create_dir_all(folder.join("begun")).unwrap();
        File::create(folder.join("begun/lock")).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let all = stored_in(folder, &[]);
        all.iter().map(|w| w.folder.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_limit_takes_those_that_were_not_used_for_the_longest_time() {
        let folder = laid_out("limit");
        assert_eq!(names(&folder), ["new", "recent", "middle", "old", "begun"]);
        let sizes: Vec<u64> = stored_in(&folder, &[]).iter().map(|w| w.bytes).collect();
        assert!(sizes[..4].iter().all(|bytes| (100_000..150_000).contains(bytes)), "{sizes:?}");
        // Room for all, then for three.
        tidy_in(&folder, &folder.join("new"), 600_000, &[]);
        assert_eq!(names(&folder).len(), 5);
        tidy_in(&folder, &folder.join("new"), 350_000, &[]);
        assert_eq!(names(&folder), ["new", "recent", "middle", "begun"]);
        // A kernel lives in one, and the one that was just built stays however small the limit is.
        tidy_in(&folder, &folder.join("new"), 0, &[folder.join("middle")]);
        assert_eq!(names(&folder), ["new", "middle", "begun"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn shared_files_are_counted_once() {
        let folder = laid_out("shared");
        let (from, to) =
            (folder.join("new/cells/target/code"), folder.join("old/cells/target/more"));
        fs::hard_link(from, to).unwrap();
        let all = stored_in(&folder, &[]);
        assert!(all.iter().all(|workshop| workshop.bytes < 150_000), "{all:?}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn clearing_leaves_what_is_in_use() {
        let folder = laid_out("clear");
        let lock = File::open(folder.join("begun/lock")).unwrap();
        lock.lock().unwrap();
        let in_use = [folder.join("old"), folder.join("old")];
        let kept = clear_in(&folder, &in_use);
        assert_eq!(names(&folder), ["old", "begun"]);
        let reasons: Vec<_> = kept.iter().map(|(w, reason)| (w.kernels, *reason)).collect();
        assert_eq!(reasons, [(2, "a kernel uses it"), (0, "it is being built")]);
        drop(lock);
        assert!(clear_in(&folder, &[]).is_empty());
        assert!(names(&folder).is_empty());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn sizes_are_read() {
        for (text, expected) in [
            ("20GB", Some(20_000_000_000)),
            (" 1.5 tb ", Some(1_500_000_000_000)),
            ("500000", Some(500_000)),
            ("0", Some(0)),
            ("10kB", Some(10_000)),
            ("-1GB", None),
            ("much", None),
            ("1e400", None),
            ("5GiB", None),
            ("", None),
        ] {
            assert_eq!(bytes(text), expected, "{text:?}");
        }
    }
}
