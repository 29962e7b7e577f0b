//! Score matching: the losses, from explicit to denoising, and the training loop.
//!
//! The score is the derivative of a logarithm, so a model of it needs no normalising constant; and it can be fitted without
//! a look at the true one (notes 002 to 004). Every loss is a function of a [`Score`](crate::score::Score):
//!
//! | the loss | what it needs | its mean |
//! |---|---|---|
//! | [`explicit_score_matching`] | the exact score | `E‖s - ∇ log p_t‖²/d`, 0 at the exact score |
//! | [`implicit_score_matching`] | samples of `p_t`, all derivatives of the score | the same, less a constant |
//! | [`sliced_score_matching`] | samples of `p_t`, derivatives along a few directions | the same as that |
//! | [`denoising_score_matching`] | data, and noise added to them | the first, plus a constant |
//! | [`chain_bound`], [`continuous_bound`] | data, and noise added to them | a bound on `-ln p(x0)` |
//!
//! [`Training`] is the loop, with an [`Optimizer`], checkpoints, [`Validation`] and a [`Log`]; [`minimize`] serves any
//! loss. Networks are trained with [`DenoisingLoss`]: denoising score matching at random times ([`TimeSampling`]), weighted
//! ([`Weighting`]):
//!
//! ```latex
//! \mathbb{E}_{t}\,\lambda(t)\,\mathbb{E}_{x_0}\mathbb{E}_{x_t \mid x_0}\left\|s_\theta(x_t, t) - \nabla_{x_t}\log p_{0t}(x_t \mid x_0)\right\|^2 \;\to\; \min_\theta
//! ```
//!
//! In the book: [10-score-matching], [12-likelihood].
//!
//! [10-score-matching]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/10-score-matching.ipynb
//! [12-likelihood]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/12-likelihood.ipynb

mod ahead;
mod average;
mod checkpoint;
mod classification;
mod denoising;
mod derivative;
mod explicit;
mod implicit;
mod labels;
mod live;
mod log;
mod loss_by_time;
mod minimize;
mod optimizer;
mod report;
mod schedule;
mod settings;
mod source;
mod time_sampling;
mod training;
mod validation;
mod variational;
mod weighting;

pub use checkpoint::Checkpoint;
pub use classification::{Classification, cross_entropy};
pub use denoising::{
    DenoisingLoss, denoising_loss, denoising_loss_given, denoising_score_matching,
};
pub use derivative::DirectionalDerivative;
pub use explicit::explicit_score_matching;
pub use implicit::{implicit_score_matching, sliced_score_matching};
pub use labels::LabelDrop;
pub use log::Log;
pub use loss_by_time::{LossByTime, TimeBin};
pub use minimize::{Minimization, minimize};
pub use optimizer::Optimizer;
pub use report::{Report, Step};
pub use schedule::Schedule;
pub use settings::TrainingSettings;
pub use source::Source;
pub(crate) use source::epoch_indices;
pub use time_sampling::TimeSampling;
pub use training::Training;
pub use validation::Validation;
pub use variational::{BoundTerms, chain_bound, continuous_bound, transition_weight};
pub use weighting::Weighting;
