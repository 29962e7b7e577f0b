//! Random numbers: one seeded, splittable, counter-based generator, and sampling by inversion.
//!
//! There is no hidden global randomness in the library: whoever draws is handed a [`Generator`].
//! The notes take "sample `Y ~ Uniform([0, 1])`" for granted (000, inversion method); here it starts
//! from a counter and a key, so a run can be repeated, split and spread over threads.
//!
//! ```latex
//! U \sim \mathrm{Uniform}(0,1) \;\Longrightarrow\; X = F^{-1}(U) \sim F, \qquad F^{-1}(u) = \inf\{x : F(x) \ge u\}
//! ```
//!
//! What a uniform number becomes is the matter of [`Inversion`]: the closed forms of [`ClosedForm`], any distribution
//! function by [`NumericalInverse`], densities given as tables by [`Tabulated`], finitely many values by [`Discrete`]
//! (or, in constant time, by [`Alias`]), and laws with atoms and a rest by [`Mixed`]. Everything else is in
//! `rand_distr`, which draws from a [`Generator`] too:
//!
//! ```
//! use scorebook::random::{Generator, rand_distr::{Distribution, Gamma}};
//!
//! let law = Gamma::new(2.0, 0.5).unwrap();
//! let mut generator = Generator::new(7);
//! let x: Vec<f64> = (0..10_000).map(|_| law.sample(&mut generator)).collect();
//! // The mean of Γ(2, ½) is 1.
//! assert!((x.iter().sum::<f64>() / 1e4 - 1.0).abs() < 0.04);
//! ```
//!
//! In the book: [01-inversion].
//!
//! [01-inversion]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/01-inversion.ipynb

mod alias;
mod generator;
mod inversion;
mod normal;
mod philox;
mod sequence;

pub use alias::Alias;
pub use generator::Generator;
pub(crate) use generator::NormalGroups;
pub use inversion::{ClosedForm, Discrete, Inversion, Mixed, NumericalInverse, Tabulated};
pub use philox::philox4x32;

/// The package of all other laws, which draw from a [`Generator`].
pub use rand_distr;
