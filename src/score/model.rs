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

    /// The model's score of samples with these attributes, such as `&[("hair", "brown")]`.
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
