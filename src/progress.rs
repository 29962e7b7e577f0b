//! One progress bar for notebooks and terminals.
