//! The attributes of samples by name.

use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// An attribute of samples, with the names of its values in the order of their indices: what a model can be told, and what
/// a classifier tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// What it is called: `class`, or `hair`.
    pub name: String,
    /// The values that it can have.
    pub values: Vec<String>,
}

impl Label {
    /// The label `name` with these values.
    pub fn new<V: ToString>(name: &str, values: impl IntoIterator<Item = V>) -> Self {
        let values = values.into_iter().map(|value| value.to_string()).collect();
        Self { name: name.into(), values }
    }
}

/// The labels `[1, attributes]` in which the attributes named in `given` have the values named there, and the others are not
/// given.
pub(super) fn labels(
    attributes: &[Label],
    given: &[(&str, &str)],
    device: &Device,
) -> Result<Tensor> {
    let mut row: Vec<u32> = attributes.iter().map(|known| known.values.len() as u32).collect();
    for (name, value) in given {
        let Some(place) = attributes.iter().position(|known| known.name == *name) else {
            let names: Vec<&str> = attributes.iter().map(|known| known.name.as_str()).collect();
            let expected = match names.is_empty() {
                true => "none: the model was trained without labels".into(),
                false => format!("an attribute of the model: {}", names.join(", ")),
            };
            return Err(Error::argument("attribute", format!("{name:?}"), expected));
        };
        let values = &attributes[place].values;
        let Some(index) = values.iter().position(|known| known == value) else {
            let expected = format!("a value of {name}: {}", values.join(", "));
            return Err(Error::argument("value", format!("{value:?}"), expected));
        };
        row[place] = index as u32;
    }
    Ok(Tensor::from_vec(row, (1, attributes.len()), device)?)
}
