//! Convolution and transposed convolution in two dimensions.

use super::autocast::in_half;
use super::geometry::{Geometry, Production};
use super::lanes::own_kernels;
use super::tile::Scalar;
use super::{contiguous, with_values};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp2, DType, Layout, Shape, Tensor};

/// Convolution (cross-correlation) of `x` `[batch, height, width, channels]` with `kernel` `[filters, channels, side,
/// side]`: `y[b,i,j,o] = Σ_{c,u,v} kernel[o,c,u,v] · x[b, i·stride+u-padding, j·stride+v-padding, c]`.
///
/// The result is `[batch, rows, columns, filters]` with `rows = (height + 2 padding - side) / stride + 1`. F32 and F64
/// on the CPU take our own kernel, everything else candle's. Differentiable in both arguments.
///
/// # Errors
/// If the shapes do not fit each other or the stride is 0.
///
/// ```
/// use scorebook::{prelude::*, tensor};
///
/// let x = Tensor::arange(0f32, 9., &Device::Cpu)?.reshape((1, 3, 3, 1))?;
/// let sum = Tensor::ones((1, 1, 2, 2), DType::F32, &Device::Cpu)?;
/// let y = tensor::conv2d(&x, &sum, 1, 0)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [8., 12., 20., 24.]);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn conv2d(x: &Tensor, kernel: &Tensor, stride: usize, padding: usize) -> Result<Tensor> {
    Convolution { stride, padding, transposed: None }.apply(x, kernel)
}

/// Transposed convolution of `x` `[batch, rows, columns, filters]` with `kernel` `[filters, channels, side, side]`: the
/// transpose of [`conv2d`] with the same kernel, stride and padding.
///
/// The result is `[batch, height, width, channels]` with `height = (rows - 1) · stride + side + output_padding - 2
/// padding`; `output_padding` (less than `stride`) picks among the sizes that the convolution maps to the same one.
///
/// # Errors
/// If the shapes do not fit each other, the stride is 0, or the output padding is not less than the stride.
///
/// ```
/// use scorebook::{prelude::*, tensor};
///
/// // ⟨conv(x), y⟩ = ⟨x, convᵀ(y)⟩
/// let x = Tensor::arange(0f32, 25., &Device::Cpu)?.reshape((1, 5, 5, 1))?;
/// let y = Tensor::new(&[[[[1f32], [-2.]], [[0.5], [3.]]]], &Device::Cpu)?;
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
    Convolution { stride, padding, transposed: Some(output_padding) }.apply(x, kernel)
}

/// A convolution or its transpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Convolution {
    /// By how many pixels of the larger map two neighbours in the smaller one lie apart.
    pub stride: usize,
    /// How many zeros are added around the larger map.
    pub padding: usize,
    /// For a transposed convolution, its output padding.
    pub transposed: Option<usize>,
}

impl Convolution {
    /// [`conv2d`] or [`conv_transpose2d`].
    ///
    /// # Errors
    /// As theirs.
    pub fn apply(&self, x: &Tensor, kernel: &Tensor) -> Result<Tensor> {
        self.geometry(x.dims(), kernel.dims())?;
        if own_kernel(x, kernel) {
            return Ok(x.contiguous()?.apply_op2(&kernel.contiguous()?, *self)?);
        }
        let Self { stride, padding, transposed } = *self;
        let x = x.permute((0, 3, 1, 2))?.contiguous()?;
        let y = in_half(&x, kernel, |x, kernel| {
            Ok(match transposed {
                None => x.conv2d(kernel, padding, stride, 1, 1)?,
                Some(output_padding) => {
                    x.conv_transpose2d(kernel, padding, output_padding, stride, 1)?
                }
            })
        })?;
        Ok(y.permute((0, 2, 3, 1))?.contiguous()?)
    }

    pub(super) fn geometry(&self, x: &[usize], kernel: &[usize]) -> Result<Geometry> {
        let (filters, channels, side) = kernel_dims(kernel)?;
        match self.transposed {
            None => self.of_big(x, filters, channels, side),
            Some(output_padding) => self.of_small(x, filters, channels, side, output_padding),
        }
    }

    fn of_big(
        &self,
        x: &[usize],
        filters: usize,
        channels: usize,
        side: usize,
    ) -> Result<Geometry> {
        let Self { stride, padding, .. } = *self;
        if stride == 0 {
            return Err(Error::argument("stride", 0, "at least 1"));
        }
        let fits = |size: usize| size + 2 * padding >= side;
        let &[batch, height, width, found] = x else {
            return Err(Error::shape("x", x, "[batch, height, width, channels]"));
        };
        if found != channels || !fits(height) || !fits(width) {
            let expected = format!(
                "[batch, height, width, {channels}] of at least the kernel's {side} pixels"
            );
            return Err(Error::shape("x", x, expected));
        }
        let outputs = |size: usize| (size + 2 * padding - side) / stride + 1;
        let (rows, columns) = (outputs(height), outputs(width));
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

    fn of_small(
        &self,
        x: &[usize],
        filters: usize,
        channels: usize,
        side: usize,
        output_padding: usize,
    ) -> Result<Geometry> {
        let Self { stride, padding, .. } = *self;
        if output_padding >= stride {
            let expected = format!("less than the stride, {stride}");
            return Err(Error::argument("output_padding", output_padding, expected));
        }
        let (batch, rows, columns) = match *x {
            [batch, rows, columns, f] if f == filters && rows > 0 && columns > 0 => {
                (batch, rows, columns)
            }
            _ => return Err(Error::shape("x", x, format!("[batch, rows, columns, {filters}]"))),
        };
        let size = |outputs: usize| {
            ((outputs - 1) * stride + side + output_padding)
                .checked_sub(2 * padding)
                .filter(|&size| size > 0)
                .ok_or_else(|| Error::argument("padding", padding, "less than half of the result"))
        };
        let (height, width) = (size(rows)?, size(columns)?);
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

    /// The shape of the output maps.
    pub(super) fn output(&self, g: &Geometry) -> [usize; 4] {
        match self.transposed {
            None => [g.batch, g.rows, g.columns, g.filters],
            Some(_) => [g.batch, g.height, g.width, g.channels],
        }
    }

    /// What makes the output maps.
    pub(super) fn production<'a, T: Scalar>(
        &self,
        g: &Geometry,
        kernel: &[T],
        packed: &'a mut [T],
    ) -> Production<'a, T> {
        match self.transposed {
            None => g.gathering(kernel, packed),
            Some(_) => g.spreading(kernel, packed),
        }
    }

    /// What makes the input's gradient out of the output's.
    pub(super) fn way_back<'a, T: Scalar>(
        &self,
        g: &Geometry,
        kernel: &[T],
        packed: &'a mut [T],
    ) -> Production<'a, T> {
        match self.transposed {
            None => g.spreading(kernel, packed),
            Some(_) => g.gathering(kernel, packed),
        }
    }

    /// The kernel's gradient, into `out`; `sums` is room for [`Geometry::room_for_sums`].
    pub(super) fn kernel_gradient<T: Scalar>(
        &self,
        g: &Geometry,
        x: &[T],
        gradient: &[T],
        sums: &mut [T],
        out: &mut [T],
    ) {
        match self.transposed {
            None => g.kernel_gradient(x, gradient, sums, out),
            Some(_) => g.kernel_gradient(gradient, x, sums, out),
        }
    }
}

pub(super) fn own_kernel(x: &Tensor, kernel: &Tensor) -> bool {
    own_kernels()
        && x.device().is_cpu()
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

pub(super) fn outer(error: Error) -> candle_core::Error {
    candle_core::Error::Msg(error.to_string())
}

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "scorebook-convolution"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let g = self.geometry(l1.dims(), l2.dims()).map_err(outer)?;
        fn of<T: Scalar>(convolution: &Convolution, g: &Geometry, x: &[T], kernel: &[T]) -> Vec<T> {
            let mut packed = vec![T::default(); g.packed()];
            let mut y = vec![T::default(); convolution.output(g).iter().product()];
            convolution.production(g, kernel, &mut packed).make(x, &mut y);
            y
        }
        let y = by_dtype!(s1, l1, s2, l2, |x, kernel| of(self, &g, x, kernel));
        Ok((y, Shape::from(self.output(&g).to_vec())))
    }

    fn bwd(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        fn of<T: Scalar>(
            convolution: &Convolution,
            x: &Tensor,
            kernel: &Tensor,
            gradient: &Tensor,
        ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
            let g = convolution.geometry(x.dims(), kernel.dims()).map_err(outer)?;
            let mut of_kernel = vec![T::default(); kernel.elem_count()];
            let mut of_x = x.track_op().then(|| vec![T::default(); x.elem_count()]);
            with_values(x, |x| {
                with_values(kernel, |kernel| {
                    with_values(gradient, |gradient| {
                        let mut sums = vec![T::default(); g.room_for_sums()];
                        convolution.kernel_gradient(&g, x, gradient, &mut sums, &mut of_kernel);
                        if let Some(of_x) = &mut of_x {
                            let mut packed = vec![T::default(); g.packed()];
                            convolution.way_back(&g, kernel, &mut packed).make(gradient, of_x);
                        }
                        Ok(())
                    })
                })
            })?;
            let of_x = of_x.map(|values| Tensor::from_vec(values, x.shape(), x.device()));
            let of_kernel = Tensor::from_vec(of_kernel, kernel.shape(), kernel.device())?;
            Ok((of_x.transpose()?, Some(of_kernel)))
        }
        match kernel.dtype() {
            DType::F64 => of::<f64>(self, x, kernel, gradient),
            _ => of::<f32>(self, x, kernel, gradient),
        }
    }
}
