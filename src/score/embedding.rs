//! How a network is told the time.

use crate::Result;
use candle_core::{D, Tensor};

/// Gaussian Fourier features of the time: `[sin 2πωt, cos 2πωt]` for random frequencies ω that are not trained.
///
/// `t` is `[batch]`, `frequencies` `[size]`; the result is `[batch, 2 size]`. Source: Tancik et al. 2020, equation (5);
/// Song's tutorial draws `ω ~ N(0, 30²)`.
///
/// # Errors
/// If one of the two is not a vector.
///
/// ```
/// use scorebook::{prelude::*, score::fourier_features};
///
/// let t = Tensor::new(&[0f32, 0.25], &Device::Cpu)?;
/// let features = fourier_features(&t, &Tensor::new(&[1f32], &Device::Cpu)?)?.to_vec2::<f32>()?;
/// assert_eq!(features[0], [0., 1.]);
/// assert!((features[1][0] - 1.).abs() < 1e-6 && features[1][1].abs() < 1e-6);
/// # Ok::<(), scorebook::Error>(())
/// ```
pub fn fourier_features(t: &Tensor, frequencies: &Tensor) -> Result<Tensor> {
    let phase = t.unsqueeze(1)?.broadcast_mul(&frequencies.unsqueeze(0)?)?;
    let phase = (phase * std::f64::consts::TAU)?;
    Ok(Tensor::cat(&[phase.sin()?, phase.cos()?], D::Minus1)?)
}
