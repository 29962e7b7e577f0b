//! Itô stochastic differential equations and their solvers.
