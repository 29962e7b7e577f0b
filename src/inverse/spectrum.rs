//! A linear measurement of few coordinates, taken apart.

use super::Measurement;
use crate::{Error, Result, distribution::symmetric_eigen};
use candle_core::{DType, Device, Tensor};

/// The measurement of `z`, where `x = c + L z`, in the principal axes `u = Vᵀ z` of `(A L)ᵀ A L = V diag(e) Vᵀ`: each
/// coordinate by itself is measured as `ỹ_i = u_i + noise` of the variance `τ_i = σ_y²/e_i`, or not at all.
#[derive(Clone, Debug)]
pub(super) struct Spectrum {
    /// The axes `V`, as columns, row after row.
    pub axes: Vec<f64>,
    /// `(ỹ_i, τ_i)`, or none where nothing is measured.
    pub measured: Vec<Option<(f64, f64)>>,
}

impl Spectrum {
    /// With the centre `c` and the columns of `L`, row after row.
    pub fn new(measurement: &Measurement, centre: &[f64], factor: &[f64]) -> Result<Self> {
        let linear = measurement.linear("a posterior in closed form")?;
        let dim = centre.len();
        let y = measurement.y().to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        if y.dims()[0] != 1 {
            let expected = "[1, ...]: a closed form is that of one measurement";
            return Err(Error::shape("y", y.dims(), expected));
        }
        let mut shape = linear.adjoint(&y)?.dims().to_vec();
        if shape.iter().product::<usize>() != dim {
            let expected = format!("the measurement of {dim} numbers, as the prior has");
            return Err(Error::shape("y", y.dims(), expected));
        }
        let centre = Tensor::from_slice(centre, &*shape, &Device::Cpu)?;
        let offset = measurement.residual(&centre)?.flatten_all()?.to_vec1::<f64>()?;
        // The rows of Lᵀ are its columns.
        let columns = Tensor::from_slice(factor, (dim, dim), &Device::Cpu)?.t()?.contiguous()?;
        shape[0] = dim;
        let images = linear.apply(&columns.reshape(shape)?)?.flatten_from(1)?;
        let square = images.matmul(&images.t()?)?.flatten_all()?.to_vec1::<f64>()?;
        let (values, axes) = symmetric_eigen(&square, dim);
        let images = images.to_vec2::<f64>()?;
        let pulled: Vec<f64> =
            images.iter().map(|row| row.iter().zip(&offset).map(|(a, y)| a * y).sum()).collect();
        let least = 1e-12 * values.iter().copied().fold(0.0, f64::max);
        let variance = measurement.std().powi(2);
        let measured = values.iter().enumerate().map(|(i, value)| {
            let along: f64 = (0..dim).map(|j| axes[j * dim + i] * pulled[j]).sum();
            (*value > least).then(|| (along / value, variance / value))
        });
        Ok(Self { measured: measured.collect(), axes })
    }

    /// `Vᵀ v`.
    pub fn along(&self, v: &[f64]) -> Vec<f64> {
        let dim = v.len();
        (0..dim).map(|i| (0..dim).map(|j| self.axes[j * dim + i] * v[j]).sum()).collect()
    }
}
