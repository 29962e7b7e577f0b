//! What the solver returns.

use super::{Grid, GridDensity};
use std::fmt;

/// A density that has moved.
///
/// ```
/// use scorebook::{prelude::*, fokker_planck::{Evolution, FokkerPlanck, Grid, GridDensity}};
///
/// let brownian = Ito::new(|x, _t| x * 0.0, |_t| 1.0);
/// let start = GridDensity::dirac(&Grid::line((-8.0, 8.0), 81)?, &[0.0])?;
/// let solver = FokkerPlanck { record: Some(1), ..Default::default() };
/// let evolution: Evolution = solver.solve(&brownian, &start, &[0.0, 0.25, 0.5, 1.0])?;
/// assert_eq!((&evolution.times[..], evolution.densities.len()), (&[0.0, 0.25, 0.5, 1.0][..], 4));
/// // The variance is the time.
/// assert!((evolution.at(0.3).covariance()[0][0] - 0.25).abs() < 1e-6);
/// assert!((evolution.last().covariance()[0][0] - 1.0).abs() < 1e-6);
/// println!("{}", evolution.report);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Evolution {
    /// The times of `densities`.
    pub times: Vec<f64>,
    /// The densities at `times`: the start and those that were asked for, or the last alone.
    pub densities: Vec<GridDensity>,
    /// How it went.
    pub report: Report,
}

impl Evolution {
    /// The density at the last time.
    pub fn last(&self) -> &GridDensity {
        &self.densities[self.densities.len() - 1]
    }

    /// The density at the recorded time that is nearest to `t`.
    ///
    /// With its score, [`Density::score`](crate::distribution::Density::score), the grid itself can drive a reverse SDE.
    pub fn at(&self, t: f64) -> &GridDensity {
        let distance = |i: &usize| (self.times[*i] - t).abs();
        let nearest = (0..self.times.len()).min_by(|i, j| distance(i).total_cmp(&distance(j)));
        &self.densities[nearest.unwrap_or(0)]
    }
}

/// How the march of a density went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The steps that were taken.
    pub steps: usize,
    /// The least value of a density on the way: not negative, unless the equation ran against its time.
    pub least: f64,
    /// The most by which rounding moved the mass in one step. [`solve`](super::FokkerPlanck::solve) puts it back.
    pub mass_error: f64,
    /// The power of ten by which the least errors may have grown: 0, unless the equation ran against its time.
    pub error_growth: f64,
    /// What the reader should know before using the result.
    pub warnings: Vec<String>,
    /// Whether an interrupt ended the march early.
    pub interrupted: bool,
}

/// One line for the numbers, one for each warning.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, least, mass_error, .. } = self;
        write!(f, "{steps} steps, least density {least:.3e}, mass kept to {mass_error:.1e}")?;
        if self.interrupted {
            write!(f, ", interrupted")?;
        }
        self.warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}

/// `u(x, t) = E[φ(X_T) | X_t = x]` on a grid.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The grid.
    pub grid: Grid,
    /// The times of `values`, downward from `T`.
    pub times: Vec<f64>,
    /// `u` in the middles of the cells, at `times`: `φ` and those that were asked for, or the last alone.
    pub values: Vec<Vec<f64>>,
    /// Whether an interrupt ended the march early.
    pub interrupted: bool,
}

impl Expectation {
    /// `u` at the last time that was reached, which is the first of the evolution.
    pub fn last(&self) -> &[f64] {
        &self.values[self.values.len() - 1]
    }
}
