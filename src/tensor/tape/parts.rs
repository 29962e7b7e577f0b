//! A convolution of several maps as if they were one, their channels one behind the other.

use super::{Buffers, Map, Values, View};
use crate::tensor::Convolution;
use crate::tensor::geometry::{Geometry, Production, make_each};
use crate::{Error, Result};
use rayon::prelude::*;
use std::borrow::Cow;

/// A convolution of one map, or of two as if they had been concatenated: a map and the skip connection to it.
pub(super) struct Parts {
    convolution: Convolution,
    /// The shape of the whole kernel.
    kernel: Vec<usize>,
    parts: Vec<Part>,
    output: [usize; 4],
}

/// The part of the kernel that one of the maps meets.
struct Part {
    geometry: Geometry,
    /// The first of its input channels, and how many of them there are.
    channels: (usize, usize),
}

/// A production of each part, and the map that it takes.
pub(super) struct Sources<'a> {
    productions: Vec<Production<'a, f32>>,
    maps: Vec<&'a [f32]>,
}

impl Parts {
    pub fn new(maps: &[&Map], kernel: &[usize], convolution: Convolution) -> Result<Self> {
        let (Some(first), 1..=2) = (maps.first(), maps.len()) else {
            return Err(Error::argument("maps", maps.len(), "one map or two"));
        };
        let mut whole = first.dims().to_vec();
        if let Some(second) = maps.get(1) {
            let (one, other) = (first.dims(), second.dims());
            if one.len() != 4 || other.len() != 4 || one[..3] != other[..3] {
                return Err(Error::shape("maps", other, format!("{one:?} up to the channels")));
            }
            whole[3] += other[3];
        }
        let output = convolution.output(&convolution.geometry(&whole, kernel)?);
        let axis = input_axis(convolution);
        let mut from = 0;
        let part = |map: &&Map| {
            let count = map.dims()[3];
            let mut kernel = kernel.to_vec();
            kernel[axis] = count;
            let geometry = convolution.geometry(map.dims(), &kernel)?;
            from += count;
            Ok(Part { geometry, channels: (from - count, count) })
        };
        let parts = maps.iter().map(part).collect::<Result<_>>()?;
        Ok(Self { convolution, kernel: kernel.to_vec(), parts, output })
    }

    /// The shape of the output, `[batch, height, width, channels]`.
    pub fn output(&self) -> [usize; 4] {
        self.output
    }

    /// Room for the packed weights of all parts.
    pub fn room(&self, buffers: &Buffers) -> Vec<Values> {
        self.parts.iter().map(|part| buffers.take(part.geometry.packed())).collect()
    }

    /// The products that make the output maps, each of its map.
    pub fn sources<'a>(
        &self,
        views: &'a [View<'a>],
        kernel: &[f32],
        room: &'a mut [Values],
    ) -> Sources<'a> {
        let parts = self.parts.iter().zip(room);
        let production = |(part, room): (&Part, &'a mut Values)| {
            let kernel = self.part_of_kernel(kernel, part);
            self.convolution.production(&part.geometry, &kernel, room)
        };
        let maps = views.iter().map(|view| &**view).collect();
        Sources { productions: parts.map(production).collect(), maps }
    }

    /// The gradients of the kernel and of the maps, of those that are wanted; `inputs` are the maps and then the kernel.
    pub fn backward(
        &self,
        inputs: &[Map],
        views: &[View],
        kernel: &[f32],
        gradient: &[f32],
        buffers: &Buffers,
    ) -> (Option<Values>, Vec<Option<Values>>) {
        let of_kernel = inputs[self.parts.len()].is_wanted();
        let mut whole = of_kernel.then(|| buffers.take(kernel.len()));
        let mut found = vec![];
        for ((part, view), map) in self.parts.iter().zip(views).zip(inputs) {
            let g = &part.geometry;
            if let Some(whole) = &mut whole {
                let mut sums = buffers.take(g.room_for_sums());
                if let [_] = self.parts[..] {
                    self.convolution.kernel_gradient(g, view, gradient, &mut sums, whole);
                } else {
                    let ranges = self.ranges(part);
                    let mut own = buffers.take(ranges.iter().map(|range| range.len()).sum());
                    self.convolution.kernel_gradient(g, view, gradient, &mut sums, &mut own);
                    let mut from = 0;
                    for range in ranges {
                        let next = from + range.len();
                        whole[range].copy_from_slice(&own[from..next]);
                        from = next;
                    }
                }
            }
            found.push(map.is_wanted().then(|| {
                let mut packed = buffers.take(g.packed());
                let mut of_map = buffers.take(view.len());
                let kernel = self.part_of_kernel(kernel, part);
                self.convolution.way_back(g, &kernel, &mut packed).make(gradient, &mut of_map);
                of_map
            }));
        }
        (whole, found)
    }

    /// The ranges of a part's weights in the kernel, in order: one range where they lie side by side.
    fn ranges(&self, part: &Part) -> Vec<std::ops::Range<usize>> {
        let (from, count) = part.channels;
        let axis = input_axis(self.convolution);
        let (outer, inner) = match axis {
            1 if count < self.kernel[1] => (self.kernel[0], self.kernel[2] * self.kernel[3]),
            axis => (1, self.kernel.iter().product::<usize>() / self.kernel[axis]),
        };
        let row = self.kernel[axis] * inner;
        (0..outer).map(|i| i * row + from * inner..i * row + (from + count) * inner).collect()
    }

    fn part_of_kernel<'a>(&self, kernel: &'a [f32], part: &Part) -> Cow<'a, [f32]> {
        match &self.ranges(part)[..] {
            [range] => Cow::Borrowed(&kernel[range.clone()]),
            ranges => ranges.iter().flat_map(|range| &kernel[range.clone()]).copied().collect(),
        }
    }
}

/// Which axis of the kernel the input's channels are.
fn input_axis(convolution: Convolution) -> usize {
    if convolution.transposed.is_some() { 0 } else { 1 }
}

impl Sources<'_> {
    /// How many images are made at a time.
    pub fn images(&self) -> usize {
        self.productions[0].images()
    }

    /// How many numbers their output has.
    pub fn chunk(&self) -> usize {
        self.productions[0].chunk()
    }

    /// Calls `take(goal, product)` for every few images, where `product(out)` makes their output maps.
    pub fn make_each<G: Send>(
        &self,
        goals: impl IndexedParallelIterator<Item = G>,
        take: impl Fn(G, &dyn Fn(&mut [f32])) + Sync,
    ) {
        let parts: Vec<_> = self.productions.iter().zip(self.maps.iter().copied()).collect();
        make_each(&parts, goals, take);
    }
}
