//! The parts of a data set.

/// The part of a data set: what to train on, or what to judge by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What to train on.
    Train,
    /// What to judge by.
    Test,
}
