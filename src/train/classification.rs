//! The training of a classifier.

use super::{Minimization, Source, minimize};
use crate::random::Generator;
use crate::score::{Classifier, label_log_prob};
use crate::{Error, Result, diffusion::NoisingProcess, tensor::values};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// The cross-entropy `-E Σ ln p_φ(y_a | x)` of a classifier, over the attributes `a`, in nats: a scalar that is
/// differentiable in the parameters. `x` `[batch, channels, height, width]`, `t` as [`Classifier::log_probs`] takes it,
/// `labels` `[batch, attributes]`.
///
/// ```
/// use scorebook::{prelude::*, score::{Classifier, ClassifierSettings, Label}, train::cross_entropy};
///
/// let settings = ClassifierSettings::new([1, 8, 8], vec![Label::new("class", 0..10)]);
/// let mut generator = Generator::new(1);
/// let classifier = Classifier::new(settings, &mut generator, &Device::Cpu)?;
/// let x = generator.normal((2, 1, 8, 8), &Device::Cpu)?;
/// let loss = cross_entropy(&classifier, &x, None, &Tensor::new(&[[3u32], [7]], &Device::Cpu)?)?.to_scalar::<f32>()?;
/// let log_probs = classifier.log_probs(&x, None)?[0].to_vec2::<f32>()?;
/// assert!((loss + 0.5 * (log_probs[0][3] + log_probs[1][7])).abs() < 1e-6);
/// # Ok::<(), scorebook::Error>(())
/// ```
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
/// use scorebook::{prelude::*, data::Attribute, train::Classification};
/// use scorebook::score::{Classifier, ClassifierSettings, Label};
///
/// // Dark images and light ones.
/// let bytes = Tensor::cat(
///     &[Tensor::full(100u8, (32, 1, 8, 8), &Device::Cpu)?, Tensor::full(150u8, (32, 1, 8, 8), &Device::Cpu)?],
///     0,
/// )?;
/// let shade = Attribute::new("shade", &["dark", "light"], [[0; 32], [1; 32]].concat());
/// let images = ImageSet::with_attributes("shades", "this example", bytes, vec![shade])?;
/// let label = Label::new("shade", ["dark", "light"]);
/// let settings = ClassifierSettings::new([1, 8, 8], vec![label]);
/// let settings = ClassifierSettings { channels: vec![16], ..settings };
/// let classifier = Classifier::new(settings, &mut Generator::new(1), &Device::Cpu)?;
/// let training = Classification { steps: 60, batch: 32, ..Default::default() };
/// let report = training.run(&classifier, &images, |_, _| {})?;
/// assert!(report.losses[59] < 0.5 * report.losses[0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Classification {
    /// How many steps are made.
    pub steps: u64,
    /// Images a step.
    pub batch: usize,
    /// The step size at the beginning.
    pub learning_rate: f64,
    /// The seed of the order of the images, the times and the noise.
    pub seed: u64,
}

impl Default for Classification {
    fn default() -> Self {
        Self { steps: 2000, batch: 128, learning_rate: 2e-3, seed: 0 }
    }
}

impl Classification {
    /// Trains on batches of `source` and their labels, in place; tells `watch` the number of each step, from 1, and its
    /// loss. A classifier of noised images sees them noised, at times that are uniform from 0 to `T`. Stops early, with all
    /// that was learned kept, where an interrupt is asked for.
    ///
    /// # Errors
    /// If a setting is out of its range, the source has no labels, its images or labels do not fit the classifier, or the
    /// loss is not finite.
    pub fn run(
        &self,
        classifier: &Classifier,
        source: &dyn Source,
        mut watch: impl FnMut(u64, f64),
    ) -> Result<Minimization> {
        let generator = Generator::new(self.seed);
        let (order, noise) = (generator.child(0), generator.child(1));
        let device = classifier.parameters().device();
        minimize(classifier.parameters(), self.steps, self.learning_rate, |step| {
            let mut x = source.batch(step, self.batch, &order, &device)?;
            let labels = source.labels(step, self.batch, &order, &device)?;
            let labels = labels.ok_or_else(|| {
                Error::argument("source", "without labels", "images of which something is known")
            })?;
            let mut time = None;
            if let Some(process) = &classifier.settings().process {
                let noise = &mut noise.child(step);
                let t = noise.uniform(0.0, process.horizon(), self.batch, &device)?;
                x = process.perturb(&x, &t, noise)?.0;
                time = Some(t);
            }
            let loss = cross_entropy(classifier, &x, time.as_ref(), &labels)?;
            watch(step + 1, values(&loss)?[0]);
            Ok(loss)
        })
    }
}
