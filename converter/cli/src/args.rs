//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Converts, runs and measures convolutional networks on microcontrollers and small Linux boards.
#[derive(Debug, Parser)]
#[command(name = "ocellus", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// One JSON object on standard output; everything else goes to standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says what is here, what is missing and how to get it; fixes it with --fix.
    Doctor(DoctorArgs),
    /// Converts a float model to an int8 model file.
    Convert(ConvertArgs),
    /// Runs a model: an .oce file to the bit as on a device, or an .onnx or .tflite file in float.
    Run(RunArgs),
    /// Compares float and int8 layer by layer, worst first.
    Compare(CompareArgs),
    /// Measures accuracy on labelled pictures, and agreement with another model, by the recipe's task.
    Evaluate(EvaluateArgs),
    /// Measures one inference on a board: per layer and in all.
    Bench(BenchArgs),
    /// Shows operators, shapes, scales, the arena and the kernel of each layer.
    Inspect(InspectArgs),
    /// Writes one page with all that is known of a model file: costs, memory, errors, where it fits, where it comes from.
    Report(ReportArgs),
    /// Builds the firmware image for a board and a model.
    Build(BuildArgs),
    /// Builds the image and starts it on the board; emulated boards run in QEMU.
    Flash(FlashArgs),
    /// Makes a pair of keys for signing models.
    Keygen(KeygenArgs),
    /// Signs a model file.
    Sign(SignArgs),
    /// Proves that a model file is whole, and who signed it.
    Verify(VerifyArgs),
    /// Shows the main job: CenterFace from ONNX to faces found on an emulated Cortex-M55.
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Installs what is missing.
    #[arg(long)]
    pub(crate) fix: bool,
}

/// What a model file leaves open.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SourceArgs {
    /// Fixes or overrides the shape of an input: NAME=1x3x224x224.
    #[arg(long = "input", value_name = "NAME=SHAPE", value_parser = parse_input_shape)]
    pub(crate) input_shapes: Vec<(String, Vec<usize>)>,
    /// Ends the model at a tensor, which becomes an output in place of the file's; may be repeated. A refusal names the tensors where a model would
    /// be cut; a name may end in `...` where one tensor alone begins so.
    #[arg(long = "cut", value_name = "TENSOR")]
    pub(crate) cut: Vec<String>,
    /// What the file does not say: normalization, colour order, labels, task, calibration.
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) recipe: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// The float model, .onnx or .tflite.
    pub(crate) model: PathBuf,
    /// Where the model file goes.
    #[arg(short, long, value_name = "OUT.oce")]
    pub(crate) output: PathBuf,
    /// Representative inputs: a folder of pictures, a .npz with one array an input (samples along the first axis), or synthetic:SEED for noise.
    #[arg(long, value_name = "DIR_OR_NPZ")]
    pub(crate) calibrate: Option<String>,
    /// Calibrates on every Nth file of the sorted list only.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) every: u64,
    /// How to quantize: min-max, percentile:P, mse or entropy; `auto` tries several ways and takes the best, `auto:3` the first three, `auto:60s` those that begin
    /// within a minute.
    #[arg(long, value_name = "METHOD")]
    pub(crate) quantize: Option<String>,
    /// The older word for --quantize.
    #[arg(long, value_name = "METHOD", conflicts_with = "quantize")]
    pub(crate) method: Option<String>,
    /// Lays the weights out for an instruction set; without it and --board the file runs equally everywhere.
    #[arg(long, conflicts_with = "board")]
    pub(crate) isa: Option<String>,
    /// Lays the weights out for a board and checks that the model fits it.
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub(crate) board: Option<String>,
    /// Leaves out an optimization.
    #[arg(long, value_name = "NAME")]
    pub(crate) no_pass: Vec<String>,
    /// How optimizations are checked by running the graph before and after them: each by itself while that takes less than about a second and
    /// the others together (affordable), each, or never.
    #[arg(long, value_name = "HOW", default_value = "affordable", value_parser = ["affordable", "each", "never"])]
    pub(crate) check_passes: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// An .oce, .onnx or .tflite file.
    pub(crate) model: PathBuf,
    /// A picture, a .npy file (the only input) or NAME=file.npy.
    #[arg(required = true)]
    pub(crate) inputs: Vec<String>,
    /// Runs on a board instead of this machine.
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub(crate) board: Option<String>,
    /// Runs on these kernels of this machine: reference, avx2, ...
    #[arg(long)]
    pub(crate) isa: Option<String>,
    /// Writes every output as .npy into a folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) outputs: Option<PathBuf>,
    /// Writes every input as .npy into a folder, as the model reads it: what another runtime is given for the same answer.
    #[arg(long, value_name = "DIR")]
    pub(crate) inputs_read: Option<PathBuf>,
    /// Draws detections over the picture.
    #[arg(long, value_name = "OUT.png")]
    pub(crate) draw: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The float model, .onnx or .tflite.
    pub(crate) float: PathBuf,
    /// The model file made of it, .oce.
    pub(crate) int8: PathBuf,
    /// Pictures or .npy files, one sample each.
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// An .oce, .onnx or .tflite file.
    pub(crate) model: PathBuf,
    /// Labelled pictures. Classes: one folder a class, or names by class index (0007_name.jpg). Boxes: images and boxes; masks: images and semantic;
    /// text: transcriptions.txt.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Another model, usually the float file, whose answers are compared.
    #[arg(long, value_name = "MODEL2")]
    pub(crate) against: Option<PathBuf>,
    /// What to do with pictures that calibration has seen: refuse, skip or allow.
    #[arg(long, value_name = "WHAT", default_value = "refuse", value_parser = ["refuse", "skip", "allow"])]
    pub(crate) calibrated: String,
    /// Draws boxes or masks over each picture, into a folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) draw: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The model file, .oce.
    pub(crate) model: PathBuf,
    /// The board, or a path to its file.
    #[arg(long, value_name = "NAME_OR_FILE", default_value = "host")]
    pub(crate) board: String,
    /// Compares with an earlier run: what `ocellus bench --json` printed.
    #[arg(long, value_name = "BENCH.json")]
    pub(crate) against: Option<PathBuf>,
    /// Measures an image that loads models only that this public key has signed.
    #[arg(long, value_name = "NAME.pub.pem")]
    pub(crate) require_signature: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// An .oce, .onnx or .tflite file.
    pub(crate) model: PathBuf,
    /// Shows the kernels and the memory of a board.
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub(crate) board: Option<String>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The model file, .oce.
    pub(crate) model: PathBuf,
    /// Where the page goes.
    #[arg(short, long, value_name = "OUT.html", default_value = "report.html")]
    pub(crate) output: PathBuf,
    /// Measures an inference there, and shows its memories.
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub(crate) board: Option<String>,
    /// The float model that the file was made of: shows the error of each layer on --data.
    #[arg(long, value_name = "FLOAT", requires = "data")]
    pub(crate) against: Option<PathBuf>,
    /// Inputs for errors and histograms: pictures, .npy files or folders of pictures. May be repeated.
    #[arg(long, value_name = "DIR_OR_FILE")]
    pub(crate) data: Vec<PathBuf>,
    /// Most inputs that are looked at, evenly over the list.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) samples: u64,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// An image to build.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The model file, .oce: its operators are linked.
    pub(crate) model: PathBuf,
    /// The board, or a path to its file.
    #[arg(long, value_name = "NAME_OR_FILE")]
    pub(crate) board: String,
    /// `model`: the operators of this model; `all`: every operator, for devices whose model will be updated alone.
    #[arg(long, value_name = "WHICH", default_value = "model", value_parser = ["model", "all"])]
    pub(crate) operators: String,
    /// Leaves out the camera and the decoding of outputs that the model's recipe speaks of: inputs are set, outputs are read.
    #[arg(long)]
    pub(crate) without_vision: bool,
    /// The image loads models only that this public key has signed.
    #[arg(long, value_name = "NAME.pub.pem")]
    pub(crate) require_signature: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct FlashArgs {
    #[command(flatten)]
    pub(crate) build: BuildArgs,
    /// A picture in front of the board's virtual camera.
    #[arg(long, value_name = "PICTURE", conflicts_with = "without_vision")]
    pub(crate) camera: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Where the keys go: NAME.pem is secret, NAME.pub.pem is for everyone.
    #[arg(short, long, value_name = "NAME")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The model file, .oce.
    pub(crate) model: PathBuf,
    /// The signer's private key.
    #[arg(long, value_name = "NAME.pem")]
    pub(crate) key: PathBuf,
    /// Where the signed file goes; without it, into its place.
    #[arg(short, long, value_name = "OUT.oce")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The model file, .oce.
    pub(crate) model: PathBuf,
    /// The public key whose signature it must carry.
    #[arg(long, value_name = "NAME.pub.pem")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where tables and pictures go.
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    pub(crate) output: PathBuf,
}

fn parse_input_shape(text: &str) -> Result<(String, Vec<usize>), String> {
    let hint = "write NAME=1x3x224x224";
    let (name, shape) = text.rsplit_once('=').ok_or(hint)?;
    let sizes: Result<Vec<usize>, _> = shape.split('x').map(str::parse).collect();
    let sizes = sizes.map_err(|_| format!("`{shape}` is no shape; {hint}"))?;
    if sizes.contains(&0) {
        return Err(format!("a size of `{shape}` is 0; {hint}"));
    }
    Ok((name.to_owned(), sizes))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn shapes_are_read_and_refused() {
        assert_eq!(
            parse_input_shape("input.1=1x3x448x640"),
            Ok(("input.1".to_owned(), vec![1, 3, 448, 640]))
        );
        assert!(
            parse_input_shape("x=1xN").is_err()
                && parse_input_shape("1x3").is_err()
                && parse_input_shape("x=0x3").is_err()
        );
    }
}
