//! Discrete data under a density: dequantisation and bits a dimension.

use super::prior::rows;
use crate::{Error, Result, interrupt, random::Generator, tensor::values};
use candle_core::{DType, Device, Tensor};
use std::f64::consts::LN_2;

/// Uniform dequantisation: how a density on `ℝ^d` gives the chance of pixels `k`, each one of `levels` numbers.
///
/// The interval from `low` to `high` is cut into `levels` cells, and `P(k)` is the integral of the density `p` over the
/// cells of the pixels. With `u` uniform on `[0, 1)^d` and `x = low + (high - low)(k + u)/levels`,
/// `P(k) = ((high - low)/levels)^d E_u p(x)`, so by Jensen's inequality (Theis et al. 2016, section 3.1)
///
/// `-log₂ P(k)/d ≤ E_u[-log₂ p(x)]/d + log₂(levels/(high - low))`.
///
/// The last term is the offset: 8 bits for bytes scaled to `[0, 1]`, 7 for `[-1, 1]`. The mean of `n` densities in place of
/// one, the importance-weighted bound (Burda et al. 2016; Ho et al. 2019), is at least as close, and exact for `n → ∞`.
///
/// ```
/// use scorebook::{prelude::*, likelihood::Dequantisation};
///
/// // Noise has 8 bits a pixel, and the uniform density says so.
/// let pixels = Tensor::arange(0u8, 200, &Device::Cpu)?.reshape((5, 1, 4, 10))?;
/// let bits = Dequantisation::default().bits_per_dim(&pixels, &mut Generator::new(7), |x, _| {
///     let volume = 2f64.powi(40);
///     Ok((Tensor::zeros(x.dim(0)?, DType::F64, x.device())? - volume.ln())?)
/// })?;
/// assert!(bits.bound.iter().all(|bits| (bits - 8.0).abs() < 1e-12));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dequantisation {
    /// How many values a pixel can have.
    pub levels: u32,
    /// The lower end of the cell of the value 0.
    pub low: f64,
    /// The upper end of the cell of the last value.
    pub high: f64,
    /// How often each sample is dequantised.
    pub draws: usize,
}

/// Bytes whose cells fill `[-1, 1]`, one draw.
impl Default for Dequantisation {
    fn default() -> Self {
        Self { levels: 256, low: -1.0, high: 1.0, draws: 1 }
    }
}

/// Bits a dimension of discrete data, one number a sample.
#[derive(Clone, Debug)]
pub struct BitsPerDim {
    /// The mean over the draws: in expectation at least `-log₂ P(k)/d`.
    pub bound: Vec<f64>,
    /// Of the mean density of the draws: between the two.
    pub importance_weighted: Vec<f64>,
    /// The standard error of `bound` that the draws leave; not a number for a single draw.
    pub standard_error: Vec<f64>,
    /// How many draws were made: fewer than asked for after an interrupt.
    pub draws: usize,
    /// Whether an interrupt ended the draws early.
    pub interrupted: bool,
}

impl Dequantisation {
    /// The cells of the images that an [`ImageSet`](crate::data::ImageSet) gives, `x = byte/127.5 - 1` in the middle of
    /// each: they reach half a cell past -1 and 1.
    ///
    /// ```
    /// use scorebook::{prelude::*, likelihood::Dequantisation};
    ///
    /// let pixels = Tensor::new(&[[0u8, 255]], &Device::Cpu)?;
    /// let x = Dequantisation::of_images(1).dequantise(&pixels, &mut Generator::new(7))?.to_vec2::<f32>()?;
    /// // Anywhere in the cells about -1 and 1.
    /// assert!((x[0][0] + 1.0).abs() <= 0.5 / 127.5 && (x[0][1] - 1.0).abs() <= 0.5 / 127.5);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn of_images(draws: usize) -> Self {
        let half = 0.5 / 127.5;
        Self { levels: 256, low: -1.0 - half, high: 1.0 + half, draws }
    }

    /// What the change from densities to chances adds: `log₂(levels/(high - low))` bits a dimension.
    ///
    /// ```
    /// use scorebook::likelihood::Dequantisation;
    ///
    /// let unit = Dequantisation { low: 0.0, ..Default::default() };
    /// assert_eq!((unit.offset(), Dequantisation::default().offset()), (8.0, 7.0));
    /// ```
    pub fn offset(&self) -> f64 {
        (f64::from(self.levels) / (self.high - self.low)).log2()
    }

    /// `x = low + (high - low)(k + u)/levels` for `pixels` `k` `[batch, ...]`, whole numbers of any type; in `f64` if they
    /// are, in `f32` otherwise.
    ///
    /// # Errors
    /// If a setting is out of its range, or a pixel is not one of the levels.
    pub fn dequantise(&self, pixels: &Tensor, generator: &mut Generator) -> Result<Tensor> {
        let mut x = self.check(pixels)?;
        let mut uniform = vec![0.0; x.len()];
        generator.fill_uniform_f64(&mut uniform);
        let width = (self.high - self.low) / f64::from(self.levels);
        for (x, u) in x.iter_mut().zip(uniform) {
            *x = self.low + width * (*x + u);
        }
        let dtype = if pixels.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        let x = Tensor::from_vec(x, pixels.shape(), &Device::Cpu)?;
        Ok(x.to_dtype(dtype)?.to_device(pixels.device())?)
    }

    /// Bits a dimension of `pixels` `[batch, ...]` under a density whose `log_prob(x, generator)`, `[batch]` in nats, is
    /// called once a draw. An interrupt ends the draws; those that were made count.
    ///
    /// ```
    /// use scorebook::{prelude::*, interrupt};
    ///
    /// let pixels = Tensor::new(&[[3u8, 250]], &Device::Cpu)?;
    /// let dequantisation = Dequantisation { draws: 10, ..Default::default() };
    /// let bits = dequantisation.bits_per_dim(&pixels, &mut Generator::new(7), |x, _| {
    ///     interrupt::request();
    ///     Gaussian::standard(2).log_prob(x)
    /// })?;
    /// assert!(bits.interrupted && bits.draws == 1);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If a setting is out of its range, a pixel is not one of the levels, or `log_prob` fails or does not give one number
    /// a sample.
    pub fn bits_per_dim(
        &self,
        pixels: &Tensor,
        generator: &mut Generator,
        mut log_prob: impl FnMut(&Tensor, &mut Generator) -> Result<Tensor>,
    ) -> Result<BitsPerDim> {
        if self.draws == 0 {
            return Err(Error::argument("draws", 0, "at least 1"));
        }
        let (batch, dim) = (rows(pixels)?.0.dims()[0], rows(pixels)?.1 as f64);
        let mut of_samples = vec![vec![]; batch];
        let mut interrupted = false;
        for _ in 0..self.draws {
            if interrupt::requested() {
                interrupted = true;
                break;
            }
            let x = self.dequantise(pixels, generator)?;
            let log_prob = log_prob(&x, generator)?;
            if log_prob.dims() != [batch] {
                let expected = format!("[{batch}], one number a sample");
                return Err(Error::shape("log_prob", log_prob.dims(), expected));
            }
            for (of_sample, value) in of_samples.iter_mut().zip(values(&log_prob)?) {
                of_sample.push(value);
            }
        }
        let draws = of_samples[0].len();
        let bits = |nats: f64| self.offset() - nats / (dim * LN_2);
        let spread = |of_sample: &[f64]| {
            let (n, mean) = (draws as f64, mean(of_sample));
            let squares: f64 = of_sample.iter().map(|value| (value - mean).powi(2)).sum();
            (squares / (n - 1.0) / n).sqrt() / (dim * LN_2)
        };
        Ok(BitsPerDim {
            bound: of_samples.iter().map(|each| bits(mean(each))).collect(),
            importance_weighted: of_samples.iter().map(|each| bits(log_mean_exp(each))).collect(),
            standard_error: of_samples.iter().map(|each| spread(each)).collect(),
            draws,
            interrupted,
        })
    }

    /// The pixels as numbers.
    fn check(&self, pixels: &Tensor) -> Result<Vec<f64>> {
        let Self { levels, low, high, .. } = *self;
        if levels == 0 {
            return Err(Error::argument("levels", 0, "at least 1"));
        }
        if !(low < high && low.is_finite() && high.is_finite()) {
            let expected = format!("a finite number above `low`, which is {low}");
            return Err(Error::argument("high", high, expected));
        }
        let pixels = values(pixels)?;
        let fits = |k: &f64| k.fract() == 0.0 && (0.0..f64::from(levels)).contains(k);
        match pixels.iter().find(|k| !fits(k)) {
            Some(k) => {
                let expected = format!("whole numbers from 0 to {}", levels - 1);
                Err(Error::argument("pixels", k, expected))
            }
            None => Ok(pixels),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// `ln` of the mean of `exp`, without overflow.
fn log_mean_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    let sum: f64 = values.iter().map(|value| (value - largest).exp()).sum();
    largest + (sum / values.len() as f64).ln()
}
