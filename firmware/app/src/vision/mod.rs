//! A frame of the board's camera becomes an input, and outputs become answers, as the model's task section says.

mod capture;
mod task;

use ocellus::Engine;
use ocellus::kernels::Kernels;
use ocellus_board_api::{Camera, Link, LinkError, MemorySlots};
use ocellus_image::Geometry;
use ocellus_protocol::{DeviceError, Response};

use crate::wire::Wire;

/// The camera, and what is known of its last frame.
pub(crate) struct Vision<'s, C> {
    camera: &'s mut C,
    /// How the last frame became the input.
    geometry: Option<Geometry>,
}

impl<'s, C: Camera> Vision<'s, C> {
    pub(crate) fn new(camera: &'s mut C) -> Self {
        Vision {
            camera,
            geometry: None,
        }
    }

    /// From now on the input is no frame.
    pub(crate) fn forget(&mut self) {
        self.geometry = None;
    }

    /// Answers a request for a frame as an input.
    pub(crate) fn capture<K: Kernels, L: Link>(
        &mut self,
        engine: &mut Engine<'_, '_, K>,
        index: u8,
        frames: &mut MemorySlots<'_>,
        wire: &mut Wire<'_, L>,
    ) -> Result<(), LinkError> {
        self.forget();
        let preprocess = match engine.model().view().task() {
            Ok(record) => record.and_then(|record| record.preprocess),
            Err(error) => return wire.refuse(DeviceError::Load(error.into())),
        };
        let Some(preprocess) = preprocess else {
            return wire.refuse(DeviceError::NoTask);
        };
        let Some(input) = engine.input(usize::from(index)) else {
            return wire.refuse(DeviceError::NoSuchTensor {
                index: u16::from(index),
            });
        };
        match capture::capture(self.camera, frames, &preprocess, input) {
            Ok(captured) => {
                self.geometry = Some(captured.geometry);
                wire.answer(&Response::Captured {
                    width_px: captured.info.width_px,
                    height_px: captured.info.height_px,
                    region: captured.region,
                })
            }
            Err(error) => wire.refuse(error),
        }
    }

    /// Answers a request for what the outputs mean.
    pub(crate) fn report<K: Kernels, L: Link>(
        &self,
        engine: &Engine<'_, '_, K>,
        wire: &mut Wire<'_, L>,
    ) -> Result<(), LinkError> {
        task::report(engine, self.geometry.as_ref(), wire)
    }
}
