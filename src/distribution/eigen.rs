//! Eigenvalues and eigenvectors of a symmetric matrix.

/// The eigenvalues `λ_j` of a symmetric matrix and, as the columns of the second matrix, row after row, its
/// orthonormal eigenvectors: `A = U diag(λ) Uᵀ`, by Jacobi's rotations.
///
/// It is exact to rounding for every symmetric matrix, and quick for some hundred dimensions.
pub(crate) fn symmetric_eigen(matrix: &[f64], dim: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a = matrix.to_vec();
    let mut vectors = vec![0.0; dim * dim];
    (0..dim).for_each(|i| vectors[i * dim + i] = 1.0);
    let size: f64 = a.iter().map(|value| value * value).sum();
    // Each sweep squares what is left off the diagonal; a dozen is more than any matrix needs.
    for _ in 0..64 {
        let mut off = 0.0;
        for i in 0..dim {
            for j in 0..i {
                off += 2.0 * a[i * dim + j].powi(2);
            }
        }
        if off <= size * f64::EPSILON.powi(2) {
            break;
        }
        for p in 0..dim {
            for q in p + 1..dim {
                rotate(&mut a, &mut vectors, dim, p, q);
            }
        }
    }
    ((0..dim).map(|i| a[i * dim + i]).collect(), vectors)
}

/// Turns the plane of the coordinates `p` and `q` so that `a[p, q]` vanishes.
fn rotate(a: &mut [f64], vectors: &mut [f64], dim: usize, p: usize, q: usize) {
    let across = a[p * dim + q];
    if across == 0.0 {
        return;
    }
    // The tangent of the smaller of the two angles that do it.
    let theta = (a[q * dim + q] - a[p * dim + p]) / (2.0 * across);
    let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cosine = tangent.hypot(1.0).recip();
    let sine = tangent * cosine;
    let turn = |matrix: &mut [f64], first: usize, second: usize| {
        let (x, y) = (matrix[first], matrix[second]);
        matrix[first] = cosine * x - sine * y;
        matrix[second] = sine * x + cosine * y;
    };
    for k in 0..dim {
        turn(a, k * dim + p, k * dim + q);
        turn(vectors, k * dim + p, k * dim + q);
    }
    for k in 0..dim {
        turn(a, p * dim + k, q * dim + k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Generator;

    /// `U diag(λ) Uᵀ` is the matrix and `UᵀU` the identity, also where eigenvalues are equal.
    #[test]
    fn the_parts_make_the_matrix_again() {
        for dim in [1, 2, 7, 40] {
            let mut x = vec![0.0; dim * dim];
            Generator::new(dim as u64).fill_normal_f64(&mut x);
            let product = |i: usize, j: usize| {
                (0..dim / 2 + 1).map(|k| x[i * dim + k] * x[j * dim + k]).sum::<f64>()
            };
            // Of half rank: the eigenvalue 0 comes many times.
            let matrix: Vec<f64> = (0..dim * dim).map(|at| product(at / dim, at % dim)).collect();
            let (values, vectors) = symmetric_eigen(&matrix, dim);
            for i in 0..dim {
                for j in 0..dim {
                    let at = |k: usize| vectors[i * dim + k] * vectors[j * dim + k];
                    let again: f64 = (0..dim).map(|k| values[k] * at(k)).sum();
                    let error = (again - matrix[i * dim + j]).abs();
                    assert!(error < 1e-12 * dim as f64 * 10.0, "{dim}: {error}");
                    let unit: f64 = (0..dim).map(at).sum();
                    assert!((unit - f64::from(i == j)).abs() < 1e-12, "{dim}: {unit}");
                }
            }
        }
    }
}
