//! Lines, bands and references.

use super::colour::Colour;
use super::data::{Points, Values, check_drawable, check_finite, check_some, checked_points};
use super::figure::Figure;
use super::mark::{Axes, Brush, Entry, Extent, Mark, Sign};
use super::shape::{Point, Shape, clip_line, clip_polygon};
use crate::{Error, Result};

/// Lines through points, one for each named series; an empty name stays out of the legend.
///
/// A NaN breaks a line, so that a gap in the data is a gap in the figure; a point alone between
/// gaps is drawn as a dot.
///
/// # Errors
/// No series, an empty one, one without a single number, an infinite value, or lists of different
/// lengths.
///
/// ```
/// use scorebook::plot;
///
/// let exact: Vec<_> = (0..=20).map(|i| i as f64 / 20.).map(|t| (t, (-t).exp())).collect();
/// let euler: Vec<_> = (0..=4).map(|k| (k as f64 / 4., 0.75f64.powi(k))).collect();
/// let figure = plot::line(&[("exact", &exact), ("Euler, 4 steps", &euler)])?
///     .title("dx = −x dt")
///     .x_label("t")
///     .y_label("x");
/// assert!(figure.svg()?.contains("Euler, 4 steps"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn line<S: AsRef<str>, P: Points>(series: &[(S, P)]) -> Result<Figure> {
    lines(series, false)
}

/// Dashed lines to compare with: the exact density behind a histogram, the slope of an order.
///
/// They take no colour of the palette. Put them over another figure with [`Figure::overlay`].
///
/// # Errors
/// As [`line`](fn@line).
///
/// ```
/// use scorebook::plot;
///
/// let errors = [(0.1, 0.031), (0.05, 0.022), (0.025, 0.0157)];
/// let slope = [(0.1, 0.02), (0.025, 0.01)];
/// let figure = plot::line(&[("Euler–Maruyama", errors)])?
///     .overlay(plot::reference(&[("slope ½", slope)])?)?
///     .markers()
///     .log_x()?
///     .log_y()?;
/// assert!(figure.svg()?.contains("stroke-dasharray"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn reference<S: AsRef<str>, P: Points>(series: &[(S, P)]) -> Result<Figure> {
    lines(series, true)
}

fn lines<S: AsRef<str>, P: Points>(series: &[(S, P)], dashed: bool) -> Result<Figure> {
    check_some("series", series)?;
    let series = series
        .iter()
        .map(|(name, points)| {
            let name = name.as_ref();
            Ok((name.to_owned(), checked_points(name, points, check_drawable)?))
        })
        .collect::<Result<_>>()?;
    Ok(Figure::of(Lines { series, dashed }))
}

/// The area between `low` and `high` over `x`, shaded: a standard deviation, a confidence interval.
///
/// # Errors
/// Lists that are empty, of different lengths, or not finite.
///
/// ```
/// use scorebook::plot;
///
/// let t: Vec<f64> = (0..=50).map(|i| i as f64 / 50.).collect();
/// let std: Vec<f64> = t.iter().map(|t| t.sqrt()).collect();
/// let below: Vec<f64> = std.iter().map(|s| -s).collect();
/// let figure = plot::band("± √t", &t, &below, &std)?;
/// assert!(figure.svg()?.contains("polygon"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn band(name: &str, x: impl Values, low: impl Values, high: impl Values) -> Result<Figure> {
    let (x, low, high) = (x.values()?, low.values()?, high.values()?);
    for list in [&x, &low, &high] {
        check_finite("band", name, list)?;
    }
    if x.len() != low.len() || x.len() != high.len() {
        let value = format!("{} x with {} low and {} high", x.len(), low.len(), high.len());
        return Err(Error::argument("band", value, "three lists of one length"));
    }
    Ok(Figure::of(Band { name: name.to_owned(), x, low, high }))
}

/// The graph of `f` from `low` to `high`, ready for [`line`](fn@line) or [`reference`](fn@reference): 257 points `(x, f(x))`.
///
/// ```
/// use scorebook::plot;
///
/// let density = plot::curve(-4., 4., |x| (-x * x / 2.).exp() / (2. * std::f64::consts::PI).sqrt());
/// assert_eq!(density.len(), 257);
/// assert_eq!(density[128].0, 0.);
/// ```
pub fn curve(low: f64, high: f64, f: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
    (0..=256)
        .map(|i| {
            let x = low + (high - low) * i as f64 / 256.0;
            (x, f(x))
        })
        .collect()
}

#[derive(Debug)]
struct Lines {
    series: Vec<(String, Vec<Point>)>,
    dashed: bool,
}

impl Lines {
    fn dash(&self, index: usize) -> Option<(f64, f64)> {
        self.dashed.then(|| [(6.0, 3.5), (2.0, 2.5), (11.0, 3.5)][index % 3])
    }

    fn colour(&self, brush: &Brush, index: usize) -> Colour {
        if self.dashed { brush.neutral() } else { brush.colour(index) }
    }
}

impl Mark for Lines {
    fn extent(&self) -> Extent {
        Extent::of(self.series.iter().flat_map(|(_, points)| points.iter().copied()))
    }

    fn colours(&self) -> usize {
        if self.dashed { 0 } else { self.series.len() }
    }

    fn draw(&self, axes: &Axes, brush: &Brush) -> Vec<Shape> {
        let mut shapes = Vec::new();
        for (index, (_, points)) in self.series.iter().enumerate() {
            let colour = self.colour(brush, index);
            let width = if self.dashed { 1.4 } else { 1.8 };
            shapes.extend(stroke(axes, points, colour, width, self.dash(index)));
            if brush.markers && !self.dashed {
                shapes.extend(dots(axes, points.iter().copied(), 3.2, colour));
            }
        }
        shapes
    }

    fn legend(&self, brush: &Brush) -> Vec<Entry> {
        let sign =
            |index| Sign::Line { dash: self.dash(index), marker: brush.markers && !self.dashed };
        self.series
            .iter()
            .enumerate()
            .map(|(index, (name, _))| Entry {
                name: name.clone(),
                sign: sign(index),
                colour: self.colour(brush, index),
            })
            .collect()
    }
}

#[derive(Debug)]
struct Band {
    name: String,
    x: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
}

/// Of a shaded area.
const SHADE: f64 = 0.22;

impl Mark for Band {
    fn extent(&self) -> Extent {
        let points = |y: &'_ [f64]| -> Vec<Point> {
            self.x.iter().copied().zip(y.iter().copied()).collect()
        };
        Extent::of(points(&self.low).into_iter().chain(points(&self.high)))
    }

    fn colours(&self) -> usize {
        1
    }

    fn lies_beneath(&self) -> bool {
        true
    }

    fn draw(&self, axes: &Axes, brush: &Brush) -> Vec<Shape> {
        shade(axes, &self.x, &self.low, &self.high, brush.colour(0).with_opacity(SHADE))
    }

    fn legend(&self, brush: &Brush) -> Vec<Entry> {
        let colour = brush.colour(0).with_opacity(SHADE);
        vec![Entry { name: self.name.clone(), sign: Sign::Patch, colour }]
    }
}

/// The area between two lines over `x`.
pub(super) fn shade(
    axes: &Axes,
    x: &[f64],
    low: &[f64],
    high: &[f64],
    colour: Colour,
) -> Vec<Shape> {
    let above = x.iter().zip(high).map(|(&x, &y)| axes.place((x, y)));
    let below = x.iter().zip(low).rev().map(|(&x, &y)| axes.place((x, y)));
    let outline: Vec<_> =
        above.chain(below).filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let points = clip_polygon(&outline, &axes.area.grown(2.0));
    vec![Shape::Polygon { points, colour }]
}

/// The stroke of a line that breaks at NaN, without the parts and the detail that nobody can see.
pub(super) fn stroke(
    axes: &Axes,
    points: &[Point],
    colour: Colour,
    width: f64,
    dash: Option<(f64, f64)>,
) -> Vec<Shape> {
    let placed: Vec<Point> = points.iter().map(|&point| axes.place(point)).collect();
    let mut shapes = Vec::new();
    for piece in placed.split(|(x, y)| !x.is_finite() || !y.is_finite()) {
        if let [alone] = piece {
            shapes.push(Shape::Disc { centre: *alone, radius: width.max(2.5), colour });
        }
        for part in clip_line(piece, &axes.area.grown(2.0 * width)) {
            let points = thinned(&part);
            shapes.push(Shape::Line { points, colour, width, dash });
        }
    }
    shapes
}

/// Dots where the points lie in the area.
pub(super) fn dots(
    axes: &Axes,
    points: impl Iterator<Item = Point>,
    radius: f64,
    colour: Colour,
) -> Vec<Shape> {
    points
        .map(|point| axes.place(point))
        .filter(|&centre| axes.area.grown(radius).contains(centre))
        .map(|centre| Shape::Disc { centre, radius, colour })
        .collect()
}

/// The line without points closer than a fifth of a pixel to the one before.
fn thinned(points: &[Point]) -> Vec<Point> {
    let mut kept: Vec<Point> = Vec::with_capacity(points.len());
    for (i, &(x, y)) in points.iter().enumerate() {
        let near = kept.last().is_some_and(|last| (x - last.0).hypot(y - last.1) < 0.2);
        if !near || i + 1 == points.len() {
            kept.push((x, y));
        }
    }
    kept
}
