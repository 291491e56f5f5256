//! Where the parts of a model's arena lie.

use core::mem::take;

use ocellus::format::MAX_PARTS;
use ocellus_board_api::MemorySlots;
use ocellus_protocol::DeviceError;

/// A memory for each part, empty where there are fewer parts, and the name of the region that it lies in.
#[derive(Default)]
pub(crate) struct Places<'a> {
    pub(crate) memories: [&'a mut [u8]; MAX_PARTS],
    pub(crate) regions: [&'a str; MAX_PARTS],
}

/// Gives each part of so many bytes, in order, the first memory that has room for it behind the parts that it holds already.
///
/// # Errors
/// [`DeviceError::ArenaTooSmall`]: a part has no place
pub(crate) fn place<'a>(
    sizes: [u32; MAX_PARTS],
    arenas: &'a mut MemorySlots<'_>,
) -> Result<Places<'a>, DeviceError> {
    let mut places = Places::default();
    let mut largest_bytes = 0;
    // Memory by memory instead of part by part: the places are the same, and each memory is taken up once.
    for slot in arenas.iter_mut().flatten() {
        let mut free = &mut *slot.bytes;
        let taken = places.memories.iter_mut().zip(&mut places.regions);
        for (size, (memory, region)) in sizes.into_iter().zip(taken) {
            if memory.is_empty() && free.len() >= size as usize {
                let (bytes, rest) = take(&mut free)
                    .split_at_mut_checked(size as usize)
                    .unwrap_or_default();
                (*memory, *region) = (bytes, slot.region);
                free = rest;
            }
        }
        largest_bytes = largest_bytes.max(free.len());
    }
    let mut placed = sizes.into_iter().zip(&places.memories);
    match placed.find(|(size, memory)| memory.len() < *size as usize) {
        Some((needed_bytes, _)) => Err(DeviceError::ArenaTooSmall {
            needed_bytes,
            largest_bytes: largest_bytes as u32,
        }),
        None => Ok(places),
    }
}

#[cfg(test)]
mod tests {
    use ocellus::Aligned;
    use ocellus_board_api::Memory;

    use super::*;

    /// Regions and lengths of parts of these sizes on a board with a memory of 64 bytes and one of 256.
    fn placed(sizes: [u32; MAX_PARTS]) -> Result<[(&'static str, usize); MAX_PARTS], DeviceError> {
        let (mut fast, mut slow) = (Aligned([0; 64]), Aligned([0; 256]));
        let mut arenas: MemorySlots<'_> = Default::default();
        arenas[0] = Some(Memory {
            region: "fast",
            bytes: &mut fast.0,
        });
        arenas[1] = Some(Memory {
            region: "slow",
            bytes: &mut slow.0,
        });
        let places = place(sizes, &mut arenas)?;
        let mut lens = places.memories.iter().map(|memory| memory.len());
        Ok([0, 1, 2, 3].map(|part| {
            let region = ["fast", "slow", ""]
                .into_iter()
                .find(|&region| region == places.regions[part]);
            (region.unwrap_or("?"), lens.next().unwrap_or(0))
        }))
    }

    #[test]
    fn the_first_memory_with_room_takes_a_part() {
        let one = placed([64, 0, 0, 0]).map(|places| places[0]);
        assert_eq!(one, Ok(("fast", 64)));
        let one = placed([80, 0, 0, 0]).map(|places| places[0]);
        assert_eq!(one, Ok(("slow", 80)));
        let expected = [("fast", 48), ("slow", 32), ("fast", 16), ("slow", 224)];
        assert_eq!(placed([48, 32, 16, 224]), Ok(expected));
    }

    #[test]
    fn a_part_without_a_place_is_refused() {
        for (sizes, needed_bytes, largest_bytes) in
            [([272, 0, 0, 0], 272, 256), ([64, 64, 208, 0], 208, 192)]
        {
            assert_eq!(
                placed(sizes),
                Err(DeviceError::ArenaTooSmall {
                    needed_bytes,
                    largest_bytes
                })
            );
        }
    }
}
