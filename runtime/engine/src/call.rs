//! One operator's operands, as slices of the arena and of the file.

use bytemuck::AnyBitPattern;
use ocellus_format::ops::IndexType;
use ocellus_format::{Class, Extent, ModelView, Operator};
use ocellus_kernels::{InOut, Indices, IndicesMut};

use crate::arena::{Arena, Shared};

/// What an operator runs on: its first output and its scratch to write, everything else to read.
///
/// Methods return `None` where the file is not what load proved.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) operator: Operator<'a>,
    view: &'a ModelView<'a>,
    /// The arena less output and scratch.
    shared: Shared<'a>,
    output_extent: Extent,
    /// Its bytes, which are the elements where the type is `s8`.
    pub(crate) output: &'a mut [i8],
    pub(crate) scratch: &'a mut [u8],
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        view: &'a ModelView<'a>,
        operator: Operator<'a>,
        arena: &'a mut Arena<'_>,
    ) -> Option<Self> {
        let output_extent = view.extent(operator.outputs.get(0)?)?;
        let mut pieces = arena.pieces();
        let output = pieces.cut(
            output_extent.offset as usize,
            output_extent.len_bytes as usize,
        )?;
        let scratch = match operator.scratch_bytes {
            0 => Default::default(),
            bytes => pieces.cut(operator.scratch_offset as usize, bytes as usize)?,
        };
        Some(Call {
            operator,
            view,
            shared: pieces.shared(),
            output_extent,
            output: bytemuck::try_cast_slice_mut(output).ok()?,
            scratch,
        })
    }

    /// The `s8` input at a position, in the arena or a constant.
    #[inline(never)]
    pub(crate) fn input(&self, position: usize) -> Option<&'a [i8]> {
        self.elements(position)
    }

    /// The input at a position, in the arena or a constant, as elements of the type that load has proved.
    fn elements<T: AnyBitPattern>(&self, position: usize) -> Option<&'a [T]> {
        let extent = self.input_extent(position)?;
        if extent.class == Class::Constant {
            return self.view.constant(&extent);
        }
        bytemuck::try_cast_slice(self.shared.get(&extent)?).ok()
    }

    /// The input at a position as indices.
    pub(crate) fn indices(&self, position: usize, index: IndexType) -> Option<Indices<'a>> {
        Some(match index {
            IndexType::U8 => Indices::U8(self.elements(position)?),
            IndexType::U16 => Indices::U16(self.elements(position)?),
            IndexType::S32 => Indices::S32(self.elements(position)?),
        })
    }

    /// The output as indices; no operator writes them as `s32`.
    pub(crate) fn indices_out(self, index: IndexType) -> Option<IndicesMut<'a>> {
        match index {
            IndexType::U8 => Some(IndicesMut::U8(
                bytemuck::try_cast_slice_mut(self.output).ok()?,
            )),
            IndexType::U16 => Some(IndicesMut::U16(
                bytemuck::try_cast_slice_mut(self.output).ok()?,
            )),
            IndexType::S32 => None,
        }
    }

    /// The constant input at a position.
    pub(crate) fn constant<T: AnyBitPattern>(&self, position: usize) -> Option<&'a [T]> {
        self.view.constant(&self.input_extent(position)?)
    }

    /// Input 0 and the output, which lie apart or are one.
    pub(crate) fn in_out(self) -> Option<InOut<'a>> {
        let extent = self.input_extent(0)?;
        if extent.class == Class::Arena && extent.offset == self.output_extent.offset {
            return Some(InOut::InPlace(self.output));
        }
        Some(InOut::Apart(self.input(0)?, self.output))
    }

    fn input_extent(&self, position: usize) -> Option<Extent> {
        self.view.extent(self.operator.inputs.get(position)?)
    }
}
