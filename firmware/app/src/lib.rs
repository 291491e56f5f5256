//! The firmware's main loop, generic over the board.
