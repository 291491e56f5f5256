//! What a device's error means, for people. Linked on PCs only: the device sends numbers.

use core::fmt;

use crate::{CameraFault, DeviceError, FrameError, SignatureFault};

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            DeviceError::ProtocolVersion { device } => {
                write!(f, "the firmware speaks protocol version {device}, this tool version {}; build the image again", crate::PROTOCOL_VERSION)
            }
            DeviceError::Frame(error) => write!(f, "a request arrived damaged: {error}"),
            DeviceError::UnknownRequest => f.write_str("the firmware does not know the request; build the image again"),
            DeviceError::NotLoaded => f.write_str("no model is loaded"),
            DeviceError::NoSuchTensor { index } => write!(f, "the model has no tensor {index} in that place"),
            DeviceError::OutOfRange { tensor_bytes } => write!(f, "the piece lies outside the tensor of {tensor_bytes} bytes"),
            DeviceError::ArenaTooSmall { needed_bytes, largest_bytes } => write!(
                f,
                "an arena of {needed_bytes} bytes is needed, and the largest memory for it has {largest_bytes}; use a smaller input or another board"
            ),
            DeviceError::FrameTooLarge { needed_bytes, largest_bytes } => write!(
                f,
                "a camera frame takes {needed_bytes} bytes, and the largest memory for it has {largest_bytes}; use a smaller picture or another board"
            ),
            DeviceError::Camera(CameraFault::Absent) => f.write_str("the board has no camera, or no frames were given to it"),
            DeviceError::Camera(CameraFault::Ended) => f.write_str("the camera has no more frames"),
            DeviceError::Camera(CameraFault::Damaged) => f.write_str("the camera delivered a damaged frame"),
            DeviceError::Camera(CameraFault::Bus) => f.write_str("the camera does not answer"),
            DeviceError::ArenaInUse => f.write_str("the memory that this needs holds a loaded model's arena; ask before loading"),
            DeviceError::NotInImage => f.write_str("the image was built without what this needs"),
            DeviceError::TooManyTaps { limit } => write!(f, "at most {limit} tensors can be tapped at once"),
            DeviceError::NoTask => f.write_str("the model does not say how a picture becomes its input, or what its outputs mean; convert it with a recipe, or set inputs and read outputs"),
            DeviceError::Load(error) => write!(f, "the model cannot be loaded: {error}"),
            DeviceError::Run(error) => write!(f, "the run ended early: {error}"),
            DeviceError::Signature(SignatureFault::Absent) => f.write_str("the firmware runs signed models only, and this one has no signature; sign it with `ocellus sign`"),
            DeviceError::Signature(SignatureFault::AnotherKey) => f.write_str("the model is signed by another key than the one that the firmware was built with; sign it with that one"),
            DeviceError::Signature(SignatureFault::Wrong) => f.write_str("the model's signature does not belong to its bytes: it was changed after signing; take the original, or sign it again"),
            DeviceError::FrameDoesNotFit => f.write_str("the camera's frame does not fit the model's input"),
        }
    }
}

impl core::error::Error for DeviceError {}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameError::TooLong => "the frame is too long",
            FrameError::Truncated => "the frame is too short",
            FrameError::Checksum => "the checksum is wrong",
            FrameError::Malformed => "the frame holds no message",
        })
    }
}

impl core::error::Error for FrameError {}
