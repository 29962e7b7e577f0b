//! Rößler's method for diagonal and scalar noise.

use super::{Dispersion, Increment, Saving, Sde, Solver, derivative::check_commutes};
use crate::{Error, Result};
use candle_core::{D, Tensor};

/// Rößler's stochastic Runge-Kutta method SRI1 (with the coefficients that he calls SRI1W1), of strong order 1½ for
/// diagonal and for scalar noise and weak order 2.
///
/// Four dispersions and two drifts a step, at
/// `y₂ = x + ¾ f₁ Δt + (3/2) g₁ η`, `z₂ = x + ¼ f₁ Δt + ½ g₁ √Δt`, `z₃ = x + f₁ Δt - g₁ √Δt` and
/// `z₄ = x + ¼ f₁ Δt + (-5 g₁ + 3 g₂ + ½ g₃) √Δt`, with weights of `ΔW`, `I₍₁,₁₎/√Δt`, `η = I₍₁,₀₎/Δt` and
/// `I₍₁,₁,₁₎/Δt`. A diagonal whose numbers depend on other coordinates than their own, and a matrix of several
/// columns, are refused.
///
/// Source: Rößler, *Runge-Kutta methods for the strong approximation of solutions of stochastic differential
/// equations*, SIAM J. Numer. Anal. 48, 2010, section 6.2.
///
/// ```
/// use scorebook::prelude::*;
///
/// let sde = Ito::general(|x, _t| x * 0.5, |x, _t| Ok(Dispersion::Diagonal(x.clone())));
/// let x0 = Tensor::ones((1000, 2), DType::F64, &Device::Cpu)?;
/// let times = time_grid(0.0, 1.0, 16)?;
/// let mut generator = Generator::new(7);
/// let w = BrownianMotion::sample_with_integrals(
///     &times, (1000, 2), DType::F64, &mut generator, &Device::Cpu,
/// )?;
/// let x = Sri1::default().solve_along(&sde, &x0, &w)?.x;
/// let error = (x / w.values.get(16)?.exp()?)?.affine(1.0, -1.0)?.abs()?.mean_all()?;
/// assert!(error.to_scalar::<f64>()? < 0.02);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sri1 {
    /// Keep every so many-th state in [`Solution::trajectory`](super::Solution::trajectory).
    pub record: Option<usize>,
    /// Keep the states at these times, which are added to the grid where it has not got them.
    pub save_at: Vec<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

impl Solver for Sri1 {
    fn name(&self) -> &'static str {
        "SRI1"
    }

    fn strong_order(&self) -> f64 {
        1.5
    }

    fn weak_order(&self) -> f64 {
        2.0
    }

    fn needs_integrals(&self) -> bool {
        true
    }

    fn admit(&self, sde: &dyn Sde, x: &Tensor, t: f64) -> Result<()> {
        match sde.dispersion(x, t)? {
            Dispersion::Matrix(g) if g.dim(D::Minus1)? > 1 => {
                let value = format!("an equation with a dispersion matrix of shape {:?}", g.dims());
                let expected = "diagonal noise or a matrix of one column, as SRI1 needs; \
                                `Milstein` takes commutative matrices, `StochasticHeun` any";
                Err(Error::argument("sde", value, expected))
            }
            _ => check_commutes(sde, x, t),
        }
    }

    fn step(
        &self,
        sde: &dyn Sde,
        x: &Tensor,
        t: f64,
        next: f64,
        noise: &Increment,
    ) -> Result<Tensor> {
        let (dw, h) = (&noise.dw, next - t);
        let (eta, root) = (noise.mean(h)?, h.abs().sqrt());
        let ones = (dw.ones_like()? * root)?;
        let g1 = sde.dispersion(x, t)?;
        let (f1, kick) = ((sde.drift(x, t)? * h)?, g1.apply(&ones)?);

        let y2 = ((x + (&f1 * 0.75)?)? + (g1.apply(&eta)? * 1.5)?)?;
        let f2 = (sde.drift(&y2, t + 0.75 * h)? * h)?;

        let z2 = ((x + (&f1 * 0.25)?)? + (&kick * 0.5)?)?;
        let g2 = sde.dispersion(&z2, t + 0.25 * h)?;
        let z3 = ((x + &f1)? - &kick)?;
        let g3 = sde.dispersion(&z3, next)?;
        let kicks = (((g2.apply(&ones)? * 3.0)? + (g3.apply(&ones)? * 0.5)?)? - (kick * 5.0)?)?;
        let z4 = ((x + (&f1 * 0.25)?)? + kicks)?;
        let g4 = sde.dispersion(&z4, t + 0.25 * h)?;

        let doubled = ((dw.sqr()? - h.abs())? * (0.5 / root))?;
        let tripled = ((dw * (dw.sqr()? - 3.0 * h.abs())?)? / (6.0 * h.abs()))?;
        let weigh = |[a, b, c, d]: [f64; 4]| -> Result<Tensor> {
            let sum = ((dw * a)? + (&doubled * b)?)?;
            Ok(((sum + (&eta * c)?)? + (&tripled * d)?)?)
        };
        const THIRD: f64 = 1.0 / 3.0;
        let mut end = ((x + (f1 * THIRD)?)? + (f2 * (2.0 * THIRD))?)?;
        for (g, weights) in [
            (g1, [-1.0, -1.0, 2.0, -2.0]),
            (g2, [4.0 * THIRD, 4.0 * THIRD, -4.0 * THIRD, 5.0 * THIRD]),
            (g3, [2.0 * THIRD, -THIRD, -2.0 * THIRD, -2.0 * THIRD]),
            (g4, [0.0, 0.0, 0.0, 1.0]),
        ] {
            end = (end + g.apply(&weigh(weights)?)?)?;
        }
        Ok(end)
    }

    fn saving(&self) -> Saving<'_> {
        Saving { record: self.record, save_at: &self.save_at, progress: self.progress }
    }
}
