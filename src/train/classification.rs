//! The training of a classifier.

use super::{Minimization, epoch_indices, minimize};
use crate::random::Generator;
use crate::score::{Classifier, label_log_prob};
use crate::{Error, Result, diffusion::NoisingProcess, tensor::values};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// The cross-entropy `-E Σ ln p_φ(y_a | x)` of a classifier, over the attributes `a`, in nats: a scalar that is
/// differentiable in the parameters. `x` `[batch, channels, height, width]`, `t` as [`Classifier::log_probs`] takes it,
/// `labels` `[batch, attributes]`.
///
/// # Errors
/// If the shapes do not fit, or a label is none of a class.
pub fn cross_entropy(
    classifier: &Classifier,
    x: &Tensor,
    t: Option<&Tensor>,
    labels: &Tensor,
) -> Result<Tensor> {
    Ok(label_log_prob(&classifier.log_probs(x, t)?, labels)?.mean_all()?.neg()?)
}

/// The settings of a classifier's training by cross-entropy: Adam, with a step size that falls to 0 as a half cosine.
///
/// ```
/// use scorebook::{prelude::*, score::{Attribute, Classifier, ClassifierSettings}, train::Classification};
///
/// // Dark images and light ones.
/// let mut generator = Generator::new(1);
/// let images = Tensor::cat(
///     &[(generator.normal((32, 1, 8, 8), &Device::Cpu)? - 0.5)?, (generator.normal((32, 1, 8, 8), &Device::Cpu)? + 0.5)?],
///     0,
/// )?;
/// let labels = Tensor::from_vec([[0u32; 32], [1; 32]].concat(), (64, 1), &Device::Cpu)?;
/// let settings = ClassifierSettings {
///     channels: vec![16],
///     ..ClassifierSettings::new([1, 8, 8], vec![Attribute::new("shade", ["dark", "light"])])
/// };
/// let classifier = Classifier::new(settings, &mut generator, &Device::Cpu)?;
/// let training = Classification { epochs: 10, batch: 32, ..Default::default() };
/// let report = training.run(&classifier, &images, &labels, |_, _| {})?;
/// assert!(report.losses[19] < 0.5 * report.losses[0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Classification {
    /// How many times the images are gone through.
    pub epochs: u64,
    /// Images a step.
    pub batch: usize,
    /// The step size at the beginning.
    pub learning_rate: f64,
    /// Whether each image is mirrored left to right with probability ½.
    pub flips: bool,
    /// The seed of the order, the mirrors, the times and the noise.
    pub seed: u64,
}

impl Default for Classification {
    fn default() -> Self {
        Self { epochs: 8, batch: 128, learning_rate: 2e-3, flips: false, seed: 0 }
    }
}

impl Classification {
    /// How many steps that are for `count` images.
    pub fn steps(&self, count: usize) -> u64 {
        self.epochs * (count / self.batch.max(1)) as u64
    }

    /// Trains on `images` `[count, channels, height, width]` with `labels` `[count, attributes]` in U32, in place; tells
    /// `watch` the number of each step, from 1, and its loss. A classifier of noised images sees them noised, at times
    /// that are uniform from 0 to `T`. Stops early, with all that was learned kept, where an interrupt is asked for.
    ///
    /// # Errors
    /// If a setting is out of its range, the images or labels do not fit the classifier, or the loss is not finite.
    pub fn run(
        &self,
        classifier: &Classifier,
        images: &Tensor,
        labels: &Tensor,
        mut watch: impl FnMut(u64, f64),
    ) -> Result<Minimization> {
        let count = images.dims().first().copied().unwrap_or(0);
        let attributes = classifier.settings().attributes.len();
        if labels.dims() != [count, attributes] {
            let expected = format!("[{count}, {attributes}], one an image and attribute");
            return Err(Error::shape("labels", labels.dims(), expected));
        }
        let generator = Generator::new(self.seed);
        let (order, chance) = (generator.child(0), generator.child(1));
        let device = classifier.parameters().device();
        // Here already, so that a batch that does not fit is an error before the first step.
        epoch_indices(count, 0, self.batch, &order)?;
        minimize(classifier.parameters(), self.steps(count), self.learning_rate, |step| {
            let indices = epoch_indices(count, step, self.batch, &order)?;
            let mut x =
                images.index_select(&indices.to_device(images.device())?, 0)?.to_device(&device)?;
            let labels = labels.index_select(&indices.to_device(labels.device())?, 0)?;
            let mut chance = chance.child(step);
            if self.flips {
                x = mirrored(&x, &mut chance)?;
            }
            let mut time = None;
            if let Some(process) = &classifier.settings().process {
                let t = chance.uniform(0.0, process.horizon(), self.batch, &device)?;
                x = process.perturb(&x, &t, &mut chance)?.0;
                time = Some(t);
            }
            let loss = cross_entropy(classifier, &x, time.as_ref(), &labels)?;
            watch(step + 1, values(&loss)?[0]);
            Ok(loss)
        })
    }
}

/// Each of the images mirrored left to right with probability ½.
fn mirrored(x: &Tensor, generator: &mut Generator) -> Result<Tensor> {
    let (batch, _, _, width) = x.dims4()?;
    let backward: Vec<u32> = (0..width as u32).rev().collect();
    let mirror = x.index_select(&Tensor::new(backward, x.device())?, 3)?;
    let coin = generator.uniform(0.0, 1.0, (batch, 1, 1, 1), x.device())?.lt(0.5)?;
    Ok(coin.broadcast_as(x.shape())?.where_cond(&mirror, x)?)
}
