//! The compiler's errors, shown on the reader's own lines.

use std::fmt::Write;

use evcxr::CompilationError;

/// `text` in the colour of errors, by the escape codes that notebooks understand.
pub(super) fn red(text: &str) -> String {
    format!("\u{1b}[1;31m{text}\u{1b}[0m")
}

fn blue(text: &str) -> String {
    format!("\u{1b}[1;34m{text}\u{1b}[0m")
}

/// The error's code and message on one line.
pub(super) fn headline(error: &CompilationError) -> String {
    match error.code() {
        Some(code) => format!("{code}: {}", error.message()),
        None => error.message(),
    }
}

/// The error as the compiler shows it, but with the lines and line numbers of the cell.
pub(super) fn render(error: &CompilationError, code: &str) -> String {
    let name = error.code().map_or_else(|| "error".into(), |code| format!("error[{code}]"));
    let mut shown = format!("{}: {}\n", red(&name), error.message());
    let lines: Vec<&str> = code.lines().collect();
    for message in error.spanned_messages() {
        // Where the compiler has nothing to say about a place, evcxr repeats the message.
        let repeated = message.label.strip_prefix("error: ") == Some(&error.message());
        let label = if repeated { "" } else { &message.label };
        match &message.span {
            Some(span) => {
                let end = (span.end_line == span.start_line).then_some(span.end_column);
                shown.push_str(&excerpt(&lines, span.start_line, span.start_column, end, label));
            }
            None if !label.is_empty() => {
                let _ = writeln!(shown, "  = {label}");
            }
            None => {}
        }
    }
    for help in error.help() {
        // The replacement that the compiler suggests stands in a paragraph of its own.
        let _ = writeln!(shown, "{}: {}", blue("help"), help.trim_end().replace("\n\n", ": "));
    }
    if let Some(hint) = error.evcxr_extra_hint() {
        let _ = writeln!(shown, "{}: {hint}", blue("note"));
    }
    shown.trim_end().to_owned()
}

/// One line of the cell with the place underlined; lines and columns count from 1.
fn excerpt(lines: &[&str], line: usize, column: usize, end: Option<usize>, label: &str) -> String {
    let text = line.checked_sub(1).and_then(|index| lines.get(index)).copied().unwrap_or_default();
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let end = end.unwrap_or_else(|| text.chars().count() + 1).max(column + 1);
    let marks = "^".repeat(end - column);
    let bar = blue("|");
    format!(
        "{gutter} {bar}\n{} {bar} {text}\n{gutter} {bar} {}{} {label}\n",
        blue(&number),
        " ".repeat(column.saturating_sub(1)),
        red(&marks),
    )
}

/// The line of the cell to which `location` belongs, if it lies in the cell. `source` is the generated
/// file in which `code` was compiled; its line is looked for among those of the cell.
pub(super) fn line_of_cell(location: &str, code: &str, source: &str) -> Option<String> {
    let mut parts = location.rsplitn(3, ':');
    let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
    if file != "src/lib.rs" {
        return None;
    }
    let index = line.parse::<usize>().ok()?.checked_sub(1)?;
    let wanted = source.lines().nth(index)?.trim();
    let number = code.lines().position(|line| line.trim() == wanted)? + 1;
    Some(format!("  --> line {number} of the cell: {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underlines_the_place_in_characters_not_bytes() {
        let shown = excerpt(&["let ä = \"é\";"], 1, 5, Some(6), "unused");
        let plain: Vec<&str> = shown.lines().collect();
        assert!(plain[1].ends_with("let ä = \"é\";"));
        assert!(plain[2].contains("    \u{1b}[1;31m^\u{1b}[0m unused"), "{shown:?}");
    }

    #[test]
    fn a_place_outside_of_the_cell_is_no_panic() {
        assert!(!excerpt(&[], 0, 0, None, "x").is_empty());
        assert!(!excerpt(&["a"], 7, 3, Some(1), "x").is_empty());
    }
}
