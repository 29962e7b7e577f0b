//! A finite set of images with labels.

use crate::random::Generator;
use crate::train::Source;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::fmt;

/// A finite set of images with labels.
///
/// The bytes stay on the host; a batch is turned into numbers from -1 to 1, `x = byte / 127.5 - 1`, on its way to the
/// device.
#[derive(Clone, Debug)]
pub struct ImageSet {
    name: String,
    origin: String,
    images: Tensor,
    labels: Vec<u8>,
    classes: Vec<String>,
}

impl ImageSet {
    /// A set of `images` `[count, channels, height, width]`, U8 on the CPU, with one label an image, each the index of a
    /// class. `origin` says where it was found.
    ///
    /// # Errors
    /// If the images have another shape or type, or the labels another number or no class.
    pub fn new(
        name: &str,
        origin: &str,
        images: Tensor,
        labels: Vec<u8>,
        classes: &[&str],
    ) -> Result<Self> {
        if images.rank() != 4 || images.dtype() != DType::U8 || !images.device().is_cpu() {
            let expected = "[count, channels, height, width], bytes on the CPU";
            return Err(Error::shape("images", images.dims(), expected));
        }
        if labels.len() != images.dims()[0] {
            let expected = format!("{}, one an image", images.dims()[0]);
            return Err(Error::argument("labels.len()", labels.len(), expected));
        }
        if let Some(label) = labels.iter().find(|&&label| label as usize >= classes.len()) {
            let expected = format!("less than {}, the number of classes", classes.len());
            return Err(Error::argument("label", label, expected));
        }
        let classes = classes.iter().map(|class| class.to_string()).collect();
        Ok(Self { name: name.into(), origin: origin.into(), images, labels, classes })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The shape of one image, `[channels, height, width]`.
    pub fn shape(&self) -> &[usize] {
        &self.images.dims()[1..]
    }

    /// The name of the set.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it was found.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The class of each image, an index into [`ImageSet::classes`].
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The images `from..from + count` as numbers from -1 to 1, `[count, channels, height, width]` in F32.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn tensor(&self, from: usize, count: usize) -> Result<Tensor> {
        if from.checked_add(count).is_none_or(|end| end > self.len()) {
            let expected = format!("an end of at most {}, the number of images", self.len());
            return Err(Error::argument("from + count", format!("{from} + {count}"), expected));
        }
        to_numbers(&self.images.narrow(0, from, count)?, &Device::Cpu)
    }
}

fn to_numbers(bytes: &Tensor, device: &Device) -> Result<Tensor> {
    Ok(bytes.to_device(device)?.to_dtype(DType::F32)?.affine(1.0 / 127.5, -1.0)?)
}

impl Source for ImageSet {
    fn batch(
        &self,
        step: u64,
        size: usize,
        generator: &Generator,
        device: &Device,
    ) -> Result<Tensor> {
        let indices = crate::train::epoch_indices(self.len(), step, size, generator)?;
        to_numbers(&self.images.index_select(&indices, 0)?, device)
    }

    fn count(&self) -> Option<usize> {
        Some(self.len())
    }
}

/// `Fashion-MNIST: 60000 images of 1×28×28 in 10 classes, from /usr/share/datasets/fashion-mnist`
impl fmt::Display for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let shape: Vec<String> = self.shape().iter().map(usize::to_string).collect();
        let (count, classes) = (self.len(), self.classes.len());
        let (name, origin) = (&self.name, &self.origin);
        write!(
            f,
            "{name}: {count} images of {} in {classes} classes, from {origin}",
            shape.join("×")
        )
    }
}
