//! Group norm with the shift before it and the SiLU after it, of a map.

use super::{Buffers, Map, Step, Tape, Values, View};
use crate::Result;
use crate::tensor::group_norm::{BatchNorms, Norm};
use rayon::prelude::*;

impl Tape {
    /// `SiLU(GroupNorm(x + shift))`.
    pub fn norm_silu(&self, x: &Map, norm: &Norm<Map>) -> Result<Map> {
        let [batch, height, width, channels] = norm.check(x.dims(), norm.shift.dims())?;
        if !self.own {
            let shift = norm.shift.tensor()?;
            return Ok(self.candle(norm.with_shift(&shift).compose(&x.tensor()?)?));
        }
        let inputs =
            vec![x.clone(), norm.shift.clone(), self.leaf(norm.weight)?, self.leaf(norm.bias)?];
        let (groups, epsilon) = (norm.groups, norm.epsilon as f32);
        let mut y = self.buffers.take(batch * height * width * channels);
        let mut moments = vec![[0f32; 2]; batch * groups];
        {
            let views: Vec<View> = inputs.iter().map(Map::view).collect();
            let norms = BatchNorms {
                shift: &views[1],
                weight: &views[2],
                bias: &views[3],
                groups,
                epsilon,
            };
            let map = height * width * channels;
            let maps = y.par_chunks_mut(map).zip(views[0].par_chunks(map));
            maps.zip(moments.par_chunks_mut(groups))
                .enumerate()
                .for_each(|(image, ((y, x), moments))| norms.forward(image, x, y, moments));
        }
        let dims = x.dims().to_vec();
        Ok(self.write(&dims, y, inputs, NormSilu { groups, epsilon, moments }))
    }
}

struct NormSilu {
    groups: usize,
    epsilon: f32,
    moments: Vec<[f32; 2]>,
}

impl Step for NormSilu {
    fn backward(&self, inputs: &[Map], gradient: Values, buffers: &Buffers) -> Vec<Option<Values>> {
        let views: Vec<View> = inputs.iter().map(Map::view).collect();
        let norms = BatchNorms {
            shift: &views[1],
            weight: &views[2],
            bias: &views[3],
            groups: self.groups,
            epsilon: self.epsilon,
        };
        let mut of_x = buffers.take(views[0].len());
        let [of_shift, of_weight, of_bias] =
            norms.backward(&views[0], &self.moments, &gradient, &mut of_x, buffers);
        vec![Some(of_x), Some(of_shift), Some(of_weight), Some(of_bias)]
    }
}
