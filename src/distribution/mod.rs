//! Densities with `log_prob`, score and exact sampling.
