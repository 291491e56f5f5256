//! The models, what they are measured on, and what is promised.

use ocellus_setup::Package;

use crate::packages;

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) model: Model,
    pub(crate) pictures: Pictures,
    /// In `recipes`.
    pub(crate) recipe: &'static str,
    pub(crate) promise: Promise,
    /// How far the metric may fall below float, as a share; `None`: it is reported only.
    pub(crate) may_fall: Option<f64>,
    /// The file is quantized already: nothing is calibrated, and it is compared with its own runtime.
    pub(crate) quantized: bool,
}

/// Where a model comes from.
pub(crate) enum Model {
    /// Below `../shared/data/models`.
    Data(&'static str),
    /// Out of a package.
    Package(&'static Package, &'static str),
    /// Made from the weights of a package by `efficientnet_lite0.py`.
    EfficientNetLite0,
}

/// What a model is measured on. Every fifth picture of a sorted list calibrates, the others measure.
pub(crate) enum Pictures {
    /// A folder below `../shared/data/images`, and the one in it that holds the pictures.
    Data(&'static str, &'static str),
    /// The Solvay photograph, whose faces are labelled, and group photographs without labels; COCO's calibrate.
    Faces,
    /// Words in street photographs; words in other photographs calibrate.
    SceneText,
}

/// What is promised of int8 against float, or against a quantized file's own runtime.
#[derive(Clone, Copy)]
pub(crate) enum Promise {
    /// A share that agrees: the target, and the bar below which the row fails.
    Share { target: f64, bar: f64 },
    /// At most so many pictures get another answer.
    Differ { most: u64 },
    /// At most so many boxes are kept by one of the two alone.
    Boxes { most: u64 },
}

const fn share(target: f64, bar: f64) -> Promise {
    Promise::Share { target, bar }
}

/// A file that is quantized already.
const fn quantized(
    name: &'static str,
    path: &'static str,
    pictures: Pictures,
    recipe: &'static str,
) -> Row {
    Row {
        name,
        model: Model::Data(path),
        pictures,
        recipe,
        promise: share(0.99, 0.99),
        may_fall: None,
        quantized: true,
    }
}

pub(crate) static ROWS: [Row; 14] = [
    Row {
        name: "ic_resnet8_f32",
        model: Model::Data("mlperf_tiny/ic_resnet8_f32.onnx"),
        pictures: Pictures::Data("cifar10_jpeg", ""),
        recipe: "ic_resnet8.toml",
        promise: share(0.975, 0.966),
        may_fall: Some(0.005),
        quantized: false,
    },
    Row {
        name: "mobilenet_v1_0.25_128_f32",
        model: Model::Data("classify/mobilenet_v1_0.25_128_f32.onnx"),
        pictures: Pictures::Data("imagenet500", ""),
        recipe: "mobilenet_v1.toml",
        promise: share(0.92, 0.89),
        may_fall: Some(0.015),
        quantized: false,
    },
    Row {
        name: "vww_96_f32",
        model: Model::Data("mlperf_tiny/vww_96_f32.onnx"),
        pictures: Pictures::Data("coco128_train", "images"),
        recipe: "vww_96.toml",
        promise: Promise::Differ { most: 3 },
        may_fall: None,
        quantized: false,
    },
    Row {
        name: "fastestdet_coco_352",
        model: Model::Data("detect/fastestdet_coco_352.onnx"),
        pictures: Pictures::Data("coco128_train", "images"),
        recipe: "fastestdet.toml",
        promise: share(0.9, 0.9),
        may_fall: None,
        quantized: false,
    },
    Row {
        name: "ultraface_slim_320",
        model: Model::Data("detect/ultraface_slim_320.onnx"),
        pictures: Pictures::Faces,
        recipe: "ultraface_slim.toml",
        promise: Promise::Boxes { most: 1 },
        may_fall: None,
        quantized: false,
    },
    Row {
        name: "deeplabv3_mnv2_dm05_f32",
        model: Model::Data("segment/deeplabv3_mnv2_dm05_f32.onnx"),
        pictures: Pictures::Data("coco128_train", "images"),
        recipe: "deeplabv3_mnv2.toml",
        promise: share(0.97, 0.97),
        may_fall: Some(0.01),
        quantized: false,
    },
    Row {
        name: "efficientnet_lite0",
        model: Model::EfficientNetLite0,
        pictures: Pictures::Data("imagenet500", ""),
        recipe: "efficientnet_lite0.toml",
        promise: share(0.95, 0.93),
        may_fall: Some(0.01),
        quantized: false,
    },
    Row {
        name: "ppocr_v4_rec",
        model: Model::Package(&packages::RAPIDOCR, "ch_PP-OCRv4_rec_infer.onnx"),
        pictures: Pictures::SceneText,
        recipe: "ppocr_v4_rec.toml",
        promise: Promise::Differ { most: 1 },
        may_fall: None,
        quantized: false,
    },
    quantized(
        "ic_resnet8_int8",
        "mlperf_tiny/ic_resnet8_int8.tflite",
        Pictures::Data("cifar10_jpeg", ""),
        "ic_resnet8_int8.toml",
    ),
    quantized(
        "mobilenet_v1_0.25_128_quant",
        "classify/mobilenet_v1_0.25_128_quant.tflite",
        Pictures::Data("imagenet500", ""),
        "mobilenet_v1.toml",
    ),
    quantized(
        "vww_96_int8",
        "mlperf_tiny/vww_96_int8.tflite",
        Pictures::Data("coco128_train", "images"),
        "vww_96_int8.toml",
    ),
    quantized(
        "ic_resnet8_qdq",
        "mlperf_tiny/ic_resnet8_qdq.onnx",
        Pictures::Data("cifar10_jpeg", ""),
        "ic_resnet8.toml",
    ),
    quantized(
        "mobilenet_v1_0.25_128_qdq",
        "classify/mobilenet_v1_0.25_128_qdq.onnx",
        Pictures::Data("imagenet500", ""),
        "mobilenet_v1.toml",
    ),
    quantized(
        "vww_96_qdq",
        "mlperf_tiny/vww_96_qdq.onnx",
        Pictures::Data("coco128_train", "images"),
        "vww_96.toml",
    ),
];
