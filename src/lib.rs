//! From one random number to generated images: stochastic calculus and score-based diffusion.

pub mod data;
pub mod device;
pub mod diffusion;
pub mod distribution;
pub mod error;
pub mod interrupt;
pub mod metrics;
pub mod notebook;
pub mod path;
pub mod plot;
pub mod progress;
pub mod random;
pub mod sample;
pub mod score;
pub mod sde;
pub mod tensor;
pub mod train;

pub use error::{Error, Result};

/// What a notebook cell needs, in one line: `use scorebook::prelude::*;`.
pub mod prelude {
    pub use candle_core::{D, DType, Device, Tensor};
}
