//! Scores of a class, and the guidance that sharpens them.

use super::condition::{checked_labels, not_given};
use super::{Score, checked_score};
use crate::{Error, Result};
use candle_core::Tensor;

/// The score of samples with these labels, `∇ₓ log p_t(x|c)`: a score that knows of attributes, told what they are.
///
/// ```
/// use scorebook::{prelude::*, score::{ByClass, Given}};
///
/// // Data of two classes, one left and one right.
/// let process = VariancePreserving::default();
/// let gaussian = |mean: f64| -> scorebook::Result<MixtureScore> {
///     Ok(MixtureScore::new(Mixture::new([1.0], [vec![mean]], [0.1])?, process))
/// };
/// let both = Mixture::new([0.5, 0.5], [vec![-1.0], vec![1.0]], [0.1, 0.1])?;
/// let by_class = ByClass::new(MixtureScore::new(both, process), [gaussian(-1.0)?, gaussian(1.0)?]);
/// let right = Given { score: by_class, labels: Tensor::new(&[[1u32]], &Device::Cpu)? };
/// let sampler = ProbabilityFlow { steps: 30, ..Default::default() };
/// let sample = sampler.sample(&process, &right, &[50, 1], &mut Generator::new(1), &Device::Cpu)?;
/// assert!(sample.x.min_all()?.to_scalar::<f32>()? > 0.5);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Given<S: Score> {
    /// The score that can be told labels.
    pub score: S,
    /// `[batch, attributes]` in U32, or one row `[1, attributes]` for all samples. The number of an attribute's values says
    /// that it is not given.
    pub labels: Tensor,
}

impl<S: Score> Score for Given<S> {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.score.score_given(x, t, &for_each(&self.labels, x)?)
    }
}

/// Classifier-free guidance: `(1 + w) ∇ log p_t(x|c) - w ∇ log p_t(x)`.
///
/// It is the score of `p_t(x) p_t(c|x)^(1+w)` up to its normalisation, at each time by itself: where little noise is left
/// samples are as if drawn from `p(x) p(c|x)^(1+w)`, but that law noised has another score, so the samplers do not reach
/// it exactly for `w` other than 0 and -1. `w` is that of Ho & Salimans 2022, equation (6): 0 is the score of the class, -1
/// that without labels, and more than 0 sharpens the class. Other programs call `1 + w` the guidance scale.
///
/// Both scores are one evaluation of a batch of twice the size.
///
/// ```
/// use scorebook::{prelude::*, score::{ByClass, ClassifierFreeGuidance, Given}};
///
/// let process = VariancePreserving::default();
/// let one = |m: f64| Mixture::new([1.0], [vec![m]], [0.5]);
/// let whole = Mixture::new([0.5, 0.5], [vec![-1.0], vec![1.0]], [0.5, 0.5])?;
/// let score = ByClass::new(
///     MixtureScore::new(whole.clone(), process),
///     [MixtureScore::new(one(-1.0)?, process), MixtureScore::new(one(1.0)?, process)],
/// );
/// let labels = Tensor::new(&[[1u32]], &Device::Cpu)?;
/// let guided = ClassifierFreeGuidance { score: score.clone(), labels: labels.clone(), scale: 2.0 };
/// let (x, t) = (Tensor::new(&[[0.3f64]], &Device::Cpu)?, Tensor::new(&[0.1f64], &Device::Cpu)?);
/// let of_class = Given { score: score.clone(), labels }.score(&x, &t)?;
/// let formula = ((of_class * 3.0)? - (score.score(&x, &t)? * 2.0)?)?;
/// let apart = (guided.score(&x, &t)? - formula)?.abs()?.max_all()?.to_scalar::<f64>()?;
/// assert!(apart < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClassifierFreeGuidance<S: Score> {
    /// The score that can be told labels, and does without them.
    pub score: S,
    /// `[batch, attributes]` in U32, or one row `[1, attributes]` for all samples.
    pub labels: Tensor,
    /// The scale `w`.
    pub scale: f64,
}

impl<S: Score> Score for ClassifierFreeGuidance<S> {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let w = self.scale;
        if !w.is_finite() {
            return Err(Error::argument("scale", w, "a finite number"));
        }
        let labels = for_each(&self.labels, x)?;
        if w == 0.0 {
            return self.score.score_given(x, t, &labels);
        }
        let batch = x.dim(0)?;
        let attributes = self.score.attributes();
        checked_labels(&labels, attributes, batch)?;
        let none = not_given(attributes, batch, labels.device())?;
        let twice = |a: &Tensor, b: &Tensor| Tensor::cat(&[a, b], 0);
        let labels = twice(&labels, &none)?;
        let both = Labelled { score: &self.score, labels: &labels };
        let both = checked_score(&both, &twice(x, x)?, &twice(t, t)?)?;
        let (given, free) = (both.narrow(0, 0, batch)?, both.narrow(0, batch, batch)?);
        Ok(((given * (1.0 + w))? - (free * w)?)?)
    }
}

/// A score told labels, both borrowed.
struct Labelled<'a> {
    score: &'a dyn Score,
    labels: &'a Tensor,
}

impl Score for Labelled<'_> {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.score.score_given(x, t, self.labels)
    }
}

/// Labels for each sample of `x`: one row serves all.
fn for_each(labels: &Tensor, x: &Tensor) -> Result<Tensor> {
    match (labels.dims(), x.dims()) {
        (&[1, attributes], &[batch, ..]) => {
            Ok(labels.broadcast_as((batch, attributes))?.contiguous()?)
        }
        _ => Ok(labels.clone()),
    }
}
