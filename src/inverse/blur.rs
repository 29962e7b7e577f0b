//! Blur.

use super::{
    LinearOperator, Operator,
    hartley::{Hartley, mirrored},
    operator::{alike, check_ridge, constant, finite},
};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// Blur: each channel of an image convolved with a kernel, `y(p) = Σ_q k(q) x(p - q)`.
///
/// The boundary is periodic: what leaves at one edge enters at the other. Then convolution is a product in the Fourier
/// basis, and so is `(A Aᵀ + r I)⁻¹`, for any kernel.
///
/// ```
/// use scorebook::prelude::*;
///
/// let blur = Blur::gaussian(1.0, (8, 8))?;
/// let x = Generator::new(7).normal((2, 3, 8, 8), &Device::Cpu)?;
/// let y = blur.apply(&x)?;
/// // It keeps the mean, and little of the rest.
/// let change = (y.mean_all()? - x.mean_all()?)?.to_scalar::<f32>()?;
/// assert!(change.abs() < 1e-6 && y.sqr()?.mean_all()?.to_scalar::<f32>()? < 0.2);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Blur {
    basis: Hartley,
    /// The parts of the kernel's transform that are even and odd in the frequency, `[1, 1, height, width]`.
    even: Tensor,
    /// None for a symmetric kernel.
    odd: Option<Tensor>,
}

impl Blur {
    /// The blur of images of `(height, width)` by a `kernel` `[rows, columns]`, whose middle `[rows/2, columns/2]`
    /// stays in its place.
    ///
    /// # Errors
    /// If the kernel is no matrix, larger than the image, or not finite.
    pub fn new(kernel: &Tensor, (height, width): (usize, usize)) -> Result<Self> {
        let kernel = finite("kernel", kernel)?;
        let &[rows, columns] = kernel.dims() else {
            return Err(Error::shape("kernel", kernel.dims(), "[rows, columns]"));
        };
        if rows == 0 || columns == 0 || rows > height || columns > width {
            let expected = format!("[rows, columns] of at least 1 and at most [{height}, {width}]");
            return Err(Error::shape("kernel", kernel.dims(), expected));
        }
        let basis = Hartley::new(height, width)?;
        let values = kernel.flatten_all()?.to_vec1::<f64>()?;
        let mut spread = vec![0.0; height * width];
        for (at, value) in values.iter().enumerate() {
            let row = (at / columns + height - rows / 2) % height;
            let column = (at % columns + width - columns / 2) % width;
            spread[row * width + column] += value;
        }
        let spread = Tensor::from_vec(spread, (1, 1, height, width), &Device::Cpu)?;
        let spectrum = (basis.transform(&spread)? * ((height * width) as f64).sqrt())?;
        let opposite = mirrored(&spectrum)?;
        let even = ((&spectrum + &opposite)? * 0.5)?;
        let odd = ((&spectrum - &opposite)? * 0.5)?;
        let largest = |x: &Tensor| -> Result<f64> { Ok(x.abs()?.max_all()?.to_scalar()?) };
        let symmetric = largest(&odd)? <= 1e-13 * largest(&even)?;
        Ok(Self { basis, even, odd: (!symmetric).then_some(odd) })
    }

    /// The blur of images of `(height, width)` by a Gaussian of standard deviation `std` in pixels, cut at four of
    /// them or at the size of the image, and normalised.
    ///
    /// # Errors
    /// If `std` is not positive or the size 0.
    pub fn gaussian(std: f64, (height, width): (usize, usize)) -> Result<Self> {
        if !(std > 0.0 && std.is_finite()) {
            return Err(Error::argument("std", std, "a positive number of pixels"));
        }
        let line = |side: usize| -> Vec<f64> {
            let reach = (4.0 * std).ceil().min((side.max(1) - 1) as f64 / 2.0).floor() as i64;
            let weights = (-reach..=reach).map(|i| (-0.5 * (i as f64 / std).powi(2)).exp());
            let weights: Vec<f64> = weights.collect();
            let total: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| weight / total).collect()
        };
        let (rows, columns) = (line(height), line(width));
        let values: Vec<f64> =
            rows.iter().flat_map(|row| columns.iter().map(move |column| row * column)).collect();
        let kernel = Tensor::from_vec(values, (rows.len(), columns.len()), &Device::Cpu)?;
        Self::new(&kernel, (height, width))
    }

    /// The square of the absolute value of the kernel's transform at each frequency, which is the eigenvalue of `Aᵀ A` there,
    /// and up to where rounding in the type cannot tell it from 0.
    fn powers(&self, dtype: DType) -> Result<(Vec<f64>, f64)> {
        let mut powers = self.even.sqr()?;
        if let Some(odd) = &self.odd {
            powers = (powers + odd.sqr()?)?;
        }
        let powers = powers.flatten_all()?.to_vec1::<f64>()?;
        let precision = match dtype {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        };
        let least = precision * powers.iter().copied().fold(0.0, f64::max);
        Ok((powers, least))
    }

    /// The convolution, or with `sign` -1 the one with the mirrored kernel, which is the adjoint.
    fn convolve(&self, name: &'static str, x: &Tensor, sign: f64) -> Result<Tensor> {
        self.basis.check(name, x)?;
        let along = self.basis.transform(x)?;
        let mut product = along.broadcast_mul(&alike(&self.even, x)?)?;
        if let Some(odd) = &self.odd {
            let odd = alike(&(odd * sign)?, x)?;
            product = (product + mirrored(&along)?.broadcast_mul(&odd)?)?;
        }
        self.basis.transform(&product)
    }
}

impl Operator for Blur {
    fn name(&self) -> &'static str {
        "blur"
    }

    fn apply(&self, x: &Tensor) -> Result<Tensor> {
        self.convolve("x", x, 1.0)
    }

    fn as_linear(&self) -> Option<&dyn LinearOperator> {
        Some(self)
    }
}

impl LinearOperator for Blur {
    fn adjoint(&self, y: &Tensor) -> Result<Tensor> {
        self.convolve("y", y, -1.0)
    }

    /// Frequencies of which the kernel leaves less than rounding does count as not reached.
    fn solve(&self, y: &Tensor, r: f64) -> Result<Tensor> {
        check_ridge(r)?;
        self.basis.check("y", y)?;
        let (powers, least) = self.powers(y.dtype())?;
        let inverse: Vec<f64> =
            powers.iter().map(|p| if p + r > least { 1.0 / (p + r) } else { 0.0 }).collect();
        let inverse = constant(&inverse, self.even.shape(), y)?;
        self.basis.transform(&self.basis.transform(y)?.broadcast_mul(&inverse)?)
    }

    fn spectral(&self, x: &Tensor, f: &dyn Fn(f64) -> f64) -> Result<Tensor> {
        self.basis.check("x", x)?;
        let (powers, least) = self.powers(x.dtype())?;
        let weights: Vec<f64> =
            powers.iter().map(|p| f(if *p > least { *p } else { 0.0 })).collect();
        let weights = constant(&weights, self.even.shape(), x)?;
        self.basis.transform(&self.basis.transform(x)?.broadcast_mul(&weights)?)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::operator::checks::{check, largest, normal},
        *,
    };

    #[test]
    fn adjoint_and_solves() {
        check(&Blur::gaussian(0.5, (5, 4)).unwrap(), &[2, 5, 4]);
        let kernel = Tensor::new(&[[0.5, 0.1], [0.0, 0.2], [0.3, -0.4]], &Device::Cpu).unwrap();
        check(&Blur::new(&kernel, (4, 5)).unwrap(), &[1, 4, 5]);
        let shift = Tensor::new(&[[1.0, 0.0, 0.0]], &Device::Cpu).unwrap();
        check(&Blur::new(&shift, (3, 5)).unwrap(), &[1, 3, 5]);
    }

    /// The sum itself, over the edges.
    #[test]
    fn is_the_convolution() {
        let kernel = normal(&[3, 2], 4);
        let k = kernel.to_vec2::<f64>().unwrap();
        let x = normal(&[1, 1, 4, 5], 5);
        let y = Blur::new(&kernel, (4, 5)).unwrap().apply(&x).unwrap();
        let pixels = x.reshape((4, 5)).unwrap().to_vec2::<f64>().unwrap();
        let blurred = y.reshape((4, 5)).unwrap().to_vec2::<f64>().unwrap();
        for row in 0..4 {
            for column in 0..5 {
                let mut sum = 0.0;
                for (i, weights) in k.iter().enumerate() {
                    for (j, weight) in weights.iter().enumerate() {
                        sum += weight * pixels[(row + 4 + 1 - i) % 4][(column + 5 + 1 - j) % 5];
                    }
                }
                assert!((blurred[row][column] - sum).abs() < 1e-12);
            }
        }
    }

    /// A constant stays; a Gaussian that is wider than the image is nearly the mean over it.
    #[test]
    fn gaussians() {
        let x = normal(&[2, 1, 9, 9], 6);
        let wide = Blur::gaussian(1e3, (9, 9)).unwrap().apply(&x).unwrap();
        let mean = x.mean_keepdim((1, 2, 3)).unwrap();
        assert!(largest(wide.broadcast_sub(&mean).unwrap()) < 1e-3);
        let narrow = Blur::gaussian(0.01, (9, 9)).unwrap().apply(&x).unwrap();
        assert!(largest((narrow - &x).unwrap()) < 1e-12);
    }

    #[test]
    fn bad_kernels_are_errors() {
        let kernel = normal(&[5, 2], 4);
        let error = Blur::new(&kernel, (4, 5)).unwrap_err().to_string();
        assert!(error.ends_with("of at least 1 and at most [4, 5]"), "{error}");
        assert!(Blur::new(&(kernel / 0.0).unwrap(), (8, 8)).is_err());
        let error = Blur::gaussian(0.0, (4, 4)).unwrap_err().to_string();
        assert_eq!(error, "`std` is 0; expected a positive number of pixels");
        assert!(Blur::gaussian(1.0, (0, 4)).is_err());
    }
}
