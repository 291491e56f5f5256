//! The device images in their emulators.
