//! Figures in a notebook.

use super::figure::Figure;
use crate::notebook::{Bundle, Display};

/// An SVG for charts, a PNG for images, and the title and size as text for a terminal.
///
/// A figure that cannot be drawn says why in its place.
impl Display for Figure {
    fn bundle(&self) -> Bundle {
        // A notebook shows a PNG at its size in pixels, so it gets one to a pixel of the figure.
        let picture = if self.is_of_pixels() {
            self.png_at(1.0).map(|png| Bundle::png(&png))
        } else {
            self.svg().map(Bundle::svg)
        };
        match picture {
            Ok(bundle) => bundle.with("text/plain", self.to_string()),
            Err(error) => Bundle::text(format!("{self} cannot be drawn: {error}")),
        }
    }
}

impl Figure {
    /// Shows the figure as the value of the cell; notebooks call it on a cell's last expression.
    pub fn evcxr_display(&self) {
        self.bundle().evcxr_display();
    }
}
