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
    let attributes = classifier.settings().labels.len();
    let count = images.dims().first().copied().unwrap_or(0);
    if labels.dims() != [count, attributes] {
        let expected = format!("[{count}, {attributes}], one an image and attribute");
        return Err(Error::shape("labels", labels.dims(), expected));
    }
    let found = match (noise, &classifier.settings().process) {
        (Some((t, generator)), Some(process)) => {
            let noised = process.perturb(images, &same_time(t, images)?, generator)?.0;
            in_batches(&noised, |x| classifier.predict(x, Some(&same_time(t, x)?)))?
        }
        _ => in_batches(images, |x| classifier.predict(x, None))?,
    };
    let found = found.to_vec2::<u32>()?;
    let labels = labels.to_vec2::<u32>()?;
    let share = |attribute: usize| {
        let pairs =
            found.iter().zip(&labels).map(|(found, asked)| (found[attribute], asked[attribute]));
        let (mut right, mut all) = (0.0, 0.0);
        for (found, asked) in pairs.filter(|(_, asked)| *asked != ANY_LABEL) {
            right += f64::from(u8::from(found == asked));
            all += 1.0;
        }
        right / all
    };
    Ok((0..attributes).map(share).collect())
}
