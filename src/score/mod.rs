//! Scores ∇ log p_t: exact ones, and networks that learn them.
