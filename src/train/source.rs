//! Where batches come from.

use crate::distribution::{Density, Gaussian, Mixture, Ring};
use crate::random::Generator;
use crate::{Error, Result};
use candle_core::{Device, Tensor};

/// Where the batches of a training come from.
///
/// A batch is a function of the step and the seed alone, so that a training that is resumed sees the batches that it
/// would have seen.
///
/// ```
/// use scorebook::prelude::*;
///
/// // Ten samples, of which an epoch of three batches takes nine, in an order of its own.
/// let samples = Tensor::arange(0f32, 10.0, &Device::Cpu)?;
/// let mut seen = vec![];
/// for step in 0..3 {
///     seen.extend(samples.batch(step, 3, &Generator::new(1), &Device::Cpu)?.to_vec1::<f32>()?);
/// }
/// seen.sort_by(f32::total_cmp);
/// assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
/// // A law has no epochs.
/// assert_eq!((samples.count(), Gaussian::standard(2).count()), (Some(10), None));
/// # Ok::<(), scorebook::Error>(())
/// ```
pub trait Source: Sync {
    /// The batch of `size` samples for one step, `[size, ...]` in F32, scaled as the network shall see it.
    ///
    /// # Errors
    /// If the source has fewer than `size` samples.
    fn batch(
        &self,
        step: u64,
        size: usize,
        generator: &Generator,
        device: &Device,
    ) -> Result<Tensor>;

    /// How many samples an epoch has; `None` where every batch is drawn afresh.
    fn count(&self) -> Option<usize>;

    /// What is known of the samples that [`Source::batch`] gives for the same arguments: `[size, attributes]` in U32, the
    /// index of each attribute's value. `None` where nothing is.
    ///
    /// # Errors
    /// If the source has fewer than `size` samples.
    fn labels(
        &self,
        _step: u64,
        _size: usize,
        _generator: &Generator,
        _device: &Device,
    ) -> Result<Option<Tensor>> {
        Ok(None)
    }
}

/// The indices of the batch of one step: every epoch takes a finite set in a new order, without the incomplete batch
/// at its end.
pub(crate) fn epoch_indices(
    count: usize,
    step: u64,
    size: usize,
    generator: &Generator,
) -> Result<Tensor> {
    if size == 0 || size > count {
        return Err(Error::argument("batch", size, format!("1 to {count}, the number of samples")));
    }
    let batches = (count / size) as u64;
    let order = generator.child(step / batches).permutation(count);
    let from = (step % batches) as usize * size;
    Ok(Tensor::from_slice(&order[from..from + size], size, &Device::Cpu)?)
}

/// A tensor `[samples, ...]` is a finite set of samples.
impl Source for Tensor {
    fn batch(
        &self,
        step: u64,
        size: usize,
        generator: &Generator,
        device: &Device,
    ) -> Result<Tensor> {
        let count = self.dims().first().copied().unwrap_or(0);
        let indices = epoch_indices(count, step, size, generator)?.to_device(self.device())?;
        Ok(self.index_select(&indices, 0)?.to_device(device)?)
    }

    fn count(&self) -> Option<usize> {
        self.dims().first().copied()
    }
}

/// A law is an endless source: every batch is drawn afresh.
macro_rules! draws {
    ($($law:ty),*) => {$(
        impl Source for $law {
            fn batch(
                &self,
                step: u64,
                size: usize,
                generator: &Generator,
                device: &Device,
            ) -> Result<Tensor> {
                self.sample(size, &mut generator.child(step), device)
            }

            fn count(&self) -> Option<usize> {
                None
            }
        }
    )*};
}
draws!(Gaussian, Mixture, Ring);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_takes_every_sample_once_in_a_new_order() {
        let points = Tensor::arange(0f32, 10., &Device::Cpu).unwrap();
        let generator = Generator::new(3);
        let epoch = |epoch: u64| -> Vec<f32> {
            let batch = |i| points.batch(5 * epoch + i, 2, &generator, &Device::Cpu).unwrap();
            (0..5).flat_map(|i| batch(i).to_vec1::<f32>().unwrap()).collect()
        };
        let (first, second) = (epoch(0), epoch(1));
        assert_ne!(first, second);
        for mut order in [first, second] {
            order.sort_by(f32::total_cmp);
            assert_eq!(order, (0..10).map(|i| i as f32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn too_large_a_batch_is_an_error() {
        let points = Tensor::arange(0f32, 10., &Device::Cpu).unwrap();
        let error = points.batch(0, 11, &Generator::new(3), &Device::Cpu).unwrap_err();
        let expected = "`batch` is 11; expected 1 to 10, the number of samples";
        assert_eq!(error.to_string(), expected);
    }
}
