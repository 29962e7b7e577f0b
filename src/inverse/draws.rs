//! Several draws of each posterior.

use crate::{Error, Result};
use candle_core::Tensor;

/// Several draws of the posterior of each measurement, with their mean and standard deviation: what is sure, and what a
/// method made up.
///
/// ```
/// use scorebook::prelude::*;
///
/// // Three draws for each of two points, in the order of `Measurement::repeat`.
/// let x = Tensor::new(&[[1f32], [5.0], [2.0], [5.0], [3.0], [5.0]], &Device::Cpu)?;
/// let draws = Draws::new(&x, 3)?;
/// assert_eq!(draws.mean()?.to_vec2::<f32>()?, [[2.0], [5.0]]);
/// assert_eq!(draws.std()?.to_vec2::<f32>()?, [[1.0], [0.0]]);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Draws {
    /// The draws, `[draws, batch, ...]`.
    pub x: Tensor,
}

impl Draws {
    /// From samples `[draws * batch, ...]`, all measurements once and then all again, as
    /// [`Measurement::repeat`](super::Measurement::repeat) lays them out.
    ///
    /// # Errors
    /// If the batch is not a multiple of `draws`.
    pub fn new(x: &Tensor, draws: usize) -> Result<Self> {
        match x.dims() {
            [batch, rest @ ..] if draws > 0 && batch % draws == 0 && *batch > 0 => {
                Ok(Self { x: x.reshape([&[draws, batch / draws], rest].concat())? })
            }
            dims => {
                let expected = format!("[batch, ...] with a multiple of {draws} samples");
                Err(Error::shape("x", dims, expected))
            }
        }
    }

    /// The mean of the draws, `[batch, ...]`: the estimate with the least mean square error, if they are of the posterior.
    ///
    /// # Errors
    /// If the device fails.
    pub fn mean(&self) -> Result<Tensor> {
        Ok(self.x.mean(0)?)
    }

    /// The standard deviation of the draws, `[batch, ...]`, by `1/(draws - 1)`.
    ///
    /// # Errors
    /// If there is only one draw.
    pub fn std(&self) -> Result<Tensor> {
        let draws = self.x.dims()[0];
        if draws < 2 {
            return Err(Error::argument("draws", draws, "at least 2 for a standard deviation"));
        }
        let centred = self.x.broadcast_sub(&self.x.mean_keepdim(0)?)?;
        Ok((centred.sqr()?.sum(0)? / (draws - 1) as f64)?.sqrt()?)
    }
}
