#!/usr/bin/env python3
"""ONNX Runtime as the peer of the import of quantized ONNX files, and its quantizer as their source. It shares no code with Ocellus. From the root:

    python3 -m venv target/peers && target/peers/bin/pip install -r tests/models/peers/requirements.txt

    target/peers/bin/python tests/models/vectors/onnx_runtime.py operators
        writes onnx_runtime_operators.npz beside this file: for each operator the models that ONNX Runtime's quantizer makes of it in both formats,
        an input and what ONNX Runtime makes of that. The gate reads it.
    target/peers/bin/python tests/models/vectors/onnx_runtime.py models OUT MODEL.onnx... [--inputs IN.npy] [--samples N] [--plain]
        writes OUT/NAME.npz for each model: itself, inputs and outputs of N samples (from IN.npy, samples along the first axis, or from a seed). The
        test `whole_models` reads the folder that OCELLUS_PEERS names. `litert.py agreement` compares two such files.

SEED fixes every number. ONNX Runtime runs as users get it, which fuses QuantizeLinear and DequantizeLinear into integer kernels; `--plain` runs the
file node by node, in single precision between them.
"""

import argparse
import logging
import pathlib
import tempfile
import zlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

SEED = 20261125
HERE = pathlib.Path(__file__).parent
INTEGERS = {np.dtype(np.int8): TensorProto.INT8, np.dtype(np.uint8): TensorProto.UINT8}
# Name, format, a scale a channel, activations, weights.
VARIANTS = (
    ("qdq", QuantFormat.QDQ, False, QuantType.QInt8, QuantType.QInt8),
    ("qdq_channels", QuantFormat.QDQ, True, QuantType.QUInt8, QuantType.QInt8),
    ("qdq_uint8", QuantFormat.QDQ, False, QuantType.QUInt8, QuantType.QUInt8),
    ("qoperator", QuantFormat.QOperator, False, QuantType.QUInt8, QuantType.QUInt8),
    ("qoperator_channels", QuantFormat.QOperator, True, QuantType.QInt8, QuantType.QInt8),
)


def session(model, plain=False):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Model:
    """Float operators in order, on one input `x`."""

    def __init__(self, name, *shape):
        self.name, self.shape = name, shape
        self.rng = np.random.default_rng(SEED ^ zlib.crc32(name.encode()))
        self.nodes, self.stored, self.last = [], [], "x"

    def sample(self):
        return self.rng.uniform(-2, 2, self.shape).astype(np.float32)

    def store(self, values):
        name = f"c{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def random(self, *shape):
        return self.store(self.rng.uniform(-1, 1, shape).astype(np.float32))

    def op(self, kind, *inputs, outputs=1, **attributes):
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        inputs = inputs if inputs else (self.last,)
        self.nodes.append(helper.make_node(kind, inputs, names, f"n{len(self.nodes)}", **attributes))
        self.last = names[0]
        return names[0] if outputs == 1 else names

    def conv(self, oc, ic, k, group=1, **attributes):
        return self.op("Conv", self.last, self.random(oc, ic // group, k, k), self.random(oc), group=group, **attributes)

    def proto(self):
        graph = helper.make_graph(
            self.nodes, self.name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)], self.stored)
        return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8))


CASES = []


def case(name, *shape):
    def add(build):
        CASES.append((name, shape, build))
        return build
    return add


PICTURE = (1, 4, 9, 8)
case("conv", *PICTURE)(lambda m: m.conv(6, 4, 3))
case("conv_strided", *PICTURE)(lambda m: m.conv(5, 4, 3, strides=[2, 3], pads=[1, 0, 2, 1]))
case("conv_dilated", *PICTURE)(lambda m: m.conv(5, 4, 3, dilations=[2, 2], pads=[2, 2, 2, 2]))
case("conv_groups", *PICTURE)(lambda m: m.conv(6, 4, 3, group=2, pads=[1, 1, 1, 1]))
case("conv_depthwise", *PICTURE)(lambda m: m.conv(8, 4, 3, group=4, pads=[1, 1, 1, 1]))
case("conv_relu", *PICTURE)(lambda m: (m.conv(6, 4, 1), m.op("Relu")))
case("conv_clip", *PICTURE)(lambda m: (m.conv(6, 4, 3), m.op("Clip", m.last, m.store(np.float32(0)), m.store(np.float32(6)))))
case("conv_transpose", 1, 4, 5, 4)(lambda m: m.op("ConvTranspose", "x", m.random(4, 3, 3, 3), m.random(3), strides=[2, 2]))
case("gemm", 1, 12)(lambda m: m.op("Gemm", "x", m.random(7, 12), m.random(7), transB=1))
case("gemm_plain", 1, 12)(lambda m: m.op("Gemm", "x", m.random(12, 7), m.random(7)))
case("matmul", 1, 12)(lambda m: m.op("MatMul", "x", m.random(12, 7)))
case("add", *PICTURE)(lambda m: m.op("Add", m.conv(4, 4, 1), "x"))
case("add_constant", *PICTURE)(lambda m: m.op("Add", m.conv(4, 4, 1), m.random(1, 4, 1, 1)))
case("mul", *PICTURE)(lambda m: m.op("Mul", m.conv(4, 4, 1), "x"))
case("average_pool", *PICTURE)(lambda m: (m.conv(4, 4, 1), m.op("AveragePool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0])))
case("global_average_pool", *PICTURE)(lambda m: (m.conv(6, 4, 1), m.op("GlobalAveragePool")))
case("max_pool", *PICTURE)(lambda m: (m.conv(4, 4, 1), m.op("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])))
case("pad", *PICTURE)(lambda m: (m.conv(4, 4, 1), m.op("Pad", m.last, m.store(np.int64([0, 0, 1, 2, 0, 0, 0, 1])), m.store(np.float32(0))),
                                 m.conv(3, 4, 3)))
case("resize_nearest", 1, 4, 5, 4)(lambda m: (m.conv(4, 4, 1), m.op("Resize", m.last, "", m.store(np.float32([1, 1, 2, 2])), mode="nearest"),
                                              m.conv(3, 4, 1)))
case("transpose_reshape", *PICTURE)(lambda m: (m.conv(4, 4, 1), m.op("Transpose", perm=[0, 2, 3, 1]),
                                               m.op("Reshape", m.last, m.store(np.int64([1, -1]))), m.op("MatMul", m.last, m.random(288, 3))))
case("concat", *PICTURE)(lambda m: m.op("Concat", m.conv(4, 4, 1), m.op("Sigmoid", "x"), axis=1))
case("split", *PICTURE)(lambda m: (m.conv(4, 4, 1), m.op("Add", *m.op("Split", axis=1, outputs=2))))
case("sigmoid", *PICTURE)(lambda m: (m.conv(4, 4, 1), m.op("Sigmoid")))
case("leaky_relu", *PICTURE)(lambda m: (m.conv(4, 4, 1), m.op("LeakyRelu", alpha=0.1)))
case("softmax", 1, 12)(lambda m: (m.op("Gemm", "x", m.random(10, 12), m.random(10), transB=1), m.op("Softmax", axis=-1)))
case("swish", *PICTURE)(lambda m: m.op("Mul", m.conv(4, 4, 1), m.op("Sigmoid", m.last)))


@case("residual_block", 1, 4, 8, 8)
def residual_block(m):
    m.conv(8, 4, 1)
    m.op("Relu")
    m.conv(8, 8, 3, group=8, pads=[1, 1, 1, 1])
    m.op("Relu")
    m.op("Add", "x", m.conv(4, 8, 1))


class Samples(CalibrationDataReader):
    def __init__(self, samples):
        self.samples = iter([{"x": sample} for sample in samples])

    def get_next(self):
        return next(self.samples, None)


def integer_ends(model):
    """Takes the conversions at the model's ends away: bytes in, bytes out."""
    graph = model.graph
    zeros = {tensor.name: numpy_helper.to_array(tensor).dtype for tensor in graph.initializer}
    first = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "x"]
    last = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.output[0] == graph.output[0].name]
    # Another grid would read the same bytes otherwise.
    read = [node for node in graph.node if "x" in node.input]
    if len(first) == 1 and len(read) == 1:
        (node,) = first
        for other in graph.node:
            for i, name in enumerate(other.input):
                if name == node.output[0]:
                    other.input[i] = "x"
        graph.node.remove(node)
        graph.input[0].type.tensor_type.elem_type = INTEGERS[zeros[node.input[2]]]
    if last:
        (node,) = last
        graph.node.remove(node)
        graph.output[0].name = node.input[0]
        graph.output[0].type.tensor_type.elem_type = INTEGERS[zeros[node.input[2]]]
    del graph.value_info[:]
    return model


def operators():
    logging.disable(logging.WARNING)
    arrays = {}
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/float.onnx", f"{folder}/quantized.onnx"
        for name, shape, build in CASES:
            model = Model(name, *shape)
            build(model)
            onnx.save(model.proto(), source)
            samples = [model.sample() for _ in range(8)]
            for variant, how, channels, activations, weights in VARIANTS:
                # It stays float in one format, and the device has no wide weights for it.
                if name == "conv_transpose" and variant not in ("qdq", "qdq_channels"):
                    continue
                quantize_static(source, target, Samples(samples), quant_format=how, per_channel=channels,
                                activation_type=activations, weight_type=weights)
                quantized = integer_ends(onnx.load(target)).SerializeToString()
                run = session(quantized)
                limits = {"tensor(int8)": np.int8, "tensor(uint8)": np.uint8}
                kind = limits.get(run.get_inputs()[0].type)
                x = samples[0]
                if kind:
                    info = np.iinfo(kind)
                    x = model.rng.integers(info.min, info.max + 1, shape).astype(kind)
                key = f"{name}_{variant}"
                arrays |= {f"{key}/model": np.frombuffer(quantized, np.uint8), f"{key}/x0": x, f"{key}/y0": run.run(None, {"x": x})[0]}
    target = HERE / "onnx_runtime_operators.npz"
    np.savez_compressed(target, **arrays)
    print(f"{target}: {len(arrays) // 3} models, {target.stat().st_size} bytes")


def models(args):
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for path in map(pathlib.Path, args.model):
        run = session(path.read_bytes(), args.plain)
        (detail,) = run.get_inputs()
        shape = [size if isinstance(size, int) else 1 for size in detail.shape]
        given = np.load(args.inputs) if args.inputs else None
        arrays = {"x0": [], "y0": []}
        for sample in range(args.samples):
            rng = np.random.default_rng([SEED, sample])
            if given is not None:
                kind = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}[detail.type]
                x = given[sample].reshape(shape).astype(kind)
            elif detail.type == "tensor(float)":
                x = rng.uniform(-1, 1, shape).astype(np.float32)
            else:
                x = rng.integers(0, 256, shape).astype(np.uint8)
            arrays["x0"].append(x)
            arrays["y0"].append(run.run(None, {detail.name: x})[0])
        arrays = {key: np.stack(values) for key, values in arrays.items()}
        np.savez(out / f"{path.stem}.npz", model=np.frombuffer(path.read_bytes(), np.uint8), **arrays)
        print(out / f"{path.stem}.npz")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    commands.add_parser("operators").set_defaults(run=lambda _: operators())
    whole = commands.add_parser("models")
    whole.add_argument("out")
    whole.add_argument("model", nargs="+")
    whole.add_argument("--inputs")
    whole.add_argument("--samples", type=int, default=1)
    whole.add_argument("--plain", action="store_true")
    whole.set_defaults(run=models)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
