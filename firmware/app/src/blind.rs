//! In place of [`vision`](crate) in an image without it: refuses.

use core::marker::PhantomData;

use ocellus::Engine;
use ocellus_board_api::{Link, LinkError, MemorySlots};
use ocellus_protocol::DeviceError;

use crate::wire::Wire;

/// No use is made of the camera.
pub(crate) struct Vision<'s, C>(PhantomData<&'s mut C>);

impl<'s, C> Vision<'s, C> {
    pub(crate) fn new(_: &'s mut C) -> Self {
        Vision(PhantomData)
    }

    /// There is nothing to forget.
    pub(crate) fn forget(&mut self) {}

    /// Refuses.
    pub(crate) fn capture<K, L: Link>(
        &mut self,
        _: &mut Engine<'_, '_, K>,
        _: u8,
        _: &mut MemorySlots<'_>,
        wire: &mut Wire<'_, L>,
    ) -> Result<(), LinkError> {
        wire.refuse(DeviceError::NotInImage)
    }

    /// Refuses.
    pub(crate) fn report<K, L: Link>(
        &self,
        _: &Engine<'_, '_, K>,
        wire: &mut Wire<'_, L>,
    ) -> Result<(), LinkError> {
        wire.refuse(DeviceError::NotInImage)
    }
}
