//! The noise between two times.

use crate::diffusion::NoisingProcess;

/// The kernel between two times `s < t`: `x(t) | x(s) ~ N(r x(s), v I)` with `r = α(t)/α(s)` and
/// `v = σ²(t) - r² σ²(s)`.
///
/// These are the chains of SMLD (`r = 1`, `v = σ_i² - σ_{i-1}²`) and DDPM (`r = √(1-β_i)`, `v = β_i`), for any
/// process and any two times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transition {
    pub scale: f64,
    pub variance: f64,
    /// `σ(s) √v/σ(t)`, the standard deviation of `x(s)` given `x(t)` and the data (Ho et al. 2020, equation 7).
    pub posterior_std: f64,
}

impl Transition {
    /// From `early` to `late`.
    pub fn between(process: &dyn NoisingProcess, early: f64, late: f64) -> Self {
        let scale = process.mean_scale(late) / process.mean_scale(early);
        let (before, after) = (process.std(early), process.std(late));
        let variance = (after.powi(2) - (scale * before).powi(2)).max(0.0);
        Self { scale, variance, posterior_std: before * variance.sqrt() / after }
    }
}
