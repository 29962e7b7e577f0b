//! What is measured.

use super::conjugate_gradients::conjugate_gradients;
use crate::{Error, Result};
use candle_core::{DType, Device, Shape, Tensor};
use std::fmt::Debug;

/// What a measurement does to a state before noise is added: `A` in `y = A(x) + σ_y n`.
///
/// One of one's own needs `name` and `apply`; if it is linear, an adjoint as well:
///
/// ```
/// use scorebook::prelude::*;
///
/// /// The differences of neighbours on a circle.
/// #[derive(Debug)]
/// struct Differences;
///
/// impl Operator for Differences {
///     fn name(&self) -> &'static str {
///         "differences"
///     }
///
///     fn apply(&self, x: &Tensor) -> scorebook::Result<Tensor> {
///         Ok((x.roll(1, 1)? - x)?)
///     }
///
///     fn as_linear(&self) -> Option<&dyn LinearOperator> {
///         Some(self)
///     }
/// }
///
/// impl LinearOperator for Differences {
///     fn adjoint(&self, y: &Tensor) -> scorebook::Result<Tensor> {
///         Ok((y.roll(-1, 1)? - y)?)
///     }
/// }
///
/// let x = Tensor::new(&[[1f64, 2.0, 4.0]], &Device::Cpu)?;
/// assert_eq!(Differences.apply(&x)?.to_vec2::<f64>()?, [[3.0, -1.0, -2.0]]);
/// // (A Aᵀ + r I)⁻¹ comes with it, by conjugate gradients.
/// let y = Differences.solve(&x, 0.5)?;
/// let again = (Differences.apply(&Differences.adjoint(&y)?)? + (y * 0.5)?)?;
/// assert!((again - x)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-10);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Operator: Send + Sync + Debug {
    /// The operator's name.
    fn name(&self) -> &'static str;

    /// `A(x)` for `x` `[batch, ...]`, as `[batch, ...]`; differentiable in `x`.
    ///
    /// # Errors
    /// If `x` has not the shape that is measured.
    fn apply(&self, x: &Tensor) -> Result<Tensor>;

    /// `y` with 0 in the places that are not measured, whatever stood there. An operator all of whose places are
    /// measured leaves it as it is.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// let first = Mask::new(&Tensor::new(&[1f32, 0.0], &Device::Cpu)?)?;
    /// let y = Tensor::new(&[[0.7f32, f32::NAN]], &Device::Cpu)?;
    /// assert_eq!(first.measured(&y)?.to_vec2::<f32>()?, [[0.7, 0.0]]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If `y` has not the shape of a measurement.
    fn measured(&self, y: &Tensor) -> Result<Tensor> {
        Ok(y.clone())
    }

    /// The operator as a linear one, if it is linear.
    fn as_linear(&self) -> Option<&dyn LinearOperator> {
        None
    }
}

/// A linear [`Operator`]: `A(x) = A x`.
pub trait LinearOperator: Operator {
    /// `Aᵀ y` for `y` `[batch, ...]`: `⟨A x, y⟩ = ⟨x, Aᵀ y⟩`.
    ///
    /// # Errors
    /// If `y` has not the shape of a measurement.
    fn adjoint(&self, y: &Tensor) -> Result<Tensor>;

    /// `(A Aᵀ + r I)⁻¹ y` for a number `r ≥ 0`, which methods with a Gaussian about a guess need. With `r = 0` the inverse
    /// on what `A` reaches, and 0 elsewhere. Conjugate gradients, where an operator knows no shorter way.
    ///
    /// # Errors
    /// If `r` is negative, `y` has not the shape of a measurement, or the equations are too near to singular.
    fn solve(&self, y: &Tensor, r: f64) -> Result<Tensor> {
        conjugate_gradients(self, y, r)
    }

    /// `f(Aᵀ A) x` for `x` `[batch, ...]`: each coordinate along a right singular vector of `A`, times `f` of the square of its
    /// singular value; `f(0)` along all that is not measured. Singular values that rounding cannot tell from 0 are 0.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// // The part of an image that its block means leave open.
    /// let x = Tensor::arange(0f32, 16.0, &Device::Cpu)?.reshape((1, 1, 4, 4))?;
    /// let open = Downsample { factor: 2 }.spectral(&x, &|e| if e == 0.0 { 1.0 } else { 0.0 })?;
    /// assert_eq!(open.flatten_all()?.to_vec1::<f32>()?[..4], [-2.5, -1.5, -2.5, -1.5]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the operator does not know its singular values, or `x` has not the shape that is measured.
    fn spectral(&self, x: &Tensor, f: &dyn Fn(f64) -> f64) -> Result<Tensor> {
        let _ = (x, f);
        let expected = "an operator that knows its singular values";
        Err(Error::argument("operator", self.name(), expected))
    }

    /// `A⁺ y = Aᵀ (A Aᵀ)⁺ y`: of all `x` that fit `y` best, the shortest.
    ///
    /// ```
    /// use scorebook::prelude::*;
    ///
    /// // Means over pairs of pixels; the flattest image that has them.
    /// let y = Tensor::new(&[1f64, 5.0], &Device::Cpu)?.reshape((1, 1, 1, 2))?;
    /// let pairs = Downsample { factor: 2 };
    /// let x = pairs.pseudo_inverse(&y)?;
    /// assert_eq!(x.flatten_all()?.to_vec1::<f64>()?, [1.0, 1.0, 5.0, 5.0, 1.0, 1.0, 5.0, 5.0]);
    /// assert_eq!(pairs.apply(&x)?.flatten_all()?.to_vec1::<f64>()?, [1.0, 5.0]);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`solve`](Self::solve).
    fn pseudo_inverse(&self, y: &Tensor) -> Result<Tensor> {
        self.adjoint(&self.solve(y, 0.0)?)
    }
}

/// `y/(values + r)`, with 0 for what is 0/0.
pub(super) fn divide(y: &Tensor, values: &Tensor, r: f64) -> Result<Tensor> {
    check_ridge(r)?;
    let sums = (values + r)?;
    let zero = sums.eq(0f64)?.to_dtype(sums.dtype())?;
    let inverse = ((1.0 - &zero)? / (sums + zero)?)?;
    Ok(y.broadcast_mul(&inverse)?)
}

/// [`LinearOperator::spectral`] of an operator whose singular values are 0 and the root of one `value`.
pub(super) fn spectral_of_one(
    operator: &dyn LinearOperator,
    value: f64,
    x: &Tensor,
    f: &dyn Fn(f64) -> f64,
) -> Result<Tensor> {
    let (open, known) = (f(0.0), f(value));
    let image = operator.adjoint(&operator.apply(x)?)?;
    Ok(((x * open)? + (image * ((known - open) / value))?)?)
}

pub(super) fn check_ridge(r: f64) -> Result<()> {
    if r >= 0.0 && r.is_finite() {
        return Ok(());
    }
    Err(Error::argument("r", r, "a number of at least 0"))
}

/// That `x` is `[batch, shape...]`.
pub(super) fn check_sample(name: &'static str, x: &Tensor, shape: &[usize]) -> Result<()> {
    match x.dims() {
        [_, rest @ ..] if rest == shape => Ok(()),
        dims => {
            let sizes: Vec<_> = shape.iter().map(usize::to_string).collect();
            Err(Error::shape(name, dims, format!("[batch, {}]", sizes.join(", "))))
        }
    }
}

/// The channels, height and width of images.
pub(super) fn image_dims(name: &'static str, x: &Tensor) -> Result<[usize; 4]> {
    match *x.dims() {
        [batch, channels, height, width] => Ok([batch, channels, height, width]),
        ref dims => Err(Error::shape(name, dims, "[batch, channels, height, width]")),
    }
}

/// Numbers as a tensor of the type and device of `like`, rounded once.
pub(super) fn constant(values: &[f64], shape: impl Into<Shape>, like: &Tensor) -> Result<Tensor> {
    alike(&Tensor::from_slice(values, shape, &Device::Cpu)?, like)
}

/// A tensor in the type and on the device of `like`.
pub(super) fn alike(x: &Tensor, like: &Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(like.dtype())?.to_device(like.device())?)
}

/// A tensor of numbers that are finite, in `f64` on the host.
pub(super) fn finite(name: &'static str, x: &Tensor) -> Result<Tensor> {
    let x = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.contiguous()?;
    match x.flatten_all()?.to_vec1::<f64>()?.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(Error::argument(name, value, "finite numbers")),
        None => Ok(x),
    }
}

/// What dense matrices say of an operator, and that its adjoint is one.
#[cfg(test)]
pub(super) mod checks {
    use super::*;
    use crate::{distribution::symmetric_eigen, random::Generator};

    pub fn normal(shape: &[usize], seed: u64) -> Tensor {
        let z = Generator::new(seed).normal(shape, &Device::Cpu).unwrap();
        z.to_dtype(DType::F64).unwrap()
    }

    pub fn largest(x: Tensor) -> f64 {
        if x.elem_count() == 0 {
            return 0.0;
        }
        x.abs().unwrap().max_all().unwrap().to_dtype(DType::F64).unwrap().to_scalar().unwrap()
    }

    /// `⟨A x, y⟩ = ⟨x, Aᵀ y⟩`; solves and pseudo-inverse against the eigenvalues of the dense `A Aᵀ`; all in `f32` as well;
    /// gradients flow.
    pub fn check(operator: &dyn LinearOperator, shape: &[usize]) {
        let with_batch = |batch: usize| [&[batch], shape].concat();
        let x = normal(&with_batch(3), 1);
        let applied = operator.apply(&x).unwrap();
        let y = operator.measured(&normal(applied.dims(), 2)).unwrap();
        let transposed = operator.adjoint(&y).unwrap();
        assert_eq!(transposed.dims(), x.dims());
        let product = |a: &Tensor, b: &Tensor| {
            (a * b).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap()
        };
        let (left, right) = (product(&applied, &y), product(&x, &transposed));
        assert!((left - right).abs() < 1e-10, "{operator:?}: {left} and {right}");

        let dim: usize = shape.iter().product();
        let unit = Tensor::eye(dim, DType::F64, &Device::Cpu).unwrap();
        let columns = operator.apply(&unit.reshape(with_batch(dim)).unwrap()).unwrap();
        let size: usize = columns.dims()[1..].iter().product();
        let columns = columns.reshape((dim, size)).unwrap();
        let square = columns.t().unwrap().matmul(&columns).unwrap();
        let square = square.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let (values, vectors) = symmetric_eigen(&square, size);
        let vectors = Tensor::from_vec(vectors, (size, size), &Device::Cpu).unwrap();
        let inverse = |r: f64| -> Vec<f64> {
            values.iter().map(|e| if e + r > 1e-9 { 1.0 / (e + r) } else { 0.0 }).collect()
        };
        // Without `r` only what `A` reaches has an inverse.
        for (r, target) in [(0.0, &applied), (0.3, &y), (1e6, &y)] {
            let inverse = Tensor::from_vec(inverse(r), (1, size), &Device::Cpu).unwrap();
            let along = target.reshape((3, size)).unwrap().matmul(&vectors).unwrap();
            let along = along.broadcast_mul(&inverse).unwrap();
            let expected = along.matmul(&vectors.t().unwrap()).unwrap();
            let found = operator.solve(target, r).unwrap().reshape((3, size)).unwrap();
            let error = largest((&found - &expected).unwrap()) / (1e-3 + largest(expected));
            assert!(error < 1e-8, "{operator:?}, r = {r}: {error}");
        }
        let again = operator.pseudo_inverse(&applied).unwrap();
        let again = operator.apply(&again).unwrap();
        assert!(largest((again - &applied).unwrap()) < 1e-8, "{operator:?}");
        // Functions of Aᵀ A against those of its dense eigenvalues, one of them with a jump at 0.
        let square = columns.matmul(&columns.t().unwrap()).unwrap();
        let square = square.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let (values, vectors) = symmetric_eigen(&square, dim);
        let vectors = Tensor::from_vec(vectors, (dim, dim), &Device::Cpu).unwrap();
        let functions: [&dyn Fn(f64) -> f64; 2] =
            [&|e| (0.3 - e).exp(), &|e| if e == 0.0 { -2.0 } else { 1.0 / (1.0 + e) }];
        for f in functions {
            let weights = values.iter().map(|e| f(if *e > 1e-9 { *e } else { 0.0 })).collect();
            let weights = Tensor::from_vec::<_, f64>(weights, (1, dim), &Device::Cpu).unwrap();
            let along = x.reshape((3, dim)).unwrap().matmul(&vectors).unwrap();
            let along = along.broadcast_mul(&weights).unwrap();
            let expected = along.matmul(&vectors.t().unwrap()).unwrap();
            let found = operator.spectral(&x, f).unwrap().reshape((3, dim)).unwrap();
            assert!(largest((found - expected).unwrap()) < 1e-8, "{operator:?}");
        }
        assert!(operator.solve(&y, -1.0).is_err() && operator.solve(&y, f64::NAN).is_err());

        let single = x.to_dtype(DType::F32).unwrap();
        let difference = operator.apply(&single).unwrap().to_dtype(DType::F64).unwrap();
        assert!(largest((difference - &applied).unwrap()) < 1e-5, "{operator:?}");
        let variable = candle_core::Var::from_tensor(&x).unwrap();
        let scalar = (operator.apply(&variable).unwrap() * &y).unwrap().sum_all().unwrap();
        let gradients = scalar.backward().unwrap();
        let gradient = gradients.get(&variable).unwrap();
        assert!(largest((gradient - &transposed).unwrap()) < 1e-10, "{operator:?}");
        // Another shape is an error, not a panic.
        let wrong = normal(&[2, 5, 5, 5, 5], 3);
        assert!(operator.apply(&wrong).is_err() && operator.adjoint(&wrong).is_err());
    }
}
