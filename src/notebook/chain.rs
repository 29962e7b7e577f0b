//! An error with what caused it.

use std::error::Error;

/// The error's text, and below it those of its causes that it does not tell itself.
pub fn chain(error: Box<dyn Error>) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(&format!("\n  caused by: {said}"));
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the settings cannot be read")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("line 3 is wrong: {0}")]
    struct Inner(#[source] std::num::ParseIntError);

    #[test]
    fn causes_are_told_once() {
        let cause = "x".parse::<i32>().unwrap_err();
        assert_eq!(
            chain(Outer(Inner(cause)).into()),
            "the settings cannot be read\n  caused by: line 3 is wrong: invalid digit found in string"
        );
        assert_eq!(chain("a text".into()), "a text");
    }
}
