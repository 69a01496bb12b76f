#!/usr/bin/env python3
"""GGUF files written here against a real llama.cpp: its library's logits, its converters' files.

    llamacpp.py FINETUNE LLAMA_CPP_SOURCE LIBRARY_FOLDER [--model FOLDER ...]

LLAMA_CPP_SOURCE: a checkout (headers, convert_hf_to_gguf.py); LIBRARY_FOLDER: libllama.so and libggml*.so of the same version. Needs a C
compiler, numpy, safetensors; for the converters torch and transformers. --model: folders besides the small ones that are made here.

Checked for each model: ids equal; F32 logits within 1e-3 (GPT-2 1e-2: llama.cpp has a table for GELU); adapters within the same; F16, BF16 and
Q8_0: the mean loss there and here; end tokens; the chat template; every tensor and the keys that count against llama.cpp's own conversion.
"""
import glob, json, os, shutil, struct, subprocess, sys, tempfile
import numpy as np
from safetensors.numpy import load_file, save_file

finetune, source, library = (os.path.abspath(p) for p in sys.argv[1:4])
helper = os.path.join(os.path.dirname(os.path.abspath(__file__)), "llamacpp.c")
folders = [os.path.abspath(p) for p in sys.argv[5:]] if len(sys.argv) > 4 and sys.argv[4] == "--model" else []
sys.path.insert(0, os.path.join(source, "gguf-py"))
import gguf

where = tempfile.mkdtemp()
os.chdir(where)
passed = failed = 0
TEXT = "The cat number 12 sat on a mat, and the dog's house wasn't far.\nIt ran to it!  Twice. "
open("text.txt", "w").write(TEXT)
words = "the cat dog sat ran to its house on a mat and number of 12 7 was not far it's".split()
rng = np.random.default_rng(3)
open("train.txt", "w").write("\n<|endoftext|>\n".join(" ".join(rng.choice(words, 40)) + "." for _ in range(60)))
open("rows.jsonl", "w").write("".join(json.dumps({"messages": [{"role": "user", "content": f"the cat {i}"}, {"role": "assistant", "content": f"is {i * 3}"}]}) + "\n" for i in range(20)))


def check(good, what):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(("ok      " if good else "FAILED  ") + what, flush=True)


def run(*args, **kw):
    r = subprocess.run(args, capture_output=True, **kw)
    if r.returncode:
        raise SystemExit(f"{' '.join(args)}\n{r.stdout.decode()[-2000:]}\n{r.stderr.decode()[-2000:]}")
    return r.stdout


# ---- llama.cpp's side ----
libs = [glob.glob(os.path.join(library, f"lib{n}*so*"))[0] for n in ("llama.", "ggml.", "ggml-base.")]
run("cc", "-O1", "-o", "llamacpp", helper,
    "-I", os.path.join(source, "include"), "-I", os.path.join(source, "ggml/include"), *libs, f"-Wl,-rpath,{library}")


def theirs(model, lora=None):
    out = run("./llamacpp", model, "text.txt", "out.bin", *([lora] if lora else []), env={**os.environ, "LLAMACPP_LIB": library}).decode()
    raw = open("out.bin", "rb").read()
    n, v = struct.unpack("<ii", raw[:8])
    return {"ids": np.frombuffer(raw, "<i4", n, 8).tolist(), "logits": np.frombuffer(raw, "<f4", n * v, 8 + 4 * n).reshape(n, v), "said": out}


def ours(model, ids, adapter=None):
    json.dump([ids], open("ids.json", "w"))
    run(finetune, "check", "logits", "--model", model, "--ids", "ids.json", "--out", "logits.safetensors", "--force", *(["--adapter", adapter] if adapter else []))
    return next(iter(load_file("logits.safetensors").values()))[0]


def loss(logits, ids):
    z = logits[:-1].astype(np.float64)
    z -= z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(ids) - 1), ids[1:]]))


def our_ids(model):
    return json.loads(run(finetune, "tokenizer", "encode", "--tokenizer", model, TEXT))


# ---- small models of each kind ----
def pretrain(name, *flags):
    run(finetune, "pretrain", "--data", "train.txt", "--valid", "0", "--vocab", "290", "--layers", "2", "--ctx", "128", "--batch", "4", "--steps", "30", "--lr", "0.01", "--out", name, *flags)


def derive(name, base, edit_config, edit_tensors):
    shutil.copytree(base, name)
    config = json.load(open(f"{name}/config.json"))
    edit_config(config)
    json.dump(config, open(f"{name}/config.json", "w"))
    tensors = load_file(f"{name}/model.safetensors")
    edit_tensors(tensors)
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, f"{name}/model.safetensors", {"format": "pt"})


def noise(*shape):
    return rng.standard_normal(shape).astype(np.float32) * np.float32(0.3)


pretrain("llama", "--family", "llama", "--dim", "64", "--heads", "4", "--kv-heads", "2", "--ffn", "96")
pretrain("gpt2", "--family", "gpt2", "--dim", "64", "--heads", "4", "--ffn", "256")  # llama.cpp knows no other width of GPT-2


def qwen(config, kind):
    for key in ("attention_bias", "mlp_bias"):
        config.pop(key, None)
    config.update(model_type=kind, architectures=[{"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM"}[kind]], use_sliding_window=False)


def biases(t):
    for i in range(2):
        for p, n in (("q", 64), ("k", 32), ("v", 32)):
            t[f"model.layers.{i}.self_attn.{p}_proj.bias"] = noise(n)


def head_norms(t):
    for i in range(2):
        for p in "qk":
            t[f"model.layers.{i}.self_attn.{p}_norm.weight"] = 1 + noise(16)


def stretched(config):
    rope = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 256}
    config.update(rope_scaling=rope, rope_theta=10000.0)
    config["rope_parameters"] = {**rope, "rope_theta": 10000.0}


def untied(config):
    config["tie_word_embeddings"] = False


derive("qwen2", "llama", lambda c: qwen(c, "qwen2"), biases)
derive("qwen3", "llama", lambda c: qwen(c, "qwen3"), head_norms)
derive("llama3", "llama", stretched, lambda t: None)
derive("untied", "llama", untied, lambda t: t.update({"lm_head.weight": noise(290, 64)}))


def compare_files(mine, other, what):
    a, b = gguf.GGUFReader(mine), gguf.GGUFReader(other)
    at, bt = {t.name: t for t in a.tensors}, {t.name: t for t in b.tensors}
    check(set(at) == set(bt) or set(bt) - set(at) == {"output.weight"}, f"{what}: the tensors of llama.cpp's conversion {sorted(set(at) ^ set(bt))}")
    bad = [n for n in at if n in bt and (at[n].tensor_type != bt[n].tensor_type or not np.array_equal(np.asarray(at[n].data).view(np.uint8), np.asarray(bt[n].data).view(np.uint8)))]
    if "rope_freqs.weight" in bad and np.allclose(at["rope_freqs.weight"].data, bt["rope_freqs.weight"].data, rtol=1e-6):
        bad.remove("rope_freqs.weight")  # computed there in float
    check(not bad, f"{what}: each tensor of llama.cpp's conversion, byte for byte {bad[:4]}")
    for key, field in b.fields.items():
        counts = key.startswith("tokenizer.ggml.") or (key.split(".")[0] == a.fields["general.architecture"].contents() and key in a.fields)
        if counts and key in a.fields and a.fields[key].contents() != field.contents():
            if key == "tokenizer.ggml.pre":
                continue  # told from a hash of what the tokenizer makes of a text; this text's model has none there
            check(False, f"{what}: key {key}: {str(a.fields[key].contents())[:80]} and {str(field.contents())[:80]}")


def convert(folder, kind, out):
    """convert_hf_to_gguf.py knows pre-tokenizers by a hash; a small vocabulary has none, so it is told that this is GPT-2's."""
    script = os.path.join(source, "convert_hf_to_gguf.py")
    code = ("import sys, runpy; sys.path.insert(0, %r); sys.path.insert(0, %r)\n" % (os.path.join(source, "gguf-py"), source) +
            "import conversion.base as b\n"
            "known = b.TextModel.get_vocab_base_pre\n"
            "def pre(self, t):\n    try: return known(self, t)\n    except NotImplementedError: return 'gpt-2'\n"
            "b.TextModel.get_vocab_base_pre = pre\n"
            "sys.argv = %r\nrunpy.run_path(%r, run_name='__main__')" % ([script, folder, "--outtype", kind, "--outfile", out], script))
    run(sys.executable, "-c", code)


for folder in ["llama", "gpt2", "qwen2", "qwen3", "llama3", "untied", *folders]:
    name = os.path.basename(folder)
    run(finetune, "export", "--model", folder, "--gguf", "F32", "--out", "f32.gguf", "--force")
    t = theirs("f32.gguf")
    check(t["ids"] == our_ids(folder), f"{name}: ids")
    z = ours(folder, t["ids"])
    off = float(np.abs(z - t["logits"]).max())
    check(off < (1e-2 if "gpt2" in name else 1e-3), f"{name}: F32 logits differ by {off:.2e}, of {np.abs(z).max():.3g}")
    config = json.load(open(f"{folder}/config.json"))
    ends = config.get("eos_token_id")
    check(set([ends] if isinstance(ends, int) else ends or []) <= set(map(int, t["said"].split("\n")[0].split()[1:])), f"{name}: end tokens: {t['said'].splitlines()[0]}")
    for kind in ("F16", "BF16", "Q8_0"):
        run(finetune, "export", "--model", folder, "--gguf", kind, "--out", "k.gguf", "--force")
        there, here, full = loss(theirs("k.gguf")["logits"], t["ids"]), loss(ours("k.gguf", t["ids"]), t["ids"]), loss(z, t["ids"])
        check(abs(there - here) < 0.02 * full, f"{name}: {kind}: mean loss {there:.5f} there, {here:.5f} here, {full:.5f} in F32")
        convert(os.path.abspath(folder), kind.lower(), "theirs.gguf")
        compare_files("k.gguf", "theirs.gguf", f"{name}: {kind}")
    run(finetune, "train", "--model", folder, "--data", "rows.jsonl", "--template", "chatml", "--valid", "0", "--steps", "8", "--batch", "4", "--lr", "0.01", "--lora", "--rank", "4", "--rslora",
        "--out", "adapter", "--force") if not os.path.exists("adapter") else None
    run(finetune, "export", "--model", folder, "--adapter", "adapter", "--gguf-lora", "--out", "lora.gguf", "--force")
    with_adapter, z2 = theirs("f32.gguf", "lora.gguf"), ours(folder, t["ids"], "adapter")
    off = float(np.abs(z2 - with_adapter["logits"]).max())
    check(off < (1e-2 if "gpt2" in name else 1e-3) and np.abs(z2 - z).max() > 0.05, f"{name}: adapter: logits differ by {off:.2e}; its effect is {np.abs(z2 - z).max():.3g}")
    run(finetune, "export", "--model", folder, "--adapter", "adapter", "--gguf", "F32", "--out", "merged.gguf", "--force")
    said = theirs("merged.gguf")["said"]
    expected = "".join(f"<|im_start|>{r}\n{c}<|im_end|>\n" for r, c in (("system", "Be short."), ("user", "Hello"), ("assistant", "Hi"), ("user", "Bye"))) + "<|im_start|>assistant\n"
    check(said.split("\n", 3)[3] == expected, f"{name}: the chat template there")
    shutil.rmtree("adapter")

print(f"llamacpp.py: {passed} passed, {failed} failed")
shutil.rmtree(where)
sys.exit(failed > 0)
