//! Denoising score matching: the training loop.

mod average;
mod checkpoint;
mod denoising;
mod live;
mod log;
mod loss_by_time;
mod optimizer;
mod report;
mod schedule;
mod settings;
mod source;
mod training;
mod validation;

pub use checkpoint::Checkpoint;
pub use denoising::{DenoisingLoss, denoising_loss};
pub use log::Log;
pub use loss_by_time::{LossByTime, TimeBin};
pub use optimizer::Optimizer;
pub use report::{Report, Step};
pub use schedule::Schedule;
pub use settings::TrainingSettings;
pub use source::Source;
pub(crate) use source::epoch_indices;
pub use training::Training;
pub use validation::Validation;
