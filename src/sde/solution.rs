//! The march over a grid of times that every solver and sampler shares.

use crate::{Error, Result, interrupt, path::check_times, progress::Progress};
use candle_core::{DType, Device, Tensor};

/// What a solver returns.
#[derive(Clone, Debug)]
pub struct Solution {
    /// The state at the last time.
    pub x: Tensor,
    /// The states at `times`, the first and the last included, if they were asked for.
    pub trajectory: Option<Vec<Tensor>>,
    /// The times of the trajectory. Without one, the time of `x` alone.
    pub times: Vec<f64>,
    /// Whether an interrupt ended the march early; `x` is then the state at the last of `times`.
    pub interrupted: bool,
}

/// A march over times: it detaches each state, keeps the trajectory, watches for interrupts and for
/// states that are not finite, and shows how far it is.
pub(crate) struct March<'a> {
    pub times: &'a [f64],
    /// Keep every so many-th state.
    pub record: Option<usize>,
    /// The label of a progress bar.
    pub progress: Option<&'static str>,
}

impl March<'_> {
    /// Runs `step(x, t, next t)` from one time to the next.
    pub fn run(
        &self,
        start: &Tensor,
        mut step: impl FnMut(&Tensor, f64, f64) -> Result<Tensor>,
    ) -> Result<Solution> {
        check_times(self.times)?;
        if self.record == Some(0) {
            return Err(Error::argument("record", 0, "at least 1, or `None` for no trajectory"));
        }
        check_finite(start, self.times[0])?;
        let steps = self.times.len() - 1;
        let progress = self.progress.map(|label| Progress::new(label, steps as u64));
        // Without this the graph of all steps is kept, and memory grows with their number.
        let mut x = start.detach();
        let mut trajectory = self.record.map(|_| vec![x.clone()]);
        let mut times = vec![self.times[0]];
        let mut interrupted = false;
        let mut reached = self.times[0];
        for (i, pair) in self.times.windows(2).enumerate() {
            if interrupt::requested() {
                interrupted = true;
                break;
            }
            x = step(&x, pair[0], pair[1])?.detach();
            reached = pair[1];
            check_finite(&x, reached)?;
            if let (Some(states), Some(every)) = (&mut trajectory, self.record)
                && ((i + 1) % every == 0 || i + 1 == steps)
            {
                states.push(x.clone());
                times.push(reached);
            }
            if let Some(progress) = &progress {
                progress.set(i as u64 + 1, format!("t = {reached:.3}"));
            }
        }
        if let Some(progress) = &progress {
            progress.finish();
        }
        match &mut trajectory {
            Some(states) if times.last() != Some(&reached) => {
                states.push(x.clone());
                times.push(reached);
            }
            Some(_) => {}
            None => times = vec![reached],
        }
        Ok(Solution { x, trajectory, times, interrupted })
    }
}

fn check_finite(x: &Tensor, t: f64) -> Result<()> {
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
