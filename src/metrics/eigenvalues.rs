//! The eigenvalues of a symmetric matrix, where its vectors are not asked for.

use rayon::prelude::*;

/// The eigenvalues of a symmetric `dim × dim` matrix, given row after row, in no order: Householder's reflections make it
/// tridiagonal, the implicit QL method diagonal. `4/3 dim³` products and sums: seconds for two thousand dimensions.
///
/// Source: Golub & Van Loan, *Matrix Computations*, algorithms 8.3.1 and 8.3.3; the shifts are those of EISPACK's `tql1`.
pub(super) fn symmetric_eigenvalues(matrix: &[f64], dim: usize) -> Vec<f64> {
    let mut a = matrix.to_vec();
    let mut off = vec![0.0; dim];
    let (mut v, mut w) = (vec![0.0; dim], vec![0.0; dim]);
    for k in 0..dim.saturating_sub(2) {
        let rest = k + 1..dim;
        // The reflection I - 2 v vᵀ/‖v‖² takes the column below the diagonal to a multiple of its first unit vector.
        rest.clone().for_each(|i| v[i] = a[i * dim + k]);
        let length = v[rest.clone()].iter().map(|x| x * x).sum::<f64>().sqrt();
        off[k] = if v[k + 1] > 0.0 { -length } else { length };
        v[k + 1] -= off[k];
        let square: f64 = v[rest.clone()].iter().map(|x| x * x).sum();
        if square == 0.0 {
            continue;
        }
        // On both sides of what remains it is A - v wᵀ - w vᵀ with w = p - (vᵀp/‖v‖²) v and p = 2 A v/‖v‖².
        let part = &v[rest.clone()];
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        let rows = a[(k + 1) * dim..].par_chunks_exact(dim).with_min_len(64);
        w[rest.clone()]
            .par_iter_mut()
            .with_min_len(64)
            .zip(rows)
            .for_each(|(w, row)| *w = 2.0 / square * dot(&row[k + 1..], part));
        let along = dot(&w[rest.clone()], part) / square;
        w[rest.clone()].iter_mut().zip(part).for_each(|(w, v)| *w -= along * v);
        let other = &w[rest.clone()];
        let rows = a[(k + 1) * dim..].par_chunks_exact_mut(dim).with_min_len(64);
        rows.zip(part.par_iter().zip(other)).for_each(|(row, (vi, wi))| {
            for ((a, v), w) in row[k + 1..].iter_mut().zip(part).zip(other) {
                *a -= vi * w + wi * v;
            }
        });
    }
    if dim > 1 {
        off[dim - 2] = a[(dim - 1) * dim + dim - 2];
    }
    let mut diagonal: Vec<f64> = (0..dim).map(|i| a[i * dim + i]).collect();
    diagonalise(&mut diagonal, &mut off);
    diagonal
}

/// Makes a tridiagonal matrix diagonal: `off[i]` stands between the places `i` and `i + 1`.
fn diagonalise(diagonal: &mut [f64], off: &mut [f64]) {
    let dim = diagonal.len();
    let size = diagonal.iter().chain(off.iter()).fold(0.0f64, |size, x| size.max(x.abs()));
    for first in 0..dim {
        // Each round cubes what is off the diagonal; a handful is more than any matrix needs.
        for _ in 0..64 {
            let small = |i: usize| {
                let around = diagonal[i].abs() + diagonal[i + 1].abs();
                off[i].abs() <= f64::EPSILON * (around + f64::EPSILON * size)
            };
            let last = (first..dim - 1).find(|&i| small(i)).unwrap_or(dim - 1);
            if last == first {
                break;
            }
            let slope = (diagonal[first + 1] - diagonal[first]) / (2.0 * off[first]);
            let root = slope.hypot(1.0).copysign(slope);
            let mut g = diagonal[last] - diagonal[first] + off[first] / (slope + root);
            let (mut sine, mut cosine, mut shift) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (first..last).rev() {
                let (f, b) = (sine * off[i], cosine * off[i]);
                let r = f.hypot(g);
                off[i + 1] = r;
                if r == 0.0 {
                    diagonal[i + 1] -= shift;
                    split = true;
                    break;
                }
                (sine, cosine) = (f / r, g / r);
                let above = diagonal[i + 1] - shift;
                let turned = (diagonal[i] - above) * sine + 2.0 * cosine * b;
                shift = sine * turned;
                diagonal[i + 1] = above + shift;
                g = cosine * turned - b;
            }
            if !split {
                diagonal[first] -= shift;
                off[first] = g;
            }
            off[last] = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{distribution::symmetric_eigen, random::Generator};

    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_by(f64::total_cmp);
        values
    }

    /// Against Jacobi's rotations, on full, singular and indefinite matrices.
    #[test]
    fn as_by_rotations() {
        for (dim, rank) in [(1, 1), (2, 2), (3, 1), (17, 17), (40, 8), (90, 89)] {
            let mut x = vec![0.0; dim * rank];
            Generator::new((dim + rank) as u64).fill_normal_f64(&mut x);
            for sign in [1.0, -1.0] {
                let product = |i: usize, j: usize| -> f64 {
                    let sign = |k: usize| if k == 0 { sign } else { 1.0 };
                    (0..rank).map(|k| sign(k) * x[i * rank + k] * x[j * rank + k]).sum()
                };
                let matrix: Vec<f64> =
                    (0..dim * dim).map(|at| product(at / dim, at % dim)).collect();
                let found = sorted(symmetric_eigenvalues(&matrix, dim));
                let expected = sorted(symmetric_eigen(&matrix, dim).0);
                let size = expected.iter().fold(0.0f64, |size, x| size.max(x.abs()));
                for (found, expected) in found.iter().zip(expected) {
                    assert!((found - expected).abs() < 1e-13 * dim as f64 * size, "{dim}, {rank}");
                }
            }
        }
    }

    /// `2 - 2 cos(πk/(n + 1))`: the second differences on a line.
    #[test]
    fn of_second_differences() {
        let dim = 200;
        let mut matrix = vec![0.0; dim * dim];
        for i in 0..dim {
            matrix[i * dim + i] = 2.0;
            if i > 0 {
                matrix[i * dim + i - 1] = -1.0;
                matrix[(i - 1) * dim + i] = -1.0;
            }
        }
        let found = sorted(symmetric_eigenvalues(&matrix, dim));
        for (k, found) in (1..).zip(found) {
            let expected = 2.0 - 2.0 * (std::f64::consts::PI * k as f64 / (dim + 1) as f64).cos();
            assert!((found - expected).abs() < 1e-13, "{k}: {found}, not {expected}");
        }
        assert_eq!(symmetric_eigenvalues(&[0.0; 9], 3), [0.0; 3]);
    }
}
