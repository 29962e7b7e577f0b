//! Shapes to pixels, by the bitmap backend of plotters.
//!
//! The backend draws whole pixels without an opacity. So the figure is drawn larger than wanted and
//! averaged down, once on black and once on white paper: where the two differ the figure lets the
//! paper through.

use plotters::prelude::{BitMapBackend, Color, DrawingBackend};
use plotters_backend::BackendCoord;

use super::colour::{Colour, PAPER};
use super::pen::{Pen, style};
use super::shape::{Picture, Point, Rect, Shape};
use crate::{Error, Result};

/// The most samples to a pixel each way.
const FINEST: usize = 3;

/// Samples of a picture that are not worth the memory: 200 megabytes.
const MOST: usize = 1 << 26;

/// The part `rect` of a figure, `scale` pixels to each of the figure's, transparent where nothing
/// is drawn.
pub(super) fn picture(rect: Rect, scale: f64, shapes: &[Shape]) -> Result<Picture> {
    let width = (rect.width * scale).round().max(1.0) as usize;
    let height = (rect.height * scale).round().max(1.0) as usize;
    let fits = |fine: &usize| width * height * fine * fine <= MOST;
    let fine = (1..=FINEST).rev().find(fits).unwrap_or(1);
    let units = scale * fine as f64;
    let drawn_on = |paper: u8| -> Result<Vec<[u16; 3]>> {
        let size = (fine * width, fine * height);
        let corner = ((rect.x * units).round() as i32, (rect.y * units).round() as i32);
        let mut sheet = Sheet::new(vec![paper; 3 * size.0 * size.1], size, corner, units);
        sheet.draw(shapes)?;
        Ok(sheet.sums(fine))
    };
    let (on_black, on_white) = rayon::join(|| drawn_on(0), || drawn_on(255));

    let full = (255 * fine * fine) as f64;
    let mut rgba = Vec::with_capacity(4 * width * height);
    let whole = (fine * fine) as u16;
    for (black, white) in on_black?.into_iter().zip(on_white?) {
        if black == white {
            rgba.extend(black.map(|sum| ((sum + whole / 2) / whole) as u8));
            rgba.push(255);
            continue;
        }
        let light: f64 = black.iter().map(|&sum| sum as f64).sum();
        let through = white.iter().map(|&sum| sum as f64).sum::<f64>() - light;
        let opacity = (1.0 - through / (3.0 * full)).clamp(0.0, 1.0);
        let byte = |share: f64| (255.0 * share).round().clamp(0.0, 255.0) as u8;
        let lightest = (full * opacity).max(1.0);
        rgba.extend(black.map(|sum| byte(sum as f64 / lightest)));
        rgba.push(byte(opacity));
    }
    Ok(Picture { width, height, rgba })
}

/// A part of a figure in the making, three bytes a sample.
struct Sheet {
    rgb: Vec<u8>,
    size: (usize, usize),
    /// Where in the figure, in samples, its corner lies.
    corner: BackendCoord,
    /// Samples to a pixel of the figure.
    units: f64,
    /// A sheet beside it for strokes that let something through; black between two of them.
    mask: Vec<u8>,
}

impl Sheet {
    fn new(rgb: Vec<u8>, size: (usize, usize), corner: BackendCoord, units: f64) -> Self {
        Self { rgb, size, corner, units, mask: Vec::new() }
    }

    fn draw(&mut self, shapes: &[Shape]) -> Result<()> {
        for shape in shapes {
            match shape {
                Shape::Line { points, colour, width, dash } => {
                    let pieces = match dash {
                        Some(dash) => dashes(points, *dash),
                        None => vec![points.clone()],
                    };
                    if colour.opacity < 1.0 {
                        self.translucent_stroke(&pieces, *width, *colour)?;
                    } else {
                        let mut pen = pen(&mut self.rgb, self.size, self.corner, self.units)?;
                        stroke(&mut pen, &pieces, *width, *colour)?;
                    }
                }
                Shape::Image { picture, rect } => self.image(picture, rect)?,
                Shape::Clip { rect, shapes } => self.clipped(rect, shapes)?,
                Shape::Disc { centre, radius, colour } => {
                    let mut pen = pen(&mut self.rgb, self.size, self.corner, self.units)?;
                    // plotters fills the sample in the middle besides the radius.
                    let radius = (radius * self.units - 0.5).round().max(1.0) as u32;
                    let centre = pen.place(*centre);
                    pen.backend.draw_circle(centre, radius, &style(*colour, 0), true)?;
                }
                Shape::Card { rect, radius, colour } if colour.opacity == 1.0 => {
                    let mut pen = pen(&mut self.rgb, self.size, self.corner, self.units)?;
                    card(&mut pen, rect, *radius, *colour)?;
                }
                _ => pen(&mut self.rgb, self.size, self.corner, self.units)?.draw(shape)?,
            }
        }
        Ok(())
    }

    /// Draws shapes on the part `rect` of the sheet, which is cut out and put back.
    fn clipped(&mut self, rect: &Rect, shapes: &[Shape]) -> Result<()> {
        let (width, height) = self.size;
        let sample = |value: f64, corner: i32, most: usize| {
            ((value * self.units).round() as i32 - corner).clamp(0, most as i32) as usize
        };
        let [left, right] = [rect.x, rect.right()].map(|x| sample(x, self.corner.0, width));
        let [top, bottom] = [rect.y, rect.bottom()].map(|y| sample(y, self.corner.1, height));
        if left >= right || top >= bottom {
            return Ok(());
        }
        let rows = (top..bottom).map(|y| 3 * (y * width + left)..3 * (y * width + right));
        let mut part = Vec::with_capacity(3 * (right - left) * (bottom - top));
        rows.clone().for_each(|row| part.extend_from_slice(&self.rgb[row]));
        let corner = (self.corner.0 + left as i32, self.corner.1 + top as i32);
        let mut part = Sheet::new(part, (right - left, bottom - top), corner, self.units);
        part.draw(shapes)?;
        for (row, drawn) in rows.zip(part.rgb.chunks(3 * (right - left))) {
            self.rgb[row].copy_from_slice(drawn);
        }
        Ok(())
    }

    /// Every pixel of the picture as a box.
    fn image(&mut self, picture: &Picture, rect: &Rect) -> Result<()> {
        let mut pen = pen(&mut self.rgb, self.size, self.corner, self.units)?;
        let border = |column: usize, row: usize| {
            let across = rect.width * column as f64 / picture.width as f64;
            let down = rect.height * row as f64 / picture.height as f64;
            (rect.x + across, rect.y + down)
        };
        for (i, pixel) in picture.rgba.chunks_exact(4).enumerate() {
            let (column, row) = (i % picture.width, i / picture.width);
            let (from, to) = (border(column, row), border(column + 1, row + 1));
            let rgb = [pixel[0], pixel[1], pixel[2]].map(|channel| channel as f64 / 255.0);
            let colour = Colour { rgb, opacity: pixel[3] as f64 / 255.0 };
            let (from, to) = (pen.place(from), pen.place(to));
            pen.backend.draw_rect(from, to, &style(colour, 0), true)?;
        }
        Ok(())
    }

    /// Draws a stroke whose parts may lie over each other: opaque on the mask, and from there every
    /// sample once.
    fn translucent_stroke(
        &mut self,
        pieces: &[Vec<Point>],
        width: f64,
        colour: Colour,
    ) -> Result<()> {
        self.mask.resize(self.rgb.len(), 0);
        let mut mask = pen(&mut self.mask, self.size, self.corner, self.units)?;
        stroke(&mut mask, pieces, width, PAPER)?;
        let boxes = boxes_along(pieces.iter().map(|piece| mask.places(piece)), mask.length(width));
        drop(mask);

        let colour = style(colour, 0).color;
        let mut sheet = pen(&mut self.rgb, self.size, self.corner, self.units)?;
        let inside = |value: i32, most: usize| value.clamp(0, most as i32);
        for ((left, top), (right, bottom)) in boxes {
            for y in inside(top, self.size.1)..inside(bottom, self.size.1) {
                for x in inside(left, self.size.0)..inside(right, self.size.0) {
                    let sample = &mut self.mask[3 * (y as usize * self.size.0 + x as usize)..][..3];
                    if sample[0] > 0 {
                        let covered = sample[0] as f64 / 255.0;
                        sample.fill(0);
                        let ink = colour.mix(covered).to_backend_color();
                        sheet.backend.draw_pixel((x, y), ink)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The sums of the `fine × fine` samples of each pixel.
    fn sums(&self, fine: usize) -> Vec<[u16; 3]> {
        let width = self.size.0 / fine;
        let mut sums = vec![[0; 3]; width * self.size.1 / fine];
        for (row, samples) in self.rgb.chunks_exact(3 * self.size.0).enumerate() {
            let pixels = &mut sums[width * (row / fine)..][..width];
            for (pixel, samples) in pixels.iter_mut().zip(samples.chunks_exact(3 * fine)) {
                for sample in samples.chunks_exact(3) {
                    for (sum, &channel) in pixel.iter_mut().zip(sample) {
                        *sum += channel as u16;
                    }
                }
            }
        }
        sums
    }
}

fn pen(
    rgb: &mut [u8],
    (width, height): (usize, usize),
    corner: BackendCoord,
    units: f64,
) -> Result<Pen<BitMapBackend<'_>>> {
    let backend = BitMapBackend::with_buffer_and_format(rgb, (width as u32, height as u32))
        .map_err(|error| Error::Io(std::io::Error::other(error)))?;
    Ok(Pen { backend, units, corner })
}

/// Draws broken lines segment by segment with discs as joints: plotters fills a broken line as one
/// polygon, which has holes where the line crosses itself.
fn stroke(
    pen: &mut Pen<BitMapBackend>,
    pieces: &[Vec<Point>],
    width: f64,
    colour: Colour,
) -> Result<()> {
    // plotters fills both borders of a segment, about one sample too many.
    let width = (width * pen.units - 0.7).round().max(1.0) as u32;
    let style = style(colour, width);
    for piece in pieces {
        let places = pen.places(piece);
        for (i, pair) in places.windows(2).enumerate() {
            pen.backend.draw_line(pair[0], pair[1], &style)?;
            if i > 0 && width > 2 {
                pen.backend.draw_circle(pair[0], width / 2, &style, true)?;
            }
        }
    }
    Ok(())
}

/// A broken line cut into dashes of length `on` with gaps of length `off`.
fn dashes(points: &[Point], (on, off): (f64, f64)) -> Vec<Vec<Point>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<Point> = points.first().copied().into_iter().collect();
    let (mut drawing, mut left) = (true, on);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length <= left {
                left -= length;
                if drawing {
                    piece.push(to);
                }
                break;
            }
            let s = left / length;
            from = (from.0 + s * (to.0 - from.0), from.1 + s * (to.1 - from.1));
            if drawing {
                piece.push(from);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![from];
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
        }
    }
    if drawing && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

/// Draws a box with rounded corners as two boxes and four discs: plotters fills boxes row by row,
/// wide polygons column by column, which takes ten times as long.
fn card(pen: &mut Pen<BitMapBackend>, rect: &Rect, radius: f64, colour: Colour) -> Result<()> {
    let style = style(colour, 0);
    let (left, top) = pen.place((rect.x, rect.y));
    let (right, bottom) = pen.place((rect.right(), rect.bottom()));
    let radius = (radius * pen.units).round() as i32;
    pen.backend.draw_rect((left + radius, top), (right - radius, bottom), &style, true)?;
    pen.backend.draw_rect((left, top + radius), (right, bottom - radius), &style, true)?;
    if radius > 0 {
        for x in [left + radius, right - radius - 1] {
            for y in [top + radius, bottom - radius - 1] {
                pen.backend.draw_circle((x, y), radius as u32, &style, true)?;
            }
        }
    }
    Ok(())
}

/// Small boxes that together hold strokes of a width: first and behind-last column and row.
fn boxes_along(
    pieces: impl Iterator<Item = Vec<BackendCoord>>,
    width: u32,
) -> Vec<(BackendCoord, BackendCoord)> {
    const LONGEST: i32 = 32;
    let margin = width as i32 / 2 + 2;
    let mut boxes = Vec::new();
    for piece in pieces {
        for pair in piece.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let parts = 1 + dx.abs().max(dy.abs()) / LONGEST;
            let at = |i: i32| (from.0 + dx * i / parts, from.1 + dy * i / parts);
            for i in 0..parts {
                let (a, b) = (at(i), at(i + 1));
                boxes.push((
                    (a.0.min(b.0) - margin, a.1.min(b.1) - margin),
                    (a.0.max(b.0) + margin + 1, a.1.max(b.1) + margin + 1),
                ));
            }
        }
    }
    boxes
}

#[cfg(test)]
mod tests {
    use super::super::colour::INK;
    use super::*;

    fn ink(shapes: &[Shape]) -> Result<f64> {
        let drawn = picture(Rect::new(0.0, 0.0, 40.0, 40.0), 2.0, shapes)?;
        Ok(drawn.rgba.chunks(4).map(|pixel| pixel[3] as f64 / 255.0 / 4.0).sum())
    }

    fn line(points: &[Point], colour: Colour) -> Shape {
        Shape::Line { points: points.to_vec(), colour, width: 2.0, dash: None }
    }

    #[test]
    fn coverage_is_area() -> Result<()> {
        // plotters fills the samples on both borders: a sixth of a pixel more across a polygon.
        let triangle = vec![(3.3, 2.1), (33.4, 7.9), (12.2, 30.6)];
        let area = ((33.4 - 3.3) * (30.6 - 2.1) - (12.2 - 3.3) * (7.9 - 2.1)) / 2.0;
        let drawn = ink(&[Shape::Polygon { points: triangle, colour: INK }])?;
        assert!((drawn / area - 1.0_f64).abs() < 0.015, "{drawn} of {area}");

        let drawn = ink(&[Shape::Disc { centre: (20.0, 20.0), radius: 10.0, colour: INK }])?;
        assert!((drawn / (std::f64::consts::PI * 100.0) - 1.0).abs() < 0.02, "{drawn}");

        let drawn = ink(&[line(&[(5.0, 6.0), (29.0, 24.0)], INK)])?;
        assert!((drawn / 60.0 - 1.0).abs() < 0.02, "{drawn}");
        Ok(())
    }

    #[test]
    fn a_stroke_that_returns_on_itself_is_drawn_once() -> Result<()> {
        for colour in [INK, INK.with_opacity(0.5)] {
            let there = ink(&[line(&[(5.0, 20.0), (30.0, 20.0)], colour)])?;
            let back = ink(&[line(&[(5.0, 20.0), (30.0, 20.0), (5.0, 20.0)], colour)])?;
            assert!(back >= there && back < there + 3.0, "{there} {back}");
        }
        Ok(())
    }

    #[test]
    fn nothing_is_drawn_outside_the_clip() -> Result<()> {
        let rect = Rect::new(10.0, 10.0, 5.0, 5.0);
        let everything =
            Shape::Card { rect: Rect::new(-50.0, -50.0, 200.0, 200.0), radius: 0.0, colour: INK };
        let drawn = ink(&[Shape::Clip { rect, shapes: vec![everything] }])?;
        assert!((drawn - 25.0).abs() < 1e-6, "{drawn}");
        Ok(())
    }

    #[test]
    fn dashes_keep_their_share() {
        let whole = [(2.0, 10.0), (20.0, 10.0), (20.0, 28.0)];
        let length: f64 = dashes(&whole, (3.0, 1.0))
            .iter()
            .flat_map(|piece| piece.windows(2))
            .map(|pair| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1))
            .sum();
        assert!((length - 27.0).abs() < 1e-9, "{length}");
    }
}
