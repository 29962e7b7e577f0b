//! The exponential of the generator of a chain.

use super::rates::Rates;
use crate::interrupt;

/// `exp(τ Q) v`, or with [`Rates::expect`] as `product` `exp(τ Qᵀ) v`, for the rates `Q` of a chain.
///
/// A chain that leaves cells at rates of at most `Λ` is one that jumps at the times of a Poisson process of rate `Λ`, sometimes
/// on the spot (Jensen, Skand. Aktuarietidskr. 36, 1953): `exp(τQ) = Σ_k e^(-Λτ) (Λτ)ᵏ/k! (I + Q/Λ)ᵏ`. For `τ ≥ 0` all
/// terms are positive, so masses stay so; the sum is exact to rounding. For `τ < 0` signs alternate: the sum is still right, in
/// steps short enough, but what it computes amplifies every error.
///
/// `None` where an interrupt was requested on the way.
pub(super) fn exponential(
    rates: &Rates,
    v: &[f64],
    tau: f64,
    product: fn(&Rates, &[f64], f64) -> Vec<f64>,
) -> Option<Vec<f64>> {
    // A little above the fastest rate, so that rounding cannot make a cell give more than it has.
    let pace = 1.01 * rates.fastest;
    let jumps = tau * pace;
    if jumps == 0.0 {
        return Some(v.to_vec());
    }
    // Of long steps the weights would underflow.
    let parts = (if jumps > 0.0 { jumps / 500.0 } else { -jumps }).ceil();
    let jumps = jumps / parts;
    let weights = poisson(jumps);
    let mut state = v.to_vec();
    for _ in 0..parts as u64 {
        if interrupt::requested() {
            return None;
        }
        let mut sum: Vec<f64> = state.iter().map(|value| weights[0] * value).collect();
        for weight in &weights[1..] {
            state = product(rates, &state, 1.0 / pace);
            for (sum, value) in sum.iter_mut().zip(&state) {
                *sum += weight * value;
            }
        }
        state = sum;
    }
    Some(state)
}

/// `e^(-m) mᵏ/k!` for `k = 0, 1, ...`, until what is left out is rounding. They sum to 1.
fn poisson(m: f64) -> Vec<f64> {
    let mut weights = vec![(-m).exp()];
    let mut k = 0.0;
    while k < m.abs() || weights[weights.len() - 1].abs() > 1e-18 {
        k += 1.0;
        weights.push(weights[weights.len() - 1] * m / k);
    }
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fokker_planck::rates::Exchange;

    /// Two cells: the share that has moved is `a/(a+b) (1 - e^(-(a+b)τ))`.
    #[test]
    fn two_cells() {
        let exchanges = vec![Exchange { from: 0, to: 1, forth: 3.0, back: 1.0 }];
        let rates = Rates { cells: 2, exchanges, fastest: 3.0 };
        for tau in [0f64, 1e-3, 0.4, 700.0, -1.5] {
            let moved = 0.75 * (1.0 - (-4.0 * tau).exp());
            let v = exponential(&rates, &[1.0, 0.0], tau, Rates::advance).unwrap();
            assert!((v[1] - moved).abs() < 1e-12 * moved.abs().max(1.0), "{tau}: {v:?}");
            let u = exponential(&rates, &[0.0, 1.0], tau, Rates::expect).unwrap();
            assert!((u[0] - moved).abs() < 1e-12 * moved.abs().max(1.0), "{tau}: {u:?}");
        }
    }
}
