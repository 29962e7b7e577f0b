//! The march over a grid of times that every solver and sampler shares.

use crate::{Error, Result, interrupt, path::check_times, progress::Progress};
use candle_core::{DType, Device, Tensor};

/// What a solver returns.
#[derive(Clone, Debug)]
pub struct Solution {
    /// The state at the last time.
    pub x: Tensor,
    /// The states at `times`, if they were asked for.
    pub trajectory: Option<Vec<Tensor>>,
    /// The times of the trajectory. Without one, the time of `x` alone.
    pub times: Vec<f64>,
    /// Whether an interrupt ended the march early; `x` is then the state at the last of `times`.
    pub interrupted: bool,
    /// What it took.
    pub cost: Cost,
}

/// What a solution took: steps, and evaluations on the whole batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Steps that were made.
    pub steps: usize,
    /// Steps that an adaptive solver tried and took back.
    pub rejected_steps: usize,
    /// Evaluations of the drift by the steps.
    pub drift_evaluations: usize,
    /// Evaluations of the dispersion by the steps; those for a Stratonovich drift's derivatives are not counted.
    pub dispersion_evaluations: usize,
}

/// Which states a solver keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Saving<'a> {
    /// The first state, every so many-th after it, and the last.
    pub record: Option<usize>,
    /// The states at these times, which are added to the grid where it has not got them.
    pub save_at: &'a [f64],
    /// Show a progress bar.
    pub progress: bool,
}

impl Saving<'_> {
    /// The grid with the times of `save_at` in it, and for each of its times whether its state is kept.
    pub(super) fn plan(&self, times: &[f64]) -> Result<(Vec<f64>, Vec<bool>)> {
        check_times(times)?;
        if self.record == Some(0) {
            return Err(Error::argument("record", 0, "at least 1, or `None` for no trajectory"));
        }
        let (start, end) = (times[0], times[times.len() - 1]);
        let sign = (end - start).signum();
        // Closer than this to a time of the grid it is that time, which rounding moved.
        let same = 1e-12 * (end - start).abs();
        if let [first, second, ..] = self.save_at {
            check_times(self.save_at)?;
            if sign * (second - first) < 0.0 {
                return Err(outside(*second, start, end));
            }
        }
        let mut wanted = self.save_at.iter().copied().peekable();
        let (mut grid, mut keep) = (Vec::with_capacity(times.len()), Vec::new());
        for t in times {
            while let Some(wish) = wanted.next_if(|wish| sign * (wish - t) < -same) {
                if grid.is_empty() {
                    return Err(outside(wish, start, end));
                }
                grid.push(wish);
                keep.push(true);
            }
            grid.push(*t);
            keep.push(wanted.next_if(|wish| (wish - t).abs() <= same).is_some());
        }
        if let Some(wish) = wanted.next() {
            return Err(outside(wish, start, end));
        }
        if let Some(every) = self.record {
            let last = grid.len() - 1;
            for (i, keep) in keep.iter_mut().enumerate() {
                *keep |= i % every == 0 || i == last;
            }
        }
        Ok((grid, keep))
    }
}

fn outside(t: f64, start: f64, end: f64) -> Error {
    let expected = format!("times from {start} to {end}, in the direction of the march");
    Error::argument("save_at", t, expected)
}

/// A march over times: it detaches each state, keeps what was asked for, watches for interrupts and for
/// states that are not finite, and shows how far it is.
pub(crate) struct March<'a> {
    pub times: &'a [f64],
    pub saving: Saving<'a>,
    /// The label of the progress bar.
    pub label: &'a str,
}

impl March<'_> {
    /// Runs `step(x, t, next t)` from one time to the next.
    pub fn run(
        &self,
        start: &Tensor,
        mut step: impl FnMut(&Tensor, f64, f64) -> Result<Tensor>,
    ) -> Result<Solution> {
        let (times, keep) = self.saving.plan(self.times)?;
        check_finite(start, times[0])?;
        let steps = times.len() - 1;
        let progress = self.saving.progress.then(|| Progress::new(self.label, steps as u64));
        // Without this the graph of all steps is kept, and memory grows with their number.
        let mut record = Record::new(start.detach(), times[0], keep[0]);
        for (i, pair) in times.windows(2).enumerate() {
            if interrupt::requested() {
                record.interrupted = true;
                break;
            }
            let x = step(&record.x, pair[0], pair[1])?.detach();
            check_finite(&x, pair[1])?;
            record.reach(x, pair[1], keep[i + 1]);
            if let Some(progress) = &progress {
                progress.set(i as u64 + 1, format!("t = {:.3}", pair[1]));
            }
        }
        if let Some(progress) = &progress {
            progress.finish();
        }
        Ok(record.end(self.saving.record.is_some() || !self.saving.save_at.is_empty()))
    }
}

/// A solution while it is made.
pub(super) struct Record {
    pub x: Tensor,
    pub interrupted: bool,
    pub cost: Cost,
    t: f64,
    states: Vec<Tensor>,
    times: Vec<f64>,
}

impl Record {
    pub fn new(x: Tensor, t: f64, keep: bool) -> Self {
        let (states, times) = if keep { (vec![x.clone()], vec![t]) } else { (vec![], vec![]) };
        Self { x, interrupted: false, cost: Cost::default(), t, states, times }
    }

    /// A step has come to the state `x` at the time `t`.
    pub fn reach(&mut self, x: Tensor, t: f64, keep: bool) {
        if keep {
            self.keep(x.clone(), t);
        }
        self.cost.steps += 1;
        (self.x, self.t) = (x, t);
    }

    /// A state between two steps.
    pub fn keep(&mut self, x: Tensor, t: f64) {
        self.states.push(x);
        self.times.push(t);
    }

    pub fn end(mut self, wanted: bool) -> Solution {
        if wanted && self.interrupted && self.times.last() != Some(&self.t) {
            self.keep(self.x.clone(), self.t);
        }
        let (trajectory, times) =
            if wanted { (Some(self.states), self.times) } else { (None, vec![self.t]) };
        let Self { x, interrupted, cost, .. } = self;
        Solution { x, trajectory, times, interrupted, cost }
    }
}

pub(super) fn check_finite(x: &Tensor, t: f64) -> Result<()> {
    // One number that is not finite makes the sum so. A sum of half-precision numbers could overflow on its own.
    let x = if x.dtype() == DType::F64 { x.clone() } else { x.to_dtype(DType::F32)? };
    let sum = x.sum_all()?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    if sum.is_finite() {
        return Ok(());
    }
    Err(Error::NotFinite {
        what: "the state".into(),
        at: format!("t = {t}"),
        remedy: "Take more steps, or look at drift, dispersion and score there".into(),
    })
}
