"""What the comparisons with PyTorch share: transformers' models in float64, and running the program.

    pip install torch transformers safetensors        (tried: torch 2.13, transformers 5)
"""
import json
import math
import os
import subprocess

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.models.llama import modeling_llama
from transformers.models.mistral import modeling_mistral
from transformers.models.qwen2 import modeling_qwen2
from transformers.models.qwen3 import modeling_qwen3
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


def rmsnorm(self, x):
    """transformers' own turns everything into float32 first, also a model in float64."""
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


for norm in (modeling_llama.LlamaRMSNorm, modeling_mistral.MistralRMSNorm, modeling_qwen2.Qwen2RMSNorm, modeling_qwen3.Qwen3RMSNorm):
    norm.forward = rmsnorm


def load(folder, dtype=torch.float64):
    """The folder's model without dropout. Its RoPE angles stay float32, as everywhere. The sdpa form of attention keeps the type."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").to(dtype).eval()


def pair_losses(model, ids):
    """-log p of the next token, of all but the last of each row."""
    logits = model(ids[:, :-1]).logits
    assert logits.dtype == next(model.parameters()).dtype
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")


def gradients(model, ids):
    """Logits, mean next-token loss and its gradients by name."""
    model.zero_grad()
    loss = pair_losses(model, ids).mean()
    loss.backward()
    with torch.no_grad():
        return model(ids).logits, loss.item(), {name: p.grad for name, p in model.named_parameters()}


def run(program, *arguments):
    """Standard output; a failure ends the script with the program's own words."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, errors="replace")  # samples end within a letter
    if done.returncode:
        raise SystemExit("%s: exit code %d\n%s" % (" ".join(map(str, [program, *arguments])), done.returncode, done.stderr))
    return done.stdout


def ours(program, folder, ids, scratch):
    """The same three from the program."""
    file, logits, grads = (os.path.join(scratch, name) for name in ("ids.json", "logits.safetensors", "grads.safetensors"))
    with open(file, "w") as f:
        json.dump(ids.tolist(), f)
    run(program, "check", "logits", "--model", folder, "--ids", file, "--out", logits, "--force")
    words = run(program, "check", "grad", "--model", folder, "--ids", file, "--out", grads, "--force").split()
    assert words[0] == "loss"
    return load_file(logits)["logits"].double(), float(words[1]), {name: g.double() for name, g in load_file(grads).items()}


def relative(difference, reference):
    """Norm over norm; a reference of 0 asks for 0."""
    size = float(torch.linalg.vector_norm(reference.double()))
    error = float(torch.linalg.vector_norm(difference.double()))
    return error / size if size else (math.inf if error else 0.0)


class Verdict:
    """Counts what is beyond its tolerance."""

    def __init__(self):
        self.good = self.bad = 0

    def check(self, name, value, tolerance):
        if value <= tolerance:
            self.good += 1
        else:
            self.bad += 1
            print("DIFFERS %s: %.3g, tolerance %.0e" % (name, value, tolerance))

    def end(self):
        print("%d passed, %d failed" % (self.good, self.bad))
        raise SystemExit(1 if self.bad or not self.good else 0)
