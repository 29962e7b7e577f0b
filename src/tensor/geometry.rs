//! One convolution's geometry, and the three products that serve it and its transpose.
//!
//! A convolution maps a `big` map `[batch, height, width, channels]` to a `small` one `[batch, rows, columns,
//! filters]` through a kernel `[filters, channels, side, side]`; the transposed convolution goes the other way with
//! the same kernel. So the forward pass of one is the input gradient of the other, and three products do for both:
//! [`Geometry::gathering`] (big to small), [`Geometry::spreading`] (small to big) and [`Geometry::kernel_gradient`].
//!
//! Channels lie side by side, so all that one output takes from one line of the source is one run of numbers; the
//! products of [`tile`](super::tile) read these runs in place. Where runs would leave the map it is copied with a
//! border of zeros.

use super::lanes::LANES;
use super::tile::{Gathering, Outer, Scalar, Vector, blocks};
use rayon::prelude::*;
use std::borrow::Cow;

#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    pub batch: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub filters: usize,
    pub side: usize,
    pub stride: usize,
    pub padding: usize,
    pub rows: usize,
    pub columns: usize,
}

/// A kernel's weights in the order in which one block of output channels takes them.
struct Block<T> {
    /// The first of its output channels.
    from: usize,
    vectors: usize,
    /// `[runs, length of a run, vectors]`.
    weights: Vec<Vector<T>>,
}

/// Output pixels that take the same weights from the same places around them.
struct Class<T> {
    /// Where each pixel's source begins, and its number in the output map: for the images of one chunk.
    sources: Vec<usize>,
    places: Vec<usize>,
    /// Where the runs of a pixel begin, counted from its source.
    runs: Vec<usize>,
    length: usize,
    blocks: Vec<Block<T>>,
}

/// A product of source maps with a kernel, ready to be made a few images at a time.
pub(super) struct Production<T> {
    classes: Vec<Class<T>>,
    /// How many images are made at a time.
    images: usize,
    /// Height, width and channels of a source map.
    source: [usize; 3],
    border: Border,
    /// The numbers of an output map.
    size: usize,
    columns: usize,
}

impl<T: Scalar> Production<T> {
    /// All output maps.
    pub fn make(&self, source: &[T]) -> Vec<T> {
        let batch = source.len() / self.source.iter().product::<usize>();
        let mut out = vec![T::default(); batch * self.size];
        make_each(&[(self, source)], out.par_chunks_mut(self.chunk()), |out, product| product(out));
        out
    }

    /// The output maps of the images of chunk number `chunk`, or that they are added to what is there.
    fn some(&self, chunk: usize, source: &[T], out: &mut [T], add: bool) {
        let count = out.len() / self.size;
        let map = self.source.iter().product::<usize>();
        let source = &source[chunk * self.images * map..][..count * map];
        let source = bordered(source, self.source, self.border);
        for class in &self.classes {
            let pixels = class.sources.len() / self.images * count;
            for block in &class.blocks {
                T::gather(Gathering {
                    source: &source,
                    bases: &class.sources[..pixels],
                    runs: &class.runs,
                    length: class.length,
                    weights: &block.weights,
                    vectors: block.vectors,
                    out: &mut out[block.from..],
                    places: &class.places[..pixels],
                    width: (block.vectors * LANES).min(self.columns - block.from),
                    add,
                });
            }
        }
    }

    /// How many images are made at a time.
    pub fn images(&self) -> usize {
        self.images
    }

    /// How many numbers their output has.
    pub fn chunk(&self) -> usize {
        self.images * self.size
    }
}

/// Calls `take(goal, product)` for every few images, where `product(out)` makes the sum of the output maps of all
/// `parts`, which are of one size.
pub(super) fn make_each<T: Scalar, G: Send>(
    parts: &[(&Production<T>, &[T])],
    goals: impl IndexedParallelIterator<Item = G>,
    take: impl Fn(G, &dyn Fn(&mut [T])) + Sync,
) {
    goals.enumerate().for_each(|(chunk, goal)| {
        take(goal, &|out| {
            for (i, (production, source)) in parts.iter().enumerate() {
                production.some(chunk, source, out, i > 0);
            }
        })
    });
}

/// Zero pixels around a map, and zero channels behind the others.
#[derive(Clone, Copy)]
struct Border {
    before: usize,
    after: usize,
    channels: usize,
}

/// A map `[images, height, width, channels]` with a border.
fn bordered<T: Scalar>(
    map: &[T],
    [height, width, channels]: [usize; 3],
    border: Border,
) -> Cow<'_, [T]> {
    let Border { before, after, channels: padded } = border;
    if before + after == 0 && padded == channels {
        return Cow::Borrowed(map);
    }
    let images = map.len() / (height * width * channels);
    let (tall, wide) = (height + before + after, width + before + after);
    let mut out = vec![T::default(); images * tall * wide * padded];
    for (line, from) in map.chunks_exact(width * channels).enumerate() {
        let (image, y) = (line / height, line % height);
        let to = &mut out[((image * tall + y + before) * wide + before) * padded..];
        if padded == channels {
            to[..from.len()].copy_from_slice(from);
        } else {
            for (to, from) in to.chunks_mut(padded).zip(from.chunks_exact(channels)) {
                to[..channels].copy_from_slice(from);
            }
        }
    }
    Cow::Owned(out)
}

impl Geometry {
    fn big(&self) -> usize {
        self.channels * self.height * self.width
    }

    fn pixels(&self) -> usize {
        self.rows * self.columns
    }

    fn small(&self) -> usize {
        self.filters * self.pixels()
    }

    /// How many images one product takes: enough for 256 pixels, but so few that four threads have work.
    fn images(&self, pixels: usize) -> usize {
        256usize.div_ceil(pixels).clamp(1, self.batch.div_ceil(4))
    }

    /// Into how many sums the kernel's gradient is split: a number of the problem, never of the machine.
    fn sums(&self) -> usize {
        let kernel = self.filters * self.channels * self.side * self.side;
        if kernel <= 1 << 15 { self.batch.min(16) } else { self.batch.min(4) }
    }

    /// Of the small map, so that every run of a transposed convolution lies within.
    fn framed(&self) -> Border {
        let Self { side, stride, padding, rows, columns, .. } = *self;
        let before = (side - 1).saturating_sub(padding).div_ceil(stride);
        let beyond =
            |size: usize, small: usize| ((size - 1 + padding) / stride + 1).saturating_sub(small);
        let after = beyond(self.height, rows).max(beyond(self.width, columns));
        Border { before, after, channels: self.filters }
    }

    /// What makes small maps out of big ones.
    pub fn gathering<T: Scalar>(&self, kernel: &[T]) -> Production<T> {
        let images = self.images(self.pixels());
        let Self { channels, side, stride, padding, .. } = *self;
        let (tall, wide) = (self.height + 2 * padding, self.width + 2 * padding);
        let mut class = Class {
            sources: vec![],
            places: vec![],
            runs: (0..side).map(|u| u * wide * channels).collect(),
            length: side * channels,
            blocks: self.blocks(self.filters, side * side * channels, kernel, |f, c, u, v| {
                Some(((u * side + v) * channels + c, f))
            }),
        };
        for image in 0..images {
            for y in 0..self.rows {
                for x in 0..self.columns {
                    let source = (image * tall + y * stride) * wide + x * stride;
                    class.sources.push(source * channels);
                    class.places.push(((image * self.rows + y) * self.columns + x) * self.filters);
                }
            }
        }
        Production {
            classes: vec![class],
            images,
            source: [self.height, self.width, channels],
            border: Border { before: padding, after: padding, channels },
            size: self.small(),
            columns: self.filters,
        }
    }

    /// What makes big maps out of small ones.
    pub fn spreading<T: Scalar>(&self, kernel: &[T]) -> Production<T> {
        let images = self.images(self.height * self.width);
        let Self { filters, side, stride, padding, .. } = *self;
        let border = self.framed();
        let wide = self.columns + border.before + border.after;
        let tall = self.rows + border.before + border.after;
        // Where the source of the pixel `first` lies for the line `w` of the kernel: `first + padding - w` is a
        // multiple of the stride, and negative only before the frame is added.
        let source =
            |first: usize, w: usize| (first + padding + border.before * stride - w) / stride;
        // The lines of the kernel that reach the pixel, so that their sources ascend.
        let lines = |first: usize| -> Vec<usize> {
            (0..side)
                .rev()
                .filter(|w| (first + padding + side * stride - w).is_multiple_of(stride))
                .collect()
        };
        // Where each line of the kernel stands among them.
        let ranks = |lines: &[usize]| -> Vec<Option<usize>> {
            (0..side).map(|w| lines.iter().position(|&line| line == w)).collect()
        };
        let mut classes = vec![];
        // Pixels whose coordinates leave the same rests take the same weights.
        for first_y in 0..stride.min(self.height) {
            for first_x in 0..stride.min(self.width) {
                let (us, vs) = (lines(first_y), lines(first_x));
                let (u_ranks, v_ranks) = (ranks(&us), ranks(&vs));
                let left = vs.first().map_or(0, |&v| source(first_x, v));
                let mut runs: Vec<usize> =
                    us.iter().map(|&u| (source(first_y, u) * wide + left) * filters).collect();
                if vs.is_empty() {
                    runs.clear();
                }
                let rows = us.len() * vs.len() * filters;
                let blocks = self.blocks(self.channels, rows, kernel, |f, c, u, v| {
                    Some(((u_ranks[u]? * vs.len() + v_ranks[v]?) * filters + f, c))
                });
                let (mut sources, mut places) = (vec![], vec![]);
                for image in 0..images {
                    for y in (first_y..self.height).step_by(stride) {
                        for x in (first_x..self.width).step_by(stride) {
                            let source = (image * tall + y / stride) * wide + x / stride;
                            sources.push(source * filters);
                            let place = (image * self.height + y) * self.width + x;
                            places.push(place * self.channels);
                        }
                    }
                }
                classes.push(Class { sources, places, runs, length: vs.len() * filters, blocks });
            }
        }
        Production {
            classes,
            images,
            source: [self.rows, self.columns, filters],
            border,
            size: self.big(),
            columns: self.channels,
        }
    }

    /// The kernel's weights for `columns` output channels in blocks: `place(f, c, u, v)` says which row and column of
    /// the product a weight belongs to, if to any.
    fn blocks<T: Scalar>(
        &self,
        columns: usize,
        rows: usize,
        kernel: &[T],
        place: impl Fn(usize, usize, usize, usize) -> Option<(usize, usize)>,
    ) -> Vec<Block<T>> {
        let mut blocks: Vec<Block<T>> = blocks::<T>(columns)
            .into_iter()
            .map(|(from, vectors)| Block {
                from,
                vectors,
                weights: vec![[T::default(); LANES]; rows * vectors],
            })
            .collect();
        // Which block a vector belongs to, and the first vector of that block.
        let owners: Vec<(usize, usize)> = (0..blocks.len())
            .flat_map(|i| vec![(i, blocks[i].from / LANES); blocks[i].vectors])
            .collect();
        let mut weights = kernel.iter();
        for f in 0..self.filters {
            for c in 0..self.channels {
                for u in 0..self.side {
                    for v in 0..self.side {
                        let Some(&weight) = weights.next() else { return blocks };
                        let Some((row, column)) = place(f, c, u, v) else { continue };
                        let (owner, first) = owners[column / LANES];
                        let block = &mut blocks[owner];
                        let vector = row * block.vectors + column / LANES - first;
                        block.weights[vector][column % LANES] = weight;
                    }
                }
            }
        }
        blocks
    }

    /// The kernel's gradient `Σ small · big` over all pairs of numbers that the kernel joins.
    pub fn kernel_gradient<T: Scalar>(&self, big: &[T], small: &[T]) -> Vec<T> {
        let Self { channels, filters, side, padding, .. } = *self;
        // Whole vectors of the wider of the two; of the filters where both will do.
        let by_filters = filters >= LANES || filters >= channels;
        let vector =
            |by: bool, count: usize| if by { count.next_multiple_of(LANES) } else { count };
        let (filter_stride, channel_stride) =
            (vector(by_filters, filters), vector(!by_filters, channels));
        let length = side * side * filter_stride * channel_stride;
        let share = self.batch.div_ceil(self.sums());
        let sums: Vec<Vec<T>> = big
            .par_chunks(share * self.big())
            .zip(small.par_chunks(share * self.small()))
            .map(|(big, small)| {
                let mut sum = vec![T::default(); length];
                let border = Border { before: padding, after: padding, channels: channel_stride };
                let big = bordered(big, [self.height, self.width, channels], border);
                let border = Border { before: 0, after: 0, channels: filter_stride };
                let small = bordered(small, [self.rows, self.columns, filters], border);
                self.add_kernel_gradient(
                    &big,
                    channel_stride,
                    &small,
                    filter_stride,
                    by_filters,
                    &mut sum,
                );
                sum
            })
            .collect();
        let mut sums = sums.into_iter();
        let mut total = sums.next().unwrap_or_default();
        for sum in sums {
            for (total, part) in total.iter_mut().zip(sum) {
                *total += part;
            }
        }
        // To the kernel's own order.
        let mut gradient = Vec::with_capacity(filters * channels * side * side);
        for f in 0..filters {
            for c in 0..channels {
                for uv in 0..side * side {
                    gradient.push(
                        total[match by_filters {
                            true => (uv * channels + c) * filter_stride + f,
                            false => (uv * filters + f) * channel_stride + c,
                        }],
                    );
                }
            }
        }
        gradient
    }

    /// Adds a share's part: to `[side, side, channels, filter_stride]` by filters, else to `[side, side, filters,
    /// channel_stride]`.
    fn add_kernel_gradient<T: Scalar>(
        &self,
        big: &[T],
        channel_stride: usize,
        small: &[T],
        filter_stride: usize,
        by_filters: bool,
        sum: &mut [T],
    ) {
        let Self { channels, filters, side, stride, padding, .. } = *self;
        let (tall, wide) = (self.height + 2 * padding, self.width + 2 * padding);
        let images = small.len() / (self.pixels() * filter_stride);
        let (mut bigs, mut smalls) = (vec![], vec![]);
        for image in 0..images {
            for y in 0..self.rows {
                for x in 0..self.columns {
                    let source = (image * tall + y * stride) * wide + x * stride;
                    bigs.push(source * channel_stride);
                    let place = (image * self.rows + y) * self.columns + x;
                    smalls.push(place * filter_stride);
                }
            }
        }
        if by_filters {
            // One run of the big map for each line of the kernel.
            let rows = side * channels;
            for (from, vectors) in blocks::<T>(filters) {
                for u in 0..side {
                    T::outer(Outer {
                        a: big,
                        a_bases: &bigs,
                        a_offset: u * wide * channels,
                        rows,
                        b: small,
                        b_bases: &smalls,
                        b_offset: from,
                        vectors,
                        out: &mut sum[u * rows * filter_stride + from..],
                        stride: filter_stride,
                    });
                }
            }
        } else {
            for (from, vectors) in blocks::<T>(channels) {
                for (u, v) in (0..side).flat_map(|u| (0..side).map(move |v| (u, v))) {
                    T::outer(Outer {
                        a: small,
                        a_bases: &smalls,
                        a_offset: 0,
                        rows: filters,
                        b: big,
                        b_bases: &bigs,
                        b_offset: (u * wide + v) * channel_stride + from,
                        vectors,
                        out: &mut sum[(u * side + v) * filters * channel_stride + from..],
                        stride: channel_stride,
                    });
                }
            }
        }
    }
}
