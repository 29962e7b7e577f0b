//! Brownian motion, and what is measured on paths.
//!
//! The notes use Brownian motion without defining it (000): `W_0 = 0`, independent increments,
//! `W_t - W_s ~ N(0, (t - s) I)`, continuous paths. White noise, "its derivative", is no function.

mod brownian;
mod quadratic_variation;
mod time_grid;
mod tree;

pub use brownian::BrownianMotion;
pub use quadratic_variation::quadratic_variation;
pub(crate) use time_grid::check_times;
pub use time_grid::time_grid;
pub use tree::BrownianTree;
