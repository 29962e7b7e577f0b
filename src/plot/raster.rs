//! Shapes to pixels: polygons are filled by the non-zero rule, with the covered part of each pixel
//! as its opacity, so that a path that crosses itself has no holes and no steps.

use super::colour::Colour;
use super::shape::{Anchor, Picture, Point, Rect, Shape};
use super::text;

/// A row of pixels is sampled along this many lines; along a line the coverage is exact.
const LINES_A_ROW: usize = 6;

/// Pixels in the making, premultiplied, four channels each; `scale` of them to a figure's pixel.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    scale: f64,
    origin: Point,
    clip: Rect,
    pixels: Vec<[f32; 4]>,
}

impl Canvas {
    /// A transparent canvas that shows the part `rect` of a figure.
    pub(super) fn new(rect: Rect, scale: f64) -> Self {
        let width = (rect.width * scale).round().max(1.0) as usize;
        let height = (rect.height * scale).round().max(1.0) as usize;
        Self {
            width,
            height,
            scale,
            origin: (rect.x, rect.y),
            clip: Rect::new(0.0, 0.0, width as f64, height as f64),
            pixels: vec![[0.0; 4]; width * height],
        }
    }

    /// Draws the shapes one over the other.
    pub(super) fn draw(&mut self, shapes: &[Shape]) {
        for shape in shapes {
            self.shape(shape);
        }
    }

    /// The finished pixels.
    pub(super) fn picture(&self) -> Picture {
        let mut rgba = Vec::with_capacity(4 * self.pixels.len());
        for &[r, g, b, opacity] in &self.pixels {
            let byte = |x: f32| (x * 255.0).round().clamp(0.0, 255.0) as u8;
            let channel = |x: f32| if opacity > 0.0 { byte(x / opacity) } else { 0 };
            rgba.extend([channel(r), channel(g), channel(b), byte(opacity)]);
        }
        Picture { width: self.width, height: self.height, rgba }
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Line { points, colour, width, dash } => {
                let points: Vec<_> = points.iter().map(|&p| self.place(p)).collect();
                let half = width * self.scale / 2.0;
                let mut outlines = Vec::new();
                match dash {
                    None => stroke(&points, half, &mut outlines),
                    Some((on, off)) => {
                        for piece in dashes(&points, on * self.scale, off * self.scale) {
                            stroke(&piece, half, &mut outlines);
                        }
                    }
                }
                self.fill(&outlines, *colour);
            }
            Shape::Polygon { points, colour } => {
                let points = points.iter().map(|&p| self.place(p)).collect();
                self.fill(&[points], *colour);
            }
            Shape::Disc { centre, radius, colour } => {
                let disc = disc(self.place(*centre), radius * self.scale);
                self.fill(&[disc], *colour);
            }
            Shape::Card { rect, radius, colour } => {
                let outline = self.card(rect, radius * self.scale);
                self.fill(&[outline], *colour);
            }
            Shape::Text { text, at, size, anchor, colour, rising } => {
                self.text(text, *at, *size, *anchor, *colour, *rising);
            }
            Shape::Image { picture, rect } => self.image(picture, rect),
            Shape::Clip { rect, shapes } => {
                let before = self.clip;
                let (left, top) = self.place((rect.x, rect.y));
                let (right, bottom) = self.place((rect.right(), rect.bottom()));
                let (x, y) = (left.max(before.x), top.max(before.y));
                self.clip = Rect::new(
                    x,
                    y,
                    (right.min(before.right()) - x).max(0.0),
                    (bottom.min(before.bottom()) - y).max(0.0),
                );
                self.draw(shapes);
                self.clip = before;
            }
        }
    }

    /// From the figure's pixels to the canvas's.
    fn place(&self, (x, y): Point) -> Point {
        ((x - self.origin.0) * self.scale, (y - self.origin.1) * self.scale)
    }

    fn card(&self, rect: &Rect, radius: f64) -> Vec<Point> {
        let (left, top) = self.place((rect.x, rect.y));
        let (right, bottom) = self.place((rect.right(), rect.bottom()));
        let corners = [
            ((right - radius, bottom - radius), 0.0),
            ((left + radius, bottom - radius), 1.0),
            ((left + radius, top + radius), 2.0),
            ((right - radius, top + radius), 3.0),
        ];
        let quarter = std::f64::consts::FRAC_PI_2;
        corners
            .into_iter()
            .flat_map(|((x, y), turn)| {
                (0..=8).map(move |i| {
                    let (sin, cos) = (quarter * (turn + i as f64 / 8.0)).sin_cos();
                    (x + radius * cos, y + radius * sin)
                })
            })
            .collect()
    }

    fn text(
        &mut self,
        text: &str,
        at: Point,
        size: f64,
        anchor: Anchor,
        colour: Colour,
        rising: bool,
    ) {
        let (x, y) = self.place(at);
        let size = size * self.scale;
        let shift = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -text::width(text, size) / 2.0,
            Anchor::End => -text::width(text, size),
        };
        if rising {
            // A quarter turn to the left about (x, y): right becomes up, down becomes right.
            let (x, y) = (x.round() as i32, y.round() as i32);
            text::draw(text, size, (shift, 0.0), |right, down, coverage| {
                self.blend(x + down, y - 1 - right, colour, coverage);
            });
        } else {
            text::draw(text, size, (x + shift, y), |x, y, coverage| {
                self.blend(x, y, colour, coverage);
            });
        }
    }

    fn image(&mut self, picture: &Picture, rect: &Rect) {
        let (left, top) = self.place((rect.x, rect.y));
        let (right, bottom) = self.place((rect.right(), rect.bottom()));
        let (columns, rows) = (self.columns(left, right), self.rows(top, bottom));
        for row in rows {
            let v = (row as f64 + 0.5 - top) / (bottom - top);
            let source_row = ((v * picture.height as f64) as usize).min(picture.height - 1);
            for column in columns.clone() {
                let u = (column as f64 + 0.5 - left) / (right - left);
                let source = ((u * picture.width as f64) as usize).min(picture.width - 1);
                let start = 4 * (source_row * picture.width + source);
                let channel = |i: usize| picture.rgba[start + i] as f64 / 255.0;
                let rgb = [channel(0), channel(1), channel(2)];
                let colour = Colour { rgb, opacity: channel(3) };
                self.blend(column as i32, row as i32, colour, 1.0);
            }
        }
    }

    /// The columns of pixels that have their middle between `left` and `right` and in the clip.
    fn columns(&self, left: f64, right: f64) -> std::ops::Range<usize> {
        let left = left.max(self.clip.x).round().max(0.0);
        left as usize..right.min(self.clip.right()).round().max(left) as usize
    }

    fn rows(&self, top: f64, bottom: f64) -> std::ops::Range<usize> {
        let top = top.max(self.clip.y).round().max(0.0);
        top as usize..bottom.min(self.clip.bottom()).round().max(top) as usize
    }

    fn blend(&mut self, x: i32, y: i32, colour: Colour, coverage: f32) {
        let middle = (x as f64 + 0.5, y as f64 + 0.5);
        if coverage <= 0.0 || !self.clip.contains(middle) {
            return;
        }
        let opacity = colour.opacity as f32 * coverage.min(1.0);
        let pixel = &mut self.pixels[y as usize * self.width + x as usize];
        let [r, g, b] = colour.rgb.map(|channel| channel as f32 * opacity);
        for (below, above) in pixel.iter_mut().zip([r, g, b, opacity]) {
            *below = above + *below * (1.0 - opacity);
        }
    }

    /// Fills the union of outlines that all turn the same way.
    fn fill(&mut self, outlines: &[Vec<Point>], colour: Colour) {
        let mut edges = edges(outlines);
        let Some(bounds) = bounds(&edges) else { return };
        let left = bounds.x.max(self.clip.x).floor();
        let right = bounds.right().min(self.clip.right()).ceil();
        let top = bounds.y.max(self.clip.y).floor();
        let bottom = bounds.bottom().min(self.clip.bottom()).ceil();
        if left >= right || top >= bottom {
            return;
        }
        edges.sort_by(|a, b| a.top.total_cmp(&b.top));

        let mut coverage = vec![0.0_f32; (right - left) as usize];
        let mut waiting = edges.iter().peekable();
        let mut active: Vec<&Edge> = Vec::new();
        let mut crossings: Vec<(f64, i32)> = Vec::new();
        for row in top as i32..bottom as i32 {
            active.retain(|edge| edge.bottom > row as f64);
            while let Some(edge) = waiting.next_if(|edge| edge.top < (row + 1) as f64) {
                active.push(edge);
            }
            if active.is_empty() {
                continue;
            }
            coverage.fill(0.0);
            for line in 0..LINES_A_ROW {
                let y = row as f64 + (line as f64 + 0.5) / LINES_A_ROW as f64;
                crossings.clear();
                crossings.extend(
                    active.iter().filter(|e| e.top <= y && y < e.bottom).map(|e| e.crossing(y)),
                );
                crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut winding = 0;
                for pair in crossings.windows(2) {
                    winding += pair[0].1;
                    if winding != 0 {
                        cover(&mut coverage, pair[0].0 - left, pair[1].0 - left);
                    }
                }
            }
            for (column, covered) in coverage.iter().enumerate() {
                self.blend(left as i32 + column as i32, row, colour, *covered);
            }
        }
    }
}

/// Adds one sampled line from `from` to `to` to the coverage of a row.
fn cover(coverage: &mut [f32], from: f64, to: f64) {
    let from = from.max(0.0);
    let to = to.min(coverage.len() as f64);
    if from >= to {
        return;
    }
    const WHOLE: f32 = 1.0 / LINES_A_ROW as f32;
    let (first, last) = (from as usize, to as usize);
    if first == last {
        coverage[first] += (to - from) as f32 * WHOLE;
        return;
    }
    coverage[first] += (first as f64 + 1.0 - from) as f32 * WHOLE;
    for covered in &mut coverage[first + 1..last] {
        *covered += WHOLE;
    }
    if last < coverage.len() {
        coverage[last] += (to - last as f64) as f32 * WHOLE;
    }
}

/// A side of an outline that is not level.
struct Edge {
    top: f64,
    bottom: f64,
    x_at_top: f64,
    slope: f64,
    winding: i32,
}

impl Edge {
    fn crossing(&self, y: f64) -> (f64, i32) {
        (self.x_at_top + (y - self.top) * self.slope, self.winding)
    }
}

fn edges(outlines: &[Vec<Point>]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for outline in outlines {
        for (i, &to) in outline.iter().enumerate() {
            let from = outline[(i + outline.len() - 1) % outline.len()];
            if from.1 == to.1 {
                continue;
            }
            let (upper, lower, winding) =
                if from.1 < to.1 { (from, to, 1) } else { (to, from, -1) };
            edges.push(Edge {
                top: upper.1,
                bottom: lower.1,
                x_at_top: upper.0,
                slope: (lower.0 - upper.0) / (lower.1 - upper.1),
                winding,
            });
        }
    }
    edges
}

fn bounds(edges: &[Edge]) -> Option<Rect> {
    let lowest = |value: fn(&Edge) -> f64| edges.iter().map(value).fold(f64::INFINITY, f64::min);
    let highest =
        |value: fn(&Edge) -> f64| edges.iter().map(value).fold(f64::NEG_INFINITY, f64::max);
    let left = lowest(|e| e.x_at_top.min(e.crossing(e.bottom).0));
    let right = highest(|e| e.x_at_top.max(e.crossing(e.bottom).0));
    let (top, bottom) = (lowest(|e| e.top), highest(|e| e.bottom));
    (!edges.is_empty()).then(|| Rect::new(left, top, right - left, bottom - top))
}

/// The outlines of a stroke of half-width `half`: a box a segment and a disc a joint, all turning
/// the same way.
fn stroke(points: &[Point], half: f64, outlines: &mut Vec<Vec<Point>>) {
    for (i, pair) in points.windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        if length == 0.0 {
            continue;
        }
        let (nx, ny) = (-(to.1 - from.1) / length * half, (to.0 - from.0) / length * half);
        outlines.push(vec![
            (from.0 + nx, from.1 + ny),
            (from.0 - nx, from.1 - ny),
            (to.0 - nx, to.1 - ny),
            (to.0 + nx, to.1 + ny),
        ]);
        if i > 0 {
            outlines.push(disc(from, half));
        }
    }
}

fn disc((x, y): Point, radius: f64) -> Vec<Point> {
    let corners = (8.0 + 2.0 * radius).min(64.0) as usize;
    (0..corners)
        .map(|i| {
            let (sin, cos) = (2.0 * std::f64::consts::PI * i as f64 / corners as f64).sin_cos();
            (x + radius * cos, y + radius * sin)
        })
        .collect()
}

/// A broken line cut into dashes of length `on` with gaps of length `off`.
fn dashes(points: &[Point], on: f64, off: f64) -> Vec<Vec<Point>> {
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

#[cfg(test)]
mod tests {
    use super::super::colour::INK;
    use super::*;

    fn ink(shapes: &[Shape]) -> f64 {
        let mut canvas = Canvas::new(Rect::new(0.0, 0.0, 40.0, 40.0), 1.0);
        canvas.draw(shapes);
        canvas.picture().rgba.chunks(4).map(|pixel| pixel[3] as f64 / 255.0).sum()
    }

    fn line(points: &[Point]) -> Shape {
        Shape::Line { points: points.to_vec(), colour: INK, width: 2.0, dash: None }
    }

    #[test]
    fn coverage_is_area() {
        let triangle = vec![(3.3, 2.1), (33.4, 7.9), (12.2, 30.6)];
        let area = ((33.4 - 3.3) * (30.6 - 2.1) - (12.2 - 3.3) * (7.9 - 2.1)) / 2.0;
        let drawn = ink(&[Shape::Polygon { points: triangle, colour: INK }]);
        assert!((drawn / area - 1.0_f64).abs() < 0.01, "{drawn} of {area}");

        let drawn = ink(&[Shape::Disc { centre: (20.0, 20.0), radius: 10.0, colour: INK }]);
        assert!((drawn / (std::f64::consts::PI * 100.0) - 1.0).abs() < 0.02, "{drawn}");

        let drawn = ink(&[line(&[(5.0, 6.0), (29.0, 24.0)])]);
        assert!((drawn / 60.0 - 1.0).abs() < 0.02, "{drawn}");
    }

    #[test]
    fn a_stroke_that_returns_on_itself_is_drawn_once() {
        let there = ink(&[line(&[(5.0, 20.0), (30.0, 20.0)])]);
        let back = ink(&[line(&[(5.0, 20.0), (30.0, 20.0), (5.0, 20.0)])]);
        assert!(back >= there && back < there + 3.0, "{there} {back}");
    }

    #[test]
    fn dashes_keep_their_share() {
        let whole = [(2.0, 10.0), (20.0, 10.0), (20.0, 28.0)];
        let length: f64 = dashes(&whole, 3.0, 1.0)
            .iter()
            .flat_map(|piece| piece.windows(2))
            .map(|pair| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1))
            .sum();
        assert!((length - 27.0).abs() < 1e-9, "{length}");
    }

    #[test]
    fn nothing_is_drawn_outside_the_clip() {
        let rect = Rect::new(10.0, 10.0, 5.0, 5.0);
        let everything =
            Shape::Card { rect: Rect::new(-50.0, -50.0, 200.0, 200.0), radius: 0.0, colour: INK };
        let drawn = ink(&[Shape::Clip { rect, shapes: vec![everything] }]);
        assert!((drawn - 25.0).abs() < 1e-6, "{drawn}");
    }
}
