//! A convolution with what follows it in a block of a U-Net.

use super::parts::Parts;
use super::{Buffers, Map, Step, Tape, Values, View};
use crate::Result;
use crate::tensor::Convolution;
use crate::tensor::group_norm::{BatchNorms, Norm};
use crate::tensor::room::Room;
use candle_core::Tensor;
use rayon::prelude::*;

impl Tape {
    /// A convolution of one map or two, then SiLU of its group norm, as one layer: the map between the two stays in the
    /// processor's cache on the way forward.
    pub fn conv_norm_silu(
        &self,
        maps: &[&Map],
        kernel: &Tensor,
        convolution: Convolution,
        norm: &Norm<Map>,
    ) -> Result<Map> {
        let parts = Parts::new(maps, kernel.dims(), convolution)?;
        let output = parts.output();
        norm.check(&output, norm.shift.dims())?;
        if !self.own {
            let maps = maps.iter().map(|map| map.tensor()).collect::<Result<Vec<_>>>()?;
            let shift = norm.shift.tensor()?;
            let map = convolution.apply(&Tensor::cat(&maps, 3)?, kernel)?;
            return Ok(self.candle(norm.with_shift(&shift).compose(&map)?));
        }
        let kernel = self.leaf(kernel)?;
        let (weight, bias) = (self.leaf(norm.weight)?, self.leaf(norm.bias)?);
        let inputs: Vec<Map> =
            maps.iter().copied().chain([&kernel, norm.shift, &weight, &bias]).cloned().collect();
        let keep = self.wanted(&inputs);
        let (groups, epsilon) = (norm.groups, norm.epsilon as f32);
        let count: usize = output.iter().product();
        let mut y = self.buffers.take(count);
        let mut moments = vec![[0f32; 2]; output[0] * groups];
        let mut map = keep.then(|| self.buffers.take(count));
        {
            let views: Vec<View> = inputs.iter().map(Map::view).collect();
            let (views, parameters) = views.split_at(maps.len());
            let [kernel, shift, weight, bias] = parameters else {
                unreachable!("four were chained")
            };
            let norms = BatchNorms { shift, weight, bias, groups, epsilon };
            let mut room = parts.room(&self.buffers);
            let sources = parts.sources(views, kernel, &mut room);
            let (chunk, images) = (sources.chunk(), sources.images());
            let goals =
                y.par_chunks_mut(chunk).zip(moments.par_chunks_mut(images * groups)).enumerate();
            if let Some(map) = &mut map {
                sources.make_each(
                    goals.zip(map.par_chunks_mut(chunk)),
                    |((i, (y, moments)), map), product| {
                        product(map);
                        norms.forward(i * images, map, y, moments);
                    },
                );
            } else {
                sources.make_each(goals, |(i, (y, moments)), product| {
                    let mut room = Room::default();
                    let map = room.numbers(y.len());
                    product(map);
                    norms.forward(i * images, map, y, moments);
                });
            }
        }
        let step = Block { parts, groups, epsilon, map, moments };
        Ok(self.write(&output, y, inputs, step))
    }
}

struct Block {
    parts: Parts,
    groups: usize,
    epsilon: f32,
    /// The convolution's result, if the way back will be asked for.
    map: Option<Values>,
    moments: Vec<[f32; 2]>,
}

impl Step for Block {
    fn backward(&self, inputs: &[Map], gradient: Values, buffers: &Buffers) -> Vec<Option<Values>> {
        let views: Vec<View> = inputs.iter().map(Map::view).collect();
        let maps = inputs.len() - 4;
        let [kernel, shift, weight, bias] = &views[maps..] else {
            unreachable!("four are written down behind the maps")
        };
        let map = self.map.as_ref().expect("kept, since a gradient was wanted");
        let norms = BatchNorms { shift, weight, bias, groups: self.groups, epsilon: self.epsilon };
        let mut of_map = buffers.take(map.len());
        let [of_shift, of_weight, of_bias] =
            norms.backward(map, &self.moments, &gradient, &mut of_map, buffers);
        drop(gradient);
        let (of_kernel, mut found) =
            self.parts.backward(&inputs[..=maps], &views[..maps], kernel, &of_map, buffers);
        found.extend([of_kernel, Some(of_shift), Some(of_weight), Some(of_bias)]);
        found
    }
}
