"""The speed of a training step beside PyTorch's (eager, float32), interleaved in one run: ours, theirs, ours, theirs, …

    python tests/compare/speed.py BENCH_STEP [--sizes 7M,…] [--threads 2] [--rounds 9] [--bar 1.0]

BENCH_STEP is tests/bench_step.c, built (make bench).

    pip install torch transformers                                        (tried: torch 2.13, transformers 5)

A step is forward, loss, backward, clipping and AdamW on the same number of random tokens. PyTorch may choose: transformers' model or a
plain one on scaled_dot_product_attention, the batch whole or in parts, the foreach or the fused AdamW. What is fastest in a first round is
the yardstick. The ratio is the median of the rounds' ratios: theirs over ours. Exit 1 when one is below the bar.
"""
import argparse
import os
import statistics
import subprocess
import time

for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.pop(variable, None)
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from torch import nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

#                family  vocab layers dim heads kv_heads ffn batch length
SIZES = {
    "1M": ("llama", 2048, 5, 128, 4, 4, 352, 8, 256),
    "7M": ("llama", 4096, 6, 288, 6, 6, 768, 32, 256),
    "30M": ("llama", 8192, 8, 512, 8, 8, 1376, 8, 512),
    "124M": ("gpt2", 50257, 12, 768, 12, 12, 3072, 8, 256),
    "124M-short": ("gpt2", 50257, 12, 768, 12, 12, 3072, 4, 64),
}


class Block(nn.Module):
    def __init__(self, family, dim, heads, kv_heads, ffn):
        super().__init__()
        self.llama, self.heads, self.kv_heads, self.width = family == "llama", heads, kv_heads, dim // heads
        norm = nn.RMSNorm if self.llama else nn.LayerNorm
        self.norm1, self.norm2 = norm(dim, eps=1e-5), norm(dim, eps=1e-5)
        self.qkv = nn.Linear(dim, (heads + 2 * kv_heads) * self.width, bias=not self.llama)
        self.out = nn.Linear(dim, dim, bias=not self.llama)
        self.up = nn.Linear(dim, ffn * (2 if self.llama else 1), bias=not self.llama)
        self.down = nn.Linear(ffn, dim, bias=not self.llama)

    def forward(self, x, cos, sin):
        B, T, C = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(B, T, -1, self.width).transpose(1, 2).split((self.heads, self.kv_heads, self.kv_heads), 1)
        if self.llama:
            q, k = (y * cos + torch.cat((-y[..., self.width // 2:], y[..., :self.width // 2]), -1) * sin for y in (q, k))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, C))
        h = self.up(self.norm2(x))
        if self.llama:
            gate, up = h.chunk(2, -1)
            return x + self.down(F.silu(gate) * up)
        return x + self.down(F.gelu(h, approximate="tanh"))


class Plain(nn.Module):
    def __init__(self, family, vocab, layers, dim, heads, kv_heads, ffn, context):
        super().__init__()
        self.tok, self.pos = nn.Embedding(vocab, dim), nn.Embedding(context, dim) if family == "gpt2" else None
        self.blocks = nn.ModuleList(Block(family, dim, heads, kv_heads, ffn) for _ in range(layers))
        self.norm = (nn.LayerNorm if family == "gpt2" else nn.RMSNorm)(dim, eps=1e-5)
        angles = torch.arange(context)[:, None] * 10000 ** (-torch.arange(0, dim // heads, 2) / (dim // heads))
        self.register_buffer("cos", torch.cat((angles, angles), -1).cos(), persistent=False)
        self.register_buffer("sin", torch.cat((angles, angles), -1).sin(), persistent=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids):
        T = ids.shape[1]
        x = self.tok(ids)
        if self.pos:
            x = x + self.pos.weight[:T]
        for block in self.blocks:
            x = block(x, self.cos[:T], self.sin[:T])
        return F.linear(self.norm(x), self.tok.weight)


class Transformers(nn.Module):
    def __init__(self, family, vocab, layers, dim, heads, kv_heads, ffn, context):
        super().__init__()
        if family == "gpt2":
            config = GPT2Config(vocab_size=vocab, n_positions=context, n_embd=dim, n_layer=layers, n_head=heads, n_inner=ffn,
                                resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, use_cache=False, attn_implementation="sdpa")
        else:
            config = LlamaConfig(vocab_size=vocab, max_position_embeddings=context, hidden_size=dim, intermediate_size=ffn,
                                 num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv_heads, rms_norm_eps=1e-5,
                                 tie_word_embeddings=True, use_cache=False, attn_implementation="sdpa", bos_token_id=0, eos_token_id=0)
        self.model = (GPT2LMHeadModel if family == "gpt2" else LlamaForCausalLM)(config)

    def forward(self, ids):
        return self.model(ids).logits


class Theirs:
    """One way of doing PyTorch's step."""

    def __init__(self, kind, shape, parts, fused):
        self.name = "%s, batch in %d, %s AdamW" % (kind.__name__.lower(), parts, "fused" if fused else "foreach")
        *architecture, batch, length = shape
        torch.manual_seed(1)
        self.model = kind(*architecture, 1024 if shape[0] == "gpt2" else length)
        self.parts = torch.randint(shape[1], (batch, length + 1)).chunk(parts)
        self.targets = batch * length
        matrices, others = ([p for p in self.model.parameters() if p.dim() == n] for n in (2, 1))
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.95), eps=1e-8, fused=fused, foreach=not fused)

    def parameters(self):
        return sum(p.numel() for p in self.model.parameters())

    def step(self):
        begin, total = now(), 0.0
        self.optimizer.zero_grad(set_to_none=True)
        for ids in self.parts:
            loss = F.cross_entropy(self.model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten(), reduction="sum") / self.targets
            loss.backward()
            total += loss.item()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return now() - begin, total


class Ours:
    def __init__(self, program, shape, threads):
        command = [program, "0", str(threads), *map(str, shape), "0"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.words = self.process.stdout.readline().strip()
        if not self.words:
            raise SystemExit("%s did not start" % program)

    def step(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return tuple(map(float, self.process.stdout.readline().split()))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def now():
    """As bench.h: one thread is timed by the processor time it gets, more by the clock on the wall."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def pause():
    time.sleep(0.1)  # threads that wait for work spin a little


def timed(candidate, repeats=2):
    candidate.step()
    return min(candidate.step()[0] for _ in range(repeats))


def yardstick(shape):
    """PyTorch's fastest way, found one choice after another."""
    parts, best, least = [p for p in (1, 4) if shape[-2] % p == 0], None, float("inf")
    for kind in (Plain, Transformers):
        for cut in parts:
            candidate = Theirs(kind, shape, cut, True)
            seconds = timed(candidate)
            print("    %-45s %.3f s" % (candidate.name, seconds), flush=True)
            if seconds < least:
                best, least, choice = candidate, seconds, (kind, shape, cut, False)
    candidate = Theirs(*choice)
    seconds = timed(candidate)
    print("    %-45s %.3f s" % (candidate.name, seconds), flush=True)
    return candidate if seconds < least else best


def compare(name, program, threads, rounds):
    shape = SIZES[name]
    print("%s: %s" % (name, dict(zip("family vocab layers dim heads kv_heads ffn batch length".split(), shape))), flush=True)
    theirs, ours = yardstick(shape), Ours(program, shape, threads)
    print("    %s\n    beside %s" % (ours.words, theirs.name), flush=True)
    assert " %d parameters" % theirs.parameters() in ours.words, theirs.parameters()
    first = ours.step()[1]
    assert abs(first - Theirs(Plain, shape, 1, True).step()[1]) < 0.1, first
    theirs.step()
    pairs = []
    for _ in range(rounds):
        pause()
        a = ours.step()[0]
        pause()
        pairs.append((a, theirs.step()[0]))
    ours.close()
    ratios = sorted(b / a for a, b in pairs)
    ratio = statistics.median(ratios)
    print("    ours %.4f s, PyTorch %.4f s, ratio %.2f (%.2f to %.2f), medians of %d rounds" % (
        statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratio, ratios[rounds // 4],
        ratios[-1 - rounds // 4], rounds), flush=True)
    return ratio


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--sizes", default="7M")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--bar", type=float, default=1.0)
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    print("PyTorch %s, %d threads, %s" % (torch.__version__, torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()))
    ratios = {name: compare(name, o.program, o.threads, o.rounds) for name in o.sizes.split(",")}
    slow = [name for name, ratio in ratios.items() if ratio < o.bar]
    print("below %.2f: %s" % (o.bar, ", ".join(slow) or "none"))
    raise SystemExit(1 if slow else 0)


if __name__ == "__main__":
    main()
