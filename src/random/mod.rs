//! Random numbers: one seeded, splittable, counter-based generator.
//!
//! There is no hidden global randomness in the library: whoever draws is handed a [`Generator`].
//! The notes take "sample `Y ~ Uniform([0, 1])`" for granted (000, inversion method); here it starts
//! from a counter and a key, so a run can be repeated, split and spread over threads.

mod generator;
mod normal;
mod philox;
mod sequence;

pub use generator::Generator;
pub(crate) use generator::NormalGroups;
pub use philox::philox4x32;
