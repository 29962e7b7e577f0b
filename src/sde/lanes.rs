//! Sixteen numbers side by side, with operators.

use crate::tensor::lanes::{self, LANES};
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// The same coordinate of sixteen paths, on which a formula is written as on one number.
///
/// A [`FusedSde`](super::FusedSde) computes with them. Operators take a plain `f32` on either side; functions act on
/// each number. None of them branches, so that they become vector instructions.
///
/// ```
/// use scorebook::sde::Lanes;
///
/// let x = Lanes::from(2.0);
/// assert_eq!(1.0 - x * x, Lanes::from(-3.0));
/// assert_eq!((x * x).exp().ln().0[7], 4.0);
/// assert_eq!(x.map(|x| if x > 1.0 { 1.0 } else { x }), Lanes::from(1.0));
/// assert_eq!((x.min(1.0), x.max(3.0), x.mul_add(3.0, 1.0)), (Lanes::from(1.0), Lanes::from(3.0), Lanes::from(7.0)));
/// assert!((x.tanh().0[0] - 2f32.tanh()).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub struct Lanes(pub [f32; LANES]);

impl Lanes {
    /// Sixteen zeros.
    pub const ZERO: Self = Self([0.0; LANES]);

    /// A function of each number. Without a branch in it (`if` between two values is none), it vectorises.
    #[inline(always)]
    pub fn map(mut self, f: impl Fn(f32) -> f32) -> Self {
        for x in &mut self.0 {
            *x = f(*x);
        }
        self
    }

    #[inline(always)]
    fn zip(mut self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        for (x, y) in self.0.iter_mut().zip(other.0) {
            *x = f(*x, y);
        }
        self
    }

    /// `self · factor + summand`, rounded once.
    #[inline(always)]
    pub fn mul_add(mut self, factor: impl Into<Self>, summand: impl Into<Self>) -> Self {
        let (factor, summand) = (factor.into(), summand.into());
        for i in 0..LANES {
            self.0[i] = self.0[i].mul_add(factor.0[i], summand.0[i]);
        }
        self
    }

    /// The exponential function, to 2 units in the last place; the argument is clamped to `[-87.3, 88]`.
    #[inline(always)]
    pub fn exp(self) -> Self {
        self.map(lanes::exp)
    }

    /// The natural logarithm; not a number below 0.
    #[inline(always)]
    pub fn ln(self) -> Self {
        self.map(lanes::ln)
    }

    /// The sine, right to 3e-7 up to 10⁵.
    #[inline(always)]
    pub fn sin(self) -> Self {
        self.map(|x| lanes::sin_cos(x).0)
    }

    /// The cosine, right to 3e-7 up to 10⁵.
    #[inline(always)]
    pub fn cos(self) -> Self {
        self.map(|x| lanes::sin_cos(x).1)
    }

    /// The hyperbolic tangent.
    #[inline(always)]
    pub fn tanh(self) -> Self {
        self.map(lanes::tanh)
    }

    /// The square root; not a number below 0.
    #[inline(always)]
    pub fn sqrt(self) -> Self {
        self.map(f32::sqrt)
    }

    /// The absolute value.
    #[inline(always)]
    pub fn abs(self) -> Self {
        self.map(f32::abs)
    }

    /// The smaller of two numbers; what is not a number is kept.
    #[inline(always)]
    pub fn min(self, other: impl Into<Self>) -> Self {
        self.zip(other.into(), |x, y| if x > y { y } else { x })
    }

    /// The larger of two numbers; what is not a number is kept.
    #[inline(always)]
    pub fn max(self, other: impl Into<Self>) -> Self {
        self.zip(other.into(), |x, y| if x < y { y } else { x })
    }
}

impl From<f32> for Lanes {
    #[inline(always)]
    fn from(value: f32) -> Self {
        Self([value; LANES])
    }
}

impl Neg for Lanes {
    type Output = Self;

    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|x| -x)
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $assign:ident, $assign_method:ident, $symbol:tt) => {
        impl $trait for Lanes {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, |x, y| x $symbol y)
            }
        }

        impl $trait<f32> for Lanes {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: f32) -> Self {
                self.map(|x| x $symbol other)
            }
        }

        impl $trait<Lanes> for f32 {
            type Output = Lanes;

            #[inline(always)]
            fn $method(self, other: Lanes) -> Lanes {
                other.map(|y| self $symbol y)
            }
        }

        impl $assign for Lanes {
            #[inline(always)]
            fn $assign_method(&mut self, other: Self) {
                *self = *self $symbol other;
            }
        }
    };
}
operator!(Add, add, AddAssign, add_assign, +);
operator!(Sub, sub, SubAssign, sub_assign, -);
operator!(Mul, mul, MulAssign, mul_assign, *);
operator!(Div, div, DivAssign, div_assign, /);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_those_of_one_number() {
        let x = Lanes(std::array::from_fn(|i| 0.25 * (i as f32 + 1.0)));
        let mut y = 2.0 / x - x * 3.0 + 0.5 * (-x).exp() + (x + 1.0).ln() * x.sqrt();
        y += x.sin() * x.cos() - x.tanh() / 2.0;
        y *= (1.0 - x).abs().max(0.3).min(x).mul_add(2.0, x);
        for (x, y) in x.0.into_iter().zip(y.0) {
            let mut expected = 2.0 / x - x * 3.0 + 0.5 * (-x).exp() + (x + 1.0).ln() * x.sqrt();
            expected += x.sin() * x.cos() - x.tanh() / 2.0;
            expected *= (1.0 - x).abs().max(0.3).min(x).mul_add(2.0, x);
            assert!((y - expected).abs() < 2e-5, "{y} for {expected} at {x}");
        }
        assert!(Lanes::from(f32::NAN).min(1.0).max(0.0).0[0].is_nan());
    }
}
