//! A camera frame becomes an input of the model.

use ocellus::TensorMut;
use ocellus::format::{DType, Preprocess};
use ocellus_board_api::{Camera, CameraError, FrameInfo, MemorySlots, PixelFormat};
use ocellus_image::{Frame, Geometry, InputSize, into_s8};
use ocellus_protocol::{CameraFault, DeviceError};

/// What came of a capture.
pub(crate) struct Captured<'m> {
    pub(crate) info: FrameInfo,
    pub(crate) geometry: Geometry,
    /// The memory that held the frame.
    pub(crate) region: &'m str,
}

/// Captures into the first memory that holds a frame, and writes the input.
#[inline(never)]
pub(crate) fn capture<'m>(
    camera: &mut impl Camera,
    memories: &mut MemorySlots<'m>,
    preprocess: &Preprocess,
    input: TensorMut<'_>,
) -> Result<Captured<'m>, DeviceError> {
    let next = camera.next_frame().map_err(fault)?;
    let needed_bytes = next.len_bytes().ok_or(DeviceError::FrameDoesNotFit)?;
    let mut largest_bytes = 0;
    for memory in memories.iter_mut().flatten() {
        let len = u32::try_from(memory.bytes.len()).unwrap_or(u32::MAX);
        largest_bytes = largest_bytes.max(len);
        if len < needed_bytes {
            continue;
        }
        let info = camera.capture(memory.bytes).map_err(fault)?;
        let frame = Frame::new(
            memory.bytes,
            u32::from(info.width_px),
            u32::from(info.height_px),
            format(info.format)?,
        )
        .map_err(|_| DeviceError::FrameDoesNotFit)?;
        let size = input_size(&input).ok_or(DeviceError::FrameDoesNotFit)?;
        let quantization = input.qparams();
        let geometry = into_s8(&frame, preprocess, quantization, size, input.values)
            .map_err(|_| DeviceError::FrameDoesNotFit)?;
        return Ok(Captured {
            info,
            geometry,
            region: memory.region,
        });
    }
    Err(DeviceError::FrameTooLarge {
        needed_bytes,
        largest_bytes,
    })
}

/// Rows, columns and channels of an `Nhwc` input of pixels.
fn input_size(input: &TensorMut<'_>) -> Option<InputSize> {
    if input.info.dtype != DType::S8 {
        return None;
    }
    match *input.info.shape() {
        [1, height_px, width_px, channels] | [height_px, width_px, channels] => Some(InputSize {
            height_px,
            width_px,
            channels,
        }),
        _ => None,
    }
}

fn format(format: PixelFormat) -> Result<ocellus_image::PixelFormat, DeviceError> {
    Ok(match format {
        PixelFormat::Rgb888 => ocellus_image::PixelFormat::Rgb888,
        PixelFormat::Gray8 => ocellus_image::PixelFormat::Gray8,
        PixelFormat::Rgb565 => ocellus_image::PixelFormat::Rgb565,
        _ => return Err(DeviceError::FrameDoesNotFit),
    })
}

fn fault(error: CameraError) -> DeviceError {
    DeviceError::Camera(match error {
        CameraError::Absent => CameraFault::Absent,
        CameraError::Ended => CameraFault::Ended,
        CameraError::Damaged | CameraError::BufferTooSmall { .. } => CameraFault::Damaged,
        _ => CameraFault::Bus,
    })
}
