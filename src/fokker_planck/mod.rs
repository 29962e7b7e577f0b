//! The density of an Itô diffusion: the Fokker-Planck equation on grids.
//!
//! Where particles follow `dx = f(x, t) dt + g(x, t) dw`, their density follows
//! `∂ₜp = -∇·(f p) + ½ ∇∇:(G p)` with `G = g gᵀ` (note 001, "Fokker-Planck equation"). This room solves it for the very
//! [`Sde`](crate::sde::Sde) that the particle solvers run, in one or two dimensions.
//!
//! ```latex
//! \frac{\partial p}{\partial t} = -\sum_i \frac{\partial}{\partial x_i}\left[f_i(x, t)\,p\right] + \frac12\sum_{i,j}\frac{\partial^2}{\partial x_i\,\partial x_j}\left[\sum_k g_{ik}\,g_{jk}\,p\right]
//! ```
//!
//! A [`Grid`] of cells turns the diffusion into a chain that jumps between cells. Its rates are fitted exponentially, after
//! Scharfetter and Gummel (IEEE Trans. Electron Devices 16, 1969) and Chang and Cooper (J. Comput. Phys. 6, 1970); they are
//! never negative, and what leaves one cell enters another. So the density keeps its sign and its mass on any grid, with any
//! step, and where the drift wins over the noise the scheme becomes the upwind one by itself. The same rates transposed are the
//! backward equation of Kolmogorov, and their null vector is the stationary law.
//!
//! ```
//! use scorebook::{prelude::*, fokker_planck::{FokkerPlanck, Grid, GridDensity}};
//!
//! // Ornstein-Uhlenbeck, dx = -x dt + dw, from N(2, ¼): the same object drives particles and density.
//! let sde = Ito::new(|x, _t| x * -1.0, |_t| 1.0);
//! let grid = Grid::line((-5.0, 5.0), 400)?;
//! let start = GridDensity::from_density(&grid, &Gaussian::isotropic([2.0], 0.5)?)?;
//! let evolution = FokkerPlanck::default().solve(&sde, &start, &time_grid(0.0, 1.0, 10)?)?;
//! let end = evolution.last();
//! assert!((end.mean()[0] - 2.0 * (-1f64).exp()).abs() < 1e-3);
//! assert!((end.mass() - 1.0).abs() < 1e-12 && end.values().iter().all(|p| *p >= 0.0));
//! # Ok::<(), scorebook::Error>(())
//! ```
//!
//! In the book: [06-fokker-planck-and-ornstein-uhlenbeck], [07-can-time-run-backward].
//!
//! [06-fokker-planck-and-ornstein-uhlenbeck]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/06-fokker-planck-and-ornstein-uhlenbeck.ipynb
//! [07-can-time-run-backward]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/07-can-time-run-backward.ipynb

mod density;
mod elimination;
mod grid;
mod rates;
mod report;
mod residual;
mod solver;
mod stationary;
mod stencil;
mod uniformisation;

pub use density::GridDensity;
pub use grid::Grid;
pub use report::{Evolution, Expectation, Report};
pub use residual::residual;
pub use solver::{FokkerPlanck, Stepping};
pub use stationary::stationary;
