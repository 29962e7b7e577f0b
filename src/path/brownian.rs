//! Brownian motion on a grid of times, with refinement by Lévy's bridge.

use super::{check_times, quadratic_variation::increments};
use crate::{Error, Result, random::Generator};
use candle_core::{DType, Device, Shape, Tensor};

/// Paths of Brownian motion at the times of a grid.
///
/// They start at 0 at the first time, and `W_t - W_s ~ N(0, (t - s) I)` exactly, whatever the grid (note 000
/// says that Brownian motion "can be approximated by" a Gaussian kernel; its increments *are* Gaussian).
///
/// ```
/// use scorebook::{prelude::*, path::{BrownianMotion, time_grid}, random::Generator};
///
/// let times = time_grid(0.0, 1.0, 8)?;
/// let mut generator = Generator::new(7);
/// let w = BrownianMotion::sample(&times, (100, 2), DType::F64, &mut generator, &Device::Cpu)?;
/// assert_eq!(w.values.dims(), [9, 100, 2]);
///
/// // The same paths, seen twice as closely.
/// let fine = w.refine(&mut generator)?;
/// assert_eq!((fine.times.len(), fine.values.dims()), (17, &[17, 100, 2][..]));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BrownianMotion {
    /// The grid, upward.
    pub times: Vec<f64>,
    /// The values, `[times, batch, ...]`; 0 at the first time.
    pub values: Tensor,
}

impl BrownianMotion {
    /// Draws paths of the shape `[batch, ...]` at the given times.
    ///
    /// # Errors
    /// If the times are not strictly upward, or `dtype` is no float.
    pub fn sample(
        times: &[f64],
        shape: impl Into<Shape>,
        dtype: DType,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Self> {
        check_times(times)?;
        if times[0] > times[1] {
            return Err(Error::argument(
                "times",
                format!("{} to {}", times[0], times[1]),
                "upward",
            ));
        }
        let mut value = Tensor::zeros(shape, dtype, device)?;
        let mut values = vec![value.clone()];
        for pair in times.windows(2) {
            let z = generator.normal_like(&value)?;
            value = (value + (z * (pair[1] - pair[0]).sqrt())?)?;
            values.push(value.clone());
        }
        Ok(Self { times: times.to_vec(), values: Tensor::stack(&values, 0)? })
    }

    /// The same paths with the midpoints added, each drawn given its two neighbours (Lévy's construction):
    /// `W_m | W_s, W_t ~ N((W_s + W_t)/2, (t - s)/4 I)` for `m = (s + t)/2`.
    ///
    /// The old values stay where they were, to the bit.
    ///
    /// # Errors
    /// If `values` and `times` do not fit each other.
    pub fn refine(&self, generator: &mut Generator) -> Result<Self> {
        let steps = self.steps()?;
        let (left, right) = (self.values.narrow(0, 0, steps)?, self.values.narrow(0, 1, steps)?);
        let spread: Vec<f64> =
            self.times.windows(2).map(|pair| 0.5 * (pair[1] - pair[0]).sqrt()).collect();
        let mut shape = vec![1; self.values.rank()];
        shape[0] = steps;
        let spread = Tensor::from_vec(spread, shape, &Device::Cpu)?
            .to_dtype(left.dtype())?
            .to_device(left.device())?;
        let noise = generator.normal_like(&left)?.broadcast_mul(&spread)?;
        let middle = (((&left + right)? * 0.5)? + noise)?;

        let mut dims = self.values.dims().to_vec();
        dims[0] = 2 * steps;
        let pairs = Tensor::stack(&[left, middle], 1)?.reshape(dims)?;
        let values = Tensor::cat(&[pairs, self.values.narrow(0, steps, 1)?], 0)?;
        let mut times = Vec::with_capacity(2 * steps + 1);
        for pair in self.times.windows(2) {
            times.extend([pair[0], 0.5 * (pair[0] + pair[1])]);
        }
        times.push(self.times[steps]);
        Ok(Self { times, values })
    }

    /// The same paths seen at every `stride`-th time only.
    ///
    /// # Errors
    /// If `stride` does not divide the number of steps.
    pub fn coarsen(&self, stride: usize) -> Result<Self> {
        let steps = self.steps()?;
        if stride == 0 || steps % stride != 0 {
            let expected = format!("a divisor of the number of steps, which is {steps}");
            return Err(Error::argument("stride", stride, expected));
        }
        let indices: Vec<u32> = (0..=steps).step_by(stride).map(|i| i as u32).collect();
        let times = indices.iter().map(|i| self.times[*i as usize]).collect();
        let indices = Tensor::new(indices, self.values.device())?;
        Ok(Self { times, values: self.values.index_select(&indices, 0)? })
    }

    /// The increments `W(t_{k+1}) - W(t_k)` as `[steps, batch, ...]`.
    ///
    /// # Errors
    /// If there are fewer than two times.
    pub fn increments(&self) -> Result<Tensor> {
        increments(&self.values)
    }

    /// The number of steps, once `times` and `values` (which are public) are known to fit.
    fn steps(&self) -> Result<usize> {
        check_times(&self.times)?;
        match self.values.dims() {
            [times, ..] if *times == self.times.len() => Ok(times - 1),
            dims => {
                Err(Error::shape("values", dims, format!("[{}, batch, ...]", self.times.len())))
            }
        }
    }
}
