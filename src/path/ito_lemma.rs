//! Itô's lemma, as an identity that can be checked path by path.

use super::{ITO, check_times, stochastic_integral};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::{fmt, sync::Arc};

type Function = Arc<dyn Fn(f64, f64) -> f64 + Send + Sync>;

/// A smooth function `φ(x, t)` with the derivatives that Itô's lemma takes of it.
///
/// ```
/// use scorebook::{prelude::*, path::{SmoothFunction, ito_lemma}};
///
/// // x² t
/// let phi = SmoothFunction::new(|x, t| x * x * t, |x, _t| x * x, |x, t| 2.0 * x * t, |_x, t| 2.0 * t);
/// let path = Tensor::new(&[[1f64], [3.0]], &Device::Cpu)?;
/// let terms = ito_lemma(&phi, &[0.5, 1.0], &path, &path)?;
/// assert_eq!(terms.change.to_vec1::<f64>()?, [9.0 - 0.5]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct SmoothFunction {
    value: Function,
    dt: Function,
    dx: Function,
    dxx: Function,
}

impl SmoothFunction {
    /// `φ`, `∂φ/∂t`, `∂φ/∂x` and `∂²φ/∂x²`, each a function of `x` and `t`.
    pub fn new(
        value: impl Fn(f64, f64) -> f64 + Send + Sync + 'static,
        dt: impl Fn(f64, f64) -> f64 + Send + Sync + 'static,
        dx: impl Fn(f64, f64) -> f64 + Send + Sync + 'static,
        dxx: impl Fn(f64, f64) -> f64 + Send + Sync + 'static,
    ) -> Self {
        Self { value: Arc::new(value), dt: Arc::new(dt), dx: Arc::new(dx), dxx: Arc::new(dxx) }
    }
}

impl fmt::Debug for SmoothFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmoothFunction")
    }
}

/// The terms of Itô's lemma on a grid, each with the shape of one state.
///
/// `φ(X_T, T) - φ(X_0, 0) = ∫ ∂ₜφ dt + ∫ ∂ₓφ dX + ½ ∫ ∂ₓₓφ d[X]`, all three integrals with the left end.
///
/// ```
/// use scorebook::{prelude::*, path::{ItoTerms, SmoothFunction, ito_lemma}};
///
/// // x², for which the lemma holds on any grid, with the squares of the path's own steps: 9 = 4 + 5.
/// let square = SmoothFunction::new(|x, _t| x * x, |_x, _t| 0.0, |x, _t| 2.0 * x, |_x, _t| 2.0);
/// let path = Tensor::new(&[[0f64], [1.0], [3.0]], &Device::Cpu)?;
/// let variation = Tensor::new(&[[0f64], [1.0], [5.0]], &Device::Cpu)?;
/// let terms: ItoTerms = ito_lemma(&square, &[0.0, 0.5, 1.0], &path, &variation)?;
/// assert_eq!((terms.change.to_vec1::<f64>()?, terms.first_order.to_vec1::<f64>()?), (vec![9.0], vec![4.0]));
/// assert_eq!(terms.residual()?.to_vec1::<f64>()?, [0.0]);
/// // The chain rule of ordinary calculus misses the second.
/// assert_eq!(terms.ordinary_residual()?.to_vec1::<f64>()?, [5.0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ItoTerms {
    /// `φ` at the last time less `φ` at the first.
    pub change: Tensor,
    /// `∫ ∂ₜφ dt`.
    pub time: Tensor,
    /// `∫ ∂ₓφ dX`.
    pub first_order: Tensor,
    /// `½ ∫ ∂ₓₓφ d[X]`, which the ordinary chain rule does not have.
    pub second_order: Tensor,
}

impl ItoTerms {
    /// What the lemma leaves unexplained of the change; it shrinks like `√Δt`.
    ///
    /// # Errors
    /// If the terms (which are public) do not fit each other.
    pub fn residual(&self) -> Result<Tensor> {
        Ok((self.ordinary_residual()? - &self.second_order)?)
    }

    /// What the chain rule of ordinary calculus leaves unexplained: it stays, however fine the grid.
    ///
    /// # Errors
    /// If the terms (which are public) do not fit each other.
    pub fn ordinary_residual(&self) -> Result<Tensor> {
        Ok(((&self.change - &self.time)? - &self.first_order)?)
    }
}

/// The terms of Itô's lemma for `φ` along paths, which are taken number by number.
///
/// `path` is `[steps + 1, ...]` at the given times. `variation` is the process `[X]_t`, `[steps + 1, ...]` too, or a
/// shape that broadcasts against the path: for Brownian motion the times themselves, for `dX = f dt + g dW` the process
/// `∫ g² dt` ([`integral_process`](super::integral_process)).
///
/// ```
/// use scorebook::{prelude::*, path::{BrownianMotion, SmoothFunction, ito_lemma, time_grid}};
///
/// let times = time_grid(0.0, 1.0, 1000)?;
/// let w = BrownianMotion::sample(&times, 200, DType::F64, &mut Generator::new(7), &Device::Cpu)?;
/// let clock = Tensor::new(times.as_slice(), &Device::Cpu)?.unsqueeze(1)?;
/// // cos W: the drift that the lemma finds in it is -½ cos W.
/// let phi = SmoothFunction::new(|x, _| x.cos(), |_, _| 0.0, |x, _| -x.sin(), |x, _| -x.cos());
/// let terms = ito_lemma(&phi, &times, &w.values, &clock)?;
/// let size = |x: Tensor| -> Result<f64, scorebook::Error> { Ok(x.sqr()?.mean_all()?.to_scalar::<f64>()?.sqrt()) };
/// assert!(size(terms.residual()?)? < 0.03);
/// assert!(size(terms.ordinary_residual()?)? > 0.3);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the times are not a grid, the shapes do not fit, or `φ` or a derivative is not finite on a path.
pub fn ito_lemma(
    phi: &SmoothFunction,
    times: &[f64],
    path: &Tensor,
    variation: &Tensor,
) -> Result<ItoTerms> {
    check_times(times)?;
    let steps = times.len() - 1;
    if path.dims().first() != Some(&times.len()) {
        return Err(Error::shape("path", path.dims(), format!("[{}, ...]", times.len())));
    }
    if variation.dims().first() != Some(&times.len()) {
        return Err(Error::shape("variation", variation.dims(), format!("[{}, ...]", times.len())));
    }
    let width = path.elem_count() / times.len();
    let x = path.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
    let along = |f: &Function| -> Result<Tensor> {
        let values = x.iter().enumerate().map(|(i, x)| f(*x, times[i / width]));
        let values: Vec<f64> = values.collect();
        if let Some(i) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NotFinite {
                what: "the function, or a derivative of it,".into(),
                at: format!("x = {}, t = {}", x[i], times[i / width]),
                remedy: "Give one that is smooth where the paths go".into(),
            });
        }
        let values = Tensor::from_vec(values, path.shape(), &Device::Cpu)?;
        Ok(values.to_dtype(path.dtype())?.to_device(path.device())?)
    };
    let mut dims = vec![1; path.rank()];
    dims[0] = times.len();
    let clock = Tensor::new(times, &Device::Cpu)?.reshape(dims)?;
    let clock = clock.to_dtype(path.dtype())?.to_device(path.device())?;
    let value = along(&phi.value)?;
    Ok(ItoTerms {
        change: (value.get(steps)? - value.get(0)?)?,
        time: stochastic_integral(&along(&phi.dt)?, &clock, ITO)?,
        first_order: stochastic_integral(&along(&phi.dx)?, path, ITO)?,
        second_order: (stochastic_integral(&along(&phi.dxx)?, variation, ITO)? * 0.5)?,
    })
}
