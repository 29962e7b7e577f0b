//! Scores `∇ log p_t`: exact ones, and networks that learn them.
//!
//! The score is all that reversing a noising process needs (notes 000 to 004). Whatever gives one is a
//! [`Score`], so every sampler runs on any of them and can be checked against an exact one.
//!
//! | the score | of | where it comes from |
//! |---|---|---|
//! | [`MixtureScore`], [`GaussianScore`] | a known law | closed form |
//! | [`EmpiricalScore`] | a finite data set | closed form: what a network that learned by heart would give |
//! | [`Mlp`], [`Unet`], [`ResidualUnet`] | points, images, images of a class | learned: each is a [`Network`]; [`Model`] is one in a file |
//! | [`ClassifierFreeGuidance`], [`ClassifierGuidance`] | data of a class, more strictly | a score, and what is known of the class |
//! | [`Given`], [`ByClass`] | data of a class | a score that can be told it |
//! | [`ScoreFunction`] | whatever you like | a function of `x` and `t` |
//!
//! By Tweedie's formula the score is also a guess of the data ([`tweedie`]), which networks may be asked for instead
//! ([`Parameterization`]):
//!
//! ```latex
//! \nabla_x\log p_t(x) = \mathbb{E}\left[\left.\nabla_x\log p_{0t}(x \mid x_0)\,\right|\,x_t = x\right] = \frac{\alpha(t)\,\mathbb{E}[x_0 \mid x_t = x] - x}{\sigma^2(t)}
//! ```
//!
//! In the book: [09-reverse-time-and-probability-flow], [13-training-an-image-model], [14-generation].
//!
//! [09-reverse-time-and-probability-flow]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/09-reverse-time-and-probability-flow.ipynb
//! [13-training-an-image-model]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/13-training-an-image-model.ipynb
//! [14-generation]: https://github.com/scorebook-rs/scorebook/blob/main/notebooks/14-generation.ipynb

mod any_network;
mod bounded;
mod by_class;
mod classifier;
mod classifier_guidance;
mod condition;
mod counted;
mod embedding;
mod empirical;
mod fused_mixture;
mod gaussian;
mod guidance;
mod label;
mod label_posterior;
mod mixture;
mod mlp;
pub(crate) mod model;
mod network;
mod noised;
mod parameterization;
mod residual_unet;
mod tweedie;
mod unet;

pub use any_network::AnyNetwork;
pub use bounded::Bounded;
pub use by_class::ByClass;
pub(crate) use classifier::label_log_prob;
pub use classifier::{Classifier, ClassifierCard, ClassifierSettings};
pub use classifier_guidance::ClassifierGuidance;
pub use condition::Condition;
pub(crate) use condition::checked_labels;
pub(crate) use counted::Counted;
pub use embedding::fourier_features;
pub use empirical::EmpiricalScore;
pub use fused_mixture::FusedMixture;
pub use gaussian::GaussianScore;
pub use guidance::{ClassifierFreeGuidance, Given};
pub use label::Label;
pub use label_posterior::{ANY_LABEL, LabelPosterior, MixturePosterior};
pub use mixture::MixtureScore;
pub use mlp::{Mlp, MlpSettings};
pub use model::{Model, ModelCard};
pub use network::{Architecture, Network, Trainable};
pub use parameterization::Parameterization;
pub use residual_unet::{ResidualUnet, ResidualUnetSettings};
pub use tweedie::tweedie;
pub use unet::{Unet, UnetSettings};

use crate::{Error, Result};
use candle_core::Tensor;
use std::{fmt, sync::Arc};

/// A score `s(x, t) ≈ ∇ₓ log p_t(x)`.
///
/// It is a trait of objects: a sampler takes `&dyn Score`.
pub trait Score: Send + Sync {
    /// The score at `x` `[batch, ...]` and times `t` `[batch]`, with the shape of `x`.
    ///
    /// # Errors
    /// If the shapes do not fit the score.
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor>;

    /// How many values each attribute has that the score can be told with [`score_given`](Self::score_given): none, unless
    /// the score says so.
    fn attributes(&self) -> &[usize] {
        &[]
    }

    /// The score of samples with these labels, `∇ₓ log p_t(x|labels)`, with the shape of `x`. `labels` is
    /// `[batch, attributes]` in U32, the index of each attribute's value; the number of its values says that it is not given.
    ///
    /// ```
    /// use scorebook::{prelude::*, score::ByClass};
    ///
    /// // Two classes, N(-1, 1) and N(1, 1), of a process that keeps the variance: their scores are ∓α - x.
    /// let process = VariancePreserving::default();
    /// let class = |mean: f64| Ok::<_, scorebook::Error>(GaussianScore::new(Gaussian::isotropic([mean], 1.0)?, process));
    /// let both = MixtureScore::new(Mixture::new([1.0; 2], [[-1.0], [1.0]], [1.0; 2])?, process);
    /// let score = ByClass::new(both, [class(-1.0)?, class(1.0)?]);
    /// assert_eq!(score.attributes(), [2]);
    /// let (x, t) = (Tensor::new(&[[0.5f64]], &Device::Cpu)?, Tensor::new(&[0.2f64], &Device::Cpu)?);
    /// let first = score.score_given(&x, &t, &Tensor::new(&[[0u32]], &Device::Cpu)?)?.to_vec2::<f64>()?[0][0];
    /// assert!((first - (-process.mean_scale(0.2) - 0.5)).abs() < 1e-12);
    /// // Not given: the score of both.
    /// let any = score.score_given(&x, &t, &Tensor::new(&[[2u32]], &Device::Cpu)?)?;
    /// assert_eq!(any.to_vec2::<f64>()?, score.score(&x, &t)?.to_vec2::<f64>()?);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the score knows of no attributes, or the shapes or values do not fit.
    fn score_given(&self, _x: &Tensor, _t: &Tensor, _labels: &Tensor) -> Result<Tensor> {
        Err(condition::no_labels())
    }
}

/// The score, which must have the shape of `x`.
pub(crate) fn checked_score(score: &dyn Score, x: &Tensor, t: &Tensor) -> Result<Tensor> {
    let score = score.score(x, t)?;
    if score.dims() != x.dims() {
        let expected = format!("the shape of `x`, {:?}", x.dims());
        return Err(Error::shape("score", score.dims(), expected));
    }
    Ok(score)
}

/// A borrowed score is a score.
impl<S: Score + ?Sized> Score for &S {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        (**self).score(x, t)
    }

    fn attributes(&self) -> &[usize] {
        (**self).attributes()
    }

    fn score_given(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        (**self).score_given(x, t, labels)
    }
}

/// A shared score is a score.
impl<S: Score + ?Sized> Score for Arc<S> {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        (**self).score(x, t)
    }

    fn attributes(&self) -> &[usize] {
        (**self).attributes()
    }

    fn score_given(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        (**self).score_given(x, t, labels)
    }
}

/// The type of a score's closure.
type Function = dyn Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync;

/// A function of `(x, t)` as a [`Score`], which a notebook can keep between cells.
///
/// ```
/// use scorebook::{prelude::*, score::{Score, ScoreFunction}};
///
/// // A standard Gaussian has the score -x, at all times of a process that preserves it.
/// let score = ScoreFunction::new(|x, _t| Ok(x.neg()?));
/// let (x, t) = (Tensor::new(&[[1f32, 2.0]], &Device::Cpu)?, Tensor::new(&[0.5f32], &Device::Cpu)?);
/// assert_eq!(score.score(&x, &t)?.to_vec2::<f32>()?, [[-1.0, -2.0]]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct ScoreFunction(Arc<Function>);

impl ScoreFunction {
    /// The score that `function` computes from `x` `[batch, ...]` and `t` `[batch]`.
    pub fn new(
        function: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(function))
    }
}

impl Score for ScoreFunction {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        (self.0)(x, t)
    }
}

impl fmt::Debug for ScoreFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScoreFunction")
    }
}
