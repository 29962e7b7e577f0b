//! Solvers of ordinary differential equations, of which an SDE without noise is one.

use super::Sde;
use crate::Result;
use candle_core::Tensor;

/// How to follow the drift alone, `dx = f(x, t) dt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowMethod {
    /// Euler: `x ← x + f(x, t) Δt`. Order 1, one drift a step.
    Euler,
    /// Heun: the mean of the slopes at the start and at Euler's end. Order 2, two drifts a step.
    #[default]
    Heun,
}

impl FlowMethod {
    /// One step from `t` to `next`, along the drift of the SDE; its noise is left out.
    ///
    /// ```
    /// use scorebook::{prelude::*, sde::{FlowMethod, Ito}};
    ///
    /// let decay = Ito::new(|x, _t| x * -1.0, |_t| 0.0);
    /// let x = Tensor::new(&[[1f64]], &Device::Cpu)?;
    /// let end = FlowMethod::Heun.step(&decay, &x, 0.0, 0.1)?;
    /// assert!((end.to_vec2::<f64>()?[0][0] - (1.0 - 0.1 + 0.005)).abs() < 1e-15);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the drift fails.
    pub fn step(self, sde: &dyn Sde, x: &Tensor, t: f64, next: f64) -> Result<Tensor> {
        let slope = sde.drift(x, t)?;
        let euler = (x + (&slope * (next - t))?)?;
        match self {
            Self::Euler => Ok(euler),
            Self::Heun => {
                let slopes = (slope + sde.drift(&euler, next)?)?;
                Ok((x + (slopes * (0.5 * (next - t)))?)?)
            }
        }
    }
}
