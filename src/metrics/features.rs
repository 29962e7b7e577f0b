//! Features of images: what the distances between sets of images are computed on.

use crate::score::{Classifier, model};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Features of a set of images, one row an image, and the name of the net that made them.
///
/// Distances between sets of images are distances between their features, and mean something only beside the net's name
/// and the number of images.
///
/// # The file
/// A safetensors file with one tensor `features` `[images, size]` (F32, or any other type of numbers) and, in its
/// metadata, an entry `scorebook-features` with the JSON `{"net": "...", "images": "..."}`. In Python:
///
/// ```python
/// safetensors.numpy.save_file({"features": features}, "inception.safetensors",
///     metadata={"scorebook-features": '{"net": "inception-v3 pool3", "images": "cifar10 train"}'})
/// ```
///
/// A `.npy` file of an array `[images, size]` is read too; it does not say its net, which is then called `unnamed`.
///
/// ```
/// use scorebook::{prelude::*, metrics::Features};
///
/// let values = Tensor::new(&[[1f32, 2.0], [3.0, 4.0], [5.0, 6.0]], &Device::Cpu)?;
/// let features = Features::new(values, "by hand", "three points")?;
/// let path = std::env::temp_dir().join("scorebook-doc-features.safetensors");
/// features.save(&path)?;
/// assert_eq!(Features::load(&path)?.to_string(), "3 rows of 2 features by by hand of three points");
/// assert_eq!((features.len(), features.is_empty(), features.size()), (3, false, 2));
/// assert_eq!((features.net(), features.images()), ("by hand", "three points"));
/// assert_eq!(features.first(1)?.values().to_vec2::<f32>()?, [[1.0, 2.0]]);
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Features {
    values: Tensor,
    net: String,
    images: String,
}

/// What the file says beside the numbers.
#[derive(Serialize, Deserialize)]
struct Label {
    net: String,
    #[serde(default)]
    images: String,
}

const KEY: &str = "scorebook-features";

const REMEDY: &str = "Use a file that `Features::save` wrote, one of the format that it describes, or a .npy array of [images, size]";

impl Features {
    /// The features `values` `[images, size]` that the net of this name made of these images.
    ///
    /// # Errors
    /// If they are no such rows, or a number is not finite.
    pub fn new(values: Tensor, net: &str, images: &str) -> Result<Self> {
        if values.rank() != 2 || values.elem_count() == 0 {
            return Err(Error::shape(
                "features",
                values.dims(),
                "[images, size], neither of them 0",
            ));
        }
        let values = values.detach().to_dtype(DType::F32)?;
        // A sum over the squares is finite only if all of them are, but for overflow, which 10¹⁸ does not come to.
        if !values.sqr()?.sum_all()?.to_scalar::<f32>()?.is_finite() {
            return Err(Error::NotFinite {
                what: "a feature".into(),
                at: format!("the features of {images} by {net}"),
                remedy: "Look at the images, and at what made the features".into(),
            });
        }
        Ok(Self { values, net: net.into(), images: images.into() })
    }

    /// What `classifier` sees in `images` `[n, channels, height, width]` from -1 to 1, which are called `name`.
    ///
    /// ```
    /// use scorebook::{prelude::*, metrics::Features, score::Classifier};
    ///
    /// let (classifier, _) = Classifier::shipped("fashion-mnist-classifier", &Device::Cpu)?;
    /// let images = FashionMnist::default().load(Split::Test)?.tensor(0, 8)?;
    /// let features = Features::of(&classifier, &images, "eight garments")?;
    /// assert_eq!((features.len(), features.size(), features.net()), (8, 64, "fashion-mnist-classifier"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the images have another shape than the classifier's, or there is none.
    pub fn of(classifier: &Classifier, images: &Tensor, name: &str) -> Result<Self> {
        let values = in_batches(images, |x| classifier.features(x, None))?;
        Self::new(values, classifier.name(), name)
    }

    /// The pixels themselves as features: for memorisation, and where there is no net.
    ///
    /// ```
    /// use scorebook::{prelude::*, metrics::Features};
    ///
    /// let images = Tensor::arange(0f32, 8.0, &Device::Cpu)?.reshape((2, 1, 2, 2))?;
    /// let features = Features::pixels(&images, "two squares")?;
    /// assert_eq!(features.values().to_vec2::<f32>()?, [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no image.
    pub fn pixels(images: &Tensor, name: &str) -> Result<Self> {
        Self::new(images.flatten_from(1)?, "pixels", name)
    }

    /// Reads a features file: see the format above.
    ///
    /// # Errors
    /// If the file is missing, or not of that format.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let broken = |cause: String| Error::file(path, cause, REMEDY);
        if !path.is_file() {
            return Err(Error::file(path, "is not a file", "Check the path"));
        }
        let name =
            path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (values, label) = if path.extension().is_some_and(|extension| extension == "npy") {
            let values = Tensor::read_npy(path)
                .map_err(|error| broken(format!("its array cannot be read ({error})")))?;
            (values, Label { net: "unnamed".into(), images: name })
        } else {
            let (label, mut tensors): (Label, HashMap<String, Tensor>) =
                model::read(path, KEY, &Device::Cpu).map_err(|error| match error {
                    Error::File { cause, .. } => broken(cause),
                    other => other,
                })?;
            let values = tensors.remove("features");
            (values.ok_or_else(|| broken("holds no tensor `features`".into()))?, label)
        };
        Self::new(values, &label.net, &label.images).map_err(|error| broken(error.to_string()))
    }

    /// Writes a features file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let label = Label { net: self.net.clone(), images: self.images.clone() };
        let tensors = HashMap::from([("features".to_owned(), self.values.clone())]);
        model::write(path.as_ref(), KEY, &label, tensors)
    }

    /// The numbers, `[images, size]` in F32.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// The name of the net that made them.
    pub fn net(&self) -> &str {
        &self.net
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.values.dims()[0]
    }

    /// Whether there are none: never, [`Features::new`] does not take it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many features an image has.
    pub fn size(&self) -> usize {
        self.values.dims()[1]
    }

    /// The first `count` of the images.
    ///
    /// # Errors
    /// If there are not so many, or `count` is 0.
    pub fn first(&self, count: usize) -> Result<Self> {
        if count == 0 || count > self.len() {
            let expected = format!("from 1 to {}, the number of images", self.len());
            return Err(Error::argument("count", count, expected));
        }
        Ok(Self { values: self.values.narrow(0, 0, count)?, ..self.clone() })
    }

    /// What the images are called.
    pub fn images(&self) -> &str {
        &self.images
    }

    /// Those of the images at `indices`, in that order.
    pub(super) fn select(&self, indices: &[u32]) -> Result<Self> {
        let indices = Tensor::new(indices, self.values.device())?;
        Ok(Self { values: self.values.index_select(&indices, 0)?, ..self.clone() })
    }

    /// That both were made by one net.
    pub(super) fn check_same_net(&self, other: &Self) -> Result<()> {
        if self.net != other.net {
            let expected = format!("features of the same net, {:?}", self.net);
            return Err(Error::argument("net", format!("{:?}", other.net), expected));
        }
        match self.size() == other.size() {
            true => Ok(()),
            false => {
                let expected = format!("[images, {}], features of the same net", self.size());
                Err(Error::shape("features", other.values.dims(), expected))
            }
        }
    }
}

/// `50000 rows of 64 features by fashion-mnist-classifier of Fashion-MNIST`
impl std::fmt::Display for Features {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, size) = (self.len(), self.size());
        write!(f, "{count} rows of {size} features by {} of {}", self.net, self.images)
    }
}

/// `f` of the images a few at a time, so that a network's maps of all of them are never there at once.
pub(super) fn in_batches(images: &Tensor, f: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    const BATCH: usize = 128;
    let count = images.dims().first().copied().unwrap_or(0);
    if count == 0 {
        return Err(Error::shape("images", images.dims(), "at least one image"));
    }
    let parts = (0..count)
        .step_by(BATCH)
        .map(|from| Ok(f(&images.narrow(0, from, BATCH.min(count - from))?)?.detach()));
    Ok(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)?)
}
