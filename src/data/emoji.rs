//! Emoji-32: 5,485 emoji in four styles, 32×32 RGB.

use super::shipped;
use super::{Attribute, ImageSet, Split};
use crate::Result;
use candle_core::{Device, Tensor};
use std::path::PathBuf;

/// Emoji of four open sets, 32×32 RGB on white: 4,935 to train on, 550 to judge by.
///
/// Attributes: `category` (Smileys & Emotion, People & Body, Animals & Nature, Food & Drink, Travel & Places, Activities,
/// Objects, Symbols, Flags) and `style` (fluent-emoji-flat, noto, noto-v1, fxemoji). The categories are those of each set's
/// authors; fxemoji has six of its own, so that its smileys are People & Body, its food is Animals & Nature or Objects.
///
/// The same glyph is drawn in several styles, so the two parts are told apart by glyph: no glyph of the test set, nor
/// the same one of another gender, is in the training set in any style, and no test image is nearer to a training
/// image than 20 of 255 (root mean square over its pixels). How glyphs were told stands in `datasets/README.md`.
///
/// ```
/// use scorebook::{data::Emoji, prelude::*};
///
/// let emoji = Emoji::default().load(Split::Test)?;
/// assert_eq!((emoji.len(), emoji.shape()), (550, &[3, 32, 32][..]));
/// assert_eq!(emoji.attribute("style")?.values[3], "fxemoji");
/// # Ok::<(), scorebook::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Emoji {
    /// Look in this folder, and not among the shipped sets.
    pub folder: Option<PathBuf>,
}

const RECORDS: (&str, &str) =
    ("emoji32.bin.gz", "7bb03a03e2f7364853abafdbffb8a31e537bbf7776518ab70855703aca63fcac");
const GLYPHS: (&str, &str) =
    ("glyphs.tsv.gz", "a4c08996625bcd23673779f894cd32a307bed3d40a98deb2a34823fbb0293395");
/// Category, style, and the pixels of three channels.
const RECORD: usize = 2 + 3 * 32 * 32;

const CATEGORIES: [&str; 9] = [
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
];
const STYLES: [&str; 4] = ["fluent-emoji-flat", "noto", "noto-v1", "fxemoji"];

impl Emoji {
    /// The training or the test set.
    ///
    /// # Errors
    /// If a file is missing or broken.
    pub fn load(&self, split: Split) -> Result<ImageSet> {
        let folder = shipped::place("emoji-32", RECORDS.0, &self.folder);
        let bytes = shipped::file(&folder, RECORDS)?;
        let (records, _) = bytes.as_chunks::<RECORD>();
        let glyphs = shipped::file(&folder, GLYPHS)?;
        let part = match split {
            Split::Train => "train",
            Split::Test => "test",
        };
        let glyphs = String::from_utf8_lossy(&glyphs);
        // A line of glyphs belongs to a record: the glyph's name and the part that it is in.
        let parts = glyphs.lines().filter_map(|line| line.split('\t').nth(1));
        let chosen: Vec<_> =
            records.iter().zip(parts).filter(|(_, of)| *of == part).map(|(it, _)| it).collect();
        let attributes = vec![
            Attribute::new(
                "category",
                &CATEGORIES,
                chosen.iter().map(|record| record[0]).collect(),
            ),
            Attribute::new("style", &STYLES, chosen.iter().map(|record| record[1]).collect()),
        ];
        let pixels: Vec<u8> = chosen.iter().flat_map(|record| &record[2..]).copied().collect();
        let images = Tensor::from_vec(pixels, (chosen.len(), 3, 32, 32), &Device::Cpu)?;
        ImageSet::with_attributes("Emoji-32", &folder.display().to_string(), images, attributes)
    }
}
