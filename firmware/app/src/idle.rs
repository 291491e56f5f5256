//! Requests that need no model.

use ocellus::OpTable;
use ocellus::format::layout::{FORMAT_VERSION, HEADER_MAGIC, HEADER_SHA256, MAGIC};
use ocellus::format::ops::OpCode;
use ocellus::format::verify;
use ocellus::kernels::Kernels;
use ocellus_board_api::{Link, LinkError, MemorySlots, MemoryUse, ModelSlots};
use ocellus_protocol::{DeviceError, MAX_MESSAGE_BYTES, PROTOCOL_VERSION, Request, Response};

use crate::wire::Wire;
use crate::{Next, conformance, markers};

/// What the whole conversation needs.
pub(crate) struct Desk<'b, K: 'static, L> {
    pub(crate) wire: Wire<'b, L>,
    pub(crate) name: &'b str,
    pub(crate) kernels: K,
    pub(crate) ops: OpTable<K>,
    pub(crate) models: ModelSlots<'b>,
    pub(crate) memory_use: fn() -> MemoryUse,
    /// Whose models are loaded; everyone's, where it is `None`.
    #[cfg(feature = "signed")]
    pub(crate) signer: Option<&'static [u8; 32]>,
}

impl<'b, K: Kernels, L: Link> Desk<'b, K, L> {
    /// The slot that holds a model, or the first one.
    pub(crate) fn model(&self) -> &'b [u8] {
        let mut slots = self.models.iter().flatten().copied();
        let first = self
            .models
            .iter()
            .flatten()
            .copied()
            .next()
            .unwrap_or_default();
        slots
            .find(|slot| slot.get(HEADER_MAGIC) == Some(MAGIC.as_slice()))
            .unwrap_or(first)
    }

    /// Answers until a model is to be loaded.
    pub(crate) fn serve_without_model(
        &mut self,
        arenas: &mut MemorySlots<'_>,
    ) -> Result<Next, LinkError> {
        let mut buffer = [0; MAX_MESSAGE_BYTES];
        while let Some(request) = self.wire.receive(&mut buffer)? {
            match request {
                Request::Load => return Ok(Next::Load),
                Request::Conformance { cases } => {
                    conformance::run(self.kernels, cases, arenas, &mut self.wire)?;
                }
                request => self.answer(&request, 0, "")?,
            }
        }
        Ok(Next::End)
    }

    /// Answers what needs no model; refuses the rest.
    pub(crate) fn answer(
        &mut self,
        request: &Request<'_>,
        arena_bytes: u32,
        region: &str,
    ) -> Result<(), LinkError> {
        match *request {
            Request::Hello { version } if version != PROTOCOL_VERSION => {
                self.wire.refuse(DeviceError::ProtocolVersion {
                    device: PROTOCOL_VERSION,
                })
            }
            Request::Hello { .. } => self.wire.answer(&Response::Hello {
                version: PROTOCOL_VERSION,
                board: self.name,
                isa: K::ISA.name(),
                format_version: FORMAT_VERSION,
                operators: OpCode::ALL
                    .into_iter()
                    .filter(|&code| self.ops.contains(code))
                    .count() as u8,
                profile: cfg!(feature = "profile"),
            }),
            Request::Verify => {
                let model = self.model();
                markers::begin_verify();
                let verified = verify(model);
                markers::end_verify();
                match (
                    verified,
                    model.get(HEADER_SHA256).and_then(|hash| hash.first_chunk()),
                ) {
                    (Ok(()), Some(sha256)) => {
                        self.wire.answer(&Response::Verified { sha256: *sha256 })
                    }
                    (Err(error), _) => self.wire.refuse(DeviceError::Load(error.into())),
                    (Ok(()), None) => self.wire.refuse(DeviceError::NotLoaded),
                }
            }
            Request::Memory => {
                let used = (self.memory_use)();
                self.wire.answer(&Response::Memory {
                    stack_bytes: used.stack_bytes,
                    stack_used_bytes: used.stack_used_bytes,
                    statics_bytes: used.statics_bytes,
                    arena_bytes,
                    region,
                })
            }
            // The arena that the cases would use is the model's now.
            Request::Conformance { .. } => self.wire.refuse(DeviceError::ArenaInUse),
            Request::Load
            | Request::SetInput { .. }
            | Request::Capture { .. }
            | Request::Tap { .. }
            | Request::Infer { .. }
            | Request::GetOutput { .. }
            | Request::HashOutput { .. }
            | Request::Task => self.wire.refuse(DeviceError::NotLoaded),
            _ => self.wire.refuse(DeviceError::UnknownRequest),
        }
    }
}
