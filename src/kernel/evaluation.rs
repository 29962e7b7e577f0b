//! The thread that compiles and runs cells.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Child;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evcxr::{CommandContext, Error, EvalCallbacks, EvalContextOutputs};
use jupyter_protocol::{CompleteReply, InspectReply, JupyterMessage};
use scorebook::notebook::Bundle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};

use super::analysis;
use super::failure::Failure;
use super::interruption::{Interruption, Outcome};
use super::output::{self, Barrier, Ending, Outputs};
use super::startup::{Helpers, PRELUDE};
use super::stdin::Question;

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

enum Job {
    Run(Box<Cell>, oneshot::Sender<Result<(), Failure>>),
    Complete(String, usize, oneshot::Sender<CompleteReply>),
    Inspect(String, usize, oneshot::Sender<InspectReply>),
}

/// The thread's door. Jobs are done in the order in which they come.
#[derive(Clone)]
pub(super) struct Evaluator {
    jobs: Sender<Job>,
    /// What the kernel is doing before it can run cells, when that takes long; else nothing.
    pub(super) news: watch::Receiver<String>,
}

impl Evaluator {
    /// Starts the thread, which at once does what `start` says.
    ///
    /// # Errors
    /// The operating system refuses the thread.
    pub(super) fn start(
        start: impl FnOnce(Helpers) -> anyhow::Result<(CommandContext, Barrier)> + Send + 'static,
        outputs: Arc<Outputs>,
        interruption: Arc<Interruption>,
    ) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let (reporter, news) = watch::channel(String::new());
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
                    Ok((context, barrier)) => {
                        let process = context.process_handle();
                        let mut engine = Engine {
                            context,
                            process,
                            attached: 0,
                            outputs,
                            barrier,
                            interruption,
                        };
                        engine.attached = engine.group();
                        engine.interruption.attach(engine.attached);
                        engine.work(&waiting);
                    }
                    Err(error) => refuse(&waiting, &Failure::message(&format!("{error:#}"))),
                }
            },
        )?;
        Ok(Self { jobs, news })
    }

    /// Runs a cell; the receiver hears how it went.
    pub(super) fn run(&self, cell: Cell) -> oneshot::Receiver<Result<(), Failure>> {
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
    /// The process in which the library has attached itself.
    attached: u32,
    outputs: Arc<Outputs>,
    barrier: Barrier,
    interruption: Arc<Interruption>,
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
        for job in waiting {
            self.job(job);
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

    fn run(&mut self, cell: &Cell) -> Result<(), Failure> {
        self.attach()?;
        let mut variables: Vec<String> =
            self.context.variables_and_types().map(|(name, _)| name.to_owned()).collect();
        variables.sort();
        self.outputs.begin((!cell.silent).then(|| cell.parent.clone()), cell.count);
        self.interruption.begin();
        let result = self.evaluate(cell);
        self.barrier.wait();
        let outcome = self.interruption.end();
        let ending = self.outputs.end();
        self.interruption.attach(self.group());
        self.judge(cell, result, ending, outcome, &variables)
    }

    fn evaluate(&mut self, cell: &Cell) -> Result<evcxr::EvalOutputs, Error> {
        let ask = |prompt: String, password: bool| {
            let Some(questions) = &cell.questions else { return String::new() };
            let (answer, answers) = mpsc::channel();
            let parent = cell.parent.clone();
            let _ = questions.send(Question { prompt, password, parent, answer });
            // An interrupt ends the cells' process, which no longer waits for the answer then.
            loop {
                match answers.recv_timeout(Duration::from_millis(200)) {
                    Ok(text) => return text,
                    Err(mpsc::RecvTimeoutError::Timeout) if self.interruption.is_pending() => {
                        return String::new();
                    }
                    Err(mpsc::RecvTimeoutError::Timeout) => {}
                    Err(mpsc::RecvTimeoutError::Disconnected) => return String::new(),
                }
            }
        };
        let context = &mut self.context;
        let evaluated = catch_unwind(AssertUnwindSafe(|| {
            context.execute_with_callbacks(
                &cell.code,
                &mut EvalCallbacks {
                    input_reader: &|request| ask(request.prompt, request.is_password),
                },
            )
        }));
        evaluated.unwrap_or_else(|_| Err(Error::Message("the evaluation engine panicked".into())))
    }

    fn judge(
        &mut self,
        cell: &Cell,
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
            (Err(Error::SubprocessTerminated(cause)), _) => Err(Failure::died(&cause, variables)),
            (Err(Error::CompilationErrors(errors)), _) => {
                Err(Failure::compilation(&errors, &cell.code))
            }
            (Err(other), _) => Err(Failure::message(&other.to_string())),
            (Ok(_), Ending::Panicked { text, location }) => {
                let source = self.context.last_source().unwrap_or_default();
                Err(Failure::panic(&text, &location, &cell.code, &source))
            }
            (Ok(_), Ending::Failed(text)) => Err(Failure::question_mark(&text)),
            (Ok(_), _) if outcome != Outcome::None => Err(Failure::interrupted(outcome, variables)),
            (Ok(shown), _) => {
                // What evcxr's own commands answer, `:vars` for example.
                let formats = shown.content_by_mime_type.into_iter();
                let bundle = formats
                    .fold(Bundle::default(), |bundle, (mime, content)| bundle.with(mime, content));
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

/// Keeps the thread alive when the analysis panics.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
