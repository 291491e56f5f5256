//! CenterFace: a heat map of face centres, with size and offset at each.

use crate::{BBox, Best, Detection, Reals};

/// Outputs of a CenterFace network, each `[rows, columns, *]`.
#[derive(Clone, Copy, Debug)]
pub struct CenterFaceMaps<A> {
    /// Rows of every map.
    pub rows: u32,
    /// Columns of every map.
    pub columns: u32,
    /// Probability of a centre, one value a cell.
    pub heat: A,
    /// Logarithm of height and width in cells, two values a cell.
    pub log_size: A,
    /// Offset of the centre from the cell, row then column, two values a cell.
    pub offset: A,
    /// Input pixels from one cell to the next.
    pub stride_px: u32,
}

/// Adds every cell above `threshold` to `found`, boxes in pixels of the model's input. Suppression is [`crate::nms`].
pub fn centerface<A: Reals>(maps: &CenterFaceMaps<A>, threshold: f32, found: &mut Best<'_>) {
    let stride = maps.stride_px as f32;
    let cells = (maps.rows as usize)
        .saturating_mul(maps.columns as usize)
        .min(maps.heat.len());
    let (mut row, mut column) = (0_u32, 0_u32);
    for cell in 0..cells {
        let score = maps.heat.real(cell);
        if score > threshold {
            let height = libm::expf(maps.log_size.real(2 * cell)) * stride;
            let width = libm::expf(maps.log_size.real(2 * cell + 1)) * stride;
            let y = (row as f32 + maps.offset.real(2 * cell) + 0.5) * stride;
            let x = (column as f32 + maps.offset.real(2 * cell + 1) + 0.5) * stride;
            let bbox = BBox {
                x0: x - width / 2.0,
                y0: y - height / 2.0,
                x1: x + width / 2.0,
                y1: y + height / 2.0,
            };
            found.push(Detection {
                bbox,
                score,
                class_id: 0,
            });
        }
        column += 1;
        if column == maps.columns {
            (row, column) = (row + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArrayS8;
    use ocellus_format::QParams;

    #[test]
    fn a_hot_cell_becomes_a_box_around_its_centre() {
        let unit = |data| ArrayS8 {
            data,
            qparams: QParams {
                scale: 0.5,
                zero_point: 0,
            },
        };
        let heat = ArrayS8 {
            data: &[-128, -128, -128, -128, -128, 127],
            qparams: QParams {
                scale: 1.0 / 256.0,
                zero_point: -128,
            },
        };
        let maps = CenterFaceMaps {
            rows: 2,
            columns: 3,
            heat,
            log_size: unit(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0]),
            offset: unit(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            stride_px: 4,
        };
        let mut places = [Detection::default(); 4];
        let mut found = Best::new(&mut places);
        centerface(&maps, 0.35, &mut found);
        let [only] = found.as_mut_slice() else {
            panic!("one face")
        };
        let height = 4.0 * core::f32::consts::E;
        assert!(
            (only.bbox.y1 - only.bbox.y0 - height).abs() < 1e-4
                && (only.bbox.x1 - only.bbox.x0 - 4.0).abs() < 1e-5
        );
        assert!(
            ((only.bbox.y0 + only.bbox.y1) / 2.0 - 6.0).abs() < 1e-5
                && ((only.bbox.x0 + only.bbox.x1) / 2.0 - 12.0).abs() < 1e-5
        );
    }
}
