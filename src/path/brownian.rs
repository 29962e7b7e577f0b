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
    /// The grid, upward; downward for [`reversed`](Self::reversed) paths.
    pub times: Vec<f64>,
    /// The values, `[times, batch, ...]`; 0 at the first time.
    pub values: Tensor,
    /// The time integrals `∫ (W_s - W(t_k)) ds` from `t_k` to `t_{k+1}`, `[steps, batch, ...]`, where
    /// [`sample_with_integrals`](Self::sample_with_integrals) drew them: what solvers of strong order 1½ need.
    pub integrals: Option<Tensor>,
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
        check_upward(times)?;
        let mut value = Tensor::zeros(shape, dtype, device)?;
        let mut values = vec![value.clone()];
        for pair in times.windows(2) {
            let z = generator.normal_like(&value)?;
            value = (value + (z * (pair[1] - pair[0]).sqrt())?)?;
            values.push(value.clone());
        }
        Ok(Self { times: times.to_vec(), values: Tensor::stack(&values, 0)?, integrals: None })
    }

    /// [`sample`](Self::sample) with the time integral of each interval, drawn jointly with the increment:
    /// over a step `h` both are Gaussian with `Var ΔW = h`, `Var I = h³/3` and `Cov(ΔW, I) = h²/2`
    /// (Kloeden and Platen 1992, equation 10.4.3).
    ///
    /// ```
    /// use scorebook::{prelude::*, path::{BrownianMotion, time_grid}, random::Generator};
    ///
    /// let (times, mut generator) = (time_grid(0.0, 1.0, 8)?, Generator::new(7));
    /// let w = BrownianMotion::sample_with_integrals(
    ///     &times, (100, 2), DType::F64, &mut generator, &Device::Cpu,
    /// )?;
    /// // Seen at one step, the integral is that of the whole path.
    /// assert_eq!(w.coarsen(8)?.integrals.unwrap().dims(), [1, 100, 2]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`sample`](Self::sample).
    pub fn sample_with_integrals(
        times: &[f64],
        shape: impl Into<Shape>,
        dtype: DType,
        generator: &mut Generator,
        device: &Device,
    ) -> Result<Self> {
        let path = Self::sample(times, shape, dtype, generator, device)?;
        let increments = path.increments()?;
        // Given the increment, the integral is N(h ΔW/2, h³/12).
        let half = path.per_step(|h| 0.5 * h, &increments)?;
        let spread = path.per_step(|h| h * (h.abs() / 12.0).sqrt(), &increments)?;
        let noise = generator.normal_like(&increments)?.broadcast_mul(&spread)?;
        let integrals = (increments.broadcast_mul(&half)? + noise)?;
        Ok(Self { integrals: Some(integrals), ..path })
    }

    /// The same paths with the midpoints added, each drawn given all that is known of its neighbourhood.
    ///
    /// Between two values that is Lévy's construction, `W_m | W_s, W_t ~ N((W_s + W_t)/2, (t - s)/4 I)` for
    /// `m = (s + t)/2`. Where the time integrals are known too, the midpoint and the integrals of both halves are
    /// drawn given them, so that the halves' integrals add up to the old one.
    ///
    /// The old values stay where they were, to the bit.
    ///
    /// # Errors
    /// If `values`, `integrals` and `times` do not fit each other.
    pub fn refine(&self, generator: &mut Generator) -> Result<Self> {
        let steps = self.steps()?;
        let (left, right) = (self.values.narrow(0, 0, steps)?, self.values.narrow(0, 1, steps)?);
        let centre = ((&left + &right)? * 0.5)?;
        let mut normals = |spread: fn(f64) -> f64| -> Result<Tensor> {
            let spread = self.per_step(spread, &left)?;
            Ok(generator.normal_like(&left)?.broadcast_mul(&spread)?)
        };
        let (middle, integrals) = match &self.integrals {
            None => ((centre + normals(|h| 0.5 * h.abs().sqrt())?)?, None),
            Some(integrals) => {
                // K = I/h - ΔW/2 ~ N(0, h/12) is independent of ΔW. With the halves' increments ΔW/2 ± d and
                // their own K₁, K₂ it is (K₁ + K₂)/2 + d/2: a Gaussian vector, conditioned on K and ΔW.
                let increment = (&right - &left)?;
                let mean = integrals.broadcast_div(&self.per_step(|h| h, &left)?)?;
                let area = (mean - (&increment * 0.5)?)?;
                let d = ((&area * 1.5)? + normals(|h| 0.25 * h.abs().sqrt())?)?;
                let common = (area - (&d * 0.5)?)?;
                let opposed = normals(|h| (h.abs() / 48.0).sqrt())?;
                let middle = (centre + &d)?;
                let half = self.per_step(|h| 0.5 * h, &left)?;
                let first = (((&middle - &left)? * 0.5)? + (&common + &opposed)?)?;
                let second = (((&right - &middle)? * 0.5)? + (common - opposed)?)?;
                let halves = [first.broadcast_mul(&half)?, second.broadcast_mul(&half)?];
                (middle, Some(interleave(&halves)?))
            }
        };
        let pairs = interleave(&[left, middle])?;
        let values = Tensor::cat(&[pairs, self.values.narrow(0, steps, 1)?], 0)?;
        let mut times = Vec::with_capacity(2 * steps + 1);
        for pair in self.times.windows(2) {
            times.extend([pair[0], 0.5 * (pair[0] + pair[1])]);
        }
        times.push(self.times[steps]);
        Ok(Self { times, values, integrals })
    }

    /// The same paths seen at every `stride`-th time only, with the time integrals that the longer steps have.
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
        let values = self.values.index_select(&indices, 0)?;
        let integrals = match &self.integrals {
            None => None,
            Some(integrals) => {
                // From the start of the long step, a short one adds I + h (W at its own start - W at the long
                // one's).
                let blocks = |x: &Tensor| {
                    let mut dims = x.dims().to_vec();
                    dims.splice(0..1, [steps / stride, stride]);
                    x.reshape(dims)
                };
                let starts = blocks(&self.values.narrow(0, 0, steps)?)?;
                let rise = starts.broadcast_sub(&starts.narrow(1, 0, 1)?)?;
                let length = blocks(&self.per_step(|h| h, integrals)?)?;
                Some((blocks(integrals)? + rise.broadcast_mul(&length)?)?.sum(1)?)
            }
        };
        Ok(Self { times, values, integrals })
    }

    /// The same paths in reverse time: `W(t) - W(T)` from the last time `T` down, itself a Brownian motion.
    ///
    /// A solver that runs [along](crate::sde::Solver::solve_along) it goes downward in time.
    ///
    /// ```
    /// use scorebook::{prelude::*, path::{BrownianMotion, time_grid}, random::Generator};
    ///
    /// let times = time_grid(0.0, 1.0, 4)?;
    /// let w = BrownianMotion::sample(&times, (1, 1), DType::F64, &mut Generator::new(7), &Device::Cpu)?;
    /// let back = w.reversed()?;
    /// assert_eq!(back.times, [1.0, 0.75, 0.5, 0.25, 0.0]);
    /// assert_eq!(metrics::values(&back.values.get(4)?)?[0], -metrics::values(&w.values.get(4)?)?[0]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `values`, `integrals` and `times` do not fit each other.
    pub fn reversed(&self) -> Result<Self> {
        let steps = self.steps()?;
        let values = self.values.flip(&[0])?.broadcast_sub(&self.values.narrow(0, steps, 1)?)?;
        let integrals = match &self.integrals {
            None => None,
            Some(integrals) => {
                let length = self.per_step(|h| h, integrals)?;
                let integrals = (self.increments()?.broadcast_mul(&length)? - integrals)?;
                Some(integrals.flip(&[0])?)
            }
        };
        Ok(Self { times: self.times.iter().rev().copied().collect(), values, integrals })
    }

    /// The increments `W(t_{k+1}) - W(t_k)` as `[steps, batch, ...]`.
    ///
    /// # Errors
    /// If there are fewer than two times.
    pub fn increments(&self) -> Result<Tensor> {
        increments(&self.values)
    }

    /// The number of steps, once `times`, `values` and `integrals` (which are public) are known to fit.
    pub(crate) fn steps(&self) -> Result<usize> {
        check_times(&self.times)?;
        let steps = match self.values.dims() {
            [times, ..] if *times == self.times.len() => times - 1,
            dims => {
                let expected = format!("[{}, batch, ...]", self.times.len());
                return Err(Error::shape("values", dims, expected));
            }
        };
        let mut expected = self.values.dims().to_vec();
        expected[0] = steps;
        match &self.integrals {
            Some(integrals) if integrals.dims() != expected => {
                Err(Error::shape("integrals", integrals.dims(), format!("{expected:?}")))
            }
            _ => Ok(steps),
        }
    }

    /// A function of the signed length of each step, ready to broadcast over `like`, `[steps, batch, ...]`.
    fn per_step(&self, f: impl Fn(f64) -> f64, like: &Tensor) -> Result<Tensor> {
        let values: Vec<f64> = self.times.windows(2).map(|pair| f(pair[1] - pair[0])).collect();
        let mut shape = vec![1; like.rank()];
        shape[0] = values.len();
        let values = Tensor::from_vec(values, shape, &Device::Cpu)?;
        Ok(values.to_dtype(like.dtype())?.to_device(like.device())?)
    }
}

/// That times are a grid that goes upward.
fn check_upward(times: &[f64]) -> Result<()> {
    check_times(times)?;
    if times[0] < times[1] {
        return Ok(());
    }
    Err(Error::argument("times", format!("{} to {}", times[0], times[1]), "upward"))
}

/// Two lists `[steps, ...]` as one, `[2 steps, ...]`: the first of one, the first of the other, the second, ...
fn interleave(lists: &[Tensor; 2]) -> Result<Tensor> {
    let mut dims = lists[0].dims().to_vec();
    dims[0] *= 2;
    Ok(Tensor::stack(lists, 1)?.reshape(dims)?)
}
