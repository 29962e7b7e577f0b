//! The candle ops that the rest needs and candle lacks or does slowly.
