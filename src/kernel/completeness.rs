//! Whether an input is finished, which consoles ask before they run a line.

use jupyter_protocol::IsCompleteReply;

use super::syntax::Code;

/// Incomplete if a bracket, a string or a comment is open, or if the parser misses something at the end; invalid if it
/// misses something before.
pub(super) fn is_complete(code: &str) -> IsCompleteReply {
    match brackets(code) {
        Brackets::Closed => {}
        Brackets::Open(depth) => return IsCompleteReply::incomplete("    ".repeat(depth)),
        Brackets::Wrong => return IsCompleteReply::invalid(),
    }
    let end = code.trim_end().len();
    match Code::parse(code).errors().into_iter().min() {
        None => IsCompleteReply::complete(),
        Some(at) if at >= end => IsCompleteReply::incomplete(String::new()),
        Some(_) => IsCompleteReply::invalid(),
    }
}

/// What the brackets of a code say.
enum Brackets {
    Closed,
    /// So many of them are open, none where it is a string or a comment.
    Open(usize),
    /// One closes nothing.
    Wrong,
}

fn brackets(code: &str) -> Brackets {
    let mut open = Vec::new();
    let mut rest = code.chars().peekable();
    while let Some(c) = rest.next() {
        let closed = match c {
            '(' | '[' | '{' => {
                open.push(c);
                true
            }
            ')' | ']' | '}' => {
                let partner = match c {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                if open.pop() != Some(partner) {
                    return Brackets::Wrong;
                }
                true
            }
            '/' if rest.peek() == Some(&'/') => {
                while rest.next().is_some_and(|c| c != '\n') {}
                true
            }
            '/' if rest.peek() == Some(&'*') => comment_closes(&mut rest),
            '"' => string_closes(&mut rest),
            'r' => raw_string_closes(&mut rest),
            '\'' => {
                skip_character(&mut rest);
                true
            }
            c => {
                // The rest of a name, so that its last letter is not taken for the `r` of a raw string.
                let in_name = |c: char| c.is_alphanumeric() || c == '_';
                while in_name(c) && rest.next_if(|&c| in_name(c)).is_some() {}
                true
            }
        };
        if !closed {
            return Brackets::Open(0);
        }
    }
    if open.is_empty() { Brackets::Closed } else { Brackets::Open(open.len()) }
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn string_closes(rest: &mut Rest) -> bool {
    while let Some(c) = rest.next() {
        match c {
            '"' => return true,
            '\\' => {
                rest.next();
            }
            _ => {}
        }
    }
    false
}

/// Behind an `r`: true where no raw string begins.
fn raw_string_closes(rest: &mut Rest) -> bool {
    let mut ahead = rest.clone();
    let mut hashes = 0;
    while ahead.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if ahead.next_if_eq(&'"').is_none() {
        return true;
    }
    *rest = ahead;
    while let Some(c) = rest.next() {
        if c == '"' {
            let mut ahead = rest.clone();
            if (0..hashes).all(|_| ahead.next() == Some('#')) {
                *rest = ahead;
                return true;
            }
        }
    }
    false
}

fn comment_closes(rest: &mut Rest) -> bool {
    rest.next();
    let mut depth = 1;
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('*', Some('/')) => {
                rest.next();
                depth -= 1;
                if depth == 0 {
                    return true;
                }
            }
            ('/', Some('*')) => {
                rest.next();
                depth += 1;
            }
            _ => {}
        }
    }
    false
}

/// A character such as `'{'` is skipped; a lifetime such as `'a` has nothing to skip.
fn skip_character(rest: &mut Rest) {
    let mut ahead = rest.clone();
    if ahead.next() == Some('\\') {
        ahead.next();
        while ahead.next().is_some_and(|c| c != '\'') {}
        *rest = ahead;
    } else if ahead.next() == Some('\'') {
        *rest = ahead;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jupyter_protocol::IsCompleteReplyStatus::{self, Complete, Incomplete, Invalid};

    fn status(code: &str) -> IsCompleteReplyStatus {
        is_complete(code).status
    }

    #[test]
    fn brackets_strings_and_comments() {
        for code in [
            "let x = 1;",
            "f('{', '\\'', \"}\")",
            "// {",
            "/* { /* [ */ */ 1",
            "r#\"{\"#",
            "fn f<'a>(x: &'a str) {}",
            "let for_r = \"(\";",
        ] {
            assert_eq!(status(code), Complete, "{code}");
        }
        for code in [
            "fn f() {",
            "\"abc",
            "/* x",
            "r#\"x\"",
            "vec![1,",
            "let x =",
            "1 +",
            "let y = 2",
            "fn f()",
        ] {
            assert_eq!(status(code), Incomplete, "{code}");
        }
        for code in ["f(]", "let = 1;", "fn 1() {}", "let x = ;", "1 2 3;"] {
            assert_eq!(status(code), Invalid, "{code}");
        }
        assert_eq!(status(":dep rand\nlet x = 1;"), Complete);
        assert_eq!(is_complete("fn f() { if x {").indent, "        ");
    }
}
