//! The SDE that runs a noising process backwards.

use crate::{
    Result,
    diffusion::{NoisingProcess, same_time},
    random::Generator,
    score::Score,
    sde::{Dispersion, EulerMaruyama, Increment, Sde, Solver},
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
///     prelude::*, diffusion::OrnsteinUhlenbeck, reverse::ReverseSde, score::ScoreFunction, sde::Sde,
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
    pub(super) fn pull(&self, t: f64) -> f64 {
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

impl<P: NoisingProcess, S: Score> ReverseSde<P, S> {
    /// A step of Euler and Maruyama's with fresh noise.
    pub(crate) fn euler_maruyama(
        &self,
        x: &Tensor,
        t: f64,
        next: f64,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let noise = Increment::sample(x, next - t, false, generator)?;
        EulerMaruyama::default().step(self, x, t, next, &noise)
    }
}
