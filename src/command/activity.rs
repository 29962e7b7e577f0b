//! Something that takes its time, shown to the reader while it goes on.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a message is printed where there is no terminal to show it in place.
const QUIET: Duration = Duration::from_secs(15);

/// A spinner with a clock and the latest message on stderr; where that is no terminal, a line at the
/// start and one now and then.
pub struct Activity {
    bar: ProgressBar,
    label: String,
    /// When the last line was printed, where there is no terminal.
    printed: Option<Instant>,
}

impl Activity {
    /// Begins to show it, under this label.
    pub fn new(label: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_prefix(label.to_owned());
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix} {elapsed:>5}  {wide_msg}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        let printed = (!std::io::stderr().is_terminal()).then(Instant::now);
        if printed.is_some() {
            eprintln!("{label} …");
        }
        Self { bar, label: label.to_owned(), printed }
    }

    /// Shows how far it is.
    pub fn say(&mut self, message: &str) {
        self.bar.set_message(message.to_owned());
        if let Some(printed) = self.printed.as_mut().filter(|printed| printed.elapsed() > QUIET) {
            *printed = Instant::now();
            eprintln!("{}: {message}", self.label);
        }
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
