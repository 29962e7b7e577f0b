//! What a cell uses to speak to its kernel: rich display and live figures.
