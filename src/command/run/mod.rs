//! `scorebook run`: notebooks without Python and without a browser, for tests and long computations.

mod client;
mod execution;
mod interruption;
mod notebook;
mod outputs;
mod parameters;
mod progress;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use super::device::{self, Device};
use super::{doctor, workshop};
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

impl Run {
    pub fn execute(self) -> Result<ExitCode> {
        self.check_targets()?;
        let device = self.device.resolve()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.run_all(device))
    }

    /// Two notebooks of one name cannot both be written to one folder.
    fn check_targets(&self) -> Result<()> {
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

    async fn run_all(&self, device: Device) -> Result<ExitCode> {
        let mut interruption = Interruption::listen()?;
        let mut summary = Vec::new();
        let mut code = 0;
        for path in &self.notebooks {
            let name = path.display();
            let start = Instant::now();
            let ending = self.run_one(path, device, &mut interruption).await;
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
        if self.output.is_none() && !self.inplace && code != 1 {
            eprintln!("Nothing was written. To keep the outputs: --inplace, or --output DIR.");
        }
        Ok(ExitCode::from(code))
    }

    async fn run_one(
        &self,
        path: &Path,
        device: Device,
        interruption: &mut Interruption,
    ) -> Result<Ending> {
        let mut notebook = Notebook::read(path)?;
        if let Some(language) =
            notebook.language().filter(|name| !name.eq_ignore_ascii_case("rust"))
        {
            bail!(
                "{}: its language is {language}, not Rust. Run it with `jupyter execute`",
                path.display()
            );
        }
        notebook.complete();
        parameters::inject(&mut notebook, &self.parameters)
            .with_context(|| path.display().to_string())?;
        let target = self.target(path)?;

        doctor::require_for_run()?;
        let progress = Progress::new(&path.file_name().unwrap_or_default().to_string_lossy());
        progress.say("preparing the build of the notebooks");
        tokio::task::block_in_place(|| workshop::prepare(device))?;
        progress.say("starting the kernel");
        let kernel = tokio::select! {
            kernel = Kernel::start(|file| command(path, device, file)) => kernel?,
            () = interruption.next() => return Ok(Ending::Interrupted),
        };
        let ending =
            execution::run(&mut notebook, kernel, self.timeout, interruption, &progress).await?;
        if let Some(target) = target {
            notebook.write(&target)?;
        }
        Ok(ending)
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
        notebook::check_writable(&target)?;
        Ok(Some(target))
    }
}

/// The command of our own kernel for a notebook: it runs in the notebook's folder, as under Jupyter.
fn command(notebook: &Path, device: Device, connection_file: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let folder = notebook.canonicalize()?;
    command.current_dir(folder.parent().unwrap_or(Path::new("/")));
    command.args(["kernel", "-f"]).arg(connection_file);
    command.env(device::VARIABLE, device.name());
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Runs these cells in another kernel, Jupyter's own for Python: `run` speaks the protocol, not
    /// our kernel's dialect of it. `SCOREBOOK_TEST_PYTHON` names a Python with ipykernel.
    fn run_python(
        cells: &[(&str, &str)],
        limit: Option<Duration>,
        interrupt_after: Option<Duration>,
    ) -> (Ending, Notebook) {
        let python = std::env::var("SCOREBOOK_TEST_PYTHON").expect("SCOREBOOK_TEST_PYTHON");
        let cells: Vec<Value> = cells
            .iter()
            .map(|(tag, source)| {
                let metadata = json!({ "tags": [tag] });
                let outputs = json!([{ "output_type": "stream", "name": "stdout", "text": "old" }]);
                json!({ "cell_type": "code", "source": source, "metadata": metadata,
                        "outputs": outputs, "execution_count": 99 })
            })
            .collect();
        let document = json!({ "cells": cells, "metadata": {}, "nbformat": 4 });
        let mut notebook = Notebook::parse(document.to_string().as_bytes()).unwrap();
        notebook.complete();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let ending = runtime.block_on(async {
            let mut interruption = Interruption::listen().unwrap();
            let kernel = Kernel::start(|file| {
                let mut command = Command::new(&python);
                command.args(["-m", "ipykernel_launcher", "-f"]).arg(file);
                Ok(command)
            });
            let kernel = kernel.await.unwrap();
            if let Some(delay) = interrupt_after {
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    crate::command::process::signal(std::process::id(), libc::SIGINT);
                });
            }
            doctor::require_for_run()?;
            let progress = Progress::new("test.ipynb");
            execution::run(&mut notebook, kernel, limit, &mut interruption, &progress).await
        });
        (ending.unwrap(), notebook)
    }

    #[test]
    #[ignore = "needs SCOREBOOK_TEST_PYTHON, a Python with ipykernel"]
    fn outputs_come_back_from_another_kernel() {
        let (ending, notebook) = run_python(
            &[
                ("", "x = 6; print('a', flush=True); print('b')"),
                ("raises-exception", "1/0"),
                ("skip-execution", "x = 0"),
                ("", "from IPython.display import display\nh = display(1, display_id='d')"),
                ("", "h.update(2); x * 7"),
            ],
            None,
            None,
        );
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        let outputs: Vec<_> = notebook.cells().iter().map(|cell| &cell["outputs"]).collect();
        let counts: Vec<_> = notebook.cells().iter().map(|cell| &cell["execution_count"]).collect();
        assert_eq!(counts, [&json!(1), &json!(2), &Value::Null, &json!(3), &json!(4)]);
        assert_eq!(
            *outputs[0],
            json!([{ "output_type": "stream", "name": "stdout", "text": ["a\n", "b\n"] }])
        );
        assert_eq!(outputs[1][0]["ename"], "ZeroDivisionError");
        assert_eq!(*outputs[2], json!([]));
        assert_eq!(outputs[3][0]["data"]["text/plain"], json!(["2"]));
        assert_eq!(outputs[4][0]["data"]["text/plain"], json!(["42"]));
        assert_eq!(notebook.language(), Some("rust"));
    }

    #[test]
    #[ignore = "needs SCOREBOOK_TEST_PYTHON, a Python with ipykernel"]
    fn a_failing_cell_ends_the_run_and_keeps_what_came_before() {
        let (ending, notebook) =
            run_python(&[("", "print(1)"), ("", "print(2); oops"), ("", "print(3)")], None, None);
        let Ending::Failed(why) = ending else { panic!("{ending:?}") };
        assert!(why.starts_with("cell 2 of 3: it failed") && why.contains("NameError"), "{why}");
        assert_eq!(notebook.cells()[0]["outputs"][0]["text"], json!(["1\n"]));
        assert_eq!(notebook.cells()[1]["outputs"][0]["text"], json!(["2\n"]));
        assert_eq!(notebook.cells()[1]["outputs"][1]["ename"], "NameError");
        assert_eq!(notebook.cells()[2]["outputs"], json!([]));
        assert_eq!(notebook.cells()[2]["execution_count"], Value::Null);
    }

    #[test]
    #[ignore = "needs SCOREBOOK_TEST_PYTHON, a Python with ipykernel"]
    fn a_cell_without_end_is_interrupted_in_time() {
        let start = Instant::now();
        let limit = Some(Duration::from_secs(2));
        let forever = "print('on', flush=True)\nimport time\nwhile True: time.sleep(0.1)";
        let (ending, notebook) = run_python(&[("", forever)], limit, None);
        let Ending::Failed(why) = ending else { panic!("{ending:?}") };
        assert!(why.contains("cell 1 of 1: it ran longer than --timeout 2 s"), "{why}");
        let outputs = notebook.cells()[0]["outputs"].as_array().unwrap();
        assert_eq!(outputs[0]["text"], json!(["on\n"]));
        assert_eq!(outputs.last().unwrap()["ename"], "Timeout");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    #[ignore = "needs SCOREBOOK_TEST_PYTHON, a Python with ipykernel"]
    fn an_interrupt_and_the_death_of_a_kernel_keep_what_there_is() {
        let wait = "print('on', flush=True)\nimport time\ntime.sleep(600)";
        let (ending, notebook) =
            run_python(&[("", wait), ("", "2")], None, Some(Duration::from_secs(1)));
        assert!(matches!(ending, Ending::Interrupted), "{ending:?}");
        assert_eq!(notebook.cells()[0]["outputs"][0]["text"], json!(["on\n"]));
        assert_eq!(notebook.cells()[1]["outputs"], json!([]));

        let (ending, notebook) =
            run_python(&[("", "1"), ("", "import os\nos._exit(3)"), ("", "2")], None, None);
        let Ending::Failed(why) = ending else { panic!("{ending:?}") };
        assert!(why.contains("cell 2 of 3: the kernel has died (exit status: 3)"), "{why}");
        assert_eq!(notebook.cells()[1]["outputs"][0]["ename"], "DeadKernel");
    }
}
