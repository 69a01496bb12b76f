"""SmolLM2-135M-Instruct, a published chat model of 30 layers, against transformers in float32: logits on five texts, perplexity, greedy text.

    python tests/compare/smollm2.py FINETUNE FOLDER [TEXT_FILE [OURS]]  FOLDER: the model (f32); TEXT_FILE: for the perplexity;
                                                                        OURS: what finetune reads in its place, such as the GGUF of the same weights

Logits within 1e-5 of their largest, perplexity within 0.01 %, 100 greedy tokens equal. Any folder of a family that is supported will do.
"""
import json
import math
import os
import struct
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import reference

TEXTS = [
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n",
    "<|im_start|>user\nWhat is 17 times 23?<|im_end|>\n<|im_start|>assistant\n17 times 23 is 391.<|im_end|>\n",
    "Übermut tut selten gut; 東京は日本の首都です。 Ça va? 🙂 2024-03-31",
    "Once upon a time, in a small village by the sea, there lived an old fisherman who had not caught a single fish for forty days. "
    "Every morning he rowed out before dawn, and every evening he came back with nothing but salt in his beard and stories in his head. "
    "The children of the village loved the stories more than they would have loved the fish.",
]


def read_logits(path):
    return load_file(path)["logits"]


def document_loss(model, tokenizer, text, ctx):
    """Sum of -log p and the number of pairs of a document cut into segments of ctx pairs, as docs/bits.md says."""
    ids = [tokenizer.bos_token_id] + tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    total = 0.0
    for at in range(0, len(ids) - 1, ctx):
        segment = torch.tensor(ids[at:at + ctx + 1])
        logits = model(segment[None, :-1]).logits[0]
        total += torch.nn.functional.cross_entropy(logits.double(), segment[1:], reduction="sum").item()
    return total, len(ids) - 1


def main():
    program, folder = sys.argv[1:3]
    ours = sys.argv[4] if len(sys.argv) > 4 else folder
    torch.set_num_threads(1)
    verdict = reference.Verdict()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    with tempfile.TemporaryDirectory() as scratch, torch.no_grad():
        for i, text in enumerate(TEXTS):
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            encoded = json.loads(reference.run(program, "tokenizer", "encode", "--tokenizer", ours, "--special", "--", text))
            verdict.check("text %d: ids" % i, 0 if encoded == ids else 1, 0)
            path, out = os.path.join(scratch, "ids.json"), os.path.join(scratch, "out.safetensors")
            with open(path, "w") as f:
                json.dump([ids], f)
            reference.run(program, "check", "logits", "--model", ours, "--ids", path, "--out", out, "--force")
            got, want = read_logits(out), model(torch.tensor([ids])).logits
            error = float((got - want).abs().max() / want.abs().max())
            print("text %d: %d tokens, logits differ by %.1e of their largest" % (i, len(ids), error))
            verdict.check("text %d: logits" % i, error, 1e-5)
        if len(sys.argv) > 3:
            text = open(sys.argv[3], encoding="utf-8", newline="").read().replace("<|endoftext|>", "")[:12000].strip("\n")  # one document
            path = os.path.join(scratch, "text.txt")
            open(path, "w", encoding="utf-8", newline="").write(text)
            words = reference.run(program, "eval", "--model", ours, "--data", path, "--ctx", "512").split()
            loss, tokens = float(words[words.index("loss") + 1]), int(words[words.index("tokens") + 1])
            sums, count = document_loss(model, tokenizer, text, 512)
            print("perplexity %.6f over %d tokens, transformers %.6f over %d" % (math.exp(loss), tokens, math.exp(sums / count), count))
            verdict.check("tokens", abs(tokens - count), 0)
            verdict.check("perplexity", abs(math.exp(loss - sums / count) - 1), 1e-4)
        prompt = "<|im_start|>user\nTell me about the sea.<|im_end|>\n<|im_start|>assistant\n"
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
        want = model.generate(ids, do_sample=False, max_new_tokens=100, min_new_tokens=100)[0, ids.shape[1]:].tolist()
        path, out = os.path.join(scratch, "greedy.json"), os.path.join(scratch, "greedy.safetensors")
        with open(path, "w") as f:
            json.dump([ids[0].tolist() + want[:-1]], f)
        reference.run(program, "check", "logits", "--model", ours, "--ids", path, "--out", out, "--force")
        logits = read_logits(out)[0, ids.shape[1] - 1:]
        logits[:, model.generation_config.eos_token_id] = -math.inf        # as min_new_tokens does
        got = logits.argmax(-1).tolist()
        print("greedy: %d of 100 tokens equal" % sum(a == b for a, b in zip(got, want)))
        verdict.check("greedy", sum(a != b for a, b in zip(got, want)), 0)
        prompt = "Once upon a time, the sea"
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)["input_ids"]
        want = tokenizer.decode(model.generate(ids, do_sample=False, max_new_tokens=100)[0, ids.shape[1]:], skip_special_tokens=True)
        said = json.loads(reference.run(program, "generate", "--model", ours, "--greedy", "--tokens", "100", "--json", prompt))
        print("generate: %r" % said["text"][:70])
        verdict.check("greedy text", 0 if said["text"] == want else 1, 0)
    verdict.end()


if __name__ == "__main__":
    main()
