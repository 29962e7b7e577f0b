//! Implicit and sliced score matching: no truth, only samples.

use super::{DirectionalDerivative, denoising::mean_square};
use crate::{Error, Result, diffusion::NoisingProcess, random::Generator, score::Score};
use candle_core::Tensor;

/// `(2 ∇·s(x, t) + ‖s(x, t)‖²) / d` for each sample: explicit score matching less its constant, without the truth.
///
/// Integration by parts turns `E s·∇ log p_t` into `-E ∇·s`, so for `x` from `p_t` the mean is that of
/// [`explicit_score_matching`](super::explicit_score_matching) minus `E‖∇ log p_t‖²/d`, and lowest at the same score
/// (Hyvärinen 2005, theorem 1, who writes half of it: `tr ∇s + ½ ‖s‖²`). At the true score it is `-E‖∇ log p_t‖²/d`.
///
/// `x` is `[batch, ...]`, `t` is `[batch]`; the result is `[batch]`, differentiable where `score` is (a network as
/// [`Trainable`](crate::score::Trainable)). It costs two evaluations a coordinate.
///
/// ```
/// use scorebook::{prelude::*, train::{DirectionalDerivative, implicit_score_matching}};
///
/// // s = -a x on samples of N(0, I): the mean is a² - 2a, lowest at the true a = 1.
/// let x = Generator::new(1).normal((1000, 2), &Device::Cpu)?;
/// let t = Tensor::full(0.5f32, 1000, &Device::Cpu)?;
/// let loss = |a: f64| {
///     let score = ScoreFunction::new(move |x, _t| Ok((x * -a)?));
///     let terms = implicit_score_matching(&score, &VariancePreserving::default(), &x, &t, DirectionalDerivative::default())?;
///     Ok::<f32, scorebook::Error>(terms.mean_all()?.to_scalar()?)
/// };
/// assert!(loss(1.0)? < loss(0.8)? && loss(1.0)? < loss(1.2)?);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As [`DirectionalDerivative::along`].
pub fn implicit_score_matching(
    score: &dyn Score,
    process: &dyn NoisingProcess,
    x: &Tensor,
    t: &Tensor,
    derivative: DirectionalDerivative,
) -> Result<Tensor> {
    let dim = x.flatten_from(1)?.dim(1)? as f64;
    let divergence = derivative.divergence(score, process, x, t)?;
    Ok(((divergence * (2.0 / dim))? + mean_square(&score.score(x, t)?)?)?)
}

/// `(2 vᵀ∇s(x, t)v + ‖s(x, t)‖²) / d` for each sample, averaged over `projections` random directions `v` with entries ±1:
/// [`implicit_score_matching`] in expectation, at a cost that does not grow with the dimension.
///
/// `E vᵀ∇s v = ∇·s` since `E vvᵀ = I` (Song et al. 2019, *Sliced score matching*, equation 8, the variant with less
/// variance, which leaves `‖s‖²` whole; twice their objective).
///
/// ```
/// use scorebook::{prelude::*, train::DirectionalDerivative};
///
/// // Where the matrix of derivatives is diagonal, each direction of signs tells its whole trace.
/// let (process, score) = (VariancePreserving::default(), ScoreFunction::new(|x, _t| Ok((x * -2.0)?)));
/// let generator = &mut Generator::new(1);
/// let x = Tensor::new(&[[1f64, 2.0, 3.0]], &Device::Cpu)?;
/// let t = Tensor::new(&[0.5f64], &Device::Cpu)?;
/// let terms = sliced_score_matching(&score, &process, &x, &t, 1, DirectionalDerivative::default(), generator)?;
/// // (2 · (-6) + 4 · 14)/3.
/// assert!((terms.to_vec1::<f64>()?[0] - 44.0 / 3.0).abs() < 1e-9);
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// As [`DirectionalDerivative::along`], or if there is no projection.
pub fn sliced_score_matching(
    score: &dyn Score,
    process: &dyn NoisingProcess,
    x: &Tensor,
    t: &Tensor,
    projections: usize,
    derivative: DirectionalDerivative,
    generator: &mut Generator,
) -> Result<Tensor> {
    if projections == 0 {
        return Err(Error::argument("projections", 0, "at least 1"));
    }
    let dim = x.flatten_from(1)?.dim(1)? as f64;
    let mut terms = mean_square(&score.score(x, t)?)?;
    for _ in 0..projections {
        // The signs of independent normals.
        let v = generator.normal_like(x)?.sign()?;
        let along = derivative.along(score, process, x, t, &v)?;
        terms = (terms + (along * (2.0 / (dim * projections as f64)))?)?;
    }
    Ok(terms)
}
