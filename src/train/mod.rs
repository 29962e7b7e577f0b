//! Score matching: the losses, from explicit to denoising, and the training loop.

mod denoising;
mod derivative;
mod explicit;
mod implicit;
mod minimize;
mod source;
mod time_sampling;
mod training;
mod variational;
mod weighting;

pub use denoising::{DenoisingLoss, denoising_loss, denoising_score_matching};
pub use derivative::Derivative;
pub use explicit::explicit_score_matching;
pub use implicit::{implicit_score_matching, sliced_score_matching};
pub use minimize::{Minimization, minimize};
pub use source::Source;
pub(crate) use source::epoch_indices;
pub use time_sampling::TimeSampling;
pub use training::{Checkpoint, Report, Step, Training, TrainingSettings};
pub use variational::{VariationalBound, chain_bound, continuous_bound, transition_weight};
pub use weighting::Weighting;
