//! Samplers: from noise to data along the reverse SDE or the probability flow.
//!
//! Each is a small struct of settings with two methods: `sample` starts from the prior, `sample_from` from
//! given noise. They run on any process and any score, so each can be checked with an exact one.

mod descent;
mod predictor_corrector;
mod probability_flow;
mod reverse_euler_maruyama;

pub use descent::Sample;
pub use predictor_corrector::PredictorCorrector;
pub use probability_flow::ProbabilityFlow;
pub use reverse_euler_maruyama::ReverseEulerMaruyama;
