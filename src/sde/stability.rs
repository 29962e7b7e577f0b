//! Whether explicit steps are too long for the drift.

use super::{Sde, solver::scalar};
use crate::{Error, Result};
use candle_core::Tensor;

/// A look at how a drift contracts along the way that the states went.
///
/// Between two states the drift contracts at the rate `-⟨Δf, Δx⟩/‖Δx‖²`; for `f = -λx` that is `λ`. A step longer
/// than twice its inverse overshoots the point of rest by more than it was away, so each step is longer than the
/// one before: the solution grows without bound where the equation's does not. Two looks in a row that say so are
/// an error.
#[derive(Default)]
pub(super) struct Stability {
    alarmed: bool,
}

impl Stability {
    pub fn look(
        &mut self,
        sde: &dyn Sde,
        x: &Tensor,
        x_next: &Tensor,
        t: f64,
        next: f64,
    ) -> Result<()> {
        let moved = (x_next - x)?;
        let turned = (sde.drift(x_next, t)? - sde.drift(x, t)?)?;
        let rate = -scalar(&(&turned * &moved)?.sum_all()?)? / scalar(&moved.sqr()?.sum_all()?)?;
        let h = next - t;
        // States that overflow are the march's to report.
        let alarm = rate.is_finite() && rate * h > 2.0 * (1.0 + 1e-3);
        if alarm && self.alarmed {
            return Err(Error::argument(
                "times",
                format!("a grid with a step of {h} at t = {t}"),
                format!(
                    "steps well below {:.3e}, twice the inverse of the rate {rate:.3e} at which the drift contracts \
                     there: longer explicit steps grow without bound",
                    2.0 / rate.abs(),
                ),
            ));
        }
        self.alarmed = alarm;
        Ok(())
    }
}
