//! Finds and installs what the commands need.
