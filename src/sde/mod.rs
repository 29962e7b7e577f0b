//! Itô stochastic differential equations `dx = f(x, t) dt + g(x, t) dw` and their solvers.
//!
//! ```latex
//! x_t = x_0 + \int_0^t f(x_s, s)\,\mathrm{d}s + \int_0^t g(x_s, s)\,\mathrm{d}w_s
//! ```
//!
//! | the equation | the noise | the solver | strong order |
//! |---|---|---|---|
//! | an ODE, or the drift alone | | [`Flow`]: Euler, Heun, Runge-Kutta; [`DormandPrince`], adaptive | 1, 2, 4; 5 |
//! | any | any | [`EulerMaruyama`] | ½; 1 for additive noise |
//! | any, in Stratonovich's form too | any | [`StochasticHeun`] | 1 for commutative noise |
//! | any | commutative | [`Milstein`] | 1 |
//! | any | additive | [`Sra1`] | 1½ |
//! | any | diagonal, scalar | [`Sri1`] | 1½ |
//! | any, steps as the error allows | commutative | [`Adaptive`] on a [`BrownianTree`](crate::path::BrownianTree) | 1 |
//! | with a closed kernel | | [`Exact`] | exact |
//!
//! All of them take explicit steps: where a drift contracts at the rate `λ`, steps longer than `2/λ` make the
//! solution grow without bound. The solvers look for that now and then and say so.
//!
//! In the book: [05-ito-diffusions], [07-can-time-run-backward].
//!
//! [05-ito-diffusions]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/05-ito-diffusions.ipynb
//! [07-can-time-run-backward]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/07-can-time-run-backward.ipynb

mod adaptive;
mod derivative;
mod dispersion;
mod dormand_prince;
mod equation;
mod euler_maruyama;
mod exact;
mod flow;
mod fused;
mod geometric_brownian_motion;
mod lanes;
mod milstein;
mod order;
mod solution;
mod solver;
mod sra1;
mod sri1;
mod stability;
mod step_control;
mod stochastic_heun;
mod stratonovich;

pub use adaptive::Adaptive;
pub(crate) use derivative::dispersion_divergence;
pub use dispersion::Dispersion;
pub use dormand_prince::DormandPrince;
pub use equation::{Ito, Sde};
pub use euler_maruyama::EulerMaruyama;
pub(crate) use exact::check_later;
pub use exact::{Exact, ExactTransition};
pub use flow::{Flow, FlowMethod};
pub use fused::{Bins, FusedEulerMaruyama, FusedPaths, FusedSde, Histogram, PathStatistics, Start};
pub use geometric_brownian_motion::GeometricBrownianMotion;
pub use lanes::Lanes;
pub use milstein::Milstein;
pub use order::{OrderPoint, OrderReport, strong_order, weak_order};
pub(crate) use solution::March;
pub use solution::{Cost, Saving, Solution};
pub use solver::{Increment, Solver};
pub use sra1::Sra1;
pub use sri1::Sri1;
pub use stochastic_heun::StochasticHeun;
pub use stratonovich::Stratonovich;
