//! The letters: one embedded font, so that a figure needs nothing of the machine it is made on.
//!
//! The font is DejaVu Sans 2.37 (licence in `DejaVuSans-LICENSE.txt`), cut by fonttools to Latin,
//! Greek and the signs of mathematics:
//!
//! ```text
//! pyftsubset DejaVuSans.ttf --no-hinting --desubroutinize --layout-features= \
//!     --output-file=DejaVuSans-subset.ttf --unicodes="U+20-7E,U+A0-FF,U+100-17F,U+300-304,
//!     U+307,U+308,U+370-3FF,U+1E8A-1E8D,U+2010-2015,U+2016,U+2018-201D,U+2020-2022,U+2026,
//!     U+2032,U+2033,U+2070-208E,U+2090-209C,U+210B,U+2112,U+2113,U+2115,U+211D,U+2124,
//!     U+2190-2194,U+21A6,U+21D2,U+21D4,U+2200-2203,U+2205,U+2207-220B,U+220F,U+2211-2213,
//!     U+2217,U+2218,U+221A,U+221D,U+221E,U+2225,U+2227-222E,U+223C,U+2243,U+2248,U+2254,U+2260,
//!     U+2261,U+2264,U+2265,U+226A,U+226B,U+2282,U+2286,U+2297,U+22C5,U+22EE,U+22EF,U+25A0,
//!     U+25CF,U+2713,U+27E8,U+27E9,U+1D53C"
//! ```

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};

/// What an SVG asks for: the embedded font's family, and its relative that most machines have.
pub(super) const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

pub(super) const FONT_FILE: &[u8] = include_bytes!("DejaVuSans-subset.ttf");

static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(FONT_FILE).expect("the embedded font can be read"));

/// Glyphs are scaled by the font's height, text sizes are given by its em.
fn scale(size: f64) -> PxScale {
    let em = FONT.units_per_em().unwrap_or(2048.0);
    PxScale::from(size as f32 * FONT.height_unscaled() / em)
}

/// The width of `text` set at `size` pixels an em.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let font = FONT.as_scaled(scale(size));
    text.chars().map(|c| font.h_advance(font.glyph_id(c)) as f64).sum()
}

/// Calls `ink(x, y, coverage)` for every pixel that `text` touches, its base line starting at
/// `origin`.
pub(super) fn draw(text: &str, size: f64, origin: (f64, f64), mut ink: impl FnMut(i32, i32, f32)) {
    let font = FONT.as_scaled(scale(size));
    let mut x = origin.0 as f32;
    for c in text.chars() {
        let id = font.glyph_id(c);
        let glyph = id.with_scale_and_position(scale(size), point(x, origin.1 as f32));
        if let Some(outline) = font.outline_glyph(glyph) {
            let bounds = outline.px_bounds();
            outline.draw(|dx, dy, coverage| {
                ink(bounds.min.x as i32 + dx as i32, bounds.min.y as i32 + dy as i32, coverage);
            });
        }
        x += font.h_advance(id);
    }
}

/// `text`, cut and ended with `…` where it is wider than `room`.
pub(super) fn shorten(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut short: String = text.to_owned();
    while short.pop().is_some() {
        let candidate = format!("{}…", short.trim_end());
        if width(&candidate, size) <= room {
            return candidate;
        }
    }
    String::new()
}

/// `text` in at most `lines` lines no wider than `room`, broken between words; the last is
/// shortened.
pub(super) fn wrap(text: &str, size: f64, room: f64, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = wrapped.last().map(|line| format!("{line} {word}"));
        match (wrapped.last_mut(), longer) {
            (Some(line), Some(longer)) if width(&longer, size) <= room => *line = longer,
            _ => wrapped.push(word.to_owned()),
        }
    }
    if wrapped.len() > lines {
        let rest = wrapped.split_off(lines - 1).join(" ");
        wrapped.push(rest);
    }
    wrapped.iter().map(|line| shorten(line, size, room)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mathematics_has_glyphs() {
        for c in "∇∂√∞±×−≤≥≈→·∫∑∈ℝαβσθλμπρτφψω₀₁₂₃ₜⁿ⁻⁰¹²³⁴⁵⁶⁷⁸⁹é–".chars()
        {
            // Glyph 0 is the box that stands for a missing one.
            assert_ne!(FONT.glyph_id(c).0, 0, "{c}");
        }
    }

    #[test]
    fn shortened_text_fits() {
        let text = "a very long label that nobody wants to read";
        let short = shorten(text, 12.0, 100.0);
        assert!(short.ends_with('…') && width(&short, 12.0) <= 100.0, "{short}");
        assert_eq!(shorten("short", 12.0, 100.0), "short");
    }

    #[test]
    fn wrapped_text_fits_and_keeps_its_words() {
        let text = "one two three four five six seven";
        let lines = wrap(text, 12.0, 90.0, 4);
        assert_eq!(lines.join(" "), text);
        assert!(lines.len() > 1 && lines.iter().all(|line| width(line, 12.0) <= 90.0));
        assert_eq!(wrap(text, 12.0, 90.0, 2).len(), 2);
    }
}
