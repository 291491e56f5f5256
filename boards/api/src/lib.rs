//! What a board gives the firmware: camera, clock, model store, link.
