//! Sampling by inversion: one uniform number a draw.

mod closed_form;
mod discrete;
mod mixed;
mod numerical;
mod tabulated;

pub use closed_form::ClosedForm;
pub use discrete::Discrete;
pub use mixed::Mixed;
pub use numerical::NumericalInverse;
pub use tabulated::Tabulated;

use super::Generator;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::fmt::Debug;

/// A law on the line that can be drawn by inversion: if `U` is uniform on `(0, 1)`, then `F⁻¹(U)` has the distribution
/// function `F(x) = P(X ≤ x)`.
///
/// `F⁻¹(u) = inf{x : F(x) ≥ u}` is the generalised inverse. Note 000 writes `Φ⁻¹`, which exists for continuous,
/// strictly increasing `Φ` only; the infimum always does, and it is what makes the method right where `F` jumps (at an
/// atom) or is flat (where there is no mass): `F⁻¹(u) ≤ x` holds exactly where `u ≤ F(x)`, whence
/// `P(F⁻¹(U) ≤ x) = P(U ≤ F(x)) = F(x)`.
///
/// ```
/// use scorebook::{prelude::*, random::{ClosedForm, Generator, Inversion}};
///
/// let law = ClosedForm::exponential(2.0)?;
/// let x = law.sample(100_000, &mut Generator::new(7), &Device::Cpu)?;
/// assert!((x.mean_all()?.to_scalar::<f64>()? - 0.5).abs() < 0.01);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Inversion: Send + Sync + Debug {
    /// The distribution function, `F(x) = P(X ≤ x)`.
    fn cdf(&self, x: f64) -> f64;

    /// The quantile function, `F⁻¹(u) = inf{x : F(x) ≥ u}`, for `0 < u < 1`.
    fn quantile(&self, u: f64) -> f64;

    /// `n` independent draws, `[n]` in `f64`. Each takes one number of
    /// [`fill_uniform_f64`](Generator::fill_uniform_f64), so threads change nothing, nor does drawing in parts.
    ///
    /// # Errors
    /// If a quantile is not finite, or the device cannot take the tensor.
    fn sample(&self, n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor> {
        let x = invert(n, generator, |u| self.quantile(u));
        if let Some(x) = x.iter().find(|x| !x.is_finite()) {
            return Err(Error::NotFinite {
                what: format!("a quantile, {x},"),
                at: "a uniform number between 0 and 1".into(),
                remedy: "Look at the quantile or distribution function of the law".into(),
            });
        }
        Ok(Tensor::from_vec(x, n, device)?)
    }
}

/// What `quantile` makes of `n` uniform numbers.
pub(super) fn invert<T: Send>(
    n: usize,
    generator: &mut Generator,
    quantile: impl Fn(f64) -> T + Sync,
) -> Vec<T> {
    let mut uniforms = vec![0.0; n];
    generator.fill_uniform_f64(&mut uniforms);
    uniforms.par_iter().with_min_len(1024).map(|u| quantile(*u)).collect()
}

/// That weights are finite and not negative, and some positive; gives their sum.
pub(super) fn check_weights(name: &'static str, weights: &[f64]) -> Result<f64> {
    if let Some(weight) = weights.iter().find(|weight| !(**weight >= 0.0 && weight.is_finite())) {
        return Err(Error::argument(name, weight, "finite numbers of at least 0"));
    }
    let total: f64 = weights.iter().sum();
    if total > 0.0 && total.is_finite() {
        return Ok(total);
    }
    let sum = format!("{} numbers with the sum {total}", weights.len());
    Err(Error::argument(name, sum, "numbers with a positive, finite sum"))
}
