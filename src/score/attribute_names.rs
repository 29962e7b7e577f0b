//! What a model calls the attributes that it can be told.

use crate::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// An attribute that a model can be told, with the names of its values in the order of their indices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeNames {
    /// What it is called: `class`, `hair`.
    pub name: String,
    /// What its values are called.
    pub values: Vec<String>,
}

/// The labels `[1, attributes]` in which the attributes named in `given` have the values named there, and the others are not
/// given.
pub(super) fn labels(
    attributes: &[AttributeNames],
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
