//! A noising process in the fused loop.

use super::{ForwardSde, NoisingProcess};
use crate::{
    Result,
    sde::{FusedSde, Lanes},
};

impl<P: NoisingProcess, const D: usize> FusedSde<D> for ForwardSde<P> {
    /// `a(t)` and `g(t)`.
    type Now = (f32, f32);

    fn now(&self, t: f64) -> Result<(f32, f32)> {
        Ok((self.0.rate(t) as f32, self.0.dispersion(t) as f32))
    }

    #[inline(always)]
    fn drift(&self, x: [Lanes; D], (rate, _): &(f32, f32)) -> [Lanes; D] {
        scaled(x, *rate)
    }

    #[inline(always)]
    fn noise(&self, _x: [Lanes; D], dw: [Lanes; D], (_, dispersion): &(f32, f32)) -> [Lanes; D] {
        scaled(dw, *dispersion)
    }
}

/// `factor x`.
#[inline(always)]
fn scaled<const D: usize>(mut x: [Lanes; D], factor: f32) -> [Lanes; D] {
    for x in &mut x {
        *x = *x * factor;
    }
    x
}
