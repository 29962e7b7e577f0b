//! Figures on plotters, one function a plot kind.
