//! Steps whose length follows from their error.

use super::{
    Solution,
    solution::{Record, check_finite},
    solver::scalar,
};
use crate::{Error, Result, interrupt, path::check_times, progress::Progress};
use candle_core::{DType, Tensor};

/// A PI controller (Gustafsson, ACM TOMS 17, 1991; Hairer and Wanner, *Solving ordinary differential equations II*,
/// section IV.2) for an error of one step that is `O(h^order)`.
pub(super) struct StepControl {
    /// An error may be `atol + rtol |x|`, in the root mean square over the whole batch.
    pub rtol: f64,
    pub atol: f64,
    pub order: f64,
    /// The length of the first step, without sign.
    pub first_step: f64,
    pub max_step: f64,
    /// A step that ought to be shorter than this is an error.
    pub min_step: f64,
}

/// A step that was tried.
pub(super) struct Attempt {
    /// The state at its end.
    pub x: Tensor,
    /// An estimate of its error.
    pub error: Tensor,
    /// What the interpolant needs.
    pub slopes: Vec<Tensor>,
}

/// The state at a share of a step of signed length `h` from `x`, given what the attempt left.
pub(super) type Interpolant =
    fn(x: &Tensor, h: f64, slopes: &[Tensor], share: f64) -> Result<Tensor>;

/// A march whose states are wanted at given times, of which the first is the start.
pub(super) struct AdaptiveMarch<'a> {
    pub times: &'a [f64],
    /// How to find states inside a step. Without one, a step ends at each time.
    pub interpolant: Option<Interpolant>,
    /// The label of a progress bar.
    pub progress: Option<&'a str>,
}

impl AdaptiveMarch<'_> {
    /// Tries `attempt(x, t, next t)` until the last time is reached.
    pub fn run(
        &self,
        control: &StepControl,
        x0: &Tensor,
        mut attempt: impl FnMut(&Tensor, f64, f64) -> Result<Attempt>,
    ) -> Result<Solution> {
        let (start, end) = (self.times[0], self.times[self.times.len() - 1]);
        let (sign, span) = ((end - start).signum(), (end - start).abs());
        check_finite(x0, start)?;
        let progress = self.progress.map(|label| Progress::new(label, 1000));
        let mut record = Record::new(x0.detach(), start, true);
        let (mut t, mut wanted) = (start, 1);
        let (mut h, mut before, mut rejected) =
            (control.first_step.min(control.max_step), 1.0f64, false);
        while wanted < self.times.len() {
            if interrupt::requested() {
                record.interrupted = true;
                break;
            }
            let stop = if self.interpolant.is_some() { end } else { self.times[wanted] };
            // A rest that is hardly longer than the step is taken with it, or else halved.
            let rest = (stop - t).abs();
            let (next, tried) = match rest / h {
                ratio if ratio <= 1.01 => (stop, rest),
                ratio if ratio < 2.0 => (t + 0.5 * sign * rest, 0.5 * rest),
                _ => (t + sign * h, h),
            };
            let Attempt { x, error, slopes } = attempt(&record.x, t, next)?;
            let norm = control.norm(&error, &record.x, &x)?;
            let power = 1.0 / control.order;
            // An overflow is a rejection like any other.
            if norm > 1.0 || norm.is_nan() {
                record.cost.rejected_steps += 1;
                rejected = true;
                let factor = if norm.is_finite() { 0.9 * norm.powf(-power) } else { 0.1 };
                h = tried * factor.max(0.1);
                if h < control.min_step {
                    return Err(control.underflow(h, t));
                }
                continue;
            }
            let x = x.detach();
            if let Some(interpolant) = self.interpolant {
                while wanted < self.times.len() && sign * (self.times[wanted] - next) < 0.0 {
                    let share = (self.times[wanted] - t) / (next - t);
                    let between = interpolant(&record.x, next - t, &slopes, share)?.detach();
                    record.keep(between, self.times[wanted]);
                    wanted += 1;
                }
            }
            let keep = next == self.times[wanted];
            wanted += usize::from(keep);
            check_finite(&x, next)?;
            record.reach(x, next, keep);
            t = next;
            let norm = norm.max(1e-4);
            let factor = 0.9 * norm.powf(-0.85 * power) * before.powf(0.2 * power);
            // After a rejection a step does not grow at once.
            let most = if rejected { 1.0 } else { 10.0 };
            h = (tried * factor.clamp(0.2, most)).min(control.max_step).max(control.min_step);
            (before, rejected) = (norm, false);
            if let Some(progress) = &progress {
                let share = (t - start).abs() / span;
                progress.set((1000.0 * share) as u64, format!("t = {t:.3}"));
            }
        }
        if let Some(progress) = &progress {
            progress.finish();
        }
        Ok(record.end(true))
    }
}

impl StepControl {
    /// That the settings are in their ranges and the times a grid.
    pub fn new(
        [rtol, atol]: [f64; 2],
        order: f64,
        [first_step, max_step]: [Option<f64>; 2],
        x0: &Tensor,
        times: &[f64],
    ) -> Result<Self> {
        check_times(times)?;
        // Below some units in the last place a step's error is rounding, whatever its length.
        let least = match x0.dtype() {
            DType::F64 => 10.0 * f64::EPSILON,
            DType::F32 => 10.0 * f64::from(f32::EPSILON),
            _ => 0.05,
        };
        if !(rtol >= least && rtol.is_finite()) {
            let expected =
                format!("a number of at least {least:.1e} for states of {}", x0.dtype().as_str());
            return Err(Error::argument("rtol", format!("{rtol:e}"), expected));
        }
        if !(atol >= 0.0 && atol.is_finite()) {
            return Err(Error::argument("atol", atol, "a number of at least 0"));
        }
        for (name, value) in [("first_step", first_step), ("max_step", max_step)] {
            if let Some(value) = value
                && !(value > 0.0 && value.is_finite())
            {
                return Err(Error::argument(name, value, "a positive number"));
            }
        }
        let (start, end) = (times[0], times[times.len() - 1]);
        let span = (end - start).abs();
        Ok(Self {
            rtol,
            atol,
            order,
            first_step: first_step.unwrap_or(0.01 * span),
            max_step: max_step.unwrap_or(span),
            min_step: 16.0 * f64::EPSILON * start.abs().max(end.abs()),
        })
    }

    /// The root mean square of `error/(atol + rtol max(|x|, |y|))`.
    pub fn norm(&self, error: &Tensor, x: &Tensor, y: &Tensor) -> Result<f64> {
        let allowed = x.abs()?.maximum(&y.abs()?)?.affine(self.rtol, self.atol)?;
        // Without `atol` a state that is 0 may have no error; this keeps 0/0 out.
        let allowed = allowed.maximum(f64::from(f32::MIN_POSITIVE))?;
        Ok(scalar(&(error / allowed)?.sqr()?.mean_all()?)?.sqrt())
    }

    fn underflow(&self, h: f64, t: f64) -> Error {
        let expected = format!(
            "tolerances that a step can meet: with atol = {:e}, the one from t = {t} would be as short as {h:.1e}. \
             The solution may grow without bound there, or the type of the state be too coarse for the tolerances",
            self.atol
        );
        Error::argument("rtol", format!("{:e}", self.rtol), expected)
    }
}
