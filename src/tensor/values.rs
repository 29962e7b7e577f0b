//! From a tensor to plain numbers.

use crate::Result;
use candle_core::{DType, Device, Tensor};

/// The numbers of a tensor of any shape, on the host, in `f64`.
///
/// ```
/// use scorebook::{prelude::*, metrics::values};
///
/// assert_eq!(values(&Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu)?)?, [1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the device fails.
pub fn values(x: &Tensor) -> Result<Vec<f64>> {
    Ok(x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}
