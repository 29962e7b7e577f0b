//! Toy data in the plane that have samples but no convenient density.

use crate::{Error, Result, random::Generator};
use candle_core::{Device, Tensor};
use rand::Rng;

/// Two interleaved half circles, `[n, 2]`: `(cos θ, sin θ)` and `(1 - cos θ, ½ - sin θ)` for uniform `θ` in
/// `[0, π]`, plus `N(0, noise² I)`.
///
/// ```
/// use scorebook::{prelude::*, distribution::toy, random::Generator};
///
/// let x = toy::two_moons(500, 0.05, &mut Generator::new(7), &Device::Cpu)?;
/// assert_eq!(x.dims(), [500, 2]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If `noise` is negative.
pub fn two_moons(
    n: usize,
    noise: f64,
    generator: &mut Generator,
    device: &Device,
) -> Result<Tensor> {
    if !(noise >= 0.0 && noise.is_finite()) {
        return Err(Error::argument("noise", noise, "a number of at least 0"));
    }
    let mut values = vec![0f32; 2 * n];
    generator.fill_normal(&mut values);
    for x in values.chunks_exact_mut(2) {
        let (sine, cosine) = (std::f64::consts::PI * generator.random::<f64>()).sin_cos();
        let moon = if generator.random() { [cosine, sine] } else { [1.0 - cosine, 0.5 - sine] };
        for (value, centre) in x.iter_mut().zip(moon) {
            *value = (centre + noise * f64::from(*value)) as f32;
        }
    }
    Ok(Tensor::from_vec(values, (n, 2), device)?)
}

/// Uniform points on the eight dark fields of a 4×4 board that covers `[-2, 2]²`, `[n, 2]`.
///
/// ```
/// use scorebook::{prelude::*, distribution::toy, random::Generator};
///
/// let x = toy::checkerboard(500, &mut Generator::new(7), &Device::Cpu)?;
/// let dark = |x: &Vec<f32>| (x[0].floor() + x[1].floor()) % 2.0 == 0.0;
/// assert!(x.to_vec2::<f32>()?.iter().all(dark));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the device cannot take the tensor.
pub fn checkerboard(n: usize, generator: &mut Generator, device: &Device) -> Result<Tensor> {
    let mut values = vec![0f32; 2 * n];
    generator.fill_uniform(&mut values);
    for x in values.chunks_exact_mut(2) {
        // The column is free, the row one of the two that make the field dark.
        let column = generator.random_range(-2..2i32);
        let row = 2 * generator.random_range(-1..1) + column.rem_euclid(2);
        x[0] = inside(column, x[0]);
        x[1] = inside(row, x[1]);
    }
    Ok(Tensor::from_vec(values, (n, 2), device)?)
}

/// The point at the share `u` of the interval from `start` to `start + 1`, its end left out.
fn inside(start: i32, u: f32) -> f32 {
    (start as f32 + u).min((start as f32 + 1.0).next_down())
}
