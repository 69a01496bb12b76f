"""All families (GPT-2, Llama, Mistral, Qwen2, Qwen3) against PyTorch in float64: logits, loss and every gradient of random small configurations.

    python tests/compare/families.py FINETUNE [COUNT [SEED]]          needs: see reference.py

Each configuration is drawn from the seed, made by transformers, given weights that leave nothing near zero, and saved by
save_pretrained in one of the forms that folders have. Tolerances: loss 1e-6, logits max|d|/max|ref| 1e-5, each gradient 1e-5 of its norm;
of k_proj.bias 1e-4: what is added to every key shifts all scores of a row alike, so but for RoPE's turning its gradient cancels to nothing.
"""
import json
import os
import random
import sys
import tempfile

import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

import reference


def gpt2(rng):
    heads, width = rng.choice([1, 2, 3, 5]), rng.choice([5, 7, 8, 11, 16])
    ctx = rng.choice([5, 17, 33, 70])
    return GPT2Config(vocab_size=rng.choice([7, 50, 131, 258]), n_positions=ctx, n_embd=heads * width, n_layer=rng.choice([1, 2, 3]),
                      n_head=heads, n_inner=rng.choice([None, 13, 37, 64]), layer_norm_epsilon=rng.choice([1e-5, 1e-3, 1e-6]),
                      tie_word_embeddings=rng.random() < 0.5, bos_token_id=0, eos_token_id=0)


def rope(rng, ctx):
    parameters = {"rope_type": rng.choice(["default", "default", "linear", "llama3"]),
                  "rope_theta": rng.choice([10000.0, 500000.0, 100.0, 123456.789])}
    if parameters["rope_type"] != "default":
        parameters["factor"] = rng.choice([2.0, 8.0, 3.7])
    if parameters["rope_type"] == "llama3":
        parameters.update(low_freq_factor=1.0, high_freq_factor=rng.choice([4.0, 2.5]), original_max_position_embeddings=max(2, ctx // 2))
    return parameters


LLAMAS = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}


def llama(rng, family):
    kv, group = rng.choice([1, 2, 3]), rng.choice([1, 2, 3])
    width, ctx = rng.choice([4, 6, 8, 10, 16]), rng.choice([5, 17, 33, 70, 300])
    # A head dimension that is not dim / heads; and of four channels a norm can nearly vanish.
    own = rng.random() < 0.4 or kv * group * width < 8
    if family == "qwen3":
        width = max(width, 6)
    more = {"llama": lambda: {"attention_bias": rng.random() < 0.4, "mlp_bias": rng.random() < 0.4},
            "mistral": lambda: {"sliding_window": rng.choice([None, ctx])},
            "qwen2": lambda: {"use_sliding_window": False},
            "qwen3": lambda: {"attention_bias": rng.random() < 0.4}}[family]()
    if own or rng.random() < 0.5 or family == "qwen3":
        more["head_dim"] = width
    return LLAMAS[family](vocab_size=rng.choice([7, 50, 131, 258]), max_position_embeddings=ctx,
                          hidden_size=kv * group * (rng.choice([9, 12, 15]) if own else width),
                          num_hidden_layers=rng.choice([1, 2, 3]),
                          num_attention_heads=kv * group, num_key_value_heads=kv, intermediate_size=rng.choice([11, 21, 48, 67]),
                          rms_norm_eps=rng.choice([1e-5, 1e-6, 1e-3]), tie_word_embeddings=rng.random() < 0.5,
                          rope_parameters=rope(rng, ctx), bos_token_id=0, eos_token_id=0, pad_token_id=None, **more)


def fill(model, seed):
    """Nothing near zero and nothing that magnifies rounding: gains about 1, biases about 0.3, matrices that keep the size of what they
    multiply, logits of two units."""
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        if p.dim() == 1:
            size = 0.3
        elif "wte" in name or "embed_tokens" in name or "lm_head" in name:
            size = 2 / p.shape[1] ** 0.5
        elif "wpe" in name:
            size = 0.5
        else:                                           # GPT-2 stores [in, out]
            size = p.shape[0 if "transformer." in name else 1] ** -0.5
        p.data.copy_(torch.randn(p.shape, generator=generator) * size + (p.dim() == 1 and name.endswith("weight")))


def old_style(folder):
    """config.json as transformers 4 wrote it: rope_theta outside, rope_scaling beside it."""
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    parameters = config.pop("rope_parameters")
    config["rope_theta"] = parameters.pop("rope_theta")
    config["rope_scaling"] = None if parameters["rope_type"] == "default" else parameters
    with open(path, "w") as f:
        json.dump(config, f)


def describe(family, c, form):
    if family == "gpt2":
        words = "V%d T%d C%d L%d H%d F%s eps %g" % (
            c.vocab_size, c.n_positions, c.n_embd, c.n_layer, c.n_head, c.n_inner, c.layer_norm_epsilon)
    else:
        words = "V%d T%d C%d L%d H%d/%d x %s F%d eps %g theta %g %s" % (
            c.vocab_size, c.max_position_embeddings, c.hidden_size, c.num_hidden_layers, c.num_attention_heads, c.num_key_value_heads,
            getattr(c, "head_dim", None), c.intermediate_size, c.rms_norm_eps, c.rope_parameters["rope_theta"], c.rope_parameters["rope_type"])
        words += "".join(" " + key for key in ("attention_bias", "mlp_bias", "sliding_window") if getattr(c, key, None))
    return "%-7s %s %s %s" % (family, words, "tied" if c.tie_word_embeddings else "untied", form)


def make(rng, folder):
    """A saved model, and a word about it."""
    family = rng.choice(["gpt2", "gpt2", "llama", "llama", "mistral", "qwen2", "qwen3", "qwen3"])
    form = rng.choice(["f32", "f32", "bf16", "f16", "shards", "old", "bare"])
    config = gpt2(rng) if family == "gpt2" else llama(rng, family)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    fill(model, rng.randrange(1 << 31))
    if form in ("bf16", "f16"):
        model = model.to(torch.bfloat16 if form == "bf16" else torch.float16)
    bare = family == "gpt2" and form == "bare" and config.tie_word_embeddings     # without "transformer.", as the published gpt2
    (model.base_model if bare else model).save_pretrained(folder, **({"max_shard_size": "10KB"} if form == "shards" else {}))
    if family != "gpt2" and form == "old":
        old_style(folder)
    ctx = config.n_positions if family == "gpt2" else config.max_position_embeddings
    length = rng.choice([4, min(ctx, 19), min(ctx, 90)])   # of one token alone the gradients of q and k are nothing but rounding
    ids = torch.tensor([[rng.randrange(config.vocab_size) for _ in range(length)] for _ in range(rng.randrange(1, 4))])
    return describe(family, config, form), ids


def main():
    program, count, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 24, int(sys.argv[3]) if len(sys.argv) > 3 else 1
    torch.set_num_threads(1)
    verdict, worst = reference.Verdict(), [0.0, 0.0, 0.0]
    print("%9s %9s %9s  %s" % ("loss", "logits", "gradient", "configuration, and the gradient that differs most"))
    for i in range(count):
        with tempfile.TemporaryDirectory() as scratch:
            rng = random.Random("%d/%d" % (seed, i))
            folder = os.path.join(scratch, "model")
            words, ids = make(rng, folder)
            logits, loss, grads = reference.gradients(reference.load(folder), ids)
            our_logits, our_loss, our_grads = reference.ours(program, folder, ids, scratch)
        our_grads = {n if n in grads else "transformer." + n: g for n, g in our_grads.items()}
        assert set(grads) == set(our_grads) and our_logits.shape == logits.shape, (sorted(grads), sorted(our_grads))
        errors = {n: reference.relative(our_grads[n] - g, g) / (10 if n.endswith("k_proj.bias") else 1) for n, g in grads.items()}
        name = max(errors, key=errors.get)
        figures = abs(our_loss - loss), float((our_logits - logits).abs().max() / logits.abs().max()), errors[name]
        print("%9.1e %9.1e %9.1e  %2d: %s; ids %dx%d; %s" % (*figures, i, words, *ids.shape, name))
        for what, figure, tolerance in zip(("loss", "logits", name), figures, (1e-6, 1e-5, 1e-5)):
            verdict.check("configuration %d, %s" % (i, what), figure, tolerance)
        worst = [max(a, b) for a, b in zip(worst, figures)]
    print("%9.1e %9.1e %9.1e  worst of %d configurations" % (*worst, count))
    verdict.end()


if __name__ == "__main__":
    main()
