//! The correctors of predictor-corrector sampling.

use super::Way;
use crate::{Result, diffusion::same_time, random::Generator};
use candle_core::{DType, Device, Tensor};

/// What keeps a state at its level of noise in [`PredictorCorrector`](super::PredictorCorrector): Langevin dynamics
/// `x ← x + ε s(x, t) + √(2ε) z` with one of two rules for the length `ε` of a step, given the signal-to-noise ratio
/// `r`.
///
/// `α` is `α_i = 1 - β_i` of a chain that loses signal, and 1 of one that does not: `e^(2 a(t) Δt)` for a step of
/// length `Δt` of any process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Corrector {
    /// `ε = 2α (r ‖z‖/‖s‖)²` (Song et al. 2021, algorithms 4 and 5). The norms are means over the batch, as in the
    /// paper's experiments: a step size that depended on the single state would change the law that Langevin dynamics
    /// keeps.
    #[default]
    Langevin,
    /// `ε = 2α (r σ(t))²`, as in [`AnnealedLangevinDynamics`](super::AnnealedLangevinDynamics).
    AnnealedLangevin,
}

impl Corrector {
    /// One step at time `t`, after a step of the length `dt`.
    pub(super) fn step(
        self,
        way: &Way,
        snr: f64,
        x: &Tensor,
        t: f64,
        dt: f64,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let score = way.score.score(x, &same_time(t, x)?)?.detach();
        let z = generator.normal_like(x)?;
        let size = match self {
            Self::Langevin => mean_norm(&z)? / mean_norm(&score)?,
            Self::AnnealedLangevin => way.process.std(t),
        };
        let alpha = (2.0 * way.process.rate(t) * dt).exp();
        let step = 2.0 * alpha * (snr * size).powi(2);
        Ok(((x + (score * step)?)? + (z * (2.0 * step).sqrt())?)?)
    }
}

/// The mean over the batch of the samples' Euclidean norms.
fn mean_norm(x: &Tensor) -> Result<f64> {
    let norms = x.flatten_from(1)?.sqr()?.sum(1)?.sqrt()?;
    Ok(norms.mean_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar()?)
}
