//! Distances between samples and laws.
