//! The candle ops that the rest needs and candle lacks or does slowly.
//!
//! | what | why it is here |
//! |---|---|
//! | [`conv2d`], [`conv_transpose2d`], [`group_norm_silu`], [`conv_norm_silu`] | several times as fast as candle's on a CPU |
//! | [`Parameters`] | trainable variables by name, which can be copied, frozen, written and read |
//! | [`autocast`] | products in BF16 on a GPU |
//! | [`values`] | the numbers of a tensor on the host |
//!
//! Each is a function of tensors with a forward and a backward pass: on the CPU our own kernel, which picks its
//! instruction set at run time; on any other device a composition of candle's ops with the same result. The
//! kernels split their work by the problem's size and never by the number of threads, so their results are
//! bitwise equal on any number of threads of one machine.

mod autocast;
mod block;
mod convolution;
mod geometry;
mod group_norm;
pub(crate) mod lanes;
mod parameters;
mod room;
pub(crate) mod tape;
mod tile;
mod update;
mod values;

pub use autocast::autocast;
pub use block::conv_norm_silu;
pub use convolution::{Convolution, conv_transpose2d, conv2d};
pub use group_norm::{Norm, group_norm_silu};
pub use parameters::Parameters;
pub(crate) use update::{AdamStep, adam_step, average_into, momentum_step, sum_of_squares};
pub use values::values;

#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, Layout, Result, Storage, Tensor, WithDType};

/// How many numbers one task takes of work on each number by itself.
const PIECE: usize = 1 << 14;

/// The values of a contiguous CPU storage.
fn contiguous<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<T>()?[from..to]),
        None => candle_core::bail!("a contiguous tensor was expected, got {layout:?}"),
    }
}

/// Calls `f` with the values of a CPU tensor, which are copied only if they are not contiguous.
fn with_values<T: WithDType, R>(x: &Tensor, f: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let x = x.contiguous()?;
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(contiguous(storage, layout)?),
        _ => candle_core::bail!("a tensor on the CPU was expected, got one on {:?}", x.device()),
    }
}
