//! The moving average of the weights.

use crate::{Error, Result};

/// The widest power function: the plain mean of all weights, `γ = 0`.
const WIDEST: f64 = 0.288_675_134_594_812_9;

/// The decay at step `step`, counted from 1, of the exponential average with its short start.
pub(super) fn exponential_decay(decay: f64, step: u64) -> f64 {
    decay.min((1.0 + step as f64) / (10.0 + step as f64))
}

/// The decay at step `step`, counted from 1, of the power function average of relative width `width`:
/// `(1 - 1/n)^(γ+1)` (Karras et al. 2024, EDM2, equation 127).
pub(super) fn power_decay(width: f64, step: u64) -> f64 {
    (1.0 - 1.0 / step as f64).powf(exponent(width) + 1.0)
}

/// The exponent `γ` of the power function `τ^γ` on `(0, 1)` whose standard deviation is
/// `width = √(γ+1) / ((γ+2) √(γ+3))` (EDM2, equation 123).
fn exponent(width: f64) -> f64 {
    // The positive root of γ³ + 7γ² + (16 - w⁻²)γ + 12 - w⁻². Newton's steps come down to it from √(w⁻²), where the
    // polynomial is positive, since it is convex.
    let t = width.powi(-2);
    let mut gamma = t.sqrt();
    loop {
        let value = ((gamma + 7.0) * gamma + 16.0 - t) * gamma + 12.0 - t;
        let slope = (3.0 * gamma + 14.0) * gamma + 16.0 - t;
        let next = (gamma - value / slope).max(0.0);
        if next >= gamma || gamma - next < 1e-14 * gamma {
            return next.min(gamma);
        }
        gamma = next;
    }
}

pub(super) fn check_width(width: f64) -> Result<()> {
    if width > 0.0 && width <= WIDEST {
        return Ok(());
    }
    let expected = "a relative width above 0 and at most 0.288, that of the plain mean";
    Err(Error::argument("power_ema", width, expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_belongs_to_the_width() {
        // EDM2, table 6 and section C: σ_rel = 0.05, 0.10 are γ = 16.97, 6.94.
        for (width, gamma) in [(0.05, 16.97), (0.10, 6.94)] {
            assert!((exponent(width) - gamma).abs() < 0.01, "{width}: {}", exponent(width));
        }
        for width in [1e-3, 0.02, 0.05, 0.1, 0.2, 0.28, WIDEST] {
            let g = exponent(width);
            let again = (g + 1.0).sqrt() / ((g + 2.0) * (g + 3.0).sqrt());
            assert!((again / width - 1.0).abs() < 1e-12, "{width} gives {g}, which is {again}");
        }
        assert!(exponent(WIDEST) < 1e-6);
    }

    /// The recursion against the average written out: weight `i` of `n` has the share `(i/n)^(γ+1) - ((i-1)/n)^(γ+1)`.
    #[test]
    fn the_power_average_is_the_power_function() {
        let weights: Vec<f64> =
            (0..200).map(|i| (i as f64 * 0.37).sin() + i as f64 * 0.01).collect();
        for width in [0.05, 0.1, 0.25] {
            let mut average = 1e9; // The start is forgotten at the first step.
            for (i, w) in weights.iter().enumerate() {
                let decay = power_decay(width, i as u64 + 1);
                average = decay * average + (1.0 - decay) * w;
            }
            let power = |i: usize| (i as f64 / 200.0).powf(exponent(width) + 1.0);
            let whole: f64 =
                weights.iter().enumerate().map(|(i, w)| (power(i + 1) - power(i)) * w).sum();
            assert!((average - whole).abs() < 1e-12, "{average} is not {whole}");
        }
    }

    #[test]
    fn the_exponential_average_starts_short() {
        let decay = |n| exponential_decay(0.9, n);
        assert_eq!((decay(1), decay(71), decay(1_000_000)), (2.0 / 11.0, 72.0 / 81.0, 0.9));
    }
}
