//! The stochastic Heun method.

use super::{Increment, Saving, Sde, Solver};
use crate::Result;
use candle_core::Tensor;

/// The stochastic Heun method: the mean of the slopes, noise included, at the start and at Euler's end,
/// `x ← x + ½ (f̲ + f̲') Δt + ½ (g + g') ΔW`.
///
/// Such a mean converges to Stratonovich's integral (Rümelin, SIAM J. Numer. Anal. 19, 1982; Kloeden and Platen
/// 1992, section 11.1), so `f̲` is the [drift in that form](Sde::stratonovich_drift): of an Itô equation `f - ½ Σ
/// (g_j·∇) g_j`, of a [`Stratonovich`](super::Stratonovich) one its own. Either way the solution is that of the
/// equation. Any noise; strong order 1 where the noise commutes, ½ otherwise; weak order 1; order 2 where there is
/// none.
///
/// ```
/// use scorebook::prelude::*;
///
/// // dx = x ∘ dw has the solution exp(w).
/// let sde = Stratonovich(Ito::general(|x, _t| x.zeros_like(), |x, _t| Ok(Dispersion::Diagonal(x.clone()))));
/// let times = time_grid(0.0, 1.0, 100)?;
/// let mut generator = Generator::new(7);
/// let w = BrownianMotion::sample(&times, (100, 1), DType::F64, &mut generator, &Device::Cpu)?;
/// let x0 = Tensor::ones((100, 1), DType::F64, &Device::Cpu)?;
/// let x = StochasticHeun::default().solve_along(&sde, &x0, &w)?.x;
/// let error = (x / w.values.get(100)?.exp()?)?.affine(1.0, -1.0)?.abs()?.mean_all()?;
/// assert!(error.to_scalar::<f64>()? < 0.01);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct StochasticHeun {
    /// Keep every so many-th state in [`Solution::trajectory`](super::Solution::trajectory).
    pub record: Option<usize>,
    /// Keep the states at these times, which are added to the grid where it has not got them.
    pub save_at: Vec<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

impl Solver for StochasticHeun {
    fn name(&self) -> &'static str {
        "stochastic Heun"
    }

    fn strong_order(&self) -> f64 {
        1.0
    }

    fn weak_order(&self) -> f64 {
        1.0
    }

    fn step(
        &self,
        sde: &dyn Sde,
        x: &Tensor,
        t: f64,
        next: f64,
        noise: &Increment,
    ) -> Result<Tensor> {
        let h = next - t;
        let slope = |x: &Tensor, t: f64| -> Result<Tensor> {
            let drift = sde.stratonovich_drift(x, t)?;
            // Downward in time the mean adds its noise-induced drift on the other side: `f + ½ Σ (g_j·∇) g_j`.
            let drift = if h > 0.0 { drift } else { ((sde.drift(x, t)? * 2.0)? - drift)? };
            let drift = (drift * h)?;
            Ok((drift + sde.dispersion(x, t)?.apply(&noise.dw)?)?)
        };
        let first = slope(x, t)?;
        let second = slope(&(x + &first)?, next)?;
        Ok((x + ((first + second)? * 0.5)?)?)
    }

    fn saving(&self) -> Saving<'_> {
        Saving { record: self.record, save_at: &self.save_at, progress: self.progress }
    }
}
