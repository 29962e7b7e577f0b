//! Figures that a reader draws with plotters itself.

use std::error::Error as StdError;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, FontStyle, IntoDrawingArea, SVGBackend};
use plotters::style::register_font;

use super::text::FONT_FILE;
use crate::notebook::Bundle;
use crate::{Error, Result};

/// A figure of `width × height` pixels that `draw` draws with [`plotters`], for what the other
/// functions have not.
///
/// `draw` gets an empty, transparent drawing area. Texts may be set in `sans-serif`, `serif` and
/// `monospace`; plotters measures them by the letters of the other figures, and whoever shows the
/// figure chooses the font.
///
/// # Errors
/// What `draw` returns, and a size outside 1 × 1 to 4096 × 4096.
///
/// ```
/// use scorebook::plot::{self, plotters::prelude::*};
///
/// let figure = plot::svg((320, 240), |root| {
///     root.fill(&WHITE)?;
///     let mut chart = ChartBuilder::on(&root)
///         .caption("A parabola", ("sans-serif", 16))
///         .margin(8)
///         .set_all_label_area_size(24)
///         .build_cartesian_2d(-1.0..1.0, 0.0..1.0)?;
///     chart.configure_mesh().draw()?;
///     chart.draw_series(LineSeries::new((-20..=20).map(|i| i as f64 / 20.).map(|x| (x, x * x)), &RED))?;
///     root.present()?;
///     Ok(())
/// })?;
/// assert!(figure.get("image/svg+xml").is_some_and(|svg| svg.contains("A parabola")));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn svg(
    (width, height): (u32, u32),
    draw: impl FnOnce(DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), Box<dyn StdError>>,
) -> Result<Bundle> {
    if !(1..=4096).contains(&width) || !(1..=4096).contains(&height) {
        let size = format!("{width} × {height}");
        return Err(Error::argument("size", size, "1 × 1 to 4096 × 4096 pixels"));
    }
    register_fonts();
    let mut svg = String::new();
    draw(SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area())
        .map_err(|error| Error::Io(std::io::Error::other(error.to_string())))?;
    Ok(Bundle::svg(svg).with("text/plain", format!("Figure, {width} × {height}")))
}

/// Without a font plotters cannot measure a text, and so draws none.
fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for family in ["sans-serif", "serif", "monospace"] {
            // It fails for a file that is no font; this one has been read by the tests.
            let _ = register_font(family, FontStyle::Normal, FONT_FILE);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_inside_is_said() {
        let error = svg((10, 10), |_| Err("no data".into())).unwrap_err();
        assert_eq!(error.to_string(), "no data");
        assert!(svg((0, 10), |_| Ok(())).unwrap_err().to_string().contains("0 × 10"));
    }
}
