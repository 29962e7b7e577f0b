//! The Fourier basis in real numbers.

use super::operator::{alike, image_dims};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::f64::consts::TAU;

/// The orthonormal Hartley transform of images, `H(k) = Σ_p x(p) (cos + sin)(2π k·p/n)/√n`: real part less imaginary
/// part of the Fourier transform. It is its own inverse; the frequencies `k` and `-k` together say what the complex
/// number at `k` does (Bracewell 1983).
#[derive(Clone, Debug)]
pub(super) struct Hartley {
    /// `cos + sin` and `cos - sin` of the rows, `[height, height]`, over `√height`.
    sums: Tensor,
    differences: Tensor,
    /// `cos` and `sin` of the columns, `[width, width]`, over `√width`.
    cosines: Tensor,
    sines: Tensor,
}

impl Hartley {
    pub fn new(height: usize, width: usize) -> Result<Self> {
        if height == 0 || width == 0 {
            return Err(Error::argument("size", format!("{height}×{width}"), "at least one pixel"));
        }
        let table = |n: usize, f: &dyn Fn(f64) -> f64| -> Result<Tensor> {
            // The product is taken modulo n first: sines of large angles lose digits.
            let entry = |at: usize| f(TAU * ((at / n) * (at % n) % n) as f64 / n as f64);
            let values: Vec<f64> = (0..n * n).map(|at| entry(at) / (n as f64).sqrt()).collect();
            Ok(Tensor::from_vec(values, (n, n), &Device::Cpu)?)
        };
        Ok(Self {
            sums: table(height, &|a| a.cos() + a.sin())?,
            differences: table(height, &|a| a.cos() - a.sin())?,
            cosines: table(width, &f64::cos)?,
            sines: table(width, &f64::sin)?,
        })
    }

    pub fn size(&self) -> (usize, usize) {
        (self.sums.dims()[0], self.cosines.dims()[0])
    }

    /// The transform of `x` `[batch, channels, height, width]`, differentiable.
    pub fn transform(&self, x: &Tensor) -> Result<Tensor> {
        let [batch, channels, height, width] = image_dims("x", x)?;
        let columns = |matrix: &Tensor| -> Result<Tensor> {
            let flat = x.reshape((batch * channels * height, width))?;
            Ok(flat.matmul(&alike(matrix, x)?)?.reshape((batch * channels, height, width))?)
        };
        let rows = |matrix: &Tensor, x: &Tensor| -> Result<Tensor> {
            Ok(alike(matrix, x)?.broadcast_matmul(x)?)
        };
        // cas(a + b) = (cos a + sin a) cos b + (cos a - sin a) sin b
        let even = rows(&self.sums, &columns(&self.cosines)?)?;
        let odd = rows(&self.differences, &columns(&self.sines)?)?;
        Ok((even + odd)?.reshape(x.shape())?)
    }

    /// That `x` holds images of the size.
    pub fn check(&self, name: &'static str, x: &Tensor) -> Result<()> {
        let (height, width) = self.size();
        match image_dims(name, x)? {
            [_, _, h, w] if (h, w) == (height, width) => Ok(()),
            _ => {
                let expected = format!("[batch, channels, {height}, {width}]");
                Err(Error::shape(name, x.dims(), expected))
            }
        }
    }
}

/// `x(-k)` for `x(k)`, periodic in the last two dimensions.
pub(super) fn mirrored(x: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    for dim in [x.rank() - 2, x.rank() - 1] {
        let n = x.dims()[dim] as u32;
        let indices: Vec<u32> = (0..n).map(|k| (n - k) % n).collect();
        x = x.index_select(&Tensor::new(indices, x.device())?, dim)?;
    }
    Ok(x)
}
