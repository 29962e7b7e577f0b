//! Precision and recall of generated images.

use super::Features;
use super::neighbours::{nearest, within};
use crate::{Error, Result};

/// How much of one set of features the manifold of the other covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecall {
    /// The share of the generated images that lie on the manifold of the real ones: their quality.
    pub precision: f64,
    /// The share of the real images that lie on the manifold of the generated ones: their variety.
    pub recall: f64,
}

/// Precision and recall of generated features against real ones (Kynkäänniemi et al. 2019, equations 1 and 2).
///
/// The manifold of a set is the union of the balls about its points that reach their `neighbours`-th nearest neighbour in
/// it; the paper takes 3. Take as many real images as generated ones: both numbers fall and rise with the sizes. `None` if
/// an interrupt ended it early.
///
/// ```
/// use scorebook::{prelude::*, metrics::{Features, precision_recall}};
///
/// // Two of four modes, well drawn.
/// let features = |modes: usize, seed| -> scorebook::Result<Features> {
///     let points = Mixture::ring(4, 10.0, 0.1)?.sample(400, &mut Generator::new(seed), &Device::Cpu)?;
///     let points = points.to_vec2::<f32>()?;
///     let some: Vec<f32> = points.into_iter().filter(|x| modes == 4 || x[0] + x[1] > 0.0).flatten().collect();
///     Features::new(Tensor::from_vec(some.clone(), (some.len() / 2, 2), &Device::Cpu)?, "identity", "points")
/// };
/// let found = precision_recall(&features(4, 1)?, &features(2, 2)?, 3)?.unwrap();
/// assert!(found.precision > 0.9 && (0.35..0.65).contains(&found.recall));
/// # Ok::<(), scorebook::Error>(())
/// ```
///
/// # Errors
/// If the features are of different nets, or a set has not more than `neighbours` images.
pub fn precision_recall(
    real: &Features,
    generated: &Features,
    neighbours: usize,
) -> Result<Option<PrecisionRecall>> {
    real.check_same_net(generated)?;
    let fewest = real.len().min(generated.len());
    if neighbours == 0 || neighbours >= fewest {
        let expected = format!("from 1 to {}, one less than the smaller set", fewest - 1);
        return Err(Error::argument("neighbours", neighbours, expected));
    }
    let covered = |x: &Features, by: &Features| -> Result<Option<f64>> {
        let Some(own) = nearest(by.values(), by.values(), neighbours, true)? else {
            return Ok(None);
        };
        let radii: Vec<f64> = own.iter().map(|best| best[neighbours - 1].0).collect();
        let inside = within(x.values(), by.values(), &radii)?;
        let share = |inside: Vec<bool>| {
            inside.iter().filter(|inside| **inside).count() as f64 / inside.len() as f64
        };
        Ok(inside.map(share))
    };
    let (precision, recall) = (covered(generated, real)?, covered(real, generated)?);
    Ok(precision.zip(recall).map(|(precision, recall)| PrecisionRecall { precision, recall }))
}
