//! Sixteen numbers at a time: loops that the compiler turns into vector code for the machine they run on.

use std::sync::OnceLock;

/// How many numbers a vector holds: one AVX-512 register, two AVX ones, four of SSE or NEON.
pub(crate) const LANES: usize = 16;
pub(super) type Lanes = [f32; LANES];

/// Work for [`vectorise`]. Implementations mark `run` `#[inline(always)]`, and all that it calls.
pub(crate) trait Vectorised {
    fn run(self);
}

/// The widest vectors that this machine has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum InstructionSet {
    Avx512,
    Avx2,
    Plain,
}

/// What the processor can do, or less where the environment variable `SCOREBOOK_INSTRUCTIONS` says so: `avx2` or
/// `plain`.
pub(crate) fn instruction_set() -> InstructionSet {
    static FOUND: OnceLock<InstructionSet> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let wished = std::env::var("SCOREBOOK_INSTRUCTIONS").unwrap_or_default();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw");
            if avx2 && avx512 && wished != "avx2" && wished != "plain" {
                return InstructionSet::Avx512;
            }
            if avx2 && wished != "plain" {
                return InstructionSet::Avx2;
            }
        }
        let _ = wished;
        InstructionSet::Plain
    })
}

/// Whether the kernels of [`tensor`](super) are to be taken on the CPU; where the environment variable
/// `SCOREBOOK_INSTRUCTIONS` is `candle`, candle's ops do their work, as on a GPU.
pub(super) fn own_kernels() -> bool {
    static OWN: OnceLock<bool> = OnceLock::new();
    *OWN.get_or_init(|| std::env::var("SCOREBOOK_INSTRUCTIONS").as_deref() != Ok("candle"))
}

/// Runs `work`, which is compiled three times, for AVX-512, for AVX2 and for any machine; the processor picks.
///
/// It is the macro `vectorised` for work that is generic.
pub(crate) fn vectorise<W: Vectorised>(work: W) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        fn avx512<W: Vectorised>(work: W) {
            work.run();
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<W: Vectorised>(work: W) {
            work.run();
        }
        match instruction_set() {
            // SAFETY: the features that it is compiled for were found.
            InstructionSet::Avx512 => return unsafe { avx512(work) },
            // SAFETY: the features that it is compiled for were found.
            InstructionSet::Avx2 => return unsafe { avx2(work) },
            InstructionSet::Plain => {}
        }
    }
    work.run();
}

/// A function that is compiled three times, for AVX-512, for AVX2 and for any machine, and picks at run time.
///
/// Detection at run time means that a plain build is fast on every machine, and faster than one for
/// `target-cpu=native`, which prefers vectors of half the width.
macro_rules! vectorised {
    ($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$attribute])*
        #[allow(clippy::too_many_arguments)]
        fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments)]
            fn body($($argument: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($argument: $type),*) $(-> $result)? { body($($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($argument: $type),*) $(-> $result)? { body($($argument),*) }
                use crate::tensor::lanes::{InstructionSet, instruction_set};
                match instruction_set() {
                    // SAFETY: the features that it is compiled for were found.
                    InstructionSet::Avx512 => return unsafe { avx512($($argument),*) },
                    // SAFETY: the features that it is compiled for were found.
                    InstructionSet::Avx2 => return unsafe { avx2($($argument),*) },
                    InstructionSet::Plain => {}
                }
            }
            body($($argument),*)
        }
    };
}
pub(super) use vectorised;

/// `exp(x)` to 2 units in the last place for |x| < 87, clamped beyond: no branch and no saturating conversion,
/// which would both keep it from being vectorised.
///
/// `x = n ln 2 + r` with integer `n`, |r| ≤ ½ ln 2; a polynomial gives `exp(r)`, and `n` goes into the exponent.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2²³ leaves the nearest integer in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.3 { -87.3 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    // Taylor's coefficients 1/k!, with the last two adjusted to |r| ≤ ½ ln 2 (least maximal error).
    let p = 1.987_569_1e-4f32
        .mul_add(r, 1.398_199_9e-3)
        .mul_add(r, 8.333_452e-3)
        .mul_add(r, 4.166_58e-2)
        .mul_add(r, 1.666_666_5e-1)
        .mul_add(r, 0.5);
    let y = (p * r).mul_add(r, r) + 1.0;
    f32::from_bits(y.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// `2^x` to 2 units in the last place for -125 < x < 127, clamped below: what [`exp`] is without its change of base.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -125.0 { -125.0 } else { x };
    let shifted = x + ROUND;
    let r = x - (shifted - ROUND);
    // Taylor's coefficients (ln 2)^k/k!.
    let y = 1.540_353e-4f32
        .mul_add(r, 1.333_355_8e-3)
        .mul_add(r, 9.618_129e-3)
        .mul_add(r, 5.550_411e-2)
        .mul_add(r, 2.402_265e-1)
        .mul_add(r, 6.931_472e-1)
        .mul_add(r, 1.0);
    f32::from_bits(y.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// `ln x` of a positive normal number: `x = 2^e (1 + m)` with `1 + m` in `[√½, √2)`.
///
/// The polynomials here and in [`sin_cos_of_turn`] interpolate `ln(1+m)/m`, `sin(2πr)/r` and `cos 2πr` at Chebyshev
/// nodes, with relative errors below 4e-8.
#[inline(always)]
pub(crate) fn ln_of_normal(x: f32) -> f32 {
    let bits = x.to_bits() as i32;
    // Subtracting the bits of √½ makes the shift round the exponent to the wanted interval.
    let e = (bits - std::f32::consts::FRAC_1_SQRT_2.to_bits() as i32) >> 23;
    let m = f32::from_bits((bits - (e << 23)) as u32) - 1.0;
    let q = 8.533_313e-2f32
        .mul_add(m, -1.426_925_8e-1)
        .mul_add(m, 1.497_740_1e-1)
        .mul_add(m, -1.657_799_3e-1)
        .mul_add(m, 1.995_593_3e-1)
        .mul_add(m, -2.500_135_2e-1)
        .mul_add(m, 3.333_419_3e-1)
        .mul_add(m, -5e-1)
        .mul_add(m, 1.0);
    (e as f32).mul_add(std::f32::consts::LN_2, m * q)
}

/// `ln x` of any number: -∞ at 0, not a number below.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // A number below the smallest normal one is brought among them.
    let tiny = x < f32::MIN_POSITIVE;
    let (scale, shift) =
        if tiny { (8_388_608.0, -23.0 * std::f32::consts::LN_2) } else { (1.0, 0.0) };
    let y = ln_of_normal(x * scale) + shift;
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x < 0.0 { f32::NAN } else { y }
}

/// Sine and cosine of `quarter` quarter turns and `r` turns more, |r| ≤ 1/8.
#[inline(always)]
pub(crate) fn sin_cos_of_turn(quarter: u32, r: f32) -> (f32, f32) {
    let z = r * r;
    let sine = r
        * (-75.401_61f32)
            .mul_add(z, 81.592_54)
            .mul_add(z, -41.341_663)
            .mul_add(z, std::f32::consts::TAU);
    let cosine = (-83.591_82f32).mul_add(z, 64.921_234).mul_add(z, -19.739_152).mul_add(z, 1.0);
    let (sine, cosine) = if quarter & 1 == 1 { (cosine, sine) } else { (sine, cosine) };
    (
        if quarter & 2 == 2 { -sine } else { sine },
        if quarter.wrapping_add(1) & 2 == 2 { -cosine } else { cosine },
    )
}

/// Sine and cosine of an angle, right to 3e-7 for |x| ≤ 10⁵.
#[inline(always)]
pub(crate) fn sin_cos(x: f32) -> (f32, f32) {
    // As in `exp`: the nearest number of quarter turns. π/2 in three parts, so that what remains is exact.
    const ROUND: f32 = 12_582_912.0;
    let shifted = x.mul_add(std::f32::consts::FRAC_2_PI, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-std::f32::consts::FRAC_PI_2, x);
    let r = n.mul_add(4.371_139e-8, r);
    let r = n.mul_add(1.715_124_6e-15, r);
    sin_cos_of_turn(shifted.to_bits(), r * (1.0 / std::f32::consts::TAU))
}

/// The hyperbolic tangent, right to 4e-7.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    // Near 0 the quotient loses the small digits; Taylor's polynomial does not.
    let z = x * x;
    let near = (-1382.0f32 / 155_925.0)
        .mul_add(z, 62.0 / 2835.0)
        .mul_add(z, -17.0 / 315.0)
        .mul_add(z, 2.0 / 15.0)
        .mul_add(z, -1.0 / 3.0);
    let near = (near * z).mul_add(x, x);
    let far = 1.0 - 2.0 / (exp(2.0 * x) + 1.0);
    if z < 0.16 { near } else { far }
}

/// The logistic function `1 / (1 + exp(-x))`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_right_to_two_units_in_the_last_place() {
        let mut worst = 0f64;
        for i in -870_000..870_000 {
            let x = i as f32 * 1e-4;
            let exact = (x as f64).exp();
            worst = worst.max(((exp(x) as f64 - exact) / exact).abs());
        }
        assert!(worst < 2.0 * f32::EPSILON as f64, "{worst:e}");
        let mut worst = 0f64;
        for i in -1_249_000..1_260_000 {
            let x = i as f32 * 1e-4;
            let exact = (x as f64).exp2();
            worst = worst.max(((exp2(x) as f64 - exact) / exact).abs());
        }
        assert!(worst < 2.0 * f32::EPSILON as f64, "{worst:e}");
        assert!(exp2(-1e9) > 0.0 && exp2(f32::NAN).is_nan());
        assert!(exp(-1e9) > 0.0 && exp(1e9).is_finite());
        assert!(sigmoid(f32::NAN).is_nan());
    }

    #[test]
    fn elementary_functions_agree_with_f64() {
        for i in -400_000..=400_000 {
            let x = i as f32 * 0.25;
            let ((sine, cosine), exact) = (sin_cos(x), f64::from(x));
            assert!((f64::from(sine) - exact.sin()).abs() < 3e-7, "sin {x}: {sine}");
            assert!((f64::from(cosine) - exact.cos()).abs() < 3e-7, "cos {x}: {cosine}");
            let x = i as f32 * 5e-5;
            let exact = f64::from(x).tanh();
            assert!(
                (f64::from(tanh(x)) - exact).abs() <= 4e-7 * exact.abs(),
                "tanh {x}: {}",
                tanh(x)
            );
            let x = f32::from_bits(1 + (i + 400_000) as u32 * 2600);
            let exact = f64::from(x).ln();
            assert!(
                (f64::from(ln(x)) - exact).abs() <= 2e-7 * exact.abs().max(1.0),
                "ln {x}: {}",
                ln(x)
            );
        }
        assert_eq!((ln(0.0), ln(f32::INFINITY)), (f32::NEG_INFINITY, f32::INFINITY));
        for x in [ln(-1.0), ln(f32::NAN), sin_cos(f32::INFINITY).0, tanh(f32::NAN)] {
            assert!(x.is_nan());
        }
        assert_eq!((tanh(100.0), tanh(-100.0)), (1.0, -1.0));
    }
}
