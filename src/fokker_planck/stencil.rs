//! Which cells a correlated noise connects.

use super::grid::Offset;

/// No cell further than this, along either axis, is reached by one jump.
const REACH: i32 = 12;

/// Selling's formula (J. reine angew. Math. 77, 1874): a symmetric positive semi-definite matrix
/// `D = [[a, b], [b, c]]` as `Σ_k λ_k e_k e_kᵀ` with `λ_k ≥ 0` and three integer vectors `e_k`, each of which points up, or
/// to the right.
///
/// A jump chain with the rate `λ_k` for each of `e_k` and `-e_k` then spreads like `2 D`, correlations included, and no rate
/// is negative: the stencil of Fehrenbach and Mirebeau (J. Math. Imaging Vis. 49, 2014). The usual one, which takes
/// only the eight neighbours, exists only where `|b| ≤ min(a, c)`.
///
/// `None` where a jump would be longer than [`REACH`]: for noise that is nearly one-dimensional in a direction which is not
/// that of a few cells.
pub(super) fn selling(a: f64, b: f64, c: f64) -> Option<[(Offset, f64); 3]> {
    let product = |u: Offset, v: Offset| {
        let [[u0, u1], [v0, v1]] = [u, v].map(|u| u.map(f64::from));
        a * u0 * v0 + b * (u0 * v1 + u1 * v0) + c * u1 * v1
    };
    // An obtuse superbase: three vectors with the sum 0 and no positive product.
    let mut base: [Offset; 3] = [[1, 0], [0, 1], [-1, -1]];
    // Below this a product is rounding.
    let least = 1e-14 * (a + c);
    const PAIRS: [(usize, usize, usize); 3] = [(0, 1, 2), (0, 2, 1), (1, 2, 0)];
    while let Some((i, j, k)) =
        PAIRS.into_iter().find(|(i, j, _)| product(base[*i], base[*j]) > least)
    {
        let (u, v) = (base[i], base[j]);
        base[i] = [-u[0], -u[1]];
        base[k] = [u[0] - v[0], u[1] - v[1]];
        if base[k].iter().any(|part| part.abs() > REACH) {
            return None;
        }
    }
    Some(PAIRS.map(|(i, j, k)| {
        let [x, y] = base[k];
        let turned = [-y, x];
        let up = turned[1] > 0 || (turned[1] == 0 && turned[0] > 0);
        let offset = if up { turned } else { turned.map(|part| -part) };
        (offset, (-product(base[i], base[j])).max(0.0))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_sum_to_the_matrix() {
        let mut found = 0;
        for i in 0..40 {
            for j in 0..20 {
                // Matrices of every direction, stretched up to 1 : 100.
                let (angle, ratio) = (0.08 * f64::from(i), 10f64.powf(-0.1 * f64::from(j)));
                let (cos, sin) = (angle.cos(), angle.sin());
                let (a, b, c) = (
                    cos * cos + ratio * sin * sin,
                    (1.0 - ratio) * cos * sin,
                    sin * sin + ratio * cos * cos,
                );
                let stencil = selling(a, b, c).unwrap();
                let sum = |k: usize, l: usize| -> f64 {
                    stencil.iter().map(|(e, rate)| rate * f64::from(e[k]) * f64::from(e[l])).sum()
                };
                assert!(stencil.iter().all(|(_, rate)| *rate >= 0.0));
                for (value, expected) in [(sum(0, 0), a), (sum(0, 1), b), (sum(1, 1), c)] {
                    assert!((value - expected).abs() < 1e-12, "{a} {b} {c}: {stencil:?}");
                }
                found = found.max(stencil.iter().map(|(e, _)| e[0].abs()).max().unwrap());
            }
        }
        assert!(found > 2, "no long jump was needed");
    }

    #[test]
    fn plain_cases_are_the_plain_stencils() {
        let rates = |stencil: [(Offset, f64); 3], offset: Offset| -> f64 {
            stencil.iter().filter(|(e, _)| *e == offset).map(|(_, rate)| rate).sum()
        };
        let stencil = selling(2.0, 0.0, 3.0).unwrap();
        assert_eq!((rates(stencil, [1, 0]), rates(stencil, [0, 1])), (2.0, 3.0));
        let stencil = selling(2.0, -0.5, 3.0).unwrap();
        assert_eq!((rates(stencil, [1, 0]), rates(stencil, [-1, 1])), (1.5, 0.5));
        // Noise along the diagonal alone.
        assert_eq!(rates(selling(1.0, 1.0, 1.0).unwrap(), [1, 1]), 1.0);
        // Noise along a direction that meets no cell.
        assert!(selling(1.0, 2f64.sqrt(), 2.0).is_none());
    }
}
