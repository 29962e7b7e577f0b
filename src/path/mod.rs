//! Brownian motion.
