//! `scorebook run`: notebooks without Python and without a browser, for tests and long computations.

mod client;
mod execution;
mod interruption;
mod literal;
mod notebook;
mod outputs;
mod parameters;
mod progress;
mod replacement;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::device::{self, Device};
use super::{doctor, workshop};
use crate::kernel::standby;
use client::Kernel;
use execution::Ending;
use interruption::Interruption;
use notebook::Notebook;
use parameters::Parameter;
use progress::Progress;

const HELP: &str = "\
Without --output and --inplace nothing is written: the run is a check of the notebooks, and its
exit code is the answer. With them, the outputs up to there are written even if a cell fails or you
press Ctrl-C.

Cells tagged `raises-exception` may fail, those tagged `skip-execution` are left out.
Exit code: 0 if all ran; 1 if a notebook failed; 130 after Ctrl-C.

Examples:
  scorebook run 00-tour.ipynb
  scorebook run notebooks/*.ipynb --inplace --timeout 600
  scorebook run mixture.ipynb --output results --param steps=200 --param rate=1e-3";

/// The exit code of a program that Ctrl-C has ended, as shells have it.
const INTERRUPTED: u8 = 130;

/// Run notebooks and collect their outputs.
#[derive(Args)]
#[command(after_help = HELP)]
pub struct Run {
    /// The notebooks, each run in a kernel of its own, in its own folder.
    #[arg(required = true, value_name = "NOTEBOOK")]
    notebooks: Vec<PathBuf>,
    /// Write the notebooks with their outputs to DIR, under their own names.
    #[arg(long, value_name = "DIR", conflicts_with = "inplace")]
    output: Option<PathBuf>,
    /// Write the outputs into the notebooks themselves.
    #[arg(long)]
    inplace: bool,
    /// Interrupt a cell that runs longer than this many seconds [default: none].
    #[arg(long, value_name = "S", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Override a variable that the cell tagged `parameters` defines: a number, true, false or text.
    #[arg(long = "param", value_name = "NAME=VALUE")]
    parameters: Vec<Parameter>,
    /// Where the notebooks compute.
    #[arg(long, value_enum, default_value_t)]
    device: Device,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| "expected a number of seconds above 0".into())
}

/// A notebook that can be run, and where its outputs go.
struct Ready {
    notebook: Notebook,
    target: Option<PathBuf>,
}

impl Run {
    pub fn execute(self) -> Result<ExitCode> {
        self.check_names()?;
        let device = self.device.resolve()?;
        let notebooks: Vec<_> = self.notebooks.iter().map(|path| self.read(path)).collect();
        if notebooks.iter().any(Result::is_ok) {
            doctor::require_for_run()?;
            workshop::prepare(device)?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.run_all(notebooks, device))
    }

    /// Two notebooks of one name cannot both be written to one folder.
    fn check_names(&self) -> Result<()> {
        let mut names = std::collections::HashSet::new();
        for path in &self.notebooks {
            if self.output.is_some() && !names.insert(path.file_name()) {
                bail!(
                    "two notebooks are called {}: run them apart, with two folders for --output",
                    path.file_name().unwrap_or_default().display()
                );
            }
        }
        Ok(())
    }

    /// Reads a notebook and makes it ready, all but the run.
    fn read(&self, path: &Path) -> Result<Ready> {
        let mut notebook = Notebook::read(path)?;
        if let Some(language) = notebook.language()
            && !language.eq_ignore_ascii_case("rust")
        {
            bail!(
                "{}: its language is {language}, not Rust. Run it with `jupyter execute`",
                path.display()
            );
        }
        notebook.complete();
        parameters::inject(&mut notebook, &self.parameters)
            .with_context(|| path.display().to_string())?;
        Ok(Ready { notebook, target: self.target(path)? })
    }

    /// Runs them one after another; one that fails does not keep the others from running.
    async fn run_all(&self, notebooks: Vec<Result<Ready>>, device: Device) -> Result<ExitCode> {
        let mut interruption = Interruption::listen()?;
        let mut summary = Vec::new();
        let mut code = 0;
        let mut left = notebooks.len();
        for (path, ready) in self.notebooks.iter().zip(notebooks) {
            let name = path.display();
            let start = Instant::now();
            left -= 1;
            let ending = match ready {
                Ok(ready) => {
                    let command = |file: &Path| command(path, device, file, left > 0);
                    run_one(path, ready, command, self.timeout, &mut interruption).await
                }
                Err(error) => Err(error),
            };
            let time = start.elapsed().as_secs_f64();
            match ending {
                Ok(Ending::Finished) => summary.push(format!("ok           {name} ({time:.1} s)")),
                Ok(Ending::Failed(why)) => {
                    eprintln!("error: {name}, {}", progress::for_stderr(&why));
                    summary.push(format!("failed       {name} ({time:.1} s)"));
                    code = 1;
                }
                Ok(Ending::Interrupted) => {
                    summary.push(format!("interrupted  {name} ({time:.1} s)"));
                    code = INTERRUPTED;
                    break;
                }
                Err(error) => {
                    eprintln!("error: {error:#}");
                    summary.push(format!("failed       {name}"));
                    code = 1;
                }
            }
        }
        if self.notebooks.len() > 1 || code == INTERRUPTED {
            eprintln!("{}", summary.join("\n"));
        }
        if self.output.is_none() && !self.inplace && code == 0 {
            eprintln!("Nothing was written. To keep the outputs: --inplace, or --output DIR.");
        }
        Ok(ExitCode::from(code))
    }

    /// Where the outputs go. Whether they can is known before the run, not after it.
    fn target(&self, path: &Path) -> Result<Option<PathBuf>> {
        let target = match &self.output {
            Some(folder) => {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("--output: cannot create {}", folder.display()))?;
                folder.join(path.file_name().context("a notebook needs a file name")?)
            }
            None if self.inplace => path.to_owned(),
            None => return Ok(None),
        };
        replacement::check(&target)?;
        Ok(Some(target))
    }
}

/// Runs one notebook in a kernel of its own and writes what came of it.
async fn run_one(
    path: &Path,
    Ready { mut notebook, target }: Ready,
    command: impl FnOnce(&Path) -> Result<Command>,
    limit: Option<Duration>,
    interruption: &mut Interruption,
) -> Result<Ending> {
    let progress = Progress::new(&path.file_name().unwrap_or_default().to_string_lossy());
    progress.say("starting the kernel");
    let kernel = tokio::select! {
        kernel = Kernel::start(command) => kernel?,
        () = interruption.next() => return Ok(Ending::Interrupted),
    };
    let ending = execution::run(&mut notebook, kernel, limit, interruption, &progress).await?;
    if let Some(target) = target {
        notebook.write(&target)?;
    }
    Ok(ending)
}

/// The command of our own kernel for a notebook: it runs in the notebook's folder, as under Jupyter. Where
/// others follow, the next one's kernel is started meanwhile.
fn command(notebook: &Path, device: Device, connection_file: &Path, more: bool) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let folder = notebook.canonicalize()?;
    command.current_dir(folder.parent().unwrap_or(Path::new("/")));
    command.args(["kernel", "-f"]).arg(connection_file);
    command.env(device::VARIABLE, device.name());
    match more {
        true => command.env(standby::KEEPER_VARIABLE, std::process::id().to_string()),
        false => command.env_remove(standby::KEEPER_VARIABLE),
    };
    Ok(command)
}
