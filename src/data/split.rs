//! The parts of a data set.

/// The part of a data set: what to train on, or what to judge by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What to train on.
    Train,
    /// What to judge by.
    Test,
}

impl Split {
    /// The indices of this part of `all` samples, the first `train` of which are to train on.
    pub(super) fn indices(self, train: usize, all: usize) -> Vec<u32> {
        let range = match self {
            Split::Train => 0..train,
            Split::Test => train..all,
        };
        range.map(|index| index as u32).collect()
    }
}
