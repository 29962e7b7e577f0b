//! A score that counts how often it is asked.

use super::{Score, checked_score};
use crate::Result;
use candle_core::Tensor;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A score that counts how often it is asked, and checks the shape of what it gives.
pub(crate) struct Counted<'a> {
    score: &'a dyn Score,
    evaluations: AtomicUsize,
}

impl<'a> Counted<'a> {
    pub fn new(score: &'a dyn Score) -> Self {
        Self { score, evaluations: AtomicUsize::new(0) }
    }

    pub fn evaluations(&self) -> usize {
        self.evaluations.load(Ordering::Relaxed)
    }
}

impl Score for Counted<'_> {
    fn score(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        checked_score(self.score, x, t)
    }
}
