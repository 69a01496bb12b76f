/* check data: what a model would learn from a file of rows, before it does. */
#include "commands.h"
#include "examples.h"
#include "gguf.h"
#include "os.h"
#include "overlap.h"
#include "unicode.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    bool no_thinking, json;
    const char *model, *tokenizer, *map, *template_name, *template_out, *system, *loss;
    size_t ctx, show, words;
} Options;

typedef struct {
    const Options *o;
    const char *path;
    Rows *rows;
    Tokenizer *tok;
    Encoder *encoder;
    Examples *examples;               /* NULL: none of its rows can be learned from (choices) */
    uint64_t *prompts;                /* of every row: its prompt group; sorted */
} Data;

/* ---- one row, token by token ---- */

/* Line breaks and what is no text are spelled out. */
static void put_visible(Buf *out, const char *text, size_t n) {
    for (size_t at = 0; at < n;) {
        uint32_t c;
        size_t length = utf8_next((const unsigned char *)text + at, n - at, &c);
        if (c == '\n') buf_str(out, "\\n");
        else if (c == '\t') buf_str(out, "\\t");
        else if (c < ' ' || c == 0x7F || c == CHAR_INVALID) buf_format(out, "\\x%02X", (unsigned)(unsigned char)text[at]);
        else buf_put(out, text + at, length);
        at += length;
    }
}

/* On a terminal what is learned is green, else it stands in [ ]. */
static void show_tokens(const Data *d, const TokenRow *t) {
    bool colour = os_is_terminal(1);
    Buf line = {0}, text = {0};
    for (size_t i = 0; i < t->count; i++) {
        bool learned = i && t->labels[i] >= 0;
        text.len = 0;
        buf_str(&text, "");
        if (!d->tok) buf_format(&text, "%d", (int)t->ids[i]);
        else if (tokenizer_is_special(d->tok, t->ids[i])) tokenizer_decode(d->tok, &t->ids[i], 1, true, &text);
        else {
            size_t n;
            const char *bytes = tokenizer_piece_bytes(d->tok, t->ids[i], &n);
            buf_put(&text, bytes, n);
        }
        if (i) buf_str(&line, colour ? "\033[90m|\033[0m" : "|");
        buf_str(&line, colour ? (learned ? "\033[32m" : "\033[2m") : learned ? "[" : "");
        put_visible(&line, text.data, text.len);
        buf_str(&line, colour ? "\033[0m" : learned ? "]" : "");
    }
    buf_char(&line, '\n');
    out_bytes(line.data, line.len);
    buf_free(&line), buf_free(&text);
}

static void write_tokens(const Data *d, const Row *row, const TokenRow *t) {
    JsonWriter w = {0};
    TokenRow prompt = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "file", d->path), jw_uint(&w, "line", row->line);
    jw_array(&w, "input_ids");
    for (size_t i = 0; i < t->count; i++) jw_int(&w, NULL, t->ids[i]);
    jw_end_array(&w), jw_array(&w, "labels");
    for (size_t i = 0; i < t->count; i++) jw_int(&w, NULL, t->labels[i] < 0 ? -100 : t->labels[i]);
    jw_end_array(&w);
    if (row->kind != ROWS_IDS) jw_string_n(&w, "text", encoder_text(d->encoder)->data, encoder_text(d->encoder)->len);
    if (row_answer(row)) {
        encode_prompt(d->encoder, d->rows, row, &prompt);
        jw_array(&w, "prompt_ids");
        for (size_t i = 0; i < prompt.count; i++) jw_int(&w, NULL, prompt.ids[i]);
        jw_end_array(&w);
        jw_string_n(&w, "prompt", encoder_text(d->encoder)->data, encoder_text(d->encoder)->len);
    }
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    out_bytes(w.text.data, w.text.len);
    buf_free(&w.text), token_row_free(&prompt);
}

static void show_rows(const Data *d) {
    TokenRow t = {0};
    const Examples *e = d->examples;
    int32_t bos = d->tok ? tokenizer_bos(d->tok) : -1;
    for (size_t i = 0; i < d->o->show && i < e->count; i++) {
        const Row *row = rows_get(d->rows, e->items[i].row);
        encode_row(d->encoder, d->rows, row, &t);
        if (e->ctx) token_row_cut(&t, e->ctx, bos);
        if (d->o->json) write_tokens(d, row, &t);
        else {
            out_text("line %zu: %zu tokens, %u learned\n  ", row->line, t.count, (unsigned)e->items[i].learned);
            show_tokens(d, &t);
        }
    }
    token_row_free(&t);
}

/* ---- counts ---- */

static int by_value(const void *a, const void *b, const void *context) {
    (void)context;
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int by_number(const void *a, const void *b, const void *context) {
    (void)context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* How many of the sorted keys have an equal one before them. */
static size_t repeats(const uint64_t *keys, size_t count) {
    size_t n = 0;
    for (size_t i = 1; i < count; i++) n += keys[i] == keys[i - 1];
    return n;
}

static bool holds_special(Tokenizer *t, const Row *row) {
    bool found = false;
    for (size_t i = 0; i < row->count && !found; i++) {
        Ids text = {0}, special = {0};
        tokenizer_encode(t, row->messages[i].text, row->messages[i].length, false, &text);
        tokenizer_encode(t, row->messages[i].text, row->messages[i].length, true, &special);
        found = text.count != special.count || (text.count && memcmp(text.data, special.data, text.count * sizeof *text.data));
        ids_free(&text), ids_free(&special);
    }
    return found;
}

typedef struct {
    size_t duplicates, prompts, endless, endless_line, special, special_line, shortest, median, most;   /* most: 95 of 100 are no longer */
} Counts;

static Counts count_rows(const Data *d) {
    const Examples *e = d->examples;
    Counts c = {0};
    TokenRow t = {0};
    uint64_t *keys = mem_new(e->count, sizeof *keys);
    uint32_t *lengths = mem_new(e->count, sizeof *lengths);
    int32_t bos = d->tok ? tokenizer_bos(d->tok) : -1;
    for (size_t i = 0; i < e->count; i++) {
        const Row *row = rows_get(d->rows, e->items[i].row);
        size_t line = row->line;
        if (d->tok && row->kind != ROWS_IDS && holds_special(d->tok, row) && !c.special++) c.special_line = line;
        encode_row(d->encoder, d->rows, row, &t);
        if (e->ctx) token_row_cut(&t, e->ctx, bos);
        if (!t.ends && !c.endless++) c.endless_line = line;
        keys[i] = bytes_key(t.ids, t.count * sizeof *t.ids);
        lengths[i] = e->items[i].tokens;
    }
    sort_stable(keys, e->count, sizeof *keys, by_value, NULL);
    sort_stable(lengths, e->count, sizeof *lengths, by_number, NULL);
    c.duplicates = repeats(keys, e->count), c.prompts = repeats(d->prompts, rows_count(d->rows));
    c.shortest = lengths[0], c.median = lengths[e->count / 2], c.most = lengths[(e->count - 1) * 95 / 100];
    token_row_free(&t), mem_free(keys), mem_free(lengths);
    return c;
}

static void hint(const Data *d, size_t count, size_t line, const char *what, const char *remedy) {
    if (!count) return;
    fprintf(stderr, "%s: rows that %s: %zu", d->path, what, count);
    if (line) fprintf(stderr, " (%s line %zu)", count == 1 ? "at" : "the first at", line);
    fprintf(stderr, "; %s\n", remedy);
}

static void print_counts(const Data *d) {
    const Examples *e = d->examples;
    Counts c = count_rows(d);
    ResultLine r = result_begin(d->o->json);
    result_text(&r, "file", d->path), result_text(&r, "kind", rows_kind_name(rows_kind(d->rows)));
    result_count(&r, "rows", rows_count(d->rows)), result_count(&r, "examples", e->count), result_count(&r, "tokens", e->tokens);
    result_count(&r, "learned", e->learned), result_number(&r, "share", (double)e->learned / (double)e->tokens);
    result_count(&r, "shortest", c.shortest), result_count(&r, "median", c.median), result_count(&r, "p95", c.most),
        result_count(&r, "longest", e->longest);
    result_count(&r, "ctx", e->ctx);
    result_print(&r);
    r = result_begin(d->o->json);
    result_text(&r, "file", d->path), result_count(&r, "duplicates", c.duplicates), result_count(&r, "repeated_prompts", c.prompts);
    result_count(&r, "nothing_to_learn", e->empty), result_count(&r, "truncated", e->too_long),
        result_count(&r, "answers_cut", e->right_cut);
    result_count(&r, "no_end_token", c.endless), result_count(&r, "special_text", c.special);
    result_print(&r);
    hint(d, c.duplicates, 0, "repeat an earlier one, token by token", "leave them out, unless they are meant to weigh more");
    hint(d, e->empty, e->empty_line, "have nothing to learn", "they need an answer; training leaves them out");
    hint(d, e->too_long, e->too_long_line, "are longer than the context", "they lose the left of their prompts; a larger --ctx keeps it");
    hint(d, c.endless, c.endless_line, "have no end token to learn",
         "the model would not learn to stop; raise --ctx, or choose a --template whose end token is in the vocabulary");
    hint(d, c.special, c.special_line, "have the text of a special token in their contents",
         "it is taken as text; if it is meant as a token, use messages and a --template");
}

/* ---- files ---- */

static uint64_t *prompt_keys(Rows *rows) {
    Buf scratch = {0};
    uint64_t *keys = mem_new(rows_count(rows), sizeof *keys);
    for (size_t i = 0; i < rows_count(rows); i++) keys[i] = row_group(rows_get(rows, i), &scratch);
    sort_stable(keys, rows_count(rows), sizeof *keys, by_value, NULL);
    buf_free(&scratch);
    return keys;
}

static void check_file(Data *d, size_t vocab, size_t model_ctx) {
    const Options *o = d->o;
    const char *why;
    RowKind kind = rows_kind(d->rows);
    d->prompts = prompt_keys(d->rows);
    if (kind == ROWS_CHOICE) {
        ResultLine r = result_begin(o->json);
        result_text(&r, "file", d->path), result_text(&r, "kind", rows_kind_name(kind)), result_count(&r, "rows", rows_count(d->rows));
        result_count(&r, "repeated_prompts", repeats(d->prompts, rows_count(d->rows)));
        result_print(&r);
        return;
    }
    if (!d->tok && kind != ROWS_IDS) bad_input("%s: its rows are texts: name the model (or its tokenizer) with --model DIR", d->path);
    Chat *chat = NULL;
    if (kind != ROWS_IDS) {
        chat = chat_choose(o->template_name, o->system, o->model, kind, rows_get(d->rows, 0)->strings, d->tok, &why);
        fprintf(stderr, "%s: template %s: %s\n", d->path, chat_name(chat), why);
        if (o->no_thinking && !chat_set_thinking(chat, false)) bad_input("--no-thinking: the template %s knows no thinking: leave it out", chat_name(chat));
        char *missing = chat_missing(chat, d->tok);
        if (missing) fprintf(stderr, "%s: the vocabulary has no %s: they are written as text\n", d->path, missing);
        mem_free(missing);
        if (o->template_out) {
            Buf text = {0};
            chat_jinja(chat, tokenizer_adds_bos(d->tok), &text);
            os_write_file(o->template_out, text.data, text.len);
            buf_free(&text);
        }
    }
    d->encoder = encoder_new(kind == ROWS_IDS ? NULL : d->tok, chat, !strcmp(o->loss, "all") ? LOSS_ALL : LOSS_COMPLETIONS, vocab);
    d->examples = examples_new(d->rows, d->encoder);
    size_t ctx = o->ctx ? o->ctx : 2048;
    if (model_ctx && ctx > model_ctx) ctx = model_ctx;
    if (!o->ctx && d->examples->longest < ctx) ctx = d->examples->longest;
    examples_limit(d->examples, ctx, LONG_CUT);
    show_rows(d);
    print_counts(d);
}

/* ---- what two files have in common ---- */

static void row_words(const Row *row, Buf *text, Buf *normal) {
    text->len = 0;
    buf_str(text, "");
    for (size_t i = 0; i < row->id_count; i++) buf_format(text, "%d ", (int)row->ids[i]);
    for (size_t i = 0; i < row->count; i++) {
        if (row->messages[i].role == ROLE_SYSTEM) continue;
        buf_put(text, row->messages[i].text, row->messages[i].length);
        buf_char(text, ' ');
    }
    for (size_t i = 0; i < row->choice_count; i++) buf_format(text, "%s ", row->choices[i]);
    text_normal(text->data, text->len, normal);
}

static size_t common_prompts(const Data *a, const Data *b) {
    size_t n = 0, i = 0, rows = rows_count(a->rows);
    for (size_t k = 0; k < rows_count(b->rows); k++) {
        while (i < rows && a->prompts[i] < b->prompts[k]) i++;
        n += i < rows && a->prompts[i] == b->prompts[k];
    }
    return n;
}

/* The n-grams of the smaller file are kept, the larger one streams past them. */
static void overlap(const Data *a, const Data *b, size_t words) {
    bool swapped = rows_count(a->rows) < rows_count(b->rows);
    const Data *small = swapped ? a : b, *large = swapped ? b : a;
    size_t n = rows_count(small->rows), hits[2] = {0, 0}, line = 0;
    NgramSet set = {0};
    Buf text = {0}, normal = {0};
    bool *marked = mem_new(n, sizeof *marked);
    for (size_t i = 0; i < n; i++) {
        row_words(rows_get(small->rows, i), &text, &normal);
        ngrams_add(&set, &normal, words, words, (uint32_t)i);
    }
    for (size_t i = 0; i < rows_count(large->rows); i++) {
        row_words(rows_get(large->rows, i), &text, &normal);
        if (ngrams_mark(&set, &normal, words, words, marked) && !hits[1]++ && swapped) line = rows_line(large->rows, i);
    }
    for (size_t i = 0; i < n; i++)
        if (marked[i] && !hits[0]++ && !swapped) line = rows_line(small->rows, i);
    ResultLine r = result_begin(a->o->json);
    result_text(&r, "overlap", a->path), result_text(&r, "with", b->path);
    result_count(&r, "words", words), result_count(&r, "rows", hits[swapped]), result_count(&r, "of", rows_count(b->rows)),
        result_count(&r, "first_line", line);
    result_count(&r, "equal_prompts", common_prompts(a, b));
    result_print(&r);
    ngrams_free(&set), buf_free(&text), buf_free(&normal), mem_free(marked);
}

/* ---- the command ---- */

enum { MAX_FILES = 32 };

static size_t list_files(const Command *c, char **paths) {
    static const char *const parts[] = {"train", "valid", "test"};
    size_t count = 0;
    for (size_t i = 0; i < c->positional_count; i++) {
        const char *path = c->positional[i];
        size_t before = count;
        if (count + 3 > MAX_FILES) bad_input("check data: more than %d files", MAX_FILES);
        if (!os_exists(path) || !os_is_dir(path)) {
            paths[count++] = str_copy(path);
            continue;
        }
        for (size_t p = 0; p < 3; p++)
            if ((paths[count] = rows_part(path, parts[p])) != NULL) count++;
        if (count == before) bad_input("%s: the folder holds no train, valid or test with .jsonl, .json, .csv or .tsv", path);
    }
    return count;
}

static void check_files(const Options *o, char **paths, size_t count) {
    Data files[MAX_FILES];
    size_t vocab = 0, ctx = 0;
    Tokenizer *tok = NULL;
    if (o->model && (os_is_dir(o->model) || gguf_named(o->model))) {
        char *path = os_join(o->model, "config.json");
        if (gguf_named(o->model) || os_exists(path)) {
            Config config = config_load(o->model);
            vocab = config.vocab, ctx = config.ctx;
        }
        mem_free(path);
    }
    if (o->tokenizer || o->model) tok = tokenizer_load(o->tokenizer ? o->tokenizer : o->model);
    for (size_t i = 0; i < count; i++) {
        files[i] = (Data){.o = o, .path = paths[i], .tok = tok};
        files[i].rows = rows_open(paths[i], o->map, true);
        check_file(&files[i], vocab, ctx);
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++) overlap(&files[i], &files[k], o->words);
}

int check_data(int argc, char **argv) {
    Options o = {.loss = "completions", .show = 3, .words = NGRAM_WORDS};
    Flag flags[] = {
        {"--model", FLAG_MODEL, EXECUTION, &o.model, 0, 0, "DIR", "model folder: its tokenizer, chat template and context", false},
        {"--tokenizer", FLAG_TEXT, EXECUTION, &o.tokenizer, 0, 0, "PATH", "when the model folder holds none", false},
        {"--map", FLAG_TEXT, EXECUTION, &o.map, 0, 0, "OURS=THEIRS,…", "names of the columns: prompt=question,completion=answer", false},
        {"--template", FLAG_TEXT, EXECUTION, &o.template_name, 0, 0, "NAME|FILE", "chatml, llama-3, zephyr, alpaca, plain, or a Jinja file",
         false},
        {"--template-out", FLAG_TEXT, EXECUTION, &o.template_out, 0, 0, "FILE", "write the chat template here, in Jinja", false},
        {"--no-thinking", FLAG_SWITCH, EXECUTION, &o.no_thinking, 0, 0, NULL, "prompts end with an empty thought (Qwen3's enable_thinking=False)", false},
        {"--system", FLAG_TEXT, EXECUTION, &o.system, 0, 0, "TEXT|none", "system message of rows that have none", false},
        {"--loss", FLAG_TEXT, EXECUTION, &o.loss, 0, 0, "NAME", "what is learned: completions or all", false},
        {"--ctx", FLAG_SIZE, EXECUTION, &o.ctx, 0, 4194304, "N",
         "tokens of a row; 0: the longest row's, at most 2048 and the model's context", false},
        {"--show", FLAG_SIZE, EXECUTION, &o.show, 0, 1e9, "N", "rows shown token by token: what is learned is green, or in [ ]", false},
        {"--words", FLAG_SIZE, EXECUTION, &o.words, 2, 100, "N", "words in a row that make two texts overlap", false},
        {"--json", FLAG_SWITCH, EXECUTION, &o.json, 0, 0, NULL, "results as JSON; rows with input_ids and labels", false}};
    Command c = {.name = "check data",
                 .summary = "what a model would learn from rows, and what is wrong with them",
                 .usage = "FILE|DIR [FILE…] --model DIR",
                 .flags = flags,
                 .count = sizeof flags / sizeof *flags,
                 .example = "finetune check data rows.jsonl --model demo-out/base\nfinetune check data train.jsonl test.jsonl --model "
                            "demo-out/base --show 0"};
    char *paths[MAX_FILES];
    if (!cli_parse(&c, argc, argv, MAX_FILES)) return 0;
    if (!c.positional_count) bad_input("check data needs a FILE of rows; see finetune check data --help");
    if (strcmp(o.loss, "all") && strcmp(o.loss, "completions")) bad_input("--loss: unknown value \"%s\": completions or all", o.loss);
    check_files(&o, paths, list_files(&c, paths));
    return 0;
}
