//! What a network may be told beside the state and the time.

use crate::random::Generator;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// What a [`Network`](super::Network) may be told beside `x` and `t`: labels, and in training which of its numbers to
/// drop. By default nothing.
///
/// Labels are `[batch, attributes]` in U32: the index of each attribute's value, and the number of its values where it is
/// not given. Images of ten classes have one attribute; a label of 10 says nothing of the class.
///
/// ```
/// use scorebook::{prelude::*, score::{Condition, ResidualUnet, ResidualUnetSettings}};
///
/// let settings = ResidualUnetSettings { attributes: vec![10], ..Default::default() };
/// let mut generator = Generator::new(1);
/// let process = VariancePreserving::default().into();
/// let network = ResidualUnet::new(settings, process, &mut generator, &Device::Cpu)?;
/// let (x, t) = (generator.normal((2, 1, 8, 8), &Device::Cpu)?, Tensor::new(&[0.1f32, 0.9], &Device::Cpu)?);
/// // The first image is of class 3, of the second nothing is known.
/// let labels = Tensor::new(&[[3u32], [10]], &Device::Cpu)?;
/// let condition = Condition { labels: Some(labels), ..Default::default() };
/// assert_eq!(network.noise_output_given(&x, &t, &condition)?.dims(), x.dims());
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// The values of the attributes, `[batch, attributes]` in U32; `None` where none of any sample is given.
    pub labels: Option<Tensor>,
    /// A generator for each sample, from which its dropout is drawn; `None` drops nothing, as in sampling.
    pub dropout: Option<Vec<Generator>>,
}

impl Condition {
    /// That of `size` samples from number `from` on.
    pub(crate) fn part(&self, from: usize, size: usize) -> Result<Self> {
        Ok(Self {
            labels: self.labels.as_ref().map(|labels| labels.narrow(0, from, size)).transpose()?,
            dropout: self.dropout.as_ref().map(|all| all[from..from + size].to_vec()),
        })
    }
}

/// The error of a score that takes no labels.
pub(super) fn no_labels() -> Error {
    Error::argument("labels", "given", "none: this score knows of no attributes")
}

/// Labels as plain numbers, one row after the other, if they are `[batch, attributes]` with values that there are.
pub(crate) fn checked_labels(
    labels: &Tensor,
    attributes: &[usize],
    batch: usize,
) -> Result<Vec<u32>> {
    if labels.dims() != [batch, attributes.len()] {
        let expected = format!("[{batch}, {}], a value of each attribute", attributes.len());
        return Err(Error::shape("labels", labels.dims(), expected));
    }
    if labels.dtype() != DType::U32 {
        return Err(Error::argument("labels", format!("{:?}", labels.dtype()), "of the type U32"));
    }
    let values = labels.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<u32>()?;
    for (i, value) in values.iter().enumerate() {
        let attribute = i % attributes.len();
        let count = attributes[attribute];
        if *value as usize > count {
            let expected = format!(
                "less than {count}, the number of values of attribute {attribute}, or {count} for not given"
            );
            return Err(Error::argument("labels", value, expected));
        }
    }
    Ok(values)
}

/// Labels `[batch, attributes]` that give nothing.
pub(crate) fn not_given(attributes: &[usize], batch: usize, device: &Device) -> Result<Tensor> {
    let row: Vec<u32> = attributes.iter().map(|count| *count as u32).collect();
    Ok(Tensor::from_vec(row.repeat(batch), (batch, attributes.len()), device)?)
}
