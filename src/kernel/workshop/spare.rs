//! One kernel's own copy of a workshop.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

use super::copy::{copy_file, copy_tree};
use super::standard;

/// A kernel's folder, which is deleted when the kernel ends. As long as the kernel lives it holds a
/// lock in the folder, by which the folder of a kernel that was killed can be told.
#[derive(Debug)]
pub(in crate::kernel) struct Spare {
    root: PathBuf,
    _lock: File,
}

impl Spare {
    /// An empty folder for this process; the folders of dead kernels are removed on the way.
    pub(in crate::kernel) fn reserve() -> anyhow::Result<Self> {
        let kernels = super::cache()?.join("kernels");
        sweep(&kernels);
        let root = kernels.join(uuid::Uuid::new_v4().simple().to_string());
        fs::create_dir_all(root.join("cells"))
            .with_context(|| format!("cannot create {}", root.display()))?;
        let lock = File::create(root.join("lock"))?;
        lock.lock()?;
        Ok(Self { root, _lock: lock })
    }

    /// Fills the folder from the workshop at `workshop`: all but the compiled files, which take longest, before it
    /// returns, and those in a thread.
    pub(in crate::kernel) fn fill(&self, workshop: &Path) -> anyhow::Result<Filling> {
        fs::write(self.root.join("workshop"), workshop.to_string_lossy().as_bytes())?;
        standard::link(&self.root)?;
        for part in [".cargo", "cells/src"] {
            copy_tree(&workshop.join(part), &self.root.join(part))?;
        }
        for file in ["cells/Cargo.toml", "cells/Cargo.lock"] {
            copy_file(&workshop.join(file), &self.root.join(file))?;
        }
        // The system's loader never looks again for a folder of its path that was not there once.
        fs::create_dir_all(super::toolchain::dependencies(&self.cells())?)?;
        let [from, to] = [workshop, &self.root].map(|folder| folder.join("cells/target"));
        Ok(Filling { copying: std::thread::spawn(move || copy_tree(&from, &to)) })
    }

    /// The folder of the cells' crate.
    pub(in crate::kernel) fn cells(&self) -> PathBuf {
        self.root.join("cells")
    }

    /// A file in the folder, for the kernel's own use.
    pub(in crate::kernel) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Deletes the folder, also while a start that is cut short still writes into it: a file in its place lets that fail.
    /// What a compiler that still runs writes meanwhile is swept by a later kernel.
    pub(in crate::kernel) fn delete(&self) {
        for _ in 0..20 {
            let _ = fs::remove_dir_all(&self.root);
            if fs::write(&self.root, "").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
                let _ = fs::remove_file(&self.root);
                break;
            }
        }
    }
}

/// The compiled files are on their way.
pub(in crate::kernel) struct Filling {
    copying: JoinHandle<anyhow::Result<()>>,
}

impl Filling {
    /// Waits until they are there.
    pub(in crate::kernel) fn finish(self) -> anyhow::Result<()> {
        self.copying
            .join()
            .unwrap_or_else(|_| anyhow::bail!("the copying of the workshop panicked"))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.delete();
    }
}

/// The workshop that the kernel with this folder was filled from.
pub(in crate::kernel) fn of_kernel(folder: &Path) -> Option<PathBuf> {
    fs::read_to_string(folder.join("workshop")).ok().map(PathBuf::from)
}

/// The folders of all kernels.
pub(in crate::kernel) fn kernel_folders() -> Vec<PathBuf> {
    let folders = super::cache().and_then(|cache| Ok(fs::read_dir(cache.join("kernels"))?));
    folders.into_iter().flatten().flatten().map(|folder| folder.path()).collect()
}

/// The workshops that living kernels use, each as often as kernels use it.
pub(super) fn workshops_in_use() -> Vec<PathBuf> {
    if let Ok(cache) = super::cache() {
        sweep(&cache.join("kernels"));
    }
    kernel_folders().iter().filter_map(|folder| of_kernel(folder)).collect()
}

/// Removes the folders whose kernel is dead: those whose lock nobody holds.
fn sweep(kernels: &Path) {
    for folder in fs::read_dir(kernels).into_iter().flatten().flatten() {
        let dead = match File::open(folder.path().join("lock")) {
            Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
            // One that is being created right now has no lock yet; leave it its first minute.
            Err(_) => is_old(&folder.path()),
        };
        if dead {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

fn is_old(folder: &Path) -> bool {
    let modified = fs::metadata(folder).and_then(|data| data.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 60))
}
