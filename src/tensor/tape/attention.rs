//! What each pixel of a map takes from the others.

use super::{Buffers, Map, Step, Tape, Values};
use crate::tensor::lanes::{LANES, exp, vectorised};
use crate::tensor::room::Room;
use crate::tensor::tile::{Gathering, Scalar, blocks};
use crate::{Error, Result};
use candle_core::D;
use rayon::prelude::*;

impl Tape {
    /// Scaled dot-product attention `softmax(q kᵀ/√channels) v` among the pixels of each image, for a map of
    /// `3 channels`: what each pixel asks, what it offers, and what it gives (Vaswani et al. 2017, equation 1).
    ///
    /// By candle's ops with its composed `softmax`, whose derivatives are right, which those of `softmax_last_dim` are not.
    pub fn attention(&self, all: &Map) -> Result<Map> {
        let &[batch, height, width, triple] = all.dims() else {
            return Err(Error::shape("all", all.dims(), "[batch, height, width, 3 channels]"));
        };
        if triple == 0 || !triple.is_multiple_of(3) {
            return Err(Error::shape("all", all.dims(), "[batch, height, width, 3 channels]"));
        }
        let (places, channels) = (height * width, triple / 3);
        let dims = [batch, height, width, channels];
        if !self.own {
            let all = all.tensor()?.reshape((batch, places, triple))?;
            let part = |i: usize| all.narrow(2, i * channels, channels)?.contiguous();
            let scores = (part(0)?.matmul(&part(1)?.transpose(1, 2)?)? / (channels as f64).sqrt())?;
            let found = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&part(2)?)?;
            return Ok(self.candle(found.reshape(&dims)?));
        }
        let mut y = self.buffers.take(batch * places * channels);
        let mut shares = self.buffers.take(batch * places * places);
        {
            let all = all.view();
            y.par_chunks_mut(places * channels)
                .zip(shares.par_chunks_mut(places * places))
                .zip(all.par_chunks(places * triple))
                .for_each(|((y, shares), all)| forward(channels, all, shares, y));
        }
        Ok(self.write(&dims, y, vec![all.clone()], Attention { channels, shares }))
    }
}

struct Attention {
    channels: usize,
    /// What each pixel takes of each, `[batch, pixels, pixels]`.
    shares: Values,
}

impl Step for Attention {
    fn backward(&self, inputs: &[Map], gradient: Values, buffers: &Buffers) -> Vec<Option<Values>> {
        let (channels, all) = (self.channels, inputs[0].view());
        let dims = inputs[0].dims();
        let places = dims[1] * dims[2];
        let mut of_all = buffers.take(all.len());
        of_all
            .par_chunks_mut(places * 3 * channels)
            .zip(all.par_chunks(places * 3 * channels))
            .zip(self.shares.par_chunks(places * places))
            .zip(gradient.par_chunks(places * channels))
            .for_each(|(((of_all, all), shares), gradient)| {
                backward(channels, all, shares, gradient, of_all)
            });
        vec![Some(of_all)]
    }
}

/// Rows of numbers in a slice: where the first begins, how far apart they are, how many numbers each has.
#[derive(Clone, Copy)]
struct Rows {
    from: usize,
    apart: usize,
    length: usize,
}

/// `out[i, j] = Σ_k a[i, k] weight(k, j)`.
fn product(
    (a, of_a): (&[f32], Rows),
    weight: impl Fn(usize, usize) -> f32,
    (out, of_out): (&mut [f32], Rows),
) {
    let (length, columns) = (of_a.length, of_out.length);
    let count = (a.len() - of_a.from).div_ceil(of_a.apart);
    let bases: Vec<usize> = (0..count).map(|i| of_a.from + i * of_a.apart).collect();
    let places: Vec<usize> = (0..count).map(|i| of_out.from + i * of_out.apart).collect();
    let mut room = Room::<f32>::default();
    for (from, vectors) in blocks::<f32>(columns) {
        let width = (vectors * LANES).min(columns - from);
        let packed = room.zeros(length * vectors * LANES);
        for (k, row) in packed.chunks_exact_mut(vectors * LANES).enumerate() {
            for (j, to) in row[..width].iter_mut().enumerate() {
                *to = weight(k, from + j);
            }
        }
        f32::gather(Gathering {
            source: a,
            bases: &bases,
            runs: &[0],
            length,
            weights: packed.as_chunks().0,
            vectors,
            out: &mut out[from..],
            places: &places,
            width,
            add: false,
        });
    }
}

vectorised! {
    /// Numbers into their exponentials as parts of their sum.
    fn softmax(row: &mut [f32]) {
        let largest = row.iter().copied().fold(f32::MIN, f32::max);
        let mut sum = 0.0;
        for x in row.iter_mut() {
            *x = exp(*x - largest);
        }
        for x in row.iter() {
            sum += *x;
        }
        for x in row.iter_mut() {
            *x /= sum;
        }
    }
}

fn forward(channels: usize, all: &[f32], shares: &mut [f32], y: &mut [f32]) {
    let (c, triple, places) = (channels, 3 * channels, y.len() / channels);
    let scale = 1.0 / (c as f32).sqrt();
    let whole = Rows { from: 0, apart: places, length: places };
    let q = Rows { from: 0, apart: triple, length: c };
    product((all, q), |k, j| all[j * triple + c + k] * scale, (shares, whole));
    shares.chunks_exact_mut(places).for_each(softmax);
    let out = Rows { from: 0, apart: c, length: c };
    product((shares, whole), |k, j| all[k * triple + 2 * c + j], (y, out));
}

/// `out[j, i] = x[i, j]` for a square.
fn transpose(x: &[f32], side: usize, out: &mut [f32]) {
    for (i, row) in x.chunks_exact(side).enumerate() {
        for (x, out) in row.iter().zip(out[i..].iter_mut().step_by(side)) {
            *out = *x;
        }
    }
}

fn backward(channels: usize, all: &[f32], shares: &[f32], dy: &[f32], of_all: &mut [f32]) {
    let (c, triple, places) = (channels, 3 * channels, dy.len() / channels);
    let scale = 1.0 / (c as f32).sqrt();
    let whole = Rows { from: 0, apart: places, length: places };
    let out = Rows { from: 0, apart: c, length: c };
    let part = |i: usize| Rows { from: i * c, apart: triple, length: c };
    let (mut of_shares, mut turned) = (Room::<f32>::default(), Room::<f32>::default());
    let (of_shares, turned) = (of_shares.numbers(places * places), turned.numbers(places * places));
    // Of what is given: v_j goes to pixel i by its share.
    transpose(shares, places, turned);
    product((turned, whole), |k, j| dy[k * c + j], (of_all, part(2)));
    // Of the shares, and through the softmax of the scores.
    product((dy, out), |k, j| all[j * triple + 2 * c + k], (of_shares, whole));
    for (of_row, row) in of_shares.chunks_exact_mut(places).zip(shares.chunks_exact(places)) {
        let mean: f32 = of_row.iter().zip(row).map(|(d, share)| d * share).sum();
        for (d, share) in of_row.iter_mut().zip(row) {
            *d = (*d - mean) * share * scale;
        }
    }
    product((of_shares, whole), |k, j| all[k * triple + c + j], (of_all, part(0)));
    transpose(of_shares, places, turned);
    product((turned, whole), |k, j| all[k * triple + j], (of_all, part(1)));
}
