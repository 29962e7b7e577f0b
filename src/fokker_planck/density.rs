//! Densities on a grid.

use super::Grid;
use crate::{Error, Result, distribution::Density, random::Generator, tensor};
use candle_core::{Device, Tensor};
use rand::Rng;

/// A probability density with one value a cell, in its middle.
///
/// It is a [`Density`] too: between the middles `ln p` is interpolated linearly, and the score is interpolated from
/// differences of `ln p`; both are second order in the width of the cells.
///
/// ```
/// use scorebook::{prelude::*, fokker_planck::{Grid, GridDensity}};
///
/// let grid = Grid::line((-6.0, 6.0), 240)?;
/// let density = GridDensity::from_fn(&grid, |x| (-0.5 * x[0] * x[0]).exp())?;
/// assert!((density.mass() - 1.0).abs() < 1e-12);
/// let x = Tensor::new(&[[1.0], [-2.5]], &Device::Cpu)?;
/// let score = density.score(&x)?.to_vec2::<f64>()?;
/// assert!((score[0][0] + 1.0).abs() < 1e-3 && (score[1][0] - 2.5).abs() < 1e-3);
/// // E x² = 1, and F(1) = Φ(1).
/// assert!((density.expectation(|x| x[0] * x[0]) - 1.0).abs() < 1e-6);
/// assert!((density.cdf()?(1.0) - scorebook::distribution::normal_cdf(1.0)).abs() < 1e-4);
/// let (x, p) = density.points()?[120];
/// assert!((x - 0.025).abs() < 1e-12 && (p - 0.3988).abs() < 1e-4);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GridDensity {
    grid: Grid,
    values: Vec<f64>,
    /// The mass of what this was made from that the grid saw: 1 where it is fine and wide enough.
    seen: f64,
}

impl GridDensity {
    /// The density on the grid, normalised to the mass 1.
    ///
    /// Where the grid is too coarse or too narrow to see all of its mass, the reports of marches that start from it warn.
    ///
    /// # Errors
    /// If the dimensions differ, or the grid sees no mass at all.
    pub fn from_density(grid: &Grid, density: &dyn Density) -> Result<Self> {
        if density.dim() != grid.dim() {
            let expected = format!("of the grid's dimension, {}", grid.dim());
            return Err(Error::argument("density", format!("in {}", density.dim()), expected));
        }
        let values = tensor::values(&density.log_prob(&grid.middles()?)?.exp()?)?;
        Self::normalised(grid, values)
    }

    /// The density proportional to a function, `exp(-2V(x)/σ²)` say.
    ///
    /// # Errors
    /// If the function is negative or not finite in a cell, or 0 in all.
    pub fn from_fn(grid: &Grid, f: impl Fn(&[f64]) -> f64) -> Result<Self> {
        let values = (0..grid.cells()).map(|cell| f(&grid.middle(cell))).collect();
        Ok(Self { seen: 1.0, ..Self::normalised(grid, values)? })
    }

    /// The histogram of particles `[n, dim]`, normalised to the mass 1. Particles outside the walls do not count.
    ///
    /// ```
    /// use scorebook::{prelude::*, fokker_planck::{Grid, GridDensity}};
    ///
    /// let x = Tensor::new(&[[0.2], [0.7], [1.5], [9.0]], &Device::Cpu)?;
    /// let density = GridDensity::from_samples(&Grid::line((0.0, 3.0), 3)?, &x)?;
    /// assert!(density.values().iter().zip([2.0 / 3.0, 1.0 / 3.0, 0.0]).all(|(p, exact)| (p - exact).abs() < 1e-12));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `x` is not `[n, dim]`, a coordinate is not finite, or no particle lies on the grid.
    pub fn from_samples(grid: &Grid, x: &Tensor) -> Result<Self> {
        let points = points(x, grid.dim())?;
        if let Some(x) = points.iter().find(|x| !x.is_finite()) {
            return Err(Error::argument("x", x, "finite coordinates"));
        }
        let mut values = vec![0.0; grid.cells()];
        let share = 1.0 / (points.len() / grid.dim()) as f64 / grid.cell_volume();
        for x in points.chunks(grid.dim()) {
            if let Some(cell) = grid.cell_at(x) {
                values[cell] += share;
            }
        }
        Self::normalised(grid, values)
    }

    /// All mass at one point, shared among the middles around it so that the mean is right.
    ///
    /// # Errors
    /// If the point has not the grid's dimension, or lies outside the walls.
    pub fn dirac(grid: &Grid, x: &[f64]) -> Result<Self> {
        if x.len() != grid.dim() || grid.cell_at(x).is_none() {
            let expected = format!("{} coordinates within the grid", grid.dim());
            return Err(Error::argument("x", format!("{x:?}"), expected));
        }
        let mut masses = vec![0.0; grid.cells()];
        for (cell, weight) in grid.surrounding(x, false) {
            masses[cell] += weight;
        }
        Ok(Self::of_masses(grid, masses))
    }

    fn normalised(grid: &Grid, mut values: Vec<f64>) -> Result<Self> {
        if let Some(cell) = values.iter().position(|p| !(p.is_finite() && *p >= 0.0)) {
            let value = format!("{} at x = {:.4?}", values[cell], grid.middle(cell));
            return Err(Error::argument("density", value, "finite and not negative"));
        }
        let mass = values.iter().sum::<f64>() * grid.cell_volume();
        if !(mass > 0.0 && mass.is_finite()) {
            return Err(Error::argument(
                "density",
                format!("of the mass {mass} in the middles of the cells"),
                "a positive, finite mass: look at the grid's ends, and take cells narrower than the density",
            ));
        }
        values.iter_mut().for_each(|p| *p /= mass);
        Ok(Self { grid: grid.clone(), values, seen: mass })
    }

    pub(super) fn of_masses(grid: &Grid, masses: Vec<f64>) -> Self {
        let volume = grid.cell_volume();
        let values = masses.into_iter().map(|mass| mass / volume).collect();
        Self { grid: grid.clone(), values, seen: 1.0 }
    }

    /// Other masses on the same grid.
    pub(super) fn with_masses(&self, masses: Vec<f64>) -> Self {
        Self { seen: self.seen, ..Self::of_masses(&self.grid, masses) }
    }

    /// The mass of each cell.
    pub(super) fn masses(&self) -> Vec<f64> {
        self.values.iter().map(|p| p * self.grid.cell_volume()).collect()
    }

    /// What the reader should know about it.
    pub(super) fn warnings(&self) -> Vec<String> {
        if (self.seen - 1.0).abs() <= 1e-3 {
            return vec![];
        }
        vec![format!(
            "the grid saw a mass of {:.4} of the density that it began with, and made it 1: it is too narrow, or its \
             cells are too wide",
            self.seen
        )]
    }

    /// The grid.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The values in the middles of the cells, the first coordinate running fastest.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// `∫ p dx`.
    pub fn mass(&self) -> f64 {
        self.expectation(|_| 1.0)
    }

    /// `∫ φ(x) p(x) dx`.
    pub fn expectation(&self, phi: impl Fn(&[f64]) -> f64) -> f64 {
        let terms =
            self.values.iter().enumerate().map(|(cell, p)| p * phi(&self.grid.middle(cell)));
        terms.sum::<f64>() * self.grid.cell_volume()
    }

    /// The mean of each coordinate.
    pub fn mean(&self) -> Vec<f64> {
        (0..self.grid.dim()).map(|i| self.expectation(|x| x[i])).collect()
    }

    /// The covariance matrix, row after row.
    pub fn covariance(&self) -> Vec<Vec<f64>> {
        let (mean, dim) = (self.mean(), self.grid.dim());
        let entry = |i: usize, j: usize| self.expectation(|x| (x[i] - mean[i]) * (x[j] - mean[j]));
        (0..dim).map(|i| (0..dim).map(|j| entry(i, j)).collect()).collect()
    }

    /// `∫ |p - q| dx`, from 0 for equal densities to 2 for such that never meet.
    ///
    /// # Errors
    /// If the two are not on one grid.
    pub fn l1_distance(&self, other: &Self) -> Result<f64> {
        if self.grid != other.grid {
            return Err(Error::argument(
                "other",
                format!("on {:?}", other.grid),
                "on the same grid",
            ));
        }
        let terms = self.values.iter().zip(&other.values).map(|(p, q)| (p - q).abs());
        Ok(terms.sum::<f64>() * self.grid.cell_volume())
    }

    /// The density of one coordinate alone.
    ///
    /// ```
    /// use scorebook::{prelude::*, fokker_planck::{Grid, GridDensity}};
    ///
    /// let plane = Grid::plane((-6.0, 8.0), (-4.0, 4.0), 140, 80)?;
    /// let density = GridDensity::from_density(&plane, &Gaussian::full([1.0, 0.0], &[[1.0, 0.3], [0.3, 0.25]])?)?;
    /// assert_eq!(density.tensor()?.dims(), [80, 140]);
    /// let second = density.marginal(1)?;
    /// assert_eq!(second.tensor()?.dims(), [80]);
    /// assert!(second.mean()[0].abs() < 1e-6 && (second.covariance()[0][0] - 0.25).abs() < 1e-6);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such axis.
    pub fn marginal(&self, axis: usize) -> Result<Self> {
        let grid = self.grid.along(axis)?;
        let mut masses = vec![0.0; grid.cells()];
        for (cell, mass) in self.masses().into_iter().enumerate() {
            masses[self.grid.place(cell)[axis]] += mass;
        }
        Ok(Self { seen: self.seen, ..Self::of_masses(&grid, masses) })
    }

    /// The distribution function `F(x) = ∫₋∞ˣ p dx` on a line, for
    /// [`ks_one_sample`](crate::metrics::ks_one_sample) against particles.
    ///
    /// # Errors
    /// If the grid is not a line.
    pub fn cdf(&self) -> Result<impl Fn(f64) -> f64 + use<>> {
        let (low, high) = self.line()?;
        let mut reached = vec![0.0];
        for mass in self.masses() {
            reached.push(reached[reached.len() - 1] + mass);
        }
        Ok(move |x: f64| {
            let cells = reached.len() - 1;
            let at = ((x - low) / (high - low)).clamp(0.0, 1.0) * cells as f64;
            let cell = (at as usize).min(cells - 1);
            reached[cell] + (at - cell as f64) * (reached[cell + 1] - reached[cell])
        })
    }

    /// The pairs `(x, p(x))` on a line, as [`plot::line`](crate::plot::line) takes them.
    ///
    /// # Errors
    /// If the grid is not a line.
    pub fn points(&self) -> Result<Vec<(f64, f64)>> {
        self.line()?;
        Ok(self.grid.axis(0).into_iter().zip(self.values.iter().copied()).collect())
    }

    /// The values as [`plot::heat_map`](crate::plot::heat_map) takes them, `[rows, columns]`; on a line `[cells]`.
    ///
    /// # Errors
    /// If the tensor cannot be made.
    pub fn tensor(&self) -> Result<Tensor> {
        let [columns, rows] = self.grid.shape();
        let values = Tensor::from_slice(&self.values, self.values.len(), &Device::Cpu)?;
        Ok(if self.grid.dim() == 1 { values } else { values.reshape((rows, columns))? })
    }

    fn line(&self) -> Result<(f64, f64)> {
        if self.grid.dim() == 1 {
            return self.grid.limits(0);
        }
        Err(Error::argument("grid", "a plane", "a line: take a marginal first"))
    }

    /// `ln p` in a cell, as low as numbers go where it is empty.
    fn log_value(&self, cell: usize) -> f64 {
        self.values[cell].max(f64::MIN_POSITIVE).ln()
    }

    /// `∂ ln p` along an axis in the middle of a cell, by differences: central ones, one-sided at a wall.
    fn slope(&self, cell: usize, axis: usize) -> f64 {
        let mut offset = [0, 0];
        offset[axis] = 1;
        let after = self.grid.neighbour(cell, offset);
        offset[axis] = -1;
        let before = self.grid.neighbour(cell, offset);
        let ways = f64::from(u8::from(after.is_some()) + u8::from(before.is_some()));
        let difference =
            self.log_value(after.unwrap_or(cell)) - self.log_value(before.unwrap_or(cell));
        difference / (ways * self.grid.widths()[axis])
    }
}

impl Density for GridDensity {
    fn dim(&self) -> usize {
        self.grid.dim()
    }

    /// `-∞` outside the walls.
    fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        let values: Vec<f64> = points(x, self.dim())?
            .chunks(self.dim())
            .map(|point| {
                if self.grid.cell_at(point).is_none() {
                    return f64::NEG_INFINITY;
                }
                let around = self.grid.surrounding(point, true).into_iter();
                around.map(|(cell, weight)| weight * self.log_value(cell)).sum()
            })
            .collect();
        like(Tensor::from_vec(values, x.dim(0)?, &Device::Cpu)?, x)
    }

    /// Outside the walls, the score at the nearest point of the wall.
    fn score(&self, x: &Tensor) -> Result<Tensor> {
        let dim = self.dim();
        let scores: Vec<f64> = points(x, dim)?
            .chunks(dim)
            .flat_map(|point| {
                let around = self.grid.surrounding(point, true);
                (0..dim).map(move |axis| {
                    around
                        .iter()
                        .map(|(cell, weight)| weight * self.slope(*cell, axis))
                        .sum::<f64>()
                })
            })
            .collect();
        like(Tensor::from_vec(scores, x.shape(), &Device::Cpu)?, x)
    }

    /// Draws a cell by inversion, and a point of it uniformly.
    fn sample(&self, n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor> {
        let mut total = 0.0;
        let reached: Vec<f64> = self.values.iter().map(|p| (total += p, total).1).collect();
        let mut x = Vec::with_capacity(n * self.dim());
        for _ in 0..n {
            let u = generator.random::<f64>() * total;
            let cell = reached.partition_point(|reached| *reached <= u).min(reached.len() - 1);
            for (middle, width) in self.grid.middle(cell).into_iter().zip(self.grid.widths()) {
                x.push((middle + width * (generator.random::<f64>() - 0.5)) as f32);
            }
        }
        Ok(Tensor::from_vec(x, (n, self.dim()), device)?)
    }
}

/// The coordinates of points `[n, dim]`, on the host.
fn points(x: &Tensor, dim: usize) -> Result<Vec<f64>> {
    match x.dims() {
        [n, columns] if *columns == dim && *n > 0 => tensor::values(x),
        dims => Err(Error::shape("x", dims, format!("[n, {dim}] with at least one point"))),
    }
}

fn like(values: Tensor, x: &Tensor) -> Result<Tensor> {
    Ok(values.to_dtype(x.dtype())?.to_device(x.device())?)
}
