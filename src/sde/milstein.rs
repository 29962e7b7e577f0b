//! Milstein's method.

use super::{Dispersion, Increment, Saving, Sde, Solver, derivative::check_commutes};
use crate::Result;
use candle_core::{D, Tensor};

/// Milstein's method, for commutative noise:
/// `x ← x + f Δt + Σ_j g_j ΔW_j + ½ Σ_jk (g_j·∇) g_k (ΔW_j ΔW_k - δ_jk |Δt|)` over the columns `g_j` of `g`.
///
/// The derivatives are differences between the dispersion at supporting values `x + f Δt + g_j √|Δt|` and at `x`,
/// so any function will do (Kloeden and Platen 1992, sections 10.3 and 11.1). Strong order 1, weak order 1. One
/// dispersion more a step for a diagonal, one more a column for a matrix, none where it is a number (and the method
/// that of Euler and Maruyama).
///
/// Where the noise does not commute, `(g_j·∇) g_k ≠ (g_k·∇) g_j`, order 1 needs Lévy's areas, which increments
/// do not tell: such an equation is refused, by name of the columns. A diagonal commutes where each of its
/// numbers depends on its own coordinate alone.
///
/// ```
/// use scorebook::prelude::*;
///
/// // Geometric Brownian motion, once around.
/// let sde = Ito::general(|x, _t| x * 0.05, |x, _t| Ok(Dispersion::Diagonal((x * 0.2)?)));
/// let x0 = Tensor::ones((64, 1), DType::F64, &Device::Cpu)?;
/// let times = time_grid(0.0, 1.0, 50)?;
/// let solution = Milstein::default().solve(&sde, &x0, &times, &mut Generator::new(7))?;
/// assert_eq!(solution.cost.dispersion_evaluations, 100);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Milstein {
    /// Keep every so many-th state in [`Solution::trajectory`](super::Solution::trajectory).
    pub record: Option<usize>,
    /// Keep the states at these times, which are added to the grid where it has not got them.
    pub save_at: Vec<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

impl Solver for Milstein {
    fn name(&self) -> &'static str {
        "Milstein"
    }

    fn strong_order(&self) -> f64 {
        1.0
    }

    fn weak_order(&self) -> f64 {
        1.0
    }

    fn admit(&self, sde: &dyn Sde, x: &Tensor, t: f64) -> Result<()> {
        check_commutes(sde, x, t)
    }

    fn step(
        &self,
        sde: &dyn Sde,
        x: &Tensor,
        t: f64,
        next: f64,
        noise: &Increment,
    ) -> Result<Tensor> {
        let (g, dw, h) = (sde.dispersion(x, t)?, &noise.dw, next - t);
        let root = h.abs().sqrt();
        let drifted = (x + (sde.drift(x, t)? * h)?)?;
        let mut end = (&drifted + g.apply(dw)?)?;
        match &g {
            Dispersion::Scalar(_) => {}
            Dispersion::Diagonal(diagonal) => {
                let weights = ((dw.sqr()? - h.abs())? * (0.5 / root))?;
                let support = drifted.broadcast_add(&(diagonal * root)?)?;
                let beyond = sde.dispersion(&support, t)?.apply(&weights)?;
                end = (end + (beyond - g.apply(&weights)?)?)?;
            }
            Dispersion::Matrix(_) => {
                let columns = g.columns(x)?;
                let lengths = (Tensor::eye(columns.len(), x.dtype(), x.device())? * h.abs())?;
                for (j, column) in columns.iter().enumerate() {
                    // `½ (ΔW_j ΔW_k - δ_jk |h|)/√|h|` for all k.
                    let products = dw.broadcast_mul(&dw.narrow(D::Minus1, j, 1)?)?;
                    let products = products.broadcast_sub(&lengths.narrow(0, j, 1)?)?;
                    let weights = (products * (0.5 / root))?;
                    let support = (&drifted + (column * root)?)?;
                    let beyond = sde.dispersion(&support, t)?.apply(&weights)?;
                    end = (end + (beyond - g.apply(&weights)?)?)?;
                }
            }
        }
        Ok(end)
    }

    fn saving(&self) -> Saving<'_> {
        Saving { record: self.record, save_at: &self.save_at, progress: self.progress }
    }
}
