//! COBS frames with a checksum, sent without a buffer for the whole message and received into one.

use serde::{Deserialize, Serialize};

use ocellus::format::take_record;

use crate::Crc32;
use crate::encode::{Encoder, Sink};

/// Most data bytes of a COBS block.
const BLOCK_BYTES: usize = 254;
/// Bytes of the checksum.
const CRC_BYTES: usize = 4;

/// Why a received frame holds no message. The next frame is received as if nothing had happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FrameError {
    /// The frame is longer than the receiver's buffer: the sender speaks another version, or bytes between two frames were lost.
    TooLong,
    /// The frame ends inside a block: bytes were lost.
    Truncated,
    /// The checksum is wrong: bytes were changed.
    Checksum,
    /// The checksum is right, and the bytes are no message: the sender speaks another version.
    Malformed,
}

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError<E> {
    /// The link failed.
    Link(E),
    /// The message could not be encoded.
    Encode,
}

/// Sends `message` as one frame. `write` gets pieces of at most 255 bytes.
///
/// # Errors
/// - [`SendError::Link`]: `write` failed
/// - [`SendError::Encode`]: the message has no encoding (no message of this crate)
pub fn send<M: Serialize, E>(
    message: &M,
    write: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), SendError<E>> {
    let mut cobs = Cobs {
        write,
        block: [0; BLOCK_BYTES + 1],
        len: 0,
        crc: Crc32::default(),
        failed: None,
    };
    let encoded = message.serialize(&mut Encoder(&mut cobs));
    if encoded.is_ok() {
        cobs.end();
    }
    match (cobs.failed, encoded) {
        (Some(error), _) => Err(SendError::Link(error)),
        (None, Ok(())) => Ok(()),
        (None, Err(_)) => Err(SendError::Encode),
    }
}

/// The sender's side: one COBS block in the making.
struct Cobs<'w, E> {
    write: &'w mut dyn FnMut(&[u8]) -> Result<(), E>,
    /// Length byte, then data.
    block: [u8; BLOCK_BYTES + 1],
    /// Data bytes in `block`.
    len: usize,
    crc: Crc32,
    /// The first failure of `write`; nothing is written after it.
    failed: Option<E>,
}

impl<E> Sink for Cobs<'_, E> {
    /// Takes a byte of the message. Never inlined: an encoder calls this for every field of every variant, and its copies would be most of the
    /// sender's code.
    #[inline(never)]
    fn push(&mut self, byte: u8) {
        self.crc.push(byte);
        self.put(byte);
    }
}

impl<E> Cobs<'_, E> {
    /// Puts a byte into the frame.
    #[inline(never)]
    fn put(&mut self, byte: u8) {
        if byte != 0 {
            if let Some(slot) = self.block.get_mut(self.len + 1) {
                *slot = byte;
                self.len += 1;
            }
            if self.len < BLOCK_BYTES {
                return;
            }
        }
        self.flush();
    }

    /// Writes the block out.
    fn flush(&mut self) {
        let len = self.len;
        self.len = 0;
        if let Some(code) = self.block.first_mut() {
            *code = len as u8 + 1;
        }
        self.emit(len + 1);
    }

    /// Writes the first `len` bytes of the block out.
    #[inline(never)]
    fn emit(&mut self, len: usize) {
        if self.failed.is_none() {
            let bytes = self.block.get(..len).unwrap_or_default();
            self.failed = (self.write)(bytes).err();
        }
    }

    /// Ends the frame: checksum, last block, zero.
    fn end(&mut self) {
        for byte in self.crc.value().to_le_bytes() {
            self.put(byte);
        }
        self.flush();
        self.block[0] = 0;
        self.emit(1);
    }
}

/// The receiver's side: takes bytes one by one and says when a frame is whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameDecoder {
    /// Message bytes received.
    len: usize,
    /// Data bytes that the block still has.
    left: u8,
    /// The block ends in a zero that is part of the message.
    zero_after: bool,
    /// Anything arrived since the last frame's end.
    started: bool,
    too_long: bool,
}

impl FrameDecoder {
    /// Takes a byte. `Some` at a frame's end: the length of the message in `buffer`, or why there is none.
    pub fn push(&mut self, byte: u8, buffer: &mut [u8]) -> Option<Result<usize, FrameError>> {
        if byte == 0 {
            let frame = core::mem::take(self);
            // Zeros between frames mean nothing; a sender may use them to wake a receiver that is out of step.
            return if frame.started {
                Some(frame.finish(buffer))
            } else {
                None
            };
        }
        if self.left > 0 {
            self.left -= 1;
            self.put(byte, buffer);
            return None;
        }
        if self.started && self.zero_after {
            self.put(0, buffer);
        }
        self.started = true;
        self.left = byte - 1;
        self.zero_after = byte != 0xFF;
        None
    }

    fn put(&mut self, byte: u8, buffer: &mut [u8]) {
        match buffer.get_mut(self.len) {
            Some(slot) => {
                *slot = byte;
                self.len += 1;
            }
            None => self.too_long = true,
        }
    }

    fn finish(self, buffer: &[u8]) -> Result<usize, FrameError> {
        if self.too_long {
            return Err(FrameError::TooLong);
        }
        if self.left > 0 {
            return Err(FrameError::Truncated);
        }
        let received = buffer.get(..self.len).ok_or(FrameError::Truncated)?;
        let (message, crc) = received
            .split_last_chunk::<CRC_BYTES>()
            .ok_or(FrameError::Truncated)?;
        if Crc32::of(message) == u32::from_le_bytes(*crc) {
            Ok(message.len())
        } else {
            Err(FrameError::Checksum)
        }
    }
}

/// The message in `bytes`, which a [`FrameDecoder`] delivered.
///
/// # Errors
/// [`FrameError::Malformed`]
pub fn decode<'a, M: Deserialize<'a>>(bytes: &'a [u8]) -> Result<M, FrameError> {
    let mut rest = bytes;
    take_record(&mut rest).ok_or(FrameError::Malformed)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::{MAX_MESSAGE_BYTES, Request};

    fn sent(request: &Request<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        send(request, &mut |piece: &[u8]| -> Result<(), ()> {
            bytes.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        bytes
    }

    fn received(bytes: &[u8]) -> Vec<Result<Vec<u8>, FrameError>> {
        let mut decoder = FrameDecoder::default();
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        let mut frames = Vec::new();
        for &byte in bytes {
            if let Some(end) = decoder.push(byte, &mut buffer) {
                frames.push(end.map(|len| buffer[..len].to_vec()));
            }
        }
        frames
    }

    #[test]
    fn round_trips_around_the_block_length() {
        // 254 is COBS's block; runs of zeros and of non-zeros on both sides of it are where encoders break.
        for len in [
            0, 1, 2, 240, 243, 244, 245, 246, 247, 248, 249, 250, 251, 252, 253, 254, 255, 256,
            507, 508, 509, 510, 1024,
        ] {
            for fill in [0_u8, 1, 255] {
                let data = std::vec![fill; len];
                let request = Request::SetInput {
                    index: 3,
                    offset: 70_000,
                    data: &data,
                };
                let bytes = sent(&request);
                assert_eq!(
                    bytes.iter().filter(|&&b| b == 0).count(),
                    1,
                    "one zero, at the end"
                );
                let frames = received(&bytes);
                assert_eq!(frames.len(), 1);
                assert_eq!(
                    decode::<Request<'_>>(frames[0].as_ref().unwrap()).unwrap(),
                    request
                );
            }
        }
    }

    #[test]
    fn every_single_bit_error_is_found_and_the_next_frame_is_received() {
        let data: Vec<u8> = (0..300).map(|i| (i * 7) as u8).collect();
        let request = Request::SetInput {
            index: 0,
            offset: 0,
            data: &data,
        };
        let good = sent(&request);
        for bit in 0..(good.len() - 1) * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes.extend_from_slice(&good);
            let frames = received(&bytes);
            let (last, damaged) = frames.split_last().unwrap();
            assert_eq!(
                decode::<Request<'_>>(last.as_ref().unwrap()).unwrap(),
                request
            );
            assert!(
                !damaged.is_empty() && damaged.iter().all(Result::is_err),
                "bit {bit}: {damaged:?}"
            );
        }
    }

    #[test]
    fn a_frame_longer_than_the_buffer_is_named() {
        let mut bytes = std::vec![1_u8; 2 * MAX_MESSAGE_BYTES];
        bytes.fill(2);
        bytes.push(0);
        assert_eq!(received(&bytes), [Err(FrameError::TooLong)]);
    }

    #[test]
    fn a_failing_link_ends_sending() {
        let mut pieces = 0;
        let result = send(
            &Request::Hello { version: 1 },
            &mut |_: &[u8]| -> Result<(), u8> {
                pieces += 1;
                Err(7)
            },
        );
        assert_eq!((result, pieces), (Err(SendError::Link(7)), 1));
    }
}
