//! Figures, one function a kind.
//!
//! | function | draws |
//! |---|---|
//! | [`line`](fn@line), [`reference`](fn@reference), [`band`] | functions and paths, dashed lines to compare with, shaded ranges |
//! | [`histogram`] | samples on a line as densities |
//! | [`scatter`] | samples in the plane |
//! | [`heat_map`], [`signed_map`] | densities and signed fields on a grid |
//! | [`vector_field`] | arrows: scores, drifts |
//! | [`trajectories`], [`mean_band`], [`phase_plane`] | many paths over time or in the plane |
//! | [`orders`] | errors of solvers over the length of their steps |
//! | [`image_grid`] | images |
//! | [`side_by_side`], [`stacked`] | figures in a row or a column |
//! | [`svg`] | whatever you draw with [`plotters`] |
//!
//! Each returns a [`Figure`], whose methods set titles, labels, limits and logarithmic axes, lay
//! one figure over another, and give SVG or PNG. Data are whatever is [`Values`] or [`Points`]:
//! lists, pairs, tensors.
//!
//! ```
//! use scorebook::plot;
//!
//! let exact = plot::curve(-4., 4., |x| (-x * x / 2.).exp() / (2. * std::f64::consts::PI).sqrt());
//! let samples: Vec<f64> = (1..500).map(|i| (i as f64 / 500.)).map(|u| (u / (1. - u)).ln() / 1.7).collect();
//! plot::histogram(&[("samples", &samples)], 30)?
//!     .overlay(plot::reference(&[("N(0, 1)", &exact)])?)?
//!     .title("Samples and their density")
//!     .x_label("x")
//! # .svg()?;
//! # Ok::<(), scorebook::Error>(())
//! ```
//!
//! A figure becomes a list of shapes in its own pixels (`shape`), which the backends of the package
//! `plotters` then draw as SVG (`vector`) or as pixels (`bitmap`); both come from one layout.

mod axis;
mod bitmap;
mod chart;
mod colour;
mod data;
mod direct;
mod display;
mod figure;
mod heat_map;
mod histogram;
mod image_grid;
mod line;
mod mark;
mod orders;
mod pen;
mod picture;
mod scatter;
mod shape;
mod side_by_side;
#[cfg(test)]
mod tests;
mod text;
mod trajectories;
mod vector;
mod vector_field;

pub use data::{Points, Values};
pub use direct::svg;
pub use figure::Figure;
pub use heat_map::{grid, heat_map, signed_map};
pub use histogram::histogram;
pub use image_grid::image_grid;
pub use line::{band, curve, line, reference};
pub use orders::orders;
pub use scatter::scatter;
pub use side_by_side::{side_by_side, stacked};
pub use trajectories::{mean_band, phase_plane, trajectories};
pub use vector_field::vector_field;

/// The package that draws the figures, for [`svg`].
pub use plotters;
