//! What the samplers share: the way down from `T`, the count of score evaluations, the last denoising.

use crate::{
    Error, Result,
    diffusion::NoisingProcess,
    path::time_grid,
    score::{Score, tweedie},
    sde::{March, Saving, Solution},
};
use candle_core::Tensor;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a sampler returns.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The samples, `[batch, ...]`. After an interrupt, the states at the last of `times`.
    pub x: Tensor,
    /// The states at `times`, noise first, if they were asked for.
    pub trajectory: Option<Vec<Tensor>>,
    /// The times of the trajectory. Without one, the time of `x` alone.
    pub times: Vec<f64>,
    /// How often the score was evaluated on the whole batch: what a sample costs.
    pub score_evaluations: usize,
    /// Whether an interrupt ended the sampling early.
    pub interrupted: bool,
}

/// The settings that every sampler has.
pub(super) struct Descent {
    pub steps: usize,
    pub t_min: f64,
    pub denoise: bool,
    pub record: Option<usize>,
    pub progress: Option<&'static str>,
}

impl Descent {
    /// Runs `step(score, x, t, next t)` from `T` down to `t_min`, then denoises.
    pub fn run(
        &self,
        process: &dyn NoisingProcess,
        score: &dyn Score,
        start: &Tensor,
        mut step: impl FnMut(&dyn Score, &Tensor, f64, f64) -> Result<Tensor>,
    ) -> Result<Sample> {
        let horizon = process.horizon();
        if !(0.0..horizon).contains(&self.t_min) {
            let expected =
                format!("a time of at least 0 and below the horizon, which is {horizon}");
            return Err(Error::argument("t_min", self.t_min, expected));
        }
        if start.rank() == 0 {
            return Err(Error::shape("x", start.dims(), "[batch, ...]"));
        }
        let score = Counted { score, evaluations: AtomicUsize::new(0) };
        let times = time_grid(horizon, self.t_min, self.steps)?;
        let progress = self.progress.is_some();
        let saving = Saving { record: self.record, progress, ..Default::default() };
        let march = March { times: &times, saving, label: self.progress.unwrap_or_default() };
        let Solution { mut x, mut trajectory, mut times, interrupted, .. } =
            march.run(start, |x, t, next| step(&score, x, t, next))?;
        if self.denoise && self.t_min > 0.0 && !interrupted {
            x = tweedie(process, &score, &x, self.t_min)?.detach();
            match &mut trajectory {
                Some(states) => {
                    states.push(x.clone());
                    times.push(0.0);
                }
                None => times = vec![0.0],
            }
        }
        let score_evaluations = score.evaluations.into_inner();
        Ok(Sample { x, trajectory, times, score_evaluations, interrupted })
    }
}

/// A score that counts how often it is asked.
struct Counted<'a> {
    score: &'a dyn Score,
    evaluations: AtomicUsize,
}

impl Score for Counted<'_> {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        let score = self.score.score(x, t)?;
        if score.dims() != x.dims() {
            let expected = format!("the shape of `x`, {:?}", x.dims());
            return Err(Error::shape("score", score.dims(), expected));
        }
        Ok(score)
    }
}
