//! What a figure is before it is SVG or pixels: a list of plain shapes, in pixels of the figure,
//! the origin at the top left.

use std::sync::Arc;

use super::colour::Colour;

pub(super) type Point = (f64, f64);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Rect {
    pub(super) fn new(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self { x, y, width, height }
    }

    pub(super) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.height
    }

    /// The rectangle whose sides lie `margin` further out.
    pub(super) fn grown(&self, margin: f64) -> Self {
        Self::new(
            self.x - margin,
            self.y - margin,
            self.width + 2.0 * margin,
            self.height + 2.0 * margin,
        )
    }

    pub(super) fn contains(&self, (x, y): Point) -> bool {
        x >= self.x && x <= self.right() && y >= self.y && y <= self.bottom()
    }
}

/// Pixels, row after row from the top, four bytes each (opacity last, channels not premultiplied).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgba: Vec<u8>,
}

/// Which point of a text lies at its position.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A stroke with round joins; `dash` is the length of a dash and of a gap.
    Line {
        points: Vec<Point>,
        colour: Colour,
        width: f64,
        dash: Option<(f64, f64)>,
    },
    Polygon {
        points: Vec<Point>,
        colour: Colour,
    },
    Disc {
        centre: Point,
        radius: f64,
        colour: Colour,
    },
    /// A box with rounded corners.
    Card {
        rect: Rect,
        radius: f64,
        colour: Colour,
    },
    /// One line of text on a base line through `at`; `rising` is turned to read from below.
    Text {
        text: String,
        at: Point,
        size: f64,
        anchor: Anchor,
        colour: Colour,
        rising: bool,
    },
    /// A picture stretched over `rect`, its pixels kept sharp.
    Image {
        picture: Arc<Picture>,
        rect: Rect,
    },
    /// Shapes of which only what lies in `rect` is seen.
    Clip {
        rect: Rect,
        shapes: Vec<Shape>,
    },
}

impl Shape {
    /// How many numbers pairs it takes to write the shape down: what makes an SVG heavy.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Line { points, .. } | Self::Polygon { points, .. } => 4 + points.len(),
            Self::Clip { shapes, .. } => shapes.iter().map(Self::weight).sum(),
            Self::Disc { .. } | Self::Card { .. } | Self::Text { .. } | Self::Image { .. } => 5,
        }
    }
}

/// The parts of a broken line that lie in `rect` (Liang and Barsky, 1984, segment by segment).
pub(super) fn clip_line(points: &[Point], rect: &Rect) -> Vec<Vec<Point>> {
    let mut parts: Vec<Vec<Point>> = Vec::new();
    for pair in points.windows(2) {
        let Some((from, to)) = clip_segment(pair[0], pair[1], rect) else { continue };
        match parts.last_mut() {
            Some(part) if part.last() == Some(&from) => part.push(to),
            _ => parts.push(vec![from, to]),
        }
    }
    parts
}

fn clip_segment(from: Point, to: Point, rect: &Rect) -> Option<(Point, Point)> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (mut enter, mut leave) = (0.0_f64, 1.0_f64);
    for (p, q) in [
        (-dx, from.0 - rect.x),
        (dx, rect.right() - from.0),
        (-dy, from.1 - rect.y),
        (dy, rect.bottom() - from.1),
    ] {
        if p == 0.0 {
            if q < 0.0 {
                return None;
            }
        } else if p < 0.0 {
            enter = enter.max(q / p);
        } else {
            leave = leave.min(q / p);
        }
    }
    let at = |s: f64| (from.0 + s * dx, from.1 + s * dy);
    // The unclipped ends are returned as they are, so that the pieces of a line join exactly.
    (enter <= leave).then(|| {
        (if enter == 0.0 { from } else { at(enter) }, if leave == 1.0 { to } else { at(leave) })
    })
}

/// The part of a polygon that lies in `rect` (Sutherland and Hodgman, 1974).
pub(super) fn clip_polygon(points: &[Point], rect: &Rect) -> Vec<Point> {
    // Positive inside, and linear in the point, for each side.
    let sides: [&dyn Fn(Point) -> f64; 4] =
        [&|(x, _)| x - rect.x, &|(x, _)| rect.right() - x, &|(_, y)| y - rect.y, &|(_, y)| {
            rect.bottom() - y
        }];
    let mut kept = points.to_vec();
    for inside in sides {
        let mut next = Vec::with_capacity(kept.len() + 4);
        for (i, &to) in kept.iter().enumerate() {
            let from = kept[(i + kept.len() - 1) % kept.len()];
            let (a, b) = (inside(from), inside(to));
            if (a < 0.0) != (b < 0.0) {
                let s = a / (a - b);
                next.push((from.0 + s * (to.0 - from.0), from.1 + s * (to.1 - from.1)));
            }
            if b >= 0.0 {
                next.push(to);
            }
        }
        kept = next;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Rect = Rect { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };

    #[test]
    fn a_line_is_cut_where_it_leaves() {
        let parts = clip_line(&[(-1.0, 0.5), (0.5, 0.5), (0.5, 3.0), (2.0, 3.0)], &UNIT);
        assert_eq!(parts, vec![vec![(0.0, 0.5), (0.5, 0.5), (0.5, 1.0)]]);
        assert!(clip_line(&[(-1.0, 2.0), (2.0, 2.0)], &UNIT).is_empty());
        let twice = clip_line(&[(-1.0, 0.2), (2.0, 0.2), (2.0, 0.8), (-1.0, 0.8)], &UNIT);
        assert_eq!(twice.len(), 2);
    }

    #[test]
    fn a_polygon_is_cut_to_its_common_area() {
        let diamond = [(0.5, -0.5), (1.5, 0.5), (0.5, 1.5), (-0.5, 0.5)];
        let cut = clip_polygon(&diamond, &UNIT);
        let area: f64 = (0..cut.len())
            .map(|i| {
                let ((x, y), (u, v)) = (cut[i], cut[(i + 1) % cut.len()]);
                (x * v - u * y) / 2.0
            })
            .sum();
        assert!((area.abs() - 1.0).abs() < 1e-12, "{area}");
        assert!(clip_polygon(&[(2.0, 2.0), (3.0, 2.0), (3.0, 3.0)], &UNIT).is_empty());
    }
}
