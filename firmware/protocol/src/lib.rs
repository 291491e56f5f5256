//! Framed messages between device and PC.
