//! Inverse problems: what was `x`, if a measurement of it gave `y = A(x) + σ_y n`?
//!
//! Bayes' rule is a sum of scores (note 003, "Inverse problems"):
//! `∇ log p_t(x|y) = ∇ log p_t(x) + ∇ log p_t(y|x)`. The first term is any [`Score`](crate::score::Score), the second a
//! [`Guidance`]; their sum, [`PosteriorScore`], is a score again, and every sampler runs on it. The note says that both
//! terms can be found. For `t > 0` the second is `log ∫ p(y|x0) p(x0|x_t) dx0`, which only simple priors have in closed
//! form; everything else here is a way to do without.
//!
//! | the measurement `A` | | `A Aᵀ` |
//! |---|---|---|
//! | [`Mask`] | some of the pixels or coordinates | 1 where measured |
//! | [`Downsample`] | means over blocks | a number |
//! | [`Grey`] | one weighted sum of the colours | a number |
//! | [`Blur`] | a convolution | diagonal in the Fourier basis |
//! | [`SubsampledFourier`] | some of the frequencies | 1 where measured |
//! | [`Projection`] | any matrix: compressed sensing | by conjugate gradients |
//! | [`Clip`] | values cut at two ends | not linear |
//!
//! | the method | changes | exact |
//! |---|---|---|
//! | [`ExactLikelihood`], [`ExactPosterior`] | the score | for Gaussians and mixtures |
//! | [`Dps`] | the score: all of `p(x0\|x_t)` at its mean | no |
//! | [`PiGdm`] | the score: a Gaussian about its mean | no |
//! | [`JacobianFree`] | the score: no derivative of the denoiser | no |
//! | [`DpsSampler`] | the step: downhill on the misfit | no |
//! | [`Replacement`] | the step: the measured part is put in; RePaint with resampling | no |
//! | [`DiffPir`] | the step: the guess of the data is made to fit | no |
//! | [`Ddrm`] | the step: each coordinate along the singular vectors of `A` by itself | no |
//! | [`TwistedParticles`] | the step: guided particles, weighted and resampled | with many particles |
//!
//! In the book: [16-inverse-problems].
//!
//! [16-inverse-problems]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/16-inverse-problems.ipynb

mod blur;
mod clip;
mod conjugate_gradients;
mod ddrm;
mod denoised;
mod diff_pir;
mod downsample;
mod dps;
mod draws;
mod exact_likelihood;
mod exact_posterior;
mod fourier;
mod grey;
mod guidance;
mod hartley;
mod jacobian_free;
mod mask;
mod measurement;
mod operator;
mod pi_gdm;
mod posterior_score;
mod projection;
mod replacement;
mod spectrum;
mod twisted_particles;

pub use blur::Blur;
pub use clip::Clip;
pub use ddrm::Ddrm;
pub use denoised::Denoised;
pub use diff_pir::DiffPir;
pub use downsample::Downsample;
pub use dps::{Dps, DpsSampler};
pub use draws::Draws;
pub use exact_likelihood::ExactLikelihood;
pub use exact_posterior::ExactPosterior;
pub use fourier::SubsampledFourier;
pub use grey::Grey;
pub use guidance::Guidance;
pub use jacobian_free::JacobianFree;
pub use mask::Mask;
pub use measurement::Measurement;
pub use operator::{LinearOperator, Operator};
pub use pi_gdm::PiGdm;
pub use posterior_score::PosteriorScore;
pub use projection::Projection;
pub use replacement::Replacement;
pub use twisted_particles::TwistedParticles;
