#!/usr/bin/env python3
"""GGUF against the Python package gguf: every type that is read, bit for bit; quantising; whole files.

    gguf.py FINETUNE                        blocks of every type; files written here opened by the package
    gguf.py FINETUNE --model FILE.gguf      besides: every tensor of a real file against what finetune makes of it
    gguf.py --golden                        the SHA-256 values that tests/test_gguf.c holds

Needs numpy and gguf.
"""
import hashlib, os, subprocess, sys, tempfile
sys.path.pop(0)  # this file has the package's name
import numpy as np
import gguf
from gguf import GGMLQuantizationType as T
from gguf.quants import dequantize, quantize

TYPES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0], "Q2_K": [80, 82], "Q3_K": [108],
         "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}  # where the halves lie in a block
BLOCKS = 64
passed = failed = 0


def check(good, what):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAILED:", what)


def blocks_of(name, count=BLOCKS):
    """As tests/test_gguf.c makes them: bytes of a linear congruence; the halves finite and of middle size."""
    size, state, out = gguf.GGML_QUANT_SIZES[T[name]][1], 1, bytearray()
    for _ in range(count):
        block = bytearray(size)
        for i in range(size):
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            block[i] = state >> 24
        for at in TYPES[name]:
            block[at + 1] = block[at + 1] & 0x87 | 0x28
        out += block
    return bytes(out)


def floats_of(name):
    data = np.frombuffer(blocks_of(name), dtype=np.uint8).reshape(1, -1)
    return dequantize(data, T[name]).astype("<f4").tobytes()


def q8_input():
    state, x = 1, []
    for _ in range(32 * 500):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        x.append((state >> 8) - (1 << 23))
    return (np.array(x, dtype=np.float32) * np.float32(2.0 ** -23)).reshape(500, 32) * (np.float32(2.0) ** (np.arange(500) % 24 - 16).astype(np.float32)).reshape(500, 1)


if sys.argv[1] == "--golden":
    for name in TYPES:
        print(f'    {{GGML_{name}, "{hashlib.sha256(floats_of(name)).hexdigest()}"}},')
    print("q8_0", hashlib.sha256(quantize(q8_input(), T.Q8_0).tobytes()).hexdigest())
    sys.exit()

finetune = os.path.abspath(sys.argv[1])
where = tempfile.mkdtemp()


def run(*args):
    return subprocess.run([finetune, *args], capture_output=True, text=True)


# ---- a small Llama whose matrices are of one type each; what comes out again as F32 is what the package reads ----
DIM, FFN, VOCAB, HEADS = 256, 512, 64, 8


def write_model(path, kind):
    w = gguf.GGUFWriter(path, "llama")
    w.add_block_count(1), w.add_context_length(32), w.add_embedding_length(DIM), w.add_feed_forward_length(FFN)
    w.add_head_count(HEADS), w.add_head_count_kv(HEADS), w.add_layer_norm_rms_eps(1e-5), w.add_rope_dimension_count(DIM // HEADS)
    shapes = {"token_embd": (VOCAB, DIM), "blk.0.attn_q": (DIM, DIM), "blk.0.attn_k": (DIM, DIM), "blk.0.attn_v": (DIM, DIM), "blk.0.attn_output": (DIM, DIM),
              "blk.0.ffn_gate": (FFN, DIM), "blk.0.ffn_up": (FFN, DIM), "blk.0.ffn_down": (DIM, FFN)}
    expected = {}
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        w.add_tensor(name + ".weight", np.ones(DIM, dtype=np.float32))
    for name, shape in shapes.items():
        if kind in TYPES:
            elements, size = gguf.GGML_QUANT_SIZES[T[kind]]
            data = np.frombuffer(blocks_of(kind, shape[0] * shape[1] // elements), dtype=np.uint8).reshape(shape[0], -1)
        else:
            x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
            data = x if kind == "F32" else x.astype(np.float16) if kind == "F16" else quantize(x, T.BF16)
        raw = kind if kind not in ("F32", "F16") else None
        w.add_tensor(name + ".weight", data, raw_dtype=T[raw] if raw else None)
        expected[name] = dequantize(data, T[kind]).reshape(shape)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    return expected


def read_back(path, kind="F32"):
    out = os.path.join(where, "again.gguf")
    r = run("export", "--model", path, "--gguf", kind, "--out", out, "--force")
    if r.returncode:
        print(r.stderr)
        return None
    return {t.name.removesuffix(".weight"): t for t in gguf.GGUFReader(out).tensors}


for kind in ["F32", "F16", "BF16", *TYPES]:
    path = os.path.join(where, kind + ".gguf")
    expected = write_model(path, kind)
    found = read_back(path)
    for name, want in expected.items():
        same = found and np.array_equal(np.array(found[name].data, dtype="<f4").reshape(want.shape).view("u4"), want.astype("<f4").view("u4"))
        check(same, f"{kind}: {name}")

# ---- written types, against the package's own rounding ----
source = os.path.join(where, "F32.gguf")
floats = write_model(source, "F32")
for kind in ["F16", "BF16", "Q8_0"]:
    found = read_back(source, kind)
    for name, x in floats.items():
        want = x.astype(np.float16).view(np.uint8) if kind == "F16" else quantize(x, T[kind]).view(np.uint8)
        check(found and found[name].tensor_type == T[kind] and np.array_equal(np.ascontiguousarray(found[name].data).view(np.uint8).ravel(), want.ravel()),
              f"written {kind}: {name}")

# ---- a real file ----
if "--model" in sys.argv:
    path = sys.argv[sys.argv.index("--model") + 1]
    found = read_back(path)
    for t in gguf.GGUFReader(path).tensors:
        name = t.name.removesuffix(".weight")
        if name not in found:
            check(t.name == "output.weight", f"{t.name} is missing")  # a head that is the embedding once more
            continue
        want = dequantize(t.data, t.tensor_type).astype("<f4").ravel()
        check(np.array_equal(np.array(found[name].data, dtype="<f4").ravel().view("u4"), want.view("u4")), t.name)

print(f"gguf.py: {passed} passed, {failed} failed")
sys.exit(failed > 0)
