//! A network's way over maps, written down so that it can be gone back.
//!
//! Candle's own graph starts every gradient as zeros and adds to them, and takes fresh memory for each: for a network
//! of convolutions that is a third of the time of a training step. So the layers between a network's input and its
//! output are one op of candle's graph; inside, a [`Tape`] remembers them, each gradient is written once, and memory is
//! used again.

mod attention;
mod block;
mod buffers;
mod convolution;
mod link;
mod norm;
mod parts;
mod pointwise;

pub(crate) use buffers::{Buffers, Values};
pub(crate) use convolution::Added;

use super::PIECE;
use super::lanes::own_kernels;
use crate::{Error, Result};
use candle_core::{DType, Storage, Tensor};
use link::{Backward, depending_on};
use rayon::prelude::*;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

/// Layers of a network, each a method that takes maps and gives one, and the way back through them.
///
/// Maps are `[batch, height, width, channels]`, or `[batch, channels]` for what has no pixels. In F32 on the CPU the
/// layers are our own kernels, elsewhere compositions of candle's ops.
pub(crate) struct Tape {
    own: bool,
    buffers: Buffers,
    written: Mutex<Written>,
}

#[derive(Default)]
struct Written {
    /// The tensors of candle's graph that a gradient is wanted of: the first places of the gradients.
    leaves: Vec<(usize, Tensor)>,
    entries: Vec<Entry>,
    /// How many places gradients have in all.
    places: usize,
}

/// A layer's result.
#[derive(Clone)]
pub(crate) struct Map {
    shape: Vec<usize>,
    numbers: Numbers,
    /// Where its gradient belongs, if one is wanted.
    place: Option<usize>,
}

#[derive(Clone)]
enum Numbers {
    Own(Arc<Values>),
    /// An input, a parameter, or anything where candle's ops do the work.
    Candle(Tensor),
}

/// The numbers of a map, to be read.
enum View<'a> {
    Own(&'a [f32]),
    Candle { storage: Box<dyn Deref<Target = Storage> + 'a>, from: usize, to: usize },
}

impl Deref for View<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Own(numbers) => numbers,
            Self::Candle { storage, from, to } => match &***storage {
                Storage::Cpu(storage) => match storage.as_slice::<f32>() {
                    Ok(numbers) => &numbers[*from..*to],
                    Err(_) => &[],
                },
                _ => &[],
            },
        }
    }
}

impl Map {
    pub fn dims(&self) -> &[usize] {
        &self.shape
    }

    /// Whether a gradient of it is wanted.
    fn is_wanted(&self) -> bool {
        self.place.is_some()
    }

    fn view(&self) -> View<'_> {
        match &self.numbers {
            Numbers::Own(values) => View::Own(values),
            Numbers::Candle(tensor) => {
                let (storage, layout) = tensor.storage_and_layout();
                let (storage, from) = (Box::new(storage), layout.start_offset());
                View::Candle { storage, from, to: from + tensor.elem_count() }
            }
        }
    }

    /// The tensor, where candle's ops do the work.
    fn tensor(&self) -> Result<Tensor> {
        match &self.numbers {
            Numbers::Candle(tensor) => Ok(tensor.reshape(self.dims())?),
            Numbers::Own(_) => {
                Err(Error::argument("map", "a map of another tape", "one of this tape"))
            }
        }
    }

    /// The same numbers in another shape.
    fn reshape(&self, shape: &[usize]) -> Result<Self> {
        if shape.iter().product::<usize>() != self.shape.iter().product::<usize>() {
            return Err(Error::shape("map", self.dims(), format!("as many numbers as {shape:?}")));
        }
        Ok(Self { shape: shape.to_vec(), ..self.clone() })
    }
}

/// The way back through one layer.
trait Step: Send + Sync {
    /// The gradients of the `inputs`, at least of those that are wanted, where that of the output is `gradient`.
    fn backward(&self, inputs: &[Map], gradient: Values, buffers: &Buffers) -> Vec<Option<Values>>;
}

struct Entry {
    step: Box<dyn Step>,
    inputs: Vec<Map>,
    place: usize,
}

impl Tape {
    /// A tape for layers of tensors like `x`, in memory of `buffers`.
    pub fn new(x: &Tensor, buffers: &Buffers) -> Self {
        let own = own_kernels() && x.device().is_cpu() && x.dtype() == DType::F32;
        Self { own, buffers: buffers.clone(), written: Mutex::default() }
    }

    /// A tensor of candle's graph as a map: an input or a parameter.
    ///
    /// # Errors
    /// If it is not on the tape's device or not of its type.
    pub fn leaf(&self, tensor: &Tensor) -> Result<Map> {
        let shape = tensor.dims().to_vec();
        if !self.own {
            return Ok(Map { shape, numbers: Numbers::Candle(tensor.clone()), place: None });
        }
        if !tensor.device().is_cpu() || tensor.dtype() != DType::F32 {
            let found = format!("{:?} on {:?}", tensor.dtype(), tensor.device());
            return Err(Error::argument("tensor", found, "F32 on the CPU, as the network's input"));
        }
        let tensor = tensor.contiguous()?;
        let mut written = self.written.lock().expect("no thread panics with it");
        let place = tensor.track_op().then(|| {
            written.places += 1;
            let place = written.places - 1;
            written.leaves.push((place, tensor.clone()));
            place
        });
        Ok(Map { shape, numbers: Numbers::Candle(tensor), place })
    }

    /// Writes down a layer, and gives its result as a map.
    fn write(
        &self,
        shape: &[usize],
        values: Values,
        inputs: Vec<Map>,
        step: impl Step + 'static,
    ) -> Map {
        let place = self.wanted(&inputs).then(|| {
            let mut written = self.written.lock().expect("no thread panics with it");
            let place = written.places;
            written.places += 1;
            written.entries.push(Entry { step: Box::new(step), inputs, place });
            place
        });
        Map { shape: shape.to_vec(), numbers: Numbers::Own(Arc::new(values)), place }
    }

    /// Whether the way back through a layer with these inputs will be asked for.
    fn wanted(&self, inputs: &[Map]) -> bool {
        inputs.iter().any(Map::is_wanted)
    }

    fn candle(&self, tensor: Tensor) -> Map {
        Map { shape: tensor.dims().to_vec(), numbers: Numbers::Candle(tensor), place: None }
    }

    /// A map as a tensor of candle's graph, differentiable in all leaves.
    pub fn finish(self, map: Map) -> Result<Tensor> {
        if let Numbers::Candle(_) = map.numbers {
            return map.tensor();
        }
        let view = map.view().to_vec();
        let Some(place) = map.place else {
            return Ok(Tensor::from_vec(view, map.shape.as_slice(), &candle_core::Device::Cpu)?);
        };
        let written = self.written.into_inner().expect("no thread panics with it");
        let leaves: Vec<Tensor> = written.leaves.iter().map(|(_, leaf)| leaf.clone()).collect();
        let leaves: Vec<&Tensor> = leaves.iter().collect();
        let way = WayBack { written, place, buffers: self.buffers };
        Ok(depending_on(&leaves, view, &map.shape, way)?)
    }
}

struct WayBack {
    written: Written,
    /// Where the gradient of the result belongs.
    place: usize,
    buffers: Buffers,
}

impl Backward for WayBack {
    fn gradients(&self, gradient: &Tensor) -> candle_core::Result<Vec<Option<Tensor>>> {
        let mut gradients: Vec<Option<Values>> = (0..self.written.places).map(|_| None).collect();
        let mut values = self.buffers.take(gradient.elem_count());
        super::with_values(gradient, |numbers: &[f32]| {
            values.copy_from_slice(numbers);
            Ok(())
        })?;
        gradients[self.place] = Some(values);
        for Entry { step, inputs, place } in self.written.entries.iter().rev() {
            let Some(gradient) = gradients[*place].take() else { continue };
            let found = step.backward(inputs, gradient, &self.buffers);
            for (input, found) in inputs.iter().zip(found) {
                let (Some(place), Some(found)) = (input.place, found) else { continue };
                match &mut gradients[place] {
                    Some(sum) => add(sum, &found),
                    none => *none = Some(found),
                }
            }
        }
        let leaf = |(place, leaf): &(usize, Tensor)| {
            let values = gradients[*place].take();
            let tensor = |v: Values| Tensor::from_slice(&v, leaf.shape(), leaf.device());
            values.map(tensor).transpose()
        };
        self.written.leaves.iter().map(leaf).collect()
    }
}

fn add(sum: &mut [f32], part: &[f32]) {
    sum.par_chunks_mut(PIECE).zip(part.par_chunks(PIECE)).for_each(|(sum, part)| {
        for (sum, part) in sum.iter_mut().zip(part) {
            *sum += part;
        }
    });
}
