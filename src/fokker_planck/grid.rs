//! Grids of cells.

use crate::{Error, Result};
use candle_core::{Device, Tensor};

/// A grid of equal cells over an interval or a rectangle.
///
/// Its walls let nothing through, unless an axis is made [`periodic`](Self::periodic). Cells are counted as
/// [`plot::heat_map`](crate::plot::heat_map) and [`plot::grid`](crate::plot::grid) count them: the first coordinate runs
/// fastest, from its lowest end.
///
/// ```
/// use scorebook::fokker_planck::Grid;
///
/// let grid = Grid::line((0.0, 1.0), 4)?;
/// assert_eq!(grid.axis(0), [0.125, 0.375, 0.625, 0.875]);
/// let plane = Grid::plane((-3.0, 3.0), (-2.0, 2.0), 60, 40)?.periodic(1)?;
/// assert_eq!((plane.dim(), plane.cells()), (2, 2400));
/// assert_eq!((grid.cell_volume(), grid.limits(0)?), (0.25, (0.0, 1.0)));
/// assert_eq!(plane.middles()?.dims(), [2400, 2]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    axes: Vec<Axis>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    low: f64,
    high: f64,
    cells: usize,
    periodic: bool,
}

/// A way from one cell to another, in cells.
pub(super) type Offset = [i32; 2];

impl Grid {
    /// `cells` equal cells between the two ends `x`.
    ///
    /// # Errors
    /// If the ends are not finite and increasing, or there are fewer than 3 cells, or more than 10⁷.
    pub fn line(x: (f64, f64), cells: usize) -> Result<Self> {
        Self::new(vec![Axis::new("x", x, cells)?])
    }

    /// `columns` × `rows` equal cells over the rectangle `x` × `y`.
    ///
    /// # Errors
    /// As [`line`](Self::line), for each axis.
    pub fn plane(x: (f64, f64), y: (f64, f64), columns: usize, rows: usize) -> Result<Self> {
        Self::new(vec![Axis::new("x", x, columns)?, Axis::new("y", y, rows)?])
    }

    fn new(axes: Vec<Axis>) -> Result<Self> {
        let grid = Self { axes };
        if grid.cells() > 10_000_000 {
            return Err(Error::argument("cells", grid.cells(), "at most 10⁷ cells"));
        }
        Ok(grid)
    }

    /// The grid whose coordinate `axis` is an angle: what leaves at one end comes in at the other.
    ///
    /// # Errors
    /// If there is no such axis.
    pub fn periodic(mut self, axis: usize) -> Result<Self> {
        self.check_axis(axis)?;
        self.axes[axis].periodic = true;
        Ok(self)
    }

    /// The dimension of the space, 1 or 2.
    pub fn dim(&self) -> usize {
        self.axes.len()
    }

    /// The number of cells.
    pub fn cells(&self) -> usize {
        self.axes.iter().map(|axis| axis.cells).fold(1, usize::saturating_mul)
    }

    /// The length or the area of a cell.
    pub fn cell_volume(&self) -> f64 {
        self.axes.iter().map(Axis::width).product()
    }

    /// The middles of the cells along an axis; no numbers where there is no such axis.
    pub fn axis(&self, axis: usize) -> Vec<f64> {
        self.axes.get(axis).map_or(vec![], |axis| (0..axis.cells).map(|i| axis.middle(i)).collect())
    }

    /// The ends of an axis, as [`plot::heat_map`](crate::plot::heat_map) takes them.
    ///
    /// # Errors
    /// If there is no such axis.
    pub fn limits(&self, axis: usize) -> Result<(f64, f64)> {
        self.check_axis(axis)?;
        Ok((self.axes[axis].low, self.axes[axis].high))
    }

    /// The middles of the cells, `[cells, dim]` in `f64`: where drift and dispersion are evaluated.
    ///
    /// # Errors
    /// If the tensor cannot be made.
    pub fn middles(&self) -> Result<Tensor> {
        let points: Vec<f64> = (0..self.cells()).flat_map(|cell| self.middle(cell)).collect();
        Ok(Tensor::from_vec(points, (self.cells(), self.dim()), &Device::Cpu)?)
    }

    /// The middle of one cell.
    pub(super) fn middle(&self, cell: usize) -> Vec<f64> {
        let [column, row] = self.place(cell);
        self.axes.iter().zip([column, row]).map(|(axis, i)| axis.middle(i)).collect()
    }

    /// How many cells along each axis; 1 for an axis that is not there.
    pub(super) fn shape(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.axes.get(axis).map_or(1, |axis| axis.cells))
    }

    /// The width of the cells along each axis; 1 for an axis that is not there.
    pub(super) fn widths(&self) -> [f64; 2] {
        [0, 1].map(|axis| self.axes.get(axis).map_or(1.0, Axis::width))
    }

    pub(super) fn is_periodic(&self, axis: usize) -> bool {
        self.axes.get(axis).is_some_and(|axis| axis.periodic)
    }

    /// Column and row of a cell.
    pub(super) fn place(&self, cell: usize) -> [usize; 2] {
        let columns = self.axes[0].cells;
        [cell % columns, cell / columns]
    }

    /// The cell at an offset from another, through periodic ends; none behind a wall.
    pub(super) fn neighbour(&self, cell: usize, offset: Offset) -> Option<usize> {
        let mut place = self.place(cell);
        for (axis, (i, by)) in self.axes.iter().zip(place.iter_mut().zip(offset)) {
            let cells = axis.cells as i64;
            let to = *i as i64 + i64::from(by);
            *i = if axis.periodic {
                to.rem_euclid(cells)
            } else if (0..cells).contains(&to) {
                to
            } else {
                return None;
            } as usize;
        }
        Some(place[0] + place[1] * self.axes[0].cells)
    }

    /// The cell that holds a point; none outside the walls.
    pub(super) fn cell_at(&self, x: &[f64]) -> Option<usize> {
        let mut place = [0; 2];
        for ((axis, x), i) in self.axes.iter().zip(x).zip(&mut place) {
            let share = (axis.wrapped(*x) - axis.low) / (axis.high - axis.low);
            if !(0.0..=1.0).contains(&share) {
                return None;
            }
            *i = ((share * axis.cells as f64) as usize).min(axis.cells - 1);
        }
        Some(place[0] + place[1] * self.axes[0].cells)
    }

    /// The cells whose middles surround a point, with the weights of (bi)linear interpolation, which sum to 1. A point
    /// outside the walls is moved to the nearest one. Between the outermost middles and a wall the weights extrapolate
    /// if `beyond`, and stay at the outermost middle otherwise.
    pub(super) fn surrounding(&self, x: &[f64], beyond: bool) -> Vec<(usize, f64)> {
        let mut corners = vec![([0usize; 2], 1.0)];
        for (k, (axis, x)) in self.axes.iter().zip(x).enumerate() {
            let x = axis.wrapped(*x).clamp(axis.low, axis.high);
            let at = (x - axis.low) / axis.width() - 0.5;
            let (first, second, share) = if axis.periodic {
                let first = at.floor();
                let cell = (first as i64).rem_euclid(axis.cells as i64) as usize;
                (cell, (cell + 1) % axis.cells, at - first)
            } else {
                let first = at.floor().clamp(0.0, (axis.cells - 2) as f64);
                let share = at - first;
                let share = if beyond { share } else { share.clamp(0.0, 1.0) };
                (first as usize, first as usize + 1, share)
            };
            corners = corners
                .into_iter()
                .flat_map(|(place, weight)| {
                    [(first, 1.0 - share), (second, share)].map(|(i, part)| {
                        let mut place = place;
                        place[k] = i;
                        (place, weight * part)
                    })
                })
                .collect();
        }
        let columns = self.axes[0].cells;
        corners.into_iter().map(|(place, weight)| (place[0] + place[1] * columns, weight)).collect()
    }

    /// The grid of one of its axes.
    pub(super) fn along(&self, axis: usize) -> Result<Self> {
        self.check_axis(axis)?;
        Ok(Self { axes: vec![self.axes[axis]] })
    }

    fn check_axis(&self, axis: usize) -> Result<()> {
        if axis < self.dim() {
            return Ok(());
        }
        Err(Error::argument("axis", axis, format!("less than {}", self.dim())))
    }
}

impl Axis {
    fn new(name: &'static str, (low, high): (f64, f64), cells: usize) -> Result<Self> {
        if !(low < high && (high - low).is_finite()) {
            let value = format!("({low}, {high})");
            return Err(Error::argument(name, value, "(low, high), finite and increasing"));
        }
        if cells < 3 {
            return Err(Error::argument("cells", cells, "at least 3 along each axis"));
        }
        Ok(Self { low, high, cells, periodic: false })
    }

    fn width(&self) -> f64 {
        (self.high - self.low) / self.cells as f64
    }

    /// The middle of cell `i`; a symmetric axis has symmetric middles.
    fn middle(&self, i: usize) -> f64 {
        let share = (i as f64 + 0.5) / self.cells as f64;
        let rest = ((self.cells - i) as f64 - 0.5) / self.cells as f64;
        rest * self.low + share * self.high
    }

    fn wrapped(&self, x: f64) -> f64 {
        if self.periodic { self.low + (x - self.low).rem_euclid(self.high - self.low) } else { x }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_stop_at_walls_and_go_round_circles() {
        let grid = Grid::plane((0.0, 4.0), (0.0, 3.0), 4, 3).unwrap().periodic(0).unwrap();
        assert_eq!(grid.neighbour(3, [1, 0]), Some(0));
        assert_eq!(grid.neighbour(0, [-1, 1]), Some(7));
        assert_eq!(grid.neighbour(0, [0, -1]), None);
        assert_eq!(grid.cell_at(&[-0.5, 2.5]), Some(11));
        assert_eq!(grid.cell_at(&[0.5, 3.5]), None);
        assert_eq!(grid.cell_at(&[f64::NAN, 0.5]), None);
    }

    #[test]
    fn interpolation_is_exact_on_linear_functions() {
        let grid = Grid::plane((0.0, 4.0), (-1.0, 3.0), 4, 8).unwrap();
        for point in [[0.7, 1.1], [2.0, 2.9], [0.1, -0.95]] {
            let value: f64 = grid
                .surrounding(&point, true)
                .into_iter()
                .map(|(cell, weight)| {
                    let middle = grid.middle(cell);
                    weight * (2.0 * middle[0] - 3.0 * middle[1])
                })
                .sum();
            assert!((value - (2.0 * point[0] - 3.0 * point[1])).abs() < 1e-12);
        }
        let circle = Grid::line((0.0, 1.0), 4).unwrap().periodic(0).unwrap();
        assert_eq!(circle.surrounding(&[1.0], false), [(3, 0.5), (0, 0.5)]);
    }

    #[test]
    fn bad_grids_are_errors() {
        let message = |grid: Result<Grid>| grid.unwrap_err().to_string();
        let error = message(Grid::line((1.0, -1.0), 10));
        assert_eq!(error, "`x` is (1, -1); expected (low, high), finite and increasing");
        let error = message(Grid::plane((0.0, 1.0), (0.0, f64::NAN), 10, 10));
        assert_eq!(error, "`y` is (0, NaN); expected (low, high), finite and increasing");
        let error = message(Grid::line((0.0, 1.0), 2));
        assert_eq!(error, "`cells` is 2; expected at least 3 along each axis");
        assert!(Grid::plane((0.0, 1.0), (0.0, 1.0), 10_000, 10_000).is_err());
        let error = message(Grid::line((0.0, 1.0), 5).unwrap().periodic(1));
        assert_eq!(error, "`axis` is 1; expected less than 1");
    }
}
