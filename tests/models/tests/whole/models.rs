//! Models of `../shared/data` and of public packages, read and calibrated.

use std::io::Write;
use std::path::{Path, PathBuf};

use ocellus_compile::interpret::Interpreter;
use ocellus_compile::{Calibration, Compiled, Method, Options, Sample, Target, compile};
use ocellus_data::{Picture, pictures_in};
use ocellus_format::{Colour, Fit, Preprocess};
use ocellus_image::{InputSize, into_f32};
use ocellus_import::{ImportOptions, import};
use ocellus_ir::Graph;
use ocellus_ir::passes::Checking;
use ocellus_ir::random::Random;
use ocellus_setup::{Host, Need, PackedFile, Terminal, catalogue, ensure};

/// Every fifth file of a sorted folder calibrates; the others measure.
pub(crate) const CALIBRATION_STEP: usize = 5;
/// Pictures that identity is calibrated on: the bytes have to agree, not to be good.
const CALIBRATION_PICTURES: usize = 8;

/// A float graph with the ranges of its tensors.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) graph: Graph,
    pub(crate) calibration: Calibration,
    /// A picture that calibration has not seen, as the graph's only input.
    pub(crate) picture: Option<Vec<f32>>,
}

impl Model {
    pub(crate) fn compiled(&self, target: Target) -> Compiled {
        self.compiled_over(target, Vec::new())
    }

    /// As [`compiled`](Self::compiled), for memories of these sizes.
    pub(crate) fn compiled_over(&self, target: Target, memories: Vec<u64>) -> Compiled {
        let options = Options {
            target,
            memories,
            ..Options::default()
        };
        compile(&self.graph, &self.calibration, &options, None)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// What is put into the model, a run each: the picture or noise, then numbers at the ends of their range, where everything saturates.
    pub(crate) fn inputs(&self, interpreter: &Interpreter) -> Vec<Vec<Vec<i8>>> {
        let random = &mut Random::new(7);
        let lens: Vec<usize> = self
            .graph
            .inputs
            .iter()
            .map(|input| self.graph.tensor(input.tensor).len())
            .collect();
        let mut of = |value: fn(&mut Random) -> i8| -> Vec<Vec<i8>> {
            lens.iter()
                .map(|&len| (0..len).map(|_| value(random)).collect())
                .collect()
        };
        let ends = of(|random| if random.below(2) == 0 { -128 } else { 127 });
        let first = match &self.picture {
            Some(values) => vec![interpreter.quantize_input(0, values)],
            None => of(|random| random.below(256) as u8 as i8),
        };
        vec![first, ends]
    }
}

/// Where calibration comes from.
#[derive(Clone, Copy)]
pub(crate) enum Samples {
    /// A folder below `images`, and how its pixels become numbers.
    Pictures(&'static str, Preprocess),
    /// Pictures of the package `foolbox`.
    Package(Preprocess),
    /// There are none for this model: numbers from a seed. They say nothing about accuracy.
    Noise(u64),
}

/// Where a model comes from.
#[derive(Clone, Copy)]
pub(crate) enum File {
    /// Below `models` of the data folder.
    Data(&'static str),
    /// Out of a package.
    Package(&'static ocellus_setup::Package, &'static str),
}

/// A real model and what is known about it.
#[derive(Clone, Copy)]
pub(crate) struct Real {
    pub(crate) file: File,
    pub(crate) samples: Samples,
    /// Sizes where the file leaves them open or says others.
    pub(crate) shape: Option<&'static [usize]>,
}

/// `(pixel - mean) / std`.
pub(crate) const fn pixels(colour: Colour, mean: f32, std: f32) -> Preprocess {
    Preprocess {
        fit: Fit::Stretch,
        colour,
        mean: [mean; 3],
        std: [std; 3],
    }
}

const fn data(path: &'static str, samples: Samples) -> Real {
    Real {
        file: File::Data(path),
        samples,
        shape: None,
    }
}

pub(crate) const RESNET8: Real = data(
    "mlperf_tiny/ic_resnet8_f32.onnx",
    Samples::Pictures("cifar10_jpeg", pixels(Colour::Rgb, 0.0, 1.0)),
);
pub(crate) const VISUAL_WAKE_WORDS: Real = data(
    "mlperf_tiny/vww_96_f32.onnx",
    Samples::Pictures("coco128_train/images", pixels(Colour::Rgb, 0.0, 255.0)),
);
pub(crate) const KEYWORDS: Real = data("mlperf_tiny/kws_ref_f32.onnx", Samples::Noise(1));
pub(crate) const ANOMALY_INT8: Real = data("mlperf_tiny/ad01_int8.tflite", Samples::Noise(3));
pub(crate) const RESNET8_TFLITE: Real = data(
    "mlperf_tiny/ic_resnet8_f32.tflite",
    Samples::Pictures("cifar10_jpeg", pixels(Colour::Rgb, 0.0, 1.0)),
);
pub(crate) const ANOMALY: Real = data("mlperf_tiny/ad01_f32.onnx", Samples::Noise(2));
pub(crate) const MOBILENET: Real = data(
    "classify/mobilenet_v1_0.25_128_f32.onnx",
    Samples::Pictures("imagenet500", pixels(Colour::Rgb, 0.0, 1.0)),
);
pub(crate) const ULTRAFACE: Real = data(
    "detect/ultraface_slim_320.onnx",
    Samples::Pictures("coco128_train/images", pixels(Colour::Rgb, 127.0, 128.0)),
);
pub(crate) const FASTESTDET: Real = data(
    "detect/fastestdet_coco_352.onnx",
    Samples::Pictures("coco128_train/images", pixels(Colour::Bgr, 0.0, 255.0)),
);
pub(crate) const CENTERFACE: Real = Real {
    file: File::Package(&catalogue::CENTERFACE, "centerface.onnx"),
    samples: Samples::Package(pixels(Colour::Rgb, 0.0, 1.0)),
    shape: Some(&[1, 3, 448, 640]),
};
pub(crate) const ONET: Real = Real {
    file: File::Package(&catalogue::ONET, "onet.onnx"),
    samples: Samples::Package(pixels(Colour::Rgb, 127.5, 128.0)),
    shape: None,
};

/// The folder of real models and pictures, if this machine has it. Says so where it has not; the harness does not catch what is written there.
pub(crate) fn data_folder(test: &str) -> Option<PathBuf> {
    let host = Host::here().expect("the source tree");
    let folder = host.root.join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    say(&format!(
        "SKIPPED {test}: not run: ../shared/data is not here"
    ));
    None
}

/// A line past the harness, which keeps what the macros print.
pub(crate) fn say(line: &str) {
    // Nothing is lost with it but the line.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A file of a package, fetched where it is not here.
fn packed(package: &'static ocellus_setup::Package, name: &str) -> PathBuf {
    let host = Host::here().expect("the source tree");
    ensure(&[Need::Package(package)], &host, &Terminal::new())
        .unwrap_or_else(|error| panic!("{error}"));
    package.path(&host, name).expect("a file of the package")
}

/// A picture as a picture input of `Nhwc`, and the same in the file's order of axes.
pub(crate) fn picture_input(graph: &Graph, path: &Path, p: &Preprocess) -> [Vec<f32>; 2] {
    let input = &graph.inputs[0];
    let &[1, height, width, channels] = graph.tensor(input.tensor).shape.as_slice() else {
        panic!("{}: no picture", input.name);
    };
    let size = InputSize {
        height_px: height as u32,
        width_px: width as u32,
        channels: channels as u32,
    };
    let mut values = vec![0.0; height * width * channels];
    let picture = Picture::open(path).expect("a picture");
    into_f32(&picture.frame(), p, size, &mut values).expect("its size");
    let in_file = match input.order.as_slice() {
        [0, 1, 2, 3] => values.clone(),
        [0, 2, 3, 1] => (0..channels)
            .flat_map(|c| values.iter().skip(c).step_by(channels).copied())
            .collect(),
        order => panic!("{}: order {order:?}", input.name),
    };
    [values, in_file]
}

impl Real {
    /// The name of the file.
    pub(crate) fn name(&self) -> &'static str {
        match self.file {
            File::Data(path) => path.rsplit('/').next().unwrap_or(path),
            File::Package(_, name) => name,
        }
    }

    /// The file; `None`, and a line that says so, where it is not here.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        match self.file {
            File::Data(path) => Some(data_folder(self.name())?.join("models").join(path)),
            File::Package(package, name) => Some(packed(package, name)),
        }
    }

    /// Choices that the file leaves open.
    pub(crate) fn options(&self, path: &Path) -> ImportOptions {
        let mut options = ImportOptions::default();
        if let Some(shape) = self.shape {
            let names = ocellus_import::input_names(path).expect("a model file");
            options
                .input_shapes
                .push((names[0].clone(), shape.to_vec()));
        }
        options
    }

    /// The optimized graph.
    pub(crate) fn graph(&self) -> Option<Graph> {
        let path = self.path()?;
        let mut graph = import(&path, &self.options(&path))
            .unwrap_or_else(|error| panic!("{error}"))
            .graph;
        let options = ocellus_ir::Options {
            checking: Checking::Each,
            ..Default::default()
        };
        ocellus_ir::optimize(&mut graph, &options)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        Some(graph)
    }

    /// The pictures that the model's kind of data has, sorted.
    pub(crate) fn pictures(&self) -> Vec<PathBuf> {
        match self.samples {
            Samples::Pictures(folder, _) => data_folder(self.name())
                .map(|data| pictures_in(&data.join("images").join(folder)).expect("pictures"))
                .unwrap_or_default(),
            Samples::Package(_) => catalogue::FOOLBOX
                .files
                .iter()
                .map(|PackedFile { path, .. }| {
                    let name = path.rsplit('/').next().unwrap_or(path);
                    packed(&catalogue::FOOLBOX, name)
                })
                .collect(),
            Samples::Noise(_) => Vec::new(),
        }
    }

    /// Read and calibrated on a few samples; `None` where it is not here.
    pub(crate) fn model(&self) -> Option<Model> {
        let graph = self.graph()?;
        let (samples, picture, seed) = match self.samples {
            Samples::Pictures(_, p) | Samples::Package(p) => {
                let pictures = self.pictures();
                let chosen: Vec<_> = pictures.iter().step_by(CALIBRATION_STEP).collect();
                let step = chosen.len().div_ceil(CALIBRATION_PICTURES);
                let samples = chosen.into_iter().step_by(step).map(|path| Sample {
                    inputs: vec![picture_input(&graph, path, &p)[1].clone()],
                    sha256: None,
                });
                let [unseen, _] = picture_input(&graph, &pictures[1], &p);
                (samples.collect::<Vec<_>>(), Some(unseen), None)
            }
            Samples::Noise(seed) => {
                let random = &mut Random::new(seed);
                let mut sample = || Sample {
                    inputs: graph
                        .inputs
                        .iter()
                        .map(|input| random.values(graph.tensor(input.tensor).len()))
                        .collect(),
                    sha256: None,
                };
                let samples = (0..CALIBRATION_PICTURES).map(|_| sample()).collect();
                (samples, None, Some(seed))
            }
        };
        let calibration = Calibration::collect(&graph, samples, Method::default(), |_| ())
            .unwrap_or_else(|error| panic!("{}: {error}", self.name()));
        let calibration = match seed {
            Some(seed) => calibration.synthetic(seed),
            None => calibration,
        };
        Some(Model {
            name: self.name().to_owned(),
            graph,
            calibration,
            picture,
        })
    }
}
