//! A minimum of any loss by Adam.

use super::Optimizer;
use crate::tensor::{Parameters, values};
use crate::{Error, Result, interrupt};
use candle_core::Tensor;

/// What [`minimize`] did.
#[derive(Clone, Debug, Default)]
pub struct Minimization {
    /// The loss before each step.
    pub losses: Vec<f64>,
    /// Whether an interrupt ended it early; what was learned is kept.
    pub interrupted: bool,
}

/// `steps` steps of Adam, in place, down the gradient of any loss: for the losses of this room and for a reader's own.
/// What a whole training needs (moving averages, checkpoints) is in [`Training`](super::Training).
///
/// `loss` is called with the number of the step, from 0, and gives a scalar that depends on the parameters. The step size
/// falls from `rate` to 0 as a half cosine.
///
/// ```
/// use scorebook::{prelude::*, tensor::Parameters, train::minimize};
///
/// let mut parameters = Parameters::default();
/// parameters.insert("x", &Tensor::new(&[5f32, -3.0], &Device::Cpu)?)?;
/// let report = minimize(&parameters, 300, 0.1, |_step| Ok((parameters.get("x")? - 1.0)?.sqr()?.sum_all()?))?;
/// assert!(report.losses[0] == 32.0 && report.losses[299] < 1e-3);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `rate` is not a positive number, the loss fails, or it is not finite.
pub fn minimize(
    parameters: &Parameters,
    steps: u64,
    rate: f64,
    mut loss: impl FnMut(u64) -> Result<Tensor>,
) -> Result<Minimization> {
    if !(rate > 0.0 && rate.is_finite()) {
        return Err(Error::argument("rate", rate, "a positive number"));
    }
    let (first, second) = (parameters.zeros_like()?, parameters.zeros_like()?);
    let adam = Optimizer::adam();
    let mut report = Minimization::default();
    for made in 0..steps {
        if interrupt::requested() {
            report.interrupted = true;
            break;
        }
        let value = loss(made)?;
        let gradients = value.backward()?;
        let value = values(&value)?[0];
        if !value.is_finite() {
            return Err(Error::NotFinite {
                what: "the loss".into(),
                at: format!("step {}", made + 1),
                remedy: "Take a smaller `rate`, or check the data for NaN".into(),
            });
        }
        report.losses.push(value);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * made as f64 / steps as f64).cos());
        let moments = first.iter().zip(second.iter());
        for ((_, weight), ((_, first), (_, second))) in parameters.iter().zip(moments) {
            if let Some(gradient) = gradients.get(weight) {
                adam.update(made + 1, rate * cosine, 1.0, weight, gradient, &[first, second])?;
            }
        }
    }
    Ok(report)
}
