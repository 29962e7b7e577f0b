//! Convolutions in half the width.

use crate::Result;
use candle_core::{DType, Tensor};
use std::cell::Cell;

thread_local!(static HALF: Cell<bool> = const { Cell::new(false) });

/// Runs `f` with the convolutions and linear layers of networks in bf16 where candle computes them, on a GPU: twice the
/// throughput on those that have bf16 (Ampere and later), with weights, norms and sums in F32 as before. On the CPU it
/// changes nothing.
///
/// It holds for this thread and for the forward pass: the backward pass of what was computed in bf16 is in bf16 too.
///
/// ```
/// use scorebook::{prelude::*, tensor};
///
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = Unet::new(UnetSettings::default(), process, &mut generator, &Device::Cpu)?;
/// let (x, t) = (generator.normal((2, 1, 28, 28), &Device::Cpu)?, Tensor::new(&[0.2f32, 0.8], &Device::Cpu)?);
/// let score = tensor::autocast(true, || network.score(&x, &t))?;
/// assert_eq!(score.dtype(), DType::F32);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn autocast<R>(half: bool, f: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            HALF.set(self.0);
        }
    }
    let _restore = Restore(HALF.replace(half));
    f()
}

/// `product` of two tensors of one type, in bf16 where that is asked for, given back in their own type.
pub(super) fn in_half(
    x: &Tensor,
    weights: &Tensor,
    product: impl FnOnce(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    if !HALF.get() || x.dtype() != DType::F32 || x.device().is_cpu() {
        return product(x, weights);
    }
    let y = product(&x.to_dtype(DType::BF16)?, &weights.to_dtype(DType::BF16)?)?;
    Ok(y.to_dtype(DType::F32)?)
}
