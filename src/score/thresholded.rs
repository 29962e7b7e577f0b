//! A score whose images keep to the range of images.

use super::{Score, checked_score};
use crate::diffusion::{NoisingProcess, per_sample};
use crate::tensor::values;
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use std::{fmt, sync::Arc};

/// A score of images from -1 to 1 whose guess at the data, `x̂0 = (x + σ² s)/α`, is brought back into that range:
/// `s' = (α x̂0' - x)/σ²`.
///
/// Strong guidance asks for more than black and white, and what lies outside feeds on itself from step to step. Static
/// thresholding cuts, `x̂0' = clamp(x̂0, -1, 1)` (the reference code of Ho et al. 2020 does it). Dynamic thresholding takes a
/// quantile `q` of `|x̂0|` over the numbers of each image, and where it is above 1 cuts there and scales back,
/// `x̂0' = clamp(x̂0, -q, q)/q`, so that fewer pixels end at the very limits (Saharia et al. 2022, *Photorealistic
/// text-to-image diffusion models*, section 2.3, with the quantile of 0.995).
///
/// Where all of the guess is in range the score is what it was. It is a change of the law all the same: the exact score
/// of images that lie within -1 and 1 has guesses within, so there it does nothing.
///
/// ```
/// use scorebook::{prelude::*, score::Thresholded};
///
/// // A score that believes the data at 3, which no image is.
/// let process = VariancePreserving::default();
/// let bright = GaussianScore::new(Gaussian::isotropic([3.0], 0.01)?, process);
/// let kept = Thresholded::new(bright, process, None)?;
/// let sampler = ProbabilityFlow { steps: 30, progress: false, ..Default::default() };
/// let x = sampler.sample(&process, &kept, &[20, 1], &mut Generator::new(1), &Device::Cpu)?.x;
/// assert!(x.max_all()?.to_scalar::<f32>()? < 1.0001 && x.min_all()?.to_scalar::<f32>()? > 0.9);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct Thresholded<S: Score> {
    score: S,
    process: Arc<dyn NoisingProcess>,
    quantile: Option<f64>,
}

impl<S: Score> Thresholded<S> {
    /// Keeps the images of `score`, the score of data noised by `process`, in range: cut at the limits without a `quantile`,
    /// scaled back by one.
    ///
    /// # Errors
    /// If the quantile is not above 0 and at most 1.
    pub fn new(
        score: S,
        process: impl NoisingProcess + 'static,
        quantile: Option<f64>,
    ) -> Result<Self> {
        match quantile {
            Some(share) if !(share > 0.0 && share <= 1.0) => {
                Err(Error::argument("quantile", share, "above 0 and at most 1"))
            }
            _ => Ok(Self { score, process: Arc::new(process), quantile }),
        }
    }

    /// `s + α (x̂0' - x̂0)/σ²`.
    fn keep(&self, score: &Tensor, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let process = &*self.process;
        let of = |f: &dyn Fn(f64) -> f64| per_sample(t, x, f);
        let noise = score.broadcast_mul(&of(&|t| process.std(t).powi(2))?)?;
        let data = (x + noise)?.broadcast_div(&of(&|t| process.mean_scale(t))?)?;
        let kept = match self.quantile {
            None => data.clamp(-1.0, 1.0)?,
            Some(share) => {
                let limit = limits(&data, share)?;
                let low = limit.neg()?;
                data.broadcast_minimum(&limit)?.broadcast_maximum(&low)?.broadcast_div(&limit)?
            }
        };
        let pull = of(&|t| process.mean_scale(t) / process.std(t).powi(2))?;
        Ok((score + (kept - data)?.broadcast_mul(&pull)?)?)
    }
}

/// The quantile of `|x|` of each sample, at least 1, with the rank of `x`. It is sorted on the host: a GPU sorts short rows
/// only.
fn limits(x: &Tensor, share: f64) -> Result<Tensor> {
    let batch = x.dim(0)?;
    let mut sizes = values(&x.detach().abs()?)?;
    let each = sizes.len() / batch.max(1);
    let rank = (share * (each - 1) as f64).round() as usize;
    let limits = sizes.chunks_exact_mut(each).map(|sizes| {
        let (_, limit, _) = sizes.select_nth_unstable_by(rank, f64::total_cmp);
        limit.max(1.0)
    });
    let mut shape = vec![1; x.rank()];
    shape[0] = batch;
    let limits = Tensor::from_vec(limits.collect::<Vec<f64>>(), shape, &Device::Cpu)?;
    Ok(limits.to_dtype(x.dtype())?.to_device(x.device())?)
}

impl<S: Score> Score for Thresholded<S> {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.keep(&checked_score(&self.score, x, t)?, x, t)
    }

    fn attributes(&self) -> &[usize] {
        self.score.attributes()
    }

    fn score_given(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        self.keep(&self.score.score_given(x, t, labels)?, x, t)
    }
}

impl<S: Score> fmt::Debug for Thresholded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thresholded").field("quantile", &self.quantile).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::VariancePreserving;
    use crate::score::{ScoreFunction, tweedie};

    /// The data that a score which says `guess` of every state is left with.
    fn left(guess: &[f64], quantile: Option<f64>, t: f64) -> Vec<f64> {
        let process = VariancePreserving::default();
        let guess = Tensor::from_slice(guess, (1, guess.len()), &Device::Cpu).unwrap();
        let x = (&guess * 0.3).unwrap();
        let score = ScoreFunction::new(move |x, t| {
            let (scale, variance) = (
                per_sample(t, x, |t| process.mean_scale(t))?,
                per_sample(t, x, |t| process.std(t).powi(2))?,
            );
            Ok((guess.broadcast_mul(&scale)? - x)?.broadcast_div(&variance)?)
        });
        let kept = Thresholded::new(score, process, quantile).unwrap();
        values(&tweedie(&process, &kept, &x, t).unwrap()).unwrap()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
        }
    }

    #[test]
    fn a_guess_in_range_stays_and_one_outside_is_brought_back() {
        for t in [0.01, 0.3, 0.9] {
            assert_close(&left(&[0.5, -1.0, 0.0], None, t), &[0.5, -1.0, 0.0]);
            assert_close(&left(&[0.5, -1.0, 0.0], Some(0.9), t), &[0.5, -1.0, 0.0]);
            assert_close(&left(&[0.5, -0.6, 0.0], Some(0.5), t), &[0.5, -0.6, 0.0]);
            assert_close(&left(&[0.5, -3.0, 1.5], None, t), &[0.5, -1.0, 1.0]);
            // The median of the sizes 0.5, 1.5, 3 is 1.5.
            assert_close(&left(&[0.5, -3.0, 1.5], Some(0.5), t), &[1.0 / 3.0, -1.0, 1.0]);
            assert_close(&left(&[0.5, -3.0, 1.5], Some(1.0), t), &[1.0 / 6.0, -1.0, 0.5]);
        }
    }

    #[test]
    fn a_quantile_is_a_share() {
        let score = ScoreFunction::new(|x, _t| Ok(x.neg()?));
        for share in [0.0, 1.1, f64::NAN] {
            let error = Thresholded::new(score.clone(), VariancePreserving::default(), Some(share))
                .unwrap_err();
            assert!(error.to_string().contains("`quantile`"), "{error}");
        }
    }
}
