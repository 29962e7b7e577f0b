//! Some of the frequencies.

use super::{
    LinearOperator, Operator,
    hartley::{Hartley, mirrored},
    mask::select,
    operator::{alike, divide, finite, spectral_of_one},
};
use crate::{Error, Result, random::Generator};
use candle_core::{Device, Tensor};

/// Sub-sampled Fourier coefficients of images, as a magnetic resonance scanner measures them: `A = diag(m) F`.
///
/// `F` is the orthonormal Fourier basis in real numbers (Hartley's): the measurement has the shape of the images,
/// frequency `(0, 0)` in the corner, and 0 where nothing is measured. A real image has conjugate coefficients at `k` and
/// `-k`, so a mask must hold both or neither, and `A Aᵀ` is 1 where measured.
///
/// ```
/// use scorebook::prelude::*;
///
/// // Of the lowest frequency the mean is left.
/// let lowest = SubsampledFourier::low_pass((4, 4), 0.5)?;
/// let x = Tensor::arange(0f64, 16.0, &Device::Cpu)?.reshape((1, 1, 4, 4))?;
/// let back = lowest.adjoint(&lowest.apply(&x)?)?.flatten_all()?.to_vec1::<f64>()?;
/// assert!(back.iter().all(|value| (value - 7.5).abs() < 1e-12));
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SubsampledFourier {
    basis: Hartley,
    /// `[1, 1, height, width]`.
    mask: Tensor,
}

impl SubsampledFourier {
    /// The frequencies where the mask `[height, width]` is 1, equal at `k` and `-k`.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// // The mean and the frequency ±1 along the rows.
    /// let mask = Tensor::new(&[[1f64, 1.0, 0.0, 1.0], [0.0; 4]], &Device::Cpu)?;
    /// let operator = SubsampledFourier::new(&mask)?;
    /// assert_eq!(operator.mask().to_vec2::<f64>()?, mask.to_vec2::<f64>()?);
    /// let lonely = Tensor::new(&[[1f64, 1.0, 0.0, 0.0], [0.0; 4]], &Device::Cpu)?;
    /// assert!(SubsampledFourier::new(&lonely).unwrap_err().to_string().contains("opposite frequency"));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the mask has another shape or other numbers, or only one of `k` and `-k`.
    pub fn new(mask: &Tensor) -> Result<Self> {
        let mask = finite("mask", mask)?;
        let &[height, width] = mask.dims() else {
            return Err(Error::shape("mask", mask.dims(), "[height, width]"));
        };
        let basis = Hartley::new(height, width)?;
        let values = mask.flatten_all()?.to_vec1::<f64>()?;
        if let Some(value) = values.iter().find(|value| **value != 0.0 && **value != 1.0) {
            return Err(Error::argument("mask", value, "zeros and ones"));
        }
        let other = mirrored(&mask)?.flatten_all()?.to_vec1::<f64>()?;
        if let Some(at) = (0..values.len()).find(|at| values[*at] != other[*at]) {
            let value = format!("{} at [{}, {}]", values[at], at / width, at % width);
            return Err(Error::argument("mask", value, "the same at the opposite frequency"));
        }
        Ok(Self { basis, mask: mask.reshape((1, 1, height, width))? })
    }

    /// The frequencies of at most `cutoff` periods an image along the diagonal of their rows and columns,
    /// `√(k₁² + k₂²) ≤ cutoff`.
    ///
    /// # Errors
    /// If the size is 0 or `cutoff` not a number.
    pub fn low_pass((height, width): (usize, usize), cutoff: f64) -> Result<Self> {
        if cutoff.is_nan() {
            return Err(Error::argument("cutoff", cutoff, "a number"));
        }
        let low = |row: usize, column: usize| {
            let periods = |k: usize, n: usize| k.min(n - k) as f64;
            periods(row, height).hypot(periods(column, width)) <= cutoff
        };
        Self::of(height, width, low)
    }

    /// Whole rows of frequencies, as a scanner takes them: all of the `centre` lowest, and of the others each pair
    /// `±k` with the probability `share`.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let rows = SubsampledFourier::random_rows((32, 8), 8, 0.25, &mut Generator::new(7))?.mask().mean(1)?.to_vec1::<f64>()?;
    /// assert!(rows.iter().all(|row| *row == 0.0 || *row == 1.0));
    /// // The lowest are there, the mean and ±1, ±2, ±3; and each with its opposite.
    /// assert!((0..4).all(|k| rows[k] == 1.0) && (1..32).all(|k| rows[k] == rows[32 - k]));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the size is 0 or `share` not in `[0, 1]`.
    pub fn random_rows(
        (height, width): (usize, usize),
        centre: usize,
        share: f64,
        generator: &mut Generator,
    ) -> Result<Self> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::argument("share", share, "a probability in [0, 1]"));
        }
        let mut uniforms = vec![0f64; height / 2 + 1];
        generator.fill_uniform_f64(&mut uniforms);
        Self::of(height, width, |row, _| {
            let periods = row.min(height - row);
            2 * periods < centre + centre % 2 || uniforms[periods] < share
        })
    }

    fn of(height: usize, width: usize, chosen: impl Fn(usize, usize) -> bool) -> Result<Self> {
        let values: Vec<f64> =
            (0..height * width).map(|at| f64::from(chosen(at / width, at % width))).collect();
        Self::new(&Tensor::from_vec(values, (height, width), &Device::Cpu)?)
    }

    /// The mask, `[height, width]`, in `f64` on the host.
    pub fn mask(&self) -> Tensor {
        self.mask.squeeze(0).and_then(|mask| mask.squeeze(0)).expect("the mask has four dimensions")
    }

    fn mask_for(&self, name: &'static str, x: &Tensor) -> Result<Tensor> {
        self.basis.check(name, x)?;
        alike(&self.mask, x)
    }
}

impl Operator for SubsampledFourier {
    fn name(&self) -> &'static str {
        "sub-sampled Fourier"
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let mask = self.mask_for("x", x)?;
        Ok(self.basis.transform(x)?.broadcast_mul(&mask)?)
    }

    fn measured(&self, y: &Tensor) -> Result<Tensor> {
        select(&self.mask_for("y", y)?, y)
    }

    fn as_linear(&self) -> Option<&dyn LinearOperator> {
        Some(self)
    }
}

impl LinearOperator for SubsampledFourier {
    fn adjoint(&self, y: &Tensor) -> Result<Tensor> {
        let mask = self.mask_for("y", y)?;
        self.basis.transform(&y.broadcast_mul(&mask)?)
    }

    fn solve(&self, y: &Tensor, r: f64) -> Result<Tensor> {
        divide(y, &self.mask_for("y", y)?, r)
    }

    fn spectral(&self, x: &Tensor, f: &dyn Fn(f64) -> f64) -> Result<Tensor> {
        spectral_of_one(self, 1.0, x, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::operator::checks::check, *};

    #[test]
    fn adjoint_and_solves() {
        let generator = &mut Generator::new(1);
        check(&SubsampledFourier::low_pass((4, 5), 1.5).unwrap(), &[2, 4, 5]);
        check(&SubsampledFourier::random_rows((6, 4), 2, 0.4, generator).unwrap(), &[1, 6, 4]);
        check(&SubsampledFourier::low_pass((3, 4), -1.0).unwrap(), &[1, 3, 4]);
    }

    /// The Fourier sum itself: real part less imaginary part, at each frequency.
    #[test]
    fn is_the_fourier_transform() {
        let (h, w) = (3, 4);
        let all = SubsampledFourier::low_pass((h, w), 10.0).unwrap();
        let values: Vec<f64> = (0..h * w).map(|i| (i * i % 7) as f64).collect();
        let x = Tensor::from_slice(&values, (1, 1, h, w), &Device::Cpu).unwrap();
        let y = all.apply(&x).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for (k, found) in y.iter().enumerate() {
            let (mut real, mut imaginary) = (0.0, 0.0);
            for (p, value) in values.iter().enumerate() {
                let rows = ((k / w) * (p / w)) as f64 / h as f64;
                let columns = ((k % w) * (p % w)) as f64 / w as f64;
                let angle = -std::f64::consts::TAU * (rows + columns);
                real += value * angle.cos();
                imaginary += value * angle.sin();
            }
            let expected = (real - imaginary) / ((h * w) as f64).sqrt();
            assert!((found - expected).abs() < 1e-12, "{k}: {found} for {expected}");
        }
    }

    #[test]
    fn half_a_pair_is_an_error() {
        let mut values = vec![0f64; 12];
        values[1] = 1.0;
        let mask = Tensor::from_vec(values, (3, 4), &Device::Cpu).unwrap();
        let error = SubsampledFourier::new(&mask).unwrap_err().to_string();
        assert_eq!(error, "`mask` is 1 at [0, 1]; expected the same at the opposite frequency");
        assert!(SubsampledFourier::low_pass((0, 3), 1.0).is_err());
    }
}
