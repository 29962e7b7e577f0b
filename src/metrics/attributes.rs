//! What a classifier says of images: attribute accuracy.

use super::features::in_batches;
use crate::diffusion::{NoisingProcess, same_time};
use crate::random::Generator;
use crate::score::{ANY_LABEL, Classifier};
use crate::{Error, Result};
use candle_core::Tensor;

/// The share of `images` `[n, channels, height, width]` that `classifier` gives the label that they have, or were asked to
/// have, one number for each attribute; `labels` is `[n, attributes]` in U32. Images whose label is
/// [`ANY_LABEL`] are left out of that attribute's share, which is not a number where none remains.
///
/// For a classifier of noised images `noise` is a time and what draws the noise of that time.
///
/// On test images it is the classifier's accuracy; on conditional samples it tells how well a model obeys, up to the
/// classifier's own errors: report both.
///
/// ```
/// use scorebook::{prelude::*, metrics, score::{Classifier, ClassifierSettings, Label}};
///
/// let mut generator = Generator::new(1);
/// let settings = ClassifierSettings::new([1, 8, 8], vec![Label::new("class", ["a", "b"])]);
/// let classifier = Classifier::new(settings, &mut generator, &Device::Cpu)?;
/// let x = generator.normal((20, 1, 8, 8), &Device::Cpu)?;
/// let labels = classifier.predict(&x, None)?;
/// assert_eq!(metrics::accuracy(&classifier, &x, &labels, None)?, [1.0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the images or the labels do not fit the classifier, or there is no image.
pub fn accuracy(
    classifier: &Classifier,
    images: &Tensor,
    labels: &Tensor,
    noise: Option<(f64, &mut Generator)>,
) -> Result<Vec<f64>> {
    let judged = judge(classifier, images, labels, noise)?;
    Ok(each(&judged, classifier.settings().labels.len()))
}

/// The share of `images` that `classifier` gives *all* the labels that they have, or were asked to have: of those that are
/// given, as [`accuracy`] reads them. With one attribute it is that one's accuracy.
///
/// ```
/// use scorebook::{prelude::*, metrics, score::{ANY_LABEL, Classifier, ClassifierSettings, Label}};
///
/// let mut generator = Generator::new(1);
/// let labels = vec![Label::new("shape", ["a", "b"]), Label::new("colour", ["red", "green", "blue"])];
/// let settings = ClassifierSettings::new([1, 8, 8], labels);
/// let classifier = Classifier::new(settings, &mut generator, &Device::Cpu)?;
/// let x = generator.normal((4, 1, 8, 8), &Device::Cpu)?;
/// let mut labels = classifier.predict(&x, None)?.to_vec2::<u32>()?;
/// labels[0][0] = 1 - labels[0][0]; // asked for another shape
/// labels[1][1] = ANY_LABEL; // of any colour
/// labels[2][1] = (labels[2][1] + 1) % 3; // asked for another colour
/// let labels = Tensor::new(labels, &Device::Cpu)?;
/// assert_eq!(metrics::accuracy(&classifier, &x, &labels, None)?, [0.75, 2.0 / 3.0]);
/// assert_eq!(metrics::joint_accuracy(&classifier, &x, &labels, None)?, 0.5);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As [`accuracy`].
pub fn joint_accuracy(
    classifier: &Classifier,
    images: &Tensor,
    labels: &Tensor,
    noise: Option<(f64, &mut Generator)>,
) -> Result<f64> {
    Ok(joint(&judge(classifier, images, labels, noise)?))
}

/// The [`accuracy`] of each attribute, and where there are several the [`joint_accuracy`] after them, of images that a
/// classifier told to have the labels `told` `[n, attributes]`.
pub(super) fn each_and_joint(told: &Tensor, labels: &Tensor) -> Result<Vec<f64>> {
    let judged = compare(told, labels)?;
    let mut all = each(&judged, told.dim(1)?);
    if all.len() > 1 {
        all.push(joint(&judged));
    }
    Ok(all)
}

/// Whether each label of an image is told right; `None` for one that is not given.
type Judged = Vec<Option<bool>>;

fn each(judged: &[Judged], attributes: usize) -> Vec<f64> {
    let of = |attribute: usize| share(judged.iter().filter_map(|row| row[attribute]));
    (0..attributes).map(of).collect()
}

fn joint(judged: &[Judged]) -> f64 {
    share(judged.iter().map(|row| row.iter().all(|right| right.unwrap_or(true))))
}

fn judge(
    classifier: &Classifier,
    images: &Tensor,
    labels: &Tensor,
    noise: Option<(f64, &mut Generator)>,
) -> Result<Vec<Judged>> {
    let told = match (noise, &classifier.settings().process) {
        (Some((t, generator)), Some(process)) => {
            let noised = process.perturb(images, &same_time(t, images)?, generator)?.0;
            in_batches(&noised, |x| classifier.predict(x, Some(&same_time(t, x)?)))?
        }
        _ => in_batches(images, |x| classifier.predict(x, None))?,
    };
    compare(&told, labels)
}

/// Whether the labels `told` are those of `labels`, both `[n, attributes]`.
fn compare(told: &Tensor, labels: &Tensor) -> Result<Vec<Judged>> {
    if labels.dims() != told.dims() {
        let expected = format!("{:?}, one an image and attribute", told.dims());
        return Err(Error::shape("labels", labels.dims(), expected));
    }
    let right = |(told, asked): (&u32, &u32)| (*asked != ANY_LABEL).then_some(told == asked);
    let rows = told.to_vec2::<u32>()?.into_iter().zip(labels.to_vec2::<u32>()?);
    Ok(rows.map(|(told, asked)| told.iter().zip(&asked).map(right).collect()).collect())
}

fn share(right: impl Iterator<Item = bool>) -> f64 {
    let (mut of, mut all) = (0.0, 0.0);
    for right in right {
        of += f64::from(u8::from(right));
        all += 1.0;
    }
    of / all
}
