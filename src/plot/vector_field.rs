//! Arrows on a grid.

use super::axis::brief;
use super::data::{Points, check_finite, check_some, checked_points};
use super::figure::Figure;
use super::mark::{Axes, Brush, Entry, Extent, Mark, Sign};
use super::shape::{Point, Shape, clip_line};
use super::side_by_side::side_by_side;
use crate::{Error, Result};

/// The share of the arrows that are drawn to scale; the longest twentieth is cut to the length of
/// the rest, or one large vector would shrink all others to dots.
const TO_SCALE: f64 = 0.95;

/// Vector fields at the same `points`, side by side and to the same scale: a learned score beside
/// the exact one.
///
/// `points` is `[n, 2]` (see [`grid`](super::grid)), each field `[n, 2]`. Lengths are proportional
/// to the vectors up to the 95th percentile of all fields together, which the legend states, and
/// cut there; that length spans the distance between neighbouring points. An unnamed single field
/// makes a figure that can be laid over a [`heat_map`](super::heat_map).
///
/// # Errors
/// No field or no points, a field whose number of vectors differs from that of the points, a
/// coordinate that is not finite, or a tensor that is not `[n, 2]`.
///
/// ```
/// use scorebook::plot;
/// use scorebook::prelude::*;
///
/// let points = plot::grid((-2., 2.), (-2., 2.), 12, 12, &Device::Cpu)?;
/// let exact = points.neg()?; // the score of a standard Gaussian
/// let learned = (&exact * 0.9)?;
/// let figure = plot::vector_field(&points, &[("exact", &exact), ("learned", &learned)])?;
/// assert!(figure.svg()?.contains("learned"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn vector_field<S: AsRef<str>, V: Points>(
    points: impl Points,
    fields: &[(S, V)],
) -> Result<Figure> {
    check_some("fields", fields)?;
    let points = checked_points("points", &points, check_finite)?;
    let fields = fields
        .iter()
        .map(|(name, vectors)| {
            let name = name.as_ref();
            let vectors = checked_points(name, vectors, check_finite)?;
            if vectors.len() != points.len() {
                let value = format!("{} vectors of “{name}”", vectors.len());
                let expected = format!("{}, one a point", points.len());
                return Err(Error::argument("fields", value, expected));
            }
            Ok((name.to_owned(), vectors))
        })
        .collect::<Result<Vec<_>>>()?;
    let longest = percentile(&fields);
    let spacing = spacing(&points);
    let mut panels: Vec<_> = fields
        .into_iter()
        .map(|(name, vectors)| {
            let field = VectorField { points: points.clone(), vectors, longest, spacing };
            Figure::of(field).equal_axes().title(name)
        })
        .collect();
    if panels.len() == 1 { Ok(panels.remove(0)) } else { side_by_side(&panels) }
}

/// The length of which [`TO_SCALE`] of all vectors are no longer.
fn percentile(fields: &[(String, Vec<Point>)]) -> f64 {
    let mut lengths: Vec<f64> =
        fields.iter().flat_map(|(_, vectors)| vectors.iter().map(|v| v.0.hypot(v.1))).collect();
    lengths.sort_by(f64::total_cmp);
    let length = lengths[((lengths.len() - 1) as f64 * TO_SCALE).ceil() as usize];
    // Where nearly all vectors vanish the longest sets the scale.
    if length > 0.0 { length } else { lengths[lengths.len() - 1] }
}

/// The distance between neighbours if the points fill their rectangle evenly.
fn spacing(points: &[Point]) -> f64 {
    let extent = Extent::of(points.iter().copied());
    let (width, height) = (extent.x.1 - extent.x.0, extent.y.1 - extent.y.0);
    let side = (points.len() as f64).sqrt().max(2.0) - 1.0;
    if width > 0.0 && height > 0.0 {
        (width * height).sqrt() / side
    } else {
        let length = width.max(height) / (points.len().max(2) - 1) as f64;
        if length > 0.0 { length } else { 1.0 }
    }
}

#[derive(Debug)]
struct VectorField {
    points: Vec<Point>,
    vectors: Vec<Point>,
    /// The length of vector that is drawn as long as `spacing`.
    longest: f64,
    /// In the units of the points.
    spacing: f64,
}

impl Mark for VectorField {
    fn extent(&self) -> Extent {
        // Room for the arrows that start at the border.
        let half = self.spacing / 2.0;
        let extent = Extent::of(self.points.iter().copied());
        let grown = |(low, high): (f64, f64)| (low - half, high + half);
        Extent { x: grown(extent.x), y: grown(extent.y) }
    }

    fn colours(&self) -> usize {
        0
    }

    fn draw(&self, axes: &Axes, brush: &Brush) -> Vec<Shape> {
        let colour = brush.neutral().with_opacity(0.85);
        let (from, to) = (axes.place((0.0, 0.0)), axes.place((self.spacing, self.spacing)));
        let unit = (to.0 - from.0).abs().min((to.1 - from.1).abs());
        let mut shapes = Vec::new();
        for (&point, &(u, v)) in self.points.iter().zip(&self.vectors) {
            let middle = axes.place(point);
            let length = u.hypot(v);
            if length == 0.0 || self.longest == 0.0 {
                shapes.push(Shape::Disc { centre: middle, radius: 0.8, colour });
                continue;
            }
            let drawn = (length / self.longest).min(1.0) * unit * 0.95;
            let (du, dv) = (u / length * drawn, -v / length * drawn);
            let tail = (middle.0 - du / 2.0, middle.1 - dv / 2.0);
            let tip = (middle.0 + du / 2.0, middle.1 + dv / 2.0);
            for part in clip_line(&[tail, tip], &axes.area.grown(4.0)) {
                shapes.extend(arrow(part[0], part[1], colour, 1.1));
            }
        }
        shapes
    }

    fn legend(&self, brush: &Brush) -> Vec<Entry> {
        vec![Entry {
            name: format!("length {} or more", brief(self.longest)),
            sign: Sign::Arrow,
            colour: brush.neutral(),
        }]
    }
}

/// An arrow whose head shrinks with its length.
pub(super) fn arrow(
    tail: Point,
    tip: Point,
    colour: super::colour::Colour,
    width: f64,
) -> Vec<Shape> {
    let (dx, dy) = (tip.0 - tail.0, tip.1 - tail.1);
    let length = dx.hypot(dy);
    if length == 0.0 {
        return Vec::new();
    }
    let head = (0.4 * length).min(6.0);
    let (ux, uy) = (dx / length, dy / length);
    let neck = (tip.0 - head * ux, tip.1 - head * uy);
    let half = 0.42 * head;
    vec![
        Shape::Line { points: vec![tail, neck], colour, width, dash: None },
        Shape::Polygon {
            points: vec![
                tip,
                (neck.0 - half * uy, neck.1 + half * ux),
                (neck.0 + half * uy, neck.1 - half * ux),
            ],
            colour,
        },
    ]
}
