//! White noise, Brownian motion, integrals along its paths, and what is measured on them.
//!
//! | what | where |
//! |---|---|
//! | white noise, below a band edge | [`WhiteNoise`], its spectrum by [`periodogram`] |
//! | noise with a covariance `Q` | [`SpectralDensity`] |
//! | Brownian motion on a grid of times, refined, coarsened, reversed | [`BrownianMotion`], [`time_grid`] |
//! | one path at any time | [`BrownianTree`] |
//! | `∫ f dW` with the integrand at the left end, the right end or between | [`stochastic_integral`], [`integral_process`] |
//! | `[W]_t = t` | [`quadratic_variation`], [`covariation`] |
//! | Itô's lemma, term by term | [`ito_lemma`] |
//!
//! The notes use Brownian motion without defining it (000): `W_0 = 0`, independent increments,
//! `W_t - W_s ~ N(0, (t - s) I)`, continuous paths. White noise, "its derivative", is no function.
//!
//! Itô's integral takes the left end of each interval, and its lemma has one term more than the chain rule:
//!
//! ```latex
//! \int_0^T f\,\mathrm{d}W = \lim_{\Delta\to 0}\sum_i f(t_i)\left(W_{t_{i+1}} - W_{t_i}\right), \qquad \mathrm{d}\varphi(W_t) = \varphi'\,\mathrm{d}W_t + \tfrac12\varphi''\,\mathrm{d}t
//! ```
//!
//! In the book: [03-brownian-motion], [04-ito-integral].
//!
//! [03-brownian-motion]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/03-brownian-motion.ipynb
//! [04-ito-integral]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/04-ito-integral.ipynb

mod brownian;
mod ito_lemma;
mod quadratic_variation;
mod spectral_density;
mod stochastic_integral;
mod time_grid;
mod tree;
mod white_noise;

pub use brownian::BrownianMotion;
pub use ito_lemma::{ItoTerms, SmoothFunction, ito_lemma};
pub use quadratic_variation::{covariation, quadratic_variation};
pub use spectral_density::SpectralDensity;
pub use stochastic_integral::{BACKWARD, ITO, STRATONOVICH, integral_process, stochastic_integral};
pub(crate) use time_grid::check_times;
pub use time_grid::time_grid;
pub use tree::BrownianTree;
pub use white_noise::{WhiteNoise, periodogram};
