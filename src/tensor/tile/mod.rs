//! The two products that everything else is made of, tile by tile in registers.
//!
//! A tile is `P` rows of `V` vectors of sixteen sums. Both products read their factors where they lie, in runs of
//! numbers side by side: no matrix of patches is ever written. The sums of one output are taken in one order,
//! whatever the tile, so the shape of the tile, which depends on the machine, changes no bit on machines that fuse
//! multiplication and addition.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod plain;

use super::lanes::{InstructionSet, LANES, instruction_set};
use super::room::Rooms;
use std::cell::RefCell;

/// Sixteen numbers side by side.
pub(super) type Vector<T> = [T; LANES];

/// The scalars of the products.
pub(super) trait Scalar:
    candle_core::WithDType + Default + Send + Sync + std::ops::AddAssign + 'static
{
    /// `self a + b`, rounded once where the machine can.
    fn fused(self, a: Self, b: Self) -> Self;

    /// The memory that this thread has at hand.
    fn rooms() -> &'static Rooms<Self>;

    /// The most vectors that a tile has on this machine.
    fn widest() -> usize {
        1
    }

    /// Computes a [`Gathering`].
    fn gather(gathering: Gathering<Self>) {
        plain::gather(gathering);
    }

    /// Computes an [`Outer`].
    fn outer(outer: Outer<Self>) {
        plain::outer(outer);
    }
}

impl Scalar for f32 {
    #[inline(always)]
    fn fused(self, a: f32, b: f32) -> f32 {
        self.mul_add(a, b)
    }

    fn rooms() -> &'static Rooms<f32> {
        thread_local!(static ROOMS: RefCell<Vec<Vec<f32>>> = const { RefCell::new(vec![]) });
        &ROOMS
    }

    fn widest() -> usize {
        if instruction_set() == InstructionSet::Avx512 { 4 } else { 1 }
    }

    fn gather(gathering: Gathering<f32>) {
        #[cfg(target_arch = "x86_64")]
        if instruction_set() == InstructionSet::Avx512 {
            // SAFETY: the feature that it is compiled for was found.
            return unsafe { avx512::gather(gathering) };
        }
        plain::gather(gathering);
    }

    fn outer(outer: Outer<f32>) {
        #[cfg(target_arch = "x86_64")]
        if instruction_set() == InstructionSet::Avx512 {
            // SAFETY: the feature that it is compiled for was found.
            return unsafe { avx512::outer(outer) };
        }
        plain::outer(outer);
    }
}

impl Scalar for f64 {
    #[inline(always)]
    fn fused(self, a: f64, b: f64) -> f64 {
        self.mul_add(a, b)
    }

    fn rooms() -> &'static Rooms<f64> {
        thread_local!(static ROOMS: RefCell<Vec<Vec<f64>>> = const { RefCell::new(vec![]) });
        &ROOMS
    }
}

/// How the columns of a product are cut into blocks: from which column on, and of how many vectors (4, 2 or 1). The
/// last may reach beyond the columns.
pub(super) fn blocks<T: Scalar>(columns: usize) -> Vec<(usize, usize)> {
    let mut blocks = vec![];
    let mut from = 0;
    while from < columns {
        let vectors = match (columns - from).div_ceil(LANES).min(T::widest()) {
            4.. => 4,
            2.. => 2,
            _ => 1,
        };
        blocks.push((from, vectors));
        from += vectors * LANES;
    }
    blocks
}

/// `out[places[p] + c] = Σ_r Σ_k source[bases[p] + runs[r] + k] · weights[r, k, c]` for a list of outputs `p` and the
/// first `width` columns `c` of a block; with `add`, that is added to what is there.
pub(super) struct Gathering<'a, T> {
    pub source: &'a [T],
    pub bases: &'a [usize],
    pub runs: &'a [usize],
    /// The numbers of a run.
    pub length: usize,
    /// `[runs, length, vectors]`.
    pub weights: &'a [Vector<T>],
    pub vectors: usize,
    pub out: &'a mut [T],
    pub places: &'a [usize],
    pub width: usize,
    pub add: bool,
}

/// `out[r, c] += Σ_i a[a_offset + a_bases[i] + r] · b[b_offset + b_bases[i] + c]`: a sum of outer products of a run of
/// `rows` numbers with a block of `vectors` columns. `out` holds its rows `stride` apart.
pub(super) struct Outer<'a, T> {
    pub a: &'a [T],
    pub a_bases: &'a [usize],
    pub a_offset: usize,
    pub rows: usize,
    pub b: &'a [T],
    pub b_bases: &'a [usize],
    pub b_offset: usize,
    pub vectors: usize,
    pub out: &'a mut [T],
    pub stride: usize,
}

/// Stores the first `width` columns of a tile, or adds them to what is there.
///
/// A function of its own, to which the sums go as a whole: they stay in registers before only if nothing there takes
/// one of them by an index that the compiler does not know.
#[inline(never)]
fn store<T: Scalar, const P: usize, const V: usize>(
    sums: [[Vector<T>; V]; P],
    out: &mut [T],
    places: &[usize],
    (width, add): (usize, bool),
) {
    for (sums, &place) in sums.iter().zip(places) {
        let (out, sums) = (&mut out[place..][..width], &sums.as_flattened()[..width]);
        if add {
            for (out, sum) in out.iter_mut().zip(sums) {
                *out += *sum;
            }
        } else {
            out.copy_from_slice(sums);
        }
    }
}

/// Adds a tile to rows that lie `stride` apart; a function of its own for the reason of [`store`].
#[inline(never)]
fn add_tile<T: Scalar, const P: usize, const V: usize>(
    sums: [[Vector<T>; V]; P],
    out: &mut [T],
    stride: usize,
) {
    for (p, sums) in sums.iter().enumerate() {
        for (out, sum) in out[p * stride..].iter_mut().zip(sums.as_flattened()) {
            *out += *sum;
        }
    }
}

/// As many of `items` as a tile has rows; the last stands for those that are missing, whose sums nobody reads.
fn filled<const P: usize>(items: &[usize]) -> [usize; P] {
    let mut all = [items[items.len() - 1]; P];
    all[..items.len()].copy_from_slice(items);
    all
}
