//! The run of one notebook: its cells one after another, until the end or the first failure.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use jupyter_protocol::{ExecutionState, JupyterMessage, JupyterMessageContent, ReplyStatus};
use serde_json::json;
use tokio::time::Instant;

use super::client::{Incoming, Kernel};
use super::interruption::Interruption;
use super::notebook::{self, Notebook};
use super::outputs::Outputs;
use super::progress::Progress;
use crate::command::kernelspec;

/// How long a cell that was interrupted may take to stop; longer than the kernel itself waits.
const STOP: Duration = Duration::from_secs(15);
/// How long a kernel may take to end when asked to.
const END: Duration = Duration::from_secs(10);
/// How long outputs may come after the reply to their cell.
const LAST_OUTPUTS: Duration = Duration::from_secs(5);

/// How the run of a notebook ended.
#[derive(Debug)]
pub enum Ending {
    /// Every cell ran.
    Finished,
    /// A cell failed, ran too long, or ended the kernel: where and why, for the reader.
    Failed(String),
    /// The reader asked to stop.
    Interrupted,
}

/// How one cell ended.
enum Stop {
    Replied(ReplyStatus),
    TimedOut,
    Interrupted,
    Died(String),
}

/// Runs the notebook's code cells in the kernel, which it ends. What they put out is in the notebook
/// afterwards, however it went; cells that were not reached have no outputs.
pub async fn run(
    notebook: &mut Notebook,
    kernel: Kernel,
    limit: Option<Duration>,
    interruption: &mut Interruption,
    progress: &Progress,
) -> Result<Ending> {
    let outputs = Outputs::new(notebook.cells().len());
    let language = serde_json::to_value(&kernel.info.language_info).ok();
    let mut execution = Execution { kernel, outputs, owners: HashMap::new(), limit, interruption };
    let mut ending = Ending::Finished;
    let cells = to_run(notebook);
    for (number, index) in cells.iter().copied().enumerate() {
        let cell = &notebook.cells()[index];
        let code = notebook::source(cell);
        let running = progress.begin(number + 1, cells.len(), &code);
        let may_fail = notebook::has_tag(cell, "raises-exception");
        let stop = execution.run_cell(index, code, !may_fail).await?;
        let stopped = execution.judge(index, stop, may_fail);
        running.end(stopped.is_none());
        if let Some(stopped) = stopped {
            ending = match stopped {
                Ending::Failed(why) => {
                    Ending::Failed(format!("cell {} of {}: {why}", number + 1, cells.len()))
                }
                other => other,
            };
            break;
        }
    }
    let patience = match execution.kernel.is_stuck {
        true => Duration::ZERO,
        false => END,
    };
    execution.kernel.shut_down(patience).await;
    for (index, (count, outputs)) in execution.outputs.into_results().enumerate() {
        if notebook::is_code(&notebook.cells()[index]) {
            notebook.set_result(index, count, outputs);
        }
    }
    let kernelspec = json!({
        "display_name": kernelspec::DISPLAY_NAME, "language": "rust", "name": kernelspec::NAME,
    });
    notebook.describe(language, kernelspec);
    Ok(ending)
}

/// The indices of the cells to run: code that is not empty, unless its tag says to skip it.
fn to_run(notebook: &Notebook) -> Vec<usize> {
    let runs = |cell| {
        notebook::is_code(cell)
            && !notebook::source(cell).trim().is_empty()
            && !notebook::has_tag(cell, "skip-execution")
    };
    let cells = notebook.cells().iter().enumerate();
    cells.filter(|(_, cell)| runs(cell)).map(|(index, _)| index).collect()
}

struct Execution<'a> {
    kernel: Kernel,
    outputs: Outputs,
    /// The cell that each request was for: outputs may come late.
    owners: HashMap<String, usize>,
    limit: Option<Duration>,
    interruption: &'a mut Interruption,
}

impl Execution<'_> {
    /// Runs one cell until the kernel has replied and said that it is idle again.
    async fn run_cell(&mut self, index: usize, code: String, stop_on_error: bool) -> Result<Stop> {
        let request = self.kernel.execute(code, stop_on_error).await?;
        self.owners.insert(request.clone(), index);
        let (mut reply, mut idle) = (None, false);
        // Why the cell was interrupted, if it was.
        let mut stopping = None;
        let mut deadline = self.limit.map(|limit| Instant::now() + limit);
        loop {
            if idle && let Some(status) = reply {
                return Ok(stopping.unwrap_or(Stop::Replied(status)));
            }
            tokio::select! {
                incoming = self.kernel.next() => match incoming {
                    Err(error) => return Ok(stopping.unwrap_or(Stop::Died(error.to_string()))),
                    Ok(Incoming::Shell(message)) => {
                        if parent(&message) == Some(&request)
                            && let JupyterMessageContent::ExecuteReply(message) = message.content
                        {
                            reply = Some(message.status);
                            deadline = Some(Instant::now() + LAST_OUTPUTS);
                        }
                    }
                    Ok(Incoming::IoPub(message)) => {
                        let owner = parent(&message).and_then(|id| self.owners.get(id));
                        if let Some(owner) = owner {
                            idle |= *owner == index && is_idle(&message);
                            self.outputs.receive(*owner, &message.content);
                        }
                    }
                },
                () = until(deadline) => match (reply, stopping) {
                    (Some(status), stopping) => {
                        return Ok(stopping.unwrap_or(Stop::Replied(status)));
                    }
                    (None, None) => {
                        self.kernel.interrupt().await?;
                        (reply, stopping) = (None, Some(Stop::TimedOut));
                        deadline = Some(Instant::now() + STOP);
                    }
                    (None, Some(stopping)) => {
                        self.kernel.is_stuck = true;
                        return Ok(stopping);
                    }
                },
                () = self.interruption.next() => {
                    // Asked a second time, we wait no longer.
                    if matches!(stopping, Some(Stop::Interrupted)) {
                        self.kernel.is_stuck = true;
                        return Ok(Stop::Interrupted);
                    }
                    self.kernel.interrupt().await?;
                    stopping = Some(Stop::Interrupted);
                    deadline = Some(Instant::now() + STOP);
                }
            }
        }
    }

    /// What the end of a cell means for the notebook; nothing if the next one may run.
    fn judge(&mut self, index: usize, stop: Stop, may_fail: bool) -> Option<Ending> {
        let error = self.outputs.error(index);
        match stop {
            Stop::Replied(ReplyStatus::Ok) => None,
            Stop::Replied(ReplyStatus::Error) if may_fail => None,
            Stop::Replied(ReplyStatus::Error) => Some(Ending::Failed(match error {
                Some(error) => format!("it failed:\n{error}"),
                None => "it failed, and the kernel did not say why".into(),
            })),
            Stop::Replied(ReplyStatus::Aborted) => {
                Some(Ending::Failed("the kernel refused to run it".into()))
            }
            Stop::TimedOut => {
                let limit = self.limit.unwrap_or_default().as_secs_f64();
                let why = format!("it ran longer than --timeout {limit} s and was interrupted");
                self.outputs.fail(index, "Timeout", &why);
                Some(Ending::Failed(why))
            }
            Stop::Interrupted => {
                if error.is_none() {
                    self.outputs.fail(index, "Interrupted", "the reader stopped the run");
                }
                Some(Ending::Interrupted)
            }
            Stop::Died(why) => {
                self.outputs.fail(index, "DeadKernel", &why);
                Some(Ending::Failed(why))
            }
        }
    }
}

fn parent(message: &JupyterMessage) -> Option<&String> {
    Some(&message.parent_header.as_ref()?.msg_id)
}

fn is_idle(message: &JupyterMessage) -> bool {
    matches!(&message.content, JupyterMessageContent::Status(status)
        if status.execution_state == ExecutionState::Idle)
}

/// Waits until the moment, or for ever if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
