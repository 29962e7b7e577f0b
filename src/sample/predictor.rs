//! The predictors of predictor-corrector sampling.

use super::{Way, ancestral, ancestral::AncestralVariance, reverse_diffusion};
use crate::{Result, random::Generator, reverse::ReverseSde, sde::FlowMethod};
use candle_core::Tensor;

/// What moves a state from one time to the next in [`PredictorCorrector`](super::PredictorCorrector).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Predictor {
    /// A step of [`ReverseEulerMaruyama`](super::ReverseEulerMaruyama).
    #[default]
    EulerMaruyama,
    /// A step of [`ReverseDiffusion`](super::ReverseDiffusion), which the paper takes.
    ReverseDiffusion,
    /// A step of [`Ancestral`](super::Ancestral).
    Ancestral(AncestralVariance),
    /// A step of [`ProbabilityFlow`](super::ProbabilityFlow).
    ProbabilityFlow(FlowMethod),
    /// No step: the corrector alone has to follow the law.
    None,
}

impl Predictor {
    pub(super) fn step(
        self,
        way: &Way,
        x: &Tensor,
        t: f64,
        next: f64,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let reverse = |noise| ReverseSde { process: way.process, score: way.score, noise };
        match self {
            Self::EulerMaruyama => reverse(1.0).euler_maruyama(x, t, next, generator),
            Self::ReverseDiffusion => reverse_diffusion::step(way, x, t, next, generator),
            Self::Ancestral(variance) => ancestral::step(way, variance, x, t, next, generator),
            Self::ProbabilityFlow(method) => method.step(&reverse(0.0), x, t, next),
            Self::None => Ok(x.clone()),
        }
    }
}
