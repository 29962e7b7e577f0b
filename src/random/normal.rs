//! Standard normals from random bits: Box and Muller's transform, written so that it vectorises.
//!
//! `(√(-2 ln u) cos 2πv, √(-2 ln u) sin 2πv)` are two independent standard normals when `u` and `v`
//! are independent and uniform (Box and Muller, Ann. Math. Statist. 29, 1958). The radius takes all 32
//! bits of a word: the largest normal is 6.76, where 24 bits would end the tail at 5.8. Every operation
//! is exactly rounded, so the bits do not depend on which instructions the processor has.

use crate::tensor::lanes::{ln_of_normal, sin_cos_of_turn};

/// `L` pairs of standard normals from `L` words for the radius and `L` for the angle.
#[inline(always)]
pub(super) fn box_muller<const L: usize>(
    radius: [u32; L],
    angle: [u32; L],
) -> ([f32; L], [f32; L]) {
    let (mut cosines, mut sines) = ([0.0; L], [0.0; L]);
    for i in 0..L {
        // The middle of the word's cell, so that `u` is never 0.
        let u = (radius[i] as f32 + 0.5) * (1.0 / 4_294_967_296.0);
        let r = (-2.0 * ln_of_normal(u)).sqrt();
        let (sine, cosine) = sin_cos_turn(angle[i]);
        cosines[i] = r * cosine;
        sines[i] = r * sine;
    }
    (cosines, sines)
}

/// Two standard normals in double precision from 64 random bits each for radius and angle.
pub(super) fn box_muller_f64(radius: u64, angle: u64) -> [f64; 2] {
    // 53 bits each; the radius from the middle of its cell, so that it is never 0.
    let u = ((radius >> 11) as f64 + 0.5) * 2f64.powi(-53);
    let v = (angle >> 11) as f64 * 2f64.powi(-53);
    let r = (-2.0 * u.ln()).sqrt();
    let (sine, cosine) = (std::f64::consts::TAU * v).sin_cos();
    [r * cosine, r * sine]
}

/// Sine and cosine of the angle `2π word / 2³²`: the nearest quarter turn and what remains of it.
#[inline(always)]
fn sin_cos_turn(word: u32) -> (f32, f32) {
    let quarter = word.wrapping_add(1 << 29) >> 30;
    let r = word.wrapping_sub(quarter << 30) as i32 as f32 * (1.0 / 4_294_967_296.0);
    sin_cos_of_turn(quarter, r)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elementary_functions_agree_with_f64() {
        let mut word = 1u32;
        for _ in 0..200_000 {
            word = word.wrapping_mul(0x9E37_79B1).wrapping_add(0x85EB_CA6B);
            let x = (word as f32 + 0.5) * (1.0 / 4_294_967_296.0);
            let exact = f64::from(x).ln();
            assert!(
                (f64::from(ln_of_normal(x)) - exact).abs() <= 2e-7 * exact.abs().max(1.0),
                "ln {x}"
            );
            let (sine, cosine) = sin_cos_turn(word);
            let (s, c) = (std::f64::consts::TAU * f64::from(word) / 2f64.powi(32)).sin_cos();
            assert!((f64::from(sine) - s).abs() < 2e-7, "sin at {word}: {sine} for {s}");
            assert!((f64::from(cosine) - c).abs() < 2e-7, "cos at {word}: {cosine} for {c}");
        }
    }

    #[test]
    fn ends_of_the_range_are_finite() {
        let (cosines, sines) = box_muller([0, u32::MAX], [0, u32::MAX]);
        assert!((cosines[0] - 6.7637).abs() < 1e-3, "{}", cosines[0]);
        assert_eq!(sines[0], 0.0);
        assert_eq!((cosines[1], sines[1]), (0.0, 0.0));
        assert!(box_muller_f64(0, 0).iter().chain(&box_muller_f64(!0, !0)).all(|z| z.is_finite()));
    }
}
