//! Requests with a model in its arena.

use ocellus::format::{MAX_PARTS, sha256};
use ocellus::kernels::Kernels;
use ocellus::{Engine, Model};
use ocellus_board_api::{Camera, Clock, Link, LinkError, MemorySlots};
use ocellus_protocol::{DeviceError, MAX_MESSAGE_BYTES, Request, Response};

use crate::idle::Desk;
use crate::place::{Places, place};
use crate::vision::Vision;
use crate::watch::{MAX_TAPS, Taps, Undisturbed, Watch};
use crate::wire::Wire;
use crate::{Next, markers};

/// Loads the model and answers until it is to be loaded again.
pub(crate) fn load_and_serve<K: Kernels, L: Link>(
    desk: &mut Desk<'_, K, L>,
    camera: &mut impl Camera,
    clock: &mut impl Clock,
    arenas: &mut MemorySlots<'_>,
    frames: &mut MemorySlots<'_>,
) -> Result<Next, LinkError> {
    markers::begin_load();
    let loaded = load(desk, arenas);
    markers::end_load();
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            desk.wire.refuse(error)?;
            return desk.serve_without_model(arenas);
        }
    };
    loaded.send_parts(&mut desk.wire)?;
    let program = loaded.engine.model().view().program();
    desk.wire.answer(&Response::Loaded {
        arena_bytes: program.arena_bytes,
        region: loaded.region(),
        operators: program.operator_count,
        inputs: program.inputs.len() as u8,
        outputs: program.outputs.len() as u8,
    })?;
    let mut session = Session {
        desk,
        vision: Vision::new(camera),
        clock,
        loaded,
        taps: Taps::default(),
    };
    session.serve(frames)
}

/// Proves the model and takes a memory for each part of its arena.
#[inline(never)]
fn load<'m, 'a, K: Kernels, L: Link>(
    desk: &Desk<'m, K, L>,
    arenas: &'a mut MemorySlots<'_>,
) -> Result<Loaded<'m, 'a, K>, DeviceError> {
    #[cfg(feature = "signed")]
    if let Some(signer) = desk.signer {
        crate::signed::check(desk.model(), signer)?;
    }
    let model = Model::load(desk.model(), &desk.ops).map_err(DeviceError::Load)?;
    let Places { memories, regions } = place(model.view().parts().sizes(), arenas)?;
    let engine = Engine::in_parts(model, desk.kernels, memories).map_err(DeviceError::Load)?;
    Ok(Loaded { engine, regions })
}

/// A model in its arena.
struct Loaded<'m, 'a, K: 'static> {
    engine: Engine<'m, 'a, K>,
    /// The memory of each part.
    regions: [&'a str; MAX_PARTS],
}

impl<K: Kernels> Loaded<'_, '_, K> {
    /// The memory of the first part, which is that of the arena where there is one part.
    fn region(&self) -> &str {
        self.regions.first().copied().unwrap_or_default()
    }

    /// Says where each part lies, where there are several.
    fn send_parts<L: Link>(&self, wire: &mut Wire<'_, L>) -> Result<(), LinkError> {
        let parts = self.engine.model().view().parts();
        if parts.count() < 2 {
            return Ok(());
        }
        let sizes = parts.sizes().into_iter().zip(self.regions);
        for (bytes, region) in sizes.take(parts.count()) {
            wire.answer(&Response::ArenaPart { bytes, region })?;
        }
        Ok(())
    }
}

/// A loaded model and the conversation about it.
struct Session<'s, 'b, 'm, 'a, K: 'static, L, C, T> {
    desk: &'s mut Desk<'b, K, L>,
    vision: Vision<'s, C>,
    clock: &'s mut T,
    loaded: Loaded<'m, 'a, K>,
    taps: Taps,
}

impl<K: Kernels, L: Link, C: Camera, T: Clock> Session<'_, '_, '_, '_, K, L, C, T> {
    fn serve(&mut self, frames: &mut MemorySlots<'_>) -> Result<Next, LinkError> {
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        while let Some(request) = self.desk.wire.receive(&mut buffer)? {
            match request {
                Request::Load => return Ok(Next::Load),
                Request::SetInput {
                    index,
                    offset,
                    data,
                } => self.set_input(index, offset, data)?,
                Request::Capture { index } => self.vision.capture(
                    &mut self.loaded.engine,
                    index,
                    frames,
                    &mut self.desk.wire,
                )?,
                Request::Tap { tensor } => self.tap(tensor)?,
                Request::Infer { progress } => self.infer(progress)?,
                Request::GetOutput { index, offset, len } => self.get_output(index, offset, len)?,
                Request::HashOutput { index } => self.hash_output(index)?,
                Request::Task => self
                    .vision
                    .report(&self.loaded.engine, &mut self.desk.wire)?,
                request => {
                    if request == Request::Memory {
                        self.loaded.send_parts(&mut self.desk.wire)?;
                    }
                    let arena_bytes = self.loaded.engine.model().arena_bytes() as u32;
                    self.desk
                        .answer(&request, arena_bytes, self.loaded.region())?;
                }
            }
        }
        Ok(Next::End)
    }

    fn set_input(&mut self, index: u8, offset: u32, data: &[u8]) -> Result<(), LinkError> {
        self.vision.forget();
        let Some(input) = self.loaded.engine.input(usize::from(index)) else {
            return self.desk.wire.refuse(DeviceError::NoSuchTensor {
                index: u16::from(index),
            });
        };
        let tensor_bytes = input.info.len_bytes;
        let start = offset as usize;
        let data: &[i8] = bytemuck::try_cast_slice(data).unwrap_or_default();
        let rest = input.values.get_mut(start..).unwrap_or_default();
        match rest.get_mut(..data.len()) {
            Some(piece) => {
                // Not `copy_from_slice`, which panics where lengths differ: the compiler does not always see that they do not.
                for (to, &from) in piece.iter_mut().zip(data) {
                    *to = from;
                }
                self.desk.wire.answer(&Response::Done)
            }
            None => self
                .desk
                .wire
                .refuse(DeviceError::OutOfRange { tensor_bytes }),
        }
    }

    fn tap(&mut self, tensor: u16) -> Result<(), LinkError> {
        let known = tensor
            < self
                .loaded
                .engine
                .model()
                .view()
                .program()
                .arena_tensor_count;
        if !known {
            return self
                .desk
                .wire
                .refuse(DeviceError::NoSuchTensor { index: tensor });
        }
        if self.taps.add(tensor) {
            self.desk.wire.answer(&Response::Done)
        } else {
            self.desk.wire.refuse(DeviceError::TooManyTaps {
                limit: MAX_TAPS as u8,
            })
        }
    }

    fn infer(&mut self, progress: bool) -> Result<(), LinkError> {
        let (us, cycles) = (self.clock.now_us(), self.clock.now_cycles());
        let result = if progress || !self.taps.is_empty() {
            let total = self.loaded.engine.model().view().program().operator_count;
            let mut watch = Watch {
                wire: &mut self.desk.wire,
                taps: &self.taps,
                progress,
                total,
                failed: None,
            };
            let result = self.loaded.engine.run(&mut watch);
            match watch.failed {
                Some(error) => return Err(error),
                None => result,
            }
        } else {
            markers::begin_inference();
            let result = self.loaded.engine.run(&mut Undisturbed);
            markers::end_inference();
            result
        };
        let since = |before: Option<u64>, now: Option<u64>| Some(now?.wrapping_sub(before?));
        let wall_us = since(us, self.clock.now_us());
        let cycles = since(cycles, self.clock.now_cycles());
        match result {
            Ok(()) => self
                .desk
                .wire
                .answer(&Response::Inferred { wall_us, cycles }),
            Err(error) => self.desk.wire.refuse(DeviceError::Run(error)),
        }
    }

    fn get_output(&mut self, index: u8, offset: u32, len: u32) -> Result<(), LinkError> {
        let Some(output) = self.loaded.engine.output(usize::from(index)) else {
            return self.desk.wire.refuse(DeviceError::NoSuchTensor {
                index: u16::from(index),
            });
        };
        let start = offset as usize;
        let Some(piece) = output.values.get(start..start.saturating_add(len as usize)) else {
            return self.desk.wire.refuse(DeviceError::OutOfRange {
                tensor_bytes: output.info.len_bytes,
            });
        };
        self.desk.wire.stream(
            bytemuck::try_cast_slice(piece).unwrap_or_default(),
            offset,
            |offset, data| Response::Data { offset, data },
        )?;
        self.desk.wire.answer(&Response::Done)
    }

    fn hash_output(&mut self, index: u8) -> Result<(), LinkError> {
        let Some(output) = self.loaded.engine.output(usize::from(index)) else {
            return self.desk.wire.refuse(DeviceError::NoSuchTensor {
                index: u16::from(index),
            });
        };
        let bytes: &[u8] = bytemuck::try_cast_slice(output.values).unwrap_or_default();
        self.desk.wire.answer(&Response::OutputHash {
            sha256: sha256(bytes),
        })
    }
}
