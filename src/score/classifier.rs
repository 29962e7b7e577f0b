//! A convolutional classifier of images, clean or noised.

use super::{
    Label, LabelPosterior, fourier_features, label_posterior::one_hot, model, network::check_times,
};
use crate::diffusion::{NoisingProcess, Process, per_sample};
use crate::random::Generator;
use crate::tensor::{self, Convolution, Norm, Parameters, values};
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use candle_nn::ops::log_softmax;
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_2_PI;
use std::path::Path;

/// The size of a [`Classifier`], and what it tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierSettings {
    /// The shape of an image, `[channels, height, width]`, with sides from 8 to 64.
    pub shape: [usize; 3],
    /// What it tells: each has a softmax of its own.
    pub labels: Vec<Label>,
    /// The channels of the resolutions, finest first: each half of that before it; multiples of 8 from 16 on.
    pub channels: Vec<usize>,
    /// How many features the last layer sees.
    pub features: usize,
    /// The process by which the images are noised, for a classifier that is told the time; `None` for clean images.
    pub process: Option<Process>,
}

impl ClassifierSettings {
    /// Three resolutions of 16, 32 and 64 channels and 64 features, for clean images.
    pub fn new(shape: [usize; 3], labels: Vec<Label>) -> Self {
        Self { shape, labels, channels: vec![16, 32, 64], features: 64, process: None }
    }

    fn check(&self) -> Result<()> {
        let [channels, height, width] = self.shape;
        let side = 8..=64;
        if channels == 0 || !side.contains(&height) || !side.contains(&width) {
            let expected =
                "[channels, height, width] with at least one channel and sides from 8 to 64";
            return Err(Error::shape("shape", &self.shape, expected));
        }
        if self.labels.is_empty() {
            return Err(Error::argument("labels", "empty", "at least one"));
        }
        if let Some(few) = self.labels.iter().find(|label| label.values.len() < 2) {
            let value = format!("{} for {:?}", few.values.len(), few.name);
            return Err(Error::argument("values", value, "at least two, to tell apart"));
        }
        let fits = |&channels: &usize| channels >= 16 && channels.is_multiple_of(GROUPS);
        if self.channels.is_empty() || self.channels.len() > 4 || !self.channels.iter().all(fits) {
            let value = format!("{:?}", self.channels);
            let expected = "one to four multiples of 8, each 16 or more";
            return Err(Error::argument("channels", value, expected));
        }
        match self.features {
            0 => Err(Error::argument("features", 0, "at least 1")),
            _ => Ok(()),
        }
    }
}

/// The groups of the normalisation. Never one channel a group, which would take away the shift by which the time enters.
const GROUPS: usize = 8;

/// The length of the time embedding.
const EMBEDDING: usize = 64;

/// What a classifier's file says of its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassifierCard {
    /// What it is called where its features are used: `fashion-mnist-classifier`.
    pub name: String,
    /// Its size and its labels.
    pub settings: ClassifierSettings,
    /// What it was trained on.
    pub data: String,
    /// How it was trained, and its accuracy on images that it was not trained on.
    pub training: serde_json::Value,
}

/// The key of the file's metadata under which the card stands.
const CARD: &str = "scorebook-classifier";

const REMEDY: &str =
    "Use a file that `scorebook train-classifier` or `Classifier::save` of this version wrote";

/// A small convolutional network `p_φ(y | x)` of images `[batch, channels, height, width]`, or `p_φ(y | x_t, t)` of noised
/// ones.
///
/// Two convolutions of 3×3 at each resolution, each followed by group norm and SiLU; the mean over the pixels; a linear
/// layer with SiLU, whose output are the *features*; and one linear layer with a softmax for each label. For noised
/// images the input is `x_t/√(α_t² + σ_t²)`, and Fourier features of the angle `(2/π) atan(σ_t/α_t)` are added before each
/// normalisation.
///
/// With the settings' default size it has 76,000 parameters for ten classes. The features of a trained one serve the
/// distances of [`metrics`](crate::metrics), the gradient of the other one [`ClassifierGuidance`](super::ClassifierGuidance).
///
/// ```
/// use scorebook::{prelude::*, score::{Classifier, ClassifierSettings, Label}};
///
/// let settings = ClassifierSettings::new([1, 28, 28], vec![Label::new("class", 0..10)]);
/// let mut generator = Generator::new(1);
/// let classifier = Classifier::new(settings, &mut generator, &Device::Cpu)?;
/// let x = generator.normal((3, 1, 28, 28), &Device::Cpu)?;
/// assert_eq!(classifier.features(&x, None)?.dims(), [3, 64]);
/// assert_eq!(classifier.predict(&x, None)?.dims(), [3, 1]);
/// assert_eq!(classifier.settings().features, 64);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Classifier {
    settings: ClassifierSettings,
    name: String,
    parameters: Parameters,
}

impl Classifier {
    /// A classifier with random weights.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(
        settings: ClassifierSettings,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Self> {
        settings.check()?;
        let mut parameters = Parameters::default();
        if settings.process.is_some() {
            let frequencies = (generator.normal(EMBEDDING / 2, device)? * 2.0)?;
            parameters.insert_constant("frequencies", &frequencies)?;
            parameters.linear("embed", EMBEDDING, EMBEDDING, generator, device)?;
        }
        for layer in layers(&settings) {
            let Layer { name, inputs, outputs, .. } = &layer;
            let bound = 1.0 / (*inputs as f64 * 9.0).sqrt();
            let shape = (*outputs, *inputs, 3, 3);
            parameters.uniform(&format!("{name}.conv.weight"), shape, bound, generator, device)?;
            parameters.norm(&format!("{name}.norm"), *outputs, device)?;
            if settings.process.is_some() {
                parameters.linear(
                    &format!("{name}.time"),
                    EMBEDDING,
                    *outputs,
                    generator,
                    device,
                )?;
            }
        }
        let coarsest = settings.channels[settings.channels.len() - 1];
        parameters.linear("features", coarsest, settings.features, generator, device)?;
        for (i, label) in settings.labels.iter().enumerate() {
            let values = label.values.len();
            parameters.linear(&head(i), settings.features, values, generator, device)?;
        }
        Ok(Self { settings, name: "classifier".into(), parameters })
    }

    /// Reads a classifier's file.
    ///
    /// # Errors
    /// If the file is missing, cut short, not a classifier's, or its tensors are not those of the settings that it names.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<(Self, ClassifierCard)> {
        let path = path.as_ref();
        let (card, tensors): (ClassifierCard, _) =
            model::read(path, CARD, device).map_err(|error| match error {
                Error::File { path, cause, .. } if path.is_file() => {
                    Error::file(path, cause, REMEDY)
                }
                other => other,
            })?;
        // The values drawn here are all replaced.
        let mut classifier = Self::new(card.settings.clone(), &mut Generator::new(0), device)
            .and_then(|classifier| classifier.parameters.set(&tensors, "").map(|()| classifier))
            .map_err(|error| Error::file(path, error.to_string(), REMEDY))?;
        classifier.name = card.name.clone();
        Ok((classifier, card))
    }

    /// The classifier of a name that is shipped in `datasets/weights`: `fashion-mnist-classifier`.
    ///
    /// ```
    /// use scorebook::{prelude::*, score::Classifier};
    ///
    /// let (classifier, card) = Classifier::shipped("fashion-mnist-classifier", &Device::Cpu)?;
    /// println!("{}, trained on {}: {}", classifier.name(), card.data, card.training["accuracy"]);
    /// let test = FashionMnist::default().load(Split::Test)?;
    /// let said = classifier.predict(&test.tensor(0, 200)?, None)?.flatten_all()?.to_vec1::<u32>()?;
    /// let class = &test.attribute("class")?.of;
    /// let right = said.iter().zip(class).filter(|(said, class)| **said == u32::from(**class)).count();
    /// // Of the whole test set 91 %.
    /// assert!(right > 170);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn shipped(name: &str, device: &Device) -> Result<(Self, ClassifierCard)> {
        Self::load(crate::data::shipped_weights(name)?, device)
    }

    /// Writes the classifier and its card. Of the card, the settings are the classifier's own.
    ///
    /// ```
    /// use scorebook::{prelude::*, score::{Classifier, ClassifierCard, ClassifierSettings, Label}};
    ///
    /// let settings = ClassifierSettings::new([1, 8, 8], vec![Label::new("shade", ["dark", "light"])]);
    /// let mut generator = Generator::new(1);
    /// let classifier = Classifier::new(settings.clone(), &mut generator, &Device::Cpu)?;
    /// let training = serde_json::json!({ "steps": 0 });
    /// let card = ClassifierCard { name: "shades".into(), settings, data: "none".into(), training };
    /// let path = std::env::temp_dir().join(format!("scorebook-doc-classifier-{}.safetensors", std::process::id()));
    /// classifier.save(&path, &card)?;
    /// let (again, read) = Classifier::load(&path, &Device::Cpu)?;
    /// assert_eq!((again.name(), read), ("shades", card));
    /// let x = generator.normal((1, 1, 8, 8), &Device::Cpu)?;
    /// assert_eq!(again.features(&x, None)?.to_vec2::<f32>()?, classifier.features(&x, None)?.to_vec2::<f32>()?);
    /// assert_eq!(again.parameters().count(), classifier.parameters().count());
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, card: &ClassifierCard) -> Result<()> {
        let card = ClassifierCard { settings: self.settings.clone(), ..card.clone() };
        model::write(path.as_ref(), CARD, &card, self.parameters.to_map(""))
    }

    /// Its size and its labels.
    pub fn settings(&self) -> &ClassifierSettings {
        &self.settings
    }

    /// What its file calls it; `classifier` where it is not from a file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The trainable variables.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The features of images `x` `[batch, channels, height, width]`, `[batch, features]`: what the last layer sees. `t`
    /// `[batch]` is given where the images are noised, and only there. Differentiable in `x`.
    ///
    /// # Errors
    /// If the images have another shape, or there is a time where none belongs, or none where one does.
    pub fn features(&self, x: &Tensor, t: Option<&Tensor>) -> Result<Tensor> {
        self.frozen().hidden(x, t)
    }

    /// `ln p_φ(y | x)` for every value, `[batch, values]` for each label. Differentiable in the parameters and in `x`.
    ///
    /// ```
    /// use scorebook::{prelude::*, score::{Classifier, ClassifierSettings, Label}};
    ///
    /// let labels = vec![Label::new("class", 0..10), Label::new("colour", ["dark", "light"])];
    /// let mut generator = Generator::new(1);
    /// let classifier = Classifier::new(ClassifierSettings::new([1, 8, 8], labels), &mut generator, &Device::Cpu)?;
    /// let log_probs = classifier.log_probs(&generator.normal((3, 1, 8, 8), &Device::Cpu)?, None)?;
    /// assert_eq!((log_probs[0].dims(), log_probs[1].dims()), (&[3, 10][..], &[3, 2][..]));
    /// // The probabilities of the values of a label sum to 1.
    /// let sums = log_probs[1].exp()?.sum(1)?.to_vec1::<f32>()?;
    /// assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-6));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`features`](Self::features).
    pub fn log_probs(&self, x: &Tensor, t: Option<&Tensor>) -> Result<Vec<Tensor>> {
        self.log_probs_of(&self.hidden(x, t)?)
    }

    /// The log probabilities of images with these features.
    fn log_probs_of(&self, features: &Tensor) -> Result<Vec<Tensor>> {
        let of_attribute =
            |i| Ok(log_softmax(&self.parameters.apply_linear(&head(i), features)?, D::Minus1)?);
        (0..self.settings.labels.len()).map(of_attribute).collect()
    }

    /// The most probable value of each label, `[batch, labels]` in U32.
    ///
    /// # Errors
    /// As [`features`](Self::features).
    pub fn predict(&self, x: &Tensor, t: Option<&Tensor>) -> Result<Tensor> {
        self.predict_of(&self.features(x, t)?)
    }

    /// What [`predict`](Self::predict) says of images with these [`features`](Self::features).
    pub(crate) fn predict_of(&self, features: &Tensor) -> Result<Tensor> {
        let log_probs = self.frozen().log_probs_of(features)?;
        let labels = log_probs.iter().map(|each| Ok(each.argmax(D::Minus1)?));
        Ok(Tensor::stack(&labels.collect::<Result<Vec<_>>>()?, 1)?)
    }

    /// The same classifier, of whose parameters no derivative is taken.
    fn frozen(&self) -> Self {
        Self { parameters: self.parameters.frozen(), ..self.clone() }
    }

    fn hidden(&self, x: &Tensor, t: Option<&Tensor>) -> Result<Tensor> {
        let [channels, height, width] = self.settings.shape;
        match *x.dims() {
            [_, c, h, w] if [c, h, w] == self.settings.shape => {}
            _ => {
                let expected =
                    format!("[batch, {channels}, {height}, {width}], the images of {}", self.name);
                return Err(Error::shape("x", x.dims(), expected));
            }
        }
        let x = x.to_dtype(self.parameters.dtype())?;
        let (x, time) = match (&self.settings.process, t) {
            (None, None) => (x, None),
            (Some(process), Some(t)) => {
                let (x, time) = self.noised(process, &x, t)?;
                (x, Some(time))
            }
            (None, Some(_)) => {
                return Err(Error::argument(
                    "t",
                    "given",
                    "no time: it is a classifier of clean images",
                ));
            }
            (Some(_), None) => {
                return Err(Error::argument(
                    "t",
                    "missing",
                    "a time: it is a classifier of noised images",
                ));
            }
        };
        // Inside, channels lie side by side.
        let mut h = x.permute((0, 2, 3, 1))?.contiguous()?;
        for layer in layers(&self.settings) {
            h = self.layer(&layer, &h, time.as_ref())?;
        }
        Ok(self.parameters.apply_linear("features", &h.mean((1, 2))?)?.silu()?)
    }

    /// The input of size one, and the embedding of its times.
    fn noised(&self, process: &Process, x: &Tensor, t: &Tensor) -> Result<(Tensor, Tensor)> {
        check_times(x, t)?;
        let scale = per_sample(t, x, |t| process.mean_scale(t).hypot(process.std(t)).recip())?;
        let angle = per_sample(t, x, |t| FRAC_2_PI * process.std(t).atan2(process.mean_scale(t)))?;
        let angle = angle.flatten_all()?;
        let time = fourier_features(&angle, &self.parameters.get("frequencies")?)?;
        let time = self.parameters.apply_linear("embed", &time)?.silu()?;
        Ok((x.broadcast_mul(&scale)?, time))
    }

    /// A convolution, group norm and SiLU.
    fn layer(&self, layer: &Layer, h: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let Layer { name, outputs, stride, .. } = layer;
        let kernel = self.parameters.get(&format!("{name}.conv.weight"))?;
        let shift = match time {
            Some(time) => self.parameters.apply_linear(&format!("{name}.time"), time)?,
            None => Tensor::zeros((h.dim(0)?, *outputs), h.dtype(), h.device())?,
        };
        let weight = self.parameters.get(&format!("{name}.norm.weight"))?;
        let bias = self.parameters.get(&format!("{name}.norm.bias"))?;
        let norm =
            Norm { shift: &shift, weight: &weight, bias: &bias, groups: GROUPS, epsilon: 1e-5 };
        let convolution = Convolution { stride: *stride, padding: 1, transposed: None };
        tensor::conv_norm_silu(&[h], &kernel, convolution, &norm)
    }
}

/// A convolution's place in the network.
struct Layer {
    name: String,
    inputs: usize,
    outputs: usize,
    stride: usize,
}

/// Two at each resolution, of which the first comes down to it.
fn layers(settings: &ClassifierSettings) -> Vec<Layer> {
    let mut inputs = settings.shape[0];
    let mut layers = vec![];
    for (level, &outputs) in settings.channels.iter().enumerate() {
        let stride = if level == 0 { 1 } else { 2 };
        for (part, inputs, stride) in [("a", inputs, stride), ("b", outputs, 1)] {
            layers.push(Layer { name: format!("level{level}{part}"), inputs, outputs, stride });
        }
        inputs = outputs;
    }
    layers
}

fn head(attribute: usize) -> String {
    format!("head{attribute}")
}

/// `Σ ln p_φ(y_a | x_t, t)` over the attributes `a`.
impl LabelPosterior for Classifier {
    fn log_prob(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let log_probs = self.frozen().log_probs(x, Some(&t.detach()))?;
        label_log_prob(&log_probs, labels)?.to_dtype(x.dtype()).map_err(Error::from)
    }
}

/// `Σ ln p(y_a)` over the attributes `a` `[batch]`, of `ln p` for every class `[batch, classes]` and labels
/// `[batch, attributes]`.
pub(crate) fn label_log_prob(log_probs: &[Tensor], labels: &Tensor) -> Result<Tensor> {
    let batch = log_probs[0].dims()[0];
    if labels.dims() != [batch, log_probs.len()] {
        let expected = format!("[{batch}, {}], one a sample and attribute", log_probs.len());
        return Err(Error::shape("labels", labels.dims(), expected));
    }
    let labels = values(&labels.to_dtype(DType::F64)?)?;
    let mut sum: Option<Tensor> = None;
    for (i, log_probs) in log_probs.iter().enumerate() {
        let own = labels.iter().skip(i).step_by(labels.len() / batch.max(1)).copied();
        let chosen = (log_probs * one_hot(own, log_probs)?)?.sum(1)?;
        sum = Some(match sum {
            Some(sum) => (sum + chosen)?,
            None => chosen,
        });
    }
    Ok(sum.expect("there is at least one attribute"))
}
