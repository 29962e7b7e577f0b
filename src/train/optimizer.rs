//! The optimisers: what a step does with a gradient.

use crate::tensor::{AdamStep, adam_step, momentum_step};
use crate::{Error, Result};
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

/// What a step of training does with the gradient `g` of the loss; `η` is the learning rate of the step `n`.
///
/// ```
/// use scorebook::train::{Optimizer, TrainingSettings};
///
/// let optimizer = Optimizer::adamw(0.01);
/// let settings = TrainingSettings { optimizer, ..Default::default() };
/// assert_eq!(TrainingSettings::default().optimizer, Optimizer::adam());
/// assert_eq!(Optimizer::sgd(0.9), Optimizer::Sgd { momentum: 0.9 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "optimizer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// `m ← β₁ m + (1-β₁) g`, `v ← β₂ v + (1-β₂) g²`, `w ← w - η m̂ / (√v̂ + ε)` with `m̂ = m / (1-β₁ⁿ)`,
    /// `v̂ = v / (1-β₂ⁿ)` (Kingma & Ba 2015, algorithm 1).
    Adam {
        /// The decay of the mean of the gradients.
        beta1: f64,
        /// The decay of the mean of their squares.
        beta2: f64,
        /// What keeps the quotient finite.
        epsilon: f64,
    },
    /// Adam after `w ← (1 - η λ) w`: a decay of the weights that does not pass through the moments (Loshchilov & Hutter
    /// 2019, algorithm 2, with the learning rate in the decay, as PyTorch has it).
    #[serde(rename = "adamw")]
    AdamW {
        /// The decay of the mean of the gradients.
        beta1: f64,
        /// The decay of the mean of their squares.
        beta2: f64,
        /// What keeps the quotient finite.
        epsilon: f64,
        /// The decay `λ` of the weights.
        weight_decay: f64,
    },
    /// Stochastic gradient descent, `m ← μ m + g`, `w ← w - η m`, as PyTorch has it.
    Sgd {
        /// The momentum `μ`; 0 for plain descent.
        momentum: f64,
    },
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::adam()
    }
}

impl Optimizer {
    /// Adam with its authors' constants, 0.9, 0.999 and 1e-8.
    pub fn adam() -> Self {
        Self::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }

    /// AdamW with Adam's constants.
    pub fn adamw(weight_decay: f64) -> Self {
        Self::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay }
    }

    /// Gradient descent with momentum.
    pub fn sgd(momentum: f64) -> Self {
        Self::Sgd { momentum }
    }

    /// What is kept between steps, a number for each weight: the names by which a checkpoint stores it.
    pub(super) fn moments(&self) -> &'static [&'static str] {
        match self {
            Self::Adam { .. } | Self::AdamW { .. } => &["first.", "second."],
            Self::Sgd { .. } => &["momentum."],
        }
    }

    /// Whether a step at this learning rate takes no weight beyond F32, where no gradient is larger than `clip` and no
    /// first moment larger than `moment`.
    ///
    /// The quotient of Adam's step is at most `m/ε`; a step that is less than half the distance of the largest numbers of
    /// F32, 2·10³¹, leaves every finite weight finite.
    pub(super) fn stays_finite(&self, rate: f64, clip: f64, moment: f64) -> bool {
        let step = match *self {
            Self::Adam { beta1, epsilon, .. } => rate / (1.0 - beta1) * clip.max(moment) / epsilon,
            Self::AdamW { weight_decay, .. } if rate * weight_decay > 1.0 => f64::INFINITY,
            Self::AdamW { beta1, epsilon, .. } => rate / (1.0 - beta1) * clip.max(moment) / epsilon,
            Self::Sgd { momentum } => rate * (clip + moment) / (1.0 - momentum),
        };
        step < 1e30
    }

    pub(super) fn check(&self) -> Result<()> {
        let decay = |name, value: f64| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err(Error::argument(name, value, "from 0 up to but not including 1")),
        };
        let adam = |beta1, beta2, epsilon: f64| {
            decay("beta1", beta1)?;
            decay("beta2", beta2)?;
            match epsilon > 0.0 && epsilon.is_finite() {
                true => Ok(()),
                false => Err(Error::argument("epsilon", epsilon, "a positive number")),
            }
        };
        match *self {
            Self::Adam { beta1, beta2, epsilon } => adam(beta1, beta2, epsilon),
            Self::AdamW { beta1, beta2, epsilon, weight_decay } => {
                adam(beta1, beta2, epsilon)?;
                match weight_decay >= 0.0 && weight_decay.is_finite() {
                    true => Ok(()),
                    false => Err(Error::argument("weight_decay", weight_decay, "0 or more")),
                }
            }
            Self::Sgd { momentum } => decay("momentum", momentum),
        }
    }

    /// Step number `step` for one variable, whose gradient is `scale · gradient`; `moments` as [`Optimizer::moments`].
    pub(super) fn update(
        &self,
        step: u64,
        rate: f64,
        scale: f64,
        variable: &Var,
        gradient: &Tensor,
        moments: &[&Var],
    ) -> Result<()> {
        let adam = |keep, beta1: f64, beta2: f64, epsilon| {
            let step = AdamStep {
                scale,
                keep,
                beta1,
                beta2,
                epsilon,
                rate: rate / (1.0 - beta1.powf(step as f64)),
                root: 1.0 / (1.0 - beta2.powf(step as f64)).sqrt(),
            };
            adam_step(&step, variable, gradient, moments[0], moments[1])
        };
        match *self {
            Self::Adam { beta1, beta2, epsilon } => adam(1.0, beta1, beta2, epsilon),
            Self::AdamW { beta1, beta2, epsilon, weight_decay } => {
                adam(1.0 - rate * weight_decay, beta1, beta2, epsilon)
            }
            Self::Sgd { momentum } => {
                momentum_step((momentum, scale, rate), variable, gradient, moments[0])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Schedule;
    use candle_core::{DType, Device};

    #[derive(Deserialize)]
    struct Golden {
        start: Vec<f64>,
        gradients: Vec<Vec<f64>>,
        clip: f64,
        learning_rate: f64,
        warmup: u64,
        steps: u64,
        runs: Vec<Run>,
    }

    #[derive(Deserialize)]
    struct Run {
        optimizer: Optimizer,
        weights: Vec<Vec<f64>>,
    }

    /// Eight clipped steps with warm-up and a cosine, beside PyTorch's in double precision (`tests/golden/optimizers.py`).
    #[test]
    fn each_steps_as_pytorch_does() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../tests/golden/optimizers.json")).unwrap();
        let schedule = Schedule::Cosine { steps: golden.steps };
        assert_eq!(golden.runs.len(), 5);
        for Run { optimizer, weights } in &golden.runs {
            // The fused kernels in single, candle's ops in double precision.
            for (dtype, tolerance) in [(DType::F32, 3e-6), (DType::F64, 1e-12)] {
                let tensor = |values: &[f64]| {
                    Tensor::new(values, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
                };
                let variable = Var::from_tensor(&tensor(&golden.start)).unwrap();
                let moment = || Var::from_tensor(&variable.zeros_like().unwrap()).unwrap();
                let moments = [moment(), moment()];
                let moments: Vec<&Var> = moments.iter().take(optimizer.moments().len()).collect();
                for (n, (gradient, expected)) in (1..).zip(golden.gradients.iter().zip(weights)) {
                    let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
                    let scale = (golden.clip / norm).min(1.0);
                    let rate = golden.learning_rate * schedule.factor(n, golden.warmup);
                    optimizer
                        .update(n, rate, scale, &variable, &tensor(gradient), &moments)
                        .unwrap();
                    let got = crate::tensor::values(&variable).unwrap();
                    for (got, expected) in got.iter().zip(expected) {
                        let error = (got - expected).abs() / expected.abs().max(0.1);
                        assert!(
                            error < tolerance,
                            "{optimizer:?}, step {n}: {got}, not {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn constants_out_of_range_are_errors() {
        for (optimizer, name) in [
            (Optimizer::Adam { beta1: 1.0, beta2: 0.9, epsilon: 1e-8 }, "beta1"),
            (Optimizer::Adam { beta1: 0.9, beta2: -0.1, epsilon: 1e-8 }, "beta2"),
            (Optimizer::Adam { beta1: 0.9, beta2: 0.9, epsilon: 0.0 }, "epsilon"),
            (Optimizer::adamw(f64::NAN), "weight_decay"),
            (Optimizer::sgd(1.5), "momentum"),
        ] {
            let message = optimizer.check().unwrap_err().to_string();
            assert!(message.contains(&format!("`{name}`")), "{message}");
        }
    }
}
