//! Labels that are left out in training, so that a network also learns the score without them.

use super::Source;
use crate::random::Generator;
use crate::score::{Network, checked_labels};
use crate::{Error, Result};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// How often labels are left out in training: what classifier-free guidance needs (Ho & Salimans 2022, algorithm 1, who take
/// 0.1 to 0.2), and what lets some attributes be given and others not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelDrop {
    /// The probability that all of a sample's labels are left out.
    pub all: f64,
    /// The probability that one of them is, for each by itself, where not all are.
    pub each: f64,
}

impl Default for LabelDrop {
    fn default() -> Self {
        Self { all: 0.1, each: 0.1 }
    }
}

impl LabelDrop {
    /// `labels` `[batch, attributes]` with some of them not given; `attributes` says how many values each has.
    ///
    /// ```
    /// use scorebook::{prelude::*, train::LabelDrop};
    ///
    /// let labels = Tensor::zeros((1000, 1), DType::U32, &Device::Cpu)?;
    /// let drop = LabelDrop { all: 0.2, each: 0.0 };
    /// let left = drop.apply(&labels, &[7], &mut Generator::new(1))?.flatten_all()?.to_vec1::<u32>()?;
    /// // 7 says that the attribute, which has seven values, is not given.
    /// let dropped = left.iter().filter(|label| **label == 7).count();
    /// assert!((150..250).contains(&dropped));
    /// # Ok::<(), scorebook::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the labels do not fit the attributes.
    pub fn apply(
        self,
        labels: &Tensor,
        attributes: &[usize],
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let batch = labels.dims().first().copied().unwrap_or(0);
        let mut values = checked_labels(labels, attributes, batch)?;
        let mut chances = vec![0f64; attributes.len() + 1];
        for row in values.chunks_exact_mut(attributes.len()) {
            generator.fill_uniform_f64(&mut chances);
            let all = chances[0] < self.all;
            for ((value, count), chance) in row.iter_mut().zip(attributes).zip(&chances[1..]) {
                if all || *chance < self.each {
                    *value = *count as u32;
                }
            }
        }
        Ok(Tensor::from_vec(values, labels.shape(), labels.device())?)
    }

    pub(super) fn check(self) -> Result<()> {
        for (name, value) in [("all", self.all), ("each", self.each)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::argument(name, value, "a probability from 0 to 1"));
            }
        }
        Ok(())
    }
}

/// The labels of the samples that `source` gives for the same step, where the network takes any.
pub(super) fn labels_of(
    source: &dyn Source,
    network: &dyn Network,
    step: u64,
    size: usize,
    order: &Generator,
) -> Result<Option<Tensor>> {
    let attributes = network.attributes();
    if attributes.is_empty() {
        return Ok(None);
    }
    let device = network.parameters().device();
    let Some(labels) = source.labels(step, size, order, &device)? else {
        let expected = format!(
            "one whose samples have labels, since the network takes {} attributes",
            attributes.len()
        );
        return Err(Error::argument("source", "without labels", expected));
    };
    checked_labels(&labels, attributes, size)?;
    Ok(Some(labels))
}
