#!/usr/bin/env python3
"""What LiteRT and ONNX Runtime answer to labelled pictures with models that are quantized already: `cargo xtask accuracy` compares the device's answers with
these. From the root, with ../shared/data and the command built (`cargo build --release -p ocellus-cli`):

    python3 -m venv target/peers && target/peers/bin/pip install -r tests/models/peers/requirements.txt ai-edge-litert==2.3.0 flatbuffers

    target/peers/bin/python tests/models/vectors/answers.py [NAME...]
        writes benches/accuracy/answers/NAME.json for each row of the table, or for those named.

A runtime gets the very numbers that a device reads of a picture (`ocellus run --inputs-read`), and runs as users get it: LiteRT with XNNPACK, its default,
ONNX Runtime with all of its optimizations. An answer is the place of the strongest value, the first of equal ones; of a yes-or-no model 1 for yes.
"""

import argparse
import hashlib
import importlib.metadata
import json
import pathlib
import subprocess
import tempfile
import tomllib

import numpy as np

ROOT = pathlib.Path(__file__).parents[3]
DATA = ROOT / "../shared/data"
# Model, recipe, pictures: a folder and the one in it that holds them.
ROWS = {
    "ic_resnet8_int8": ("mlperf_tiny/ic_resnet8_int8.tflite", "ic_resnet8_int8.toml", "cifar10_jpeg", ""),
    "mobilenet_v1_0.25_128_quant": ("classify/mobilenet_v1_0.25_128_quant.tflite", "mobilenet_v1.toml", "imagenet500", ""),
    "vww_96_int8": ("mlperf_tiny/vww_96_int8.tflite", "vww_96_int8.toml", "coco128_train", "images"),
    "ic_resnet8_qdq": ("mlperf_tiny/ic_resnet8_qdq.onnx", "ic_resnet8.toml", "cifar10_jpeg", ""),
    "mobilenet_v1_0.25_128_qdq": ("classify/mobilenet_v1_0.25_128_qdq.onnx", "mobilenet_v1.toml", "imagenet500", ""),
    "vww_96_qdq": ("mlperf_tiny/vww_96_qdq.onnx", "vww_96.toml", "coco128_train", "images"),
}


def runtime(model):
    """Its name, and a function of an input to the first output."""
    if model.suffix == ".onnx":
        from onnx_runtime import session
        run = session(model.read_bytes())
        name = run.get_inputs()[0].name
        return f"ONNX Runtime {importlib.metadata.version('onnxruntime')}", lambda x: run.run(None, {name: x})[0]
    from litert import interpreter
    made = interpreter(model.read_bytes(), "xnnpack")

    def run(x):
        made.set_tensor(made.get_input_details()[0]["index"], x)
        made.invoke()
        return made.get_tensor(made.get_output_details()[0]["index"])
    return f"LiteRT {importlib.metadata.version('ai-edge-litert')}, XNNPACK", run


def ocellus(*args):
    subprocess.run([ROOT / "target/release/ocellus", *map(str, args)], check=True, stdout=subprocess.DEVNULL)


def answers(name):
    path, recipe, folder, inside = ROWS[name]
    model, recipe, folder = DATA / "models" / path, ROOT / "benches/accuracy/recipes" / recipe, DATA / "images" / folder
    task = tomllib.loads(recipe.read_text())["task"]
    title, run = runtime(model)
    found, digest = {}, hashlib.sha256()
    with tempfile.TemporaryDirectory() as made:
        made = pathlib.Path(made)
        converted = made / "model.oce"
        ocellus("convert", model, "-o", converted, "--recipe", recipe)
        for picture in sorted((folder / inside).rglob("*.jpg"), key=lambda path: path.relative_to(folder).as_posix()):
            ocellus("run", converted, picture, "--inputs-read", made)
            (read,) = made.glob("*.npy")
            strongest = int(run(np.load(read)).argmax())
            key = picture.relative_to(folder).as_posix()
            found[key] = int(strongest == task["yes"]) if task["kind"] == "binary" else strongest
            digest.update(f"{key} {hashlib.sha256(picture.read_bytes()).hexdigest()}\n".encode())
    target = ROOT / "benches/accuracy/answers" / f"{name}.json"
    target.parent.mkdir(exist_ok=True)
    contents = {"runtime": title, "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(), "pictures_sha256": digest.hexdigest(), "answers": found}
    target.write_text(json.dumps(contents, indent=0) + "\n")
    print(f"{target}: {len(found)} answers of {title}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", nargs="*")
    names = parser.parse_args().name or list(ROWS)
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        parser.error(f"no row is named {', '.join(unknown)}; the rows are {', '.join(ROWS)}")
    for name in names:
        answers(name)


if __name__ == "__main__":
    main()
