//! What the kernel must know of a cell's syntax.

use ra_ap_syntax::{AstNode, Edition, Parse, SourceFile, SyntaxNode, TextRange, ast};

/// Put before the code, so that statements are parsed as in a function.
const HEAD: &str = "fn f(){";

/// The Rust code of a cell, behind its commands.
pub(super) struct Code<'a> {
    text: &'a str,
    /// Where the Rust begins, in bytes.
    start: usize,
    parsed: Parse<SourceFile>,
}

impl<'a> Code<'a> {
    /// Parses the code of a cell. Lines of commands, comments and blank ones can stand before the Rust.
    pub(super) fn parse(text: &'a str) -> Self {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            if !is_command(line) && !line.starts_with("//") && !line.trim().is_empty() {
                break;
            }
            start += line.len();
        }
        let parsed =
            SourceFile::parse(&format!("{HEAD}{}\n}}", &text[start..]), Edition::Edition2024);
        Self { text, start, parsed }
    }

    /// Where in the code, in bytes, the parser meets what it does not expect.
    pub(super) fn errors(&self) -> Vec<usize> {
        let offset = |range: TextRange| {
            let offset = usize::from(range.start()).saturating_sub(HEAD.len()) + self.start;
            offset.min(self.text.len())
        };
        self.parsed.errors().iter().map(|error| offset(error.range())).collect()
    }

    /// Where the last expression is, in bytes, if the code ends with one.
    fn last_expression(&self) -> Option<std::ops::Range<usize>> {
        let function = self.parsed.syntax_node().children().next().and_then(ast::Fn::cast)?;
        let statements = function.body()?.stmt_list()?;
        let last: SyntaxNode = statements.syntax().children().last()?;
        let range = ast::Expr::cast(last)?.syntax().text_range();
        let offset = |at: ra_ap_syntax::TextSize| usize::from(at) - HEAD.len() + self.start;
        Some(offset(range.start())..offset(range.end()))
    }
}

/// Whether the line is for `evcxr`: a command such as `:dep`, or one for the shell.
fn is_command(line: &str) -> bool {
    line.trim_start_matches(' ').starts_with(':') || line.starts_with('!')
}

/// The commands of a cell with their arguments, `("dep", "rand = \"0.9\"")` for example.
pub(super) fn commands(text: &str) -> Vec<(&str, &str)> {
    let lines = text
        .lines()
        .take_while(|line| is_command(line) || line.starts_with("//") || line.trim().is_empty());
    let command = |line: &'_ str| -> Option<(usize, usize)> {
        let line = line.trim().strip_prefix(':')?;
        Some((line.len(), line.split(' ').next()?.len()))
    };
    lines
        .filter_map(|line| {
            let (all, name) = command(line)?;
            let line = line.trim();
            let line = &line[line.len() - all..];
            Some((&line[..name], line[name..].trim()))
        })
        .collect()
}

/// A cell whose last expression has become a statement that shows its value ([`scorebook::notebook`]'s `value`).
///
/// Left to itself, `evcxr` would first compile the cell for types with a method `evcxr_display`, and anew for `Debug`
/// where there is none, or where the expression moves a variable of the same cell.
pub(super) struct Shown {
    pub(super) code: String,
    /// What was put before and behind the expression.
    added: [&'static str; 2],
    first: Place,
    last: Place,
}

/// A line and a column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    line: usize,
    column: usize,
}

const SHOWN: [&str; 2] = ["(&(", ")).evcxr_display();"];
/// Only so that the compiler says what is wrong with an expression and not with what `evcxr` puts around it.
const WRONG: [&str; 2] = ["", ";"];
/// The method by which a value is shown.
pub(super) const SHOW: &str = "evcxr_display";

impl Shown {
    /// None where the code does not end with an expression.
    pub(super) fn new(text: &str) -> Option<Self> {
        let code = Code::parse(text);
        let added = if code.parsed.errors().is_empty() { SHOWN } else { WRONG };
        let [before, behind] = added;
        let range = code.last_expression()?;
        let expression = &text[range.clone()];
        Some(Self {
            code: format!(
                "{}{before}{expression}{behind}{}",
                &text[..range.start],
                &text[range.end..]
            ),
            added,
            first: place(text, range.start),
            last: place(text, range.end),
        })
    }

    /// The first line of the expression, its first column there, and the one behind its end if that is on the same line.
    pub(super) fn expression(&self) -> (usize, usize, Option<usize>) {
        let end = (self.last.line == self.first.line).then_some(self.last.column);
        (self.first.line, self.first.column, end)
    }

    /// The reader's column for one of the shown code.
    pub(super) fn column(&self, line: usize, column: usize) -> usize {
        let mut column = column;
        if line == self.first.line && column > self.first.column {
            column = column.saturating_sub(self.added[0].len()).max(self.first.column);
        }
        if line == self.last.line && column > self.last.column {
            column = column.saturating_sub(self.added[1].len()).max(self.last.column);
        }
        column
    }
}

fn place(text: &str, offset: usize) -> Place {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Shown::new(text).map(|shown| shown.code)
    }

    #[test]
    fn the_last_expression_becomes_a_statement() {
        for (text, expected) in [
            ("1", "(&(1)).evcxr_display();"),
            ("let a = 1;\na + 1 // more", "let a = 1;\n(&(a + 1)).evcxr_display(); // more"),
            (":dep x\n// c\n\nf(\n 1)", ":dep x\n// c\n\n(&(f(\n 1))).evcxr_display();"),
            ("println!(\"{}\", 1)", "(&(println!(\"{}\", 1))).evcxr_display();"),
            ("let é = 1; é", "let é = 1; (&(é)).evcxr_display();"),
            ("fn f() {}\n{ f() }", "fn f() {}\n(&({ f() })).evcxr_display();"),
            ("let a = 1;\n1 + // more", "let a = 1;\n1 +; // more"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected));
        }
        for text in ["", "1;", "let a = 1;", "fn f() {}", "use std::fmt;", "let a = ", ":vars"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn columns_are_the_readers() {
        let shown = Shown::new("let a = 1; é + b; a.x(\n  2)").unwrap();
        assert_eq!(shown.code.lines().next(), Some("let a = 1; é + b; (&(a.x("));
        assert_eq!((shown.column(1, 12), shown.column(1, 22)), (12, 19));
        // The method that shows the value stands at the end of the expression.
        assert_eq!((shown.column(2, 3), shown.column(2, 5), shown.column(2, 9)), (3, 5, 5));
        let one = Shown::new("abc").unwrap();
        assert_eq!([4, 7, 9, 20].map(|column| one.column(1, column)), [1, 4, 4, 4]);
    }

    #[test]
    fn commands_stand_before_the_rust() {
        let text = ":dep rand = \"0.9\"\n\n// why\n:vars\nlet a = 1;\n:clear";
        assert_eq!(commands(text), [("dep", "rand = \"0.9\""), ("vars", "")]);
        assert_eq!(commands("  :opt 2"), [("opt", "2")]);
        assert!(commands("!ls\n1").is_empty());
    }

    #[test]
    fn errors_have_a_place() {
        assert!(Code::parse("let x = 1;").errors().is_empty());
        assert_eq!(Code::parse("let x = ").errors().first(), Some(&7));
        assert!(Code::parse("let = 3;").errors()[0] < 6);
    }
}
