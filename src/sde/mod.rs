//! Itô stochastic differential equations `dx = f(x, t) dt + g(x, t) dw` and their solvers.

// The loop on plain numbers, without tensors.
mod fused;
mod lanes;

pub use fused::{Bins, FusedEulerMaruyama, FusedPaths, FusedSde, Histogram, PathStatistics, Start};
pub use lanes::Lanes;

mod dispersion;
mod equation;
mod euler_maruyama;
mod flow;
mod solution;

pub use dispersion::Dispersion;
pub use equation::{Ito, Sde};
pub use euler_maruyama::EulerMaruyama;
pub(crate) use euler_maruyama::step as euler_maruyama_step;
pub use flow::FlowMethod;
pub(crate) use solution::March;
pub use solution::Solution;
