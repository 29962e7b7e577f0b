//! Questions of a cell to its reader.

use super::channel::{self, Answer, Audience, Message};
use crate::{Error, Result};

/// Asks the reader for a line of text: below the cell in a notebook, in a terminal on standard input.
///
/// # Errors
/// If nobody can answer: a notebook that is run without a reader, or the end of standard input; and if the reader
/// interrupts the cell instead of answering.
///
/// ```no_run
/// let name = scorebook::notebook::ask("Your name? ")?;
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn ask(prompt: &str) -> Result<String> {
    question(prompt, false)
}

/// As [`ask`], and a notebook does not show what is typed.
///
/// # Errors
/// As [`ask`].
pub fn ask_password(prompt: &str) -> Result<String> {
    question(prompt, true)
}

fn question(prompt: &str, password: bool) -> Result<String> {
    channel::send(&Message::Question { prompt: prompt.to_owned(), password });
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line)? == 0 {
        return Err(refused(prompt, "standard input has ended"));
    }
    let line = line.trim_end_matches(['\n', '\r']);
    match channel::audience() {
        Audience::Kernel => answer(prompt, line),
        _ => Ok(line.to_owned()),
    }
}

fn answer(prompt: &str, line: &str) -> Result<String> {
    match serde_json::from_str(line)? {
        Answer::Text(text) => Ok(text),
        Answer::Refused(reason) => Err(refused(prompt, &reason)),
    }
}

fn refused(prompt: &str, reason: &str) -> Error {
    let cause = format!("the question {prompt:?} was not answered: {reason}");
    Error::Io(std::io::Error::other(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_text_or_a_refusal() {
        assert_eq!(answer("?", r#"{"text":"two\nlines"}"#).unwrap(), "two\nlines");
        let error = answer("Name? ", r#"{"refused":"nobody is there"}"#).unwrap_err().to_string();
        assert_eq!(error, "the question \"Name? \" was not answered: nobody is there");
        assert!(answer("?", "no JSON").is_err());
    }
}
