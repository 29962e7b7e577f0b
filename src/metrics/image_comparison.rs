//! All that is measured of generated images, beside what real ones reach.

use super::{
    ClassHistogram, Features, Memorisation, PrecisionRecall, attributes::each_and_joint,
    frechet_distance, kernel_distance, precision_recall,
};
use crate::data::ImageSet;
use crate::random::Generator;
use crate::score::{Classifier, Label};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::Serialize;
use std::str::FromStr;

/// What can be measured of generated images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageMetric {
    /// [`frechet_distance`].
    Frechet,
    /// [`kernel_distance`].
    Kernel,
    /// [`precision_recall`].
    PrecisionRecall,
    /// [`ClassHistogram`] of each label.
    Histogram,
    /// [`Memorisation`].
    Memorisation,
    /// [`accuracy`](super::accuracy) and [`joint_accuracy`](super::joint_accuracy), of images that were asked to have labels.
    Accuracy,
}

impl ImageMetric {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Frechet,
        Self::Kernel,
        Self::PrecisionRecall,
        Self::Histogram,
        Self::Memorisation,
        Self::Accuracy,
    ];
}

/// `frechet`, `kernel`, `precision-recall`, `histogram`, `memorisation`, `accuracy`.
impl FromStr for ImageMetric {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "frechet" => Ok(Self::Frechet),
            "kernel" => Ok(Self::Kernel),
            "precision-recall" => Ok(Self::PrecisionRecall),
            "histogram" => Ok(Self::Histogram),
            "memorisation" => Ok(Self::Memorisation),
            "accuracy" => Ok(Self::Accuracy),
            _ => {
                let expected = "`frechet`, `kernel`, `precision-recall`, `histogram`, `memorisation` or `accuracy`";
                Err(Error::argument("metric", name, expected))
            }
        }
    }
}

/// One number of an [`ImageReport`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// What it is.
    pub name: String,
    /// Of the generated images.
    pub value: f64,
    /// Its standard error, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// The same of real images that are not of the reference: what a perfect model would reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// The standard error of the floor, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_standard_error: Option<f64>,
}

/// What was measured of generated images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageReport {
    /// The net whose features were compared.
    pub net: String,
    /// The real images that they were compared with.
    pub reference: String,
    /// How many generated images there were.
    pub images: usize,
    /// How many real ones they were compared with. Precision and recall took as many of them as generated ones.
    pub reference_images: usize,
    /// How many other real ones the floor is of: fewer than generated ones where there are no more.
    pub floor_images: usize,
    /// The numbers.
    pub measures: Vec<Measure>,
    /// Whether an interrupt ended it early: some numbers are missing.
    pub interrupted: bool,
}

impl ImageReport {
    /// The number of this name.
    pub fn get(&self, name: &str) -> Option<&Measure> {
        self.measures.iter().find(|measure| measure.name == name)
    }

    fn add(&mut self, name: impl Into<String>, value: f64, floor: Option<f64>) {
        let (standard_error, floor_standard_error) = (None, None);
        let name = name.into();
        self.measures.push(Measure { name, value, standard_error, floor, floor_standard_error });
    }
}

/// Features of real images that generated ones are compared with, and of others for the floor.
///
/// For images of a set with a classifier of its labels take [`ImageComparison`], which knows more of them; this one serves
/// features of any net, read from files.
#[derive(Clone, Debug)]
pub struct FeatureComparison {
    reference: Features,
    held_out: Option<Features>,
}

/// The [`precision_recall`] of the report: the paper's number of neighbours.
const NEIGHBOURS: usize = 3;

impl FeatureComparison {
    /// Compares with `reference`; the floor is that of `held_out`, disjoint real images. Both are taken in a random order
    /// that is always the same.
    ///
    /// # Errors
    /// If the two are of different nets.
    pub fn new(reference: &Features, held_out: Option<&Features>) -> Result<Self> {
        if let Some(held_out) = held_out {
            reference.check_same_net(held_out)?;
        }
        let held_out = held_out.map(|held_out| held_out.select(&order(held_out.len())));
        let reference = reference.select(&order(reference.len()))?;
        Ok(Self { reference, held_out: held_out.transpose()? })
    }

    /// The metrics of features among `metrics`, for generated images with these features.
    ///
    /// ```
    /// use scorebook::{prelude::*, metrics::{FeatureComparison, Features, ImageMetric, ImageReport}};
    ///
    /// let mut generator = Generator::new(7);
    /// let mut features = |n: usize, scale: f64| -> scorebook::Result<Features> {
    ///     Features::new((generator.normal((n, 4), &Device::Cpu)? * scale)?, "identity", "points")
    /// };
    /// let comparison = FeatureComparison::new(&features(500, 1.0)?, Some(&features(200, 1.0)?))?;
    /// let report: ImageReport = comparison.report(&features(200, 2.0)?, &ImageMetric::ALL)?;
    /// let distance = report.get("Fréchet distance").unwrap();
    /// assert!(distance.value > 10.0 * distance.floor.unwrap());
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If they are of another net, or there are too few for a metric: for the Fréchet distance as many as there are
    /// features, and one more.
    pub fn report(&self, generated: &Features, metrics: &[ImageMetric]) -> Result<ImageReport> {
        self.reference.check_same_net(generated)?;
        let images = generated.len();
        let floor_images = self.held_out.as_ref().map_or(0, |held_out| held_out.len().min(images));
        let held_out = self.held_out.as_ref().map(|held_out| held_out.first(floor_images));
        let held_out = held_out.transpose()?;
        let mut report = ImageReport {
            net: generated.net().into(),
            reference: self.reference.images().into(),
            images,
            reference_images: self.reference.len(),
            floor_images,
            measures: vec![],
            interrupted: false,
        };
        if metrics.contains(&ImageMetric::Frechet) {
            let needed = generated.size() + 1;
            for (name, count) in [("images", images), ("reference", self.reference.len())] {
                if count < needed {
                    let size = generated.size();
                    let expected = format!(
                        "at least {needed}, for the covariance of {size} features; or leave out the metric `frechet`"
                    );
                    return Err(Error::argument(name, count, expected));
                }
            }
            let of = |features: &Features| frechet_distance(features, &self.reference);
            // Of fewer images than features there is no floor.
            let floor = held_out.as_ref().filter(|held_out| held_out.len() >= needed).map(of);
            report.add("Fréchet distance", of(generated)?, floor.transpose()?);
        }
        if metrics.contains(&ImageMetric::Kernel) {
            let of = |features: &Features| {
                let smaller = features.len().min(self.reference.len());
                kernel_distance(features, &self.reference, (smaller / 10).clamp(2, 1000))
            };
            let (value, floor) = (of(generated)?, held_out.as_ref().map(of).transpose()?);
            report.measures.push(Measure {
                name: "kernel distance".into(),
                value: value.value,
                standard_error: Some(value.standard_error),
                floor: floor.map(|floor| floor.value),
                floor_standard_error: floor.map(|floor| floor.standard_error),
            });
        }
        if metrics.contains(&ImageMetric::PrecisionRecall) {
            let of = |features: &Features| -> Result<Option<PrecisionRecall>> {
                let size = features.len().min(self.reference.len());
                precision_recall(&self.reference.first(size)?, &features.first(size)?, NEIGHBOURS)
            };
            let floor = held_out.as_ref().map(of).transpose()?;
            match (of(generated)?, floor) {
                (None, _) | (_, Some(None)) => report.interrupted = true,
                (Some(value), floor) => {
                    let floor = floor.flatten();
                    report.add("precision", value.precision, floor.map(|floor| floor.precision));
                    report.add("recall", value.recall, floor.map(|floor| floor.recall));
                }
            }
        }
        Ok(report)
    }
}

/// Images, with what a classifier says of them.
#[derive(Clone, Debug)]
struct Seen {
    images: Tensor,
    features: Features,
    /// The labels that they are told to have, `[n, attributes]`.
    told: Tensor,
}

impl Seen {
    fn of(classifier: &Classifier, images: &Tensor, name: &str) -> Result<Self> {
        let features = Features::of(classifier, images, name)?;
        let told = classifier.predict_of(features.values())?;
        Ok(Self { images: images.clone(), features, told })
    }

    fn first(&self, count: usize) -> Result<Self> {
        Ok(Self {
            images: self.images.narrow(0, 0, count)?,
            features: self.features.first(count)?,
            told: self.told.narrow(0, 0, count)?,
        })
    }

    /// How often each value of a label was seen.
    fn counts(&self, attribute: usize, label: &Label) -> Result<Vec<u64>> {
        let told = self.told.narrow(1, attribute, 1)?.flatten_all()?.to_vec1::<u32>()?;
        ClassHistogram::count(&told, label.values.len())
    }
}

/// Real images that generated ones are compared with, and held-out ones for the floor: the same numbers for real images
/// that are not of the reference, which is what a perfect model would reach.
///
/// All that is said is said by one classifier: its features, and what it tells of the images (not their true labels, so
/// that its errors are in both).
///
/// ```
/// use scorebook::{prelude::*, metrics::{ImageComparison, ImageMetric}, score::Classifier};
///
/// let (classifier, _) = Classifier::shipped("fashion-mnist-classifier", &Device::Cpu)?;
/// let some = |split| FashionMnist::default().load(split)?.select(&(0..200).collect::<Vec<_>>());
/// let comparison = ImageComparison::new(&classifier, &some(Split::Train)?, &some(Split::Test)?, 200)?;
/// // Noise is no garment.
/// let noise = Generator::new(7).uniform(-1.0, 1.0, (100, 1, 28, 28), &Device::Cpu)?;
/// let report = comparison.report(&noise, &[ImageMetric::Frechet])?;
/// let distance = report.get("Fréchet distance").unwrap();
/// assert!(distance.value > 5.0 * distance.floor.unwrap());
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageComparison {
    classifier: Classifier,
    reference: Seen,
    held_out: Seen,
    /// What the held-out images have in truth, where their set knows what the classifier tells.
    labels: Option<Tensor>,
}

impl ImageComparison {
    /// Compares with the first `images` of `train`, or all if there are fewer; the floor is of `held_out`, in a random
    /// order that is always the same.
    ///
    /// # Errors
    /// If a set has images of another shape than the classifier's, or none.
    pub fn new(
        classifier: &Classifier,
        train: &ImageSet,
        held_out: &ImageSet,
        images: usize,
    ) -> Result<Self> {
        let device = classifier.parameters().device();
        let count = images.min(train.len());
        let name = format!("the first {count} training images of {}", train.name());
        let reference = train.tensor(0, count)?.to_device(&device)?;
        let order = Tensor::new(order(held_out.len()), &Device::Cpu)?;
        let others = held_out.tensor(0, held_out.len())?.index_select(&order, 0)?;
        let others = others.to_device(&device)?;
        let labels = match held_out.label_names() == classifier.settings().labels {
            true => Some(held_out.all_labels()?.index_select(&order, 0)?),
            false => None,
        };
        Ok(Self {
            reference: Seen::of(classifier, &reference, &name)?,
            held_out: Seen::of(classifier, &others, held_out.name())?,
            classifier: classifier.clone(),
            labels,
        })
    }

    /// As [`report`](Self::report), of images that were asked to have `labels` `[n, attributes]`, the classifier's
    /// attributes in their order ([`ANY_LABEL`](crate::score::ANY_LABEL) for any value): with [`ImageMetric::Accuracy`] it
    /// also tells how many of them have what was asked for, each attribute by itself and all together. The floor is the
    /// classifier's accuracy on the held-out images; a model that obeys comes to it, not to 1.
    ///
    /// # Errors
    /// As `report`; if the labels do not fit.
    ///
    /// ```
    /// use scorebook::{prelude::*, metrics::{ImageComparison, ImageMetric}, score::Classifier};
    ///
    /// let (classifier, _) = Classifier::shipped("fashion-mnist-classifier", &Device::Cpu)?;
    /// let some = |split| FashionMnist::default().load(split)?.select(&(0..400).collect::<Vec<_>>());
    /// let (train, test) = (some(Split::Train)?, some(Split::Test)?);
    /// let comparison = ImageComparison::new(&classifier, &train, &test, 400)?;
    /// // Real images in the place of generated ones have what they are labelled with, as far as the classifier tells.
    /// let report = comparison.report_given(&train.tensor(0, 400)?, &train.all_labels()?, &[ImageMetric::Accuracy])?;
    /// let accuracy = report.get("accuracy of class").unwrap();
    /// assert!(accuracy.value > 0.8 && (accuracy.value - accuracy.floor.unwrap()).abs() < 0.15);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn report_given(
        &self,
        generated: &Tensor,
        labels: &Tensor,
        metrics: &[ImageMetric],
    ) -> Result<ImageReport> {
        let seen = Seen::of(&self.classifier, generated, "the generated images")?;
        let mut report = self.measure(&seen, metrics)?;
        if !metrics.contains(&ImageMetric::Accuracy) {
            return Ok(report);
        }
        let found = each_and_joint(&seen.told, labels)?;
        let count = report.floor_images;
        let floors = self.labels.as_ref().map(|labels| {
            each_and_joint(&self.held_out.told.narrow(0, 0, count)?, &labels.narrow(0, 0, count)?)
        });
        let floors = floors.transpose()?;
        let error = |share: f64, count: usize| (share * (1.0 - share) / count as f64).sqrt();
        let names = self.classifier.settings().labels.iter().map(|label| label.name.as_str());
        for (i, (name, value)) in names.chain(["all together"]).zip(found).enumerate() {
            let floor = floors.as_ref().map(|floors| floors[i]);
            report.measures.push(Measure {
                name: format!("accuracy of {name}"),
                value,
                standard_error: Some(error(value, report.images)),
                floor,
                floor_standard_error: floor.map(|floor| error(floor, count)),
            });
        }
        Ok(report)
    }

    /// Measures `generated` `[n, channels, height, width]` from -1 to 1.
    ///
    /// # Errors
    /// If they have another shape than the classifier's, or there are too few for a metric.
    pub fn report(&self, generated: &Tensor, metrics: &[ImageMetric]) -> Result<ImageReport> {
        self.measure(&Seen::of(&self.classifier, generated, "the generated images")?, metrics)
    }

    fn measure(&self, seen: &Seen, metrics: &[ImageMetric]) -> Result<ImageReport> {
        let Self { classifier, reference, held_out, .. } = self;
        let comparison = FeatureComparison::new(&reference.features, Some(&held_out.features))?;
        let mut report = comparison.report(&seen.features, metrics)?;
        let held_out = held_out.first(report.floor_images)?;
        if metrics.contains(&ImageMetric::Histogram) {
            for (attribute, label) in classifier.settings().labels.iter().enumerate() {
                let reference = reference.counts(attribute, label)?;
                let of = |seen: &Seen| -> Result<(ClassHistogram, f64)> {
                    let counts = seen.counts(attribute, label)?;
                    let never_seen = counts.iter().filter(|count| **count == 0).count();
                    Ok((ClassHistogram::compare(&counts, &reference)?, never_seen as f64))
                };
                let ((value, never_seen), (floor, floor_never_seen)) = (of(seen)?, of(&held_out)?);
                let name = &label.name;
                report.add(
                    format!("shares of {name}: total variation"),
                    value.total_variation,
                    Some(floor.total_variation),
                );
                let p_value = format!("shares of {name}: p-value");
                report.add(p_value, value.p_value, Some(floor.p_value));
                let never = format!("values of {name} never seen");
                report.add(never, never_seen, Some(floor_never_seen));
            }
        }
        if metrics.contains(&ImageMetric::Memorisation) {
            match Memorisation::of(&seen.images, &reference.images, &held_out.images)? {
                None => report.interrupted = true,
                Some(found) => {
                    let (median, floor) = found.medians();
                    report.add("median distance to the training", median, Some(floor));
                    report.add("share suspiciously near to it", found.suspicious(), Some(0.01));
                }
            }
        }
        Ok(report)
    }
}

/// A random order of so many images, always the same.
fn order(count: usize) -> Vec<u32> {
    Generator::new(0).permutation(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_known_by_its_name() {
        for (metric, name) in ImageMetric::ALL.into_iter().zip([
            "frechet",
            "kernel",
            "precision-recall",
            "histogram",
            "memorisation",
            "accuracy",
        ]) {
            assert_eq!(name.parse::<ImageMetric>().unwrap(), metric);
        }
        let error = "fid".parse::<ImageMetric>().unwrap_err().to_string();
        assert!(error.contains("`metric` is fid; expected `frechet`"), "{error}");
    }
}
