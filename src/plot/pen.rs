//! Shapes to plotters: what its vector backend and its bitmap backend draw alike.

use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontFamily, FontTransform, RGBAColor, ShapeStyle};
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
};

use super::colour::Colour;
use super::shape::{Anchor, Point, Rect, Shape};
use super::text::{self, FAMILY};
use crate::{Error, Result};

/// A backend of plotters. Its coordinates are whole numbers, so there are `units` of them to a
/// pixel of the figure; `corner` is what lies at its origin.
pub(super) struct Pen<B> {
    pub(super) backend: B,
    pub(super) units: f64,
    pub(super) corner: BackendCoord,
}

impl<B: DrawingBackend> Pen<B>
where
    B::ErrorType: 'static,
{
    pub(super) fn place(&self, (x, y): Point) -> BackendCoord {
        let whole = |value: f64| (value * self.units).round() as i32;
        (whole(x) - self.corner.0, whole(y) - self.corner.1)
    }

    /// The points without those that fall on the one before.
    pub(super) fn places(&self, points: &[Point]) -> Vec<BackendCoord> {
        let mut places: Vec<_> = points.iter().map(|&point| self.place(point)).collect();
        places.dedup();
        places
    }

    /// A length, which is never nothing.
    pub(super) fn length(&self, length: f64) -> u32 {
        (length * self.units).round().max(1.0) as u32
    }

    /// Draws a shape that every backend draws in the same way.
    pub(super) fn draw(&mut self, shape: &Shape) -> Result<()> {
        match shape {
            Shape::Polygon { points, colour } => {
                self.backend.fill_polygon(self.places(points), &style(*colour, 0))?;
            }
            Shape::Disc { centre, radius, colour } => {
                let (centre, radius) = (self.place(*centre), self.length(*radius));
                self.backend.draw_circle(centre, radius, &style(*colour, 0), true)?;
            }
            Shape::Card { rect, radius, colour } if *radius > 0.0 => {
                let outline = self.places(&rounded(rect, *radius));
                self.backend.fill_polygon(outline, &style(*colour, 0))?;
            }
            Shape::Card { rect, colour, .. } => {
                let (from, to) =
                    (self.place((rect.x, rect.y)), self.place((rect.right(), rect.bottom())));
                self.backend.draw_rect(from, to, &style(*colour, 0), true)?;
            }
            Shape::Text { text, at, size, anchor, colour, rising } => {
                let letters = Letters {
                    size: size * self.units,
                    anchor: *anchor,
                    colour: *colour,
                    rising: *rising,
                };
                // A text hangs from the position that plotters is given.
                let up = TOP * size;
                let hook = if *rising { (at.0 - up, at.1) } else { (at.0, at.1 - up) };
                self.backend.draw_text(&printable(text), &letters, self.place(hook))?;
            }
            Shape::Line { .. } | Shape::Image { .. } | Shape::Clip { .. } => {
                unreachable!("each backend draws lines, images and clips in its own way")
            }
        }
        Ok(())
    }
}

/// The colour and the width of a stroke as plotters wants them; three decimals of the opacity, for
/// they are written out in every element of an SVG.
pub(super) fn style(colour: Colour, stroke_width: u32) -> ShapeStyle {
    let [r, g, b] = colour.bytes();
    let opacity = (colour.opacity * 1000.0).round() / 1000.0;
    ShapeStyle { color: RGBAColor(r, g, b, opacity), filled: true, stroke_width }
}

/// The outline of a box with rounded corners, which plotters has not.
fn rounded(rect: &Rect, radius: f64) -> Vec<Point> {
    let inner = rect.grown(-radius);
    let corners = [
        ((inner.right(), inner.bottom()), 0.0),
        ((inner.x, inner.bottom()), 1.0),
        ((inner.x, inner.y), 2.0),
        ((inner.right(), inner.y), 3.0),
    ];
    corners
        .into_iter()
        .flat_map(|((x, y), turn)| {
            (0..=8).map(move |i| {
                let angle = std::f64::consts::FRAC_PI_2 * (turn + i as f64 / 8.0);
                (x + radius * angle.cos(), y + radius * angle.sin())
            })
        })
        .collect()
}

/// How far above its base line a text begins for plotters, in ems.
const TOP: f64 = 0.76;

/// What plotters divides a font size by to have the em.
const HEIGHT_OF_EM: f64 = 1.24;

/// A style of text. plotters has one of its own for registered fonts, which loses the space to the
/// left of each letter; this one draws the letters that the layout has measured.
struct Letters {
    /// Units to an em.
    size: f64,
    anchor: Anchor,
    colour: Colour,
    rising: bool,
}

impl BackendTextStyle for Letters {
    type FontError = std::convert::Infallible;

    fn color(&self) -> BackendColor {
        style(self.colour, 0).color()
    }

    fn size(&self) -> f64 {
        self.size * HEIGHT_OF_EM
    }

    fn transform(&self) -> FontTransform {
        if self.rising { FontTransform::Rotate270 } else { FontTransform::None }
    }

    fn anchor(&self) -> Pos {
        let across = match self.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        Pos::new(across, VPos::Top)
    }

    fn family(&self) -> FontFamily<'_> {
        FontFamily::Name(FAMILY)
    }

    fn layout_box(&self, text: &str) -> Result<(BackendCoord, BackendCoord), Self::FontError> {
        let top = -(TOP * self.size).round() as i32;
        Ok(((0, top), (text::width(text, self.size).round() as i32, top + self.size as i32)))
    }

    fn draw<E, Ink: FnMut(i32, i32, BackendColor) -> Result<(), E>>(
        &self,
        text: &str,
        (x, y): BackendCoord,
        mut ink: Ink,
    ) -> Result<Result<(), E>, Self::FontError> {
        let mut drawn = Ok(());
        text::draw(text, self.size, (x as f64, y as f64), |x, y, coverage| {
            if drawn.is_ok() {
                drawn = ink(x, y, self.color().mix(coverage.min(1.0) as f64));
            }
        });
        Ok(drawn)
    }
}

/// Text on one line, without the characters that XML 1.0 forbids.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|&c| c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
        .collect()
}

impl<E: std::error::Error + Send + Sync + 'static> From<DrawingErrorKind<E>> for Error {
    fn from(error: DrawingErrorKind<E>) -> Self {
        Self::Io(std::io::Error::other(error))
    }
}
