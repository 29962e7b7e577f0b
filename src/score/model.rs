//! A trained network in one file: weights, and what they are the weights of.

use super::{Architecture, Mlp, Network, Score, Unet};
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

#[derive(Clone, Debug)]
enum AnyNetwork {
    Mlp(Mlp),
    Unet(Unet),
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
        let generator = &mut Generator::new(0);
        let network = match card.architecture {
            Architecture::Mlp(settings) => {
                AnyNetwork::Mlp(Mlp::new(settings, card.process, generator, device)?)
            }
            Architecture::Unet(settings) => {
                AnyNetwork::Unet(Unet::new(settings, card.process, generator, device)?)
            }
        };
        let model = Self { card, network };
        let set = model.network().parameters().set(&tensors, "");
        set.map_err(|error| Error::file(path, error.to_string(), REMEDY))?;
        Ok(model)
    }

    /// The model of a name that is shipped in `datasets/weights`: `fashion-mnist`.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn shipped(name: &str, device: &Device) -> Result<Self> {
        let path = crate::data::find(format!("weights/{name}.safetensors"));
        if !path.is_file() {
            return Err(Error::file(path, "is not there", crate::data::shipped::REMEDY));
        }
        Self::load(path, device)
    }

    /// The network.
    pub fn network(&self) -> &dyn Network {
        match &self.network {
            AnyNetwork::Mlp(network) => network,
            AnyNetwork::Unet(network) => network,
        }
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
        self.network().score(x, t)
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
