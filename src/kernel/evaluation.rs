//! The thread that compiles and runs cells.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evcxr::{CommandContext, Error, EvalCallbacks, EvalContextOutputs};
use jupyter_protocol::{CompleteReply, InspectReply, JupyterMessage};
use scorebook::notebook::Bundle;
use scorebook::notebook::channel::Answer;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};

use super::diagnostic::Sources;
use super::failure::Failure;
use super::interruption::{Interruption, Outcome};
use super::names::{self, Names};
use super::output::{self, Barrier, Ending, Outputs};
use super::startup::{Helpers, PRELUDE, Renewal, Started};
use super::stdin::Question;
use super::syntax::{self, SHOW, Shown};
use super::{analysis, rebuild};

/// rust-analyzer recurses deeply.
const STACK: usize = 64 << 20;

/// A cell that is to be run.
pub(super) struct Cell {
    pub(super) code: String,
    pub(super) count: usize,
    /// The request; its outputs are published unless `silent`.
    pub(super) parent: JupyterMessage,
    pub(super) silent: bool,
    /// Where the cell's questions go, if it may ask any.
    pub(super) questions: Option<UnboundedSender<Question>>,
}

/// How a cell went: its value, if it has shown one.
pub(super) type Evaluated = Result<Option<Bundle>, Failure>;

/// After so long without a request the thread looks for something useful to do.
const IDLE: Duration = Duration::from_millis(300);

enum Job {
    Run(Box<Cell>, oneshot::Sender<Evaluated>),
    Complete(String, usize, oneshot::Sender<CompleteReply>),
    Inspect(String, usize, oneshot::Sender<InspectReply>),
}

/// The thread's door. Jobs are done in the order in which they come.
#[derive(Clone)]
pub(super) struct Evaluator {
    jobs: Sender<Job>,
    /// What can be answered while the thread is busy.
    pub(super) names: Arc<Names>,
    /// What the kernel is doing before it can run cells, when that takes long; else nothing.
    pub(super) news: watch::Receiver<String>,
}

impl Evaluator {
    /// Starts the thread, which at once does what `start` says.
    ///
    /// # Errors
    /// The operating system refuses the thread.
    pub(super) fn start(
        start: impl FnOnce(Helpers) -> anyhow::Result<Started> + Send + 'static,
        outputs: Arc<Outputs>,
        interruption: Arc<Interruption>,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let (reporter, news) = watch::channel(String::new());
        let names = Arc::new(Names::default());
        let known = Arc::clone(&names);
        std::thread::Builder::new().name("evaluation".into()).stack_size(STACK).spawn(
            move || {
                let barrier = |channels: EvalContextOutputs| {
                    output::publish_all(Arc::clone(&outputs), channels.stdout, channels.stderr)
                };
                let started = start(Helpers {
                    progress: &mut |line| drop(reporter.send_replace(line.to_owned())),
                    publish: &barrier,
                });
                reporter.send_replace(String::new());
                match started {
                    Ok(Started { context, barrier, cells, library, renewal }) => {
                        let process = context.process_handle();
                        let mut engine = Engine {
                            context,
                            process,
                            cells,
                            library,
                            renewal,
                            attached: 0,
                            outputs,
                            barrier,
                            interruption,
                            names,
                            inputs: Vec::new(),
                            warned: String::new(),
                            formats_itself: false,
                        };
                        engine.attached = engine.group();
                        engine.interruption.attach(engine.attached);
                        engine.work(&waiting);
                    }
                    Err(error) => refuse(&waiting, &Failure::message(&format!("{error:#}"))),
                }
            },
        )?;
        Ok(Self { jobs, names: known, news })
    }

    /// Runs a cell; the receiver hears how it went.
    pub(super) fn run(&self, cell: Cell) -> oneshot::Receiver<Evaluated> {
        self.post(|answer| Job::Run(Box::new(cell), answer))
    }

    /// What could stand at the cursor.
    pub(super) fn complete(&self, code: &str, cursor: usize) -> oneshot::Receiver<CompleteReply> {
        self.post(|answer| Job::Complete(code.to_owned(), cursor, answer))
    }

    /// What stands at the cursor.
    pub(super) fn inspect(&self, code: &str, cursor: usize) -> oneshot::Receiver<InspectReply> {
        self.post(|answer| Job::Inspect(code.to_owned(), cursor, answer))
    }

    fn post<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> oneshot::Receiver<T> {
        let (answer, receiver) = oneshot::channel();
        // If the thread is gone, so is the answer's sender, which the receiver hears.
        let _ = self.jobs.send(job(answer));
        receiver
    }
}

/// Answers every cell with the reason why there is no evaluation.
fn refuse(waiting: &Receiver<Job>, failure: &Failure) {
    for job in waiting {
        match job {
            Job::Run(_, answer) => drop(answer.send(Err(failure.clone()))),
            Job::Complete(_, _, answer) => drop(answer.send(CompleteReply::default())),
            Job::Inspect(_, _, answer) => drop(answer.send(InspectReply::default())),
        }
    }
}

struct Engine {
    context: CommandContext,
    process: Arc<Mutex<Child>>,
    /// The folder of the cells' crate.
    cells: PathBuf,
    /// The folder of the library.
    library: PathBuf,
    renewal: Renewal,
    /// The process in which the library has attached itself.
    attached: u32,
    outputs: Arc<Outputs>,
    barrier: Barrier,
    interruption: Arc<Interruption>,
    names: Arc<Names>,
    /// The cells so far, with their numbers.
    inputs: Vec<(usize, String)>,
    /// The cell that was not run but answered with a warning.
    warned: String,
    /// The reader has chosen a format for values, which only `evcxr` itself honours.
    formats_itself: bool,
}

impl Engine {
    fn work(&mut self, waiting: &Receiver<Job>) {
        if let Ok(job) = waiting.try_recv() {
            self.job(job);
        } else {
            // rust-analyzer's first look at the dependencies, while nobody waits.
            let code = "let warm = Tensor::zero";
            analysis::complete(&mut self.context, code, code.len());
            // The compiler's first look at them, and the loader's; in braces nothing of it remains.
            let _ = self.context.execute(
                "{ let x = Tensor::zeros(1, DType::F32, &Device::Cpu)?; x.sum_all()?.to_scalar::<f32>()?; }",
            );
            self.barrier.wait();
        }
        loop {
            match waiting.recv_timeout(IDLE) {
                Ok(job) => self.job(job),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    if let Some((name, kind)) = self.names.unknown() {
                        let code = format!("{name}.");
                        let found =
                            guarded(|| analysis::complete(&mut self.context, &code, code.len()));
                        self.names.learn(kind, found.unwrap_or_default().matches);
                    } else {
                        let Ok(job) = waiting.recv() else { return };
                        self.job(job);
                    }
                }
            }
        }
    }

    fn job(&mut self, job: Job) {
        match job {
            Job::Run(cell, answer) => {
                let outcome = self.run(&cell);
                let _ = answer.send(outcome);
            }
            Job::Complete(code, cursor, answer) => {
                let reply = guarded(|| analysis::complete(&mut self.context, &code, cursor));
                let _ = answer.send(reply.unwrap_or_default());
            }
            Job::Inspect(code, cursor, answer) => {
                let reply = guarded(|| analysis::inspect(&mut self.context, &code, cursor));
                let _ = answer.send(reply.unwrap_or_default());
            }
        }
    }

    fn run(&mut self, cell: &Cell) -> Evaluated {
        self.attach()?;
        let code = self.begin_anew(&cell.code)?;
        let variables = self.variables();
        self.warn(&code, &variables)?;
        let commands = syntax::commands(&code);
        self.formats_itself |= commands.iter().any(|(name, _)| ["fmt", "types"].contains(name));
        self.outputs.begin((!cell.silent).then(|| cell.parent.clone()), cell.count);
        self.interruption.begin();
        let (result, shown) = self.evaluate(cell, &code);
        self.barrier.wait();
        let outcome = self.interruption.end();
        let ending = self.outputs.end();
        self.interruption.attach(self.group());
        let judged = self.judge(&code, shown.as_ref(), result, ending, outcome, &variables);
        self.names.update(self.context.variables_and_types(), self.context.defined_item_names());
        if !cell.silent {
            self.inputs.push((cell.count, code));
        }
        judged.map(|()| self.outputs.value())
    }

    fn variables(&self) -> Vec<String> {
        let mut variables: Vec<String> =
            self.context.variables_and_types().map(|(name, _)| name.to_owned()).collect();
        variables.sort();
        variables
    }

    /// Does first what ends the process of the cells, `:clear` and `:restart`, so that the rest of the cell finds the
    /// library in the new one; that rest, with the same lines.
    fn begin_anew(&mut self, code: &str) -> Result<String, Failure> {
        let commands = syntax::commands(code);
        let clears = commands.iter().any(|(name, _)| *name == "clear");
        if !clears && !commands.iter().any(|(name, _)| *name == "restart") {
            return Ok(code.to_owned());
        }
        if !clears {
            // By `:restart` itself `evcxr` would go on to believe in the variables of the process before.
            self.interruption.kill();
            self.outputs.begin(None, 0);
            let _ = self.context.execute("();");
            self.barrier.wait();
        } else {
            let done = self.context.execute(":clear");
            done.map_err(|error| Failure::message(&error.to_string()))?;
            self.outputs.begin(None, 0);
            let renewed = (self.renewal)(&mut self.context);
            self.barrier.wait();
            renewed.map_err(|error| Failure::message(&format!("{error:#}")))?;
            self.attached = self.group();
            self.interruption.attach(self.attached);
            self.formats_itself = false;
        }
        self.attach()?;
        let rest = |line: &str| match syntax::commands(line).first() {
            Some(("clear" | "restart", _)) => String::new(),
            _ => line.to_owned(),
        };
        Ok(code.lines().map(rest).collect::<Vec<_>>().join("\n"))
    }

    /// Fails once if a `:dep` in the code would have that compiled anew which variables depend on.
    fn warn(&mut self, code: &str, variables: &[String]) -> Result<(), Failure> {
        let added: Vec<(&str, &str)> = syntax::commands(code)
            .into_iter()
            .filter(|(name, what)| *name == "dep" && !what.starts_with(['.', '/']))
            .map(|(_, what)| what.split_once('=').unwrap_or((what, "\"*\"")))
            .map(|(name, what)| (name.trim(), what.trim()))
            .collect();
        if added.is_empty() || variables.is_empty() || self.warned == code {
            return Ok(());
        }
        // Without an answer `evcxr` tells what is wrong.
        let rebuilt = rebuild::rebuilt(&self.cells, &added).unwrap_or_default();
        if rebuilt.is_empty() {
            return Ok(());
        }
        code.clone_into(&mut self.warned);
        Err(Failure::warning(&format!(
            "{} would be compiled in another way than now, and what depends on it anew, which can take minutes; \
             these variables would be lost: {}",
            rebuilt.join(", "),
            variables.join(", ")
        )))
    }

    /// Compiles and runs the code; with what the compiler saw, if that was not the code itself.
    fn evaluate(
        &mut self,
        cell: &Cell,
        code: &str,
    ) -> (Result<evcxr::EvalOutputs, Error>, Option<Shown>) {
        if !self.formats_itself
            && let Some(shown) = Shown::new(code)
        {
            let result = self.execute(cell, &shown.code);
            return match &result {
                Err(Error::CompilationErrors(errors)) if errors.iter().any(is_about_showing) => {
                    match self.execute(cell, code) {
                        // It is not the way of showing that is wrong, or nothing can be shown.
                        Err(Error::CompilationErrors(_)) => (result, Some(shown)),
                        other => (other, None),
                    }
                }
                _ => (result, Some(shown)),
            };
        }
        (self.execute(cell, code), None)
    }

    fn execute(&mut self, cell: &Cell, code: &str) -> Result<evcxr::EvalOutputs, Error> {
        let (outputs, barrier) = (Arc::clone(&self.outputs), self.barrier.clone());
        let interruption = Arc::clone(&self.interruption);
        let answer = |prompt: String, password: bool| -> Result<String, String> {
            let Some(questions) = &cell.questions else {
                return Err("this client answers no questions (it does not allow input)".into());
            };
            let (answer, mut answers) = oneshot::channel();
            let parent = cell.parent.clone();
            let _ = questions.send(Question { prompt, password, parent, answer });
            loop {
                match answers.try_recv() {
                    Ok(answer) => return answer,
                    Err(oneshot::error::TryRecvError::Closed) => {
                        return Err("the kernel asks no more questions".into());
                    }
                    Err(_) if interruption.is_pending() => {
                        return Err("the cell was interrupted".into());
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
            }
        };
        let input_reader = |_| {
            // What was printed before, and the question itself.
            barrier.wait();
            let (prompt, password) = outputs.question();
            let answer = match answer(prompt, password) {
                Ok(text) => Answer::Text(text),
                Err(why) => Answer::Refused(why),
            };
            serde_json::to_string(&answer).unwrap_or_default()
        };
        let context = &mut self.context;
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            let callbacks = &mut EvalCallbacks { input_reader: &input_reader };
            context.execute_with_callbacks(code, callbacks)
        }));
        evaluated.unwrap_or_else(|_| Err(Error::Message("the evaluation engine panicked".into())))
    }

    fn judge(
        &mut self,
        code: &str,
        shown: Option<&Shown>,
        result: Result<evcxr::EvalOutputs, Error>,
        ending: Ending,
        outcome: Outcome,
        variables: &[String],
    ) -> Result<(), Failure> {
        match (result, ending) {
            (_, Ending::Skipped) => Err(Failure::skipped()),
            (Err(Error::SubprocessTerminated(_)), _) if outcome == Outcome::Killed => {
                Err(Failure::interrupted(outcome, variables))
            }
            (Err(Error::SubprocessTerminated(_)), Ending::Died(cause)) => {
                Err(Failure::died(&cause, variables))
            }
            (Err(Error::SubprocessTerminated(cause)), _) => Err(Failure::died(
                &format!("the process was ended from outside: {cause}"),
                variables,
            )),
            (Err(Error::CompilationErrors(errors)), _) => {
                let imports = |name: &str| names::imports(&self.library, name);
                Err(Failure::compilation(&errors, code, shown, imports))
            }
            (Err(other), _) => Err(Failure::message(&other.to_string())),
            (Ok(_), Ending::Panicked { text, location }) => {
                let generated = self.context.last_source().unwrap_or_default();
                let sources = Sources {
                    generated: &generated,
                    compiled: shown.map_or(code, |shown| &shown.code),
                    cell: code,
                    earlier: &self.inputs,
                };
                Err(Failure::panic(&text, &location, &sources))
            }
            (Ok(_), Ending::Failed(text)) => Err(Failure::question_mark(&text)),
            (Ok(_), _) if outcome != Outcome::None => Err(Failure::interrupted(outcome, variables)),
            (Ok(shown), _) => {
                // What evcxr's own commands answer, `:vars` for example.
                let formats = shown.content_by_mime_type.into_iter();
                let is_help = syntax::commands(code).iter().any(|(name, _)| *name == "help");
                let bundle = formats.fold(Bundle::default(), |bundle, (mime, content)| {
                    let content = if is_help { with_own_commands(&content) } else { content };
                    bundle.with(mime, content)
                });
                if !bundle.is_empty() {
                    self.outputs.result(bundle);
                }
                Ok(())
            }
        }
    }

    /// Attaches the library in a process that has been started since.
    fn attach(&mut self) -> Result<(), Failure> {
        let group = self.group();
        if group != self.attached {
            self.interruption.attach(group);
            self.outputs.begin(None, 0);
            let attached = self.context.execute(PRELUDE);
            self.barrier.wait();
            attached.map_err(|error| Failure::message(&error.to_string()))?;
            self.attached = self.group();
        }
        Ok(())
    }

    /// The process group of the cells: that of their supervisor.
    fn group(&self) -> u32 {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).id()
    }
}

/// The help of `evcxr`'s commands, as text or as a table of HTML, with those that are this kernel's own.
fn with_own_commands(help: &str) -> String {
    let own = [
        (":page", "Show the documentation of a name in the pager, as :doc shows it below the cell"),
        (":quit", "End the kernel"),
    ];
    let all = own.iter().filter(|(name, _)| !help.contains(name));
    match help.trim_end().strip_suffix("</table>") {
        Some(rows) => {
            let row =
                |(name, what): &(&str, &str)| format!("<tr><td>{name}</td><td>{what}</td></tr>");
            format!("{rows}{}</table>", all.map(row).collect::<String>())
        }
        None => {
            let line = |(name, what): &(&str, &str)| format!("{name:<17} {what}\n");
            format!("{help}{}", all.map(line).collect::<String>())
        }
    }
}

/// Whether the error may come from the way in which a value is shown: it is not known how, or the type of the value
/// is not known where its method is called.
fn is_about_showing(error: &evcxr::CompilationError) -> bool {
    let by_types = ["E0282", "E0283", "E0658", "E0689"];
    error.message().contains(SHOW) || error.code().is_some_and(|code| by_types.contains(&code))
}

/// Keeps the thread alive when the analysis panics.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
