//! What can be drawn: lists of numbers and of points, plain or in tensors.

use candle_core::{DType, Device, Tensor};

use crate::{Error, Result};

/// Numbers to draw: a list, an array or a tensor of any shape (taken in its order).
///
/// ```
/// use scorebook::plot::Values;
/// use scorebook::prelude::*;
///
/// let x = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
/// assert_eq!(x.values()?, [1., 2., 3., 4.]);
/// assert_eq!(vec![1f32, 2.].values()?, [1., 2.]);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Values {
    /// The numbers in `f64`.
    fn values(&self) -> Result<Vec<f64>>;
}

/// Points to draw: pairs `(x, y)`; two lists of the same length, `(xs, ys)`; a tensor `[n, 2]`;
/// or one list or tensor `[n]` of `y`, whose `x` is then 0, 1, 2, ...
///
/// ```
/// use scorebook::plot::Points;
///
/// assert_eq!(([0., 1.], [5., 6.]).points()?, [(0., 5.), (1., 6.)]);
/// assert_eq!(vec![5., 6.].points()?, [(0., 5.), (1., 6.)]);
/// assert!(([0., 1.], [5.]).points().is_err());
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Points {
    /// The points in `f64`.
    fn points(&self) -> Result<Vec<(f64, f64)>>;
}

impl Values for [f64] {
    fn values(&self) -> Result<Vec<f64>> {
        Ok(self.to_vec())
    }
}

impl Values for [f32] {
    fn values(&self) -> Result<Vec<f64>> {
        Ok(self.iter().map(|&x| x as f64).collect())
    }
}

impl<T> Values for Vec<T>
where
    [T]: Values,
{
    fn values(&self) -> Result<Vec<f64>> {
        self.as_slice().values()
    }
}

impl<T, const N: usize> Values for [T; N]
where
    [T]: Values,
{
    fn values(&self) -> Result<Vec<f64>> {
        self.as_slice().values()
    }
}

impl Values for Tensor {
    fn values(&self) -> Result<Vec<f64>> {
        Ok(self.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
    }
}

impl<V: Values + ?Sized> Values for &V {
    fn values(&self) -> Result<Vec<f64>> {
        (**self).values()
    }
}

/// Against the index.
fn indexed(values: Vec<f64>) -> Vec<(f64, f64)> {
    values.into_iter().enumerate().map(|(i, y)| (i as f64, y)).collect()
}

impl Points for [(f64, f64)] {
    fn points(&self) -> Result<Vec<(f64, f64)>> {
        Ok(self.to_vec())
    }
}

impl Points for [f64] {
    fn points(&self) -> Result<Vec<(f64, f64)>> {
        Ok(indexed(self.values()?))
    }
}

impl Points for [f32] {
    fn points(&self) -> Result<Vec<(f64, f64)>> {
        Ok(indexed(self.values()?))
    }
}

impl<T> Points for Vec<T>
where
    [T]: Points,
{
    fn points(&self) -> Result<Vec<(f64, f64)>> {
        self.as_slice().points()
    }
}

impl<T, const N: usize> Points for [T; N]
where
    [T]: Points,
{
    fn points(&self) -> Result<Vec<(f64, f64)>> {
        self.as_slice().points()
    }
}

impl Points for Tensor {
    fn points(&self) -> Result<Vec<(f64, f64)>> {
        match self.dims() {
            [_] => Ok(indexed(self.values()?)),
            [_, 2] => Ok(self.values()?.chunks(2).map(|pair| (pair[0], pair[1])).collect()),
            dims => Err(Error::shape("points", dims, "[n, 2], or [n] to draw against the index")),
        }
    }
}

impl<X: Values, Y: Values> Points for (X, Y) {
    fn points(&self) -> Result<Vec<(f64, f64)>> {
        let (x, y) = (self.0.values()?, self.1.values()?);
        if x.len() != y.len() {
            let value = format!("{} x with {} y", x.len(), y.len());
            return Err(Error::argument("points", value, "two lists of one length"));
        }
        Ok(x.into_iter().zip(y).collect())
    }
}

impl<P: Points + ?Sized> Points for &P {
    fn points(&self) -> Result<Vec<(f64, f64)>> {
        (**self).points()
    }
}

/// Numbers beyond this have ranges that overflow.
const GREATEST: f64 = 1e300;

/// At least one number, every one of them finite.
pub(super) fn check_finite(name: &'static str, label: &str, values: &[f64]) -> Result<()> {
    check_drawable(name, label, values)?;
    match values.iter().position(|x| x.is_nan()) {
        Some(index) => Err(bad(name, label, values[index], index)),
        None => Ok(()),
    }
}

/// At least one number that is one, and none infinite: a line breaks at a NaN.
pub(super) fn check_drawable(name: &'static str, label: &str, values: &[f64]) -> Result<()> {
    if values.is_empty() {
        return Err(Error::argument(name, format!("empty{}", of(label)), "at least one number"));
    }
    if let Some(index) = values.iter().position(|x| x.abs() > GREATEST) {
        return Err(bad(name, label, values[index], index));
    }
    if values.iter().all(|x| x.is_nan()) {
        return Err(bad(name, label, f64::NAN, 0));
    }
    Ok(())
}

fn bad(name: &'static str, label: &str, value: f64, index: usize) -> Error {
    Error::argument(name, format!("{value:e} at index {index}{}", of(label)), "finite numbers")
}

fn of(label: &str) -> String {
    if label.is_empty() { String::new() } else { format!(" of “{label}”") }
}

/// The points of a named series, each coordinate checked by `check`.
pub(super) fn checked_points(
    label: &str,
    points: &(impl Points + ?Sized),
    check: fn(&'static str, &str, &[f64]) -> Result<()>,
) -> Result<Vec<(f64, f64)>> {
    let points = points.points()?;
    let (x, y): (Vec<_>, Vec<_>) = points.iter().copied().unzip();
    check("series", label, &x)?;
    check("series", label, &y)?;
    if points.iter().all(|(x, y)| x.is_nan() || y.is_nan()) {
        return Err(bad("series", label, f64::NAN, 0));
    }
    Ok(points)
}

/// A figure of nothing is a mistake.
pub(super) fn check_some<T>(name: &'static str, list: &[T]) -> Result<()> {
    if list.is_empty() { Err(Error::argument(name, "empty", "at least one")) } else { Ok(()) }
}
