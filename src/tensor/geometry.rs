//! One convolution's geometry, and the three products that serve it and its transpose.
//!
//! A convolution maps a `big` map `[batch, channels, height, width]` to a `small` one `[batch, filters, rows,
//! columns]` through a kernel `[filters, channels, side, side]`; the transposed convolution goes the other way with
//! the same kernel. So the forward pass of one is the input gradient of the other, and three products do for both:
//! [`Geometry::gather`] (big to small), [`Geometry::spread`] (small to big) and [`Geometry::kernel_gradient`].
//! Each unfolds a few images into a matrix of patches (`im2col`) and multiplies.

use rayon::prelude::*;

/// The scalars of the products.
pub(super) trait Scalar:
    candle_core::WithDType + Default + Send + Sync + std::ops::AddAssign + 'static
{
    const ONE: Self;
}
impl Scalar for f32 {
    const ONE: f32 = 1.0;
}
impl Scalar for f64 {
    const ONE: f64 = 1.0;
}

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

/// A product's matrix: its values and the steps between rows and between columns.
type Matrix<'a, T> = (&'a [T], usize, usize);

/// `out = a b`, or `out += a b`, with `out` `[m, n]` row-major and `a` `[m, k]`.
fn multiply<T: Scalar>(
    (m, n, k): (usize, usize, usize),
    out: &mut [T],
    add: bool,
    (a, a_row, a_column): Matrix<T>,
    (b, b_row, b_column): Matrix<T>,
) {
    assert!(m > 0 && n > 0 && k > 0 && out.len() >= m * n);
    assert!(a.len() > (m - 1) * a_row + (k - 1) * a_column);
    assert!(b.len() > (k - 1) * b_row + (n - 1) * b_column);
    // SAFETY: the three slices cover every element that the strides reach, as was just asserted, and `out` is
    // borrowed mutably, so it overlaps neither factor.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            a_column as isize,
            a_row as isize,
            b.as_ptr(),
            b_column as isize,
            b_row as isize,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        )
    }
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

    fn patch(&self) -> usize {
        self.channels * self.side * self.side
    }

    /// How many images one product takes: enough for 256 patches, but so few that four threads have work.
    fn images(&self) -> usize {
        256usize.div_ceil(self.pixels()).clamp(1, self.batch.div_ceil(4))
    }

    /// Into how many sums the kernel's gradient is split: a number of the problem, never of the machine.
    fn sums(&self) -> usize {
        let kernel = self.filters * self.patch();
        let products = self.batch.div_ceil(self.images());
        if kernel <= 1 << 15 { products.min(16) } else { products.min(4) }
    }

    /// The output positions `o` for which `o * stride + offset - padding` lies in `0..limit`.
    fn inside(&self, offset: usize, limit: usize, outputs: usize) -> std::ops::Range<usize> {
        let from = self.padding.saturating_sub(offset).div_ceil(self.stride);
        let to = if limit + self.padding > offset {
            ((limit + self.padding - offset - 1) / self.stride + 1).min(outputs)
        } else {
            0
        };
        from.min(to)..to
    }

    /// Calls `f(row of the patch matrix, its range, start in the big map)` for every run of patch entries that
    /// lie side by side in the patch matrix; in the big map they are `stride` apart.
    #[inline(always)]
    fn runs(&self, images: usize, mut f: impl FnMut(usize, std::ops::Range<usize>, usize)) {
        for channel in 0..self.channels {
            for y in 0..self.side {
                let inside_y = self.inside(y, self.height, self.rows);
                for x in 0..self.side {
                    let inside_x = self.inside(x, self.width, self.columns);
                    if inside_x.is_empty() {
                        continue;
                    }
                    let row = (channel * self.side + y) * self.side + x;
                    let left = inside_x.start * self.stride + x - self.padding;
                    for image in 0..images {
                        let map = (image * self.channels + channel) * self.height;
                        for o in inside_y.clone() {
                            let line = (map + o * self.stride + y - self.padding) * self.width;
                            let at = (image * self.rows + o) * self.columns;
                            f(row, at + inside_x.start..at + inside_x.end, line + left);
                        }
                    }
                }
            }
        }
    }

    /// Unfolds big maps into patches `[patch, images * pixels]`.
    fn unfold<T: Scalar>(&self, big: &[T], images: usize, patches: &mut Vec<T>) {
        let n = images * self.pixels();
        patches.resize(self.patch() * n, T::default());
        if self.padding > 0 {
            patches.fill(T::default());
        }
        self.runs(images, |row, run, from| {
            let to = &mut patches[row * n..][run];
            match self.stride {
                1 => to.copy_from_slice(&big[from..from + to.len()]),
                stride => {
                    for (to, from) in to.iter_mut().zip(big[from..].iter().step_by(stride)) {
                        *to = *from
                    }
                }
            }
        });
    }

    /// Adds patches back into big maps: the transpose of [`Self::unfold`].
    fn fold<T: Scalar>(&self, patches: &[T], images: usize, big: &mut [T]) {
        let n = images * self.pixels();
        self.runs(images, |row, run, at| {
            let from = &patches[row * n..][run];
            match self.stride {
                1 => {
                    for (to, from) in big[at..at + from.len()].iter_mut().zip(from) {
                        *to += *from
                    }
                }
                stride => {
                    for (to, from) in big[at..].iter_mut().step_by(stride).zip(from) {
                        *to += *from
                    }
                }
            }
        });
    }

    /// `[images, filters, pixels]` to `[filters, images * pixels]`.
    fn filters_first<T: Scalar>(&self, small: &[T], images: usize, out: &mut Vec<T>) {
        let pixels = self.pixels();
        out.resize(images * self.small(), T::default());
        for image in 0..images {
            for filter in 0..self.filters {
                out[(filter * images + image) * pixels..][..pixels]
                    .copy_from_slice(&small[(image * self.filters + filter) * pixels..][..pixels]);
            }
        }
    }

    /// `small = kernel * unfold(big)` for a few images; `product` is scratch.
    fn gather_images<T: Scalar>(
        &self,
        kernel: &[T],
        patches: &[T],
        product: &mut Vec<T>,
        small: &mut [T],
    ) {
        let (pixels, patch) = (self.pixels(), self.patch());
        let images = small.len() / self.small();
        let n = images * pixels;
        let size = (self.filters, n, patch);
        if images == 1 {
            multiply(size, small, false, (kernel, patch, 1), (patches, n, 1));
            return;
        }
        product.resize(self.filters * n, T::default());
        multiply(size, product, false, (kernel, patch, 1), (patches, n, 1));
        for image in 0..images {
            for filter in 0..self.filters {
                small[(image * self.filters + filter) * pixels..][..pixels]
                    .copy_from_slice(&product[(filter * images + image) * pixels..][..pixels]);
            }
        }
    }

    /// `big = fold(kernelᵀ * small)` for a few images, `small` with its filters first.
    fn spread_images<T: Scalar>(
        &self,
        kernel: &[T],
        small: &[T],
        patches: &mut Vec<T>,
        big: &mut [T],
    ) {
        let images = big.len() / self.big();
        let (n, patch) = (images * self.pixels(), self.patch());
        patches.resize(patch * n, T::default());
        multiply((patch, n, self.filters), patches, false, (kernel, 1, patch), (small, n, 1));
        self.fold(patches, images, big);
    }

    /// The convolution: big maps to small ones.
    pub fn gather<T: Scalar>(&self, big: &[T], kernel: &[T]) -> Vec<T> {
        let images = self.images();
        let mut small = vec![T::default(); self.batch * self.small()];
        small
            .par_chunks_mut(images * self.small())
            .zip(big.par_chunks(images * self.big()))
            .for_each_init(
                || (vec![], vec![]),
                |(patches, product), (small, big)| {
                    self.unfold(big, big.len() / self.big(), patches);
                    self.gather_images(kernel, patches, product, small);
                },
            );
        small
    }

    /// The transposed convolution: small maps to big ones.
    pub fn spread<T: Scalar>(&self, small: &[T], kernel: &[T]) -> Vec<T> {
        let images = self.images();
        let mut big = vec![T::default(); self.batch * self.big()];
        big.par_chunks_mut(images * self.big())
            .zip(small.par_chunks(images * self.small()))
            .for_each_init(
                || (vec![], vec![]),
                |(patches, first), (big, small)| {
                    self.filters_first(small, small.len() / self.small(), first);
                    self.spread_images(kernel, first, patches, big);
                },
            );
        big
    }

    /// The kernel's gradient `Σ small · unfold(big)ᵀ`, and beside it, sharing the patches, the gradient of the
    /// input if `input` says which of the two maps was the input.
    pub fn kernel_gradient<T: Scalar>(
        &self,
        big: &[T],
        small: &[T],
        kernel: &[T],
        input: Option<Input>,
    ) -> (Vec<T>, Option<Vec<T>>) {
        let images = self.images();
        let size = match input {
            Some(Input::Big) => self.big(),
            Some(Input::Small) => self.small(),
            None => 0,
        };
        let mut gradient = vec![T::default(); self.batch * size];
        let products = self.batch.div_ceil(images);
        let share = products.div_ceil(self.sums()) * images;
        // A gradient that nobody wants still needs one (empty) chunk for each sum.
        let chunks: Vec<&mut [T]> = if size == 0 {
            (0..self.batch.div_ceil(share)).map(|_| Default::default()).collect()
        } else {
            gradient.chunks_mut(share * size).collect()
        };
        let sums: Vec<Vec<T>> = chunks
            .into_par_iter()
            .zip(big.par_chunks(share * self.big()))
            .zip(small.par_chunks(share * self.small()))
            .map(|((gradient, big), small)| {
                let mut sum = vec![T::default(); self.filters * self.patch()];
                let (mut patches, mut first, mut scratch) = (vec![], vec![], vec![]);
                let mut gradient = gradient.chunks_mut((images * size).max(1));
                let big = big.chunks(images * self.big());
                let small = small.chunks(images * self.small());
                for (i, (big, small)) in big.zip(small).enumerate() {
                    let count = big.len() / self.big();
                    let n = count * self.pixels();
                    self.unfold(big, count, &mut patches);
                    self.filters_first(small, count, &mut first);
                    let size = (self.filters, self.patch(), n);
                    multiply(size, &mut sum, i > 0, (&first, n, 1), (&patches, 1, n));
                    match (input, gradient.next()) {
                        (Some(Input::Big), Some(out)) => {
                            self.spread_images(kernel, &first, &mut scratch, out)
                        }
                        (Some(Input::Small), Some(out)) => {
                            self.gather_images(kernel, &patches, &mut scratch, out)
                        }
                        _ => {}
                    }
                }
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
        (total, (size > 0).then_some(gradient))
    }
}

/// Which map an op took as its input: the big one of a convolution, the small one of a transposed convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Input {
    Big,
    Small,
}
