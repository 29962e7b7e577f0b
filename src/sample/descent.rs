//! The way of a sampler: the settings that all of them have, and the march along it.

use super::Spacing;
use crate::{
    Error, Result,
    diffusion::NoisingProcess,
    score::Score,
    sde::{March, Saving, Solution},
};
use candle_core::Tensor;

/// The settings that every sampler has: how it goes down from the horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// Steps from the horizon to `t_min`.
    pub steps: usize,
    /// How the times are spaced.
    pub spacing: Spacing,
    /// Where the steps end.
    pub t_min: f64,
    /// End with the mean of the data given the last state, [`tweedie`](crate::score::tweedie).
    pub denoise: bool,
    /// Keep every so many-th state.
    pub record: Option<usize>,
    /// Show a progress bar.
    pub progress: bool,
}

impl Descent {
    /// The times from the horizon down to `t_min`.
    ///
    /// ```
    /// use scorebook::{prelude::*, sample::Descent};
    ///
    /// let descent = Descent { steps: 4, spacing: Spacing::Uniform, t_min: 0.2, denoise: true, record: None, progress: false };
    /// let times = descent.times(&VariancePreserving::default())?;
    /// assert!(times.iter().zip([1.0, 0.8, 0.6, 0.4, 0.2]).all(|(t, exact)| (t - exact).abs() < 1e-12));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn times(&self, process: &dyn NoisingProcess) -> Result<Vec<f64>> {
        self.spacing.times(process, self.t_min, self.steps)
    }
}

/// What a sampler runs along: the process, its score, and the times of the states, downward from noise to data or
/// upward to encode.
pub struct Way<'a> {
    /// The process that is reversed.
    pub process: &'a dyn NoisingProcess,
    /// The score of its marginals; each call is counted.
    pub score: &'a dyn Score,
    /// The times of the states.
    pub times: &'a [f64],
    pub(super) name: &'static str,
    pub(super) record: Option<usize>,
    pub(super) progress: bool,
}

impl Way<'_> {
    /// Runs `step(x, t, next t)` from one time to the next, with all that a march has: states are detached, kept
    /// if they are wanted, and watched; an interrupt ends it.
    ///
    /// # Errors
    /// If a step fails, or a state is not finite.
    pub fn march(
        &self,
        start: &Tensor,
        step: impl FnMut(&Tensor, f64, f64) -> Result<Tensor>,
    ) -> Result<Solution> {
        self.march_along(self.times, start, step)
    }

    /// The same along other times, for samplers that have a step of their own to 0, or steps within a step.
    pub(crate) fn march_along(
        &self,
        times: &[f64],
        start: &Tensor,
        step: impl FnMut(&Tensor, f64, f64) -> Result<Tensor>,
    ) -> Result<Solution> {
        let saving = Saving { record: self.record, progress: self.progress, ..Default::default() };
        March { times, saving, label: self.name }.run(start, step)
    }

    /// For samplers that divide by `σ(t)` at the start of a step.
    pub(super) fn starts_with_noise(&self) -> Result<()> {
        if self.process.std(self.times[0]) > 0.0 {
            return Ok(());
        }
        let expected = format!("a time with noise, since {} divides by its level", self.name);
        Err(Error::argument("t_min", self.times[0], expected))
    }
}
