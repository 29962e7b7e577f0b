//! The posterior of labels given noised data, and the exact one of a mixture.

use super::classifier::label_log_prob;
use super::noised::{flatten, kernel};
use crate::{Error, Result, diffusion::NoisingProcess, distribution::Mixture};
use candle_core::{D, Tensor};
use candle_nn::ops::log_softmax;
use std::sync::Arc;

/// The label that asks for nothing: its attribute may be any.
pub const ANY_LABEL: u32 = u32::MAX;

/// The posterior `p(y | x_t)` of labels given noised data, which turns a score into that of the data of these labels by
/// Bayes' rule, `∇ log p_t(x | y) = ∇ log p_t(x) + ∇ₓ log p(y | x_t = x)`: see
/// [`ClassifierGuidance`](super::ClassifierGuidance).
///
/// A trained [`Classifier`](super::Classifier) of noised images is one; [`MixturePosterior`] is the exact one.
pub trait LabelPosterior: Send + Sync {
    /// `ln p(y | x_t)` `[batch]` for noised data `x` `[batch, ...]` at the times `t` `[batch]` and `labels`
    /// `[batch, attributes]` in U32. It must be differentiable in `x`. Attributes whose label is [`ANY_LABEL`] are left
    /// out.
    ///
    /// # Errors
    /// If the shapes do not fit, or a label is none of a class.
    fn log_prob(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor>;
}

/// A shared posterior is a posterior.
impl<P: LabelPosterior + ?Sized> LabelPosterior for Arc<P> {
    fn log_prob(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        (**self).log_prob(x, t, labels)
    }
}

/// The exact posterior of the component that a noised sample of a [`Mixture`] came from.
///
/// The components stay Gaussian, so `p(k | x_t) ∝ w_k N(x_t; α_t μ_k, (α_t² s_k² + σ_t²) I)`. What a trained classifier
/// of noised data is compared with.
///
/// ```
/// use scorebook::{prelude::*, score::{LabelPosterior, MixturePosterior}};
///
/// let mixture = Mixture::new([0.5, 0.5], [[-1.0], [1.0]], [0.1, 0.1])?;
/// let posterior = MixturePosterior::new(mixture, VariancePreserving::default());
/// // In the middle both are equally probable.
/// let (x, t) = (Tensor::new(&[[0f64]], &Device::Cpu)?, Tensor::new(&[0.5f64], &Device::Cpu)?);
/// let log_prob = posterior.log_prob(&x, &t, &Tensor::new(&[[1u32]], &Device::Cpu)?)?;
/// assert!((log_prob.to_vec1::<f64>()?[0] - 0.5f64.ln()).abs() < 1e-12);
/// // Of every component; the probabilities sum to 1.
/// let all = posterior.log_probs(&x, &t)?.exp()?.to_vec2::<f64>()?;
/// assert!((all[0][0] + all[0][1] - 1.0).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MixturePosterior {
    weights: Vec<f64>,
    components: Vec<Mixture>,
    process: Arc<dyn NoisingProcess>,
}

impl MixturePosterior {
    /// The posterior of the components of `mixture`, noised by `process`.
    pub fn new(mixture: Mixture, process: impl NoisingProcess + 'static) -> Self {
        let components = mixture.means().zip(mixture.stds());
        let alone = |(mean, std): (&[f64], &f64)| {
            Mixture::new([1.0], [mean.to_vec()], [*std]).expect("it was a component of a mixture")
        };
        Self {
            components: components.map(alone).collect(),
            weights: mixture.weights().to_vec(),
            process: Arc::new(process),
        }
    }

    /// `ln p(k | x_t)` of every component, `[batch, components]`.
    ///
    /// # Errors
    /// If a sample has not the mixture's dimension, or `t` is not one time in `[0, T]` a sample.
    pub fn log_probs(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        use crate::distribution::Density;
        let (scales, stds) = kernel(&*self.process, x, t)?;
        let x = flatten(x, self.components[0].dim())?;
        let joint = self.weights.iter().zip(&self.components).map(|(weight, component)| {
            Ok((component.noised_log_prob(&x, &scales, &stds)? + weight.ln())?)
        });
        Ok(log_softmax(&Tensor::stack(&joint.collect::<Result<Vec<_>>>()?, 1)?, D::Minus1)?)
    }
}

impl LabelPosterior for MixturePosterior {
    fn log_prob(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        label_log_prob(&[self.log_probs(x, t)?], labels)
    }
}

/// Rows with a one at the label and zeros elsewhere, all zeros for [`ANY_LABEL`]; of the shape of `like`
/// `[batch, classes]`.
pub(super) fn one_hot(labels: impl Iterator<Item = f64>, like: &Tensor) -> Result<Tensor> {
    let (batch, classes) = like.dims2()?;
    let mut rows = vec![0f32; batch * classes];
    for (row, label) in rows.chunks_exact_mut(classes).zip(labels) {
        if label == f64::from(ANY_LABEL) {
            continue;
        }
        match row.get_mut(label as usize) {
            Some(place) if label >= 0.0 && label.fract() == 0.0 => *place = 1.0,
            _ => {
                let expected = format!("less than {classes}, the number of classes");
                return Err(Error::argument("label", label, expected));
            }
        }
    }
    let rows = Tensor::from_vec(rows, (batch, classes), &candle_core::Device::Cpu)?;
    Ok(rows.to_dtype(like.dtype())?.to_device(like.device())?)
}
