//! What an SDE is.

use super::{
    Dispersion,
    derivative::{covariance_divergence, noise_induced_drift},
};
use crate::Result;
use candle_core::Tensor;
use std::{fmt, sync::Arc};

/// An Itô SDE `dx = f(x, t) dt + g(x, t) dw` (note 000, "Itô diffusion").
///
/// States are `[batch, ...]`; the time is the same for the whole batch.
///
/// ```
/// use scorebook::prelude::*;
///
/// /// `dx = μ x dt + σ x dw`.
/// struct Growth {
///     mu: f64,
///     sigma: f64,
/// }
///
/// impl Sde for Growth {
///     fn drift(&self, x: &Tensor, _t: f64) -> scorebook::Result<Tensor> {
///         Ok((x * self.mu)?)
///     }
///
///     fn dispersion(&self, x: &Tensor, _t: f64) -> scorebook::Result<Dispersion> {
///         Ok(Dispersion::Diagonal((x * self.sigma)?))
///     }
/// }
///
/// let (sde, x) = (Growth { mu: 0.3, sigma: 0.4 }, Tensor::new(&[[2f64]], &Device::Cpu)?);
/// // With Stratonovich's integral the drift is (μ - ½σ²) x, which is what the logarithm grows by.
/// let drift = sde.stratonovich_drift(&x, 0.0)?.to_vec2::<f64>()?[0][0];
/// assert!((drift - (0.3 - 0.08) * 2.0).abs() < 1e-9);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Sde: Send + Sync {
    /// The drift `f(x, t)`, of the shape of `x`.
    ///
    /// # Errors
    /// If the shape of `x` does not fit.
    fn drift(&self, x: &Tensor, t: f64) -> Result<Tensor>;

    /// The dispersion `g(x, t)`.
    ///
    /// # Errors
    /// If the shape of `x` does not fit.
    fn dispersion(&self, x: &Tensor, t: f64) -> Result<Dispersion>;

    /// The drift of the same equation written with Stratonovich's integral, `f - ½ Σ_j (g_j·∇) g_j` over the columns
    /// `g_j` of `g`. Where the dispersion is a [number](Dispersion::Scalar) it is `f`.
    ///
    /// The derivatives are central differences, so any `g` will do; each column (of a diagonal: each coordinate)
    /// takes two evaluations of `g`. To write an equation in Stratonovich's form see
    /// [`Stratonovich`](super::Stratonovich).
    ///
    /// # Errors
    /// As [`drift`](Self::drift) and [`dispersion`](Self::dispersion).
    fn stratonovich_drift(&self, x: &Tensor, t: f64) -> Result<Tensor> {
        let drift = self.drift(x, t)?;
        Ok(match noise_induced_drift(self, x, t)? {
            Some(induced) => (drift - induced)?,
            None => drift,
        })
    }

    /// The divergence of the noise's rate of covariance `G = g gᵀ`, `Σ_j ∂_j G_ij`, of the shape of `x`: what Anderson's
    /// [reverse SDE](crate::reverse::AndersonReverse) takes from the drift beside the score. `None` where the dispersion
    /// is a [number](Dispersion::Scalar), for which it is 0.
    ///
    /// By default central differences, two evaluations of `g` a coordinate, which go a little way to both sides of `x`
    /// (about `6·10⁻⁶ (1 + |x|)` in `f64`, `5·10⁻³ (1 + |x|)` in `f32`). An SDE that knows better overrides it.
    ///
    /// # Errors
    /// As [`dispersion`](Self::dispersion).
    fn covariance_divergence(&self, x: &Tensor, t: f64) -> Result<Option<Tensor>> {
        covariance_divergence(self, x, t)
    }
}

type DriftFunction = dyn Fn(&Tensor, f64) -> candle_core::Result<Tensor> + Send + Sync;
type DispersionFunction = dyn Fn(&Tensor, f64) -> candle_core::Result<Dispersion> + Send + Sync;

/// An SDE written down as two functions, which a notebook can keep between cells.
///
/// ```
/// use scorebook::{prelude::*, path::time_grid, random::Generator, sde::{EulerMaruyama, Ito}};
///
/// // The Ornstein-Uhlenbeck process dx = -x dt + 0.5 dw from x(0) = 1.
/// let sde = Ito::new(|x, _t| x * -1.0, |_t| 0.5);
/// let x0 = Tensor::ones((1000, 1), DType::F32, &Device::Cpu)?;
/// let times = time_grid(0.0, 2.0, 100)?;
/// let solution = EulerMaruyama::default().solve(&sde, &x0, &times, &mut Generator::new(7))?;
/// let mean = solution.x.mean_all()?.to_scalar::<f32>()?;
/// assert!((mean - (-2f32).exp()).abs() < 0.06);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct Ito {
    drift: Arc<DriftFunction>,
    dispersion: Arc<DispersionFunction>,
    covariance_divergence: Option<Arc<DriftFunction>>,
}

impl Ito {
    /// The SDE with the drift `f(x, t)` and a dispersion `g(t)` that depends on time alone.
    pub fn new(
        drift: impl Fn(&Tensor, f64) -> candle_core::Result<Tensor> + Send + Sync + 'static,
        dispersion: impl Fn(f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self::general(drift, move |_x, t| Ok(Dispersion::Scalar(dispersion(t))))
    }

    /// The SDE with the drift `f(x, t)` and any dispersion `g(x, t)`.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// // Geometric Brownian motion dx = 0.05 x dt + 0.2 x dw.
    /// let sde = Ito::general(|x, _t| x * 0.05, |x, _t| Ok(Dispersion::Diagonal((x * 0.2)?)));
    /// let x = Tensor::new(&[[2f64]], &Device::Cpu)?;
    /// let noise = sde.dispersion(&x, 0.0)?.apply(&x.ones_like()?)?; // where dw is 1
    /// assert_eq!(noise.to_vec2::<f64>()?, [[0.4]]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn general(
        drift: impl Fn(&Tensor, f64) -> candle_core::Result<Tensor> + Send + Sync + 'static,
        dispersion: impl Fn(&Tensor, f64) -> candle_core::Result<Dispersion> + Send + Sync + 'static,
    ) -> Self {
        Self {
            drift: Arc::new(drift),
            dispersion: Arc::new(dispersion),
            covariance_divergence: None,
        }
    }

    /// The same SDE with a closed form of its [`covariance_divergence`](Sde::covariance_divergence) `Σ_j ∂_j (g gᵀ)_ij`,
    /// where differences would cost too much or leave the states on which `g` is defined.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// // dx = (1 - x) dt + √x dw, whose G is x, on the positive numbers only.
    /// let sde = Ito::general(|x, _t| x.affine(-1.0, 1.0), |x, _t| Ok(Dispersion::Diagonal(x.sqrt()?)))
    ///     .with_covariance_divergence(|x, _t| x.ones_like());
    /// let x = Tensor::new(&[[0f64]], &Device::Cpu)?;
    /// assert_eq!(sde.covariance_divergence(&x, 0.0)?.unwrap().to_vec2::<f64>()?, [[1.0]]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn with_covariance_divergence(
        self,
        divergence: impl Fn(&Tensor, f64) -> candle_core::Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        Self { covariance_divergence: Some(Arc::new(divergence)), ..self }
    }
}

impl Sde for Ito {
    fn drift(&self, x: &Tensor, t: f64) -> Result<Tensor> {
        Ok((self.drift)(x, t)?)
    }

    fn dispersion(&self, x: &Tensor, t: f64) -> Result<Dispersion> {
        Ok((self.dispersion)(x, t)?)
    }

    fn covariance_divergence(&self, x: &Tensor, t: f64) -> Result<Option<Tensor>> {
        match &self.covariance_divergence {
            Some(divergence) => Ok(Some(divergence(x, t)?)),
            None => covariance_divergence(self, x, t),
        }
    }
}

impl fmt::Debug for Ito {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ito")
    }
}
