//! A trained network in one file: weights, and what they are the weights of.

use super::{AnyNetwork, Architecture, Given, Label, Network, Score, label};
use crate::diffusion::Process;
use crate::random::Generator;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// What a model file says of its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The network.
    pub architecture: Architecture,
    /// The noising process whose score it is.
    pub process: Process,
    /// What it was trained on.
    pub data: String,
    /// The shape of one sample, `[channels, height, width]` for images, `[dimension]` for points.
    pub shape: Vec<usize>,
    /// What the attributes are called that it can be told; empty where it is told none.
    #[serde(default)]
    pub attributes: Vec<Label>,
    /// How it was trained: settings, steps, time, as the training wrote them.
    pub training: serde_json::Value,
}

/// The key of the file's metadata under which the card stands.
const CARD: &str = "scorebook";

/// A trained network of any architecture, with its card.
///
/// The file is in the safetensors format; its metadata holds the [`ModelCard`], so that nothing else is needed to load
/// it. Files are written under another name and then moved, so that an interrupted write leaves the old one.
///
/// ```
/// use scorebook::{prelude::*, score::ModelCard};
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = Mlp::new(MlpSettings::default(), process, &mut generator, &Device::Cpu)?;
/// let card = ModelCard {
///     architecture: network.architecture(),
///     process,
///     data: "none".into(),
///     shape: vec![2],
///     attributes: vec![],
///     training: serde_json::json!({ "steps": 0 }),
/// };
/// let path = std::env::temp_dir().join(format!("scorebook-doc-model-{}.safetensors", std::process::id()));
/// Model::save(&path, &card, &network)?;
/// let model = Model::load(&path, &Device::Cpu)?;
/// assert_eq!(model.card, card);
/// assert_eq!(model.network().parameters().count(), network.parameters().count());
/// let (x, t) = (generator.normal((5, 2), &Device::Cpu)?, Tensor::full(0.5f32, 5, &Device::Cpu)?);
/// assert_eq!(model.score(&x, &t)?.to_vec2::<f32>()?, network.score(&x, &t)?.to_vec2::<f32>()?);
/// # std::fs::remove_file(path)?;
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    /// What the file says.
    pub card: ModelCard,
    network: AnyNetwork,
}

impl Model {
    /// Reads a model file.
    ///
    /// # Errors
    /// If the file is missing, cut short, not a model, or its tensors are not those of the architecture that it names.
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let (card, tensors): (ModelCard, _) = read(path, CARD, device)?;
        // The values drawn here are all replaced.
        let network = card.architecture.network(card.process, &mut Generator::new(0), device)?;
        let counts: Vec<usize> = card.attributes.iter().map(|known| known.values.len()).collect();
        if counts != network.attributes() {
            let told = network.attributes();
            let cause = format!("names attributes of {counts:?} values, its network has {told:?}");
            return Err(Error::file(path, cause, REMEDY));
        }
        let model = Self { card, network };
        let set = model.network().parameters().set(&tensors, "");
        set.map_err(|error| Error::file(path, error.to_string(), REMEDY))?;
        Ok(model)
    }

    /// The model of a name that is shipped in `datasets/weights`: `fashion-mnist`, `pixel-faces-16`.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn shipped(name: &str, device: &Device) -> Result<Self> {
        Self::load(crate::data::shipped_weights(name)?, device)
    }

    /// The network.
    pub fn network(&self) -> &dyn Network {
        &self.network
    }

    /// The labels `[1, attributes]` with these attributes given by name and the others not.
    ///
    /// # Errors
    /// If the model knows no attribute or no value of a name; the message lists those that it knows.
    pub fn labels(&self, given: &[(&str, &str)]) -> Result<Tensor> {
        let device = self.network.parameters().device();
        label::labels(&self.card.attributes, given, &device)
    }

    /// The model's score of samples with these attributes, such as `&[("hair", "long")]`.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let model = Model::shipped("pixel-faces-16", &Device::Cpu)?;
    /// let names: Vec<&str> = model.card.attributes.iter().map(|known| known.name.as_str()).collect();
    /// assert_eq!(names, ["hair", "glasses", "hat", "beard", "mouth", "skin"]);
    /// // Hair is given as the second of its values, the others are not.
    /// let labels = model.labels(&[("hair", "long")])?;
    /// assert_eq!(labels.to_vec2::<u32>()?, [[1, 3, 2, 2, 2, 8]]);
    /// let long = model.given(&[("hair", "long")])?;
    /// let (x, t) = (Generator::new(1).normal((2, 3, 16, 16), &Device::Cpu)?, Tensor::full(0.3f32, 2, &Device::Cpu)?);
    /// let apart = (long.score(&x, &t)? - model.score(&x, &t)?)?.abs()?.max_all()?.to_scalar::<f32>()?;
    /// assert!(apart > 0.0);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`labels`](Self::labels).
    pub fn given(&self, given: &[(&str, &str)]) -> Result<Given<Self>> {
        Ok(Given { labels: self.labels(given)?, score: self.clone() })
    }

    /// Writes a network and its card.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(path: impl AsRef<Path>, card: &ModelCard, network: &dyn Network) -> Result<()> {
        write(path.as_ref(), CARD, card, network.parameters().to_map(""))
    }
}

impl Score for Model {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.network.score(x, t)
    }

    fn attributes(&self) -> &[usize] {
        self.network.attributes()
    }

    fn score_given(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        self.network.score_given(x, t, labels)
    }
}

const REMEDY: &str = "Use a file that `scorebook train` or `Model::save` of this version wrote";

/// The JSON value under `key` in the metadata of a safetensors file, and its tensors.
pub(crate) fn read<T: serde::de::DeserializeOwned>(
    path: &Path,
    key: &str,
    device: &Device,
) -> Result<(T, HashMap<String, Tensor>)> {
    let bytes = std::fs::read(path)
        .map_err(|error| Error::file(path, error.to_string(), "Check the path"))?;
    let broken = |cause: String| Error::file(path, cause, REMEDY);
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes)
        .map_err(|error| broken(format!("not a whole safetensors file ({error})")))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get(key));
    let json = json.ok_or_else(|| broken(format!("its metadata has no entry {key:?}")))?;
    let value = serde_json::from_str(json)
        .map_err(|error| broken(format!("its entry {key:?} cannot be read ({error})")))?;
    let tensors = candle_core::safetensors::load_buffer(&bytes, device)
        .map_err(|error| broken(format!("its tensors cannot be read ({error})")))?;
    Ok((value, tensors))
}

/// Writes tensors with a JSON value under `key` in the metadata: to a file beside `path`, which then takes its name.
pub(crate) fn write<T: Serialize>(
    path: &Path,
    key: &str,
    value: &T,
    tensors: HashMap<String, Tensor>,
) -> Result<()> {
    let failed = |error: String| {
        Error::file(
            path,
            format!("cannot be written: {error}"),
            "Check the folder and the disk's free space",
        )
    };
    let metadata = HashMap::from([(key.to_owned(), serde_json::to_string(value)?)]);
    // In the order of the names, so that the same weights make the same file.
    let tensors: std::collections::BTreeMap<_, _> = tensors.into_iter().collect();
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|error| failed(error.to_string()))?;
    let part = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        use std::io::Write;
        let mut file = std::fs::File::create(&part)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    };
    write().map_err(|error| {
        // What was written of the new file is of no use; the old one stands.
        let _ = std::fs::remove_file(&part);
        failed(error.to_string())
    })
}
