//! Sparse tensors: a tree of indices over the axes, in an order of its own, perhaps with blocks as innermost axes.

use std::sync::Arc;

use tract_tflite::tflite::{DimensionMetadata, DimensionType, SparsityParameters};

use crate::constant::{Data, element_count, strides};
use crate::error::{Outcome, Refusal};

/// A sparse tensor may stand for this many values: a small file must not fill the memory.
const MAX_ELEMENTS: usize = 1 << 24;

/// One level of the tree.
enum Level {
    /// Every index is there.
    Dense(usize),
    /// Node `i` of the level above has the indices `indices[segments[i]..segments[i + 1]]`.
    Sparse {
        segments: Vec<usize>,
        indices: Vec<usize>,
    },
}

fn wrong(what: &str) -> Refusal {
    Refusal::malformed(format!("its sparse structure is damaged: {what}"))
}

/// Puts stored values into a dense tensor of that shape; what is not stored is 0.
pub(super) fn densify(
    structure: &SparsityParameters<'_>,
    shape: &[usize],
    stored: &Data,
) -> Outcome<Data> {
    let number = |value: i32| usize::try_from(value).map_err(|_| wrong("a negative number"));
    let order = structure
        .traversal_order()
        .iter()
        .flatten()
        .map(number)
        .collect::<Outcome<Vec<_>>>()?;
    let block_axes = structure
        .block_map()
        .iter()
        .flatten()
        .map(number)
        .collect::<Outcome<Vec<_>>>()?;
    let levels = structure
        .dim_metadata()
        .iter()
        .flatten()
        .map(|level| level_of(&level))
        .collect::<Outcome<Vec<_>>>()?;
    let rank = shape.len() + block_axes.len();
    if !ocellus_ir::is_permutation(&order, rank)
        || levels.len() != rank
        || block_axes.iter().any(|&axis| axis >= shape.len())
    {
        return Err(wrong("its axes do not fit the shape"));
    }
    // What an index at each level is worth: that of a block's axis one place, that of a blocked axis a whole block.
    let mut blocks = vec![1usize; shape.len()];
    for (level, &axis) in levels.iter().zip(&order) {
        if let Some(&blocked) = axis
            .checked_sub(shape.len())
            .and_then(|i| block_axes.get(i))
        {
            let Level::Dense(size) = level else {
                return Err(wrong("a block is not dense"));
            };
            blocks[blocked] = *size;
        }
    }
    let places: Vec<(usize, usize)> = order
        .iter()
        .map(|&axis| match axis.checked_sub(shape.len()) {
            Some(block) => (block_axes[block], 1),
            None => (axis, blocks[axis]),
        })
        .collect();
    let walk = Walk {
        levels,
        places,
        shape,
        strides: strides(shape),
    };
    let count = element_count(shape)?;
    if count > MAX_ELEMENTS {
        return Err(Refusal::unsupported(format!(
            "a sparse tensor of shape {shape:?} is larger than the limit of 2^24 elements"
        )));
    }
    match stored {
        Data::Real(values) => walk.fill(values, count).map(Data::Real),
        Data::Int(values) => walk.fill(values, count).map(Data::Int),
    }
}

fn level_of(level: &DimensionMetadata<'_>) -> Outcome<Level> {
    if level.format() == DimensionType::DENSE {
        let size = usize::try_from(level.dense_size()).map_err(|_| wrong("a negative size"))?;
        return Ok(Level::Dense(size));
    }
    let wide = |value: i32| usize::try_from(value).map_err(|_| wrong("a negative index"));
    macro_rules! list {
        ($int:ident, $short:ident, $byte:ident) => {
            if let Some(list) = level.$int() {
                list.values().iter().flatten().map(wide).collect()
            } else if let Some(list) = level.$short() {
                Ok(list.values().iter().flatten().map(usize::from).collect())
            } else if let Some(list) = level.$byte() {
                Ok(list.values().iter().flatten().map(usize::from).collect())
            } else {
                Err(wrong("a list of indices is missing"))
            }
        };
    }
    let segments: Outcome<Vec<usize>> = list!(
        array_segments_as_int_32_vector,
        array_segments_as_uint_16_vector,
        array_segments_as_uint_8_vector
    );
    let indices: Outcome<Vec<usize>> = list!(
        array_indices_as_int_32_vector,
        array_indices_as_uint_16_vector,
        array_indices_as_uint_8_vector
    );
    Ok(Level::Sparse {
        segments: segments?,
        indices: indices?,
    })
}

struct Walk<'s> {
    levels: Vec<Level>,
    /// For each level the axis of the shape and how far an index moves along it.
    places: Vec<(usize, usize)>,
    shape: &'s [usize],
    strides: Vec<usize>,
}

impl Walk<'_> {
    fn fill<T: Copy + Default>(&self, stored: &[T], count: usize) -> Outcome<Arc<[T]>> {
        // No level of a sound structure has more nodes than there are values or segments: what stands below it is stored.
        let segments = self.levels.iter().map(|level| match level {
            Level::Dense(_) => 0,
            Level::Sparse { segments, .. } => segments.len(),
        });
        let limit = segments.fold(stored.len(), usize::max);
        // Level by level: where each node lies, as an index along every axis of the shape.
        let mut nodes: Vec<Vec<usize>> = vec![vec![0; self.shape.len()]];
        for (level, &(axis, worth)) in self.levels.iter().zip(&self.places) {
            let mut below = Vec::new();
            for (i, node) in nodes.iter().enumerate() {
                let listed;
                let dense: Vec<usize>;
                let indices = match level {
                    Level::Dense(size) => {
                        if size.saturating_add(below.len()) > limit {
                            return Err(wrong("it has more places than stored values"));
                        }
                        dense = (0..*size).collect();
                        &dense[..]
                    }
                    Level::Sparse { segments, indices } => {
                        let bounds = segments.get(i).zip(segments.get(i + 1));
                        listed = bounds.and_then(|(&from, &to)| indices.get(from..to));
                        listed.ok_or_else(|| wrong("a segment lies outside its list"))?
                    }
                };
                for &index in indices {
                    let mut place = node.clone();
                    place[axis] = index
                        .checked_mul(worth)
                        .and_then(|far| far.checked_add(place[axis]))
                        .filter(|&at| at < self.shape[axis])
                        .ok_or_else(|| wrong("an index lies outside the shape"))?;
                    below.push(place);
                }
                if below.len() > limit {
                    return Err(wrong("it has more places than stored values"));
                }
            }
            nodes = below;
        }
        if nodes.len() != stored.len() {
            return Err(wrong(
                "the count of stored values is not that of its places",
            ));
        }
        let mut dense = vec![T::default(); count];
        for (node, &value) in nodes.iter().zip(stored) {
            let at: usize = node.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
            let place = dense
                .get_mut(at)
                .ok_or_else(|| wrong("an index lies outside the shape"))?;
            *place = value;
        }
        Ok(dense.into())
    }
}
