//! Scores of classes that are known one by one.

use super::condition::checked_labels;
use super::{Score, checked_score};
use crate::Result;
use candle_core::Tensor;
use std::{fmt, sync::Arc};

/// A score that is known for all data and for each class: one attribute, the class, whose values the scores are.
///
/// With exact scores it is what conditional networks and guidance are checked against. See [`Given`](super::Given) for an
/// example.
#[derive(Clone)]
pub struct ByClass {
    whole: Arc<dyn Score>,
    classes: Vec<Arc<dyn Score>>,
    counts: [usize; 1],
}

impl ByClass {
    /// The score `whole` of all data, and one for each class.
    pub fn new<S: Score + 'static>(
        whole: impl Score + 'static,
        classes: impl IntoIterator<Item = S>,
    ) -> Self {
        let class = |score: S| -> Arc<dyn Score> { Arc::new(score) };
        let classes: Vec<_> = classes.into_iter().map(class).collect();
        Self { whole: Arc::new(whole), counts: [classes.len()], classes }
    }
}

impl Score for ByClass {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.whole.score(x, t)
    }

    fn attributes(&self) -> &[usize] {
        &self.counts
    }

    fn score_given(&self, x: &Tensor, t: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let batch = x.dims().first().copied().unwrap_or(0);
        let labels = checked_labels(labels, &self.counts, batch)?;
        // Each score is asked for its own samples; then they are put back into their order.
        let (mut parts, mut order) = (vec![], vec![]);
        for (class, score) in self.classes.iter().chain([&self.whole]).enumerate() {
            let members = (0..batch as u32).filter(|&i| labels[i as usize] as usize == class);
            let members: Vec<u32> = members.collect();
            if members.is_empty() {
                continue;
            }
            let index = Tensor::from_slice(&members, members.len(), x.device())?;
            let select = |all: &Tensor| all.index_select(&index, 0);
            parts.push(checked_score(score, &select(x)?, &select(t)?)?);
            order.extend(members);
        }
        let mut places = vec![0u32; batch];
        for (place, sample) in order.into_iter().enumerate() {
            places[sample as usize] = place as u32;
        }
        let places = Tensor::from_vec(places, batch, x.device())?;
        Ok(Tensor::cat(&parts, 0)?.index_select(&places, 0)?)
    }
}

impl fmt::Debug for ByClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ByClass({} classes)", self.classes.len())
    }
}
