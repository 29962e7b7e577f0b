//! Tiles of up to 24 of the 32 registers of AVX-512, written with its intrinsics: left to itself, the compiler keeps
//! tiles of this size in memory.

use super::{Gathering, Outer, Vector, add_tile, filled, store};
use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

#[target_feature(enable = "avx512f")]
pub fn gather(gathering: Gathering<f32>) {
    match gathering.vectors {
        4 => gather_tiles::<6, 4>(gathering),
        2 => gather_tiles::<12, 2>(gathering),
        _ => gather_tiles::<12, 1>(gathering),
    }
}

#[target_feature(enable = "avx512f")]
pub fn outer(outer: Outer<f32>) {
    match outer.vectors {
        4 => outer_tiles::<6, 4>(outer),
        2 => outer_tiles::<12, 2>(outer),
        _ => outer_tiles::<12, 1>(outer),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(x: &Vector<f32>) -> __m512 {
    // SAFETY: `x` is sixteen numbers, and the instruction takes any address.
    unsafe { _mm512_loadu_ps(x.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn values<const P: usize, const V: usize>(sums: [[__m512; V]; P]) -> [[Vector<f32>; V]; P] {
    let mut values = [[[0f32; 16]; V]; P];
    for p in 0..P {
        for v in 0..V {
            // SAFETY: the goal is sixteen numbers, and the instruction takes any address.
            unsafe { _mm512_storeu_ps(values[p][v].as_mut_ptr(), sums[p][v]) };
        }
    }
    values
}

#[target_feature(enable = "avx512f")]
fn gather_tiles<const P: usize, const V: usize>(gathering: Gathering<f32>) {
    let Gathering { source, bases, runs, length, weights, out, places, width, add, .. } = gathering;
    for (bases, places) in bases.chunks(P).zip(places.chunks(P)) {
        let bases = filled::<P>(bases);
        let mut sums = [[_mm512_setzero_ps(); V]; P];
        let mut weights = weights;
        for &run in runs {
            let mut rows: [&[f32]; P] = [&[]; P];
            for p in 0..P {
                rows[p] = &source[bases[p] + run..][..length];
            }
            let (now, later) = weights.split_at(length * V);
            weights = later;
            for (k, weights) in now.as_chunks::<V>().0.iter().enumerate() {
                for p in 0..P {
                    let x = _mm512_set1_ps(rows[p][k]);
                    for v in 0..V {
                        sums[p][v] = _mm512_fmadd_ps(x, load(&weights[v]), sums[p][v]);
                    }
                }
            }
        }
        store(values(sums), out, places, (width, add));
    }
}

#[target_feature(enable = "avx512f")]
fn outer_tiles<const P: usize, const V: usize>(mut outer: Outer<f32>) {
    let mut row = 0;
    while row < outer.rows {
        row += match outer.rows - row {
            left if left >= P => outer_tile::<P, V>(&mut outer, row),
            3.. => outer_tile::<3, V>(&mut outer, row),
            _ => outer_tile::<1, V>(&mut outer, row),
        };
    }
}

/// The rows from `row` on, `P` of them.
#[target_feature(enable = "avx512f")]
fn outer_tile<const P: usize, const V: usize>(outer: &mut Outer<f32>, row: usize) -> usize {
    let mut sums = [[_mm512_setzero_ps(); V]; P];
    let (a, b) = (&outer.a[outer.a_offset + row..], &outer.b[outer.b_offset..]);
    for (&a_base, &b_base) in outer.a_bases.iter().zip(outer.b_bases) {
        let a: &[f32; P] = a[a_base..].first_chunk().expect("a run of the factor");
        let (b, _) = b[b_base..].as_chunks();
        let b: &[Vector<f32>; V] = b.first_chunk().expect("a block of the factor");
        for p in 0..P {
            let x = _mm512_set1_ps(a[p]);
            for v in 0..V {
                sums[p][v] = _mm512_fmadd_ps(x, load(&b[v]), sums[p][v]);
            }
        }
    }
    add_tile(values(sums), &mut outer.out[row * outer.stride..], outer.stride);
    P
}
