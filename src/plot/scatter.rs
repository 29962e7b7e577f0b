//! Samples in the plane.

use super::data::{Points, check_finite, check_some, checked_points};
use super::figure::Figure;
use super::line::dots;
use super::mark::{Axes, Brush, Entry, Extent, Mark, Sign};
use super::shape::{Point, Shape};
use crate::Result;

/// Points, one colour for each named series: samples of a two-dimensional distribution.
///
/// Many points become smaller and more transparent, so that density shows as darkness; from about
/// two thousand on, an SVG holds them as a picture and stays small.
///
/// # Errors
/// No series, an empty one, a coordinate that is not finite, or a tensor that is not `[n, 2]`.
///
/// ```
/// use scorebook::plot;
///
/// let ring: Vec<_> = (0..300).map(|i| i as f64 * 0.1).map(|a| (a.cos(), a.sin())).collect();
/// let figure = plot::scatter(&[("ring", &ring)])?.equal_axes();
/// assert_eq!(figure.svg()?.matches("<circle").count(), 300 + 1); // and one in the legend
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn scatter<S: AsRef<str>, P: Points>(series: &[(S, P)]) -> Result<Figure> {
    check_some("series", series)?;
    let series = series
        .iter()
        .map(|(name, points)| {
            let name = name.as_ref();
            Ok((name.to_owned(), checked_points(name, points, check_finite)?))
        })
        .collect::<Result<_>>()?;
    Ok(Figure::of(Scatter { series }))
}

#[derive(Debug)]
struct Scatter {
    series: Vec<(String, Vec<Point>)>,
}

impl Mark for Scatter {
    fn extent(&self) -> Extent {
        Extent::of(self.series.iter().flat_map(|(_, points)| points.iter().copied()))
    }

    fn colours(&self) -> usize {
        self.series.len()
    }

    fn draw(&self, axes: &Axes, brush: &Brush) -> Vec<Shape> {
        let count: usize = self.series.iter().map(|(_, points)| points.len()).sum();
        let radius = (4.0 / (1.0 + count as f64 / 200.0).powf(0.25)).clamp(1.1, 3.5);
        // Light dots would cover a heat map that dark ones only dot.
        let radius = if brush.on_map { 0.6 * radius } else { radius };
        let opacity = (30.0 / (count as f64).sqrt()).clamp(0.25, 0.8);
        self.series
            .iter()
            .enumerate()
            .flat_map(|(index, (_, points))| {
                let colour = brush.colour(index).with_opacity(opacity);
                dots(axes, points.iter().copied(), radius, colour)
            })
            .collect()
    }

    fn legend(&self, brush: &Brush) -> Vec<Entry> {
        self.series
            .iter()
            .enumerate()
            .map(|(index, (name, _))| Entry {
                name: name.clone(),
                sign: Sign::Dot,
                colour: brush.colour(index),
            })
            .collect()
    }
}
