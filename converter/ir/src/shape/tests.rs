use super::*;
use crate::{BinaryOp, Window};

#[test]
fn convolution_follows_stride_dilation_and_padding() {
    let window = Window {
        stride: [2, 1],
        dilation: [1, 2],
        pad_before: [0, 2],
        pad_after: [1, 2],
    };
    let op = Op::Conv2d { window, groups: 1 };
    assert_eq!(
        op.output_shape(&[&[1, 8, 9, 3], &[5, 3, 3, 3], &[5]]),
        Ok(vec![1, 4, 9, 5])
    );
}

#[test]
fn transposed_convolution_undoes_the_size_of_a_convolution() {
    let window = Window {
        stride: [2, 2],
        dilation: [1, 1],
        pad_before: [1, 1],
        pad_after: [1, 1],
    };
    let op = Op::TransposeConv2d {
        window,
        output_padding: [1, 0],
        groups: 1,
    };
    assert_eq!(
        op.output_shape(&[&[1, 4, 5, 3], &[6, 3, 3, 3]]),
        Ok(vec![1, 8, 9, 6])
    );
}

#[test]
fn errors_say_what_was_expected() {
    let window = Window {
        stride: [1, 1],
        dilation: [1, 1],
        pad_before: [0, 0],
        pad_after: [0, 0],
    };
    let conv = Op::Conv2d { window, groups: 1 };
    let short = conv.output_shape(&[&[1, 2, 9, 3], &[5, 3, 3, 3]]);
    assert_eq!(
        short,
        Err(ShapeError::WindowTooLarge {
            op: "conv_2d",
            what: "rows",
            window: 3,
            actual: 2
        })
    );
    let channels = conv
        .output_shape(&[&[1, 9, 9, 4], &[5, 3, 3, 3]])
        .unwrap_err();
    assert_eq!(
        channels.to_string(),
        "`conv_2d`: input channels of the weights must be 4, but is 3"
    );
    assert!(matches!(
        conv.output_shape(&[&[1, 2, 9, 3]]),
        Err(ShapeError::InputCount { actual: 1, .. })
    ));
    let zero = Op::MaxPool2d {
        kernel: [2, 2],
        window: Window {
            stride: [0, 1],
            ..window
        },
    };
    assert!(matches!(
        zero.output_shape(&[&[1, 4, 4, 1]]),
        Err(ShapeError::Zero { .. })
    ));
    assert!(matches!(
        Op::Binary(BinaryOp::Add).output_shape(&[&[2, 3], &[2]]),
        Err(ShapeError::Broadcast { .. })
    ));
    let slice = Op::Slice {
        begin: vec![2],
        size: vec![3],
        step: vec![2],
    };
    assert_eq!(
        slice.output_shape(&[&[6]]),
        Err(ShapeError::Index {
            op: "slice",
            axis: 0,
            index: 6,
            size: 6
        })
    );
    assert!(
        Op::Transpose { order: vec![0, 0] }
            .output_shape(&[&[2, 2]])
            .is_err()
    );
    let huge = Op::Pad {
        before: vec![usize::MAX],
        after: vec![1],
        value: 0.0,
    };
    assert_eq!(
        huge.output_shape(&[&[1]]),
        Err(ShapeError::TooLarge { op: "pad" })
    );
    assert!(
        Op::Reshape {
            shape: vec![usize::MAX, 2]
        }
        .output_shape(&[&[2]])
        .is_err()
    );
}

#[test]
fn broadcast_aligns_at_the_right() {
    assert_eq!(broadcast("add", &[4, 1, 3], &[5, 1]), Ok(vec![4, 5, 3]));
    assert_eq!(broadcast("add", &[], &[2]), Ok(vec![2]));
}
