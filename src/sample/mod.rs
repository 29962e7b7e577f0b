//! Samplers: from noise to data along the reverse SDE or the probability flow.
