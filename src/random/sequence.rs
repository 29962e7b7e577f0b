//! Filling a slice with a numbered sequence of values: by groups, by threads, by the widest registers.

use crate::tensor::lanes::{Vectorised, vectorise};
use rayon::prelude::*;

/// A numbered sequence of values that are computed `N` at a time.
///
/// Implementations mark `group` `#[inline(always)]`, so that [`fill`] can compile it for several processors.
pub(super) trait Sequence<const N: usize>: Sync {
    type Value: Copy + Send;

    /// The values number `N index .. N (index + 1)`.
    fn group(&self, index: u64) -> [Self::Value; N];
}

/// Values that a thread fills at a time.
const CHUNK: usize = 1 << 14;

/// Fills `out` with the values number `first`, `first + 1`, ... Threads change nothing but the time it takes.
pub(super) fn fill<const N: usize, S: Sequence<N>>(sequence: &S, first: u64, out: &mut [S::Value]) {
    if out.len() <= CHUNK {
        return fill_chunk(sequence, first, out);
    }
    out.par_chunks_mut(CHUNK).enumerate().for_each(|(i, chunk)| {
        fill_chunk(sequence, first.wrapping_add((i * CHUNK) as u64), chunk);
    });
}

/// A default build targets 128-bit registers and has no fused multiply-add: it would be some twenty times slower.
fn fill_chunk<const N: usize, S: Sequence<N>>(sequence: &S, first: u64, out: &mut [S::Value]) {
    vectorise(Filling { sequence, first, out });
}

struct Filling<'a, const N: usize, S: Sequence<N>> {
    sequence: &'a S,
    first: u64,
    out: &'a mut [S::Value],
}

impl<const N: usize, S: Sequence<N>> Vectorised for Filling<'_, N, S> {
    #[inline(always)]
    fn run(self) {
        fill_groups(self.sequence, self.first, self.out);
    }
}

#[inline(always)]
fn fill_groups<const N: usize, S: Sequence<N>>(sequence: &S, first: u64, out: &mut [S::Value]) {
    let (mut group, skip) = (first / N as u64, (first % N as u64) as usize);
    let (head, body) = out.split_at_mut(((N - skip) % N).min(out.len()));
    if !head.is_empty() {
        head.copy_from_slice(&sequence.group(group)[skip..skip + head.len()]);
        group += 1;
    }
    let mut chunks = body.chunks_exact_mut(N);
    for chunk in &mut chunks {
        chunk.copy_from_slice(&sequence.group(group));
        group = group.wrapping_add(1);
    }
    let tail = chunks.into_remainder();
    if !tail.is_empty() {
        tail.copy_from_slice(&sequence.group(group)[..tail.len()]);
    }
}
