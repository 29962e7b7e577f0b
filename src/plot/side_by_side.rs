//! Figures in a row or in a column.

use super::chart::{MARGIN, TITLE, TITLE_LINE, title_lines};
use super::data::check_some;
use super::figure::Figure;
use super::shape::{Rect, Shape};
use super::text;
use crate::Result;

/// A row wider than this is made narrower, so that a page shows its text at full size.
const WIDEST: f64 = 960.0;

/// Figures in a row on one card; each keeps its title, axes and legend.
///
/// Widths are shared in the proportion of the figures' own. Settings made on the result (labels,
/// limits, ...) are made on each of its figures, except the title, which stands above them.
///
/// # Errors
/// No figures.
///
/// ```
/// use scorebook::plot;
///
/// let panels: Vec<_> = [1., 2.]
///     .into_iter()
///     .map(|k| plot::line(&[("", plot::curve(0., 6., |x| (k * x).sin()))]))
///     .collect::<scorebook::Result<_>>()?;
/// let figure = plot::side_by_side(&panels)?.title("Two sines").x_label("x");
/// assert_eq!(figure.svg()?.matches("rotate").count(), 0);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn side_by_side(figures: &[Figure]) -> Result<Figure> {
    check_some("figures", figures)?;
    Ok(Figure::of_panels(Panels { figures: figures.to_vec(), stacked: false }))
}

/// Figures one below the other on one card. Rows of figures make a table:
/// `stacked(&[side_by_side(&[a, b])?, side_by_side(&[c, d])?])`.
///
/// # Errors
/// No figures.
///
/// ```
/// use scorebook::plot;
///
/// let figure = plot::line(&[("", [(0., 0.), (1., 1.)])])?.size(400, 200);
/// let table = plot::stacked(&[plot::side_by_side(&[figure.clone(), figure.clone()])?, figure])?;
/// assert!(table.svg()?.contains("width=\"800\" height=\"400\""));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn stacked(figures: &[Figure]) -> Result<Figure> {
    check_some("figures", figures)?;
    Ok(Figure::of_panels(Panels { figures: figures.to_vec(), stacked: true }))
}

#[derive(Clone, Debug)]
pub(super) struct Panels {
    pub(super) figures: Vec<Figure>,
    stacked: bool,
}

impl Panels {
    /// The size that fits the figures' own.
    pub(super) fn natural_size(&self, title: &str) -> (usize, usize) {
        let sizes: Vec<_> = self.figures.iter().map(Figure::dimensions).collect();
        let widths = sizes.iter().map(|size| size.0);
        let heights = sizes.iter().map(|size| size.1);
        let head = head(title) as usize;
        if self.stacked {
            return (widths.max().unwrap_or(0), heights.sum::<usize>() + head);
        }
        let (width, height) = (widths.sum::<usize>(), heights.max().unwrap_or(0));
        let factor = (WIDEST / width.max(1) as f64).min(1.0);
        // Heights shrink less than widths, or narrow panels would have no room for their data.
        let height = (height as f64 * factor.sqrt()).round() as usize;
        ((width as f64 * factor).round() as usize, height + head)
    }

    pub(super) fn shapes(&self, title: &str, rect: Rect) -> Result<Vec<Shape>> {
        let inner = rect.grown(-MARGIN);
        let titles = text::wrap(title, TITLE, inner.width, 1);
        let mut shapes = title_lines(&titles, inner);
        let head = head(title);
        let rest = Rect { y: rect.y + head, height: rect.height - head, ..rect };
        let share = |figure: &Figure| {
            let (width, height) = figure.dimensions();
            if self.stacked { height as f64 } else { width as f64 }
        };
        let total: f64 = self.figures.iter().map(share).sum();
        let mut start = 0.0;
        for figure in &self.figures {
            let part = share(figure) / total;
            let place = if self.stacked {
                Rect { y: rest.y + start * rest.height, height: part * rest.height, ..rest }
            } else {
                Rect { x: rest.x + start * rest.width, width: part * rest.width, ..rest }
            };
            shapes.extend(figure.shapes(place)?);
            start += part;
        }
        Ok(shapes)
    }
}

/// What the title takes of the height.
fn head(title: &str) -> f64 {
    if title.is_empty() { 0.0 } else { TITLE_LINE + 4.0 }
}
