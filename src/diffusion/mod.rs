//! Noising processes: affine SDEs `dx = a(t) x dt + g(t) dw` with their exact transition kernels.
//!
//! Everything that the notes add noise with is affine, so four scalar functions of time say it all:
//! the rate `a`, the dispersion `g`, and what follows from `ṁ = a m`, `Ṗ = 2aP + g²`, the mean scale `α`
//! and the standard deviation `σ` of `x(t) | x(0) ~ N(α(t) x(0), σ²(t) I)`
//! (note 004 leaves this step open: "solve the forward SDE").

mod forward_sde;
mod fused_forward;
mod noising;
mod ornstein_uhlenbeck;
mod process;
mod sub_variance_preserving;
mod variance_exploding;
mod variance_preserving;

pub use forward_sde::ForwardSde;
pub(crate) use noising::times_until;
pub use noising::{NoisingProcess, per_sample, same_time};
pub use ornstein_uhlenbeck::OrnsteinUhlenbeck;
pub use process::Process;
pub use sub_variance_preserving::SubVariancePreserving;
pub use variance_exploding::VarianceExploding;
pub use variance_preserving::VariancePreserving;
