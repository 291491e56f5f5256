//! Frames as cameras deliver them.

/// How the pixels of a [`Frame`] lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PixelFormat {
    /// Three bytes: red, green, blue.
    Rgb888,
    /// Three bytes: blue, green, red.
    Bgr888,
    /// One byte of luminance.
    Gray8,
    /// Two bytes, little-endian: five bits red, six green, five blue, from the top.
    Rgb565,
}

impl PixelFormat {
    /// Bytes of one pixel.
    pub const fn pixel_bytes(self) -> u32 {
        match self {
            PixelFormat::Rgb888 | PixelFormat::Bgr888 => 3,
            PixelFormat::Gray8 => 1,
            PixelFormat::Rgb565 => 2,
        }
    }
}

/// Why bytes are no frame, or a frame fits no input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// A side is 0 or above 16,384 pixels.
    Size,
    /// Fewer bytes than the sizes say.
    TooShort {
        /// Bytes that the sizes need.
        needed_bytes: u32,
        /// Bytes given.
        given_bytes: u32,
    },
    /// The model's input is not height x width x 1 or 3 of the length given.
    Input,
}

/// A picture in memory, top row first.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    data: &'a [u8],
    width_px: u32,
    height_px: u32,
    stride_bytes: u32,
    format: PixelFormat,
}

impl<'a> Frame<'a> {
    /// Largest side, in pixels; keeps the sums of a resize inside 64 bits.
    pub const MAX_SIDE_PX: u32 = 16_384;

    /// A frame whose rows follow each other without a gap.
    ///
    /// # Errors
    /// - [`FrameError::Size`]: a side is 0 or too large
    /// - [`FrameError::TooShort`]: `data` is shorter than the rows
    pub fn new(
        data: &'a [u8],
        width_px: u32,
        height_px: u32,
        format: PixelFormat,
    ) -> Result<Frame<'a>, FrameError> {
        for side in [width_px, height_px] {
            if side == 0 || side > Self::MAX_SIDE_PX {
                return Err(FrameError::Size);
            }
        }
        let stride_bytes = width_px * format.pixel_bytes();
        let needed_bytes = stride_bytes * height_px;
        if (data.len() as u64) < u64::from(needed_bytes) {
            return Err(FrameError::TooShort {
                needed_bytes,
                given_bytes: data.len() as u32,
            });
        }
        Ok(Frame {
            data,
            width_px,
            height_px,
            stride_bytes,
            format,
        })
    }

    /// Columns.
    pub fn width_px(&self) -> u32 {
        self.width_px
    }

    /// Rows.
    pub fn height_px(&self) -> u32 {
        self.height_px
    }

    /// Red, green and blue of a pixel; black outside the frame.
    #[inline]
    pub fn rgb(&self, x: u32, y: u32) -> [u8; 3] {
        let at = (y * self.stride_bytes + x * self.format.pixel_bytes()) as usize;
        let rest = self.data.get(at..).unwrap_or(&[]);
        match (self.format, rest) {
            (PixelFormat::Rgb888, &[r, g, b, ..]) | (PixelFormat::Bgr888, &[b, g, r, ..]) => {
                [r, g, b]
            }
            (PixelFormat::Gray8, &[v, ..]) => [v, v, v],
            (PixelFormat::Rgb565, &[low, high, ..]) => {
                let v = u16::from_le_bytes([low, high]);
                let (r, g, b) = ((v >> 11) as u8, (v >> 5 & 63) as u8, (v & 31) as u8);
                [r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2]
            }
            _ => [0, 0, 0],
        }
    }
}
