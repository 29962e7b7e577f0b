//! The SDE that runs a noising process backwards.

use crate::{
    Result,
    diffusion::NoisingProcess,
    score::{FusedMixture, MixtureScore, Score},
    sde::{Dispersion, FusedSde, Lanes, Sde},
};
use candle_core::Tensor;

/// The reverse-time SDE of a noising process, with a free level of noise `λ`:
/// `dx = [a(t) x - ½ (1 + λ²) g²(t) ∇log p_t(x)] dt + λ g(t) dw̄`, run from `T` down to 0.
///
/// Every `λ` gives the marginals `p_t`. `λ = 1` is Anderson's SDE, whose joint laws are those of the forward
/// process too; `λ = 0` is the probability flow, an ODE (Song et al. 2021, equations 6 and 13). Note 002 writes
/// the flow without its ½ and note 001 with the sign of the score turned: both lose the variance.
///
/// ```
/// use scorebook::{
///     prelude::*, diffusion::OrnsteinUhlenbeck, sample::ReverseSde, score::ScoreFunction, sde::Sde,
/// };
///
/// // The stationary law N(0, 1) has the score -x: its probability flow stands still.
/// let score = ScoreFunction::new(|x, _t| Ok(x.neg()?));
/// let flow = ReverseSde { process: OrnsteinUhlenbeck::default(), score, noise: 0.0 };
/// let x = Tensor::new(&[[1f64, -2.0]], &Device::Cpu)?;
/// assert!(flow.drift(&x, 1.0)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReverseSde<P, S> {
    /// The process that is reversed.
    pub process: P,
    /// The score of its marginals.
    pub score: S,
    /// The level of noise `λ ≥ 0`: 1 for Anderson's SDE, 0 for the probability flow.
    pub noise: f64,
}

impl<P: NoisingProcess, S> ReverseSde<P, S> {
    /// `-½ (1 + λ²) g²(t)`, by which the drift takes the score.
    fn pull(&self, t: f64) -> f64 {
        -0.5 * (1.0 + self.noise.powi(2)) * self.process.dispersion(t).powi(2)
    }
}

impl<P: NoisingProcess, S: Score> Sde for ReverseSde<P, S> {
    fn drift(&self, x: &Tensor, t: f64) -> Result<Tensor> {
        let score = self.score.score(x, &same_time(t, x)?)?;
        Ok(((x * self.process.rate(t))? + (score * self.pull(t))?)?)
    }

    fn dispersion(&self, _x: &Tensor, t: f64) -> Result<Dispersion> {
        Ok(Dispersion::Scalar(self.noise * self.process.dispersion(t)))
    }
}

/// The coefficients of a [`ReverseSde`] with the score of a mixture at one time.
#[derive(Clone, Debug)]
pub struct ReverseMixture<const D: usize> {
    rate: f32,
    pull: f32,
    dispersion: f32,
    score: FusedMixture<D>,
}

/// With the exact score of a mixture every number is plain, so the fused loop runs it:
///
/// ```
/// use scorebook::{prelude::*, path::time_grid, random::Generator, sample::ReverseSde, sde::FusedEulerMaruyama};
///
/// let (process, data) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let score = MixtureScore::new(data, process);
/// let reverse = ReverseSde { process, score, noise: 1.0 };
/// let mut generator = Generator::new(7);
/// let noise = process.prior_sample(&[10_000, 2], &mut generator, &Device::Cpu)?;
/// let times = time_grid(1.0, 1e-3, 500)?;
/// let paths = FusedEulerMaruyama::default().solve(&reverse, &noise, &times, &mut generator)?;
/// let radius = paths.end().sqr()?.sum(1)?.sqrt()?.mean_all()?.to_scalar::<f32>()?;
/// assert!((radius - 2.0).abs() < 0.05);
/// # Ok::<(), scorebook::Error>(())
/// ```
impl<P: NoisingProcess, const D: usize> FusedSde<D> for ReverseSde<P, MixtureScore> {
    type Now = ReverseMixture<D>;

    fn now(&self, t: f64) -> Result<ReverseMixture<D>> {
        Ok(ReverseMixture {
            rate: self.process.rate(t) as f32,
            pull: self.pull(t) as f32,
            dispersion: (self.noise * self.process.dispersion(t)) as f32,
            score: self.score.fused(t)?,
        })
    }

    #[inline(always)]
    fn drift(&self, x: [Lanes; D], now: &ReverseMixture<D>) -> [Lanes; D] {
        let mut drift = now.score.score(x);
        for i in 0..D {
            drift[i] = drift[i].mul_add(now.pull, x[i] * now.rate);
        }
        drift
    }

    #[inline(always)]
    fn noise(&self, _x: [Lanes; D], mut dw: [Lanes; D], now: &ReverseMixture<D>) -> [Lanes; D] {
        for dw in &mut dw {
            *dw = *dw * now.dispersion;
        }
        dw
    }
}

/// One time for the whole batch, `[batch]`, as a [`Score`] takes it.
pub(super) fn same_time(t: f64, x: &Tensor) -> Result<Tensor> {
    Ok((Tensor::ones(x.dim(0)?, x.dtype(), x.device())? * t)?)
}
