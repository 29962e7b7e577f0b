//! Densities and signed fields on a grid.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::axis::Axis;
use super::colour::ColourMap;
use super::data::{Values, check_finite};
use super::figure::Figure;
use super::mark::{Axes, Brush, ColourBar, Entry, Extent, Fit, Mark};
use super::shape::{Picture, Rect, Shape};
use crate::{Error, Result};

/// The values of a density (or of anything that has a low and a high end) on a grid, as colours
/// from dark violet to pale yellow with a bar that explains them.
///
/// `values` is `[rows, columns]`, one value a cell: row 0 is the lowest `y`, column 0 the lowest
/// `x`. `x` and `y` are the outer limits of the grid; [`grid`] gives the middles of its cells.
/// What is laid over it with [`Figure::overlay`] is drawn within these limits.
///
/// # Errors
/// `values` that is not two-dimensional, is empty or not finite; limits that are not finite or not
/// in order.
///
/// ```
/// use scorebook::plot;
/// use scorebook::prelude::*;
///
/// let points = plot::grid((-3., 3.), (-2., 2.), 60, 40, &Device::Cpu)?;
/// let density = (points.sqr()?.sum(D::Minus1)? * -0.5)?.exp()?.reshape((40, 60))?;
/// let figure = plot::heat_map((-3., 3.), (-2., 2.), &density)?.x_label("x₁").y_label("x₂");
/// assert!(figure.svg()?.contains("image/png"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn heat_map(x: (f64, f64), y: (f64, f64), values: &Tensor) -> Result<Figure> {
    Ok(Figure::of(HeatMap::new(x, y, values, ColourMap::Sequential)?))
}

/// A signed field on a grid: blue below zero, white at zero, red above, both ends equally far
/// from zero. The arguments are those of [`heat_map`].
///
/// # Errors
/// As [`heat_map`].
///
/// ```
/// use scorebook::plot;
/// use scorebook::prelude::*;
///
/// let error = Tensor::new(&[[-0.2f32, 0.1], [0.0, 0.3]], &Device::Cpu)?;
/// let figure = plot::signed_map((0., 1.), (0., 1.), &error)?.title("learned − exact");
/// assert!(figure.png()?.starts_with(b"\x89PNG"));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn signed_map(x: (f64, f64), y: (f64, f64), values: &Tensor) -> Result<Figure> {
    Ok(Figure::of(HeatMap::new(x, y, values, ColourMap::Diverging)?))
}

/// The middles of the cells of a grid over `x` and `y`, `[rows · columns, 2]` in `f32`, row after
/// row from the lowest `y`: where to evaluate what [`heat_map`] and
/// [`vector_field`](super::vector_field) draw.
///
/// # Errors
/// Limits that are not finite or not in order; no cells, or more than 10⁸.
///
/// ```
/// use scorebook::plot;
/// use scorebook::prelude::*;
///
/// let points = plot::grid((0., 1.), (0., 4.), 2, 1, &Device::Cpu)?;
/// assert_eq!(points.to_vec2::<f32>()?, [[0.25, 2.], [0.75, 2.]]);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn grid(
    x: (f64, f64),
    y: (f64, f64),
    columns: usize,
    rows: usize,
    device: &Device,
) -> Result<Tensor> {
    check_limits("x", x)?;
    check_limits("y", y)?;
    let cells = columns.saturating_mul(rows);
    if !(1..=100_000_000).contains(&cells) {
        let value = format!("{columns} × {rows} cells");
        return Err(Error::argument("columns × rows", value, "1 to 10⁸ cells"));
    }
    let middle = |(low, high): (f64, f64), i: usize, n: usize| {
        (low + (high - low) * (i as f64 + 0.5) / n as f64) as f32
    };
    let points: Vec<f32> = (0..rows)
        .flat_map(|row| {
            (0..columns).flat_map(move |column| [middle(x, column, columns), middle(y, row, rows)])
        })
        .collect();
    Ok(Tensor::from_vec(points, (cells, 2), device)?)
}

/// Two finite numbers in order.
pub(super) fn check_limits(name: &'static str, (low, high): (f64, f64)) -> Result<()> {
    if low < high && low >= -1e300 && high <= 1e300 {
        return Ok(());
    }
    Err(Error::argument(name, format!("({low}, {high})"), "(low, high), finite and low < high"))
}

#[derive(Debug)]
struct HeatMap {
    x: (f64, f64),
    y: (f64, f64),
    picture: Arc<Picture>,
    bar: ColourBar,
}

impl HeatMap {
    fn new(x: (f64, f64), y: (f64, f64), values: &Tensor, map: ColourMap) -> Result<Self> {
        check_limits("x", x)?;
        check_limits("y", y)?;
        let &[height, width] = values.dims() else {
            return Err(Error::shape("values", values.dims(), "[rows, columns]"));
        };
        let values = values.values()?;
        check_finite("values", "", &values)?;
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let axis = match map {
            ColourMap::Sequential => Axis::around(low, high, false, (0.0, 0.0)),
            ColourMap::Diverging => {
                let size = low.abs().max(high.abs());
                Axis::around(-size, size, false, (0.0, 0.0))
            }
        };
        // Pictures start at the top, grids at the bottom.
        let rgba = values
            .chunks(width)
            .rev()
            .flatten()
            .flat_map(|&value| {
                let [r, g, b] = map.colour(axis.position(value)).bytes();
                [r, g, b, 255]
            })
            .collect();
        let picture = Arc::new(Picture { width, height, rgba });
        Ok(Self { x, y, picture, bar: ColourBar { map, axis } })
    }
}

impl Mark for HeatMap {
    fn extent(&self) -> Extent {
        Extent { x: self.x, y: self.y }
    }

    fn fit(&self) -> Fit {
        Fit::Tight
    }

    fn colours(&self) -> usize {
        0
    }

    fn draw(&self, axes: &Axes, _: &Brush) -> Vec<Shape> {
        let (left, bottom) = axes.place((self.x.0, self.y.0));
        let (right, top) = axes.place((self.x.1, self.y.1));
        let rect = Rect::new(left, top, right - left, bottom - top);
        vec![Shape::Image { picture: self.picture.clone(), rect }]
    }

    fn legend(&self, _: &Brush) -> Vec<Entry> {
        Vec::new()
    }

    fn colour_bar(&self) -> Option<ColourBar> {
        Some(self.bar)
    }

    fn lies_beneath(&self) -> bool {
        true
    }

    fn fills(&self) -> bool {
        // White lies in the middle of the diverging map, so marks over it must be dark.
        self.bar.map == ColourMap::Sequential
    }
}
