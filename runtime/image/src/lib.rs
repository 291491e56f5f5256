//! Camera frames into model inputs: resize, letterbox, colour, normalization.
