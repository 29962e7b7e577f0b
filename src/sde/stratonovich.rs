//! SDEs in Stratonovich's form.

use super::{Dispersion, Sde, derivative::noise_induced_drift};
use crate::Result;
use candle_core::Tensor;

/// The equation `dx = f(x, t) dt + g(x, t) ∘ dw` whose letters `f` and `g` are those of the SDE inside, read with
/// Stratonovich's integral; as an Itô SDE its drift is `f + ½ Σ_j (g_j·∇) g_j` over the columns `g_j` of `g`.
///
/// So every solver runs it. Source: Kloeden and Platen 1992, equation 4.9.8. (The notes read every equation as
/// Itô's; with `g` a function of time alone there is no difference.)
///
/// ```
/// use scorebook::prelude::*;
///
/// let letters = Ito::general(|x, _t| x * 0.5, |x, _t| Ok(Dispersion::Diagonal((x * 0.4)?)));
/// let x = Tensor::new(&[[3f64]], &Device::Cpu)?;
/// // ½ g g' = ½ 0.4² x.
/// let drift = Stratonovich(letters).drift(&x, 0.0)?.to_vec2::<f64>()?[0][0];
/// assert!((drift - (0.5 + 0.08) * 3.0).abs() < 1e-9);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stratonovich<S>(pub S);

impl<S: Sde> Sde for Stratonovich<S> {
    fn drift(&self, x: &Tensor, t: f64) -> Result<Tensor> {
        let drift = self.0.drift(x, t)?;
        Ok(match noise_induced_drift(&self.0, x, t)? {
            Some(induced) => (drift + induced)?,
            None => drift,
        })
    }

    fn dispersion(&self, x: &Tensor, t: f64) -> Result<Dispersion> {
        self.0.dispersion(x, t)
    }

    fn stratonovich_drift(&self, x: &Tensor, t: f64) -> Result<Tensor> {
        self.0.drift(x, t)
    }

    fn covariance_divergence(&self, x: &Tensor, t: f64) -> Result<Option<Tensor>> {
        self.0.covariance_divergence(x, t)
    }
}
