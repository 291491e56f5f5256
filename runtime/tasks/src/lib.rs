//! Vision tasks: output arrays into classes and boxes.
