//! Noising processes: affine SDEs with their exact transition kernels.
