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
use super::room::Room;
use super::tile::{Gathering, Outer, Scalar, Vector, blocks};
use rayon::prelude::*;

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
struct Block<'a, T> {
    /// The first of its output channels.
    from: usize,
    vectors: usize,
    /// `[runs, length of a run, vectors]`.
    weights: &'a [Vector<T>],
}

/// Where the weights of a product stand in a kernel: `taps[t] + i · inner_stride + c · column_stride` for the output
/// channel `c` and the number `i` of the source pixel under the tap `t`.
struct Weights<'a> {
    taps: &'a [usize],
    inners: usize,
    inner_stride: usize,
    columns: usize,
    column_stride: usize,
}

/// Output pixels that take the same weights from the same places around them.
struct Class<'a, T> {
    /// Where each pixel's source begins, and its number in the output map: for the images of one chunk.
    sources: Vec<usize>,
    places: Vec<usize>,
    /// Where the runs of a pixel begin, counted from its source.
    runs: Vec<usize>,
    length: usize,
    blocks: Vec<Block<'a, T>>,
}

/// A product of source maps with a kernel, ready to be made a few images at a time.
pub(super) struct Production<'a, T> {
    classes: Vec<Class<'a, T>>,
    /// How many images are made at a time.
    images: usize,
    /// Height, width and channels of a source map.
    source: [usize; 3],
    border: Border,
    /// The numbers of an output map.
    size: usize,
    columns: usize,
}

impl<T: Scalar> Production<'_, T> {
    /// All output maps.
    pub fn make(&self, source: &[T], out: &mut [T]) {
        make_each(&[(self, source)], out.par_chunks_mut(self.chunk()), |out, product| product(out));
    }

    /// The output maps of the images of chunk number `chunk`, or that they are added to what is there.
    fn some(&self, chunk: usize, source: &[T], out: &mut [T], add: bool) {
        let count = out.len() / self.size;
        let map = self.source.iter().product::<usize>();
        let source = &source[chunk * self.images * map..][..count * map];
        let mut room = Room::default();
        let source = bordered(source, self.source, self.border, &mut room);
        for class in &self.classes {
            let pixels = class.sources.len() / self.images * count;
            for block in &class.blocks {
                T::gather(Gathering {
                    source,
                    bases: &class.sources[..pixels],
                    runs: &class.runs,
                    length: class.length,
                    weights: block.weights,
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
    parts: &[(&Production<'_, T>, &[T])],
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

/// A map `[images, height, width, channels]` with a border: itself where there is none, else a copy in `room`.
fn bordered<'a, T: Scalar>(
    map: &'a [T],
    [height, width, channels]: [usize; 3],
    border: Border,
    room: &'a mut Room<T>,
) -> &'a [T] {
    let Border { before, after, channels: padded } = border;
    if before + after == 0 && padded == channels {
        return map;
    }
    let images = map.len() / (height * width * channels);
    let (tall, wide) = (height + before + after, width + before + after);
    let out = room.zeros(images * tall * wide * padded);
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
    out
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
    pub fn gathering<'a, T: Scalar>(&self, kernel: &[T], packed: &'a mut [T]) -> Production<'a, T> {
        let images = self.images(self.pixels());
        let Self { channels, side, stride, padding, .. } = *self;
        let taps: Vec<usize> = (0..side * side).collect();
        let weights = Weights {
            taps: &taps,
            inners: channels,
            inner_stride: side * side,
            columns: self.filters,
            column_stride: channels * side * side,
        };
        let (tall, wide) = (self.height + 2 * padding, self.width + 2 * padding);
        let mut class = Class {
            sources: vec![],
            places: vec![],
            runs: (0..side).map(|u| u * wide * channels).collect(),
            length: side * channels,
            blocks: weights.pack(kernel, packed).0,
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
    pub fn spreading<'a, T: Scalar>(
        &self,
        kernel: &[T],
        mut packed: &'a mut [T],
    ) -> Production<'a, T> {
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
        let mut classes = vec![];
        // Pixels whose coordinates leave the same rests take the same weights.
        for first_y in 0..stride.min(self.height) {
            for first_x in 0..stride.min(self.width) {
                let (us, vs) = (lines(first_y), lines(first_x));
                let left = vs.first().map_or(0, |&v| source(first_x, v));
                let mut runs: Vec<usize> =
                    us.iter().map(|&u| (source(first_y, u) * wide + left) * filters).collect();
                if vs.is_empty() {
                    runs.clear();
                }
                let taps: Vec<usize> =
                    us.iter().flat_map(|u| vs.iter().map(move |v| u * side + v)).collect();
                let weights = Weights {
                    taps: &taps,
                    inners: filters,
                    inner_stride: self.channels * side * side,
                    columns: self.channels,
                    column_stride: side * side,
                };
                let (blocks, rest) = weights.pack(kernel, packed);
                packed = rest;
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

    /// How many numbers the packed weights of a product have at most.
    pub fn packed(&self) -> usize {
        let Self { channels, filters, side, .. } = *self;
        let whole = |count: usize| count.next_multiple_of(LANES);
        side * side * (channels * whole(filters)).max(filters * whole(channels))
    }

    /// Whether the kernel's gradient is made of whole vectors of filters, else of channels: of the wider of the two; of
    /// the filters where both will do. And how far apart the filters and the channels then lie.
    fn strides(&self) -> (bool, usize, usize) {
        let Self { channels, filters, .. } = *self;
        let by_filters = filters >= LANES || filters >= channels;
        let vector =
            |by: bool, count: usize| if by { count.next_multiple_of(LANES) } else { count };
        (by_filters, vector(by_filters, filters), vector(!by_filters, channels))
    }

    /// The numbers of one sum of the kernel's gradient.
    fn sum(&self) -> usize {
        let (_, filter_stride, channel_stride) = self.strides();
        self.side * self.side * filter_stride * channel_stride
    }

    /// How many numbers [`kernel_gradient`](Self::kernel_gradient) needs for its sums.
    pub fn room_for_sums(&self) -> usize {
        self.batch.div_ceil(self.batch.div_ceil(self.sums())) * self.sum()
    }

    /// The kernel's gradient `Σ small · big` over all pairs of numbers that the kernel joins, into `gradient`.
    pub fn kernel_gradient<T: Scalar>(
        &self,
        big: &[T],
        small: &[T],
        sums: &mut [T],
        gradient: &mut [T],
    ) {
        let Self { channels, filters, side, padding, .. } = *self;
        let (by_filters, filter_stride, channel_stride) = self.strides();
        let share = self.batch.div_ceil(self.sums());
        let length = self.sum();
        sums.par_chunks_mut(length)
            .zip(big.par_chunks(share * self.big()))
            .zip(small.par_chunks(share * self.small()))
            .for_each(|((sum, big), small)| {
                sum.fill(T::default());
                let border = Border { before: padding, after: padding, channels: channel_stride };
                let (mut of_big, mut of_small) = (Room::default(), Room::default());
                let size = [self.height, self.width, channels];
                let big = bordered(big, size, border, &mut of_big);
                let border = Border { before: 0, after: 0, channels: filter_stride };
                let size = [self.rows, self.columns, filters];
                let small = bordered(small, size, border, &mut of_small);
                self.add_kernel_gradient(
                    big,
                    channel_stride,
                    small,
                    filter_stride,
                    by_filters,
                    sum,
                );
            });
        // All sums together, in the kernel's own order, some filters a task.
        let taps = side * side;
        gradient.par_chunks_mut(LANES * channels * taps).enumerate().for_each(|(i, gradient)| {
            let first = i * LANES;
            if by_filters {
                for c in 0..channels {
                    for tap in 0..taps {
                        let mut total = [T::default(); LANES];
                        for sum in sums.chunks_exact(length) {
                            let row = &sum[(tap * channels + c) * filter_stride + first..];
                            for (total, part) in total.iter_mut().zip(row) {
                                *total += *part;
                            }
                        }
                        let places = gradient[c * taps + tap..].iter_mut().step_by(channels * taps);
                        for (place, total) in places.zip(total) {
                            *place = total;
                        }
                    }
                }
            } else {
                gradient.fill(T::default());
                for (f, gradient) in gradient.chunks_exact_mut(channels * taps).enumerate() {
                    for tap in 0..taps {
                        for sum in sums.chunks_exact(length) {
                            let row = &sum[(tap * filters + first + f) * channel_stride..];
                            for (total, part) in gradient[tap..].iter_mut().step_by(taps).zip(row) {
                                *total += *part;
                            }
                        }
                    }
                }
            }
        });
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

impl Weights<'_> {
    /// The weights in the order in which the products take them, and what is left of the room for them.
    fn pack<'a, T: Scalar>(
        &self,
        kernel: &[T],
        packed: &'a mut [T],
    ) -> (Vec<Block<'a, T>>, &'a mut [T]) {
        let Self { taps, inners, inner_stride, columns, column_stride } = *self;
        let rows = taps.len() * inners;
        let (now, later) = packed.split_at_mut(rows * columns.next_multiple_of(LANES));
        let shapes = blocks::<T>(columns);
        let (mut rest, mut tasks) = (&mut *now, vec![]);
        for &(from, vectors) in &shapes {
            // Taps of one task lie side by side in the kernel, for the most part.
            for taps in taps.chunks(4) {
                let (task, others) =
                    std::mem::take(&mut rest).split_at_mut(taps.len() * inners * vectors * LANES);
                tasks.push((from, taps, task));
                rest = others;
            }
        }
        tasks.into_par_iter().for_each(|(from, taps, task)| {
            let width = task.len() / (taps.len() * inners);
            let used = width.min(columns - from);
            for inner in 0..inners {
                for (t, tap) in taps.iter().enumerate() {
                    let first = tap + inner * inner_stride + from * column_stride;
                    let row = &mut task[(t * inners + inner) * width..][..width];
                    let (row, filling) = row.split_at_mut(used);
                    for (to, weight) in
                        row.iter_mut().zip(kernel[first..].iter().step_by(column_stride))
                    {
                        *to = *weight;
                    }
                    filling.fill(T::default());
                }
            }
        });
        let (mut rest, mut blocks) = (&*now, vec![]);
        for (from, vectors) in shapes {
            let (weights, others) = rest.split_at(rows * vectors * LANES);
            blocks.push(Block { from, vectors, weights: weights.as_chunks().0 });
            rest = others;
        }
        (blocks, later)
    }
}
