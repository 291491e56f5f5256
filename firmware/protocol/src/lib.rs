//! Framed messages between device and PC.
//!
//! A message is a [`Request`] or a [`Response`] in postcard's encoding, followed by its CRC-32, the whole in COBS, ended by a zero byte.
//! A zero never occurs inside a frame, so a receiver that lost bytes finds the next frame. Nothing here allocates, and
//! a frame longer than [`MAX_MESSAGE_BYTES`] or with a wrong checksum is a [`FrameError`], after which receiving goes on.
#![no_std]
#![forbid(unsafe_code)]

mod crc;
mod encode;
mod explain;
mod frame;
mod message;

pub use crc::Crc32;
pub use frame::{FrameDecoder, FrameError, SendError, decode, send};
pub use message::{
    CameraFault, CaseOutcome, Class, Detection, DeviceError, Request, Response, SignatureFault,
    Verdict,
};

/// The version of the messages. A device answers a greeting of another version with [`DeviceError::ProtocolVersion`].
pub const PROTOCOL_VERSION: u16 = 1;

/// Bytes of tensor data that one message carries at most.
pub const DATA_CHUNK_BYTES: usize = 1024;

/// Bytes of one message before COBS, checksum included, at most.
pub const MAX_MESSAGE_BYTES: usize = DATA_CHUNK_BYTES + 64;
