//! Shapes to SVG, by the vector backend of plotters.

use base64::Engine;
use plotters::prelude::{DrawingBackend, SVGBackend};

use super::pen::{Pen, printable, style};
use super::shape::{Rect, Shape};
use super::{bitmap, picture};
use crate::Result;

/// Clipped groups heavier than this many points become a picture, so that a notebook that holds
/// the figure stays small.
const HEAVIEST: usize = 12_000;

/// Pixels of such a picture to a pixel of the figure.
const SHARPNESS: f64 = 1.5;

/// Units of the backend to a pixel of the figure.
const UNITS: f64 = 10.0;

/// The SVG document of `shapes`; `name` is what a screen reader reads.
pub(super) fn document(
    name: &str,
    (width, height): (usize, usize),
    shapes: &[Shape],
) -> Result<String> {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n\
         <g transform=\"scale({})\" stroke-linejoin=\"round\">\n",
        escape(&printable(name)),
        1.0 / UNITS,
    );
    write(&mut svg, shapes)?;
    svg.push_str("</g>\n</svg>\n");
    Ok(svg)
}

/// Writes what plotters draws, and between it what plotters has no element for: dashes, images that
/// are stretched, and parts that are cut at a border.
fn write(svg: &mut String, shapes: &[Shape]) -> Result<()> {
    let plain = |shape: &Shape| match shape {
        Shape::Line { dash, .. } => dash.is_none(),
        Shape::Image { .. } | Shape::Clip { .. } => false,
        _ => true,
    };
    for run in shapes.chunk_by(|a, b| plain(a) && plain(b)) {
        match &run[0] {
            Shape::Image { picture, rect } => {
                svg.push_str(
                    "<image preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\"",
                );
                push_rect(svg, rect);
                svg.push_str(" href=\"data:image/png;base64,");
                let png = picture::encode(picture)?;
                base64::engine::general_purpose::STANDARD.encode_string(png, svg);
                svg.push_str("\"/>\n");
            }
            clip @ Shape::Clip { rect, shapes } => {
                // An inner document cuts at its borders without an identifier, which would collide
                // with that of the next figure of a page.
                svg.push_str("<svg");
                push_rect(svg, rect);
                let [x, y, width, height] = units(rect);
                svg.push_str(&format!(" viewBox=\"{x} {y} {width} {height}\">\n"));
                if clip.weight() > HEAVIEST {
                    let picture = bitmap::picture(*rect, SHARPNESS, shapes)?.into();
                    write(svg, &[Shape::Image { picture, rect: *rect }])?;
                } else {
                    write(svg, shapes)?;
                }
                svg.push_str("</svg>\n");
            }
            Shape::Line { dash: Some((on, off)), .. } => {
                let [on, off] = [on, off].map(|length| (length * UNITS).round());
                svg.push_str(&format!("<g stroke-dasharray=\"{on} {off}\">\n"));
                svg.push_str(&elements(run)?);
                svg.push_str("</g>\n");
            }
            _ => svg.push_str(&elements(run)?),
        }
    }
    Ok(())
}

/// The elements that plotters writes for shapes, without the document around them.
fn elements(shapes: &[Shape]) -> Result<String> {
    let mut document = String::new();
    let backend = SVGBackend::with_string(&mut document, (1, 1));
    let mut pen = Pen { backend, units: UNITS, corner: (0, 0) };
    for shape in shapes {
        if let Shape::Line { points, colour, width, .. } = shape {
            let stroke = style(*colour, pen.length(*width));
            pen.backend.draw_path(pen.places(points), &stroke)?;
        } else {
            pen.draw(shape)?;
        }
    }
    pen.backend.present()?;
    drop(pen);
    let start = document.find('\n').map_or(0, |end| end + 1);
    document.truncate(document.rfind("</svg>").unwrap_or(start));
    Ok(document.split_off(start))
}

fn units(rect: &Rect) -> [f64; 4] {
    [rect.x, rect.y, rect.width, rect.height].map(|value| (value * UNITS).round())
}

fn push_rect(svg: &mut String, rect: &Rect) {
    let [x, y, width, height] = units(rect);
    svg.push_str(&format!(" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\""));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
