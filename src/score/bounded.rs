//! A score that knows the range of its data.

use super::{Score, checked_score};
use crate::{
    Error, Result,
    diffusion::{NoisingProcess, per_sample},
    tensor::values,
};
use candle_core::{Device, Tensor};
use std::{fmt, sync::Arc};

/// A score whose guess of the data, `x̂0 = (x_t + σ² s)/α` by Tweedie's formula, is cut to the range of the data:
///
/// `s' = (α min(max(x̂0, low), high) - x_t)/σ² = s + α/σ² (min(max(x̂0, low), high) - x̂0)`.
///
/// Data between `low` and `high` in each coordinate have their mean `E[x0|x_t]` there as well. So a guess beyond is an error of
/// the network, which the cut makes smaller in every coordinate; a score that makes no such errors stays as it is. It matters
/// where there is much noise, since the error of the score is magnified by `σ²/α` in the guess, and for guidance, which
/// follows the guess: what was cut has no derivative there, as what is known has no variance.
///
/// Source: Ho et al. 2020, whose program cuts the guess in each step (`clip_denoised`), as does most that came after. Guidance
/// at a large scale asks for more than black and white in many coordinates at once, which the cut leaves at the very limits;
/// [`by_quantile`](Self::by_quantile) scales back instead.
///
/// ```
/// use scorebook::{prelude::*, score::Bounded};
///
/// // A score that knows nothing of its data: the guess is x_t/α.
/// let process = VariancePreserving::default();
/// let score = Bounded::new(ScoreFunction::new(|x, _t| Ok(x.zeros_like()?)), process, (-1.0, 1.0))?;
/// let x = Tensor::new(&[[0.1f64, 5.0, -5.0]], &Device::Cpu)?;
/// let guess = tweedie(&process, &score, &x, 0.2)?.to_vec2::<f64>()?;
/// assert!((guess[0][0] - 0.1 / process.mean_scale(0.2)).abs() < 1e-12);
/// assert!((guess[0][1] - 1.0).abs() < 1e-12 && (guess[0][2] + 1.0).abs() < 1e-12);
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone)]
pub struct Bounded {
    score: Arc<dyn Score>,
    process: Arc<dyn NoisingProcess>,
    bounds: Bounds,
}

/// What a guess is brought into.
#[derive(Clone, Copy, Debug)]
enum Bounds {
    Range(f64, f64),
    Quantile(f64),
}

impl Bounded {
    /// The `score` of data noised by `process`, which lie between the two numbers of `range` in each coordinate: images
    /// between -1 and 1.
    ///
    /// # Errors
    /// If the range is empty or not of numbers.
    pub fn new(
        score: impl Score + 'static,
        process: impl NoisingProcess + 'static,
        range: (f64, f64),
    ) -> Result<Self> {
        if range.0.is_nan() || range.1.is_nan() || range.0 >= range.1 {
            let expected = "two numbers, the first less than the second";
            return Err(Error::argument("range", format!("{range:?}"), expected));
        }
        let bounds = Bounds::Range(range.0, range.1);
        Ok(Self { score: Arc::new(score), process: Arc::new(process), bounds })
    }

    /// The `score` of images from -1 to 1 noised by `process`, with dynamic thresholding: of the guesses at the pixels of each
    /// image, `q` is the `quantile` of `|x̂0|`, and where it is above 1 the image is cut there and scaled back,
    /// `clamp(x̂0, -q, q)/q`, so that fewer pixels end at the very limits.
    ///
    /// Source: Saharia et al. 2022, *Photorealistic text-to-image diffusion models*, section 2.3, with the quantile 0.995.
    ///
    /// # Errors
    /// If the quantile is not above 0 and at most 1.
    ///
    /// ```
    /// use scorebook::{prelude::*, score::Bounded};
    ///
    /// // A score that guesses x_t/α; the sizes are 0.5, 1.5 and 3, their median is 1.5.
    /// let process = VariancePreserving::default();
    /// let score = ScoreFunction::new(|x, _t| Ok(x.zeros_like()?));
    /// let score = Bounded::by_quantile(score, process, 0.5)?;
    /// let x = (Tensor::new(&[[0.5f64, -3.0, 1.5]], &Device::Cpu)? * process.mean_scale(0.2))?;
    /// let guess = tweedie(&process, &score, &x, 0.2)?.to_vec2::<f64>()?;
    /// assert!((guess[0][0] - 1.0 / 3.0).abs() < 1e-12);
    /// assert!((guess[0][1] + 1.0).abs() < 1e-12 && (guess[0][2] - 1.0).abs() < 1e-12);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    pub fn by_quantile(
        score: impl Score + 'static,
        process: impl NoisingProcess + 'static,
        quantile: f64,
    ) -> Result<Self> {
        if !(quantile > 0.0 && quantile <= 1.0) {
            return Err(Error::argument("quantile", quantile, "above 0 and at most 1"));
        }
        let bounds = Bounds::Quantile(quantile);
        Ok(Self { score: Arc::new(score), process: Arc::new(process), bounds })
    }

    fn cut(&self, score: Tensor, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let process = &*self.process;
        let variances = per_sample(t, x, |t| process.std(t).powi(2))?;
        let scales = per_sample(t, x, |t| process.mean_scale(t))?;
        let guess = (x + score.broadcast_mul(&variances)?)?.broadcast_div(&scales)?;
        let cut = match self.bounds {
            Bounds::Range(low, high) => guess.maximum(low)?.minimum(high)?,
            Bounds::Quantile(share) => {
                let limit = limits(&guess, share)?;
                let cut = guess.broadcast_minimum(&limit)?.broadcast_maximum(&limit.neg()?)?;
                cut.broadcast_div(&limit)?
            }
        };
        // Without noise the guess is the state, and there is nothing to say of the score.
        let weights = per_sample(t, x, |t| match process.std(t).powi(2) {
            variance if variance > 0.0 => process.mean_scale(t) / variance,
            _ => 0.0,
        })?;
        Ok((score + (cut - guess)?.broadcast_mul(&weights)?)?)
    }
}

/// The quantile of `|x|` of each sample, at least 1, with the rank of `x`. It is sorted on the host: a GPU sorts short rows
/// only.
fn limits(x: &Tensor, share: f64) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[0] = x.dim(0)?;
    let mut sizes = values(&x.detach().abs()?)?;
    let each = (sizes.len() / shape[0].max(1)).max(1);
    let rank = (share * (each - 1) as f64).round() as usize;
    let limits = sizes.chunks_exact_mut(each).map(|sizes| {
        let (_, limit, _) = sizes.select_nth_unstable_by(rank, f64::total_cmp);
        limit.max(1.0)
    });
    let limits = Tensor::from_vec(limits.collect::<Vec<f64>>(), shape, &Device::Cpu)?;
    Ok(limits.to_dtype(x.dtype())?.to_device(x.device())?)
}

impl Score for Bounded {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.cut(checked_score(&*self.score, x, t)?, x, t)
    }

    fn attributes(&self) -> &[usize] {
        self.score.attributes()
    }

    fn score_given(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        self.cut(self.score.score_given(x, t, labels)?, x, t)
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, bounds, .. } = self;
        write!(f, "Bounded to {bounds:?} under {process:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        diffusion::VariancePreserving,
        score::{ScoreFunction, tweedie},
    };
    use candle_core::{Device, Var};

    /// `x̂0` is twice the state for this one, at every time.
    fn twice() -> ScoreFunction {
        ScoreFunction::new(|x, t| {
            let process = VariancePreserving::default();
            let factor =
                per_sample(t, x, |t| (2.0 * process.mean_scale(t) - 1.0) / process.std(t).powi(2))?;
            Ok(x.broadcast_mul(&factor)?)
        })
    }

    #[test]
    fn the_guess_is_cut_and_has_no_derivative_beyond() {
        let process = VariancePreserving::default();
        let score = Bounded::new(twice(), process, (-0.5, 1.0)).unwrap();
        for t in [0.01, 0.3, 1.0] {
            let x = Var::new(&[[0.2f64, 0.7, -0.2, -0.3]], &Device::Cpu).unwrap();
            let guess = tweedie(&process, &score, &x, t).unwrap();
            let found = guess.to_vec2::<f64>().unwrap();
            for (found, expected) in found[0].iter().zip([0.4, 1.0, -0.4, -0.5]) {
                assert!((found - expected).abs() < 1e-9, "{t}: {found} for {expected}");
            }
            let gradients = guess.sum_all().unwrap().backward().unwrap();
            let slope = gradients.get(&x).unwrap().to_vec2::<f64>().unwrap();
            for (found, expected) in slope[0].iter().zip([2.0, 0.0, 2.0, 0.0]) {
                assert!((found - expected).abs() < 1e-9, "{t}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn within_the_range_and_without_noise_nothing_changes() {
        let process = VariancePreserving::default();
        let score = Bounded::new(twice(), process, (-10.0, 10.0)).unwrap();
        let x = Tensor::new(&[[0.3f32, -0.9], [2.0, 0.1]], &Device::Cpu).unwrap();
        let t = Tensor::new(&[0.1f32, 0.8], &Device::Cpu).unwrap();
        let pair = |score: &dyn Score| score.score(&x, &t).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(pair(&score), pair(&twice()));
        let constant = ScoreFunction::new(|x, _| Ok(x.ones_like()?));
        let score = Bounded::new(constant, process, (-1.0, 1.0)).unwrap();
        let at = score.score(&x, &Tensor::zeros(2, x.dtype(), &Device::Cpu).unwrap()).unwrap();
        assert_eq!(at.to_vec2::<f32>().unwrap(), [[1.0; 2]; 2]);
    }

    #[test]
    fn a_quantile_scales_each_image_back_that_is_beyond() {
        let process = VariancePreserving::default();
        for t in [0.01, 0.3, 0.9] {
            for (share, expected) in [
                (0.5, [[1.0 / 3.0, -1.0, 1.0], [0.5, -0.5, 0.25]]),
                (1.0, [[1.0 / 6.0, -1.0, 0.5], [0.5, -0.5, 0.25]]),
            ] {
                let score = Bounded::by_quantile(twice(), process, share).unwrap();
                let x = Tensor::new(&[[0.25f64, -1.5, 0.75], [0.25, -0.25, 0.125]], &Device::Cpu);
                let guess = tweedie(&process, &score, &x.unwrap(), t).unwrap();
                for (found, expected) in
                    guess.to_vec2::<f64>().unwrap().iter().flatten().zip(expected.as_flattened())
                {
                    assert!((found - expected).abs() < 1e-9, "{t}: {found} for {expected}");
                }
            }
        }
    }

    #[test]
    fn a_quantile_is_a_share() {
        for share in [0.0, 1.1, f64::NAN] {
            let error =
                Bounded::by_quantile(twice(), VariancePreserving::default(), share).unwrap_err();
            assert!(error.to_string().starts_with("`quantile` is "), "{error}");
        }
    }

    #[test]
    fn empty_ranges_are_errors() {
        for range in [(1.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0)] {
            let error = Bounded::new(twice(), VariancePreserving::default(), range).unwrap_err();
            assert!(error.to_string().starts_with("`range` is ("), "{error}");
        }
    }
}
