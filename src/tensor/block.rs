//! A convolution with what follows it in a block of a U-Net.

use super::convolution::{Convolution, outer};
use super::geometry::{Geometry, make_each};
use super::group_norm::{BatchNorms, Norm, own_kernel};
use super::{contiguous, with_values};
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Shape, Tensor};
use rayon::prelude::*;
use std::{borrow::Cow, sync::Mutex};

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
    let mut x = match maps {
        [x] | [x, _] => x.dims().to_vec(),
        _ => return Err(Error::argument("maps", maps.len(), "one map or two")),
    };
    if let [first, second] = maps {
        let (one, other) = (first.dims(), second.dims());
        if one.len() != 4 || other.len() != 4 || one[..3] != other[..3] {
            return Err(Error::shape("maps", other, format!("{one:?} up to the channels")));
        }
        x[3] += other[3];
    }
    let output = convolution.output(&convolution.geometry(&x, kernel.dims())?);
    norm.check(&output)?;
    if !own_kernel(maps[0]) {
        return norm.compose(&convolution.apply(&Tensor::cat(maps, 3)?, kernel)?);
    }
    let parameters = Tensor::cat(&[kernel.flatten_all()?, norm.packed()?.flatten_all()?], 0)?;
    let op = Block {
        convolution,
        kernel: kernel.dims().to_vec(),
        groups: norm.groups,
        epsilon: norm.epsilon as f32,
        keep: parameters.track_op() || maps.iter().any(|x| x.track_op()),
        kept: Mutex::default(),
    };
    let x = maps[0].contiguous()?;
    Ok(match maps.get(1) {
        None => x.apply_op2(&parameters, op)?,
        Some(second) => x.apply_op3(&second.contiguous()?, &parameters, op)?,
    })
}

struct Block {
    convolution: Convolution,
    /// The shape of the kernel, which stands before the packed norm in the parameters.
    kernel: Vec<usize>,
    groups: usize,
    epsilon: f32,
    /// Whether there will be a backward pass.
    keep: bool,
    kept: Mutex<Kept>,
}

/// Of the forward pass, for the backward one.
#[derive(Default)]
struct Kept {
    /// The convolution's result.
    map: Vec<f32>,
    moments: Vec<[f32; 2]>,
}

/// The part of a kernel that one of several maps meets.
struct Part {
    geometry: Geometry,
    /// The first of its input channels, and how many of them there are.
    channels: (usize, usize),
}

impl Block {
    fn parts(&self, shapes: &[&[usize]]) -> Result<Vec<Part>> {
        let mut from = 0;
        shapes
            .iter()
            .map(|shape| {
                let mut kernel = self.kernel.clone();
                kernel[self.input_axis()] = shape[3];
                let part = Part {
                    geometry: self.convolution.geometry(shape, &kernel)?,
                    channels: (from, shape[3]),
                };
                from += shape[3];
                Ok(part)
            })
            .collect()
    }

    /// Which axis of the kernel the input's channels are.
    fn input_axis(&self) -> usize {
        if self.convolution.transposed.is_some() { 0 } else { 1 }
    }

    /// The ranges of a part's weights in the kernel, in order: one range where they lie side by side.
    fn ranges(&self, part: &Part) -> Vec<std::ops::Range<usize>> {
        let (from, count) = part.channels;
        let (outer, inner) = match self.input_axis() {
            1 if count < self.kernel[1] => (self.kernel[0], self.kernel[2] * self.kernel[3]),
            axis => (1, self.kernel.iter().product::<usize>() / self.kernel[axis]),
        };
        let row = self.kernel[self.input_axis()] * inner;
        (0..outer).map(|i| i * row + from * inner..i * row + (from + count) * inner).collect()
    }

    fn part_of_kernel<'a>(&self, kernel: &'a [f32], part: &Part) -> Cow<'a, [f32]> {
        match &self.ranges(part)[..] {
            [range] => Cow::Borrowed(&kernel[range.clone()]),
            ranges => ranges.iter().flat_map(|range| &kernel[range.clone()]).copied().collect(),
        }
    }

    fn forward(
        &self,
        shapes: &[&[usize]],
        maps: &[&[f32]],
        parameters: &[f32],
    ) -> Result<(Vec<f32>, Shape)> {
        let (groups, epsilon) = (self.groups, self.epsilon);
        let (kernel, packed) = parameters.split_at(self.kernel.iter().product());
        let parts = self.parts(shapes)?;
        let output = self.convolution.output(&parts[0].geometry);
        let productions: Vec<_> = parts
            .iter()
            .map(|part| {
                self.convolution.production(&part.geometry, &self.part_of_kernel(kernel, part))
            })
            .collect();
        let sources: Vec<_> = productions.iter().zip(maps.iter().copied()).collect();
        let norms = BatchNorms { packed, channels: output[3], groups, epsilon };
        let count = output.iter().product();
        let mut y = vec![0f32; count];
        let mut moments = vec![[0f32; 2]; output[0] * groups];
        let mut map = vec![0f32; if self.keep { count } else { 0 }];
        let (chunk, images) = (productions[0].chunk(), productions[0].images());
        let goals =
            y.par_chunks_mut(chunk).zip(moments.par_chunks_mut(images * groups)).enumerate();
        if self.keep {
            let goals = goals.zip(map.par_chunks_mut(chunk));
            make_each(&sources, goals, |((i, (y, moments)), map), product| {
                product(map);
                norms.forward(i * images, map, y, moments);
            });
        } else {
            make_each(&sources, goals, |(i, (y, moments)), product| {
                let mut map = vec![0f32; y.len()];
                product(&mut map);
                norms.forward(i * images, &map, y, moments);
            });
        }
        *self.kept.lock().expect("no thread panics with it") = Kept { map, moments };
        Ok((y, Shape::from(output.to_vec())))
    }

    /// The gradients of the maps, of those that are wanted, and of the parameters.
    fn backward(
        &self,
        maps: &[&Tensor],
        parameters: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Vec<Option<Tensor>>, Tensor)> {
        let shapes: Vec<&[usize]> = maps.iter().map(|x| x.dims()).collect();
        let parts = self.parts(&shapes).map_err(outer)?;
        let channels = self.convolution.output(&parts[0].geometry)[3];
        let kept = self.kept.lock().expect("no thread panics with it");
        with_values(parameters, |values: &[f32]| {
            let (kernel, packed) = values.split_at(self.kernel.iter().product());
            let norms = BatchNorms { packed, channels, groups: self.groups, epsilon: self.epsilon };
            let (of_map, of_packed) = with_values(gradient, |gradient| {
                Ok(norms.backward(&kept.map, &kept.moments, gradient))
            })?;
            let mut of_parameters = vec![0f32; kernel.len()];
            let mut of_maps = vec![];
            for (part, map) in parts.iter().zip(maps) {
                let part_kernel = self.part_of_kernel(kernel, part);
                let (of_kernel, of_x) = with_values(map, |x| {
                    let g = &part.geometry;
                    Ok(self.convolution.gradients(g, x, &part_kernel, &of_map, map.track_op()))
                })?;
                let mut found = &of_kernel[..];
                for range in self.ranges(part) {
                    let (now, later) = found.split_at(range.len());
                    of_parameters[range].copy_from_slice(now);
                    found = later;
                }
                let of_x = of_x.map(|values| Tensor::from_vec(values, map.shape(), map.device()));
                of_maps.push(of_x.transpose()?);
            }
            of_parameters.extend(of_packed);
            let of_parameters =
                Tensor::from_vec(of_parameters, parameters.shape(), parameters.device())?;
            Ok((of_maps, of_parameters))
        })
    }
}

impl CustomOp2 for Block {
    fn name(&self) -> &'static str {
        "scorebook-block"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (x, parameters) = (contiguous(s1, l1)?, contiguous(s2, l2)?);
        let (y, shape) = self.forward(&[l1.dims()], &[x], parameters).map_err(outer)?;
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        parameters: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let (mut of_maps, of_parameters) = self.backward(&[x], parameters, gradient)?;
        Ok((of_maps.remove(0), Some(of_parameters)))
    }
}

impl CustomOp3 for Block {
    fn name(&self) -> &'static str {
        "scorebook-block-of-two"
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let maps = [contiguous(s1, l1)?, contiguous(s2, l2)?];
        let shapes = [l1.dims(), l2.dims()];
        let (y, shape) = self.forward(&shapes, &maps, contiguous(s3, l3)?).map_err(outer)?;
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        second: &Tensor,
        parameters: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (mut of_maps, of_parameters) = self.backward(&[x, second], parameters, gradient)?;
        let of_second = of_maps.pop().flatten();
        Ok((of_maps.pop().flatten(), of_second, Some(of_parameters)))
    }
}
