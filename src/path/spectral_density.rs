//! Correlated noise.

use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// The spectral density `Q` of a white noise with correlated coordinates, `E[w(t) w(s)ᵀ] = δ(t - s) Q` (note 000).
///
/// Its Brownian motion has increments `N(0, Q Δt)`: `L W` for a standard `W` and a factor `L Lᵀ = Q`, here Cholesky's
/// lower triangle. `Q` may be singular; then some direction carries no noise. (The notes' Brownian motion has silently
/// `Q = I`.)
///
/// ```
/// use scorebook::{prelude::*, path::{BrownianMotion, SpectralDensity, covariation, time_grid}};
///
/// let q = SpectralDensity::new(&[[1.0, 0.6], [0.6, 2.0]])?;
/// let times = time_grid(0.0, 1.0, 10_000)?;
/// let w = BrownianMotion::sample(&times, (1, 2), DType::F64, &mut Generator::new(7), &Device::Cpu)?;
/// let v = q.correlate(&w.values)?;
/// // One path shows it: [V¹, V²]_1 = Q₁₂, with the standard error √((Q₁₁ Q₂₂ + Q₁₂²)/10,000).
/// let (first, second) = (v.narrow(2, 0, 1)?, v.narrow(2, 1, 1)?);
/// let measured = covariation(&first, &second)?.to_vec2::<f64>()?[0][0];
/// assert!((measured - 0.6).abs() < 5.0 * 0.0154);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SpectralDensity {
    dim: usize,
    /// `L`, row after row.
    factor: Vec<f64>,
}

impl SpectralDensity {
    /// The spectral density with the given rows.
    ///
    /// # Errors
    /// If they are not a symmetric positive semidefinite matrix.
    pub fn new<R: AsRef<[f64]>>(rows: &[R]) -> Result<Self> {
        let dim = rows.len();
        if dim == 0 || rows.iter().any(|row| row.as_ref().len() != dim) {
            let columns = rows.first().map_or(0, |row| row.as_ref().len());
            return Err(Error::shape("rows", &[dim, columns], "a square matrix"));
        }
        let at = |i: usize, j: usize| rows[i].as_ref()[j];
        for (i, j) in (0..dim).flat_map(|i| (0..dim).map(move |j| (i, j))) {
            if !at(i, j).is_finite() || (at(i, j) - at(j, i)).abs() > 1e-12 * at(i, j).abs() {
                let values = format!("{} at [{i}, {j}], {} at [{j}, {i}]", at(i, j), at(j, i));
                return Err(Error::argument("rows", values, "a symmetric matrix"));
            }
        }
        // What a rest of the diagonal may be of rounding alone; the column below it is then at most its root times
        // that of the diagonal.
        let largest = (0..dim).map(|i| at(i, i).abs()).fold(0.0, f64::max);
        let rounding = 4.0 * dim as f64 * f64::EPSILON * largest;
        let mut factor = vec![0.0; dim * dim];
        for j in 0..dim {
            let rest = |factor: &[f64], i: usize| {
                let known = (0..j).map(|k| factor[i * dim + k] * factor[j * dim + k]);
                at(i, j) - known.sum::<f64>()
            };
            let pivot = rest(&factor, j);
            for i in j..dim {
                let rest = rest(&factor, i);
                if pivot > rounding {
                    factor[i * dim + j] = rest / pivot.sqrt();
                } else if pivot < -rounding || rest.abs() > (rounding * largest).sqrt() {
                    let value = format!("a matrix whose pivot {j} is {pivot}, above {rest}");
                    return Err(Error::argument("rows", value, "a positive semidefinite matrix"));
                }
            }
        }
        Ok(Self { dim, factor })
    }

    /// The lower triangle `L` with `L Lᵀ = Q`, `[dim, dim]`: as a
    /// [`Dispersion::Matrix`](crate::sde::Dispersion::Matrix) it drives an SDE with this noise.
    ///
    /// ```
    /// use scorebook::{prelude::*, path::SpectralDensity};
    ///
    /// let factor = SpectralDensity::new(&[[4.0, 2.0], [2.0, 10.0]])?.factor(DType::F64, &Device::Cpu)?;
    /// assert_eq!(factor.to_vec2::<f64>()?, [[2.0, 0.0], [1.0, 3.0]]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `dtype` is no float, or the device cannot take it.
    pub fn factor(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        let factor = Tensor::from_vec(self.factor.clone(), (self.dim, self.dim), &Device::Cpu)?;
        Ok(factor.to_dtype(dtype)?.to_device(device)?)
    }

    /// `L w` for standard Brownian motion, its increments, or any standard normals `[..., dim]`.
    ///
    /// # Errors
    /// If the last dimension is not that of the matrix.
    pub fn correlate(&self, w: &Tensor) -> Result<Tensor> {
        if w.dims().last() != Some(&self.dim) {
            return Err(Error::shape("w", w.dims(), format!("[..., {}]", self.dim)));
        }
        let factor = self.factor(w.dtype(), w.device())?;
        let rows = w.reshape((w.elem_count() / self.dim, self.dim))?;
        Ok(rows.matmul(&factor.t()?)?.reshape(w.shape())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(q: &SpectralDensity) -> Vec<Vec<f64>> {
        let factor = q.factor(DType::F64, &Device::Cpu).unwrap();
        factor.matmul(&factor.t().unwrap()).unwrap().to_vec2().unwrap()
    }

    #[test]
    fn the_factor_gives_the_matrix_back() {
        let full = [[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]];
        // Of rank 2 and 1; the third coordinate is the sum of the others, the second twice the first.
        let singular = [[1.0, 0.5, 1.5], [0.5, 2.0, 2.5], [1.5, 2.5, 4.0]];
        let single = [[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]];
        for rows in [full, singular, single, [[0.0; 3]; 3]] {
            let back = product(&SpectralDensity::new(&rows).unwrap());
            for (row, back) in rows.iter().zip(back) {
                assert!(row.iter().zip(back).all(|(x, y)| (x - y).abs() < 1e-14));
            }
        }
    }

    #[test]
    fn other_matrices_are_errors() {
        let message = |rows: &[Vec<f64>]| SpectralDensity::new(rows).unwrap_err().to_string();
        assert_eq!(message(&[]), "`rows` has shape [0, 0]; expected a square matrix");
        assert!(message(&[vec![1.0, 2.0]]).starts_with("`rows` has shape [1, 2]"));
        let error = message(&[vec![1.0, 0.5], vec![0.4, 1.0]]);
        assert!(error.ends_with("expected a symmetric matrix"), "{error}");
        for rows in [[[1.0, 2.0], [2.0, 1.0]], [[0.0, 1.0], [1.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]]]
        {
            let error = SpectralDensity::new(&rows).unwrap_err().to_string();
            assert!(error.ends_with("expected a positive semidefinite matrix"), "{error}");
        }
        assert!(SpectralDensity::new(&[[f64::NAN]]).is_err());
        let q = SpectralDensity::new(&[[1.0]]).unwrap();
        let w = Tensor::zeros((3, 2), DType::F64, &Device::Cpu).unwrap();
        assert_eq!(
            q.correlate(&w).unwrap_err().to_string(),
            "`w` has shape [3, 2]; expected [..., 1]"
        );
    }
}
