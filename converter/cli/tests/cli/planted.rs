//! One channel's scale wrong by a factor of 16, in one layer: a comparison names that layer and that channel first, whatever the layers
//! behind make of it.

use std::io::Write;
use std::path::{Path, PathBuf};

use ocellus_compile::interpret::{Interpreter, Taps};
use ocellus_data::Picture;
use ocellus_format::ops::{Conv2dAdd, OpCode};
use ocellus_format::{AlignedBytes, ModelView, seal};
use ocellus_kernels::Reference;

use crate::onnx::{Onnx, weights};
use crate::workspace::Workspace;

/// Which input of an operator with weights holds the shifts of its channels.
const SHIFTS: usize = 4;

/// A channel whose values are this many steps from the zero point, on average, is one whose loss matters.
const ACTIVE_STEPS: f64 = 4.0;

/// A layer to plant in.
struct Layer {
    tensor: String,
    /// Where the shifts of its channels lie in the file.
    shifts: usize,
    /// Average distance of each channel from the zero point, in steps, on the sound file.
    activity: Vec<f64>,
}

/// The layers with shifts of their own, and how active their channels are on `input`, real numbers in the program's layout.
fn layers(file: &[u8], input: &[f32]) -> Vec<Layer> {
    let interpreter = Interpreter::new(file).unwrap();
    let inputs = [interpreter.quantize_input(0, input)];
    let taps = interpreter.run(Reference, &inputs, Taps::All).unwrap().taps;
    let aligned = AlignedBytes::from(file);
    let view = ModelView::new_checked(&aligned).unwrap();
    let weighted = [
        OpCode::Conv2d,
        OpCode::DepthwiseConv2d,
        OpCode::FullyConnected,
        OpCode::Conv2dAdd,
    ];
    let operators: Vec<_> = view
        .program()
        .operators()
        .filter(|op| weighted.contains(&op.code))
        .collect();
    let shifts = |op: &ocellus_format::Operator<'_>| {
        let before = match op.code {
            OpCode::Conv2dAdd => Conv2dAdd::FIRST_INPUTS,
            _ => 0,
        };
        let index = op.inputs.iter().nth(before + SHIFTS).unwrap();
        view.tensor(index).unwrap()
    };
    let mut layers = Vec::new();
    for operator in &operators {
        let constant = shifts(operator);
        // Equal constants are stored once: a change would hit two layers.
        if operators
            .iter()
            .filter(|other| shifts(other).offset == constant.offset)
            .count()
            > 1
        {
            continue;
        }
        let bytes: &[u8] = view.constant(&constant.extent()).unwrap();
        let output = usize::from(operator.outputs.iter().next().unwrap());
        let tensor = interpreter.info().tensor_names[output].clone();
        let tapped = &taps[&tensor];
        let zero = f64::from(tapped.qparams.zero_point);
        let channels = bytes.len();
        let mut activity = vec![0.0; channels];
        for (i, &value) in tapped.values.iter().enumerate() {
            activity[i % channels] +=
                (f64::from(value) - zero).abs() * channels as f64 / tapped.values.len() as f64;
        }
        layers.push(Layer {
            tensor,
            shifts: bytes.as_ptr().addr() - view.file().as_ptr().addr(),
            activity,
        });
    }
    layers
}

/// Plants in up to `most` layers, evenly over the model, a channel of middling activity and the most active one, too small and too large.
fn each_is_named(
    w: &Workspace,
    float: &Path,
    oce: &str,
    inputs: &[&str],
    input: &[f32],
    most: usize,
) {
    let float = float.to_str().unwrap();
    let good = w.read(oce);
    let compare = |oce: &str| w.json(&[&["compare", float, oce][..], inputs].concat());
    let mut planted = 0;
    let layers = layers(&good, input);
    for layer in layers.iter().step_by(layers.len().div_ceil(most)) {
        let mut active: Vec<usize> = (0..layer.activity.len())
            .filter(|&c| layer.activity[c] >= ACTIVE_STEPS)
            .collect();
        active.sort_by(|&a, &b| layer.activity[a].total_cmp(&layer.activity[b]));
        let Some(&strongest) = active.last() else {
            continue;
        };
        // One more bit of shift is half.
        for (channel, bits) in [
            (strongest, 4),
            (active[active.len() / 2], 4),
            (active[active.len() / 2], -4),
        ] {
            let mut bad = good.clone();
            let shift = &mut bad[layer.shifts + channel];
            *shift = shift
                .checked_add_signed(bits)
                .filter(|shift| (2..=62).contains(shift))
                .unwrap();
            seal(&mut bad);
            w.write("bad.oce", &bad);
            let value = compare("bad.oce");
            assert_eq!(
                value["suspect"], *layer.tensor,
                "{} channel {channel}, {bits} bits",
                layer.tensor
            );
            let rows = value["layers"].as_array().unwrap();
            let row = rows
                .iter()
                .find(|row| row["name"] == *layer.tensor)
                .unwrap();
            assert_eq!(row["own_channel"], channel, "{row}, {bits} bits");
            planted += 1;
        }
    }
    assert!(planted >= 9, "only {planted} were planted");
}

/// Weights whose channels differ in size, each layer in its own way, so that no two layers share their shifts.
fn uneven(seed: u32, channels: usize, taps: usize) -> Vec<f32> {
    let sizes = weights(seed ^ 0x55, channels);
    weights(seed, channels * taps)
        .iter()
        .enumerate()
        .map(|(i, weight)| weight * libm::exp2f(4.0 * sizes[i / taps]))
        .collect()
}

#[test]
fn in_a_generated_network() {
    let w = Workspace::new();
    for seed in 0..2_u32 {
        let s = seed * 16;
        let model = Onnx::new()
            .input("x", &[1, 3, 8, 8])
            .conv("x", "a", [3, 16], &uneven(s + 21, 16, 3 * 9))
            .conv("a", "b", [16, 16], &uneven(s + 22, 16, 16 * 9))
            .conv("b", "c", [16, 12], &uneven(s + 23, 12, 16 * 9))
            .node("Add", &["a", "b"], "d", &[])
            .conv("d", "e", [16, 12], &uneven(s + 24, 12, 16 * 9))
            .node("Add", &["c", "e"], "f", &[])
            .conv("f", "y", [12, 4], &uneven(s + 25, 4, 12 * 9));
        w.write("net.onnx", &model.bytes());
        w.convert("net.onnx", "net.oce");
        let values: Vec<f32> = weights(s + 99, 3 * 64).iter().map(|v| v + 0.5).collect();
        w.npy("x.npy", &[1, 3, 8, 8], &values);
        // The program reads pixels, the file planes.
        let pixels: Vec<f32> = (0..64 * 3).map(|i| values[i % 3 * 64 + i / 3]).collect();
        each_is_named(&w, Path::new("net.onnx"), "net.oce", &["x.npy"], &pixels, 5);
    }
}

/// `../shared/data`, where this machine has it.
fn data(test: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !folder.is_dir() {
        // Past the harness, which keeps what the macros print.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED {test}: ../shared/data is not here"
        );
        return None;
    }
    Some(folder)
}

/// The upper left corner of a picture, as real numbers.
fn corner(path: &Path, side: usize) -> Vec<f32> {
    let picture = Picture::open(path).unwrap();
    let width = picture.width_px as usize;
    let rows = (0..side).flat_map(|y| &picture.rgb[3 * width * y..][..3 * side]);
    rows.map(|&byte| f32::from(byte) / 255.0).collect()
}

fn real(test: &str, model: &str, pictures: &str, picture: &str, side: usize, most: usize) {
    let Some(data) = data(test) else {
        return;
    };
    let w = Workspace::new();
    let float = data.join("models").join(model);
    let folder = data.join("images").join(pictures);
    let (model, calibrate) = (float.to_str().unwrap(), folder.to_str().unwrap());
    w.succeed(&[
        "convert",
        model,
        "-o",
        "m.oce",
        "--calibrate",
        calibrate,
        "--every",
        "25",
    ]);
    let input = corner(&folder.join(picture), side);
    let side_px = side as u64;
    w.npy("x.npy", &[1, side_px, side_px, 3], &input);
    each_is_named(&w, &float, "m.oce", &["x.npy"], &input, most);
}

#[test]
fn in_resnet8() {
    real(
        "in_resnet8",
        "mlperf_tiny/ic_resnet8_f32.onnx",
        "cifar10_jpeg",
        "horse/0003.jpg",
        32,
        6,
    );
}

#[test]
fn in_a_mobile_network() {
    real(
        "in_a_mobile_network",
        "mlperf_tiny/vww_96_f32.onnx",
        "coco128_train",
        "images/000000000030.jpg",
        96,
        6,
    );
}
