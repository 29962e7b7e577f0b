//! The size of a residual U-Net.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The groups of every normalisation.
pub(super) const GROUPS: usize = 8;

/// The size of a [`ResidualUnet`](super::ResidualUnet). The default has 1.1 million parameters.
///
/// ```
/// use scorebook::score::ResidualUnetSettings;
///
/// // One for a GPU: 64×64 RGB, attention at 16×16 and 8×8.
/// let large = ResidualUnetSettings {
///     image_channels: 3,
///     channels: vec![128, 256, 256, 256],
///     blocks: 2,
///     attention: vec![2, 3],
///     embedding: 512,
///     dropout: 0.1,
///     ..Default::default()
/// };
/// let json = serde_json::to_string(&large)?;
/// assert_eq!(serde_json::from_str::<ResidualUnetSettings>(&json)?, large);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResidualUnetSettings {
    /// The channels of the images: 1 for grey, 3 for RGB.
    pub image_channels: usize,
    /// The channels of each level, finest first; each level has half the pixels a side of the one before. Multiples of 8,
    /// at least 16.
    pub channels: Vec<usize>,
    /// How many residual blocks each level has on the way down, and again on the way up.
    pub blocks: usize,
    /// The levels, counted from 0 at the finest, whose blocks are followed by self-attention.
    pub attention: Vec<usize>,
    /// The length of the embedding of time and labels, an even number.
    pub embedding: usize,
    /// With which probability a number inside a block is dropped in training.
    pub dropout: f64,
    /// How many values each attribute has that the network can be told; empty where it is told none.
    pub attributes: Vec<usize>,
    /// The standard deviation of the data, `σ_data` in EDM.
    pub data_std: f64,
}

impl Default for ResidualUnetSettings {
    fn default() -> Self {
        Self {
            image_channels: 1,
            channels: vec![32, 64, 96],
            blocks: 1,
            attention: vec![2],
            embedding: 128,
            dropout: 0.0,
            attributes: vec![],
            data_std: 0.5,
        }
    }
}

impl ResidualUnetSettings {
    /// By what a side of the images must be divisible.
    pub(super) fn divisor(&self) -> usize {
        1 << (self.channels.len() - 1)
    }

    pub(super) fn check(&self) -> Result<()> {
        for (name, value) in [("image_channels", self.image_channels), ("blocks", self.blocks)] {
            if value == 0 {
                return Err(Error::argument(name, 0, "at least 1"));
            }
        }
        let fits = |c: &usize| *c >= 2 * GROUPS && c.is_multiple_of(GROUPS);
        // Images of 2¹⁶ pixels a side are beyond every memory.
        if !(1..=16).contains(&self.channels.len()) || !self.channels.iter().all(fits) {
            let expected = "one to 16 levels, each a multiple of 8 from 16 on";
            return Err(Error::argument("channels", format!("{:?}", self.channels), expected));
        }
        if let Some(level) = self.attention.iter().find(|level| **level >= self.channels.len()) {
            let expected = format!("levels less than {}, their number", self.channels.len());
            return Err(Error::argument("attention", level, expected));
        }
        if self.embedding == 0 || !self.embedding.is_multiple_of(2) {
            return Err(Error::argument("embedding", self.embedding, "an even number, at least 2"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            let expected = "a probability from 0 up to but not including 1";
            return Err(Error::argument("dropout", self.dropout, expected));
        }
        match self.attributes.contains(&0) {
            true => Err(Error::argument("attributes", 0, "at least one value an attribute")),
            false => Ok(()),
        }
    }
}
