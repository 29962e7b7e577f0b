//! Between two samples, by way of their noise.

use super::Sampler;
use crate::{Error, Result, diffusion::NoisingProcess, score::Score, tensor::values};
use candle_core::{Device, Tensor};

/// The way along the great circle from `a` to `b`, `[batch, ...]` both, at a `share` from 0 to 1:
/// `(sin((1-u)θ) a + sin(uθ) b)/sin θ`, where `θ` is the angle between the two samples.
///
/// Normal vectors of many dimensions lie near a sphere; on the straight line between two of them the length falls to
/// `1/√2` of it, where the law of the noise has nothing (Shoemake 1985; Song, Meng and Ermon 2021, appendix D.5).
///
/// ```
/// use scorebook::{prelude::*, sample::spherical};
///
/// let a = Tensor::new(&[[1f64, 0.0]], &Device::Cpu)?;
/// let b = Tensor::new(&[[0f64, 2.0]], &Device::Cpu)?;
/// let middle = spherical(&a, &b, 0.5)?.to_vec2::<f64>()?;
/// assert!((middle[0][0] - 0.5f64.sqrt()).abs() < 1e-12 && (middle[0][1] - 2f64.sqrt()).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the shapes are not the same `[batch, ...]`, or `share` is not in `[0, 1]`.
pub fn spherical(a: &Tensor, b: &Tensor, share: f64) -> Result<Tensor> {
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::argument("share", share, "a number in [0, 1]"));
    }
    if a.rank() == 0 || a.dims() != b.dims() {
        let expected = format!("[batch, ...], the shape of `a`, which is {:?}", a.dims());
        return Err(Error::shape("b", b.dims(), expected));
    }
    let sums = |x: Tensor| -> Result<Vec<f64>> { values(&x.reshape((a.dim(0)?, ()))?.sum(1)?) };
    let (inner, of_a, of_b) = (sums((a * b)?)?, sums(a.sqr()?)?, sums(b.sqr()?)?);
    let weights = inner.iter().zip(of_a.iter().zip(&of_b)).map(|(inner, (of_a, of_b))| {
        let cosine = (inner / (of_a * of_b).sqrt()).clamp(-1.0, 1.0);
        let angle = cosine.acos();
        // Where both point the same way, or one is 0, the straight line is all there is.
        if angle.is_nan() || angle.sin() < 1e-6 {
            return (1.0 - share, share);
        }
        (((1.0 - share) * angle).sin() / angle.sin(), (share * angle).sin() / angle.sin())
    });
    let (first, second): (Vec<f64>, Vec<f64>) = weights.unzip();
    let mut shape = vec![1; a.rank()];
    shape[0] = first.len();
    let weighed = |x: &Tensor, weights: Vec<f64>| -> Result<Tensor> {
        let weights = Tensor::from_vec(weights, shape.clone(), &Device::Cpu)?;
        Ok(x.broadcast_mul(&weights.to_dtype(x.dtype())?.to_device(x.device())?)?)
    };
    Ok((weighed(a, first)? + weighed(b, second)?)?)
}

/// Samples between two: `a` and `b`, `[batch, ...]` both, are encoded, and the noise between them,
/// [`spherical`], decoded. `[shares, batch, ...]`.
///
/// ```
/// use scorebook::{prelude::*, sample::interpolate};
///
/// let (process, law) = (VariancePreserving::default(), Mixture::ring(8, 2.0, 0.15)?);
/// let score = MixtureScore::new(law.clone(), process);
/// let data = law.sample(64, &mut Generator::new(7), &Device::Cpu)?;
/// let (a, b) = (data.narrow(0, 0, 32)?, data.narrow(0, 32, 32)?);
/// let sampler = ProbabilityFlow { progress: false, ..Default::default() };
/// let between = interpolate(&sampler, &process, &score, &a, &b, &[0.0, 0.5, 1.0])?;
/// assert_eq!(between.dims(), [3, 32, 2]);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the sampler is not [deterministic](Sampler::is_deterministic) or fails, or as for [`spherical`].
pub fn interpolate(
    sampler: &dyn Sampler,
    process: &dyn NoisingProcess,
    score: &dyn Score,
    a: &Tensor,
    b: &Tensor,
    shares: &[f64],
) -> Result<Tensor> {
    let noise = (sampler.encode(process, score, a)?.x, sampler.encode(process, score, b)?.x);
    let mut between = Vec::with_capacity(shares.len());
    for share in shares {
        let noise = spherical(&noise.0, &noise.1, *share)?;
        between.push(sampler.decode(process, score, &noise)?.x);
    }
    if between.is_empty() {
        return Err(Error::argument("shares", "[]", "at least one"));
    }
    Ok(Tensor::stack(&between, 0)?)
}
