//! What is known of each image of a set.

/// What is known of each image of a set: its class, whether the face wears glasses, the style of a drawing.
///
/// Where a set leaves something empty and that has a meaning (no glasses), it is a value of its own, named `none`.
///
/// ```
/// use scorebook::data::Attribute;
///
/// let glasses = Attribute::new("glasses", &["none", "dark", "light"], vec![0, 0, 2]);
/// assert_eq!((glasses.value_of(2), glasses.counts()), ("light", vec![2, 0, 1]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What it is called: `class`, `glasses`.
    pub name: String,
    /// The values that it can have.
    pub values: Vec<String>,
    /// The value of each image, an index into `values`.
    pub of: Vec<u8>,
}

impl Attribute {
    /// The attribute `name` with these values; `of` holds an index into them for each image.
    pub fn new(name: &str, values: &[&str], of: Vec<u8>) -> Self {
        let values = values.iter().map(|value| value.to_string()).collect();
        Self { name: name.into(), values, of }
    }

    /// The value of one image in words.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn value_of(&self, image: usize) -> &str {
        &self.values[self.of[image] as usize]
    }

    /// How many images have each value.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.values.len()];
        for &value in &self.of {
            counts[value as usize] += 1;
        }
        counts
    }

    /// The same of the images at `indices` alone.
    pub(super) fn select(&self, indices: &[u32]) -> Self {
        let of = indices.iter().map(|&index| self.of[index as usize]).collect();
        Self { of, ..self.clone() }
    }
}
