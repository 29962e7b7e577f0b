//! Samplers: from noise to data along the reverse SDE or the probability flow.
//!
//! Each is a small struct of settings, and a [`Sampler`]: `sample` starts from the prior, `sample_from` from given
//! noise; those without noise of their own go both ways, `encode` and `decode`. They run on any process and any score, so
//! each can be checked with an exact one, and take any [`Spacing`] of times.
//!
//! | the sampler | follows | order in the step |
//! |---|---|---|
//! | [`ReverseEulerMaruyama`] | the reverse SDE, of any level of noise | 1 |
//! | [`ReverseDiffusion`] | the reverse SDE, discretised like the chain | 1 |
//! | [`Ancestral`] | the chain backward: DDPM's and SMLD's sampler | 1 |
//! | [`PredictorCorrector`] | any of them, with Langevin steps at each time | that of the predictor |
//! | [`AnnealedLangevinDynamics`] | Langevin dynamics alone, under ever less noise | |
//! | [`ProbabilityFlow`] | the flow, by Euler, Heun, Runge-Kutta | 1, 2, 4 |
//! | [`AdaptiveFlow`] | the flow, by RK45 within tolerances | 5 |
//! | [`Ddim`] | the flow (`η = 0`) to the ancestral sampler (`η = 1`) | 1 |
//! | [`DpmSolver`] | the flow or the reverse SDE, their linear part exactly | 2 |
//! | [`ExponentialIntegrator`] | the flow, its linear part exactly | 2; 1 with `order: 0` |
//! | [`EdmSampler`] | the flow by Heun's method, with noise renewed on the way | 2 |
//!
//! Orders are those of the law in the end; [`GaussianResponse`] measures them without drawing a sample.
//!
//! In the book: [07-can-time-run-backward], [10-score-matching], [11-samplers], [12-likelihood], [14-generation].
//!
//! [07-can-time-run-backward]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/07-can-time-run-backward.ipynb
//! [10-score-matching]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/10-score-matching.ipynb
//! [11-samplers]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/11-samplers.ipynb
//! [12-likelihood]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/12-likelihood.ipynb
//! [14-generation]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/14-generation.ipynb

mod adaptive_flow;
mod ancestral;
mod annealed_langevin;
mod corrector;
mod ddim;
mod descent;
mod dpm_solver;
mod edm;
mod exponential_integrator;
mod gaussian_response;
mod interpolation;
mod predictor;
mod predictor_corrector;
mod probability_flow;
mod reverse_diffusion;
mod reverse_euler_maruyama;
mod sampler;
mod spacing;
mod transition;

pub use adaptive_flow::AdaptiveFlow;
pub use ancestral::{Ancestral, AncestralVariance};
pub use annealed_langevin::AnnealedLangevinDynamics;
pub use corrector::Corrector;
pub use ddim::Ddim;
pub use descent::{Descent, Way};
pub use dpm_solver::DpmSolver;
pub use edm::EdmSampler;
pub use exponential_integrator::ExponentialIntegrator;
pub use gaussian_response::GaussianResponse;
pub use interpolation::{interpolate, spherical};
pub use predictor::Predictor;
pub use predictor_corrector::PredictorCorrector;
pub use probability_flow::ProbabilityFlow;
pub use reverse_diffusion::ReverseDiffusion;
pub use reverse_euler_maruyama::ReverseEulerMaruyama;
pub use sampler::{Sample, Sampler};
pub use spacing::Spacing;
pub(crate) use transition::Transition;
