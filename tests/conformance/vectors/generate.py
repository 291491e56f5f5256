#!/usr/bin/env python3
"""Writes the vectors that the reference kernels are checked against, beside this file.

They are computed by Arm's TOSA reference model (PyPI `tosa-tools`, 2026.8.0), which shares no code with Ocellus. Run it with

    python3 -m venv venv && venv/bin/pip install tosa-tools==2026.8.0 numpy && venv/bin/python generate.py

SEED fixes every number, so that the files only change when this script or the model does. The rules of TOSA and of docs/numerics.md differ
in form: TOSA subtracts the input's zero point where Ocellus folds it into the bias. The files hold what an Ocellus file would hold.

A vector file is text. A line is `case NAME`, `NAME INTEGER...`, or `NAME hex BYTES` for s8 and u8.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import serializer.tosa_serializer as ts
from tosa import Op, NanPropagationMode, RoundingMode

SEED = 20261123
HERE = pathlib.Path(__file__).parent
MODEL = pathlib.Path(sys.executable).parent / "tosa_reference_model"
S8, S32, SHAPE = ts.DType.INT8, ts.DType.INT32, ts.DType.SHAPE
OP = Op.Op
NUMPY = {S8: np.int8, S32: np.int32}
rng = np.random.default_rng(SEED)


class Graph:
    """A TOSA graph with one output."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.ser = ts.TosaSerializer(self.folder.name)
        self.inputs = []

    def input(self, values, dtype=S8):
        values = np.ascontiguousarray(values, NUMPY[dtype])
        name = self.ser.addPlaceholder(list(values.shape), dtype, values)
        self.inputs.append(name.name)
        return name

    def const(self, values, dtype):
        values = np.asarray(values)
        if dtype == SHAPE:
            return self.ser.addConst([len(values)], SHAPE, values)
        return self.ser.addConst(list(values.shape), dtype, values.astype(NUMPY[dtype]))

    def add(self, op, inputs, shape, dtype, last=False, **attribute):
        out = (self.ser.addOutput if last else self.ser.addIntermediate)(list(shape), dtype)
        attr = ts.TosaSerializerAttribute()
        (name, args), = attribute.items()
        getattr(attr, name)(*args)
        self.ser.addOperator(op, [t.name for t in inputs], [out.name], attr)
        self.output = out.name
        return out

    def rescale(self, value, multipliers, shifts, shape, zero_point_in=0, zero_point_out=0, dtype_in=S32, dtype=S8, last=False):
        multipliers, shifts = np.atleast_1d(multipliers), np.atleast_1d(shifts)
        inputs = [
            value,
            self.const(multipliers, S32),
            self.const(shifts, S8),
            self.const([zero_point_in], dtype_in),
            self.const([zero_point_out], dtype),
        ]
        per_channel = len(multipliers) > 1
        attribute = (True, RoundingMode.RoundingMode.SINGLE_ROUND, per_channel, False, False)
        return self.add(OP.RESCALE, inputs, shape, dtype, last, RescaleAttribute=attribute)

    def clamp(self, value, low, high, shape):
        attribute = (self.ser.builder, np.array([low], np.int8).tobytes(), np.array([high], np.int8).tobytes(),
                     NanPropagationMode.NanPropagationMode.PROPAGATE)
        return self.add(OP.CLAMP, [value], shape, S8, True, ClampAttribute=attribute)

    def run(self):
        folder = pathlib.Path(self.folder.name)
        (folder / "graph.tosa").write_bytes(bytes(self.ser.serialize()))
        result = subprocess.run(
            [str(MODEL), "--tosa_file", "graph.tosa", f"--flatbuffer_dir={folder}", f"--output_dir={folder}",
             "--ifm_name", ",".join(self.inputs), "--ifm_file", ",".join(f"{n}.npy" for n in self.inputs),
             "--ofm_name", self.output, "--ofm_file", "out.npy"],
            capture_output=True, text=True, cwd=folder)
        if result.returncode != 0:
            raise SystemExit(f"the reference model failed:\n{result.stdout}{result.stderr}")
        return np.load(folder / "out.npy")


class Vectors:
    """One file."""

    def __init__(self, name):
        self.path = HERE / f"{name}.txt"
        self.lines = [f"# {name}: written by generate.py, seed {SEED}"]

    def case(self, name, **values):
        self.lines.append(f"case {name}")
        for key, value in values.items():
            value = np.asarray(value)
            if value.dtype in (np.int8, np.uint8):
                self.lines.append(f"{key} hex {value.tobytes().hex()}")
            else:
                self.lines.append(f"{key} " + " ".join(str(int(v)) for v in value.reshape(-1)))

    def write(self):
        self.path.write_text("\n".join(self.lines) + "\n")
        print(f"{self.path.name}: {self.path.stat().st_size} bytes")


def s8(*shape, low=-128, high=127):
    return rng.integers(low, high, shape, endpoint=True, dtype=np.int64).astype(np.int8)


def zero_point():
    return int(rng.choice([-128, 127, 0, int(rng.integers(-128, 128))]))


def clamps():
    if rng.integers(2):
        return -128, 127
    a, b = sorted(int(v) for v in rng.integers(-128, 128, 2))
    return a, b


def requants(n, magnitude):
    """Scales that take accumulators of that size to about s8. TOSA wants accumulators below 2^(shift - 1)."""
    log2 = int(np.ceil(np.log2(max(magnitude, 2) / 64)))
    multipliers = rng.integers(1 << 30, (1 << 31) - 1, n, endpoint=True)
    ends = rng.integers(0, 5, n)
    multipliers = np.where(ends == 0, 1 << 30, np.where(ends == 1, (1 << 31) - 1, multipliers))
    shifts = np.clip(31 + log2 + rng.integers(-1, 2, n), 2, 62)
    return multipliers, shifts


def window(largest=7, dilated=True):
    """One axis: input, kernel, stride, dilation, padding before and after, output."""
    while True:
        size, kernel = int(rng.integers(1, largest + 1)), int(rng.integers(1, 6))
        stride = int(rng.integers(1, 4)) if rng.integers(4) else kernel + 1
        dilation = int(rng.integers(1, 3)) if dilated else 1
        extent = (kernel - 1) * dilation + 1
        before, after = (int(v) for v in rng.integers(0, kernel, 2))
        over = size + before + after - extent
        if over >= 0 and over % stride == 0:
            return size, kernel, stride, dilation, before, after, over // stride + 1


def window_values(h, w):
    names = ["in", "kernel", "stride", "dilation", "pad", None, "out"]
    values = {}
    for name, a, b in zip(names, h, w):
        if name == "pad":
            values |= {"pad_top": a, "pad_left": b}
        elif name:
            values |= {f"{name}_h": a, f"{name}_w": b}
    return values


def tosa_conv(op, x, weights, bias, zp, h, w, shape, multipliers, shifts, zp_out, low, high):
    g = Graph()
    inputs = [g.input(x), g.const(weights, S8), g.const(bias, S32), g.const([zp], S8), g.const([0], S8)]
    attribute = ([h[4], h[5], w[4], w[5]], [h[2], w[2]], [h[3], w[3]], False, S32)
    name = "Conv2dAttribute" if op == OP.CONV2D else "DepthwiseConv2dAttribute"
    acc = g.add(op, inputs, shape, S32, **{name: attribute})
    y = g.rescale(acc, multipliers, shifts, shape, zero_point_out=zp_out)
    g.clamp(y, low, high, shape)
    return g.run()


def conv_2d(count):
    v = Vectors("conv_2d")
    for i in range(count):
        h, w = window(), window()
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        gi, go = (int(rng.choice([1, 2, 3, 4, 5, 8, 9, 16, 17])) for _ in range(2))
        if i < 4:
            # Longer than one vector of any instruction set, so that 16 packed values are not the end.
            groups, gi, go = 1, [33, 65, 20, 40][i], 7
        if groups > 1:
            gi, go = min(gi, 4), min(go, 4)
        zp, zp_out, (low, high) = zero_point(), zero_point(), clamps()
        x = s8(1, h[0], w[0], groups * gi)
        weights = s8(groups * go, h[1], w[1], gi, low=-127)
        bias = rng.integers(-20000, 20000, groups * go)
        taps = h[1] * w[1] * gi
        multipliers, shifts = requants(groups * go, 5400 * np.sqrt(taps))
        shape = [1, h[6], w[6], go]
        parts = []
        for group in range(groups):
            o = slice(group * go, (group + 1) * go)
            parts.append(tosa_conv(OP.CONV2D, x[..., group * gi:(group + 1) * gi], weights[o], bias[o], zp, h, w, shape,
                                   multipliers[o], shifts[o], zp_out, low, high))
        y = np.concatenate(parts, axis=3)
        folded = bias - zp * weights.astype(np.int64).sum(axis=(1, 2, 3))
        v.case(f"conv_2d_{i}", **window_values(h, w), in_c=groups * gi, out_c=groups * go, groups=groups, zero_point_in=zp,
               zero_point_out=zp_out, min=low, max=high, x=x, weights=weights, bias=folded, multipliers=multipliers,
               shifts=shifts, y=y)
    v.write()


def depthwise_conv_2d(count):
    v = Vectors("depthwise_conv_2d")
    for i in range(count):
        h, w = window(), window()
        c, m = int(rng.choice([1, 2, 3, 4, 7, 8, 9, 17])), int(rng.choice([1, 1, 2, 3]))
        zp, zp_out, (low, high) = zero_point(), zero_point(), clamps()
        x, weights = s8(1, h[0], w[0], c), s8(h[1], w[1], c, m, low=-127)
        bias = rng.integers(-20000, 20000, c * m)
        multipliers, shifts = requants(c * m, 5400 * np.sqrt(h[1] * w[1]))
        y = tosa_conv(OP.DEPTHWISE_CONV2D, x, weights, bias, zp, h, w, [1, h[6], w[6], c * m], multipliers, shifts, zp_out,
                      low, high)
        folded = bias - zp * weights.astype(np.int64).sum(axis=(0, 1)).reshape(-1)
        v.case(f"depthwise_conv_2d_{i}", **window_values(h, w), in_c=c, multiplier=m, zero_point_in=zp, zero_point_out=zp_out,
               min=low, max=high, x=x, weights=weights, bias=folded, multipliers=multipliers, shifts=shifts, y=y)
    v.write()


def transpose_conv_2d(count):
    v = Vectors("transpose_conv_2d")
    for i in range(count):
        ic, oc = (int(rng.choice([1, 2, 3, 4, 5, 8])) for _ in range(2))
        ih, iw = (int(s) for s in rng.integers(1, 6, 2))
        kh, kw = (int(s) for s in rng.integers(1, 5, 2))
        sh, sw = (int(s) for s in rng.integers(1, 4, 2))
        # TOSA's out_pad is the negative of Ocellus' padding; behind, it may add rows too.
        top, left = (-int(rng.integers(0, k)) for k in (kh, kw))
        bottom, right = (int(rng.integers(1 - k, 3)) for k in (kh, kw))
        oh, ow = (ih - 1) * sh + top + bottom + kh, (iw - 1) * sw + left + right + kw
        if oh < 1 or ow < 1:
            continue
        zp, zp_out, (low, high) = zero_point(), zero_point(), clamps()
        x, weights = s8(1, ih, iw, ic), s8(oc, kh, kw, ic, low=-127)
        bias = rng.integers(-20000, 20000, oc)
        multipliers, shifts = requants(oc, 5400 * np.sqrt(kh * kw * ic / sh / sw))
        g = Graph()
        inputs = [g.input(x), g.const(weights, S8), g.const(bias, S32), g.const([zp], S8), g.const([0], S8)]
        shape = [1, oh, ow, oc]
        acc = g.add(OP.TRANSPOSE_CONV2D, inputs, shape, S32,
                    TransposeConv2dAttribute=([top, bottom, left, right], [sh, sw], False, S32))
        g.clamp(g.rescale(acc, multipliers, shifts, shape, zero_point_out=zp_out), low, high, shape)
        v.case(f"transpose_conv_2d_{i}", in_h=ih, in_w=iw, kernel_h=kh, kernel_w=kw, stride_h=sh, stride_w=sw, dilation_h=1,
               dilation_w=1, pad_top=-top, pad_left=-left, out_h=oh, out_w=ow, in_c=ic, out_c=oc, groups=1, zero_point_in=zp,
               zero_point_out=zp_out, min=low, max=high, x=x, weights=weights, bias=bias, multipliers=multipliers,
               shifts=shifts, y=g.run())
    v.write()


def fully_connected(count):
    v = Vectors("fully_connected")
    one = (1, 1, 1, 1, 0, 0, 1)
    for i in range(count):
        rows, ic, oc = int(rng.integers(1, 4)), int(rng.choice([1, 3, 16, 17, 64, 65, 130])), int(rng.choice([1, 4, 5, 10]))
        zp, zp_out, (low, high) = zero_point(), zero_point(), clamps()
        x, weights = s8(rows, 1, 1, ic), s8(oc, 1, 1, ic, low=-127)
        bias = rng.integers(-20000, 20000, oc)
        multipliers, shifts = requants(oc, 5400 * np.sqrt(ic))
        y = tosa_conv(OP.CONV2D, x, weights, bias, zp, one, one, [rows, 1, 1, oc], multipliers, shifts, zp_out, low, high)
        folded = bias - zp * weights.astype(np.int64).sum(axis=(1, 2, 3))
        v.case(f"fully_connected_{i}", rows=rows, in_c=ic, out_c=oc, zero_point_out=zp_out, min=low, max=high, x=x,
               weights=weights, bias=folded, multipliers=multipliers, shifts=shifts, y=y)
    v.write()


def pools(count):
    v = Vectors("pool_2d")
    for i in range(count):
        h, w = window(dilated=False), window(dilated=False)
        c = int(rng.choice([1, 2, 3, 8, 17]))
        x, shape, (low, high) = s8(1, h[0], w[0], c), [1, h[6], w[6], c], clamps()
        pad = [h[4], h[5], w[4], w[5]]
        g = Graph()
        nan = NanPropagationMode.NanPropagationMode.PROPAGATE
        y = g.add(OP.MAX_POOL2D, [g.input(x)], shape, S8, MaxPool2dAttribute=([h[1], w[1]], [h[2], w[2]], pad, nan))
        g.clamp(y, low, high, shape)
        v.case(f"max_pool_2d_{i}", **window_values(h, w), channels=c, min=low, max=high, x=x, y=g.run())

        zp, zp_out = zero_point(), zero_point()
        g = Graph()
        inputs = [g.input(x), g.const([zp], S8), g.const([zp_out], S8)]
        y = g.add(OP.AVG_POOL2D, inputs, shape, S8, AvgPool2dAttribute=([h[1], w[1]], [h[2], w[2]], pad, S32))
        g.clamp(y, low, high, shape)
        # reciprocal_scale of the TOSA specification.
        multipliers, shifts = [], []
        for n in range(1, h[1] * w[1] + 1):
            k = (n - 1).bit_length()
            multipliers.append((((1 << 30) + 1) << k) // n)
            shifts.append(30 + k)
        v.case(f"average_pool_2d_{i}", **window_values(h, w), channels=c, zero_point_in=zp, zero_point_out=zp_out, min=low,
               max=high, multipliers=multipliers, shifts=shifts, x=x, y=g.run())
    v.write()


def binary_shapes():
    shape = [int(rng.choice(c)) for c in ([1, 2], [1, 3], [2, 4], [1, 5, 16, 17])]
    bits = [0, 0]
    if rng.integers(2):
        bits[int(rng.integers(2))] = int(rng.integers(16))
    shapes = [[1 if b >> axis & 1 else size for axis, size in enumerate(shape)] for b in bits]
    return shape, bits, shapes


def binaries(count):
    v = Vectors("binary")
    identity = 1 << 30, 30
    for i in range(count):
        shape, bits, (shape_a, shape_b) = binary_shapes()
        a, b = s8(*shape_a), s8(*shape_b)
        za, zb, zo, (low, high) = zero_point(), zero_point(), zero_point(), clamps()
        given = dict(shape=shape, broadcast_a=bits[0], broadcast_b=bits[1], zero_point_a=za, zero_point_b=zb, zero_point_out=zo,
                     min=low, max=high, a=a, b=b)

        def operands(g):
            wide_a = g.rescale(g.input(a), *identity, shape_a, zero_point_in=za, dtype_in=S8, dtype=S32)
            wide_b = g.rescale(g.input(b), *identity, shape_b, zero_point_in=zb, dtype_in=S8, dtype=S32)
            return wide_a, wide_b

        multiplier, shift = requants(1, 8000)
        g = Graph()
        wide_a, wide_b = operands(g)
        product = g.add(OP.MUL, [wide_a, wide_b, g.const([0], S8)], shape, S32, MulAttribute=())
        g.clamp(g.rescale(product, multiplier, shift, shape, zero_point_out=zo), low, high, shape)
        v.case(f"mul_{i}", **given, multiplier=multiplier, shift=shift, y=g.run())

        shift = int(rng.integers(14, 24))
        ma, mb = (int(m) for m in rng.integers(-(1 << min(22, shift + 1)), 1 << min(22, shift + 1), 2))
        g = Graph()
        wide_a, wide_b = operands(g)
        scaled = []
        for wide, factor, of in ((wide_a, ma, shape_a), (wide_b, mb, shape_b)):
            inputs = [wide, g.const(np.full([1, 1, 1, 1], factor), S32), g.const([0], S8)]
            scaled.append(g.add(OP.MUL, inputs, of, S32, MulAttribute=()))
        total = g.add(OP.ADD, scaled, shape, S32, AddAttribute=())
        amount = g.const(np.full([1, 1, 1, 1], shift), S32)
        rounded = g.add(OP.ARITHMETIC_RIGHT_SHIFT, [total, amount], shape, S32, ArithmeticRightShiftAttribute=(True,))
        g.clamp(g.rescale(rounded, *identity, shape, zero_point_out=zo), low, high, shape)
        v.case(f"add_{i}", **given, multiplier_a=ma, multiplier_b=mb, shift=shift, y=g.run())
    v.write()


def rescale(count):
    """The operator alone: every shift, both ends of the multiplier, accumulators at the ends and about the halves."""
    v = Vectors("rescale")
    for shift in range(2, 63):
        for multiplier in (1 << 30, (1 << 31) - 1, int(rng.integers(1 << 30, 1 << 31))):
            limit = min((1 << (shift - 1)) - 1, (1 << 31) - 1)
            step = max((1 << shift) // multiplier, 1)
            near = [(2 * k + 1) * step // 2 + d for k in range(-3, 3) for d in (-1, 0, 1)]
            values = [-limit, limit, 0, 1, -1] + near + [int(n) for n in rng.integers(-limit, limit, count, endpoint=True)]
            acc = np.array([n for n in values if -limit <= n <= limit])
            # The result has to fit s32.
            exact = [(int(n) * multiplier + (1 << (shift - 1))) >> shift for n in acc]
            acc = np.array([n for n, e in zip(acc, exact) if -(1 << 31) <= e < 1 << 31])
            g = Graph()
            g.rescale(g.input(acc, S32), multiplier, shift, acc.shape, dtype=S32, last=True)
            v.case(f"rescale_{shift}", multiplier=multiplier, shift=shift, acc=acc, y=g.run().astype(np.int64))
    v.write()


def movement(count):
    v = Vectors("movement")
    for i in range(count):
        shape = [int(rng.choice(c)) for c in ([1, 2], [1, 3], [2, 4, 5], [1, 5, 16, 17])]
        x = s8(*shape)

        before, after = rng.integers(0, 3, 4), rng.integers(0, 3, 4)
        value = s8(1)
        out = [int(n) for n in shape + before + after]
        g = Graph()
        pads = g.const(np.stack([before, after], 1).reshape(-1), SHAPE)
        g.add(OP.PAD, [g.input(x), pads, g.const(value, S8)], out, S8, True, PadAttribute=())
        v.case(f"pad_{i}", in_shape=shape, before=before, after=after, value=value.astype(np.int64), x=x, y=g.run())

        order = rng.permutation(4)
        g = Graph()
        g.add(OP.TRANSPOSE, [g.input(x)], [shape[o] for o in order], S8, True, TransposeAttribute=([int(o) for o in order],))
        v.case(f"transpose_{i}", in_shape=shape, order=order, x=x, y=g.run())

        begin = [int(rng.integers(0, n)) for n in shape]
        size = [int(rng.integers(1, n - b + 1)) for n, b in zip(shape, begin)]
        g = Graph()
        g.add(OP.SLICE, [g.input(x), g.const(begin, SHAPE), g.const(size, SHAPE)], size, S8, True, SliceAttribute=())
        v.case(f"slice_{i}", in_shape=shape, out_shape=size, begin=begin, x=x, y=g.run())

        axis = int(rng.integers(4))
        other = list(shape)
        other[axis] = int(rng.integers(1, 5))
        b = s8(*other)
        out = list(shape)
        out[axis] += other[axis]
        g = Graph()
        g.add(OP.CONCAT, [g.input(x), g.input(b)], out, S8, True, ConcatAttribute=(axis,))
        v.case(f"concat_{i}", outer=int(np.prod(shape[:axis])), a=x, b=b, y=g.run())

        n, k, c = shape[0], shape[2], shape[3]
        indices = rng.integers(0, k, int(rng.integers(1, 7)))
        g = Graph()
        values = x[:, 0]
        repeated = np.tile(indices, (n, 1)).astype(np.int32)
        g.add(OP.GATHER, [g.input(values), g.input(repeated, S32)], [n, len(indices), c], S8, True, GatherAttribute=())
        v.case(f"gather_{i}", outer=n, in_n=k, inner=c, indices=indices, x=values, y=g.run())

        table = s8(256)
        g = Graph()
        g.add(OP.TABLE, [g.input(x), g.const(table, S8)], shape, S8, True, TableAttribute=())
        v.case(f"lookup_{i}", x=x, table=table, y=g.run())
    v.write()


if __name__ == "__main__":
    conv_2d(32)
    depthwise_conv_2d(24)
    transpose_conv_2d(24)
    fully_connected(12)
    pools(20)
    binaries(16)
    rescale(12)
    movement(8)
