//! Outputs become answers, as the model's task section says.

use ocellus::Engine;
use ocellus::format::{DType, Task};
use ocellus::kernels::Kernels;
use ocellus_board_api::{Link, LinkError};
use ocellus_image::Geometry;
use ocellus_protocol as protocol;
use ocellus_protocol::{DeviceError, Response};
use ocellus_tasks::{
    ArrayS8, Best, CenterFaceMaps, Class, Detection, centerface, nms, softmax, top_k,
};

use crate::wire::Wire;

/// Most classes of a ranking.
const MAX_CLASSES: usize = 32;
/// Most cells above the threshold; beyond it the weakest are dropped.
const MAX_CELLS: usize = 512;

/// Sends what the outputs mean. Boxes are in pixels of the frame where `geometry` says how that became the input.
pub(crate) fn report<K: Kernels, L: Link>(
    engine: &Engine<'_, '_, K>,
    geometry: Option<&Geometry>,
    wire: &mut Wire<'_, L>,
) -> Result<(), LinkError> {
    let record = match engine.model().view().task() {
        Ok(Some(record)) => record,
        Ok(None) => return wire.refuse(DeviceError::NoTask),
        Err(error) => return wire.refuse(DeviceError::Load(error.into())),
    };
    match record.task {
        Task::Classify { top_k, softmax } => report_classes(engine, top_k, softmax, wire),
        Task::CenterFace { .. } => report_faces(engine, record.task, geometry, wire),
        _ => wire.refuse(DeviceError::NoTask),
    }
}

/// The output at a position, as tasks see it, with its rows and columns.
fn output<'e, K: Kernels>(
    engine: &'e Engine<'_, '_, K>,
    position: u8,
) -> Option<(ArrayS8<'e>, u32, u32)> {
    // Indices are answers already, and no scores.
    let tensor = engine
        .output(usize::from(position))
        .filter(|tensor| tensor.info.dtype == DType::S8)?;
    let (rows, columns) = match *tensor.info.shape() {
        [1, rows, columns, _] | [rows, columns, _] => (rows, columns),
        _ => (1, 1),
    };
    Some((
        ArrayS8 {
            data: tensor.values,
            qparams: tensor.qparams(),
        },
        rows,
        columns,
    ))
}

#[inline(never)]
fn report_classes<K: Kernels, L: Link>(
    engine: &Engine<'_, '_, K>,
    count: u8,
    with_softmax: bool,
    wire: &mut Wire<'_, L>,
) -> Result<(), LinkError> {
    let Some((scores, ..)) = output(engine, 0) else {
        return wire.refuse(DeviceError::NoSuchTensor { index: 0 });
    };
    let mut ranking = [Class::default(); MAX_CLASSES];
    let places = ranking
        .get_mut(..usize::from(count).min(MAX_CLASSES))
        .unwrap_or_default();
    let found = top_k(scores, places);
    for class in places.iter().take(found) {
        let score = if with_softmax {
            softmax(scores, class.class_id as usize)
        } else {
            class.score
        };
        wire.answer(&Response::Class(protocol::Class {
            class_id: class.class_id as u16,
            score,
        }))?;
    }
    wire.answer(&Response::Done)
}

#[inline(never)]
fn report_faces<K: Kernels, L: Link>(
    engine: &Engine<'_, '_, K>,
    task: Task,
    geometry: Option<&Geometry>,
    wire: &mut Wire<'_, L>,
) -> Result<(), LinkError> {
    let Task::CenterFace {
        stride,
        score_threshold,
        nms_iou,
        heat,
        size,
        offset,
        ..
    } = task
    else {
        return wire.refuse(DeviceError::NoTask);
    };
    let (Some((heat, rows, columns)), Some((log_size, ..)), Some((offset, ..))) = (
        output(engine, heat),
        output(engine, size),
        output(engine, offset),
    ) else {
        return wire.refuse(DeviceError::NoSuchTensor {
            index: u16::from(heat.max(size).max(offset)),
        });
    };
    let maps = CenterFaceMaps {
        rows,
        columns,
        heat,
        log_size,
        offset,
        stride_px: u32::from(stride),
    };
    let mut places = [Detection::default(); MAX_CELLS];
    let mut best = Best::new(&mut places);
    centerface(&maps, score_threshold, &mut best);
    let found = best.as_mut_slice();
    let kept = nms(found, nms_iou);
    for face in found.iter().take(kept) {
        let corner = |x, y| geometry.map_or((x, y), |geometry| geometry.to_frame(x, y));
        let (left, top) = corner(face.bbox.x0, face.bbox.y0);
        let (right, bottom) = corner(face.bbox.x1, face.bbox.y1);
        wire.answer(&Response::Detection(protocol::Detection {
            class_id: face.class_id as u16,
            score: face.score,
            bbox: [left, top, right, bottom],
            landmarks: None,
        }))?;
    }
    wire.answer(&Response::Done)
}
