//! The run of a notebook as the reader sees it: one line a cell on stderr.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Shows the cells of one notebook: in a terminal the running one with a clock, and everywhere a
/// line for each that has ended.
pub struct Progress {
    name: String,
    bar: ProgressBar,
}

/// A cell that runs.
pub struct Running<'a> {
    progress: &'a Progress,
    label: String,
    start: Instant,
}

impl Progress {
    /// For the notebook of this name.
    pub fn new(name: &str) -> Self {
        // Hidden by indicatif where stderr is not a terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {prefix} {elapsed:>7}  {wide_msg}")
        {
            bar.set_style(style);
        }
        Self { name: name.to_owned(), bar }
    }

    /// Shows something that is not a cell and takes its time.
    pub fn say(&self, what: &str) {
        self.bar.reset_elapsed();
        self.bar.set_prefix(self.name.clone());
        self.bar.set_message(what.to_owned());
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// The cell of this number among so many begins.
    pub fn begin(&self, number: usize, cells: usize, code: &str) -> Running<'_> {
        let label = format!("{} [{number:>2}/{cells}]", self.name);
        let line = title(code);
        self.say(&line);
        self.bar.set_prefix(label.clone());
        Running { progress: self, label: format!("{label}{{}}  {line}"), start: Instant::now() }
    }
}

impl Running<'_> {
    /// The cell has ended, well or not.
    pub fn end(self, well: bool) {
        let time = format!(
            " {:7.1} s{}",
            self.start.elapsed().as_secs_f64(),
            if well { "" } else { " FAILED" }
        );
        let line = self.label.replacen("{}", &time, 1);
        self.progress.bar.suspend(|| eprintln!("{line}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The first line of a cell that says something, cut to fit.
fn title(code: &str) -> String {
    let line = code.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The text for a terminal; elsewhere without its colours.
pub fn for_stderr(text: &str) -> String {
    match std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        true => text.to_owned(),
        false => without_colours(text),
    }
}

/// The text without the escape sequences that set colours and styles.
fn without_colours(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain += before;
        // A sequence ends with its first letter.
        rest = after.find(char::is_alphabetic).map_or("", |end| &after[end + 1..]);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_out() {
        let coloured = "\x1b[31;1merror\x1b[0m: at \x1b[4mhere\x1b[0m";
        assert_eq!(without_colours(coloured), "error: at here");
        assert_eq!(without_colours("cut \x1b[3"), "cut ");
    }

    #[test]
    fn a_cell_is_called_by_its_first_line() {
        assert_eq!(title("\n\n  let x = 1;\nlet y"), "let x = 1;");
        assert_eq!(title(&"é".repeat(70)), "é".repeat(60) + "…");
    }
}
