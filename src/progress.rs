//! One progress bar for notebooks and terminals.

mod bar;
mod reading;

pub use bar::Progress;
