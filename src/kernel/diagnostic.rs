//! The compiler's errors, shown on the reader's own lines.

use std::fmt::Write;

use evcxr::CompilationError;

use super::syntax::{SHOW, Shown};

/// `text` in the colour of errors, by the escape codes that notebooks understand.
pub(super) fn red(text: &str) -> String {
    format!("\u{1b}[1;31m{text}\u{1b}[0m")
}

fn blue(text: &str) -> String {
    format!("\u{1b}[1;34m{text}\u{1b}[0m")
}

/// The error's code and message on one line.
pub(super) fn headline(error: &CompilationError) -> String {
    if let Some(kind) = unshown(error) {
        return format!("a value of the type `{kind}` cannot be shown");
    }
    match error.code() {
        Some(code) => format!("{code}: {}", error.message()),
        None => error.message(),
    }
}

/// The error as the compiler shows it, but with the lines and line numbers of the cell. `shown` is what the cell was
/// compiled as, if its last expression was changed.
pub(super) fn render(error: &CompilationError, code: &str, shown: Option<&Shown>) -> String {
    if let Some(shown) = shown
        && let Some(kind) = unshown(error)
    {
        return unshowable(&kind, code, shown);
    }
    let column = |line, column| shown.map_or(column, |shown| shown.column(line, column));
    let name = error.code().map_or_else(|| "error".into(), |code| format!("error[{code}]"));
    let mut text = format!("{}: {}\n", red(&name), error.message());
    let lines: Vec<&str> = code.lines().collect();
    for message in error.spanned_messages() {
        // Where the compiler has nothing to say about a place, evcxr repeats the message.
        let repeated = message.label.strip_prefix("error: ") == Some(&error.message());
        let label = if repeated { "" } else { &message.label };
        match &message.span {
            // A place that nothing is said about.
            Some(_) if label.is_empty() && !message.is_primary => {}
            Some(span) => {
                let start = column(span.start_line, span.start_column);
                let end = (span.end_line == span.start_line)
                    .then(|| column(span.end_line, span.end_column));
                text.push_str(&excerpt(&lines, span.start_line, start, end, label));
            }
            None if !label.is_empty() => {
                let _ = writeln!(text, "  = {label}");
            }
            None => {}
        }
    }
    for (kind, advice) in advice(error) {
        let _ = writeln!(text, "{}: {advice}", blue(&kind));
    }
    if let Some(hint) = error.evcxr_extra_hint() {
        let _ = writeln!(text, "{}: {hint}", blue("note"));
    }
    // The type by which `evcxr` lets a cell use `?`.
    text.trim_end().replace("`Result<(), EvcxrUserCodeError>`", "the `Result` of a cell")
}

/// The type that has no way to be shown, if that is the error.
fn unshown(error: &CompilationError) -> Option<String> {
    let message = error.message();
    let (_, kind) = message.split_once(SHOW)?.1.split_once("`&")?;
    Some(kind.split('`').next()?.to_owned())
}

/// What is said where the value of the last expression cannot be shown.
fn unshowable(kind: &str, code: &str, shown: &Shown) -> String {
    let lines: Vec<&str> = code.lines().collect();
    let (line, start, end) = shown.expression();
    format!(
        "{}: a value of the type `{kind}` cannot be shown\n{}{}: derive `Debug` for it, or end the line with a semicolon",
        red("error"),
        excerpt(&lines, line, start, end, "the value of the cell"),
        blue("help"),
    )
}

/// The name that the compiler does not know and has no advice about, if that is the error.
pub(super) fn unknown_name(error: &CompilationError) -> Option<String> {
    let of_names = ["E0405", "E0412", "E0422", "E0425", "E0432", "E0433", "E0574"];
    let is_advised = advice(error).iter().any(|(_, text)| text.contains("import"));
    if is_advised || !error.code().is_some_and(|code| of_names.contains(&code)) {
        return None;
    }
    error.message().split('`').nth(1).map(str::to_owned)
}

/// The help that a name can be had by these `use` lines.
pub(super) fn importable(lines: &[String]) -> String {
    format!("{}: the library has it: {}", blue("help"), lines.join(" or "))
}

/// The compiler's notes and help, each with its word and with the code that it suggests. What it says of generated
/// code is left out.
fn advice(error: &CompilationError) -> Vec<(String, String)> {
    let children = error.json["children"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut all: Vec<(String, String)> = Vec::new();
    for child in children {
        let (Some(kind @ ("help" | "note")), Some(message)) =
            (child["level"].as_str(), child["message"].as_str())
        else {
            continue;
        };
        let spans = child["spans"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut suggested: Vec<&str> =
            spans.iter().filter_map(|span| span["suggested_replacement"].as_str()).collect();
        suggested.dedup();
        let is_generated = |text: &&str| text.to_lowercase().contains("evcxr");
        // A note that points to a place would need that place's lines.
        if (kind == "note" && !spans.is_empty())
            || std::iter::once(&message).chain(&suggested).any(is_generated)
        {
            continue;
        }
        let list: Vec<&str> =
            suggested.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        let text = match &list[..] {
            [] => message.to_owned(),
            [one] => format!("{message}: {one}"),
            many => format!("{message}:\n    {}", many.join("\n    ")),
        };
        if !all.iter().any(|(_, said)| *said == text) {
            all.push((kind.to_owned(), text));
        }
    }
    all
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

/// What is known of the code in which a panic may have happened.
pub(super) struct Sources<'a> {
    /// The generated file that was compiled.
    pub(super) generated: &'a str,
    /// The cell as it went into that file.
    pub(super) compiled: &'a str,
    /// The cell as the reader wrote it; it has the same lines.
    pub(super) cell: &'a str,
    /// The cells before, with their numbers.
    pub(super) earlier: &'a [(usize, String)],
}

/// The line of the cell, or of an earlier one, to which `location` belongs.
pub(super) fn line_of_cell(location: &str, sources: &Sources) -> Option<String> {
    let mut parts = location.rsplitn(3, ':');
    let (_column, line, file) = (parts.next()?, parts.next()?, parts.next()?);
    if file != "src/lib.rs" {
        return None;
    }
    let index = line.parse::<usize>().ok()?.checked_sub(1)?;
    let mut generated = sources.generated.lines().skip(index);
    let wanted = generated.next()?.trim();
    // Of equal lines it is the one with as many behind it: generated lines stand before the cell's own.
    let behind = generated.filter(|line| line.trim() == wanted).count();
    let places = |code: &str| -> Vec<usize> {
        code.lines().enumerate().filter(|(_, line)| line.trim() == wanted).map(|(i, _)| i).collect()
    };
    let here = places(sources.compiled);
    if let Some(last) = here.len().checked_sub(1) {
        let number = here[last.saturating_sub(behind)];
        let text = sources.cell.lines().nth(number)?.trim();
        return Some(format!("  --> line {} of the cell: {text}", number + 1));
    }
    let (count, number) = sources
        .earlier
        .iter()
        .rev()
        .find_map(|(count, code)| Some((count, places(code).first().copied()?)))?;
    Some(format!("  --> line {} of cell [{count}]: {wanted}", number + 1))
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
