//! Many paths at once.

use candle_core::Tensor;

use super::colour::Colour;
use super::data::{Values, check_drawable, check_finite};
use super::figure::Figure;
use super::line::{dots, shade, stroke};
use super::mark::{Axes, Brush, Entry, Extent, Fit, Mark, Sign};
use super::shape::{Point, Shape};
use crate::{Error, Result};

/// More paths than this are a blur that takes long to draw: this many, evenly spread over the
/// batch, are drawn instead.
const MOST: usize = 400;

/// Paths over time: `times` holds `steps` numbers, `paths` is `[steps, batch]`.
///
/// Where the times descend (reverse time) the axis descends too, so that a process always runs
/// from left to right. A NaN breaks its path. Of more than 400 paths 400 are drawn, evenly spread
/// over the batch.
///
/// # Errors
/// `paths` of another shape, empty, infinite or without a number; times that are not finite.
///
/// ```
/// use scorebook::plot;
/// use scorebook::prelude::*;
///
/// let times = [1.0, 0.5, 0.0];
/// let paths = Tensor::new(&[[0.3f32, -1.], [0.5, -0.8], [1., -1.]], &Device::Cpu)?;
/// let figure = plot::trajectories(times, &paths)?
///     .overlay(plot::mean_band("mean ± std", times, &paths)?)?
///     .x_label("t");
/// assert!(figure.svg()?.contains("mean ± std"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn trajectories(times: impl Values, paths: &Tensor) -> Result<Figure> {
    let (times, values, batch) = read(&times, paths)?;
    let paths = (0..batch)
        .step_by(batch.div_ceil(MOST))
        .map(|path| {
            times.iter().enumerate().map(|(step, &t)| (t, values[step * batch + path])).collect()
        })
        .collect();
    Ok(Figure::of(Paths { descends: descends(&times), paths, in_plane: false }))
}

/// The mean of the paths at each time, with a band of one standard deviation on both sides; the
/// arguments are those of [`trajectories`], over which it is laid with [`Figure::overlay`].
///
/// # Errors
/// As [`trajectories`]; and a NaN, of which there is no mean.
///
/// ```
/// use scorebook::plot;
/// use scorebook::prelude::*;
///
/// let paths = Tensor::new(&[[0f32, 0.], [1., -1.]], &Device::Cpu)?;
/// let figure = plot::mean_band("x̄ ± s", [0., 1.], &paths)?;
/// assert!(figure.svg()?.contains("polygon"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn mean_band(name: &str, times: impl Values, paths: &Tensor) -> Result<Figure> {
    let (times, values, batch) = read(&times, paths)?;
    check_finite("paths", "", &values)?;
    let (mean, std) = values.chunks(batch).map(moments).unzip();
    Ok(Figure::of(MeanBand { name: name.to_owned(), times, mean, std }))
}

/// Paths in the plane, `[steps, batch, 2]`: the first coordinate to the right, the second up, a
/// dot where each path ends.
///
/// A NaN breaks its path. Of more than 400 paths 400 are drawn, evenly spread over the batch.
///
/// # Errors
/// `paths` of another shape, empty, infinite or without a number.
///
/// ```
/// use scorebook::plot;
/// use scorebook::prelude::*;
///
/// let paths = Tensor::new(&[[[1f32, 0.]], [[0., 1.]], [[-1., 0.]]], &Device::Cpu)?;
/// let figure = plot::phase_plane(&paths)?.x_label("x₁").y_label("x₂");
/// assert_eq!(figure.svg()?.matches("<circle").count(), 1);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn phase_plane(paths: &Tensor) -> Result<Figure> {
    let &[steps, batch, 2] = paths.dims() else {
        return Err(Error::shape("paths", paths.dims(), "[steps, batch, 2]"));
    };
    let values = paths.values()?;
    check_drawable("paths", "", &values)?;
    let paths = (0..batch)
        .step_by(batch.div_ceil(MOST))
        .map(|path| {
            let at = |step: usize| 2 * (step * batch + path);
            (0..steps).map(|step| (values[at(step)], values[at(step) + 1])).collect()
        })
        .collect();
    Ok(Figure::of(Paths { descends: false, paths, in_plane: true }).equal_axes())
}

/// The times, the values in the order of the tensor, and the number of paths.
fn read(times: &impl Values, paths: &Tensor) -> Result<(Vec<f64>, Vec<f64>, usize)> {
    let times = times.values()?;
    check_finite("times", "", &times)?;
    let &[steps, batch] = paths.dims() else {
        let expected = format!("[steps, batch] with {} steps", times.len());
        return Err(Error::shape("paths", paths.dims(), expected));
    };
    if steps != times.len() {
        let expected = format!("[{}, batch], one step a time", times.len());
        return Err(Error::shape("paths", paths.dims(), expected));
    }
    let values = paths.values()?;
    check_drawable("paths", "", &values)?;
    Ok((times, values, batch))
}

fn descends(times: &[f64]) -> bool {
    times.first() > times.last()
}

/// Mean and standard deviation (of the population) of the values at one time.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

#[derive(Debug)]
struct Paths {
    descends: bool,
    paths: Vec<Vec<Point>>,
    /// Whether time is not an axis.
    in_plane: bool,
}

impl Paths {
    /// A few paths have a colour each, many share one and let each other through.
    fn few(&self) -> bool {
        self.paths.len() <= 7
    }

    fn colour(&self, brush: &Brush, index: usize) -> Colour {
        if self.few() {
            brush.colour(index).with_opacity(0.9)
        } else {
            let opacity = (3.5 / (self.paths.len() as f64).sqrt()).clamp(0.15, 0.6);
            brush.colour(0).with_opacity(opacity)
        }
    }
}

impl Mark for Paths {
    fn extent(&self) -> Extent {
        Extent::of(self.paths.iter().flatten().copied())
    }

    fn fit(&self) -> Fit {
        if self.in_plane { Fit::Loose } else { Fit::Spanning }
    }

    fn colours(&self) -> usize {
        if self.few() { self.paths.len() } else { 1 }
    }

    fn draw(&self, axes: &Axes, brush: &Brush) -> Vec<Shape> {
        let mut shapes = Vec::new();
        for (index, path) in self.paths.iter().enumerate() {
            let width = if self.few() { 1.3 } else { 0.9 };
            shapes.extend(stroke(axes, path, self.colour(brush, index), width, None));
        }
        if self.in_plane {
            let ends = self
                .paths
                .iter()
                .filter_map(|path| path.iter().copied().rfind(|(x, y)| !x.is_nan() && !y.is_nan()));
            shapes.extend(dots(axes, ends, 2.0, brush.neutral()));
        }
        shapes
    }

    fn legend(&self, _: &Brush) -> Vec<Entry> {
        Vec::new()
    }

    fn descends(&self) -> bool {
        self.descends
    }
}

#[derive(Debug)]
struct MeanBand {
    name: String,
    times: Vec<f64>,
    mean: Vec<f64>,
    std: Vec<f64>,
}

impl MeanBand {
    /// The mean plus `deviations` standard deviations.
    fn shifted(&self, deviations: f64) -> Vec<f64> {
        self.mean.iter().zip(&self.std).map(|(mean, std)| mean + deviations * std).collect()
    }
}

impl Mark for MeanBand {
    fn extent(&self) -> Extent {
        let (low, high) = (self.shifted(-1.0), self.shifted(1.0));
        let times = self.times.iter().chain(&self.times).copied();
        Extent::of(times.zip(low.into_iter().chain(high)))
    }

    fn fit(&self) -> Fit {
        Fit::Spanning
    }

    fn colours(&self) -> usize {
        1
    }

    fn draw(&self, axes: &Axes, brush: &Brush) -> Vec<Shape> {
        let colour = brush.colour(0);
        let (low, high) = (self.shifted(-1.0), self.shifted(1.0));
        let mean: Vec<_> = self.times.iter().copied().zip(self.mean.iter().copied()).collect();
        let mut shapes = shade(axes, &self.times, &low, &high, colour.with_opacity(0.25));
        shapes.extend(stroke(axes, &mean, colour, 2.2, None));
        shapes
    }

    fn legend(&self, brush: &Brush) -> Vec<Entry> {
        let sign = Sign::Line { dash: None, marker: false };
        vec![Entry { name: self.name.clone(), sign, colour: brush.colour(0) }]
    }

    fn descends(&self) -> bool {
        descends(&self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_a_few_numbers() {
        assert_eq!(moments(&[1.0, 3.0, 5.0, 7.0]), (4.0, 5.0_f64.sqrt()));
    }
}
