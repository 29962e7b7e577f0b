//! Convolution and transposed convolution in two dimensions.

use super::geometry::{Geometry, Input, Scalar};
use super::{contiguous, with_values};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Shape, Tensor};

/// Convolution (cross-correlation) of `x` `[batch, channels, height, width]` with `kernel` `[filters, channels, side,
/// side]`: `y[b,o,i,j] = Σ_{c,u,v} kernel[o,c,u,v] · x[b,c, i·stride+u-padding, j·stride+v-padding]`.
///
/// The result is `[batch, filters, rows, columns]` with `rows = (height + 2 padding - side) / stride + 1`. F32 and F64
/// on the CPU take our own kernel, everything else candle's. Differentiable in both arguments.
///
/// # Errors
/// If the shapes do not fit each other or the stride is 0.
///
/// ```
/// use scorebook::{prelude::*, tensor};
///
/// let x = Tensor::arange(0f32, 9., &Device::Cpu)?.reshape((1, 1, 3, 3))?;
/// let sum = Tensor::ones((1, 1, 2, 2), DType::F32, &Device::Cpu)?;
/// let y = tensor::conv2d(&x, &sum, 1, 0)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [8., 12., 20., 24.]);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn conv2d(x: &Tensor, kernel: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    let op = Convolution { stride, padding };
    op.geometry(x.dims(), kernel.dims())?;
    if own_kernel(x, kernel) {
        return Ok(x.contiguous()?.apply_op2(&kernel.contiguous()?, op)?);
    }
    Ok(x.conv2d(kernel, padding, stride, 1, 1)?)
}

/// Transposed convolution of `x` `[batch, filters, rows, columns]` with `kernel` `[filters, channels, side, side]`: the
/// transpose of [`conv2d`] with the same kernel, stride and padding.
///
/// The result is `[batch, channels, height, width]` with `height = (rows - 1) · stride + side + output_padding - 2
/// padding`; `output_padding` (less than `stride`) picks among the sizes that the convolution maps to the same one.
///
/// # Errors
/// If the shapes do not fit each other, the stride is 0, or the output padding is not less than the stride.
///
/// ```
/// use scorebook::{prelude::*, tensor};
///
/// // ⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩
/// let x = Tensor::arange(0f32, 25., &Device::Cpu)?.reshape((1, 1, 5, 5))?;
/// let y = Tensor::new(&[[[[1f32, -2.], [0.5, 3.]]]], &Device::Cpu)?;
/// let kernel = Tensor::new(&[[[[1f32, 2., 0.], [0., -1., 1.], [3., 0., 1.]]]], &Device::Cpu)?;
/// let left = (tensor::conv2d(&x, &kernel, 2, 0)? * &y)?.sum_all()?.to_scalar::<f32>()?;
/// let right = (tensor::conv_transpose2d(&y, &kernel, 2, 0, 0)? * &x)?.sum_all()?.to_scalar::<f32>()?;
/// assert_eq!(left, right);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn conv_transpose2d(
    x: &Tensor,
    kernel: &Tensor,
    stride: usize,
    padding: usize,
    output_padding: usize,
) -> Result<Tensor> {
    let op = TransposedConvolution { stride, padding, output_padding };
    op.geometry(x.dims(), kernel.dims())?;
    if own_kernel(x, kernel) {
        return Ok(x.contiguous()?.apply_op2(&kernel.contiguous()?, op)?);
    }
    Ok(x.conv_transpose2d(kernel, padding, output_padding, stride, 1)?)
}

fn own_kernel(x: &Tensor, kernel: &Tensor) -> bool {
    x.device().is_cpu()
        && x.dtype() == kernel.dtype()
        && matches!(x.dtype(), DType::F32 | DType::F64)
        && x.elem_count() > 0
}

/// The filters, channels and side of a kernel `[filters, channels, side, side]`.
fn kernel_dims(kernel: &[usize]) -> Result<(usize, usize, usize)> {
    let &[filters, channels, side, wide] = kernel else {
        return Err(Error::shape("kernel", kernel, "[filters, channels, side, side]"));
    };
    if side != wide || side == 0 {
        return Err(Error::shape("kernel", kernel, "a square kernel"));
    }
    Ok((filters, channels, side))
}

#[derive(Clone, Copy, Debug)]
struct Convolution {
    stride: usize,
    padding: usize,
}

impl Convolution {
    fn geometry(&self, x: &[usize], kernel: &[usize]) -> Result<Geometry> {
        let (filters, channels, side) = kernel_dims(kernel)?;
        if self.stride == 0 {
            return Err(Error::argument("stride", 0, "at least 1"));
        }
        let fits = |size: usize| size + 2 * self.padding >= side;
        let &[batch, _, height, width] = x else {
            return Err(Error::shape("x", x, "[batch, channels, height, width]"));
        };
        if x[1] != channels || !fits(height) || !fits(width) {
            let expected = format!(
                "[batch, {channels}, height, width] of at least the kernel's {side} pixels"
            );
            return Err(Error::shape("x", x, expected));
        }
        let outputs = |size: usize| (size + 2 * self.padding - side) / self.stride + 1;
        let (rows, columns) = (outputs(height), outputs(width));
        let Self { stride, padding } = *self;
        Ok(Geometry {
            batch,
            channels,
            height,
            width,
            filters,
            side,
            stride,
            padding,
            rows,
            columns,
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct TransposedConvolution {
    stride: usize,
    padding: usize,
    output_padding: usize,
}

impl TransposedConvolution {
    fn geometry(&self, x: &[usize], kernel: &[usize]) -> Result<Geometry> {
        let (filters, channels, side) = kernel_dims(kernel)?;
        if self.output_padding >= self.stride {
            let expected = format!("less than the stride, {}", self.stride);
            return Err(Error::argument("output_padding", self.output_padding, expected));
        }
        let (batch, rows, columns) = match *x {
            [batch, f, rows, columns] if f == filters && rows > 0 && columns > 0 => {
                (batch, rows, columns)
            }
            _ => return Err(Error::shape("x", x, format!("[batch, {filters}, rows, columns]"))),
        };
        let size = |outputs: usize| {
            ((outputs - 1) * self.stride + side + self.output_padding)
                .checked_sub(2 * self.padding)
                .filter(|&size| size > 0)
                .ok_or_else(|| {
                    Error::argument("padding", self.padding, "less than half of the result")
                })
        };
        let (height, width) = (size(rows)?, size(columns)?);
        let Self { stride, padding, .. } = *self;
        Ok(Geometry {
            batch,
            channels,
            height,
            width,
            filters,
            side,
            stride,
            padding,
            rows,
            columns,
        })
    }
}

/// `f` of two CPU storages of the same floating type.
macro_rules! by_dtype {
    ($s1:ident, $l1:ident, $s2:ident, $l2:ident, $f:expr) => {
        match ($s1, $s2) {
            (CpuStorage::F32(_), CpuStorage::F32(_)) => {
                CpuStorage::F32($f(contiguous($s1, $l1)?, contiguous($s2, $l2)?))
            }
            (CpuStorage::F64(_), CpuStorage::F64(_)) => {
                CpuStorage::F64($f(contiguous($s1, $l1)?, contiguous($s2, $l2)?))
            }
            _ => candle_core::bail!("two tensors of F32 or of F64 were expected"),
        }
    };
}

fn outer(error: Error) -> candle_core::Error {
    candle_core::Error::Msg(error.to_string())
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "scorebook-conv2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let g = self.geometry(l1.dims(), l2.dims()).map_err(outer)?;
        let y = by_dtype!(s1, l1, s2, l2, |x, kernel| g.gather(x, kernel));
        Ok((y, (g.batch, g.filters, g.rows, g.columns).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let g = self.geometry(x.dims(), kernel.dims()).map_err(outer)?;
        gradients(&g, x, gradient, kernel, Input::Big)
    }
}

impl CustomOp2 for TransposedConvolution {
    fn name(&self) -> &'static str {
        "scorebook-conv-transpose2d"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let g = self.geometry(l1.dims(), l2.dims()).map_err(outer)?;
        let y = by_dtype!(s1, l1, s2, l2, |x, kernel| g.spread(x, kernel));
        Ok((y, (g.batch, g.channels, g.height, g.width).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let g = self.geometry(x.dims(), kernel.dims()).map_err(outer)?;
        gradients(&g, gradient, x, kernel, Input::Small)
    }
}

/// The gradients of the input and of the kernel; the input's only where something needs it.
fn gradients(
    g: &Geometry,
    big: &Tensor,
    small: &Tensor,
    kernel: &Tensor,
    input: Input,
) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
    fn of<T: Scalar>(
        g: &Geometry,
        big: &Tensor,
        small: &Tensor,
        kernel: &Tensor,
        input: Option<Input>,
    ) -> candle_core::Result<(Tensor, Option<Tensor>)> {
        let (of_kernel, of_input) = with_values(big, |big| {
            with_values(small, |small| {
                with_values(kernel, |kernel| Ok(g.kernel_gradient::<T>(big, small, kernel, input)))
            })
        })?;
        let like = if input == Some(Input::Big) { big } else { small };
        let of_input = of_input.map(|v| Tensor::from_vec(v, like.shape(), like.device()));
        Ok((Tensor::from_vec(of_kernel, kernel.shape(), kernel.device())?, of_input.transpose()?))
    }
    let tracked = match input {
        Input::Big => big.track_op(),
        Input::Small => small.track_op(),
    };
    let wanted = tracked.then_some(input);
    let (of_kernel, of_input) = match kernel.dtype() {
        DType::F64 => of::<f64>(g, big, small, kernel, wanted)?,
        _ => of::<f32>(g, big, small, kernel, wanted)?,
    };
    Ok((of_input, Some(of_kernel)))
}
