//! Itô stochastic differential equations `dx = f(x, t) dt + g(x, t) dw` and their solvers.

mod dispersion;
mod equation;
mod euler_maruyama;
mod flow;
mod fused;
mod lanes;
mod solution;

pub use dispersion::Dispersion;
pub use equation::{Ito, Sde};
pub use euler_maruyama::EulerMaruyama;
pub(crate) use euler_maruyama::step as euler_maruyama_step;
pub use flow::FlowMethod;
pub use fused::{Bins, FusedEulerMaruyama, FusedPaths, FusedSde, Histogram, PathStatistics, Start};
pub use lanes::Lanes;
pub(crate) use solution::March;
pub use solution::Solution;
