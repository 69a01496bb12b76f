#!/usr/bin/env python3
"""The way out and back: ten more updates of the same model folder, adapter and JSONL, here and in TRL under torchrun, with fresh moments on both
sides; each loss within 1e-3.

    python tests/compare/scaling_out.py FINETUNE [FOLDER ROWS ADAPTER]      besides the small ones: a real model, its rows, an adapter trained here

What runs there is continue.py, cut out of docs/scaling-out.md: two processes on this machine, gloo. There: what was tuned here goes on. Back: what
the Trainer saved goes on. Needs torch, transformers, peft, trl, datasets.
"""
import json, os, random, re, subprocess, sys, tempfile

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

import reference
from chat import byte_level

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, BATCH, TOLERANCE = 10, 8, 1e-3
SMALL = dict(hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256)
CASES = [
    ("llama, LoRA", LlamaForCausalLM, LlamaConfig, dict(SMALL, tie_word_embeddings=True), ["--lora", "--rank", "8"], "cosine", 3e-3),
    ("llama, all weights", LlamaForCausalLM, LlamaConfig, SMALL, [], "cosine", 1e-3),
    ("qwen3, rsLoRA of q and v", Qwen3ForCausalLM, Qwen3Config, dict(SMALL, head_dim=16), ["--lora", "--rslora", "--targets", "q_proj,v_proj"], "linear", 3e-3),
    ("gpt2, DoRA", GPT2LMHeadModel, GPT2Config, dict(n_embd=48, n_layer=2, n_head=4, n_positions=256, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0), ["--lora", "--dora"], "constant", 3e-3),
]
verdict = reference.Verdict()


def continue_py(where):
    """The indented block under its heading."""
    page = open(os.path.join(HERE, "../../docs/scaling-out.md")).read().split("## continue.py")[1]
    code = re.search(r"\n\n((?:    .*\n|\n)+)", page).group(1)
    path = os.path.join(where, "continue.py")
    with open(path, "w") as f: f.write("".join(line[4:] if line.startswith("    ") else line for line in code.splitlines(True)))
    return path


def edited(script, lr, schedule, decay):
    """The same script with another rate, schedule and weight decay: a user would type them in."""
    text = open(script).read()
    for old, new in [("learning_rate=2e-4", "learning_rate=%g" % lr), ('lr_scheduler_type="cosine"', 'lr_scheduler_type="%s"' % schedule), ("weight_decay=0.0", "weight_decay=%g" % decay)]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    with open(script, "w") as f: f.write(text)


def there(script, model, rows, out, adapter):
    more = [adapter] if adapter else []
    env = dict(os.environ, OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", HF_DATASETS_CACHE=os.path.join(os.path.dirname(script), "cache"), TOKENIZERS_PARALLELISM="false")
    done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(random.randrange(20000, 40000)), script, model, rows, out, str(STEPS), *more],
                          capture_output=True, text=True, env=env)
    if done.returncode: raise SystemExit("torchrun: exit code %d\n%s" % (done.returncode, done.stderr[-4000:]))
    log = [x for x in json.load(open(os.path.join(out, "trainer_state.json")))["log_history"] if "loss" in x]
    return [x["loss"] for x in log], [x["learning_rate"] for x in log]


def here(model, rows, out, adapter, lr, schedule, decay, more=()):
    flags = ["--adapter", adapter] if adapter else []
    reference.run(sys.argv[1], "train", "--model", model, *flags, "--data", rows, "--out", out, "--order", "file", "--steps", STEPS, "--batch", BATCH, "--lr", lr,
                  "--schedule", schedule, "--warmup", 0, "--weight-decay", decay, "--valid", 0, "--eval-every", STEPS, *more)
    log = [x for x in map(json.loads, open(os.path.join(out, "log.jsonl"))) if "loss" in x]
    return [x["loss"] for x in log], [x["lr"] for x in log]


def compare(name, ours, theirs):
    apart = max(abs(a - b) for a, b in zip(ours[0], theirs[0]))
    verdict.check(name + ": losses", apart, TOLERANCE)
    verdict.check(name + ": number of losses", 0 if len(ours[0]) == len(theirs[0]) == STEPS else 1, 0)
    verdict.check(name + ": rates", max(abs(a - b) / max(ours[1]) for a, b in zip(ours[1], theirs[1])), 1e-6)
    print("%-42s %.1e   losses here %s" % (name, apart, " ".join("%.4f" % x for x in ours[0])))


def both_ways(name, where, script, model, rows, first, lr, schedule, decay):
    """first: the adapter that was trained here, or None: model is what was tuned here, whole."""
    folder = lambda x: os.path.join(where, x)
    adapter = lambda x: folder(x) if first else None
    base = lambda x: model if first else folder(x)
    ours, theirs = here(model, rows, folder("here"), first, lr, schedule, decay), there(script, model, rows, folder("there"), first)
    compare(name + ", there", ours, theirs)
    back = here(base("there"), rows, folder("back"), adapter("there"), lr, schedule, decay)
    compare(name + ", back", back, there(script, base("there"), rows, folder("there-again"), adapter("there")))
    # the first loss of the way back is that of weights which moved: it must not be the first loss of the way there
    verdict.check(name + ": something was learned there", 10 * TOLERANCE, abs(back[0][0] - theirs[0][0]))
    return ours


def chats(path, seed, split):
    """Conversations of unequal lengths, learned is the last answer. split: as prompt and completion, so that there may be answers before it."""
    r, words = random.Random(seed), "the cat dog sat ran to its house on a mat and number of 12 7 was not far it's naïve 中文".split()
    say = lambda role, n, more="": {"role": role, "content": more + " ".join(r.choices(words, k=r.randint(1, n)))}
    with open(path, "w") as f:
        for _ in range(STEPS * BATCH):
            turns = [say("system", 5)] if r.random() < 0.3 else []
            if split and r.random() < 0.5: turns += [say("user", 12), say("assistant", 3)]
            turns, answer = turns + [say("user", 12)], [say("assistant", 9, "it is ")]
            f.write(json.dumps({"prompt": turns, "completion": answer} if split else {"messages": turns + answer}) + "\n")


def small(case, i):
    name, kind, config, settings, tuning, schedule, lr = case
    with tempfile.TemporaryDirectory() as where:
        start, rows, first, jinja = (os.path.join(where, x) for x in ("start", "rows.jsonl", "first", "chatml.jinja"))
        tokenizer_folder = byte_level(os.path.join(where, "tokenizer"))
        chats(rows, i, i % 2)
        torch.manual_seed(i)
        kind(config(vocab_size=1024, bos_token_id=0, eos_token_id=3, pad_token_id=None, **settings)).save_pretrained(start)
        for file in os.listdir(tokenizer_folder): os.replace(os.path.join(tokenizer_folder, file), os.path.join(start, file))
        reference.run(sys.argv[1], "check", "data", rows, "--model", start, "--template", "chatml", "--template-out", jinja)
        os.replace(jinja, os.path.join(start, "chat_template.jinja"))
        here(start, rows, first, None, lr, schedule, 0.01, tuning)
        script = continue_py(where)
        edited(script, lr, "constant_with_warmup" if schedule == "constant" else schedule, 0.01)
        model, adapter = (start, first) if tuning else (first, None)
        if not tuning: verdict.check(name + ": the tuned folder has its template", 0 if os.path.exists(os.path.join(first, "chat_template.jinja")) else 1, 0)
        ours = both_ways(name, where, script, model, rows, adapter, lr, schedule, 0.01)
        # that the comparison can see where a side begins: from the base, the same run is another
        fresh = here(start, rows, os.path.join(where, "fresh"), None, lr, schedule, 0.01, tuning)
        verdict.check(name + ": beginning from the base is seen", 10 * TOLERANCE, max(abs(a - b) for a, b in zip(ours[0], fresh[0])))


def ours(where):
    """A model and tokenizer made here from nothing, tuned with an adapter."""
    text, rows, base, first, jinja = (os.path.join(where, x) for x in ("text.txt", "rows.jsonl", "base", "first", "chatml.jinja"))
    chats(rows, 99, False)
    with open(text, "w") as f: f.write("\n<|endoftext|>\n".join(" ".join(t["content"] for t in json.loads(line)["messages"]) for line in open(rows)))
    reference.run(sys.argv[1], "pretrain", "--data", text, "--out", base, "--layers", 2, "--dim", 48, "--heads", 4, "--ffn", 96, "--vocab", 400, "--ctx", 256, "--steps", 30, "--batch", 4, "--valid", 0.1)
    reference.run(sys.argv[1], "check", "data", rows, "--model", base, "--template", "zephyr", "--template-out", jinja)
    os.replace(jinja, os.path.join(base, "chat_template.jinja"))
    here(base, rows, first, None, 3e-3, "cosine", 0, ["--lora", "--rank", "4"])
    script = continue_py(where)
    edited(script, 3e-3, "cosine", 0)
    both_ways("ours from nothing, LoRA", where, script, base, rows, first, 3e-3, "cosine", 0)


def main():
    for i, case in enumerate(CASES): small(case, i)
    with tempfile.TemporaryDirectory() as where: ours(where)
    if len(sys.argv) > 4:
        with tempfile.TemporaryDirectory() as where:
            model, rows, adapter = map(os.path.abspath, sys.argv[2:5])
            both_ways(os.path.basename(model), where, continue_py(where), model, rows, adapter, 2e-4, "cosine", 0)
    verdict.end()


if __name__ == "__main__":
    main()
