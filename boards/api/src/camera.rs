//! Cameras.

/// Layout of a frame's pixels. The number is that of recorded frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum PixelFormat {
    /// Three bytes: red, green, blue.
    Rgb888 = 0,
    /// One byte, luminance.
    Gray8 = 1,
    /// Two bytes, little-endian: 5 bits red, 6 green, 5 blue.
    Rgb565 = 2,
}

impl PixelFormat {
    /// Reads the number in a recording.
    pub const fn from_code(code: u8) -> Option<PixelFormat> {
        Some(match code {
            0 => PixelFormat::Rgb888,
            1 => PixelFormat::Gray8,
            2 => PixelFormat::Rgb565,
            _ => return None,
        })
    }

    /// Bytes of one pixel.
    pub const fn pixel_bytes(self) -> u32 {
        match self {
            PixelFormat::Rgb888 => 3,
            PixelFormat::Gray8 => 1,
            PixelFormat::Rgb565 => 2,
        }
    }
}

/// Size and layout of a frame. Rows follow each other without gaps, top row first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// Columns.
    pub width_px: u16,
    /// Rows.
    pub height_px: u16,
    /// Layout of a pixel.
    pub format: PixelFormat,
}

impl FrameInfo {
    /// Bytes of a recorded frame's header.
    pub const HEADER_BYTES: usize = 12;
    /// First bytes of a recorded frame.
    pub const MAGIC: [u8; 4] = *b"OCFR";

    /// Bytes of the whole frame; `None` above 4 GiB.
    pub fn len_bytes(&self) -> Option<u32> {
        u32::from(self.width_px)
            .checked_mul(u32::from(self.height_px))?
            .checked_mul(self.format.pixel_bytes())
    }

    /// The header before the pixels of a recorded frame: magic, width, height (little-endian), format, three zeros.
    pub fn to_header(self) -> [u8; Self::HEADER_BYTES] {
        let [m0, m1, m2, m3] = Self::MAGIC;
        let [w0, w1] = self.width_px.to_le_bytes();
        let [h0, h1] = self.height_px.to_le_bytes();
        [m0, m1, m2, m3, w0, w1, h0, h1, self.format as u8, 0, 0, 0]
    }

    /// Reads a recorded frame's header; `None` where it is not one.
    pub fn from_header(header: &[u8; Self::HEADER_BYTES]) -> Option<FrameInfo> {
        let [m0, m1, m2, m3, w0, w1, h0, h1, format, 0, 0, 0] = *header else {
            return None;
        };
        let info = FrameInfo {
            width_px: u16::from_le_bytes([w0, w1]),
            height_px: u16::from_le_bytes([h0, h1]),
            format: PixelFormat::from_code(format)?,
        };
        ([m0, m1, m2, m3] == Self::MAGIC && info.width_px > 0 && info.height_px > 0).then_some(info)
    }
}

/// Why there is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CameraError {
    /// The board has no camera.
    Absent,
    /// The recording has no more frames.
    Ended,
    /// The frame is shorter than announced, or its header is wrong.
    Damaged,
    /// The buffer does not hold a frame; give one of [`FrameInfo::len_bytes`].
    BufferTooSmall {
        /// Bytes of one frame.
        needed_bytes: u32,
    },
    /// The bus or the peripheral failed; capturing again may help.
    Bus,
}

/// A source of frames.
///
/// # For driver authors
/// - [`next_frame`](Camera::next_frame) **must** announce exactly what the following [`capture`](Camera::capture) delivers, and **may** be called any number of times.
/// - `capture` **must** fill the buffer's first [`FrameInfo::len_bytes`] bytes and leave the rest alone.
/// - After an error the next `capture` **must** start with a whole frame again.
///
/// # For users
/// - A frame **must not** be used after an error: its content is then unspecified.
pub trait Camera {
    /// What the next frame will be.
    ///
    /// # Errors
    /// [`CameraError`], without [`CameraError::BufferTooSmall`].
    fn next_frame(&mut self) -> Result<FrameInfo, CameraError>;

    /// Waits for a whole frame and writes it.
    ///
    /// # Errors
    /// [`CameraError`]
    fn capture(&mut self, buffer: &mut [u8]) -> Result<FrameInfo, CameraError>;
}

/// The camera of a board without one.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCamera;

impl Camera for NoCamera {
    fn next_frame(&mut self) -> Result<FrameInfo, CameraError> {
        Err(CameraError::Absent)
    }

    fn capture(&mut self, _: &mut [u8]) -> Result<FrameInfo, CameraError> {
        Err(CameraError::Absent)
    }
}

#[cfg(test)]
mod tests {
    use super::{FrameInfo, PixelFormat};

    #[test]
    fn a_header_reads_back_and_a_damaged_one_does_not() {
        let info = FrameInfo {
            width_px: 1280,
            height_px: 926,
            format: PixelFormat::Rgb888,
        };
        let header = info.to_header();
        assert_eq!(FrameInfo::from_header(&header), Some(info));
        for byte in (0..4).chain(9..12) {
            let mut damaged = header;
            damaged[byte] ^= 0x40;
            assert_eq!(FrameInfo::from_header(&damaged), None, "byte {byte}");
        }
    }
}
