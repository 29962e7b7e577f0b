//! The settings of a training.

use super::{DenoisingLoss, LabelDrop, Optimizer, Schedule, average};
use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};

/// The settings of a [`Training`](super::Training).
///
/// ```
/// use scorebook::train::{Schedule, TrainingSettings};
///
/// let settings = TrainingSettings {
///     batch: 256,
///     warmup: 100,
///     schedule: Schedule::Cosine { steps: 5000 },
///     ..Default::default()
/// };
/// assert_eq!(settings.learning_rate_at(50), 0.5e-3);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingSettings {
    /// How many samples a step takes.
    pub batch: usize,
    /// In how many parts the gradient of a batch is computed, a divisor of `batch`. The step is the same to rounding;
    /// it takes the memory of one part.
    pub accumulate: usize,
    /// What a step does with the gradient.
    pub optimizer: Optimizer,
    /// The step size, after the warm-up.
    pub learning_rate: f64,
    /// Over how many steps the step size grows linearly to `learning_rate`.
    pub warmup: u64,
    /// What it does then.
    pub schedule: Schedule,
    /// The largest Euclidean norm of the whole gradient; a longer one is scaled down to it.
    pub clip: f64,
    /// The decay of the moving average of the weights, `w̄ ← decay w̄ + (1 - decay) w`; in the first steps
    /// `(1 + n) / (10 + n)` where that is less.
    pub ema: f64,
    /// The relative width `σ_rel` of an average that remembers by a power of the step and takes the place of `ema`:
    /// `decay = (1 - 1/n)^(γ+1)`, where `σ_rel = √(γ+1) / ((γ+2) √(γ+3))` (Karras et al. 2024, EDM2, equations 123 and
    /// 127, who take 0.05 to 0.1). It grows with the training and forgets the first weights.
    pub power_ema: Option<f64>,
    /// The loss.
    #[serde(alias = "t_min", deserialize_with = "loss_or_earliest_time")]
    pub loss: DenoisingLoss,
    /// On a GPU, convolutions in bf16 (see [`autocast`](crate::tensor::autocast)).
    pub bf16: bool,
    /// How often labels are left out, of a network that takes labels.
    pub label_drop: LabelDrop,
    /// The seed of the order of the samples, the times and the noise.
    pub seed: u64,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            batch: 64,
            accumulate: 1,
            optimizer: Optimizer::default(),
            learning_rate: 1e-3,
            warmup: 500,
            schedule: Schedule::default(),
            clip: 1.,
            ema: 0.999,
            power_ema: None,
            loss: DenoisingLoss::default(),
            bf16: false,
            label_drop: LabelDrop::default(),
            seed: 0,
        }
    }
}

impl TrainingSettings {
    /// The learning rate of step `step`, counted from 1: warmed up and as the schedule has it.
    pub fn learning_rate_at(&self, step: u64) -> f64 {
        self.learning_rate * self.schedule.factor(step, self.warmup)
    }

    /// The decay of the average of the weights at step `step`.
    pub(super) fn decay_at(&self, step: u64) -> f64 {
        match self.power_ema {
            Some(width) => average::power_decay(width, step),
            None => average::exponential_decay(self.ema, step),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.batch == 0 {
            return Err(Error::argument("batch", 0, "at least 1"));
        }
        if self.accumulate == 0 || !self.batch.is_multiple_of(self.accumulate) {
            let expected = format!("a divisor of the batch, which is {}", self.batch);
            return Err(Error::argument("accumulate", self.accumulate, expected));
        }
        let positive = |name, value: f64| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(Error::argument(name, value, "a positive number")),
        };
        positive("learning_rate", self.learning_rate)?;
        positive("clip", self.clip)?;
        positive("t_min", self.loss.t_min)?;
        self.optimizer.check()?;
        self.label_drop.check()?;
        self.schedule.check(self.warmup)?;
        if let Some(width) = self.power_ema {
            average::check_width(width)?;
        }
        match (0.0..1.0).contains(&self.ema) {
            true => Ok(()),
            false => {
                Err(Error::argument("ema", self.ema, "a decay from 0 up to but not including 1"))
            }
        }
    }
}

/// Earlier checkpoints hold the number `t_min` in the place of the loss.
fn loss_or_earliest_time<'de, D: Deserializer<'de>>(from: D) -> Result<DenoisingLoss, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        EarliestTime(f64),
        Loss(DenoisingLoss),
    }
    Ok(match Stored::deserialize(from)? {
        Stored::EarliestTime(t_min) => DenoisingLoss { t_min, ..Default::default() },
        Stored::Loss(loss) => loss,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_version_wrote_is_read() {
        let old = r#"{"batch":32,"learning_rate":0.002,"warmup":7,"clip":1.0,"ema":0.99,"t_min":0.02,"seed":3}"#;
        let settings: TrainingSettings = serde_json::from_str(old).unwrap();
        assert_eq!((settings.batch, settings.warmup, settings.loss.t_min), (32, 7, 0.02));
        assert_eq!(settings.optimizer, Optimizer::adam());
        assert_eq!((settings.schedule, settings.accumulate), (Schedule::Constant, 1));
        assert_eq!(settings.power_ema, None);
    }

    #[test]
    fn settings_are_written_and_read_back() {
        for optimizer in [Optimizer::adam(), Optimizer::adamw(0.1), Optimizer::sgd(0.9)] {
            for schedule in [
                Schedule::Constant,
                Schedule::Cosine { steps: 1000 },
                Schedule::InverseSquareRoot { reference: 70 },
            ] {
                let settings = TrainingSettings {
                    optimizer,
                    schedule,
                    power_ema: Some(0.1),
                    loss: serde_json::from_str(r#"{"t_min":0.1}"#).unwrap(),
                    ..Default::default()
                };
                let json = serde_json::to_string(&settings).unwrap();
                assert_eq!(serde_json::from_str::<TrainingSettings>(&json).unwrap(), settings);
            }
        }
        for json in
            [r#"{"bach":3}"#, r#"{"optimizer":{"optimizer":"lion"}}"#, r#"{"loss":"small"}"#]
        {
            serde_json::from_str::<TrainingSettings>(json).unwrap_err();
        }
    }
}
