//! Markov chains whose stationary law is the target (note 000, "Metropolis-Hastings algorithm").
//!
//! "To sample `x ~ π`, we find a `P` s.t. `πP = π`, and sample from `νPⁿ`." On finitely many states all of this can be
//! computed: [`TransitionMatrix`]. Everywhere else there are [`Chains`], many of them at once, on a [`Target`] that is
//! known up to a factor: Metropolis-Hastings with any [`Proposal`] ([`RandomWalk`], [`Independence`], [`Langevin`],
//! which makes it MALA), and Langevin dynamics without correction, of which gradient ascent is the limit without
//! noise; [`AnnealedLangevin`] runs through ever less noised targets. Whether a run has come far enough is the matter
//! of [`diagnostics`].
//!
//! ```latex
//! \alpha(x, y) = \min\left\{1, \frac{\pi(y)\,q(y, x)}{\pi(x)\,q(x, y)}\right\}, \qquad x_{k+1} = x_k + \tau\,\nabla\log\pi(x_k) + \sqrt{2\tau}\,z_k
//! ```
//!
//! ```
//! use scorebook::{prelude::*, markov::{Chains, RandomWalk, Target, diagnostics}};
//!
//! // p(x) ∝ exp(-x⁴): no need to know the factor.
//! let target = Target::function(1, |x| -x[0].powi(4));
//! let chains = Chains { warm_up: 500, draws: 2000, adapt: Some(0.44), ..Default::default() };
//! let start = Tensor::zeros((4, 1), DType::F64, &Device::Cpu)?;
//! let trace = chains.metropolis_hastings(&target, &RandomWalk::new(1.0)?, &start, &mut Generator::new(7))?;
//! let summary = &diagnostics::summary(&trace.draws)?[0];
//! assert!(summary.r_hat < 1.02 && summary.ess_bulk > 500.0);
//! // E x² = Γ(3/4)/Γ(1/4).
//! let second = trace.draws.sqr()?.mean_all()?.to_scalar::<f64>()?;
//! assert!((second - 0.338).abs() < 0.03);
//! # Ok::<(), scorebook::Error>(())
//! ```
//!
//! In the book: [02-metropolis-hastings-and-langevin].
//!
//! [02-metropolis-hastings-and-langevin]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/02-metropolis-hastings-and-langevin.ipynb

mod annealed;
mod chains;
pub mod diagnostics;
mod independence;
mod langevin;
mod noise;
mod proposal;
mod random_walk;
mod target;
mod transition_matrix;

pub use annealed::{AnnealedLangevin, geometric_levels};
pub use chains::{Chains, Trace};
pub use independence::Independence;
pub use langevin::Langevin;
pub use noise::Noise;
pub use proposal::{Point, Proposal};
pub use random_walk::RandomWalk;
pub use target::Target;
pub use transition_matrix::{TransitionMatrix, total_variation};
