//! Reverse time: the SDE that runs a noising process backwards, and the ODE with the same marginals.
//!
//! Whoever knows the score of every marginal can go back from noise to data (Anderson 1982; notes 000, 001).

mod fused;
mod reverse_sde;

pub use fused::FusedReverse;
pub use reverse_sde::ReverseSde;
