//! Denoising score matching: the training loop.

mod denoising;
mod source;
mod training;

pub use denoising::{DenoisingLoss, denoising_loss};
pub use source::Source;
pub(crate) use source::epoch_indices;
pub use training::{Checkpoint, Report, Step, Training, TrainingSettings};
