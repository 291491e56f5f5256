//! A camera whose frames come out of a stream.

use std::io::Read;

use ocellus_board_api::{Camera, CameraError, FrameInfo};

/// Recorded frames, one after the other: header ([`FrameInfo::to_header`]), then pixels.
#[derive(Debug)]
pub struct StreamCamera<R> {
    stream: Option<R>,
    /// The header already read.
    next: Option<FrameInfo>,
}

impl<R: Read> StreamCamera<R> {
    /// Delivers the frames of `stream`; without one there is no camera.
    pub fn new(stream: Option<R>) -> Self {
        StreamCamera { stream, next: None }
    }
}

impl<R: Read> Camera for StreamCamera<R> {
    fn next_frame(&mut self) -> Result<FrameInfo, CameraError> {
        if let Some(info) = self.next {
            return Ok(info);
        }
        let stream = self.stream.as_mut().ok_or(CameraError::Absent)?;
        let mut header = [0; FrameInfo::HEADER_BYTES];
        stream
            .read_exact(&mut header)
            .map_err(|_| CameraError::Ended)?;
        let info = FrameInfo::from_header(&header).ok_or(CameraError::Damaged)?;
        self.next = Some(info);
        Ok(info)
    }

    fn capture(&mut self, buffer: &mut [u8]) -> Result<FrameInfo, CameraError> {
        let info = self.next_frame()?;
        let needed_bytes = info.len_bytes().ok_or(CameraError::Damaged)?;
        let buffer = buffer
            .get_mut(..needed_bytes as usize)
            .ok_or(CameraError::BufferTooSmall { needed_bytes })?;
        self.next = None;
        let stream = self.stream.as_mut().ok_or(CameraError::Absent)?;
        stream
            .read_exact(buffer)
            .map_err(|_| CameraError::Damaged)?;
        Ok(info)
    }
}
