#!/usr/bin/env python3
"""Chat templates: what check data renders against transformers' apply_chat_template, byte for byte and id for id.

    python tests/compare/chat.py [--finetune ./finetune] [TEMPLATE.jinja …]

Ours: every template by name, with and without a system message, is written out as Jinja, given to transformers, and both render the
same conversations. Others': each published template among trl's is put into a model folder; it must be recognised and render the same,
or be refused. Needs transformers, tokenizers; trl for the published ones.
"""
import argparse, glob, json, os, re, subprocess, sys, tempfile

from tokenizers import Tokenizer, models, pre_tokenizers, decoders, processors, trainers, normalizers
from transformers import PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
TEXTS = ["Hello there, how are you?", "It's 12:30\n\n  and  \tall is well.", "naïve 中文 🙂 don’t", "a\nb", "\n leading and trailing \n"]

def conversations():
    user, answer = lambda t: {"role": "user", "content": t}, lambda t: {"role": "assistant", "content": t}
    system = {"role": "system", "content": "You are terse. 'Quote' \"it\"."}
    for a in TEXTS:
        for b in TEXTS[:3]:
            yield [user(a), answer(b)]
            yield [system, user(b), answer(a)]
    yield [user("1"), answer("2"), user("3"), answer("4"), user("5"), answer("")]
    yield [system, user("x\n\n### Input:\ny"), answer("z")]
    yield [user("x\n\n### Input:\ny"), answer("z")]
    thought = "<think>\nHm.\n\nWell.\n</think>\n\n"
    yield [user("1"), answer(thought + "2"), user("3"), answer(thought + "\n4\n")]
    yield [user("1"), answer("2"), answer("<think></think>3"), answer("x</think>y<think>z</think> w")]
    yield [user("a"), answer("<think>b</think>"), user("<tool_response>c</tool_response>"), answer(thought + "d"), answer("e")]
    yield [answer("I begin."), user("Do you?"), answer("Yes.")]

def byte_level(dir):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    t.train_from_iterator([open(__file__).read(), " ".join(TEXTS)], trainers.BpeTrainer(vocab_size=600, show_progress=False, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    return save(t, dir)

def metaspace(dir):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.train_from_iterator([w for w in open(__file__).read().split(" ")], trainers.BpeTrainer(vocab_size=900, show_progress=False, special_tokens=["<unk>"] + SPECIAL + ["<0x%02X>" % i for i in range(256)]))
    spec = json.loads(t.to_str()) # the pieces of bytes are ordinary ones
    spec["added_tokens"] = [x for x in spec["added_tokens"] if not x["content"].startswith("<0x")]
    t = Tokenizer.from_str(json.dumps(spec))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", t.token_to_id("<s>"))])
    return save(t, dir)

def save(t, dir):
    os.makedirs(dir)
    PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", clean_up_tokenization_spaces=False).save_pretrained(dir)
    return dir

class Compare:
    def __init__(self, finetune):
        self.finetune, self.passed, self.failed = finetune, 0, 0

    def check(self, ok, *what):
        self.passed, self.failed = self.passed + bool(ok), self.failed + (not ok)
        if not ok and self.failed < 20: print("FAILED:", *[str(x)[:200] for x in what])

    def rows(self, data, model, *flags):
        run = subprocess.run([self.finetune, "check", "data", data, "--model", model, "--json", "--show", "1000000", *flags], capture_output=True, text=True)
        lines = [json.loads(line) for line in run.stdout.split("\n") if line]
        return [x for x in lines if "input_ids" in x], run

    def template(self, name, model, data, chats, jinja, *flags):
        """jinja None: what check data writes out."""
        out = data + ".jinja"
        got, run = self.rows(data, model, "--template-out", out, *flags)
        if run.returncode: return self.check(False, name, run.stderr[-500:])
        tokenizer = PreTrainedTokenizerFast.from_pretrained(model)
        text = open(out, newline="").read() if jinja is None else jinja
        self.check(len(got) == len(chats), name, "rows", len(got), len(chats))
        for x, chat in zip(got, chats):
            # Llama 3.2's asks for the day; we say the one that it says without a clock
            more = {"chat_template": text, "tokenize": False, "date_string": "26 Jul 2024", "enable_thinking": "--no-thinking" not in flags}
            whole = tokenizer.apply_chat_template(chat, **more)
            prompt = tokenizer.apply_chat_template(chat[:-1], add_generation_prompt=True, **more) if len(chat) > 1 else None
            self.check(x["text"] == whole, name, "text", repr(x["text"]), repr(whole))
            self.check(prompt is None or x["prompt"] == prompt, name, "prompt", repr(x.get("prompt")), repr(prompt))
            ids = tokenizer(whole, add_special_tokens=False)["input_ids"]
            self.check(x["input_ids"] == ids, name, "ids", x["input_ids"], ids)

def main():
    args = argparse.ArgumentParser()
    args.add_argument("--finetune", default=os.path.join(HERE, "../../finetune"))
    args.add_argument("templates", nargs="*")
    o = args.parse_args()
    c = Compare(os.path.abspath(o.finetune))
    with tempfile.TemporaryDirectory() as tmp:
        chats = list(conversations())
        data = os.path.join(tmp, "rows.jsonl")
        with open(data, "w") as f:
            for chat in chats: f.write(json.dumps({"messages": chat}) + "\n")
        tokenizers = {"byte-level": byte_level(os.path.join(tmp, "byte")), "metaspace": metaspace(os.path.join(tmp, "meta"))}
        for kind, model in tokenizers.items():
            for template in ["chatml", "llama-3", "zephyr", "alpaca", "plain"]:
                for system in [None, "none", "Be kind.\nSay 'no' to \\ and \"x\"."]:
                    flags = ["--template", template] + (["--system", system] if system else [])
                    name = "%s %s system %r" % (kind, template, system)
                    c.template(name, model, data, chats, None, *flags)
                    # what was written is recognised again, and stays as it is
                    written = open(data + ".jinja", newline="").read()
                    open(os.path.join(tmp, "again.jinja"), "w", newline="").write(written)
                    c.template(name + " read back", model, data, chats, written, "--template", os.path.join(tmp, "again.jinja"))
                    c.check(open(data + ".jinja", newline="").read() == written, name, "changed")
        published(c, tmp, data, chats, tokenizers["byte-level"], o.templates)
    print("%d passed, %d failed" % (c.passed, c.failed))
    return c.failed or not c.passed

def published(c, tmp, data, chats, model, more):
    paths = list(more)
    try:
        import trl
        paths += sorted(glob.glob(os.path.join(os.path.dirname(trl.__file__), "chat_templates/*.jinja")))
    except ImportError:
        print("skipped: trl's templates")
    for path in paths:
        got, run = c.rows(data, model, "--template", path)
        text = open(path).read()
        if run.returncode == 0:
            print("recognised:", os.path.basename(path))
            c.template(os.path.basename(path), model, data, chats, text, "--template", path)
            # a system message of our own: written as a program that says it
            c.template(os.path.basename(path) + " with --system", model, data, chats, None, "--template", path, "--system", "Be 'kind'.\nDo \\.")
            if "enable_thinking" in re.sub(r"\{#.*?#\}", "", text, flags=re.S):  # not in a comment alone
                c.template(os.path.basename(path) + " without thinking", model, data, chats, text, "--template", path, "--no-thinking")
        else: c.check(run.returncode == 2 and "chat template is not one of those known" in run.stderr, path, run.stderr[-300:])

if __name__ == "__main__":
    sys.exit(main())
