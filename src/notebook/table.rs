//! Tables.

use super::bundle::escaped;
use super::{Bundle, Display};

/// A table of a few rows: numbers to compare.
///
/// ```
/// use scorebook::notebook::{Display, Table};
///
/// let table = Table::new(["steps", "error"], [["10", "0.5"], ["100", "0.05"]]);
/// assert_eq!(
///     table.bundle().get("text/plain"),
///     Some("steps  error\n-----  -----\n   10    0.5\n  100   0.05")
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What stands above each column.
    pub header: Vec<String>,
    /// The rows; one that is shorter than the header ends with empty cells.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of whatever can be written as text.
    pub fn new<H: ToString, R: IntoIterator<Item: ToString>>(
        header: impl IntoIterator<Item = H>,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        let row = |row: R| row.into_iter().map(|cell| cell.to_string()).collect();
        Self {
            header: header.into_iter().map(|name| name.to_string()).collect(),
            rows: rows.into_iter().map(row).collect(),
        }
    }

    /// How many columns there are.
    fn columns(&self) -> usize {
        self.rows.iter().chain([&self.header]).map(Vec::len).max().unwrap_or(0)
    }

    fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().chain([&self.header]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns()).map(width).collect();
        let line = |row: &[String]| {
            let cell = |(column, width): (usize, &usize)| {
                format!("{:>width$}", row.get(column).map_or("", String::as_str))
            };
            widths.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ")
        };
        let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        let lines = [line(&self.header), line(&rule)];
        lines
            .into_iter()
            .chain(self.rows.iter().map(|row| line(row)))
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn html(&self) -> String {
        let cells = |row: &[String], tag: &str| -> String {
            (0..self.columns())
                .map(|column| {
                    let text = row.get(column).map_or("", String::as_str);
                    format!("<{tag}>{}</{tag}>", escaped(text))
                })
                .collect()
        };
        let rows: String =
            self.rows.iter().map(|row| format!("<tr>{}</tr>", cells(row, "td"))).collect();
        let header = cells(&self.header, "th");
        format!("<table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>")
    }
}

/// HTML for a notebook, columns of text for a terminal.
impl Display for Table {
    fn bundle(&self) -> Bundle {
        Bundle::html(self.html()).with("text/plain", self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_escaped_and_short_rows_filled() {
        let table = Table::new(["a", "<b>"], [vec!["1 & 2"], vec!["x", "y"]]);
        let html = table.html();
        assert!(html.contains("<th>&lt;b&gt;</th>"), "{html}");
        assert!(html.contains("<tr><td>1 &amp; 2</td><td></td></tr>"), "{html}");
        let empty = Table::new::<&str, [&str; 0]>([], []);
        assert_eq!(empty.text(), "\n");
    }
}
