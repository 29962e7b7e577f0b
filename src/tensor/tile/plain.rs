//! Tiles of one vector, for any machine and any scalar.

use super::super::lanes::{LANES, Vectorised, vectorise};
use super::{Gathering, Outer, Scalar, Vector, add_tile, filled, store};

/// Twelve registers of AVX2, and two for a vector of weights.
const ROWS: usize = 6;

pub fn gather<T: Scalar>(gathering: Gathering<T>) {
    vectorise(Gather(gathering));
}

pub fn outer<T: Scalar>(outer: Outer<T>) {
    vectorise(OuterTiles(outer));
}

#[inline(always)]
fn multiply_add<T: Scalar>(x: T, y: &Vector<T>, sum: &mut Vector<T>) {
    for l in 0..LANES {
        sum[l] = x.fused(y[l], sum[l]);
    }
}

struct Gather<'a, T>(Gathering<'a, T>);

impl<T: Scalar> Vectorised for Gather<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Gathering { source, bases, runs, length, weights, out, places, width, add, .. } =
            self.0;
        for (bases, places) in bases.chunks(ROWS).zip(places.chunks(ROWS)) {
            let bases = filled::<ROWS>(bases);
            let mut sums = [[[T::default(); LANES]; 1]; ROWS];
            let mut weights = weights;
            for &run in runs {
                let mut rows: [&[T]; ROWS] = [&[]; ROWS];
                for p in 0..ROWS {
                    rows[p] = &source[bases[p] + run..][..length];
                }
                let (now, later) = weights.split_at(length);
                weights = later;
                for (k, weights) in now.iter().enumerate() {
                    for p in 0..ROWS {
                        multiply_add(rows[p][k], weights, &mut sums[p][0]);
                    }
                }
            }
            store(sums, out, places, (width, add));
        }
    }
}

struct OuterTiles<'a, T>(Outer<'a, T>);

impl<T: Scalar> Vectorised for OuterTiles<'_, T> {
    #[inline(always)]
    fn run(mut self) {
        let mut row = 0;
        while row < self.0.rows {
            row += match self.0.rows - row {
                ROWS.. => outer_tile::<T, ROWS>(&mut self.0, row),
                3.. => outer_tile::<T, 3>(&mut self.0, row),
                _ => outer_tile::<T, 1>(&mut self.0, row),
            };
        }
    }
}

/// The rows from `row` on, `P` of them.
#[inline(always)]
fn outer_tile<T: Scalar, const P: usize>(outer: &mut Outer<T>, row: usize) -> usize {
    let mut sums = [[[T::default(); LANES]; 1]; P];
    let (a, b) = (&outer.a[outer.a_offset + row..], &outer.b[outer.b_offset..]);
    for (&a_base, &b_base) in outer.a_bases.iter().zip(outer.b_bases) {
        let a: &[T; P] = a[a_base..].first_chunk().expect("a run of the factor");
        let b: &Vector<T> = b[b_base..].first_chunk().expect("a vector of the factor");
        for p in 0..P {
            multiply_add(a[p], b, &mut sums[p][0]);
        }
    }
    add_tile(sums, &mut outer.out[row * outer.stride..], outer.stride);
    P
}
