//! Noising processes: affine SDEs `dx = a(t) x dt + g(t) dw` with their exact transition kernels.
//!
//! Everything that the notes add noise with is affine, so four scalar functions of time say it all:
//! the rate `a`, the dispersion `g`, and what follows from `ṁ = a m`, `Ṗ = 2aP + g²`, the mean scale `α`
//! and the standard deviation `σ` of `x(t) | x(0) ~ N(α(t) x(0), σ²(t) I)`
//! (note 004 leaves this step open: "solve the forward SDE").
//!
//! ```latex
//! \alpha(t) = \exp\int_0^t a(s)\,\mathrm{d}s, \qquad \sigma^2(t) = \alpha^2(t)\int_0^t \frac{g^2(s)}{\alpha^2(s)}\,\mathrm{d}s
//! ```
//!
//! | process | the SDE | what for |
//! |---|---|---|
//! | [`VarianceExploding`] | `dx = √(dσ̃²/dt) dw`, geometric `σ̃` | the limit of SMLD's chain |
//! | [`VariancePreserving`] | `dx = -½βx dt + √β dw`, linear `β` | the limit of DDPM's chain |
//! | [`SubVariancePreserving`] | the same drift, less noise | likelihoods |
//! | [`OrnsteinUhlenbeck`] | `dx = -βx dt + σ dw` | note 001 |
//! | [`Exponential`] | `dx = e^t dw` | notes 002 and 003 |
//! | [`Cosine`] | `dx = -½βx dt + √β dw`, `α` a cosine | the limit of iDDPM's chain |
//! | [`ScaledLinear`] | `dx = -½βx dt + √β dw`, linear `√β` | the limit of Stable Diffusion's chain |
//! | [`Edm`] | `dx = √(2t) dw` | Karras et al.: the time is the noise level |
//! | [`Affine`] | any `a(t)`, `g(t)` | one's own |
//! | [`Stepwise`] | `a` and `g` constant on each part of time | a chain in continuous time |
//!
//! [`DdpmChain`] and [`SmldChain`] are the chains that the first two are the limits of: each is a [`NoisingChain`],
//! with kernels, posteriors, and the way to continuous time and back.
//!
//! In the book: [08-noising-processes].
//!
//! [08-noising-processes]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/08-noising-processes.ipynb

mod affine;
mod chain;
mod cosine;
mod ddpm_chain;
mod edm;
mod exponential;
mod forward_sde;
mod fused_forward;
mod noising;
mod ornstein_uhlenbeck;
mod process;
mod scaled_linear;
mod smld_chain;
mod stepwise;
mod sub_variance_preserving;
mod variance_exploding;
mod variance_preserving;

pub use affine::Affine;
pub use chain::{Kernel, NoisingChain, Posterior, Step};
pub use cosine::Cosine;
pub use ddpm_chain::DdpmChain;
pub use edm::{Edm, karras_sigmas};
pub use exponential::Exponential;
pub use forward_sde::ForwardSde;
pub(crate) use noising::times_until;
pub use noising::{NoisingProcess, per_sample, same_time};
pub use ornstein_uhlenbeck::OrnsteinUhlenbeck;
pub use process::Process;
pub use scaled_linear::ScaledLinear;
pub use smld_chain::SmldChain;
pub use stepwise::Stepwise;
pub use sub_variance_preserving::SubVariancePreserving;
pub use variance_exploding::VarianceExploding;
pub use variance_preserving::VariancePreserving;
