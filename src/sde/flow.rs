//! Solvers of ordinary differential equations, of which an SDE without noise is one.

use super::{March, Saving, Sde, Solution, solver::Counted};
use crate::Result;
use candle_core::Tensor;

/// How to follow the drift alone, `dx = f(x, t) dt`, in steps of given lengths.
///
/// ```
/// use scorebook::prelude::*;
///
/// // Half the step, and the error is 2^order times as small.
/// let decay = Ito::new(|x, _t| x * -1.0, |_t| 0.0);
/// let x0 = Tensor::new(&[[1f64]], &Device::Cpu)?;
/// let error = |method, steps| -> scorebook::Result<f64> {
///     let x = Flow { method, ..Default::default() }.solve(&decay, &x0, &time_grid(0.0, 1.0, steps)?)?.x;
///     Ok((x.to_vec2::<f64>()?[0][0] - (-1f64).exp()).abs())
/// };
/// for method in [FlowMethod::Euler, FlowMethod::Heun, FlowMethod::RungeKutta4] {
///     let order = (error(method, 100)? / error(method, 200)?).log2();
///     assert!((order - method.order()).abs() < 0.02, "{}", method.name());
/// }
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowMethod {
    /// Euler: `x ← x + f(x, t) Δt`. Order 1, one drift a step.
    Euler,
    /// Heun: the mean of the slopes at the start and at Euler's end. Order 2, two drifts a step.
    #[default]
    Heun,
    /// Runge and Kutta's classical method: `(k₁ + 2k₂ + 2k₃ + k₄)/6`, two of the slopes in the middle.
    /// Order 4, four drifts a step.
    RungeKutta4,
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
        let h = next - t;
        let slope = sde.drift(x, t)?;
        let after = |slope: &Tensor, h: f64| -> Result<Tensor> { Ok((x + (slope * h)?)?) };
        match self {
            Self::Euler => after(&slope, h),
            Self::Heun => {
                let slopes = (&slope + sde.drift(&after(&slope, h)?, next)?)?;
                after(&slopes, 0.5 * h)
            }
            Self::RungeKutta4 => {
                let middle = t + 0.5 * h;
                let second = sde.drift(&after(&slope, 0.5 * h)?, middle)?;
                let third = sde.drift(&after(&second, 0.5 * h)?, middle)?;
                let fourth = sde.drift(&after(&third, h)?, next)?;
                let slopes = ((slope + fourth)? + ((second + third)? * 2.0)?)?;
                after(&slopes, h / 6.0)
            }
        }
    }

    /// The order of the method: the error at a fixed time is `O(Δt^order)`.
    pub fn order(self) -> f64 {
        match self {
            Self::Euler => 1.0,
            Self::Heun => 2.0,
            Self::RungeKutta4 => 4.0,
        }
    }

    /// The method's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Euler => "Euler",
            Self::Heun => "Heun",
            Self::RungeKutta4 => "RK4",
        }
    }
}

/// The solution of `dx/dt = f(x, t)` in steps of given lengths, forward or backward in time (note 001, "Forward-time
/// ODE" and "Reverse-time ODE").
///
/// ```
/// use scorebook::prelude::*;
///
/// let decay = Ito::new(|x, _t| x * -2.0, |_t| 0.0);
/// let x0 = Tensor::new(&[[1f64]], &Device::Cpu)?;
/// let flow = Flow { method: FlowMethod::RungeKutta4, ..Default::default() };
/// let there = flow.solve(&decay, &x0, &time_grid(0.0, 1.0, 50)?)?;
/// assert!((there.x.to_vec2::<f64>()?[0][0] - (-2f64).exp()).abs() < 1e-7);
/// let back = flow.solve(&decay, &there.x, &time_grid(1.0, 0.0, 50)?)?;
/// assert!((back.x.to_vec2::<f64>()?[0][0] - 1.0).abs() < 1e-6);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// Euler, Heun or Runge-Kutta.
    pub method: FlowMethod,
    /// Keep every so many-th state in [`Solution::trajectory`].
    pub record: Option<usize>,
    /// Keep the states at these times, which are added to the grid where it has not got them.
    pub save_at: Vec<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

impl Flow {
    /// Follows the drift from `x0` `[batch, ...]` over a grid of times, upward or downward; noise is left out.
    ///
    /// # Errors
    /// If the times are not strictly upward or downward, the drift has not the shape of `x0`, or a state is not
    /// finite.
    pub fn solve(&self, sde: &dyn Sde, x0: &Tensor, times: &[f64]) -> Result<Solution> {
        let counted = Counted::new(sde);
        let saving =
            Saving { record: self.record, save_at: &self.save_at, progress: self.progress };
        let march = March { times, saving, label: self.method.name() };
        let mut solution = march.run(x0, |x, t, next| self.method.step(&counted, x, t, next))?;
        counted.write(&mut solution.cost);
        Ok(solution)
    }
}
