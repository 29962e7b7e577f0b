//! The flag by which long loops are asked to stop.
