"""Each layer of a quantized ONNX model against ONNX Runtime, from ONNX Runtime's own layer inputs.

    python3 -m venv target/peers && target/peers/bin/pip install -r tests/models/peers/requirements.txt
    cargo build --release -p ocellus-cli
    target/peers/bin/python tests/models/peers/layers.py MODEL_qdq.onnx [SAMPLES]

A layer is what lies between QuantizeLinear nodes. ONNX Runtime runs the whole model, without its optimizations, and its integers at both ends
of each layer are kept; the layer alone is converted, without calibration, and run on the same integers. Printed is the largest difference of
each layer in steps; the exit status is 1 where one is above 1 (softmax and functions of one value: 2).
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime

OCELLUS = pathlib.Path("target/release/ocellus")
TABLES = {"Softmax", "Sigmoid", "Tanh", "Exp", "HardSwish", "HardSigmoid", "LeakyRelu", "Gelu"}


def quantized(graph):
    """The QuantizeLinear nodes of computed tensors, and for each the integers that its layer starts from and the operators between."""
    constants = {tensor.name for tensor in graph.initializer}
    writer = {output: node for node in graph.node for output in node.output}
    inputs = {value.name for value in graph.input}
    for node in graph.node:
        if node.op_type != "QuantizeLinear" or node.input[0] in constants:
            continue
        sources, between, stack, seen = [], set(), [node.input[0]], set()
        while stack:
            name = stack.pop()
            if not name or name in seen or name in constants:
                continue
            seen.add(name)
            if name in inputs or writer[name].op_type == "QuantizeLinear":
                sources.append(name)
                continue
            between.add(writer[name].op_type)
            stack.extend(writer[name].input)
        # A model's float input is rounded by whoever hands it over.
        if sources and between - {"DequantizeLinear"}:
            yield node.output[0], sorted(sources), between


def samples(session, count):
    random = numpy.random.default_rng(7)
    for _ in range(count):
        feed = {}
        for value in session.get_inputs():
            shape = [size if isinstance(size, int) else 1 for size in value.shape]
            if value.type == "tensor(uint8)":
                feed[value.name] = random.integers(0, 256, shape, dtype=numpy.uint8)
            else:
                feed[value.name] = random.uniform(-128, 127, shape).astype(numpy.float32)
        yield feed


def peer(model):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def main(path, count):
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    types = {value.name: value for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]}
    layers = list(quantized(model.graph))
    kept = sorted({name for output, sources, _ in layers for name in [output, *sources]})
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    present = {value.name for value in [*whole.graph.output, *whole.graph.input]}
    whole.graph.output.extend(types[name] for name in kept if name not in present)
    session = peer(whole)
    names = [value.name for value in session.get_outputs()]
    runs = [{**feed, **dict(zip(names, session.run(None, feed)))} for feed in samples(session, count)]
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for output, sources, between in layers:
            layer = onnx.utils.Extractor(model).extract_model(sources, [output])
            onnx.save(layer, folder / "layer.onnx")
            command = [OCELLUS, "convert", folder / "layer.onnx", "-o", folder / "layer.oce"]
            converted = subprocess.run(command, capture_output=True, text=True, check=False)
            if converted.returncode:
                print(f"refused {output}: {converted.stderr.strip().splitlines()[-1]}")
                failed += 1
                continue
            worst = 0
            for values in runs:
                given = []
                for number, name in enumerate(sources):
                    numpy.save(folder / f"{number}.npy", values[name])
                    given.append(f"{name}={folder / f'{number}.npy'}")
                for old in folder.glob("out/*"):
                    old.unlink()
                command = [OCELLUS, "run", folder / "layer.oce", *given, "--outputs", folder / "out"]
                subprocess.run(command, capture_output=True, text=True, check=True)
                (written,) = folder.glob("out/*.npy")
                ours = numpy.load(written).astype(numpy.int64)
                worst = max(worst, int(numpy.abs(ours - values[output].astype(numpy.int64)).max()))
            bar = 2 if between & TABLES else 1
            failed += worst > bar
            print(f"{worst} {'+'.join(sorted(between - {'DequantizeLinear'}))} {output}")
    print(f"{len(layers)} layers, {failed} beyond the bar")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3))
