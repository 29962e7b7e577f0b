//! The bar itself: where it is drawn, and how often.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::reading::Reading;
use crate::notebook::channel::{Audience, audience};
use crate::notebook::{Bundle, Handle};

/// A bar in a notebook is redrawn at most ten times a second.
const PERIOD: Duration = Duration::from_millis(100);

/// A progress bar: in place in a notebook of the kernel `scorebook`, on standard error in a terminal,
/// and elsewhere (a pipe, stock `evcxr`) silent but for one last line.
///
/// Clones are the same bar. Updates cost next to nothing between two drawings, so a loop may report
/// every step. A bar that is dropped before [`finish`](Progress::finish) stays where it was.
///
/// ```
/// use scorebook::progress::Progress;
///
/// let progress = Progress::new("training", 100);
/// for step in 1..=100 {
///     progress.set(step, format!("loss {:.3}", 1.0 / step as f64));
/// }
/// progress.finish();
/// assert_eq!(progress.position(), 100);
/// ```
#[derive(Clone, Debug)]
pub struct Progress {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    reading: Reading,
    begun: Instant,
    drawn: Option<Instant>,
    surface: Surface,
}

/// Where a bar is drawn.
#[derive(Debug)]
enum Surface {
    Notebook(Option<Handle>),
    Terminal(ProgressBar),
    LastLine,
}

impl Progress {
    /// A bar named `label` for a task of `total` steps.
    pub fn new(label: impl Into<String>, total: u64) -> Self {
        let surface = match audience() {
            Audience::Kernel => Surface::Notebook(None),
            Audience::Plain if std::io::stderr().is_terminal() => {
                Surface::Terminal(terminal_bar(total))
            }
            _ => Surface::LastLine,
        };
        Self::on(surface, label.into(), total)
    }

    fn on(surface: Surface, label: String, total: u64) -> Self {
        let reading = Reading {
            label,
            message: String::new(),
            position: 0,
            total,
            elapsed: Duration::ZERO,
            ended: false,
        };
        let mut state = State { reading, begun: Instant::now(), drawn: None, surface };
        state.draw();
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The task has come to `position`; `message` says how it goes (a loss, a rate of acceptance).
    pub fn set(&self, position: u64, message: impl Into<String>) {
        let mut state = self.state();
        state.reading.position = position;
        state.reading.message = message.into();
        if state.drawn.is_none_or(|drawn| drawn.elapsed() >= PERIOD) {
            state.draw();
        }
    }

    /// The task has ended, at the position that was set last. Once is enough; more do nothing.
    pub fn finish(&self) {
        self.state().end();
    }

    /// The position that was set last.
    pub fn position(&self) -> u64 {
        self.state().reading.position
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere while the bar was drawn leaves nothing in it that could be wrong.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn draw(&mut self) {
        self.drawn = Some(Instant::now());
        self.reading.elapsed = self.begun.elapsed();
        match &mut self.surface {
            Surface::Notebook(handle) => {
                let bundle =
                    Bundle::html(self.reading.html()).with("text/plain", self.reading.line());
                match handle {
                    Some(handle) => handle.update(&bundle),
                    None => *handle = Some(Handle::new(&bundle)),
                }
            }
            Surface::Terminal(bar) => {
                bar.set_position(self.reading.position);
                bar.set_prefix(self.reading.label.clone());
                bar.set_message(self.reading.message.clone());
            }
            Surface::LastLine if !self.reading.ended => {}
            // In a notebook the line belongs to the cell's output, in a pipe it must stay out of it.
            Surface::LastLine if audience() == Audience::Evcxr => {
                println!("{}", self.reading.line());
            }
            Surface::LastLine => eprintln!("{}", self.reading.line()),
        }
    }

    fn end(&mut self) {
        if !self.reading.ended {
            self.reading.ended = true;
            self.draw();
            if let Surface::Terminal(bar) = &self.surface {
                bar.abandon();
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.end();
    }
}

fn terminal_bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix} {wide_bar} {percent:>3} % · {pos}/{len} · {eta} left · {msg}",
    )
    .expect("the template is well formed");
    ProgressBar::new(total).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_at_a_bounded_rate_and_keeps_the_last_state() {
        let progress = Progress::on(Surface::LastLine, "test".into(), 1000);
        let first = progress.state().drawn;
        for step in 0..=1000 {
            progress.set(step, "");
        }
        // A thousand steps take far less than the period, so none of them was drawn.
        if progress.state().begun.elapsed() < PERIOD {
            assert_eq!(progress.state().drawn, first);
        }
        progress.finish();
        let state = progress.state();
        assert!(state.reading.ended && state.drawn > first);
        assert_eq!(state.reading.position, 1000);
    }

    #[test]
    fn clones_are_the_same_bar() {
        let progress = Progress::on(Surface::LastLine, "test".into(), 10);
        progress.clone().set(4, "");
        assert_eq!(progress.position(), 4);
    }
}
