//! What is done to each number of a map by itself.

use super::{Buffers, Map, Step, Tape, Values};
use crate::Result;
use crate::tensor::PIECE;
use crate::tensor::lanes::{sigmoid, vectorised};
use rayon::prelude::*;

impl Tape {
    /// `x / (1 + e^{-x})`.
    pub fn silu(&self, x: &Map) -> Result<Map> {
        if !self.own {
            return Ok(self.candle(x.tensor()?.silu()?));
        }
        let mut y = self.buffers.take(x.dims().iter().product());
        {
            let x = x.view();
            y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| silu(x, y));
        }
        let dims = x.dims().to_vec();
        Ok(self.write(&dims, y, vec![x.clone()], Silu))
    }
}

vectorised! {
    fn silu(x: &[f32], y: &mut [f32]) {
        for (x, y) in x.iter().zip(y) {
            *y = x * sigmoid(*x);
        }
    }
}

vectorised! {
    /// The gradient of `x` into that of `SiLU(x)`.
    fn silu_backward(x: &[f32], gradient: &mut [f32]) {
        for (x, gradient) in x.iter().zip(gradient) {
            let s = sigmoid(*x);
            *gradient *= s * (x - x * s + 1.0);
        }
    }
}

struct Silu;

impl Step for Silu {
    fn backward(
        &self,
        inputs: &[Map],
        mut gradient: Values,
        _: &[bool],
        _: &Buffers,
    ) -> Vec<Option<Values>> {
        let x = inputs[0].view();
        gradient
            .par_chunks_mut(PIECE)
            .zip(x.par_chunks(PIECE))
            .for_each(|(gradient, x)| silu_backward(x, gradient));
        vec![Some(gradient)]
    }
}
