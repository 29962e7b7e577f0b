//! Reverse time: the SDE that runs a process backwards, and the ODE with the same marginals.
//!
//! Whoever knows the score of every marginal can go back from noise to data (Anderson 1982; notes 000, 001).
//!
//! ```latex
//! \begin{aligned}
//! \mathrm{d}x &= \left[f(x, t) - g^2(t)\,\nabla_x\log p_t(x)\right]\mathrm{d}t + g(t)\,\mathrm{d}\bar w \\
//! \mathrm{d}x &= \left[f(x, t) - \tfrac12 g^2(t)\,\nabla_x\log p_t(x)\right]\mathrm{d}t
//! \end{aligned}
//! ```
//!
//! | what is reversed | the reverse SDE, the probability flow, and all between |
//! |---|---|
//! | a noising process, `a(t) x` and `g(t)` | [`ReverseSde`] |
//! | any SDE, with `g(x, t)` a number, a diagonal or a matrix | [`AndersonReverse`] |
//!
//! [`reverse_brownian_motion`] is the noise that leads back along a given path.
//!
//! In the book: [07-can-time-run-backward], [09-reverse-time-and-probability-flow].
//!
//! [07-can-time-run-backward]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/07-can-time-run-backward.ipynb
//! [09-reverse-time-and-probability-flow]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/09-reverse-time-and-probability-flow.ipynb

mod anderson;
mod brownian_motion;
mod fused;
mod reverse_sde;

pub use anderson::AndersonReverse;
pub use brownian_motion::reverse_brownian_motion;
pub use fused::FusedReverse;
pub use reverse_sde::ReverseSde;
