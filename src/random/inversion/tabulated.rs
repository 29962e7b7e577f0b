//! Densities given as tables.

use super::{Inversion, check_weights};
use crate::{Error, Result};

/// A law whose density is piecewise constant or piecewise linear; the table need not be normalised.
///
/// `F` is then piecewise linear or quadratic, and inverted exactly.
///
/// ```
/// use scorebook::random::{Inversion, Tabulated};
///
/// // The triangle on [0, 2]: F(x) = x²/2 up to 1.
/// let law = Tabulated::linear(&[(0.0, 0.0), (1.0, 5.0), (2.0, 0.0)])?;
/// assert_eq!(law.quantile(0.5), 1.0);
/// assert!((law.quantile(0.02) - 0.2).abs() < 1e-15);
/// assert_eq!((law.density(0.5), law.density(-1.0)), (0.5, 0.0));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tabulated {
    cells: Vec<Cell>,
}

/// An interval on which the density is linear.
#[derive(Clone, Copy, Debug)]
struct Cell {
    start: f64,
    width: f64,
    /// The density at the two ends.
    heights: [f64; 2],
    /// `F` at the two ends.
    reached: [f64; 2],
}

impl Tabulated {
    /// The density that is proportional to `heights[k]` between `edges[k]` and `edges[k + 1]`: a histogram's.
    ///
    /// ```
    /// use scorebook::random::{Inversion, Tabulated};
    ///
    /// // Half of the mass on [0, 1], half on [1, 3].
    /// let law = Tabulated::constant(&[0.0, 1.0, 3.0], &[2.0, 1.0])?;
    /// assert_eq!((law.quantile(0.25), law.quantile(0.5), law.quantile(0.75)), (0.5, 1.0, 2.0));
    /// assert_eq!((law.density(0.5), law.density(2.0)), (0.5, 0.25));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the edges do not increase, there is not one more edge than heights, a height is negative or not finite, or
    /// all are 0.
    pub fn constant(edges: &[f64], heights: &[f64]) -> Result<Self> {
        if edges.len() != heights.len() + 1 {
            let expected = format!("[{}], one less than the edges", edges.len().saturating_sub(1));
            return Err(Error::shape("heights", &[heights.len()], expected));
        }
        Self::new("edges", edges, "heights", heights, |k| [heights[k]; 2])
    }

    /// The density that is proportional to the line through the points `(x, height)`, and 0 outside of them.
    ///
    /// # Errors
    /// If there are fewer than two points, the `x` do not increase, a height is negative or not finite, or all are 0.
    pub fn linear(points: &[(f64, f64)]) -> Result<Self> {
        let (nodes, heights): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        Self::new("points", &nodes, "points", &heights, |k| [heights[k], heights[k + 1]])
    }

    fn new(
        of_nodes: &'static str,
        nodes: &[f64],
        of_heights: &'static str,
        heights: &[f64],
        ends: impl Fn(usize) -> [f64; 2],
    ) -> Result<Self> {
        let increasing = nodes.windows(2).all(|pair| pair[0] < pair[1]);
        if nodes.len() < 2 || !increasing || nodes.iter().any(|x| !x.is_finite()) {
            let given = format!("{nodes:?}");
            return Err(Error::argument(of_nodes, given, "at least two increasing numbers"));
        }
        check_weights(of_heights, heights)?;
        let (mut cells, mut masses) = (Vec::new(), Vec::new());
        for (k, pair) in nodes.windows(2).enumerate() {
            let (width, heights) = (pair[1] - pair[0], ends(k));
            masses.push(0.5 * (heights[0] + heights[1]) * width);
            cells.push(Cell { start: pair[0], width, heights, reached: [0.0; 2] });
        }
        // Finite heights may still have an area that is not.
        let total = check_weights(of_heights, &masses)?;
        let mut sum = 0.0;
        for (cell, mass) in cells.iter_mut().zip(&masses) {
            cell.heights = cell.heights.map(|height| height / total);
            cell.reached[0] = sum / total;
            sum += mass;
            cell.reached[1] = sum / total;
        }
        // Rounding may leave it a little below 1.
        let last = masses.iter().rposition(|mass| *mass > 0.0).unwrap_or(0);
        cells[last].reached[1] = 1.0;
        cells[last + 1..].iter_mut().for_each(|cell| cell.reached = [1.0; 2]);
        Ok(Self { cells })
    }

    /// The density, normalised.
    pub fn density(&self, x: f64) -> f64 {
        self.cell_of(x).map_or(0.0, |cell| {
            let [left, right] = cell.heights;
            left + (right - left) * (x - cell.start) / cell.width
        })
    }

    fn cell_of(&self, x: f64) -> Option<&Cell> {
        let started = self.cells.partition_point(|cell| cell.start <= x);
        let cell = self.cells.get(started.checked_sub(1)?)?;
        (x <= cell.start + cell.width).then_some(cell)
    }
}

impl Inversion for Tabulated {
    fn cdf(&self, x: f64) -> f64 {
        let Some(cell) = self.cell_of(x) else {
            return if x > self.cells[0].start { 1.0 } else { 0.0 };
        };
        let (along, [left, right]) = (x - cell.start, cell.heights);
        let mass = along * (left + 0.5 * (right - left) * along / cell.width);
        (cell.reached[0] + mass).min(cell.reached[1])
    }

    fn quantile(&self, u: f64) -> f64 {
        let first = self.cells.partition_point(|cell| cell.reached[1] < u);
        let cell = &self.cells[first.min(self.cells.len() - 1)];
        // left·t + ½ slope·t² = mass, solved without a difference of nearly equal numbers.
        let (mass, [left, right]) = ((u - cell.reached[0]).max(0.0), cell.heights);
        let slope = (right - left) / cell.width;
        let root = (left * left + 2.0 * slope * mass).max(0.0).sqrt();
        let along = if mass > 0.0 { 2.0 * mass / (left + root) } else { 0.0 };
        cell.start + along.min(cell.width)
    }
}
