//! Laws that stand still.

use super::{
    Grid, GridDensity,
    elimination::Elimination,
    rates::{Coefficients, Rates},
};
use crate::{Error, Result, sde::Sde};

/// The stationary law of an SDE on a grid: `0 = -∇·(f p) + ½ ∇∇:(G p)` with drift and dispersion as they are at time `t`.
///
/// It is the null vector of the generator, found by elimination without a subtraction, so that every cell, the rarest too,
/// is right to rounding. In one dimension between walls the flux is zero everywhere, and
/// `p(x) ∝ G(x)⁻¹ exp ∫ 2f/G dx`; where `f/G` is linear, as for the Ornstein-Uhlenbeck process, the values in the middles of
/// the cells are exactly the closed form's, up to one normalising factor. Otherwise the law is second order in the
/// width of the cells.
///
/// It is always the law *between the walls*: Brownian motion, which has no stationary law on the line, has a uniform one here.
///
/// ```
/// use scorebook::{prelude::*, fokker_planck::{Grid, GridDensity, stationary}};
///
/// // dx = -x dt + √2 dw keeps N(0, 1).
/// let sde = Ito::new(|x, _t| x * -1.0, |_t| 2f64.sqrt());
/// let grid = Grid::line((-8.0, 8.0), 200)?;
/// let law = stationary(&sde, &grid, 0.0)?;
/// let exact = GridDensity::from_density(&grid, &Gaussian::standard(1))?;
/// assert!(law.l1_distance(&exact)? < 1e-10);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As [`FokkerPlanck::solve`](super::FokkerPlanck::solve), and if a part of the grid cannot be left, so that there is not one
/// stationary law: for a drift without noise, say.
pub fn stationary(sde: &dyn Sde, grid: &Grid, t: f64) -> Result<GridDensity> {
    let coefficients = Coefficients::of(sde, &grid.middles()?, t, 1.0)?;
    let rates = Rates::new(grid, &coefficients)?;
    match Elimination::new(grid, &rates, 0.0, 1.0)?.null_vector() {
        Some(masses) => Ok(GridDensity::of_masses(grid, masses)),
        None => Err(Error::argument(
            "sde",
            "an SDE that leaves a part of the grid closed",
            "noise that connects all cells, so that there is one stationary law",
        )),
    }
}
