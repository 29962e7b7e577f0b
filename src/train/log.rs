//! The log of a training: a line of JSON a step.

use super::Step;
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that gets a line of JSON for every step, at once: what is there survives whatever ends the program.
///
/// ```
/// use scorebook::prelude::*;
/// use scorebook::train::Log;
///
/// let path = std::env::temp_dir().join(format!("log-example-{}.jsonl", std::process::id()));
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = Mlp::new(MlpSettings::default(), process, &mut generator, &Device::Cpu)?;
/// let mut training = Training::new(&network, TrainingSettings::default())?;
/// training.log_to(Log::create(&path)?);
/// let report = training.run(&Mixture::ring(8, 2., 0.15)?, 3, |_| {})?;
/// let steps = Log::read(&path)?;
/// assert_eq!(steps[2].loss, report.losses[2]);
/// # std::fs::remove_file(path)?;
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
    file: Arc<File>,
}

impl Log {
    /// A new log. `path` may also be a pipe or a device.
    ///
    /// # Errors
    /// If the file cannot be written, or has something in it already.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let log = Self::appending(path.as_ref())?;
        if log.is_plain()? && log.file.metadata()?.len() > 0 {
            let remedy = "Go on with the training that wrote it, or name another file";
            return Err(Error::file(log.path, "is not empty", remedy));
        }
        Ok(log)
    }

    /// The log of a training that is taken up after `step` steps. Lines of later steps are removed: the training that
    /// wrote them was ended before it saved them, and they will be made again. A file that is missing is created.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let path = std::env::temp_dir().join(format!("log-resumed-{}.jsonl", std::process::id()));
    /// let process = VariancePreserving::default().into();
    /// let network = Mlp::new(MlpSettings::default(), process, &mut Generator::new(1), &Device::Cpu)?;
    /// let mut training = Training::new(&network, TrainingSettings::default())?;
    /// training.log_to(Log::create(&path)?);
    /// training.run(&Mixture::ring(8, 2., 0.15)?, 3, |_| {})?;
    /// // Only two of the steps had been saved.
    /// Log::resume(&path, 2)?;
    /// assert_eq!(Log::read(&path)?.iter().map(|step| step.step).collect::<Vec<_>>(), [1, 2]);
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the file cannot be written, or is not a log.
    pub fn resume(path: impl AsRef<Path>, step: u64) -> Result<Self> {
        let log = Self::appending(path.as_ref())?;
        if log.is_plain()? {
            let (steps, ends) = parse(path.as_ref())?;
            let keep = steps.iter().take_while(|line| line.step <= step).count();
            log.file.set_len(if keep == 0 { 0 } else { ends[keep - 1] })?;
        }
        Ok(log)
    }

    /// The steps in the log at `path`. A last line that was cut short is left out.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a log.
    pub fn read(path: impl AsRef<Path>) -> Result<Vec<Step>> {
        Ok(parse(path.as_ref())?.0)
    }

    fn appending(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| failed(path, &error))?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file) })
    }

    fn is_plain(&self) -> Result<bool> {
        Ok(self.file.metadata()?.is_file())
    }

    /// Adds a line, whole or not at all.
    pub(super) fn write(&self, step: &Step) -> Result<()> {
        let mut line = serde_json::to_vec(step)?;
        line.push(b'\n');
        let mut file = &*self.file;
        let before = file.metadata()?.len();
        file.write_all(&line).map_err(|error| {
            if file.metadata().is_ok_and(|data| data.is_file() && data.len() > before) {
                // A part of the line was written before the disk was full.
                let _ = file.set_len(before);
            }
            failed(&self.path, &error)
        })
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    let cause = format!("the log cannot be written: {error}");
    Error::file(path, cause, "Check the folder and the disk's free space, or name another file")
}

/// The steps of a log, and where the line of each ends.
fn parse(path: &Path) -> Result<(Vec<Step>, Vec<u64>)> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::file(path, error.to_string(), "Check the path"))?;
    let (mut steps, mut ends, mut end) = (Vec::new(), Vec::new(), 0);
    for (number, line) in (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n')) {
        end += line.len() as u64;
        match serde_json::from_slice(line) {
            // Without its end the line may be a part of a longer one.
            _ if line.last() != Some(&b'\n') => break,
            Ok(step) => {
                steps.push(step);
                ends.push(end);
            }
            Err(error) => {
                let cause = format!("line {number} is not one of a training's log ({error})");
                return Err(Error::file(path, cause, "Name the log of a training"));
            }
        }
    }
    Ok((steps, ends))
}
