//! A score guided by the gradient of a classifier.

use super::{LabelPosterior, Score, checked_score};
use crate::{Error, Result};
use candle_core::{Tensor, Var};
use std::{fmt, sync::Arc};

/// Classifier guidance: `s(x, t) + w ∇ₓ log p(y | x_t = x)`.
///
/// With the scale `w = 1` and the exact posterior it is Bayes' rule for scores, `∇ log p_t(x | y)` (Song et al. 2021,
/// *Score-based generative modeling through SDEs*, section 5 and appendix I; note 003, "conditional"). Greater scales draw
/// from what is proportional to `p_t(x) p(y | x_t)^w` at each level of noise: samples that are surer of their class and less
/// various (Dhariwal & Nichol 2021, section 4).
///
/// The gradient of the posterior is not itself differentiable: where a score is differentiated in `x`, as for likelihoods,
/// take differences ([`Derivative`](crate::likelihood::Derivative)).
///
/// ```
/// use scorebook::{prelude::*, score::{ClassifierGuidance, MixturePosterior}};
///
/// // Eight Gaussians, of which the third is asked for.
/// let (process, mixture) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let guided = ClassifierGuidance::new(
///     MixtureScore::new(mixture.clone(), process),
///     MixturePosterior::new(mixture, process),
///     &Tensor::new(&[[2u32]], &Device::Cpu)?,
///     1.0,
/// )?;
/// let sampler = ProbabilityFlow { steps: 30, ..Default::default() };
/// let x = sampler.sample(&process, &guided, &[50, 2], &mut Generator::new(7), &Device::Cpu)?.x;
/// let mean = x.mean(0)?.to_vec1::<f32>()?;
/// assert!(mean[0].abs() < 0.2 && (mean[1] - 2.0).abs() < 0.2);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct ClassifierGuidance {
    /// The score of all data.
    pub score: Arc<dyn Score>,
    /// What tells the labels of noised data.
    pub classifier: Arc<dyn LabelPosterior>,
    /// The labels that are asked for, `[batch, attributes]` in U32, or `[1, attributes]` for all samples.
    pub labels: Tensor,
    /// The scale `w`: 0 is the score itself, 1 is Bayes' rule.
    pub scale: f64,
}

impl ClassifierGuidance {
    /// Guides `score` by `classifier` to `labels` `[batch, attributes]` (or `[1, attributes]` for any batch).
    ///
    /// # Errors
    /// If the labels have another shape, or the scale is not finite.
    pub fn new(
        score: impl Score + 'static,
        classifier: impl LabelPosterior + 'static,
        labels: &Tensor,
        scale: f64,
    ) -> Result<Self> {
        if labels.rank() != 2 {
            return Err(Error::shape("labels", labels.dims(), "[batch, attributes]"));
        }
        if !scale.is_finite() {
            return Err(Error::argument("scale", scale, "a finite number"));
        }
        let (score, classifier) = (Arc::new(score), Arc::new(classifier));
        Ok(Self { score, classifier, labels: labels.clone(), scale })
    }
}

impl Score for ClassifierGuidance {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        if x.track_op() {
            let expected = "a tensor of which no derivative is taken: the gradient of a classifier has none here; take differences";
            return Err(Error::argument("x", "part of a graph of derivatives", expected));
        }
        let score = checked_score(&self.score, x, t)?;
        let labels = match self.labels.dims() {
            [1, attributes] => self.labels.broadcast_as((x.dim(0)?, *attributes))?,
            _ => self.labels.clone(),
        };
        let x = Var::from_tensor(x)?;
        let log_prob = self.classifier.log_prob(&x, t, &labels)?;
        let mut gradients = log_prob.sum_all()?.backward()?;
        let gradient = gradients.remove(&x).ok_or_else(|| {
            Error::argument(
                "classifier",
                "constant in `x`",
                "a posterior that is differentiable in `x`",
            )
        })?;
        Ok((score + (gradient.detach() * self.scale)?)?)
    }
}

impl fmt::Debug for ClassifierGuidance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.labels.dims();
        f.debug_struct("ClassifierGuidance")
            .field("labels", &labels)
            .field("scale", &self.scale)
            .finish_non_exhaustive()
    }
}
