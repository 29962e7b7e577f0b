//! The likelihood of data under a score: exact along the probability flow, bounded for the SDE.
//!
//! ```latex
//! \log p_0(x_0) = \log p_T(x_T) + \int_0^T \nabla\cdot\tilde f(x_t, t)\,\mathrm{d}t, \qquad \tilde f = f - \tfrac12 g^2\,\nabla\log p_t
//! ```
//!
//! | the question | the answer |
//! |---|---|
//! | `log p₀(x)` of the flow's samples | [`Likelihood`]: change of variables, with [`Divergence`] exact or estimated |
//! | `log p₀(x)` of the reverse SDE's samples | [`VariationalBound::log_prob`]: a lower bound |
//! | how far the SDE's samples may be from the data | [`VariationalBound::score_kl`] and [`prior_mismatch`] |
//! | bits a dimension of discrete data | [`Dequantisation`] |
//!
//! The two models are not the same: with a score that is not exact the flow and the SDE that it defines end in different
//! laws (Song et al. 2021, *Maximum likelihood training of score-based diffusion models*).
//!
//! In the book: [10-score-matching], [12-likelihood].
//!
//! [10-score-matching]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/10-score-matching.ipynb
//! [12-likelihood]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/12-likelihood.ipynb

mod dequantisation;
mod divergence;
mod estimate;
mod flow_likelihood;
mod prior;
mod variational_bound;

pub use dequantisation::{BitsPerDim, Dequantisation};
pub use divergence::{Derivative, Divergence, Probe};
pub use estimate::Estimate;
pub use flow_likelihood::{FlowSolver, Likelihood, LogLikelihood, Waypoint};
pub use prior::{prior_log_prob, prior_mismatch, prior_mismatch_bound};
pub use variational_bound::{LowerBound, ScoreKl, VariationalBound};
