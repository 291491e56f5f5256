#!/usr/bin/env python3
"""LiteRT (once TensorFlow Lite) as the peer of the import of .tflite files. It shares no code with Ocellus. From the root:

    python3 -m venv target/peers && target/peers/bin/pip install ai-edge-litert==2.3.0 numpy flatbuffers

    target/peers/bin/python tests/models/vectors/litert.py operators
        writes litert_operators.npz beside this file: a model for each operator, its inputs and what LiteRT makes of them. The gate reads it.
    target/peers/bin/python tests/models/vectors/litert.py models OUT MODEL.tflite... [--inputs IN.npy] [--samples N] [--kernels WHICH]
        writes OUT/NAME.npz for each model: itself, inputs and outputs of N samples (from IN.npy, samples along the first axis, or from a
        seed), and every tensor of the first sample. The test `whole_models` reads the folder that OCELLUS_PEERS names.
    target/peers/bin/python tests/models/vectors/litert.py agreement A/NAME.npz B/NAME.npz
        says how far two of LiteRT's ways to run one model on the same inputs are from each other.

SEED fixes every number. The interpreter runs the built-in kernels without delegates and without XNNPACK, which rounds in other places;
`--kernels reference` runs the reference kernels, and `--kernels xnnpack` what users get who ask for nothing (no tensors of layers then).
"""

import argparse
import pathlib
import zlib

import flatbuffers
import numpy as np
from ai_edge_litert import interpreter as litert
from ai_edge_litert import schema_py_generated as fb

SEED = 20261125
HERE = pathlib.Path(__file__).parent
B, ACT, T = fb.BuiltinOperator, fb.ActivationFunctionType, fb.TensorType
SAME, VALID = fb.Padding.SAME, fb.Padding.VALID
# Versions of operators that cover what the cases need; 2 for the others.
VERSIONS = {B.CONV_2D: 5, B.DEPTHWISE_CONV_2D: 5, B.FULLY_CONNECTED: 5, B.RESIZE_BILINEAR: 3, B.RESIZE_NEAREST_NEIGHBOR: 3,
            B.TRANSPOSE_CONV: 3, B.STRIDED_SLICE: 3, B.SQUARE: 1, B.ADD_N: 1, B.HARD_SWISH: 1, B.SHAPE: 1,
            B.RELU_0_TO_1: 1, B.RELU_N1_TO_1: 1, B.PRELU: 1, B.GELU: 1, B.ELU: 1, B.ROUND: 1, B.SIN: 1, B.COS: 1, B.LOG: 1, B.SQRT: 1, B.FLOOR: 1, B.CEIL: 1, B.POW: 1, B.TILE: 1, B.NEG: 1, B.EXPAND_DIMS: 1, B.RESHAPE: 1,
            B.LOCAL_RESPONSE_NORMALIZATION: 1, B.EMBEDDING_LOOKUP: 1, B.LOGICAL_AND: 1, B.LOGICAL_OR: 1, B.LOGICAL_NOT: 1, B.CAST: 1, B.SELECT: 1, B.SELECT_V2: 1,
            B.GATHER_ND: 1, B.GATHER: 4, B.CUSTOM: 1}


KERNELS = {"builtin": litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, "reference": litert.OpResolverType.BUILTIN_REF,
           "xnnpack": litert.OpResolverType.AUTO}


def interpreter(model, kernels="builtin"):
    made = litert.Interpreter(
        model_content=model, experimental_op_resolver_type=KERNELS[kernels],
        # A delegate's layers have no tensors.
        experimental_preserve_all_tensors=kernels != "xnnpack")
    made.allocate_tensors()
    return made


class Tensor:
    """A tensor of a model under construction: float, and what it becomes when the model is quantized."""

    def __init__(self, name, values=None, integers=None, axis=None, of=None, fixed=None, same=None):
        self.name, self.values, self.integers, self.axis = name, values, integers, axis
        # `of`: (input, weights) of a bias. `fixed`: the scale that the operator asks for. `same`: the tensor whose scale it shares.
        self.of, self.fixed, self.same = of, fixed, same
        self.scales, self.zeros, self.symmetric = None, None, False
        # Integers that are computed, such as a shape.
        self.dtype = None if integers is None else integers.dtype.type


class Model:
    """Operators in order, written as a float model first and then, by the ranges of its tensors, as a quantized one."""

    def __init__(self, name):
        self.name, self.tensors, self.operators, self.kernels = name, [], [], "builtin"
        self.inputs, self.outputs, self.samples = [], [], []
        self.rng = np.random.default_rng(SEED ^ zlib.crc32(name.encode()))

    def _tensor(self, **what):
        self.tensors.append(Tensor(f"t{len(self.tensors)}", **what))
        return self.tensors[-1]

    def input(self, *shape, low=-1.0, high=1.0, same=None):
        tensor = self._tensor(same=same)
        self.samples.append(self.rng.uniform(low, high, shape).astype(np.float32))
        self.inputs.append(tensor)
        return tensor

    def const(self, *shape, low=-1.0, high=1.0, axis=None):
        return self._tensor(values=self.rng.uniform(low, high, shape).astype(np.float32), axis=axis)

    def reals(self, values):
        return self._tensor(values=np.asarray(values, np.float32))

    def weights(self, *shape, axis=0):
        made = self.const(*shape, axis=axis)
        made.symmetric = True
        return made

    def bias(self, x, w, count):
        return self._tensor(values=self.rng.uniform(-1, 1, count).astype(np.float32), of=(x, w))

    def ints(self, values, dtype=np.int32):
        return self._tensor(integers=np.asarray(values, dtype))

    def op(self, code, options, inputs, outputs=1, fixed=None, same=None, dtype=None):
        made = [self._tensor(fixed=fixed, same=same) for _ in range(outputs)]
        for tensor in made:
            tensor.dtype = dtype
        self.operators.append((code, options, inputs, made))
        self.outputs = made
        return made[0] if outputs == 1 else made

    def write(self, kind):
        """The bytes of the model: `float`, `int8` (a scale a channel) or `uint8` (the older scheme)."""
        model = fb.ModelT()
        model.version, model.description = 3, "operators for Ocellus"
        model.buffers, model.operatorCodes = [fb.BufferT()], []
        graph = fb.SubGraphT()
        model.subgraphs = [graph]
        graph.tensors, graph.operators = [], []
        for tensor in self.tensors:
            graph.tensors.append(self._write_tensor(model, tensor, kind))
        at = {id(tensor): index for index, tensor in enumerate(self.tensors)}
        codes = []
        for name, options, inputs, outputs in self.operators:
            code = name
            if code not in codes:
                codes.append(code)
                made = fb.OperatorCodeT()
                if isinstance(code, str):
                    made.customCode, code = code, B.CUSTOM
                made.builtinCode, made.deprecatedBuiltinCode = code, min(code, 127)
                made.version = VERSIONS.get(code, 2)
                model.operatorCodes.append(made)
            operator = fb.OperatorT()
            operator.opcodeIndex = codes.index(name)
            operator.inputs = [at[id(t)] for t in inputs]
            operator.outputs = [at[id(t)] for t in outputs]
            if isinstance(options, bytes):
                operator.customOptions = np.frombuffer(options, np.uint8)
            elif options is not None:
                operator.builtinOptions = options
                operator.builtinOptionsType = getattr(fb.BuiltinOptions, type(options).__name__[:-1])
            graph.operators.append(operator)
        graph.inputs = [at[id(t)] for t in self.inputs]
        graph.outputs = [at[id(t)] for t in self.outputs]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _write_tensor(self, model, tensor, kind):
        made = fb.TensorT()
        made.name = tensor.name
        shape = getattr(tensor, "shape", None)
        values = tensor.integers if tensor.integers is not None else tensor.values
        if values is not None:
            shape = values.shape
        made.shape = list(self._input_shape(tensor) if shape is None else shape)
        made.type = T.FLOAT32
        if tensor.dtype is not None:
            made.type = {np.int32: T.INT32, np.int64: T.INT64, np.bool_: T.BOOL}[tensor.dtype]
        elif kind != "float":
            self._scale(tensor, kind)
            made.type = T.INT32 if tensor.of else {"int8": T.INT8, "uint8": T.UINT8}[kind]
            made.quantization = fb.QuantizationParametersT()
            made.quantization.scale = [float(s) for s in tensor.scales]
            made.quantization.zeroPoint = [int(z) for z in tensor.zeros]
            made.quantization.quantizedDimension = tensor.axis or 0
            if values is not None:
                values = self._quantized(tensor, kind)
        if values is not None:
            made.buffer = len(model.buffers)
            model.buffers.append(fb.BufferT())
            model.buffers[-1].data = np.frombuffer(values.tobytes(), np.uint8)
        return made

    def _input_shape(self, tensor):
        return self.samples[self.inputs.index(tensor)].shape if tensor in self.inputs else []

    def _scale(self, tensor, kind):
        low, high = (-128, 127) if kind == "int8" else (0, 255)
        if tensor.of:
            x, w = tensor.of
            tensor.scales = [np.float32(x.scales[0]) * np.float32(s) for s in w.scales]
            tensor.zeros = [0] * len(tensor.scales)
        elif tensor.same is not None:
            tensor.scales, tensor.zeros = tensor.same.scales, tensor.same.zeros
        elif tensor.fixed is not None:
            scale, zero = tensor.fixed
            tensor.scales, tensor.zeros = [scale], [zero if kind == "int8" else zero + 128]
        elif tensor.axis is not None and kind == "int8":
            others = tuple(a for a in range(tensor.values.ndim) if a != tensor.axis)
            tensor.scales = np.maximum(np.abs(tensor.values).max(others), 1e-3) / 127
            tensor.zeros = [0] * len(tensor.scales)
        elif tensor.symmetric and kind == "int8":
            tensor.scales, tensor.zeros = [max(float(np.abs(tensor.values).max()), 1e-3) / 127], [0]
        else:
            values = tensor.values if tensor.values is not None else tensor.range
            bottom, top = min(0.0, float(np.min(values))), max(0.0, float(np.max(values)))
            scale = max(top - bottom, 1e-3) / 255
            tensor.scales, tensor.zeros = [scale], [int(np.clip(round(low - bottom / scale), low, high))]

    def _quantized(self, tensor, kind):
        shape = [1] * tensor.values.ndim
        if len(tensor.scales) > 1:
            shape[tensor.axis or 0] = -1
        scales = np.float32(tensor.scales).reshape(shape if tensor.values.ndim else ())
        zeros = np.asarray(tensor.zeros).reshape(shape if tensor.values.ndim else ())
        if tensor.of:
            return np.round(tensor.values / np.float32(tensor.scales)).astype(np.int32)
        low, high = (-128, 127) if kind == "int8" else (0, 255)
        if tensor.axis is not None and kind == "int8":
            low = -127
        return np.clip(np.round(tensor.values / scales) + zeros, low, high).astype(np.int8 if kind == "int8" else np.uint8)

    def run(self, model, samples):
        peer = interpreter(model, self.kernels)
        for detail, sample in zip(peer.get_input_details(), samples):
            peer.set_tensor(detail["index"], sample)
        peer.invoke()
        return peer

    def measure(self):
        """Shapes and ranges of every tensor, from the float model."""
        peer = self.run(self.write("float"), self.samples)
        for index, tensor in enumerate(self.tensors):
            values = peer.get_tensor(index)
            tensor.shape, tensor.range = values.shape, values

    def case(self, kind):
        model = self.write(kind)
        samples = self.samples
        if kind != "float":
            low, high, dtype = (-128, 127, np.int8) if kind == "int8" else (0, 255, np.uint8)
            samples = [
                np.clip(np.round(s / t.scales[0]) + t.zeros[0], low, high).astype(dtype)
                for s, t in zip(samples, self.inputs)]
        peer = self.run(model, samples)
        arrays = {"model": np.frombuffer(model, np.uint8)}
        arrays |= {f"x{i}": s for i, s in enumerate(samples)}
        arrays |= {f"y{i}": peer.get_tensor(d["index"]) for i, d in enumerate(peer.get_output_details())}
        return {f"{self.name}_{kind}/{key}": value for key, value in arrays.items()}


def options(cls, **fields):
    made = cls()
    for key, value in fields.items():
        assert hasattr(made, key), key
        setattr(made, key, value)
    return made


def conv(padding=SAME, stride=(1, 1), dilation=(1, 1), act=ACT.NONE, cls=fb.Conv2DOptionsT, **more):
    return options(cls, padding=padding, strideH=stride[0], strideW=stride[1], dilationHFactor=dilation[0],
                   dilationWFactor=dilation[1], fusedActivationFunction=act, **more)


def pool(padding=SAME, stride=(2, 2), size=(2, 2), act=ACT.NONE):
    return options(fb.Pool2DOptionsT, padding=padding, strideH=stride[0], strideW=stride[1], filterHeight=size[0],
                   filterWidth=size[1], fusedActivationFunction=act)


FLOAT, INT8, UINT8 = ("float",), ("float", "int8"), ("float", "int8", "uint8")
CASES = []


def case(kinds=INT8):
    def add(build):
        CASES.append((build.__name__, kinds, build))
        return build
    return add


def convolution(m, x, oc, k, opts, ic=None):
    w = m.weights(oc, *k, ic or m.samples[0].shape[-1])
    return m.op(B.CONV_2D, opts, [x, w, m.bias(x, w, oc)])


@case(UINT8)
def conv_same_stride_2(m):
    convolution(m, m.input(1, 7, 8, 3), 5, (3, 3), conv(stride=(2, 2), act=ACT.RELU))


@case(UINT8)
def conv_valid_relu6(m):
    convolution(m, m.input(1, 6, 7, 3, high=9.0), 4, (2, 3), conv(VALID, act=ACT.RELU6))


@case()
def conv_dilated(m):
    convolution(m, m.input(1, 9, 9, 2), 3, (3, 3), conv(dilation=(2, 3), act=ACT.RELU_N1_TO_1))


@case(FLOAT)
def conv_groups(m):
    convolution(m, m.input(1, 6, 6, 4), 6, (3, 3), conv(act=ACT.RELU), ic=2)


@case(UINT8)
def depthwise_same(m):
    x = m.input(1, 7, 6, 4)
    w = m.weights(1, 3, 3, 4, axis=3)
    m.op(B.DEPTHWISE_CONV_2D, conv(stride=(2, 2), act=ACT.RELU6, cls=fb.DepthwiseConv2DOptionsT, depthMultiplier=1),
         [x, w, m.bias(x, w, 4)])


@case(UINT8)
def depthwise_multiplier_dilated(m):
    x = m.input(1, 8, 7, 3)
    w = m.weights(1, 3, 3, 6, axis=3)
    m.op(B.DEPTHWISE_CONV_2D, conv(VALID, dilation=(2, 2), cls=fb.DepthwiseConv2DOptionsT, depthMultiplier=2),
         [x, w, m.bias(x, w, 6)])


@case(FLOAT)
def dilation_by_batches(m):
    x = m.input(1, 8, 9, 3)
    block, pads, crops = m.ints([2, 3]), m.ints([[2, 2], [3, 3]]), m.ints([[0, 0], [0, 0]])
    dealt = m.op(B.SPACE_TO_BATCH_ND, options(fb.SpaceToBatchNDOptionsT), [x, block, pads])
    w = m.weights(4, 3, 3, 3)
    y = m.op(B.CONV_2D, conv(VALID, act=ACT.RELU), [dealt, w, m.bias(x, w, 4)])
    m.op(B.BATCH_TO_SPACE_ND, options(fb.BatchToSpaceNDOptionsT), [y, block, crops])


@case(FLOAT)
def dilation_by_batches_cropped(m):
    x = m.input(1, 7, 7, 4)
    block, pads, crops = m.ints([2, 2]), m.ints([[2, 3], [2, 3]]), m.ints([[0, 1], [0, 1]])
    dealt = m.op(B.SPACE_TO_BATCH_ND, options(fb.SpaceToBatchNDOptionsT), [x, block, pads])
    w = m.weights(1, 3, 3, 4, axis=3)
    y = m.op(B.DEPTHWISE_CONV_2D, conv(VALID, cls=fb.DepthwiseConv2DOptionsT, depthMultiplier=1),
             [dealt, w, m.bias(x, w, 4)])
    m.op(B.BATCH_TO_SPACE_ND, options(fb.BatchToSpaceNDOptionsT), [y, block, crops])


@case()
def transpose_conv_same(m):
    x = m.input(1, 4, 5, 3)
    w = m.weights(4, 3, 3, 3)
    m.op(B.TRANSPOSE_CONV, options(fb.TransposeConvOptionsT, padding=SAME, strideH=2, strideW=2),
         [m.ints([1, 8, 10, 4]), w, x, m.bias(x, w, 4)])


@case()
def transpose_conv_valid(m):
    x = m.input(1, 4, 4, 2)
    w = m.weights(3, 2, 2, 2)
    m.op(B.TRANSPOSE_CONV, options(fb.TransposeConvOptionsT, padding=VALID, strideH=2, strideW=2),
         [m.ints([1, 8, 8, 3]), w, x])


@case(FLOAT)
def transpose_conv_odd(m):
    x = m.input(1, 3, 3, 2)
    m.op(B.TRANSPOSE_CONV, options(fb.TransposeConvOptionsT, padding=SAME, strideH=2, strideW=2),
         [m.ints([1, 5, 6, 3]), m.weights(3, 2, 3, 2), x])


@case(UINT8)
def fully_connected(m):
    x = m.input(1, 2, 3, 4)
    w = m.weights(5, 24, axis=None)
    m.op(B.FULLY_CONNECTED, options(fb.FullyConnectedOptionsT, fusedActivationFunction=ACT.RELU), [x, w, m.bias(x, w, 5)])


@case()
def fully_connected_kept(m):
    x = m.input(1, 6, 4)
    w = m.weights(3, 4, axis=None)
    m.op(B.FULLY_CONNECTED, options(fb.FullyConnectedOptionsT, keepNumDims=True), [x, w, m.bias(x, w, 3)])


def binary(code, cls, **fields):
    def build(m):
        a, b = m.input(1, 5, 4, 6), m.input(1, 5, 4, 6, low=-0.4, high=1.7)
        m.op(code, options(cls, **fields), [a, b])
    return build


for name, code, cls in (("add", B.ADD, fb.AddOptionsT), ("sub", B.SUB, fb.SubOptionsT), ("mul", B.MUL, fb.MulOptionsT)):
    CASES.append((name, UINT8, binary(code, cls)))
    CASES.append((f"{name}_relu", INT8, binary(code, cls, fusedActivationFunction=ACT.RELU)))


@case()
def add_relu6(m):
    m.op(B.ADD, options(fb.AddOptionsT, fusedActivationFunction=ACT.RELU6),
         [m.input(1, 4, 4, 3, high=6.0), m.input(1, 4, 4, 3, high=6.0)])


@case()
def add_constant_channel(m):
    m.op(B.ADD, options(fb.AddOptionsT), [m.input(1, 4, 4, 3), m.const(3)])


@case()
def mul_constant_channel(m):
    m.op(B.MUL, options(fb.MulOptionsT), [m.input(1, 4, 4, 3), m.const(1, 1, 1, 3)])


@case()
def mul_broadcast(m):
    m.op(B.MUL, options(fb.MulOptionsT), [m.input(1, 4, 4, 3), m.input(1, 1, 1, 3)])


@case()
def sub_scalar(m):
    m.op(B.SUB, options(fb.SubOptionsT), [m.input(1, 4, 4, 3), m.reals(0.4)])


@case(FLOAT)
def div_constant(m):
    m.op(B.DIV, options(fb.DivOptionsT, fusedActivationFunction=ACT.RELU), [m.input(1, 4, 4, 3), m.const(3, low=1, high=3)])


@case()
def minimum(m):
    x = m.input(1, 4, 4, 3)
    m.op(B.MINIMUM, options(fb.MaximumMinimumOptionsT), [x, m.input(1, 4, 4, 3, same=x)], same=x)


@case(FLOAT)
def maximum_constant(m):
    m.op(B.MAXIMUM, options(fb.MaximumMinimumOptionsT), [m.input(1, 4, 4, 3), m.reals([0.1])])


@case(FLOAT)
def squares(m):
    a, b = m.input(1, 4, 4, 3), m.input(1, 4, 4, 3)
    y = m.op(B.SQUARED_DIFFERENCE, options(fb.SquaredDifferenceOptionsT), [a, b])
    z = m.op(B.SQUARE, options(fb.SquareOptionsT), [a])
    m.op(B.ADD_N, options(fb.AddNOptionsT), [y, z, b])


@case(UINT8)
def average_pool_same(m):
    x = m.input(1, 7, 5, 3)
    m.op(B.AVERAGE_POOL_2D, pool(size=(3, 2)), [x], same=x)


@case()
def average_pool_relu6(m):
    x = m.input(1, 6, 6, 3, high=8.0)
    m.op(B.AVERAGE_POOL_2D, pool(VALID, stride=(1, 1), size=(3, 3), act=ACT.RELU6), [x], same=x)


@case(UINT8)
def average_pool_global(m):
    x = m.input(1, 5, 5, 4)
    m.op(B.AVERAGE_POOL_2D, pool(VALID, size=(5, 5)), [x], same=x)


@case(UINT8)
def max_pool_same(m):
    x = m.input(1, 7, 5, 3)
    m.op(B.MAX_POOL_2D, pool(size=(3, 3)), [x], same=x)


@case()
def max_pool_relu(m):
    x = m.input(1, 6, 6, 3)
    m.op(B.MAX_POOL_2D, pool(VALID, act=ACT.RELU), [x], same=x)


@case()
def mean_of_picture(m):
    m.op(B.MEAN, options(fb.ReducerOptionsT, keepDims=True), [m.input(1, 5, 6, 4), m.ints([1, 2])])


@case()
def mean_dropped(m):
    m.op(B.MEAN, options(fb.ReducerOptionsT), [m.input(1, 3, 4, 5), m.ints([-1])])


@case()
def sum_of_channels(m):
    m.op(B.SUM, options(fb.ReducerOptionsT, keepDims=True), [m.input(1, 3, 4, 5), m.ints([3])])


@case()
def maximum_of_picture(m):
    x = m.input(1, 3, 4, 5)
    m.op(B.REDUCE_MAX, options(fb.ReducerOptionsT), [x, m.ints([1, 2])], same=x)


@case()
def shapes(m):
    x = m.input(1, 4, 6, 2)
    y = m.op(B.RESHAPE, options(fb.ReshapeOptionsT), [x, m.ints([1, 6, -1, 1])], same=x)
    y = m.op(B.SQUEEZE, options(fb.SqueezeOptionsT, squeezeDims=[-1]), [y], same=x)
    y = m.op(B.EXPAND_DIMS, options(fb.ExpandDimsOptionsT), [y, m.ints(1)], same=x)
    m.op(B.TRANSPOSE, options(fb.TransposeOptionsT), [y, m.ints([0, 3, 1, 2])], same=x)


@case(FLOAT)
def shape_arithmetic(m):
    x = m.input(1, 4, 6, 2)
    shape = m.op(B.SHAPE, options(fb.ShapeOptionsT, outType=T.INT32), [x], dtype=np.int32)
    one = m.op(B.STRIDED_SLICE, options(fb.StridedSliceOptionsT, shrinkAxisMask=1),
               [shape, m.ints([1]), m.ints([2]), m.ints([1])], dtype=np.int32)
    half = m.op(B.FLOOR_DIV, options(fb.FloorDivOptionsT), [one, m.ints(2)], dtype=np.int32)
    packed = m.op(B.PACK, options(fb.PackOptionsT, valuesCount=3, axis=0), [m.ints(1), half, m.ints(-1)], dtype=np.int32)
    m.op(B.RESHAPE, options(fb.ReshapeOptionsT), [x, packed])


@case()
def pad(m):
    x = m.input(1, 4, 5, 2)
    m.op(B.PAD, options(fb.PadOptionsT), [x, m.ints([[0, 0], [1, 2], [0, 3], [1, 0]])], same=x)


@case(FLOAT)
def pad_with_value(m):
    m.op(B.PADV2, options(fb.PadV2OptionsT), [m.input(1, 4, 5, 2), m.ints([[0, 0], [1, 2], [0, 3], [0, 0]]), m.reals(-2.5)])


@case()
def mirror_pad_reflect(m):
    x = m.input(1, 4, 5, 2)
    m.op(B.MIRROR_PAD, options(fb.MirrorPadOptionsT, mode=fb.MirrorPadMode.REFLECT),
         [x, m.ints([[0, 0], [1, 2], [3, 0], [0, 0]])], same=x)


@case()
def mirror_pad_symmetric(m):
    x = m.input(1, 4, 5, 2)
    m.op(B.MIRROR_PAD, options(fb.MirrorPadOptionsT, mode=fb.MirrorPadMode.SYMMETRIC),
         [x, m.ints([[0, 0], [4, 1], [0, 2], [0, 0]])], same=x)


@case(("float", "uint8"))
def concatenation(m):
    # In int8 LiteRT wants one scale.
    a, b = m.input(1, 3, 4, 2), m.input(1, 3, 4, 5, low=-3.0, high=2.0)
    m.op(B.CONCATENATION, options(fb.ConcatenationOptionsT, axis=-1), [a, b])


@case()
def split(m):
    x = m.input(1, 3, 4, 6)
    parts = m.op(B.SPLIT, options(fb.SplitOptionsT, numSplits=3), [m.ints(3), x], outputs=3, same=x)
    m.op(B.CONCATENATION, options(fb.ConcatenationOptionsT, axis=1), [parts[2], parts[0]], same=x)


@case()
def split_sizes(m):
    x = m.input(1, 7, 4, 2)
    m.op(B.SPLIT_V, options(fb.SplitVOptionsT, numSplits=3), [x, m.ints([2, -1, 1]), m.ints(1)], outputs=3, same=x)


@case()
def strided_slice(m):
    x = m.input(1, 7, 6, 4)
    m.op(B.STRIDED_SLICE, options(fb.StridedSliceOptionsT, beginMask=0b0101, endMask=0b0001, shrinkAxisMask=0b1000),
         [x, m.ints([0, 1, 0, -2]), m.ints([0, 7, 5, 0]), m.ints([1, 2, 1, 1])], same=x)


@case(FLOAT)
def strided_slice_backwards(m):
    x = m.input(1, 7, 6, 4)
    m.op(B.STRIDED_SLICE, options(fb.StridedSliceOptionsT, beginMask=0b0101, endMask=0b1001),
         [x, m.ints([0, 6, 0, -1]), m.ints([0, 0, -1, 0]), m.ints([1, -2, 2, -1])])


@case(FLOAT)
def strided_slice_ellipsis(m):
    x = m.input(1, 3, 4, 5)
    m.op(B.STRIDED_SLICE, options(fb.StridedSliceOptionsT, ellipsisMask=0b01, newAxisMask=0b100),
         [x, m.ints([0, 1, 0]), m.ints([0, 4, 0]), m.ints([1, 1, 1])])


@case()
def slice_box(m):
    x = m.input(1, 7, 6, 4)
    m.op(B.SLICE, options(fb.SliceOptionsT), [x, m.ints([0, 2, 1, 0]), m.ints([1, 3, -1, 4])], same=x)


@case(FLOAT)
def gather(m):
    m.op(B.GATHER, options(fb.GatherOptionsT, axis=2), [m.input(1, 3, 5, 2), m.ints([4, 0, 0, 3])])


@case(FLOAT)
def pack_and_unpack(m):
    x = m.input(1, 3, 4)
    parts = m.op(B.UNPACK, options(fb.UnpackOptionsT, num=3, axis=1), [x], outputs=3)
    m.op(B.PACK, options(fb.PackOptionsT, valuesCount=2, axis=-1), [parts[1], parts[0]])


def resize(code, cls, size, **fields):
    def build(m):
        x = m.input(1, 5, 4, 3)
        m.op(code, options(cls, **fields), [x, m.ints(size)], same=x)
    return build


for mode, fields in (("plain", {}), ("corners", {"alignCorners": True}), ("centres", {"halfPixelCenters": True})):
    for size, word in (((10, 8), "up"), ((3, 7), "mixed")):
        CASES.append((f"resize_bilinear_{mode}_{word}", INT8, resize(B.RESIZE_BILINEAR, fb.ResizeBilinearOptionsT, size, **fields)))
        CASES.append((f"resize_nearest_{mode}_{word}", INT8,
                      resize(B.RESIZE_NEAREST_NEIGHBOR, fb.ResizeNearestNeighborOptionsT, size, **fields)))


@case()
def softmax(m):
    m.op(B.SOFTMAX, options(fb.SoftmaxOptionsT, beta=1.0), [m.input(1, 10, low=-4, high=4)], fixed=(1 / 256, -128))


@case(FLOAT)
def softmax_beta(m):
    m.op(B.SOFTMAX, options(fb.SoftmaxOptionsT, beta=0.5), [m.input(1, 3, 10, low=-4, high=4)])


def unary(code, opts=None, low=-4.0, high=4.0):
    def build(m):
        m.op(code, opts, [m.input(1, 4, 8, 8, low=low, high=high)])
    return build


@case(UINT8)
def logistic(m):
    m.op(B.LOGISTIC, None, [m.input(1, 4, 8, 8, low=-6, high=6)], fixed=(1 / 256, -128))


@case(UINT8)
def tanh(m):
    m.op(B.TANH, None, [m.input(1, 4, 8, 8, low=-3, high=3)], fixed=(1 / 128, 0))


for name, code, opts, kinds in (
        ("relu", B.RELU, None, INT8), ("relu6", B.RELU6, None, INT8), ("relu_n1_to_1", B.RELU_N1_TO_1, None, FLOAT),
        ("relu_0_to_1", B.RELU_0_TO_1, None, FLOAT), ("hard_swish", B.HARD_SWISH, None, INT8), ("exp", B.EXP, None, FLOAT),
        ("elu", B.ELU, None, FLOAT), ("gelu", B.GELU, options(fb.GeluOptionsT), FLOAT),
        ("gelu_by_tanh", B.GELU, options(fb.GeluOptionsT, approximate=True), FLOAT), ("floor", B.FLOOR, None, FLOAT),
        ("ceil", B.CEIL, None, FLOAT), ("round", B.ROUND, None, FLOAT), ("sin", B.SIN, None, FLOAT), ("cos", B.COS, None, FLOAT),
        ("sign", B.SIGN, None, FLOAT), ("abs", B.ABS, None, FLOAT), ("neg", B.NEG, None, FLOAT),
        ("leaky_relu", B.LEAKY_RELU, options(fb.LeakyReluOptionsT, alpha=0.2), INT8)):
    CASES.append((name, kinds, unary(code, opts)))


for name, code in (("log", B.LOG), ("sqrt", B.SQRT), ("rsqrt", B.RSQRT)):
    CASES.append((name, FLOAT, unary(code, low=0.2)))


@case(FLOAT)
def power(m):
    m.op(B.POW, options(fb.PowOptionsT), [m.input(1, 4, 4, 3, low=0.1), m.reals(1.7)])


@case(FLOAT)
def tile(m):
    m.op(B.TILE, options(fb.TileOptionsT), [m.input(1, 2, 3, 2), m.ints([1, 2, 1, 3])])


@case(FLOAT)
def broadcast_to(m):
    m.op(B.BROADCAST_TO, options(fb.BroadcastToOptionsT), [m.input(1, 1, 3, 1), m.ints([1, 2, 3, 2])])


@case()
def minimum_of_channels(m):
    x = m.input(1, 3, 4, 5)
    m.op(B.REDUCE_MIN, options(fb.ReducerOptionsT, keepDims=True), [x, m.ints([3])], same=x)


@case()
def squared_difference(m):
    m.op(B.SQUARED_DIFFERENCE, options(fb.SquaredDifferenceOptionsT), [m.input(1, 4, 4, 3), m.input(1, 4, 4, 3)])


@case()
def prelu(m):
    m.op(B.PRELU, None, [m.input(1, 4, 4, 6), m.const(1, 1, 6)])


@case()
def depth_to_space(m):
    x = m.input(1, 3, 2, 12)
    m.op(B.DEPTH_TO_SPACE, options(fb.DepthToSpaceOptionsT, blockSize=2), [x], same=x)


@case()
def space_to_depth(m):
    x = m.input(1, 4, 6, 3)
    m.op(B.SPACE_TO_DEPTH, options(fb.SpaceToDepthOptionsT, blockSize=2), [x], same=x)


@case(FLOAT)
def batch_matmul(m):
    m.op(B.BATCH_MATMUL, options(fb.BatchMatMulOptionsT), [m.input(1, 3, 4), m.const(4, 5)])


@case(FLOAT)
def batch_matmul_turned(m):
    m.op(B.BATCH_MATMUL, options(fb.BatchMatMulOptionsT, adjX=True, adjY=True), [m.const(1, 4, 3), m.input(1, 5, 4)])


@case()
def batch_matmul_of_two(m):
    m.op(B.BATCH_MATMUL, options(fb.BatchMatMulOptionsT), [m.input(1, 2, 5, 4), m.input(1, 2, 4, 6)])


@case()
def batch_matmul_of_two_turned(m):
    m.op(B.BATCH_MATMUL, options(fb.BatchMatMulOptionsT, adjY=True), [m.input(1, 3, 5, 4), m.input(1, 3, 6, 4)])


@case(FLOAT)
def batch_matmul_of_a_stack(m):
    m.op(B.BATCH_MATMUL, options(fb.BatchMatMulOptionsT), [m.input(1, 3, 5, 4), m.const(3, 4, 2)])


def best(m, x, k):
    values, indices = m.op(B.TOPK_V2, options(fb.TopKV2OptionsT), [x, m.ints(k)], outputs=2, same=x)
    indices.dtype = np.int32
    return values, indices


@case()
def top_k(m):
    best(m, m.input(1, 3, 9), 4)


@case()
def gather_computed(m):
    table, scores = m.input(6, 4), m.input(6)
    _, indices = best(m, scores, 3)
    m.op(B.GATHER, options(fb.GatherOptionsT, axis=0), [table, indices], same=table)


@case(FLOAT)
def gather_computed_of_a_batch(m):
    table, scores = m.input(1, 6, 4), m.input(1, 6)
    _, indices = best(m, scores, 3)
    m.op(B.GATHER, options(fb.GatherOptionsT, axis=1, batchDims=1), [table, indices])


@case(FLOAT)
def gather_of_a_batch(m):
    m.op(B.GATHER, options(fb.GatherOptionsT, axis=2, batchDims=1), [m.input(1, 2, 5, 3), m.ints([[4, 0, 2]])])


@case(FLOAT)
def gather_tuples(m):
    m.op(B.GATHER_ND, options(fb.GatherNdOptionsT), [m.input(3, 4, 2), m.ints([[2, 1], [0, 3], [1, 1]])])


@case(FLOAT)
def embedding_lookup(m):
    indices = m.op(B.ARG_MAX, options(fb.ArgMaxOptionsT, outputType=T.INT32), [m.input(5, 7), m.ints(1)], dtype=np.int32)
    m.op(B.EMBEDDING_LOOKUP, None, [indices, m.const(7, 3)])


@case()
def log_softmax(m):
    m.op(B.LOG_SOFTMAX, options(fb.LogSoftmaxOptionsT), [m.input(1, 6, low=-2.0, high=2.0)], fixed=(16 / 256, 127))


@case(INT8)
def log_softmax_of_a_wide_range(m):
    m.op(B.LOG_SOFTMAX, options(fb.LogSoftmaxOptionsT), [m.input(1, 3, 10, low=-12.0, high=12.0)], fixed=(16 / 256, 127))


@case()
def l2_normalization(m):
    m.op(B.L2_NORMALIZATION, options(fb.L2NormOptionsT), [m.input(1, 3, 4, 5)], fixed=(1 / 128, 0))


@case(FLOAT)
def local_response_normalization(m):
    m.op(B.LOCAL_RESPONSE_NORMALIZATION, options(fb.LocalResponseNormalizationOptionsT, radius=2, bias=2.0, alpha=0.3, beta=0.75),
         [m.input(1, 4, 3, 7)])


@case()
def reverse(m):
    x = m.input(1, 4, 5, 3)
    m.op(B.REVERSE_V2, options(fb.ReverseV2OptionsT), [x, m.ints([2])], same=x)


@case(FLOAT)
def select_constant(m):
    flags = m.ints(m.rng.integers(0, 2, (1, 4, 1)).astype(np.bool_), np.bool_)
    m.op(B.SELECT_V2, options(fb.SelectV2OptionsT), [flags, m.input(1, 4, 5), m.input(1, 4, 5)])


@case(FLOAT)
def select_rows(m):
    flags = m.ints(np.array([True, False, True]), np.bool_)
    m.op(B.SELECT, options(fb.SelectOptionsT), [flags, m.input(3, 4), m.input(3, 4)])


for name, code, cls in (("greater", B.GREATER, fb.GreaterOptionsT), ("greater_equal", B.GREATER_EQUAL, fb.GreaterEqualOptionsT),
                        ("less", B.LESS, fb.LessOptionsT), ("less_equal", B.LESS_EQUAL, fb.LessEqualOptionsT),
                        ("equal", B.EQUAL, fb.EqualOptionsT), ("not_equal", B.NOT_EQUAL, fb.NotEqualOptionsT)):
    def compared(m, code=code, cls=cls):
        x, y = m.input(1, 4, 5), m.input(1, 4, 5)
        largest = m.op(B.MAXIMUM, options(fb.MaximumMinimumOptionsT), [x, y])
        flags = m.op(code, options(cls), [x, largest], dtype=np.bool_)
        m.op(B.SELECT_V2, options(fb.SelectV2OptionsT), [flags, x, y])
    CASES.append((f"{name}_and_select", FLOAT, compared))


@case(FLOAT)
def logic(m):
    x, y = m.input(1, 4, 5), m.input(1, 4, 5)
    above = [m.op(B.GREATER, options(fb.GreaterOptionsT), [v, m.reals(0.1)], dtype=np.bool_) for v in (x, y)]
    both = m.op(B.LOGICAL_AND, options(fb.LogicalAndOptionsT), above, dtype=np.bool_)
    either = m.op(B.LOGICAL_OR, options(fb.LogicalOrOptionsT), above, dtype=np.bool_)
    neither = m.op(B.LOGICAL_NOT, options(fb.LogicalNotOptionsT), [either], dtype=np.bool_)
    cast = options(fb.CastOptionsT, inDataType=T.BOOL, outDataType=T.FLOAT32)
    m.op(B.ADD, options(fb.AddOptionsT), [m.op(B.CAST, cast, [both]), m.op(B.CAST, cast, [neither])])


for word, padding, size in (("same", 1, (8, 9)), ("valid", 2, (9, 9))):
    def custom(m, padding=padding, size=size):
        # No built-in kernel has it; XNNPACK does, and asks the file for the size.
        m.kernels = "xnnpack"
        y = m.op("Convolution2DTransposeBias", np.array([padding, 3, 2], np.int32).tobytes(),
                 [m.input(1, 4, 3, 3), m.weights(5, 3, 3, 3), m.const(5)])
        y.shape = (1, *size, 5)
    CASES.append((f"mediapipe_transpose_conv_{word}", FLOAT, custom))


@case(INT8)
def change_of_scale(m):
    x = m.input(1, 4, 4, 3)
    convolution(m, m.op(B.RESHAPE, options(fb.ReshapeOptionsT), [x, m.ints([1, 2, 8, 3])], same=x), 4, (1, 1), conv())


@case()
def residual_block(m):
    x = m.input(1, 8, 8, 4)
    y = convolution(m, x, 8, (1, 1), conv(act=ACT.RELU6))
    w = m.weights(1, 3, 3, 8, axis=3)
    y = m.op(B.DEPTHWISE_CONV_2D, conv(act=ACT.RELU6, cls=fb.DepthwiseConv2DOptionsT, depthMultiplier=1), [y, w, m.bias(y, w, 8)])
    y = convolution(m, y, 4, (1, 1), conv(), ic=8)
    m.op(B.ADD, options(fb.AddOptionsT), [x, y])


def operators():
    arrays = {}
    for name, kinds, build in CASES:
        model = Model(name)
        build(model)
        try:
            model.measure()
            for kind in kinds:
                arrays |= model.case(kind)
        except (RuntimeError, ValueError) as error:
            raise SystemExit(f"{name}: {error}")
    target = HERE / "litert_operators.npz"
    np.savez_compressed(target, **arrays)
    print(f"{target}: {len({key.split('/')[0] for key in arrays})} models, {target.stat().st_size} bytes")


def models(args):
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for path in map(pathlib.Path, args.model):
        peer = interpreter(path.read_bytes(), args.kernels)
        given = np.load(args.inputs) if args.inputs else None
        arrays = {}
        for sample in range(args.samples):
            rng = np.random.default_rng([SEED, sample])
            for i, detail in enumerate(peer.get_input_details()):
                shape, dtype = tuple(detail["shape"]), detail["dtype"]
                if given is not None:
                    value = given[sample].reshape(shape).astype(dtype)
                elif dtype == np.float32:
                    value = rng.uniform(-1, 1, shape).astype(np.float32)
                else:
                    limits = np.iinfo(dtype)
                    value = rng.integers(limits.min, limits.max + 1, shape).astype(dtype)
                peer.set_tensor(detail["index"], value)
                arrays.setdefault(f"x{i}", []).append(value)
            peer.invoke()
            for i, detail in enumerate(peer.get_output_details()):
                arrays.setdefault(f"y{i}", []).append(peer.get_tensor(detail["index"]).copy())
            if sample == 0 and args.kernels != "xnnpack":
                for detail in peer.get_tensor_details():
                    try:
                        values = peer.get_tensor(detail["index"])
                    except ValueError:
                        continue
                    if values.dtype in (np.float32, np.int8, np.uint8) and values.size and detail["name"]:
                        arrays[f"t/{detail['name']}"] = [values.copy()]
        arrays = {key: np.stack(value) if not key.startswith("t/") else value[0] for key, value in arrays.items()}
        arrays["model"] = np.frombuffer(path.read_bytes(), np.uint8)
        arrays = {key: v.astype(np.float32) if v.dtype in (np.int64, np.int32) else v for key, v in arrays.items()}
        np.savez(out / f"{path.stem}.npz", **arrays)
        print(out / f"{path.stem}.npz")


def agreement(args):
    """Differences of outputs, and on how many samples the strongest place is the same."""
    with np.load(args.a) as a, np.load(args.b) as b:
        assert np.array_equal(a["x0"], b["x0"]), "other inputs"
        for name in (key for key in a if key.startswith("y")):
            one, other = (array[name].reshape(len(array[name]), -1).astype(np.float64) for array in (a, b))
            off = np.abs(one - other)
            same = int((one.argmax(1) == other.argmax(1)).sum())
            print(f"{name}: {len(one)} samples; off by {off.max():g}, by more than 2 in {int((off.max(1) > 2).sum())} samples, "
                  f"strongest equal {same}; equal values {100 * (off == 0).mean():.2f} %")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    commands.add_parser("operators").set_defaults(run=lambda _: operators())
    whole = commands.add_parser("models")
    whole.add_argument("out")
    whole.add_argument("model", nargs="+")
    whole.add_argument("--inputs")
    whole.add_argument("--samples", type=int, default=1)
    whole.add_argument("--kernels", choices=KERNELS, default="builtin")
    whole.set_defaults(run=models)
    both = commands.add_parser("agreement")
    both.add_argument("a")
    both.add_argument("b")
    both.set_defaults(run=agreement)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
