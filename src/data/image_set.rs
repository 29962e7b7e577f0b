//! A finite set of images and what is known of each.

use super::{Attribute, pixels};
use crate::likelihood::Dequantisation;
use crate::random::Generator;
use crate::score::Label;
use crate::train::{Source, epoch_indices};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::fmt;

/// A finite set of images and what is known of each.
///
/// The bytes stay on the host; a batch is turned into numbers from -1 to 1, `x = byte / 127.5 - 1`, on its way to the
/// device.
///
/// ```
/// use scorebook::{data::Attribute, prelude::*, train::Source};
///
/// let bytes = Tensor::arange(0u8, 96, &Device::Cpu)?.reshape((6, 1, 4, 4))?;
/// let parity = Attribute::new("parity", &["even", "odd"], vec![0, 1, 0, 1, 0, 1]);
/// let set = ImageSet::with_attributes("counted", "this example", bytes, vec![parity])?;
/// let generator = Generator::new(1);
/// let x = set.batch(0, 3, &generator, &Device::Cpu)?; // [3, 1, 4, 4], from -1 to 1
/// let labels = set.labels(0, 3, &generator, &Device::Cpu)?; // [3, 1]: of the same images
/// assert_eq!((x.dims(), labels.unwrap().dims()), (&[3, 1, 4, 4][..], &[3, 1][..]));
/// assert_eq!((set.name(), set.origin(), set.attributes()[0].name.as_str()), ("counted", "this example", "parity"));
/// assert_eq!((set.len(), set.is_empty(), set.shape()), (6, false, &[1, 4, 4][..]));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageSet {
    name: String,
    origin: String,
    images: Tensor,
    attributes: Vec<Attribute>,
    augmentation: Augmentation,
}

/// What is done to the images of a training batch: by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Augmentation {
    /// Mirror half of the images, drawn anew for every step, left to right.
    pub flips: bool,
    /// Spread each byte evenly over its cell, `x = (byte + u)/127.5 - 1 - 1/255` with `u` uniform on `[0, 1)`, so that the
    /// images have a density: see [`Dequantisation::of_images`].
    pub dequantise: bool,
}

impl ImageSet {
    /// A set of `images` `[count, channels, height, width]`, U8 on the CPU, with one attribute, named `class`: one label an
    /// image, each the index of a class. `origin` says where it was found.
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
        Self::with_attributes(name, origin, images, vec![Attribute::new("class", classes, labels)])
    }

    /// The same with any attributes, or none.
    ///
    /// # Errors
    /// If the images have another shape or type, two attributes one name, or an attribute not one value an image.
    pub fn with_attributes(
        name: &str,
        origin: &str,
        images: Tensor,
        attributes: Vec<Attribute>,
    ) -> Result<Self> {
        if images.rank() != 4 || images.dtype() != DType::U8 || !images.device().is_cpu() {
            let expected = "[count, channels, height, width], bytes on the CPU";
            return Err(Error::shape("images", images.dims(), expected));
        }
        for (place, Attribute { name, values, of }) in attributes.iter().enumerate() {
            if attributes[..place].iter().any(|other| other.name == *name) {
                return Err(Error::argument("name", name, "a name that no other attribute has"));
            }
            if of.len() != images.dims()[0] {
                let expected = format!("{}, one an image (attribute {name})", images.dims()[0]);
                return Err(Error::argument("labels.len()", of.len(), expected));
            }
            if let Some(label) = of.iter().find(|&&label| label as usize >= values.len()) {
                let count = values.len();
                let expected = format!("less than {count}, the number of values of {name}");
                return Err(Error::argument("label", label, expected));
            }
        }
        let augmentation = Augmentation::default();
        Ok(Self { name: name.into(), origin: origin.into(), images, attributes, augmentation })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.images.dims()[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

    /// What is known of each image.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The attribute of this name.
    ///
    /// # Errors
    /// If there is none; the error lists those that there are.
    pub fn attribute(&self, name: &str) -> Result<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name).ok_or_else(|| {
            let names: Vec<_> = self.attributes.iter().map(|known| known.name.as_str()).collect();
            let expected = match names.is_empty() {
                true => format!("nothing: {} has no attributes", self.name),
                false => format!("an attribute of {}: {}", self.name, names.join(", ")),
            };
            Error::argument("name", name, expected)
        })
    }

    /// The images `from..from + count` as numbers from -1 to 1, `[count, channels, height, width]` in F32.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let bytes = Tensor::new(&[0u8, 51, 204, 255], &Device::Cpu)?.reshape((2, 1, 1, 2))?;
    /// let set = ImageSet::with_attributes("greys", "this example", bytes, vec![])?;
    /// assert_eq!(set.bytes(1, 1)?.flatten_all()?.to_vec1::<u8>()?, [204, 255]);
    /// let x = set.tensor(0, 2)?.flatten_all()?.to_vec1::<f32>()?; // byte / 127.5 - 1
    /// assert!(x.iter().zip([-1.0, -0.6, 0.6, 1.0]).all(|(x, exact)| (x - exact).abs() < 1e-6));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there are not so many.
    pub fn tensor(&self, from: usize, count: usize) -> Result<Tensor> {
        pixels::to_numbers(&self.bytes(from, count)?, &Device::Cpu)
    }

    /// The images `from..from + count` as they are, `[count, channels, height, width]` in U8: what
    /// [`Dequantisation`] takes.
    ///
    /// # Errors
    /// If there are not so many.
    pub fn bytes(&self, from: usize, count: usize) -> Result<Tensor> {
        if from.checked_add(count).is_none_or(|end| end > self.len()) {
            let expected = format!("an end of at most {}, the number of images", self.len());
            return Err(Error::argument("from + count", format!("{from} + {count}"), expected));
        }
        Ok(self.images.narrow(0, from, count)?)
    }

    /// What is known of all images as numbers, `[count, attributes]` in U32 on the CPU: what
    /// [`metrics::accuracy`](crate::metrics::accuracy) takes.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let test = Digits::default().load(Split::Test)?;
    /// assert_eq!(test.all_labels()?.dims(), [297, 1]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If nothing is known of them.
    pub fn all_labels(&self) -> Result<Tensor> {
        if self.attributes.is_empty() {
            let expected = format!("images of which something is known, unlike {}", self.name);
            return Err(Error::argument("attributes", "none", expected));
        }
        self.labels_at(0..self.len(), &Device::Cpu)
    }

    /// What is known of these images, `[images, attributes]`.
    fn labels_at(
        &self,
        images: impl ExactSizeIterator<Item = usize>,
        device: &Device,
    ) -> Result<Tensor> {
        let (count, known) = (images.len(), &self.attributes);
        let of = |image: usize| known.iter().map(move |each| u32::from(each.of[image]));
        let labels: Vec<u32> = images.flat_map(of).collect();
        Ok(Tensor::from_vec(labels, (count, known.len()), device)?)
    }

    /// The names of the attributes and of their values: what a model is told that is trained with them, and what a classifier
    /// tells.
    ///
    /// ```
    /// use scorebook::{prelude::*, score::Label};
    ///
    /// let faces = PixelFaces::default().load(Split::Test)?;
    /// assert_eq!(faces.label_names()[1], Label::new("glasses", ["none", "light", "dark"]));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn label_names(&self) -> Vec<Label> {
        self.attributes.iter().map(|known| Label::new(&known.name, &known.values)).collect()
    }

    /// The set of the images at `indices` alone, in that order, with all that is known of them.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let test = FashionMnist::default().load(Split::Test)?;
    /// let class = test.attribute("class")?;
    /// let boot = class.values.iter().position(|name| name == "Boot").unwrap();
    /// let boots = (0..test.len() as u32).filter(|&i| class.of[i as usize] as usize == boot);
    /// let boots = test.select(&boots.collect::<Vec<_>>())?;
    /// assert_eq!(boots.len(), 1000);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such image.
    pub fn select(&self, indices: &[u32]) -> Result<Self> {
        if let Some(index) = indices.iter().find(|&&index| index as usize >= self.len()) {
            let expected = format!("less than {}, the number of images", self.len());
            return Err(Error::argument("index", index, expected));
        }
        let chosen = Tensor::from_slice(indices, indices.len(), &Device::Cpu)?;
        Ok(Self {
            images: self.images.index_select(&chosen, 0)?,
            attributes: self.attributes.iter().map(|known| known.select(indices)).collect(),
            ..self.clone()
        })
    }

    /// The same set, whose training batches are changed so. [`ImageSet::tensor`] and [`ImageSet::bytes`] give the images
    /// as they are.
    ///
    /// ```
    /// use scorebook::{data::Augmentation, prelude::*, train::Source};
    ///
    /// let test = FashionMnist::default().load(Split::Test)?;
    /// let mirrored = test.augmented(Augmentation { flips: true, ..Default::default() });
    /// let x = mirrored.batch(0, 64, &Generator::new(1), &Device::Cpu)?;
    /// assert_eq!(x.dims(), [64, 1, 28, 28]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn augmented(self, augmentation: Augmentation) -> Self {
        Self { augmentation, ..self }
    }
}

impl Source for ImageSet {
    fn batch(
        &self,
        step: u64,
        size: usize,
        generator: &Generator,
        device: &Device,
    ) -> Result<Tensor> {
        let indices = epoch_indices(self.len(), step, size, generator)?;
        let mut bytes = self.images.index_select(&indices, 0)?;
        // Epochs are the children from 0 on; what happens to the images is drawn from the last one.
        let mut drawn = generator.child(u64::MAX).child(step);
        let (mut flips, mut spread) = (drawn.split(), drawn.split());
        if self.augmentation.flips {
            let mut chance = vec![0.0; size];
            flips.fill_uniform_f64(&mut chance);
            let mirrored: Vec<bool> = chance.iter().map(|&chance| chance < 0.5).collect();
            bytes = pixels::mirror(&bytes, &mirrored)?;
        }
        match self.augmentation.dequantise {
            true => {
                let cells = Dequantisation::of_images(1);
                Ok(cells.dequantise(&bytes, &mut spread)?.to_device(device)?)
            }
            false => pixels::to_numbers(&bytes, device),
        }
    }

    fn count(&self) -> Option<usize> {
        Some(self.len())
    }

    fn labels(
        &self,
        step: u64,
        size: usize,
        generator: &Generator,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        if self.attributes.is_empty() {
            return Ok(None);
        }
        let indices = epoch_indices(self.len(), step, size, generator)?.to_vec1::<u32>()?;
        let images = indices.into_iter().map(|index| index as usize);
        self.labels_at(images, device).map(Some)
    }
}

/// `Fashion-MNIST: 60000 images of 1×28×28 in 10 classes, from /usr/share/datasets/fashion-mnist`
impl fmt::Display for ImageSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let shape: Vec<String> = self.shape().iter().map(usize::to_string).collect();
        let (name, count, shape) = (&self.name, self.len(), shape.join("×"));
        write!(f, "{name}: {count} images of {shape}")?;
        match &self.attributes[..] {
            [] => {}
            [class] if class.name == "class" => write!(f, " in {} classes", class.values.len())?,
            attributes => {
                let each = |known: &Attribute| format!("{} ({})", known.name, known.values.len());
                let known: Vec<String> = attributes.iter().map(each).collect();
                write!(f, " with {}", known.join(", "))?;
            }
        }
        write!(f, ", from {}", self.origin)
    }
}
