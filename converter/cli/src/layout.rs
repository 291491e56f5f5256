//! Axes of arrays at the model's border.

/// Which axes of a picture input are rows, columns and channels, by the shape alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PictureAxes {
    /// Rows.
    pub(crate) height: usize,
    /// Columns.
    pub(crate) width: usize,
    /// 1 or 3.
    pub(crate) channels: usize,
    /// Channels come last.
    pub(crate) channels_last: bool,
}

impl PictureAxes {
    /// Reads `[n,h,w,c]`, `[n,c,h,w]` and both without batch; `None` where the channel axis is not 1 or 3.
    pub(crate) fn of(shape: &[usize]) -> Option<PictureAxes> {
        let axes = match *shape {
            [1, a, b, c] => [a, b, c],
            [a, b, c] => [a, b, c],
            _ => return None,
        };
        let plausible = |channels: usize| matches!(channels, 1 | 3);
        match axes {
            [height, width, channels] if plausible(channels) => Some(PictureAxes {
                height,
                width,
                channels,
                channels_last: true,
            }),
            [channels, height, width] if plausible(channels) => Some(PictureAxes {
                height,
                width,
                channels,
                channels_last: false,
            }),
            _ => None,
        }
    }

    /// The word for the order of axes.
    pub(crate) fn name(self) -> &'static str {
        if self.channels_last { "NHWC" } else { "NCHW" }
    }
}

/// `Nhwc` pixels in the file's order of axes.
pub(crate) fn from_nhwc<T: Copy>(axes: PictureAxes, pixels: Vec<T>) -> Vec<T> {
    if axes.channels_last {
        return pixels;
    }
    (0..axes.channels)
        .flat_map(|c| {
            pixels
                .iter()
                .skip(c)
                .step_by(axes.channels)
                .copied()
                .collect::<Vec<T>>()
        })
        .collect()
}

/// Values of `shape` in another order of axes: axis `i` of the result is axis `order[i]`.
pub(crate) fn transpose<T: Copy>(shape: &[usize], values: &[T], order: &[usize]) -> Vec<T> {
    if order.iter().enumerate().all(|(to, &from)| to == from) {
        return values.to_vec();
    }
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let sizes: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    let steps: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
    let mut index = vec![0; sizes.len()];
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        out.push(
            values[index
                .iter()
                .zip(&steps)
                .map(|(i, step)| i * step)
                .sum::<usize>()],
        );
        for axis in (0..sizes.len()).rev() {
            index[axis] += 1;
            if index[axis] < sizes[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_read_from_the_shape() {
        assert_eq!(PictureAxes::of(&[1, 3, 448, 640]).unwrap().name(), "NCHW");
        assert_eq!(PictureAxes::of(&[1, 48, 48, 3]).unwrap().name(), "NHWC");
        assert_eq!(PictureAxes::of(&[1, 640]), None);
        assert_eq!(PictureAxes::of(&[1, 49, 10, 1]).unwrap().height, 49);
    }

    #[test]
    fn planes_and_back() {
        let axes = PictureAxes::of(&[1, 3, 1, 2]).unwrap();
        let planes = from_nhwc(axes, vec![1, 2, 3, 4, 5, 6]);
        assert_eq!(planes, [1, 4, 2, 5, 3, 6]);
        assert_eq!(
            transpose(&[1, 3, 1, 2], &planes, &[0, 2, 3, 1]),
            [1, 2, 3, 4, 5, 6]
        );
    }
}
