//! An adaptive solver of SDEs.

use super::{
    Increment, Milstein, Sde, Solution, Solver,
    solver::Counted,
    step_control::{AdaptiveMarch, Attempt, StepControl},
};
use crate::{Error, Result, path::BrownianTree};
use candle_core::Tensor;

/// Steps as long as the tolerances allow, along a Brownian path with random access.
///
/// Each step is made once whole and once in two halves; the difference tells the error, and the halves are kept. A
/// step that is taken back changes nothing: the path is that of the [`BrownianTree`], whatever times were asked for
/// before. (Fresh noise after a rejection would favour increments that are easy to follow.) The whole batch takes the
/// same steps: their error is a root mean square over it.
///
/// With a solver of strong order 1 (Milstein's, for commutative noise) the steps may depend on the path as they do
/// here; with [`EulerMaruyama`](super::EulerMaruyama) and noise that depends on the state they may lead to a wrong
/// limit (Gaines and Lyons, SIAM J. Appl. Math. 57, 1997).
///
/// ```
/// use scorebook::prelude::*;
///
/// let sde = GeometricBrownianMotion { mu: 0.5, sigma: 1.0 };
/// let mut generator = Generator::new(7);
/// let tree = BrownianTree::new(0.0, 1.0, (1, 1), DType::F64, &mut generator, &Device::Cpu)?;
/// let x0 = Tensor::ones((1, 1), DType::F64, &Device::Cpu)?;
/// let solver = Adaptive { rtol: 1e-3, ..Default::default() };
/// let solution = solver.solve(&sde, &x0, &tree, &[0.0, 0.5, 1.0])?;
/// assert_eq!(solution.times, [0.0, 0.5, 1.0]);
/// let exact = tree.value(1.0)?.exp()?;
/// assert!((solution.x / exact)?.affine(1.0, -1.0)?.abs()?.max_all()?.to_scalar::<f64>()? < 0.03);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adaptive<S = Milstein> {
    /// The method of a step; of its settings only those of the method itself count.
    pub solver: S,
    /// The error of a step may be `atol + rtol |x|`.
    pub rtol: f64,
    /// See `rtol`; a number or zero.
    pub atol: f64,
    /// The length of the first step; a hundredth of the whole without one.
    pub first_step: Option<f64>,
    /// No step is longer than this.
    pub max_step: Option<f64>,
    /// Show a progress bar.
    pub progress: bool,
}

/// Milstein's method with `rtol` and `atol` 10⁻³.
impl Default for Adaptive {
    fn default() -> Self {
        Self {
            solver: Milstein::default(),
            rtol: 1e-3,
            atol: 1e-3,
            first_step: None,
            max_step: None,
            progress: false,
        }
    }
}

impl<S: Solver> Adaptive<S> {
    /// Solves the SDE along the path of a tree from `x0` `[batch, ...]` at the first of the times to the last,
    /// upward or downward. [`Solution::trajectory`] holds the states at all of them; a step ends at each.
    ///
    /// # Errors
    /// If the times are not strictly upward or downward or leave the tree, a setting is out of its range, the
    /// method needs time integrals or does not suit the noise, shapes do not fit, or no step that the tree resolves
    /// is short enough for the tolerances (the error names the time).
    pub fn solve(
        &self,
        sde: &dyn Sde,
        x0: &Tensor,
        tree: &BrownianTree,
        times: &[f64],
    ) -> Result<Solution> {
        if self.solver.needs_integrals() {
            let expected = "a method that needs increments only, for instance `Milstein`";
            return Err(Error::argument("solver", self.solver.name(), expected));
        }
        // The error of one step in the mean square is half an order above that of the whole.
        let order = self.solver.strong_order() + 0.5;
        let steps = [self.first_step, self.max_step];
        let mut control = StepControl::new([self.rtol, self.atol], order, steps, x0, times)?;
        let (start, end) = tree.interval();
        // Inside the tree's last cells, 2⁻²⁴ of it, there is no path to follow.
        control.min_step = control.min_step.max((end - start) * 2f64.powi(-20));
        let expected = sde.dispersion(x0, times[0])?.noise_dims(x0)?;
        let got = tree.value(start)?;
        if got.dims() != expected {
            return Err(Error::shape("tree", got.dims(), format!("{expected:?}")));
        }
        let counted = Counted::new(sde);
        let mut tries = 0usize;
        let march = AdaptiveMarch {
            times,
            interpolant: None,
            progress: self.progress.then_some(self.solver.name()),
        };
        let mut solution = march.run(&control, x0, |x, t, next| {
            tries += 1;
            if tries.is_power_of_two() {
                self.solver.admit(sde, x, t)?;
            }
            let middle = 0.5 * (t + next);
            let step = |x: &Tensor, t: f64, next: f64| {
                let noise = Increment { dw: tree.increment(t, next)?, integral: None };
                self.solver.step(&counted, x, t, next, &noise)
            };
            let whole = step(x, t, next)?;
            let halves = step(&step(x, t, middle)?, middle, next)?;
            Ok(Attempt { error: (&halves - whole)?, x: halves, slopes: vec![] })
        })?;
        counted.write(&mut solution.cost);
        Ok(solution)
    }
}
