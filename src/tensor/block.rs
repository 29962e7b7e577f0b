//! A convolution with what follows it in a block of a U-Net.

use super::tape::{Buffers, Map, Tape};
use super::{Convolution, Norm};
use crate::Result;
use candle_core::Tensor;

/// A convolution, then [`group_norm_silu`](super::group_norm_silu) of its result, as one op: the map between the two
/// stays in the processor's cache on the way forward, and has no gradient of its own in the graph on the way back.
///
/// `maps` is one map `[batch, height, width, channels]`, or two whose channels the kernel takes one behind the other, as
/// if they had been concatenated: a map and the skip connection to it. Differentiable in all tensors.
///
/// # Errors
/// As those of its parts, and if there is no map or more than two.
///
/// ```
/// use scorebook::{prelude::*, random::Generator, tensor::{self, Convolution, Norm}};
///
/// let mut generator = Generator::new(1);
/// let x = generator.normal((2, 6, 6, 3), &Device::Cpu)?;
/// let kernel = generator.normal((4, 3, 3, 3), &Device::Cpu)?;
/// let shift = generator.normal((2, 4), &Device::Cpu)?;
/// let ones = Tensor::ones(4, DType::F32, &Device::Cpu)?;
/// let norm = Norm { shift: &shift, weight: &ones, bias: &ones, groups: 2, epsilon: 1e-5 };
/// let convolution = Convolution { stride: 2, padding: 1, transposed: None };
/// let y = tensor::conv_norm_silu(&[&x], &kernel, convolution, &norm)?;
/// let parts = tensor::group_norm_silu(&convolution.apply(&x, &kernel)?, &norm)?;
/// assert_eq!((y - parts)?.abs()?.max_all()?.to_scalar::<f32>()?, 0.);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn conv_norm_silu(
    maps: &[&Tensor],
    kernel: &Tensor,
    convolution: Convolution,
    norm: &Norm,
) -> Result<Tensor> {
    let tape = Tape::new(kernel, &Buffers::default());
    let maps = maps.iter().map(|map| tape.leaf(map)).collect::<Result<Vec<Map>>>()?;
    let (maps, shift) = (maps.iter().collect::<Vec<_>>(), tape.leaf(norm.shift)?);
    let y = tape.conv_norm_silu(&maps, kernel, convolution, &norm.with_shift(&shift))?;
    tape.finish(y)
}
