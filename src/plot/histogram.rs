//! Histograms as densities.

use super::data::{Values, check_finite, check_some};
use super::figure::Figure;
use super::line::stroke;
use super::mark::{Axes, Brush, Entry, Extent, Fit, Mark, Sign};
use super::shape::{Point, Shape, clip_polygon};
use crate::{Error, Result};

/// Histograms of named samples over the same `bins`, as densities: the height of a bar is
/// `count / (n · bin width)`, so that its area is the share of the samples in it and an exact
/// density can be laid over with [`reference`](super::reference) and [`Figure::overlay`].
///
/// The bins divide the range of all samples together.
///
/// # Errors
/// No series, an empty one, a value that is not finite, or `bins` outside 1 to 10 000.
///
/// ```
/// use scorebook::plot;
///
/// let samples: Vec<f64> = (0..1000).map(|i| ((i * 7919) % 1000) as f64 / 1000.).collect();
/// let uniform = plot::curve(0., 1., |_| 1.);
/// let figure = plot::histogram(&[("samples", &samples)], 20)?
///     .overlay(plot::reference(&[("U(0, 1)", &uniform)])?)?
///     .x_label("x")
///     .y_label("density");
/// assert!(figure.svg()?.contains("U(0, 1)"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn histogram<S: AsRef<str>, V: Values>(series: &[(S, V)], bins: usize) -> Result<Figure> {
    check_some("series", series)?;
    if !(1..=10_000).contains(&bins) {
        return Err(Error::argument("bins", bins, "1 to 10 000"));
    }
    let samples = series
        .iter()
        .map(|(name, values)| {
            let values = values.values()?;
            check_finite("series", name.as_ref(), &values)?;
            Ok((name.as_ref().to_owned(), values))
        })
        .collect::<Result<Vec<_>>>()?;
    let all = || samples.iter().flat_map(|(_, values)| values.iter().copied());
    let (low, high) =
        (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    // A single value gets a bar of some width.
    let margin = 0.5 * 1e-3_f64.max(1e-3 * low.abs().max(high.abs()));
    let (low, high) = if high - low > 1e-12 * low.abs().max(high.abs()) {
        (low, high)
    } else {
        (low - margin, high + margin)
    };
    let series = samples
        .iter()
        .map(|(name, values)| (name.clone(), densities(values, low, high, bins)))
        .collect();
    Ok(Figure::of(Histogram { low, high, series }))
}

/// The density in each of the equal bins from `low` to `high`; `high` itself falls in the last.
fn densities(values: &[f64], low: f64, high: f64, bins: usize) -> Vec<f64> {
    let width = (high - low) / bins as f64;
    let mut counts = vec![0_usize; bins];
    for value in values {
        counts[(((value - low) / width) as usize).min(bins - 1)] += 1;
    }
    counts.into_iter().map(|count| count as f64 / (values.len() as f64 * width)).collect()
}

#[derive(Debug)]
struct Histogram {
    low: f64,
    high: f64,
    series: Vec<(String, Vec<f64>)>,
}

impl Histogram {
    /// The outline of the bars from the ground to the ground.
    fn outline(&self, densities: &[f64]) -> Vec<Point> {
        let edge = |i: usize| self.low + (self.high - self.low) * i as f64 / densities.len() as f64;
        let tops = densities
            .iter()
            .enumerate()
            .flat_map(|(i, &density)| [(edge(i), density), (edge(i + 1), density)]);
        std::iter::once((self.low, 0.0)).chain(tops).chain([(self.high, 0.0)]).collect()
    }
}

impl Mark for Histogram {
    fn extent(&self) -> Extent {
        let highest = self.series.iter().flat_map(|(_, d)| d.iter().copied()).fold(0.0, f64::max);
        Extent { x: (self.low, self.high), y: (0.0, highest) }
    }

    fn fit(&self) -> Fit {
        Fit::Grounded
    }

    fn colours(&self) -> usize {
        self.series.len()
    }

    fn draw(&self, axes: &Axes, brush: &Brush) -> Vec<Shape> {
        let mut shapes = Vec::new();
        for (index, (_, densities)) in self.series.iter().enumerate() {
            let outline = self.outline(densities);
            let placed: Vec<_> = outline.iter().map(|&point| axes.place(point)).collect();
            let colour = brush.colour(index);
            shapes.push(Shape::Polygon {
                points: clip_polygon(&placed, &axes.area.grown(2.0)),
                colour: colour.with_opacity(0.3),
            });
            shapes.extend(stroke(axes, &outline, colour, 1.2, None));
        }
        shapes
    }

    fn legend(&self, brush: &Brush) -> Vec<Entry> {
        self.series
            .iter()
            .enumerate()
            .map(|(index, (name, _))| Entry {
                name: name.clone(),
                sign: Sign::Patch,
                colour: brush.colour(index).with_opacity(0.6),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_one() {
        let values: Vec<f64> = (0..997).map(|i| (i as f64 * 0.37).sin() * 3.0 + 5.0).collect();
        let densities = densities(&values, 2.0, 8.0, 13);
        let area: f64 = densities.iter().map(|d| d * 6.0 / 13.0).sum();
        assert!((area - 1.0).abs() < 1e-12, "{area}");
    }

    #[test]
    fn the_greatest_value_is_counted() {
        assert_eq!(densities(&[0.0, 0.5, 1.0], 0.0, 1.0, 2), [1.0 / 1.5, 2.0 / 1.5]);
    }
}
