//! Wrappers around a camera that observe it or hurt it.

use crate::{Camera, CameraError, FrameInfo};

/// Receives what a [`Recorder`] sees.
pub trait Recording {
    /// A frame was captured.
    fn frame(&mut self, info: FrameInfo, pixels: &[u8]);

    /// No frame was captured.
    fn failed(&mut self, error: CameraError);
}

/// Shows every frame to a [`Recording`] and passes it on unchanged.
#[derive(Clone, Copy, Debug)]
pub struct Recorder<C, R> {
    camera: C,
    recording: R,
}

impl<C: Camera, R: Recording> Recorder<C, R> {
    /// Records what `camera` delivers.
    pub fn new(camera: C, recording: R) -> Self {
        Recorder { camera, recording }
    }

    /// Both again.
    pub fn into_parts(self) -> (C, R) {
        (self.camera, self.recording)
    }
}

impl<C: Camera, R: Recording> Camera for Recorder<C, R> {
    fn next_frame(&mut self) -> Result<FrameInfo, CameraError> {
        self.camera.next_frame()
    }

    fn capture(&mut self, buffer: &mut [u8]) -> Result<FrameInfo, CameraError> {
        let result = self.camera.capture(buffer);
        match result {
            Ok(info) => {
                let len = info.len_bytes().map_or(0, |len| len as usize);
                self.recording
                    .frame(info, buffer.get(..len).unwrap_or_default());
            }
            Err(error) => self.recording.failed(error),
        }
        result
    }
}

/// How a [`FaultInjector`] hurts a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The frame is lost and an error is returned.
    Error(CameraError),
    /// Rows from `first_row` on are zero, as after a transfer that stalled; no error is returned.
    LostRows {
        /// First row that does not arrive.
        first_row: u16,
    },
    /// Every pixel byte of a row is this value, as from a defective sensor line.
    DeadRow {
        /// Which row.
        row: u16,
        /// What it shows.
        value: u8,
    },
}

/// Hurts chosen frames: `plan` is asked with the frame's number, counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct FaultInjector<C, P> {
    camera: C,
    plan: P,
    frame: u32,
}

impl<C: Camera, P: FnMut(u32) -> Option<Fault>> FaultInjector<C, P> {
    /// Hurts what `camera` delivers.
    pub fn new(camera: C, plan: P) -> Self {
        FaultInjector {
            camera,
            plan,
            frame: 0,
        }
    }
}

impl<C: Camera, P: FnMut(u32) -> Option<Fault>> Camera for FaultInjector<C, P> {
    fn next_frame(&mut self) -> Result<FrameInfo, CameraError> {
        self.camera.next_frame()
    }

    fn capture(&mut self, buffer: &mut [u8]) -> Result<FrameInfo, CameraError> {
        let fault = (self.plan)(self.frame);
        self.frame = self.frame.wrapping_add(1);
        match fault {
            None => self.camera.capture(buffer),
            Some(Fault::Error(error)) => {
                self.camera.capture(buffer)?;
                Err(error)
            }
            Some(Fault::DeadRow { row, value }) => {
                let info = self.camera.capture(buffer)?;
                let (start, len) = row_span(info, row);
                if let Some(bytes) = buffer.get_mut(start..start.saturating_add(len)) {
                    bytes.fill(value);
                }
                Ok(info)
            }
            Some(Fault::LostRows { first_row }) => {
                let info = self.camera.capture(buffer)?;
                let (start, _) = row_span(info, first_row);
                let end = info.len_bytes().map_or(0, |len| len as usize);
                if let Some(bytes) = buffer.get_mut(start..end) {
                    bytes.fill(0);
                }
                Ok(info)
            }
        }
    }
}

/// First byte and length of a row.
fn row_span(info: FrameInfo, row: u16) -> (usize, usize) {
    let len = usize::from(info.width_px).saturating_mul(info.format.pixel_bytes() as usize);
    (len.saturating_mul(usize::from(row)), len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PixelFormat;

    const INFO: FrameInfo = FrameInfo {
        width_px: 2,
        height_px: 3,
        format: PixelFormat::Gray8,
    };

    struct Ones;

    impl Camera for Ones {
        fn next_frame(&mut self) -> Result<FrameInfo, CameraError> {
            Ok(INFO)
        }

        fn capture(&mut self, buffer: &mut [u8]) -> Result<FrameInfo, CameraError> {
            buffer[..6].fill(1);
            Ok(INFO)
        }
    }

    #[derive(Default)]
    struct Log {
        frames: u32,
        sum: u32,
        failed: Option<CameraError>,
    }

    impl Recording for Log {
        fn frame(&mut self, _: FrameInfo, pixels: &[u8]) {
            self.frames += 1;
            self.sum += pixels.iter().map(|&p| u32::from(p)).sum::<u32>();
        }

        fn failed(&mut self, error: CameraError) {
            self.failed = Some(error);
        }
    }

    #[test]
    fn faults_hit_their_frames_and_recordings_see_them() {
        let faults = |frame| match frame {
            1 => Some(Fault::Error(CameraError::Bus)),
            2 => Some(Fault::LostRows { first_row: 2 }),
            3 => Some(Fault::DeadRow { row: 1, value: 9 }),
            _ => None,
        };
        let mut camera = Recorder::new(FaultInjector::new(Ones, faults), Log::default());
        let mut buffer = [7; 8];
        assert_eq!(
            (camera.capture(&mut buffer), buffer),
            (Ok(INFO), [1, 1, 1, 1, 1, 1, 7, 7])
        );
        assert_eq!(camera.capture(&mut buffer), Err(CameraError::Bus));
        assert_eq!(
            (camera.capture(&mut buffer), buffer),
            (Ok(INFO), [1, 1, 1, 1, 0, 0, 7, 7])
        );
        assert_eq!(
            (camera.capture(&mut buffer), buffer),
            (Ok(INFO), [1, 1, 9, 9, 1, 1, 7, 7])
        );
        let (_, log) = camera.into_parts();
        assert_eq!(
            (log.frames, log.sum, log.failed),
            (3, 6 + 4 + 22, Some(CameraError::Bus))
        );
    }
}
