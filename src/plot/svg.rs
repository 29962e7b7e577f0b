//! Shapes to SVG.

use std::fmt::Write;

use base64::Engine;

use super::colour::Colour;
use super::picture;
use super::raster::Canvas;
use super::shape::{Anchor, Point, Rect, Shape};
use super::text::FAMILY;
use crate::Result;

/// Clipped groups heavier than this many points become a picture, so that a notebook that holds
/// the figure stays small.
const HEAVIEST: usize = 12_000;

/// Pixels of such a picture to a pixel of the figure.
const SHARPNESS: f64 = 1.5;

/// The SVG document of `shapes`; `name` is what a screen reader reads.
pub(super) fn document(
    name: &str,
    (width, height): (usize, usize),
    shapes: &[Shape],
) -> Result<String> {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\" \
         font-family=\"{FAMILY}\">\n",
        escape(name),
    );
    for shape in shapes {
        write_shape(&mut svg, shape)?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn write_shape(svg: &mut String, shape: &Shape) -> Result<()> {
    match shape {
        Shape::Line { points, colour, width, dash } => {
            svg.push_str("<polyline fill=\"none\" stroke-linejoin=\"round\"");
            push_colour(svg, "stroke", *colour);
            push(svg, "stroke-width", *width);
            if let Some((on, off)) = dash {
                svg.push_str(&format!(" stroke-dasharray=\"{} {}\"", short(*on), short(*off)));
            }
            push_points(svg, points);
        }
        Shape::Polygon { points, colour } => {
            svg.push_str("<polygon");
            push_colour(svg, "fill", *colour);
            push_points(svg, points);
        }
        Shape::Disc { centre, radius, colour } => {
            svg.push_str("<circle");
            push(svg, "cx", centre.0);
            push(svg, "cy", centre.1);
            push(svg, "r", *radius);
            push_colour(svg, "fill", *colour);
        }
        Shape::Card { rect, radius, colour } => {
            svg.push_str("<rect");
            push_rect(svg, rect);
            if *radius > 0.0 {
                push(svg, "rx", *radius);
            }
            push_colour(svg, "fill", *colour);
        }
        Shape::Text { text, at, size, anchor, colour, rising } => {
            svg.push_str("<text");
            push(svg, "x", at.0);
            push(svg, "y", at.1);
            push(svg, "font-size", *size);
            push_colour(svg, "fill", *colour);
            match anchor {
                Anchor::Start => {}
                Anchor::Middle => svg.push_str(" text-anchor=\"middle\""),
                Anchor::End => svg.push_str(" text-anchor=\"end\""),
            }
            if *rising {
                let (x, y) = (short(at.0), short(at.1));
                svg.push_str(&format!(" transform=\"rotate(-90 {x} {y})\""));
            }
            svg.push_str(&format!(">{}</text>\n", escape(text)));
            return Ok(());
        }
        Shape::Image { picture, rect } => {
            let png = picture::encode(picture)?;
            svg.push_str("<image preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\"");
            push_rect(svg, rect);
            svg.push_str(" href=\"data:image/png;base64,");
            base64::engine::general_purpose::STANDARD.encode_string(png, svg);
            svg.push('"');
        }
        Shape::Clip { rect, shapes } => {
            // An inner document cuts at its borders without an identifier, which would collide
            // with that of the next figure of a page.
            svg.push_str("<svg");
            push_rect(svg, rect);
            svg.push_str(" viewBox=\"");
            for value in [rect.x, rect.y, rect.width, rect.height] {
                svg.push_str(&short(value));
                svg.push(' ');
            }
            svg.pop();
            svg.push_str("\">\n");
            if shape.weight() > HEAVIEST {
                let mut canvas = Canvas::new(*rect, SHARPNESS);
                canvas.draw(shapes);
                let picture = canvas.picture().into();
                write_shape(svg, &Shape::Image { picture, rect: *rect })?;
            } else {
                for shape in shapes {
                    write_shape(svg, shape)?;
                }
            }
            svg.push_str("</svg>\n");
            return Ok(());
        }
    }
    svg.push_str("/>\n");
    Ok(())
}

/// At most two decimals: a hundredth of a pixel.
fn short(value: f64) -> String {
    let mut text = format!("{value:.2}");
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    if text == "-0" { "0".to_owned() } else { text }
}

fn push(svg: &mut String, name: &str, value: f64) {
    svg.push_str(&format!(" {name}=\"{}\"", short(value)));
}

fn push_rect(svg: &mut String, rect: &Rect) {
    push(svg, "x", rect.x);
    push(svg, "y", rect.y);
    push(svg, "width", rect.width);
    push(svg, "height", rect.height);
}

fn push_colour(svg: &mut String, name: &str, colour: Colour) {
    let [r, g, b] = colour.bytes();
    svg.push_str(&format!(" {name}=\"#{r:02x}{g:02x}{b:02x}\""));
    if colour.opacity < 1.0 {
        push(svg, &format!("{name}-opacity"), colour.opacity);
    }
}

fn push_points(svg: &mut String, points: &[Point]) {
    svg.push_str(" points=\"");
    for (x, y) in points {
        // Writing to a `String` cannot fail.
        let _ = write!(svg, "{},{} ", short(*x), short(*y));
    }
    if !points.is_empty() {
        svg.pop();
    }
    svg.push('"');
}

/// Text as XML wants it: markup escaped, characters that XML 1.0 forbids left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}
