//! Denoising score matching: the training loop.
