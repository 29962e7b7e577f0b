//! What is done to each number of a map by itself.

use super::{Buffers, Map, Step, Tape, Values};
use crate::tensor::PIECE;
use crate::tensor::lanes::{sigmoid, vectorised};
use crate::{Error, Result};
use candle_core::Tensor;
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

    /// `x` with each number multiplied by that of `factors`, a tensor of its shape that no gradient is taken of.
    pub fn times(&self, x: &Map, factors: Tensor) -> Result<Map> {
        if factors.dims() != x.dims() {
            return Err(Error::shape("factors", factors.dims(), format!("{:?}", x.dims())));
        }
        if !self.own {
            return Ok(self.candle((x.tensor()? * factors)?));
        }
        let factors = self.leaf(&factors.detach())?;
        let mut y = self.buffers.take(x.dims().iter().product());
        {
            let (x, factors) = (x.view(), factors.view());
            y.copy_from_slice(&x);
            multiply(&mut y, &factors);
        }
        let dims = x.dims().to_vec();
        Ok(self.write(&dims, y, vec![x.clone(), factors], Times))
    }
}

fn multiply(y: &mut [f32], factors: &[f32]) {
    y.par_chunks_mut(PIECE).zip(factors.par_chunks(PIECE)).for_each(|(y, factors)| {
        for (y, factor) in y.iter_mut().zip(factors) {
            *y *= factor;
        }
    });
}

struct Times;

impl Step for Times {
    fn backward(&self, inputs: &[Map], mut gradient: Values, _: &Buffers) -> Vec<Option<Values>> {
        multiply(&mut gradient, &inputs[1].view());
        vec![Some(gradient), None]
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
    fn backward(&self, inputs: &[Map], mut gradient: Values, _: &Buffers) -> Vec<Option<Values>> {
        let x = inputs[0].view();
        gradient
            .par_chunks_mut(PIECE)
            .zip(x.par_chunks(PIECE))
            .for_each(|(gradient, x)| silu_backward(x, gradient));
        vec![Some(gradient)]
    }
}
