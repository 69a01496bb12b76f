/* tokenizer: train a vocabulary, turn text into ids and ids into text. */
#include "commands.h"
#include "dataset.h"
#include "os.h"
#include "tokenizer.h"

#include <stdio.h>
#include <string.h>

/* ---- train ---- */

static int train(int argc, char **argv) {
    const char *data = NULL, *out = NULL;
    size_t vocab = 0, bytes = 0;
    bool force = false, json = false;
    Flag flags[] = {{"--data", FLAG_TEXT, DEFINING, &data, 0, 0, "FILE|DIR", "text; documents are split at " END_OF_TEXT, false},
                    {"--vocab", FLAG_SIZE, DEFINING, &vocab, 257, 1 << 24, "N", "tokens to learn, with the 256 bytes and " END_OF_TEXT, false},
                    {"--out", FLAG_TEXT, EXECUTION, &out, 0, 0, "DIR", "folder to write", false},
                    {"--force", FLAG_SWITCH, EXECUTION, &force, 0, 0, NULL, "write into the folder when it exists", false},
                    {"--json", FLAG_SWITCH, EXECUTION, &json, 0, 0, NULL, "results as JSON", false}};
    Command c = {.name = "tokenizer train", .summary = "learn a byte-level BPE vocabulary from text", .usage = "--data FILE|DIR --vocab N --out DIR",
                 .flags = flags, .count = sizeof flags / sizeof *flags, .example = "finetune tokenizer train --data stories.txt --vocab 4096 --out tok"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    cli_need(&c, "--data"), cli_need(&c, "--vocab"), cli_need(&c, "--out");
    if (os_exists(out) && !force) bad_input("%s exists: name another --out, or add --force to write into it", out);
    Texts texts = texts_read(data);
    BpeTrainer *trainer = bpe_trainer_new();
    for (size_t i = 0; i < texts.file_count; i++) {
        bpe_trainer_add(trainer, texts.files[i].data, texts.files[i].len);
        bytes += texts.files[i].len;
    }
    Tokenizer *t = bpe_train(trainer, vocab);
    if (tokenizer_size(t) < vocab)
        fprintf(stderr, "%s: %zu tokens instead of %zu: after them no pair of tokens occurs twice; more text would give more\n", data,
            tokenizer_size(t), vocab);
    tokenizer_save(t, out);
    ResultLine r = result_begin(json);
    result_count(&r, "vocab", tokenizer_size(t)), result_count(&r, "bytes", bytes), result_text(&r, "out", out);
    result_print(&r);
    return 0;
}

/* ---- encode ---- */

static void print_ids(const Ids *ids) {
    Buf line = {0};
    for (size_t i = 0; i < ids->count; i++) {
        char digits[12];
        size_t at = sizeof digits;
        uint32_t id = (uint32_t)ids->data[i];
        do digits[--at] = (char)('0' + id % 10);
        while (id /= 10);
        buf_char(&line, i ? ',' : '[');
        buf_put(&line, digits + at, sizeof digits - at);
    }
    buf_str(&line, ids->count ? "]\n" : "[]\n");
    out_bytes(line.data, line.len);
    buf_free(&line);
}

static void encode_rows(Tokenizer *t, const Buf *rows, const char *name, bool special) {
    Ids ids = {0};
    size_t number = 1;
    for (size_t at = 0; at < rows->len; number++) {
        const char *row = rows->data + at, *end = memchr(row, '\n', rows->len - at);
        size_t n = end ? (size_t)(end - row) : rows->len - at;
        JsonDoc *doc = json_parse(row, n, name, number);
        const Json *text = json_need(doc, json_root(doc), "text", JSON_STRING);
        ids.count = 0;
        tokenizer_encode(t, text->string, text->length, special, &ids);
        print_ids(&ids);
        json_free(doc);
        at += n + 1;
    }
    ids_free(&ids);
}

static int encode(int argc, char **argv) {
    const char *path = NULL, *file = NULL;
    bool special = false, jsonl = false;
    Flag flags[] = {{"--tokenizer", FLAG_TEXT, EXECUTION, &path, 0, 0, "PATH", "folder, tokenizer.json, tokenizer.model or tokenizer.bin", false},
                    {"--special", FLAG_SWITCH, EXECUTION, &special, 0, 0, NULL, "the text of a special token becomes its id", false},
                    {"--file", FLAG_TEXT, EXECUTION, &file, 0, 0, "FILE", "take the text from a file; -: standard input", false},
                    {"--jsonl", FLAG_SWITCH, EXECUTION, &jsonl, 0, 0, NULL,
                        "the file has a JSON object with \"text\" on each line; a line of ids each", false}};
    Command c = {.name = "tokenizer encode", .summary = "text to token ids, a JSON array a line", .usage = "--tokenizer PATH [TEXT | --file FILE] [--jsonl]",
                 .flags = flags, .count = sizeof flags / sizeof *flags,
                 .example = "finetune tokenizer encode --tokenizer tok \"Once upon a time\"\n"
                            "finetune tokenizer encode --tokenizer tok --jsonl --file rows.jsonl"};
    if (!cli_parse(&c, argc, argv, 1)) return 0;
    cli_need(&c, "--tokenizer");
    if (file && c.positional_count) bad_input("tokenizer encode takes a TEXT or --file, not both");
    if (jsonl && c.positional_count) file = c.positional[0]; /* rows are always in a file */
    Tokenizer *t = tokenizer_load(path);
    bool given = !jsonl && c.positional_count;
    Buf text = {0};
    if (given) buf_str(&text, c.positional[0]);
    else text = os_read(file ? file : "-");
    if (jsonl) encode_rows(t, &text, file ? file : "standard input", special);
    else {
        Ids ids = {0};
        tokenizer_encode(t, text.data ? text.data : "", text.len, special, &ids);
        print_ids(&ids);
    }
    return 0;
}

/* ---- decode ---- */

/* Whole numbers between spaces, commas and brackets, so that what encode printed can be given back as it is. */
static void read_ids(const Tokenizer *t, const char *s, size_t n, const char *where, Ids *ids) {
    for (size_t i = 0; i < n;) {
        if (s[i] && strchr(" ,[]\t\r\n", s[i])) {
            i++;
            continue;
        }
        uint64_t id = 0;
        size_t start = i;
        for (; i < n && s[i] >= '0' && s[i] <= '9' && id < tokenizer_size(t); i++) id = 10 * id + (uint64_t)(s[i] - '0');
        if (i == start || id >= tokenizer_size(t)) {
            while (i < n && i < start + 20 && !(s[i] && strchr(" ,[]\t\r\n", s[i]))) i++;
            bad_input("%s: id number %zu is “%.*s”; the ids of this tokenizer are 0 to %zu", where, ids->count + 1, (int)(i - start),
                s + start, tokenizer_size(t) - 1);
        }
        ids_push(ids, (int32_t)id);
    }
}

static void decode_rows(const Tokenizer *t, const Buf *rows, const char *name, bool special) {
    size_t number = 1;
    for (size_t at = 0; at < rows->len; number++) {
        const char *row = rows->data + at, *end = memchr(row, '\n', rows->len - at);
        size_t n = end ? (size_t)(end - row) : rows->len - at;
        char *where = str_format("%s: line %zu", name, number);
        Ids ids = {0};
        Buf text = {0};
        JsonWriter w = {0};
        read_ids(t, row, n, where, &ids);
        tokenizer_decode(t, ids.data, ids.count, special, &text);
        jw_object(&w, NULL);
        jw_string_n(&w, "text", text.data ? text.data : "", text.len);
        jw_end_object(&w);
        buf_char(&w.text, '\n');
        out_bytes(w.text.data, w.text.len);
        ids_free(&ids), buf_free(&text), buf_free(&w.text), mem_free(where);
        at += n + 1;
    }
}

static int decode(int argc, char **argv) {
    const char *path = NULL, *file = NULL;
    bool special = false, jsonl = false;
    Flag flags[] = {{"--tokenizer", FLAG_TEXT, EXECUTION, &path, 0, 0, "PATH", "folder, tokenizer.json, tokenizer.model or tokenizer.bin", false},
                    {"--special", FLAG_SWITCH, EXECUTION, &special, 0, 0, NULL, "spell out special tokens, which are left out otherwise", false},
                    {"--file", FLAG_TEXT, EXECUTION, &file, 0, 0, "FILE", "take the ids from a file; -: standard input", false},
                    {"--jsonl", FLAG_SWITCH, EXECUTION, &jsonl, 0, 0, NULL,
                        "each line of the file is a text; print a JSON object with \"text\" for each", false}};
    Command c = {.name = "tokenizer decode", .summary = "token ids to text, byte for byte", .usage = "--tokenizer PATH [IDS… | --file FILE] [--jsonl]",
                 .flags = flags, .count = sizeof flags / sizeof *flags,
                 .example = "finetune tokenizer decode --tokenizer tok 305 1047 12\n"
                            "finetune tokenizer encode --tokenizer tok --file a.txt | finetune tokenizer decode --tokenizer tok"};
    if (!cli_parse(&c, argc, argv, 1 << 20)) return 0;
    cli_need(&c, "--tokenizer");
    if (c.positional_count && (file || jsonl)) bad_input("tokenizer decode takes IDS or --file, not both; --jsonl reads a file");
    Tokenizer *t = tokenizer_load(path);
    Ids ids = {0};
    Buf text = {0}, rows = {0};
    for (size_t i = 0; i < c.positional_count; i++) read_ids(t, c.positional[i], strlen(c.positional[i]), "tokenizer decode", &ids);
    const char *name = file && strcmp(file, "-") ? file : "standard input";
    if (!c.positional_count) rows = os_read(file ? file : "-");
    if (jsonl) {
        decode_rows(t, &rows, name, special);
        return 0;
    }
    read_ids(t, rows.data ? rows.data : "", rows.len, name, &ids);
    tokenizer_decode(t, ids.data, ids.count, special, &text);
    out_bytes(text.data ? text.data : "", text.len);
    return 0;
}

int cmd_tokenizer(int argc, char **argv) {
    static const struct { const char *name; int (*run)(int, char **); } verbs[] = {{"train", train}, {"encode", encode}, {"decode", decode}};
    for (size_t i = 0; argc && i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(argv[0], verbs[i].name)) return verbs[i].run(argc - 1, argv + 1);
    bool help = argc && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"));
    if (!help) bad_input("tokenizer what? finetune tokenizer train --data …, tokenizer encode --tokenizer …, tokenizer decode --tokenizer …");
    out_text("finetune tokenizer: vocabularies\n\n  train     learn a byte-level BPE from text\n  encode    text to ids\n  decode    ids to text\n\n"
             "example:\n  finetune tokenizer train --help\n");
    return 0;
}
