//! The reverse SDE of a mixture in the fused loop.

use super::ReverseSde;
use crate::{
    Result,
    diffusion::NoisingProcess,
    score::{FusedMixture, MixtureScore},
    sde::{FusedSde, Lanes},
};

/// The coefficients of a [`ReverseSde`] at one time, where the score is the exact one of a mixture.
#[derive(Clone, Debug)]
pub struct FusedReverse<const D: usize> {
    rate: f32,
    /// By which the drift takes the score.
    pull: f32,
    dispersion: f32,
    score: FusedMixture<D>,
}

/// With the exact score of a mixture all is plain functions, so the fused loop runs it.
///
/// ```
/// use scorebook::{prelude::*, path::time_grid, random::Generator, reverse::ReverseSde, sde::FusedEulerMaruyama};
///
/// let (process, data) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let reverse = ReverseSde { process, score: MixtureScore::new(data, process), noise: 1.0 };
/// let mut generator = Generator::new(7);
/// let noise = process.prior_sample(&[10_000, 2], &mut generator, &Device::Cpu)?;
/// let times = time_grid(1.0, 1e-3, 500)?;
/// let paths = FusedEulerMaruyama::default().solve::<2>(&reverse, &noise, &times, &mut generator)?;
/// let radius = paths.end().sqr()?.sum(1)?.sqrt()?.mean_all()?.to_scalar::<f32>()?;
/// assert!((radius - 2.0).abs() < 0.05);
/// # Ok::<(), scorebook::Error>(())
/// ```
impl<P: NoisingProcess, const D: usize> FusedSde<D> for ReverseSde<P, MixtureScore> {
    type Now = FusedReverse<D>;

    fn now(&self, t: f64) -> Result<FusedReverse<D>> {
        Ok(FusedReverse {
            rate: self.process.rate(t) as f32,
            pull: self.pull(t) as f32,
            dispersion: (self.noise * self.process.dispersion(t)) as f32,
            score: self.score.fused(t)?,
        })
    }

    #[inline(always)]
    fn drift(&self, x: [Lanes; D], now: &FusedReverse<D>) -> [Lanes; D] {
        let mut drift = now.score.score(x);
        for i in 0..D {
            drift[i] = drift[i].mul_add(now.pull, x[i] * now.rate);
        }
        drift
    }

    #[inline(always)]
    fn noise(&self, _x: [Lanes; D], mut dw: [Lanes; D], now: &FusedReverse<D>) -> [Lanes; D] {
        for dw in &mut dw {
            *dw = *dw * now.dispersion;
        }
        dw
    }
}
