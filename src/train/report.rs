//! What a training tells: of each step, and of a run of steps.

use super::LossByTime;
use crate::Result;
use crate::plot::{self, Figure};
use serde::{Deserialize, Serialize};

/// What one step tells its watcher and the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// How many steps have been made in all, this one included.
    pub step: u64,
    /// The loss of the step's batch.
    pub loss: f64,
    /// The Euclidean norm of the whole gradient, before clipping.
    pub gradient_norm: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// Samples a second, over this run so far.
    pub throughput: f64,
    /// The loss on the held-out samples, where they were looked at after the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<LossByTime>,
}

/// What a run of steps did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How many steps had been made before the run.
    pub begin: u64,
    /// The loss of every step of the run.
    pub losses: Vec<f64>,
    /// The losses on the held-out samples, each with the step after which it was taken.
    pub validations: Vec<(u64, LossByTime)>,
    /// Whether the run was asked to stop before its last step. Nothing is lost: `run` again to go on.
    pub interrupted: bool,
    /// Whether the run stopped because the loss on the held-out samples had come to no new low.
    pub stopped_early: bool,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// So many points a curve has at most: each is the mean of the steps around it.
const POINTS: usize = 200;

impl Report {
    pub(super) fn add(&mut self, step: &Step) {
        self.losses.push(step.loss);
        self.validations.extend(step.validation.iter().map(|loss| (step.step, loss.clone())));
    }

    /// The loss over the steps, smoothed where they are many, and the loss on the held-out samples.
    ///
    /// ```
    /// use scorebook::train::Report;
    ///
    /// let report = Report { losses: (1..=100).map(|step| 1.0 / f64::from(step)).collect(), ..Default::default() };
    /// assert!(report.figure()?.svg()?.contains("step"));
    /// // Nothing can be drawn of no step.
    /// assert!(Report::default().figure().is_err());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If no step was made, or a loss is infinite.
    pub fn figure(&self) -> Result<Figure> {
        let together = self.losses.len().div_ceil(POINTS).max(1);
        let curve: Vec<(f64, f64)> = self
            .losses
            .chunks(together)
            .enumerate()
            .map(|(k, losses)| {
                let middle = (k * together) as f64 + (losses.len() as f64 + 1.0) / 2.0;
                (self.begin as f64 + middle, losses.iter().sum::<f64>() / losses.len() as f64)
            })
            .collect();
        let name = match together {
            1 => "loss".into(),
            _ => format!("loss, means of {together} steps"),
        };
        let mut figure = plot::line(&[(name, curve)])?.x_label("step").y_label("loss");
        let validations: Vec<(f64, f64)> =
            self.validations.iter().map(|(step, by_time)| (*step as f64, by_time.loss)).collect();
        if !validations.is_empty() {
            figure = figure.overlay(plot::line(&[("held-out samples", validations)])?)?;
        }
        match self.losses.iter().all(|&loss| loss > 0.0) {
            true => figure.log_y(),
            false => Ok(figure),
        }
    }
}
