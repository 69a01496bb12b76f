"""Compares `finetune tokenizer` with Hugging Face tokenizers, transformers and sentencepiece on random texts.

    python tests/compare/tokenizer.py [--finetune ./finetune] [--material ../shared/material] [--seed 1] [--texts 400] [PATH…] [--refused PATH…]

Vocabularies: those in the material folder, and ones trained here with many settings; or, when there are PATHs, those: tokenizer.json files,
sentencepiece models, folders with a tokenizer.json, folders of such folders, OURS=THEIRS where another form (a GGUF) is read here. Texts: mixtures
of what goes wrong, among them the tokenizer's own special tokens, and long ones. Ids and decoded text must be equal, of these texts and of random ids, and merges that are learnt must be those of
a plain reference trainer. What stands behind --refused must be refused, with a reason. Exit 1 on any difference.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unicodedata

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

MARK = "\u2581"
NEWER = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2, LLAMA3 = NEWER % r"\p{N}", NEWER % r"\p{N}{1,3}"

BITS = ["'s", "'S", "'ll", "'LL", "'re", "'ve", "'m", "'d", "'t", "'\u017f", "'", "''s", "don't", "I'M", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n ", "\u0085",
        "\u00a0", "\u3000", "\u2028", "\u200b", "\u202f", "\x1c", "\x0b", "\x0c", "\x00", "\x7f", "a\u0301", "e\u0308\u0323", "\u00e9", "\u1e69", "\u212b", "\u0958", "\ufb01",
        "\uac00", "\u1100\u1161\u11a8", "\u0644\u0645", "\u0939\u093f", "\u4e2d\u6587", "\u65e5\u672c\u8a9e", "\u0416\u0443\u043a", "\u03b1\u03c9", "\U0001f999", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f1e9\U0001f1ea", "\u00bd", "\u00b2", "\u2167", "\u0664\u0665", "\u3007", "3", "12", "123", "1234", "3.14", "1,000", "!", "?!", "...", "--", "_", "__init__", "<s>", "</s>", "<unk>", "<0x0A>",
        "<|endoftext|>", "<|im_start|>", MARK, MARK + MARK, "$", "%", "{}", "/*", "\\n", "http://a.b/c?d=e", "Hello", "hello", " the", " world", "Once upon a time", "ZZ", "\ufffd", "\ue000", "\U0010ffff"]


# Letters and marks that NFC takes apart, puts together or sorts.
NEAR_NFC = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and (unicodedata.combining(chr(c)) or not unicodedata.is_normalized("NFD", chr(c)))]
NEAR_NFC = [c for c in NEAR_NFC if not 0xAC00 <= c < 0xD7A4] * 3 + [ord(c) for c in "aeiouAEnsqQ"] * 200 + list(range(0x300, 0x370)) * 30
NEAR_NFC += list(range(0x1100, 0x1200)) * 3 + list(range(0xAC00, 0xD7A4, 29)) + [0x9C7, 0x9BE, 0x9D7, 0xB47, 0xB3E, 0x1025, 0x102E] * 20


def random_text(rng, words):
    kind = rng.randrange(9)
    if kind == 0:
        return "".join(rng.choice(BITS) for _ in range(rng.randrange(1, 12)))
    if kind == 1:
        return " ".join(rng.choice(words) for _ in range(rng.randrange(0, 30)))
    if kind == 2:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(1, 40))).decode("latin-1")
    if kind == 3:
        return "".join(chr(rng.choice([rng.randrange(0x20, 0x250), rng.randrange(0x250, 0xD800), rng.randrange(0xE000, 0x110000)])) for _ in range(rng.randrange(1, 15)))
    if kind == 4:
        return "".join(rng.choice(" \n\t\r\u00a0\u3000a1'.") for _ in range(rng.randrange(1, 30)))
    if kind == 5:
        return rng.choice(BITS + words) * rng.randrange(1, 60)
    if kind == 6:
        return "".join(rng.choice(BITS + words + [" "] * 40) for _ in range(rng.randrange(1, 40)))
    if kind == 7:   # letters under marks
        return "".join(chr(rng.choice(NEAR_NFC)) for _ in range(rng.randrange(1, 20)))
    return "".join(chr(rng.randrange(0x20, 0x7F)) for _ in range(rng.randrange(1, 60)))


class Comparison:
    def __init__(self, options):
        self.o, self.rng, self.bad, self.cases = options, random.Random(options.seed), 0, 0
        self.dir = tempfile.TemporaryDirectory()
        corpus = open(os.path.join(options.material, "bpe-train", "corpus.en"), encoding="utf-8").read()
        self.corpus, self.words = corpus, sorted(set(corpus[:60000].split()))
        self.texts = [random_text(self.rng, self.words) for _ in range(options.texts)] + ["", " ", "a", corpus[:3000]] + BITS

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def run(self, *arguments):
        done = subprocess.run([self.o.finetune, "tokenizer", *arguments], capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return done.stdout.decode().split("\n")[:-1]

    def decoded(self, tokenizer, rows, keep):
        with open(self.path("ids"), "w") as f:
            f.writelines(json.dumps(ids) + "\n" for ids in rows)
        return [json.loads(line)["text"] for line in self.run("decode", "--tokenizer", tokenizer, "--jsonl", "--file", self.path("ids"), *["--special"] * keep)]

    def compare(self, name, tokenizer, encode, decode=None, special=False, keep=True):
        rows = self.path("rows.jsonl")
        with open(rows, "w", encoding="utf-8", newline="\n") as f:
            f.writelines(json.dumps({"text": t}) + "\n" for t in self.texts)
        try:
            mine = [json.loads(line) for line in self.run("encode", "--tokenizer", tokenizer, "--jsonl", "--file", rows, *["--special"] * special)]
            back = self.decoded(tokenizer, mine, keep)
        except RuntimeError as error:
            self.bad += 1
            print("FAILED", name, error)
            return
        bad = 0
        for text, ids, decoded in zip(self.texts, mine, back):
            expected = encode(text)
            again = decoded if decode is None else decode(expected)
            if ids != expected or decoded != again:
                bad += 1
                if bad <= 3:
                    print("DIFFERS", name, ascii(text[:80]), "\n  ours    ", ids[:40], ascii(decoded[:60]), "\n  expected", expected[:40], ascii(again[:60]))
        self.bad += bad
        self.cases += len(mine)
        print("%-60s %5d texts, %d differ" % (name, len(mine), bad))

    def compare_ids(self, name, tokenizer, vocabulary, decode, keep):
        """Ids as no text has them: characters cut in two, special tokens anywhere."""
        rows = [[self.rng.choice(vocabulary) for _ in range(self.rng.randrange(1, 30))] for _ in range(300)]
        try:
            mine = self.decoded(tokenizer, rows, keep)
        except RuntimeError as error:
            mine = [str(error)] * len(rows)
        bad = [(ids, a, decode(ids)) for ids, a in zip(rows, mine) if a != decode(ids)]
        for ids, a, b in bad[:3]:
            print("DIFFERS", name, ids, "\n  ours    ", ascii(a[:200]), "\n  expected", ascii(b[:200]))
        self.bad += len(bad)
        self.cases += len(rows)
        print("%-60s %5d rows of ids, %d differ" % (name, len(rows), len(bad)))

    def json(self, name, tokenizer, special=False, decode=True):
        path = self.path("case.json")
        tokenizer.save(path)
        self.file(name, path, special, decode)

    def file(self, name, path, special=False, decode=True, ours=None):
        tokenizer = Tokenizer.from_file(path)
        tokenizer.encode_special_tokens = not special
        tokenizer.no_padding(), tokenizer.no_truncation()
        self.compare(name, ours or path, lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
                     (lambda ids: tokenizer.decode(ids, skip_special_tokens=False)) if decode else None, special)

    def spm(self, name, path, model=None):
        s = sentencepiece.SentencePieceProcessor(model_file=model or path)
        self.compare(name, path, s.encode, s.decode, keep=False)


# ---- files that are named ----

def expand(path):
    if not os.path.isdir(path):
        return [path]
    if os.path.exists(os.path.join(path, "tokenizer.json")):
        return [os.path.join(path, "tokenizer.json")]
    inside = [os.path.join(path, name) for name in sorted(os.listdir(path))]
    return [f for p in inside if os.path.isdir(p) or ".model" in p or p.endswith("tokenizer.json") for f in expand(p)]


def with_own_tokens(c, own):
    own = own if len(own) <= 40 else c.rng.sample(own, 40)
    mixed = ["".join(c.rng.choice([c.rng.choice(own), c.rng.choice(c.words), " ", "\n", c.rng.choice(BITS)]) for _ in range(c.rng.randrange(1, 20))) for _ in range(200 if own else 0)]
    return c.texts + own + mixed + [c.corpus[:40000], "".join(mixed), " " * 3000, "a" * 5000, "\u00e9\u4e2d\U0001f999" * 700]


def named_cases(c, paths):
    plain = c.texts
    for path in [f for p in paths for f in expand(p)]:
        c.texts = plain
        ours, _, path = path.rpartition("=")
        ours = ours or path
        if path.endswith(".json"):
            t = Tokenizer.from_file(path)
            added = t.get_added_tokens_decoder()
            c.texts = with_own_tokens(c, [a.content for a in added.values()])
            for special in (False, True):
                c.file("%s, special %s" % (ours[-40:], special), path, special, ours=ours)
            vocabulary = sorted(t.get_vocab(True).values())
            for keep in (True, False):
                c.compare_ids("%s, keep special %s" % (ours[-36:], keep), ours, vocabulary + sorted(added) * (len(vocabulary) // max(1, 4 * len(added))),
                              lambda ids, keep=keep, t=t: t.decode(ids, skip_special_tokens=not keep), keep)
        else:
            model = c.path("tokenizer.model")   # some are called .model.v3
            shutil.copyfile(path, model)
            s = sentencepiece.SentencePieceProcessor(model_file=model)
            c.texts = with_own_tokens(c, [s.id_to_piece(i) for i in range(s.get_piece_size()) if s.is_control(i) or s.id_to_piece(i).startswith("[")])
            c.spm(path[-56:], model)
            c.compare_ids(path[-56:], model, list(range(s.get_piece_size())), s.decode, False)


def refused_cases(c, paths):
    for path in [f for p in paths for f in expand(p)]:
        c.cases += 1
        done = subprocess.run([c.o.finetune, "tokenizer", "encode", "--tokenizer", path, "a text"], capture_output=True, text=True)
        if done.returncode != 2 or path not in done.stderr:
            c.bad += 1
            print("NOT REFUSED", path, done.returncode, done.stdout[:100], done.stderr[:300])
        else:
            print("refused:", done.stderr.strip())


def byte_level_cases(c):
    c.file("gpt2", os.path.join(c.o.material, "tokenizers/gpt2/tokenizer.json"))
    c.file("gpt2, special", os.path.join(c.o.material, "tokenizers/gpt2/tokenizer.json"), True)
    for special in (False, True):
        c.file("qwen2.5", os.path.join(c.o.material, "tokenizers/qwen2.5/tokenizer.json"), special)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    splits = {"gpt2": pre_tokenizers.ByteLevel(add_prefix_space=False), "prefix space": pre_tokenizers.ByteLevel(add_prefix_space=True), "none": byte_level,
              "digits": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])}
    for name, regex in (("llama3", LLAMA3), ("qwen2", QWEN2)):
        splits[name] = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "isolated"), byte_level])
        splits[name + " removed"] = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(regex), "removed", invert=True), byte_level])
    for name, split in splits.items():
        for ignore_merges in (False, True):
            t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
            t.pre_tokenizer, t.decoder = split, decoders.ByteLevel()
            t.train_from_iterator([c.corpus] + c.texts * 3, trainers.BpeTrainer(vocab_size=1500, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
            t.add_special_tokens(["<|endoftext|>", "<s>"])
            t.add_tokens([AddedToken("Hello", normalized=False), AddedToken(" the", normalized=True), AddedToken("<|im_start|>", lstrip=True, rstrip=True), AddedToken("...", rstrip=True), AddedToken("<|im_start|>12")])
            if name == "qwen2":
                t.normalizer = normalizers.NFC()
            for special in (False, True):
                c.json("byte-level, split %s, ignore_merges %s, special %s" % (name, ignore_merges, special), t, special, decode=name != "prefix space")


def spm_settings():
    yield {}
    yield {"remove_extra_whitespaces": False}
    yield {"remove_extra_whitespaces": False, "add_dummy_prefix": False}
    yield {"add_dummy_prefix": False}
    yield {"byte_fallback": False}
    yield {"byte_fallback": False, "character_coverage": 0.98, "remove_extra_whitespaces": False}
    yield {"split_by_whitespace": False, "remove_extra_whitespaces": False, "max_sentencepiece_length": 24}
    yield {"user_defined_symbols": ["Hello", "12", "...", " \u4e2d"], "remove_extra_whitespaces": False}
    yield {"user_defined_symbols": ["<|im_start|>", "a"], "control_symbols": ["<|endoftext|>"]}
    yield {"split_digits": True, "allow_whitespace_only_pieces": True, "remove_extra_whitespaces": False}


def metaspace_cases(c):
    tok512 = os.path.join(c.o.material, "tokenizers/tok512/tok512.model")
    c.spm("tok512.model", tok512)
    c.spm("tok512.bin", os.path.join(c.o.material, "stories260K/tok512.bin"), tok512)
    with open(c.path("corpus"), "w", encoding="utf-8") as f:
        f.write(c.corpus + "\n".join(t.replace("\0", "") for t in c.texts))
    for settings in spm_settings():
        every = dict({"byte_fallback": True}, **settings)
        sentencepiece.SentencePieceTrainer.train(input=c.path("corpus"), model_prefix=c.path("spm"), vocab_size=1600 if every["byte_fallback"] else 1300, model_type="bpe",
                                                 normalization_rule_name="identity", hard_vocab_limit=False, minloglevel=2, **every)
        c.spm("sentencepiece %s" % (settings,), c.path("spm.model"))


def llama_json(c):
    """The forms in which LlamaTokenizerFast stands in tokenizer.json files."""
    s = sentencepiece.SentencePieceProcessor(model_file=os.path.join(c.o.material, "tokenizers/tok512/tok512.model"))
    vocab = {s.id_to_piece(i): i for i in range(s.get_piece_size())}
    scores = {s.id_to_piece(i): s.get_score(i) for i in range(259, s.get_piece_size())}
    merges = sorted(((-scores[p], p[:k], p[k:]) for p in scores for k in range(1, len(p)) if p[:k] in scores and p[k:] in scores))
    merges = [(a, b) for _, a, b in merges]
    prepend = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    fronts = {"prepend": (prepend, None), "replace": (normalizers.Sequence([normalizers.Replace(" ", MARK)]), None)}
    for scheme in ("always", "first", "never"):
        for split in (True, False):
            fronts["metaspace %s %s" % (scheme, split)] = (None, pre_tokenizers.Metaspace(MARK, scheme, split))
    for name, (normalizer, pre) in fronts.items():
        for byte_fallback, fuse in ((True, True), (False, True), (False, False)):
            t = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=fuse, byte_fallback=byte_fallback))
            if normalizer:
                t.normalizer = normalizer
            if pre:
                t.pre_tokenizer = pre
            t.decoder = decoders.Sequence([decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse()] + ([decoders.Strip(" ", 1, 0)] if name != "replace" else []))
            for normalized in (False, True):
                t.add_special_tokens([AddedToken(x, normalized=normalized, special=True) for x in ("<unk>", "<s>", "</s>")])
                t.add_tokens([AddedToken("Hello", lstrip=True, normalized=False), AddedToken("12 ", normalized=True)])
                for special in (False, True):
                    # tokenizers spells out a normalised special token as it was normalised ("▁<s>"); here it is "<s>"
                    c.json("llama %s, bytes %s, fuse %s, normalized %s, special %s" % (name, byte_fallback, fuse, normalized, special), t, special,
                           decode=not (normalized and name == "prepend"))
    t = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True))
    t.pre_tokenizer, t.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    c.json("llama metaspace decoder", t)


def naive_merges(text, vocab_size):
    """The definition: count, take the most frequent pair, of equals the greatest bytes; no pair twice: stop."""
    alphabet = {chr_: byte for byte, chr_ in byte_alphabet().items()}
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words = {}
    for document in text.split("<|endoftext|>"):
        for word, _ in split.pre_tokenize_str(document):
            key = tuple(bytes([alphabet[ch]]) for ch in word)
            words[key] = words.get(key, 0) + 1
    merges = []
    while 257 + len(merges) < vocab_size:
        counts = {}
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                counts[pair] = counts.get(pair, 0) + n
        if not counts or max(counts.values()) < 2:
            break
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        joined = {}
        for word, n in words.items():
            out, i = [], 0
            while i < len(word):
                if word[i:i + 2] == best:
                    out.append(best[0] + best[1])
                    i += 2
                else:
                    out.append(word[i])
                    i += 1
            joined[tuple(out)] = joined.get(tuple(out), 0) + n
        words = joined
    spell = byte_alphabet()
    return [" ".join("".join(spell[b] for b in half) for half in pair) for pair in merges]


def byte_alphabet():
    prints = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    others = [b for b in range(256) if b not in prints]
    return {**{b: chr(b) for b in prints}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def training_cases(c):
    texts = {"corpus.en, 500": (c.corpus, 500), "worked example": ("aaabdaaabac", 300), "nothing repeats": ("abc", 300)}
    for i in range(25):
        letters = c.rng.choice(["ab", "abc ", "a b\n", "01 x", "\u00e9\u4e2d a", "abcdefgh "])
        texts["random %d" % i] = ("".join(c.rng.choice(letters) for _ in range(c.rng.randrange(2, 1500))), c.rng.randrange(258, 400))
    texts["documents"] = ("one two<|endoftext|>two one<|endoftext|><|endoftext|>one one" * 3 + "<|endoftex", 300)
    texts["mixture"] = ("\n".join(c.texts), 900)
    for name, (text, size) in texts.items():
        with open(c.path("train.txt"), "w", encoding="utf-8", newline="") as f:
            f.write(text)
        out = c.path("trained")
        c.run("train", "--data", c.path("train.txt"), "--vocab", str(size), "--out", out, "--force")
        made, expected = json.load(open(os.path.join(out, "tokenizer.json"), encoding="utf-8"))["model"]["merges"], naive_merges(text, size)
        c.cases += 1
        if made != expected:
            c.bad += 1
            at = next((i for i, (a, b) in enumerate(zip(made, expected)) if a != b), min(len(made), len(expected)))
            print("DIFFERS training", name, "at merge", at, made[at:at + 2], expected[at:at + 2])
    print("%-60s %5d texts" % ("training against the definition", len(texts)))
    c.file("trained here, in tokenizers", os.path.join(out, "tokenizer.json"))
    c.file("trained here, in tokenizers, special", os.path.join(out, "tokenizer.json"), True)
    from transformers import AutoTokenizer
    t = AutoTokenizer.from_pretrained(out)
    c.compare("trained here, in transformers", out, lambda text: t.encode(text), lambda ids: t.decode(ids), True)
    if t.bos_token != "<|endoftext|>" or t.eos_token_id != 0:
        c.bad += 1
        print("DIFFERS transformers reads bos", t.bos_token, "eos", t.eos_token_id)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--finetune", default="./finetune")
    p.add_argument("--material", default="../shared/material")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--texts", type=int, default=400)
    p.add_argument("--only", default="")
    p.add_argument("paths", nargs="*")
    p.add_argument("--refused", nargs="+", default=[])
    comparison = Comparison(p.parse_args())
    named = comparison.o.paths or comparison.o.refused
    named_cases(comparison, comparison.o.paths)
    refused_cases(comparison, comparison.o.refused)
    for part in () if named else (training_cases, byte_level_cases, metaspace_cases, llama_json):
        if comparison.o.only in part.__name__:
            part(comparison)
    print("%d passed, %d failed" % (comparison.cases - comparison.bad, comparison.bad))
    sys.exit(1 if comparison.bad or not comparison.cases else 0)
