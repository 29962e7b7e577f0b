//! Dormand and Prince's adaptive method for ordinary differential equations.

use super::{
    Sde, Solution,
    solver::Counted,
    step_control::{AdaptiveMarch, Attempt, StepControl},
};
use crate::Result;
use candle_core::Tensor;

/// Dormand and Prince's method of order 5(4) for `dx/dt = f(x, t)`, with steps as long as the tolerances allow,
/// forward or backward in time.
///
/// Seven slopes a step, of which the last is the next step's first; the difference to an embedded method of order 4
/// tells the error. States are given at the times asked for by Shampine's quartic through the slopes, so saving
/// often does not shorten the steps. The whole batch takes the same steps: their error is a root mean square over
/// it.
///
/// Source: Dormand and Prince, J. Comput. Appl. Math. 6, 1980; Shampine, Math. Comp. 46, 1986 (the interpolant). It
/// is the method behind `RK45` of SciPy and `ode45` of MATLAB.
///
/// ```
/// use scorebook::prelude::*;
///
/// // The pendulum, x = (angle, velocity).
/// let pendulum = Ito::new(
///     |x, _t| {
///         let (angle, velocity) = (x.narrow(1, 0, 1)?, x.narrow(1, 1, 1)?);
///         Tensor::cat(&[velocity, angle.sin()?.neg()?], 1)
///     },
///     |_t| 0.0,
/// );
/// let x0 = Tensor::new(&[[1f64, 0.0]], &Device::Cpu)?;
/// let solver = DormandPrince { rtol: 1e-9, atol: 1e-12, ..Default::default() };
/// let solution = solver.solve(&pendulum, &x0, &time_grid(0.0, 10.0, 100)?)?;
/// assert_eq!(solution.trajectory.unwrap().len(), 101);
/// // The energy stays what it was.
/// let end = solution.x.to_vec2::<f64>()?;
/// let energy = 0.5 * end[0][1].powi(2) - end[0][0].cos();
/// assert!((energy + 1f64.cos()).abs() < 1e-8);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DormandPrince {
    /// The error of a step may be `atol + rtol |x|`.
    pub rtol: f64,
    /// See `rtol`; a number or zero.
    pub atol: f64,
    /// The length of the first step; without one it is guessed from the slope and its change.
    pub first_step: Option<f64>,
    /// No step is longer than this.
    pub max_step: Option<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

/// `rtol` 10⁻⁵ and `atol` 10⁻⁸, steps as the method chooses them.
impl Default for DormandPrince {
    fn default() -> Self {
        Self { rtol: 1e-5, atol: 1e-8, first_step: None, max_step: None, progress: false }
    }
}

/// Where the slopes are taken, as shares of a step.
const NODES: [f64; 7] = [0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];

/// The states where they are taken, from the slopes before; the last row is the step itself.
const STAGES: [&[f64]; 7] = [
    &[],
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
    &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
    &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];

/// The step of order 5 less that of order 4.
const ERROR: [f64; 7] = [
    71.0 / 57600.0,
    0.0,
    -71.0 / 16695.0,
    71.0 / 1920.0,
    -17253.0 / 339200.0,
    22.0 / 525.0,
    -1.0 / 40.0,
];

/// The weight of each slope at the share `θ` of a step: coefficients of `θ`, `θ²`, `θ³`, `θ⁴`.
const DENSE: [[f64; 4]; 7] = [
    [
        1.0,
        -8048581381.0 / 2820520608.0,
        8663915743.0 / 2820520608.0,
        -12715105075.0 / 11282082432.0,
    ],
    [0.0; 4],
    [
        0.0,
        131558114200.0 / 32700410799.0,
        -68118460800.0 / 10900136933.0,
        87487479700.0 / 32700410799.0,
    ],
    [0.0, -1754552775.0 / 470086768.0, 14199869525.0 / 1410260304.0, -10690763975.0 / 1880347072.0],
    [
        0.0,
        127303824393.0 / 49829197408.0,
        -318862633887.0 / 49829197408.0,
        701980252875.0 / 199316789632.0,
    ],
    [0.0, -282668133.0 / 205662961.0, 2019193451.0 / 616988883.0, -1453857185.0 / 822651844.0],
    [0.0, 40617522.0 / 29380423.0, -110615467.0 / 29380423.0, 69997945.0 / 29380423.0],
];

impl DormandPrince {
    /// Follows the drift from `x0` `[batch, ...]` at the first of the times to the last, upward or downward; noise
    /// is left out. [`Solution::trajectory`] holds the states at all of them; after an interrupt, at those that were
    /// reached and where the march stopped.
    ///
    /// ```
    /// use scorebook::{prelude::*, interrupt};
    ///
    /// let decay = Ito::new(
    ///     |x, t| {
    ///         if t > 0.6 {
    ///             interrupt::request();
    ///         }
    ///         x.neg()
    ///     },
    ///     |_t| 0.0,
    /// );
    /// let x0 = Tensor::ones((1, 1), DType::F64, &Device::Cpu)?;
    /// let solution = DormandPrince::default().solve(&decay, &x0, &[0.0, 0.5, 5.0])?;
    /// assert!(solution.interrupted && solution.times.len() == 3 && solution.times[2] < 1.5);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the times are not strictly upward or downward, a setting is out of its range, the drift has not the shape
    /// of `x0`, or no step is short enough for the tolerances (the error names the time).
    pub fn solve(&self, sde: &dyn Sde, x0: &Tensor, times: &[f64]) -> Result<Solution> {
        let tolerances = [self.rtol, self.atol];
        let steps = [self.first_step, self.max_step];
        let mut control = StepControl::new(tolerances, 5.0, steps, x0, times)?;
        let counted = Counted::new(sde);
        let (start, end) = (times[0], times[times.len() - 1]);
        let first = counted.drift(x0, start)?;
        if self.first_step.is_none() {
            control.first_step = guess(&control, &counted, x0, &first, start, end)?;
        }
        // The slopes at the ends of the last attempt and the times they belong to: whether it was accepted or not,
        // the next one starts at one of the two.
        let mut known = [(start, first.clone()), (start, first)];
        let march = AdaptiveMarch {
            times,
            interpolant: Some(between),
            progress: self.progress.then_some("Dormand-Prince"),
        };
        let mut solution = march.run(&control, x0, |x, t, next| {
            let first = known[usize::from(known[1].0 == t)].1.clone();
            let (h, mut slopes) = (next - t, vec![first.clone()]);
            let mut end = x.clone();
            for (node, weights) in NODES.iter().zip(STAGES).skip(1) {
                end = (x + (combine(&slopes, weights)? * h)?)?;
                slopes.push(counted.drift(&end, t + node * h)?.detach());
            }
            known = [(t, first), (next, slopes[6].clone())];
            let error = (combine(&slopes, &ERROR)? * h)?;
            Ok(Attempt { x: end, error, slopes })
        })?;
        counted.write(&mut solution.cost);
        Ok(solution)
    }
}

/// `Σ w_i k_i`.
fn combine(slopes: &[Tensor], weights: &[f64]) -> Result<Tensor> {
    let mut sum = (&slopes[0] * weights[0])?;
    for (slope, weight) in slopes.iter().zip(weights).skip(1).filter(|(_, weight)| **weight != 0.0)
    {
        sum = (sum + (slope * *weight)?)?;
    }
    Ok(sum)
}

fn between(x: &Tensor, h: f64, slopes: &[Tensor], share: f64) -> Result<Tensor> {
    let weights = DENSE.map(|row| row.iter().rev().fold(0.0, |sum, c| (sum + c) * share));
    Ok((x + (combine(slopes, &weights)? * h)?)?)
}

/// A first step that changes the state by about a hundredth of what Taylor's second term would (Hairer, Nørsett and
/// Wanner, *Solving ordinary differential equations I*, section II.4).
fn guess(
    control: &StepControl,
    sde: &dyn Sde,
    x0: &Tensor,
    slope: &Tensor,
    start: f64,
    end: f64,
) -> Result<f64> {
    let (size, speed) = (control.norm(x0, x0, x0)?, control.norm(slope, x0, x0)?);
    let trial = if size < 1e-5 || speed < 1e-5 { 1e-6 } else { 0.01 * size / speed };
    let trial = trial.min((end - start).abs());
    let h = trial * (end - start).signum();
    let turned = (sde.drift(&(x0 + (slope * h)?)?, start + h)? - slope)?;
    let change = control.norm(&turned, x0, x0)? / trial;
    let most = speed.max(change);
    let h = if most <= 1e-15 { (1e-3 * trial).max(1e-6) } else { (0.01 / most).powf(0.2) };
    Ok(h.min(100.0 * trial))
}
