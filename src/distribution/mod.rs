//! Densities with `log_prob`, score and exact sampling, and toy data.
//!
//! | the law | what it is for |
//! |---|---|
//! | [`Gaussian`] | everything that can be computed |
//! | [`Mixture`] | several modes, whose noised law has a closed form too |
//! | [`Ring`], [`Banana`], [`Funnel`] | thin, bent and narrowing: hard for a sampler |
//! | [`toy`] | points of the plane without a density |
//!
//! ```latex
//! \nabla\log p(x) = \frac{\nabla p(x)}{p(x)}, \qquad \nabla\log\left(c\,p(x)\right) = \nabla\log p(x)
//! ```
//!
//! Real data come as samples only (note 000, "Challenges"); on these laws every claim of the notes
//! can be checked against the truth.
//!
//! In the book: [01-inversion], [10-score-matching].
//!
//! [01-inversion]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/01-inversion.ipynb
//! [10-score-matching]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/10-score-matching.ipynb

mod banana;
mod eigen;
mod funnel;
mod gaussian;
mod mixture;
mod noised_mixture;
mod ring;
pub mod toy;

pub use banana::Banana;
pub(crate) use eigen::symmetric_eigen;
pub use funnel::Funnel;
pub(crate) use gaussian::cholesky;
pub use gaussian::{Gaussian, normal_cdf};
pub use mixture::Mixture;
pub use ring::Ring;

use crate::{Error, Result, random::Generator};
use candle_core::{Device, Shape, Tensor};
use std::fmt::Debug;

/// A probability density `p` on `ℝ^dim` that can be evaluated, differentiated and sampled.
///
/// ```
/// use scorebook::{prelude::*, distribution::{Density, Mixture}, random::Generator};
///
/// let density = Mixture::ring(8, 4.0, 0.3)?;
/// let x = density.sample(100, &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!((x.dims(), density.dim()), (&[100, 2][..], 2));
/// assert_eq!(density.log_prob(&x)?.dims(), [100]);
/// assert_eq!(density.score(&x)?.dims(), [100, 2]);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Density: Send + Sync + Debug {
    /// The dimension of the space.
    fn dim(&self) -> usize;

    /// `ln p(x)` for `x` `[batch, dim]`, as `[batch]`.
    ///
    /// # Errors
    /// If `x` is not `[batch, dim]`.
    fn log_prob(&self, x: &Tensor) -> Result<Tensor>;

    /// The score `∇ ln p(x)` for `x` `[batch, dim]`, of the shape of `x`.
    ///
    /// # Errors
    /// If `x` is not `[batch, dim]`.
    fn score(&self, x: &Tensor) -> Result<Tensor>;

    /// `n` independent draws, `[n, dim]` in `f32`.
    ///
    /// # Errors
    /// If the device cannot take the tensor.
    fn sample(&self, n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor>;
}

/// That `x` is `[batch, dim]`.
fn check_points(x: &Tensor, dim: usize) -> Result<()> {
    match x.dims() {
        [_, columns] if *columns == dim => Ok(()),
        dims => Err(Error::shape("x", dims, format!("[batch, {dim}]"))),
    }
}

/// Numbers as a tensor of the type and device of `like`, rounded once.
fn constant(values: Vec<f64>, shape: impl Into<Shape>, like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, shape.into(), &Device::Cpu)?
        .to_dtype(like.dtype())?
        .to_device(like.device())?)
}
