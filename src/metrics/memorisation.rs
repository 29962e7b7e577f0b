//! Whether generated images were learned by heart.

use super::neighbours::nearest;
use crate::{Error, Result};
use candle_core::Tensor;

/// How near generated images come to the images of the training, and how near images do that were not trained on.
///
/// A model that has learned the law has about the distances of the held-out images. Much smaller ones are copies; larger
/// ones are images unlike any.
#[derive(Clone, Debug, PartialEq)]
pub struct Memorisation {
    /// The distance of each generated image to the nearest one of the training, the root of the mean square over pixels.
    pub distances: Vec<f64>,
    /// Which one that is: to look at.
    pub nearest: Vec<usize>,
    /// The same distance of each held-out image.
    pub held_out: Vec<f64>,
}

impl Memorisation {
    /// Compares `generated` `[n, ...]` with `train` and `held_out`, in pixels. `None` if an interrupt ended it early.
    ///
    /// ```
    /// use scorebook::{prelude::*, metrics::Memorisation};
    ///
    /// let mut generator = Generator::new(7);
    /// let train = generator.normal((300, 1, 4, 4), &Device::Cpu)?;
    /// let held_out = generator.normal((300, 1, 4, 4), &Device::Cpu)?;
    /// // Half of what is generated is copied, with a little noise.
    /// let noise = (generator.normal((50, 1, 4, 4), &Device::Cpu)? * 0.01)?;
    /// let copies = (train.narrow(0, 100, 50)? + noise)?;
    /// let generated = Tensor::cat(&[copies, generator.normal((50, 1, 4, 4), &Device::Cpu)?], 0)?;
    /// let found = Memorisation::of(&generated, &train, &held_out)?.unwrap();
    /// assert_eq!(found.nearest[3], 103);
    /// assert!((found.suspicious() - 0.5).abs() < 0.1);
    /// let (generated, held_out) = found.medians();
    /// assert!(generated < held_out);
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the shapes of the images differ, or a set is empty.
    pub fn of(generated: &Tensor, train: &Tensor, held_out: &Tensor) -> Result<Option<Self>> {
        for (name, images) in [("generated", generated), ("train", train), ("held_out", held_out)] {
            if images.rank() < 2
                || images.elem_count() == 0
                || images.dims()[1..] != train.dims()[1..]
            {
                let expected = format!("at least one image of {:?}", &train.dims()[1..]);
                return Err(Error::shape(name, images.dims(), expected));
            }
        }
        let train = train.flatten_from(1)?;
        let pixels = train.dims()[1] as f64;
        let to_train = |images: &Tensor| -> Result<Option<(Vec<f64>, Vec<usize>)>> {
            let found = nearest(&images.flatten_from(1)?, &train, 1, false)?;
            let first = |best: Vec<(f64, usize)>| ((best[0].0 / pixels).sqrt(), best[0].1);
            Ok(found.map(|found| found.into_iter().map(first).unzip()))
        };
        let (Some((distances, nearest)), Some((held_out, _))) =
            (to_train(generated)?, to_train(held_out)?)
        else {
            return Ok(None);
        };
        Ok(Some(Self { distances, nearest, held_out }))
    }

    /// The share of the generated images that are nearer to the training than all but one in a hundred held-out ones:
    /// 0.01 where nothing was learned by heart.
    pub fn suspicious(&self) -> f64 {
        let limit = quantile(&self.held_out, 0.01);
        let near = self.distances.iter().filter(|distance| **distance < limit).count();
        near as f64 / self.distances.len() as f64
    }

    /// The median distance of the generated images, and that of the held-out ones.
    pub fn medians(&self) -> (f64, f64) {
        (quantile(&self.distances, 0.5), quantile(&self.held_out, 0.5))
    }
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(share * (sorted.len() - 1) as f64).round() as usize]
}
