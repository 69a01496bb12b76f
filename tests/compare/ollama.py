#!/usr/bin/env python3
"""The TEMPLATE of an exported Modelfile, rendered by Go's text/template, against transformers' apply_chat_template, byte for byte.

    ollama.py FINETUNE [MODEL_FOLDER …]      every template by name on a small model made here; besides, these folders' own

Needs Go, transformers.
"""
import json, os, re, shutil, subprocess, sys, tempfile
here = os.path.dirname(os.path.abspath(__file__))
sys.path.pop(0)  # a file there is called gguf.py
from transformers import AutoTokenizer

finetune = os.path.abspath(sys.argv[1])
folders = [os.path.abspath(p) for p in sys.argv[2:]]
where = tempfile.mkdtemp()
os.chdir(where)
passed = failed = 0


def check(good, what):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAILED:", what)


def run(*args, **kw):
    r = subprocess.run(args, capture_output=True, text=True, **kw)
    if r.returncode:
        raise SystemExit(f"{' '.join(args)}\n{r.stdout[-2000:]}\n{r.stderr[-2000:]}")
    return r.stdout


def m(*turns):
    return [{"role": "user" if i % 2 == 0 else "assistant", "content": t} for i, t in enumerate(turns)]


def system(text, *turns):
    return [{"role": "system", "content": text}] + m(*turns)


CONVERSATIONS = [m("Hello"), m("Hello", "Hi there.", "How are you?"), system("You are terse.", "Hello"), system("You are terse.", "a", "b", "c", "d", "e"),
                 m("It's 12:30\n\n  and  \tall is well."), m("naïve 中文 🙂 don’t", "{{ .Content }} {% x %}", "<b> & \"quotes\" 'here'"), m("a\nb\n\nc"),
                 system("Two\nlines.", "x", "y", "z"), m("1", "2", "3", "4", "5", "6", "7"), system("s", "only {one} {{brace}}")]

run("go", "build", "-o", "render", os.path.join(here, "ollama.go"), env={**os.environ, "GOCACHE": os.path.join(where, "cache"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"})
open("text.txt", "w").write("the cat sat on the mat and the dog ran. " * 60)
run(finetune, "pretrain", "--data", "text.txt", "--valid", "0", "--vocab", "270", "--layers", "1", "--dim", "32", "--heads", "2", "--ffn", "32", "--ctx", "32", "--batch", "2", "--steps", "1", "--out", "base")


def modelfile(folder, *flags):
    shutil.rmtree("ollama", ignore_errors=True)
    run(finetune, "export", "--model", folder, "--ollama", "ollama", *flags)
    text = open("ollama/Modelfile").read()
    return re.search(r'TEMPLATE """(.*?)"""\n', text, re.S).group(1), re.findall(r'^PARAMETER stop "(.*)"$', text, re.M)


def compare(what, folder, *flags):
    template, stops = modelfile(folder, *flags)
    check(stops, f"{what}: no stop")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if flags:  # the template that the file in ollama/ has
        import gguf
        tokenizer.chat_template = gguf.GGUFReader("ollama/model.gguf").fields["tokenizer.chat_template"].contents()
    there = json.loads(run("./render", input=json.dumps({"template": template, "conversations": CONVERSATIONS})))
    for c, found in zip(CONVERSATIONS, there):
        want = tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True)
        check(found == want, f"{what}: {json.dumps(c)[:80]}\n  go    {found!r}\n  jinja {want!r}")


for name in ("chatml", "llama-3", "zephyr", "alpaca", "plain"):
    compare(name, "base", "--template", name)
for folder in folders:
    compare(os.path.basename(folder), folder)
print(f"ollama.py: {passed} passed, {failed} failed")
shutil.rmtree(where)
sys.exit(failed > 0)
