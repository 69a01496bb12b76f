#include "suite.h"

#include "os.h"
#include "unicode.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { TOGETHER = 64, CACHE_BYTES = 1 << 28 };    /* questions answered at once, and what their keys and values may take */

Suite suite_open(const char *path, const char *map, const char *template_name, const char *system, const char *dir, Tokenizer *tok,
                 bool need_answers, const char **why) {
    Suite s = {.tok = tok};
    s.rows = rows_open(path, map, need_answers);
    RowKind kind = rows_kind(s.rows);
    s.chat = kind == ROWS_IDS ? NULL : chat_choose(template_name, system, dir, kind, rows_get(s.rows, 0)->strings, tok, why);
    s.encoder = encoder_new(tok, s.chat, LOSS_COMPLETIONS, tokenizer_size(tok));
    s.count = rows_count(s.rows);
    return s;
}

Suite suite_named(const SuiteFlags *f, const ModelFlags *m, Tokenizer *tok, bool need_answers, const char *stage) {
    static const char *const longs[] = {"cut", "refuse"};
    const char *why = "";
    bool folder = os_exists(f->data) && os_is_dir(f->data);
    char *test = folder ? rows_part(f->data, "test") : NULL;
    if (folder && !test) bad_input("%s: the folder holds no test.jsonl, test.json, test.csv or test.tsv", f->data);
    Suite s = suite_open(test ? test : f->data, f->map, f->template_name, f->system, template_folder(m), tok, need_answers, &why);
    s.refuse_long = cli_choice("--long", f->longer, longs, 2) == 1;
    fprintf(stderr, "%s: %zu rows of the kind %s", stage, s.count, rows_kind_name(rows_kind(s.rows)));
    if (s.chat && rows_kind(s.rows) != ROWS_CHOICE) fprintf(stderr, "; template %s (%s)", chat_name(s.chat), why);
    fputc('\n', stderr);
    mem_free(test);
    return s;
}

void suite_say_cut(const Suite *s, const char *stage) {
    if (s->too_long)
        fprintf(stderr, "%s: %zu prompts were longer than the context and lost their left (--long cut), the first on line %zu\n", stage,
                s->too_long, s->too_long_line);
}

void suite_free(Suite *s) {
    encoder_free(s->encoder), chat_free(s->chat), rows_free(s->rows);
    *s = (Suite){0};
}

size_t suite_number(const Suite *s, size_t item) { return s->items ? s->items[item] : item; }
const Row *suite_row(const Suite *s, size_t item) { return rows_get(s->rows, suite_number(s, item)); }

bool suite_right(const Suite *s, const Row *row, Buf *out) {
    const Message *answer = row->kind == ROWS_PROMPT && row->completion < row->count ? &row->messages[row->completion] : row_answer(row);
    out->len = 0;
    buf_str(out, "");
    if (row->kind == ROWS_IDS)
        for (size_t i = 0; i < row->id_count; i++)
            if (row->labels[i] >= 0) tokenizer_decode(s->tok, &row->labels[i], 1, false, out);
    if (row->kind == ROWS_IDS) return out->len > 0;
    if (!answer) return false;
    buf_put(out, answer->text, answer->length);
    const char *end = encoder_tokens(s->encoder)->eos; /* rows that spell their end token out: training takes it off, too */
    size_t n = strlen(end);
    if (row->strings && n && out->len >= n && !memcmp(out->data + out->len - n, end, n)) out->len -= n, out->data[out->len] = 0;
    return true;
}

void suite_prompt(const Suite *s, const Row *row, TokenRow *ids, Buf *text) {
    encode_prompt(s->encoder, s->rows, row, ids);
    text->len = 0;
    buf_str(text, "");
    if (row->kind == ROWS_IDS) tokenizer_decode(s->tok, ids->ids, ids->count, true, text);
    else buf_put(text, encoder_text(s->encoder)->data, encoder_text(s->encoder)->len);
}

/* ---- progress ---- */

Tick tick_begin(const char *what, size_t count) {
    double now = os_seconds();
    return (Tick){.what = what, .live = os_is_terminal(2), .count = count, .started = now, .last_shown = now};
}

void tick(Tick *t, size_t done, size_t tokens) {
    double now = os_seconds();
    bool last = done == t->count && t->done < done;
    t->tokens += tokens, t->done = done;
    if (!t->what || (!last && now - t->last_shown < (t->live ? 0.2 : 10)) || (last && !t->live && now - t->started < 10)) return;
    t->last_shown = now;
    fprintf(stderr, t->live ? "\r\033[K%s  %zu/%zu rows  %.0f tokens/s%s" : "%s  %zu/%zu rows  %.0f tokens/s%s", t->what, done, t->count,
            (double)t->tokens / (now - t->started + 1e-9), last || !t->live ? "\n" : "");
    fflush(stderr);
}

/* ---- answers ---- */

typedef struct {
    Suite *suite;
    Tick *tick;
    size_t first, count, ready;       /* items of the group; before it */
    Writing texts[TOGETHER];
    Buf prompts[TOGETHER];
    size_t lines[TOGETHER];
    bool cut[TOGETHER];
} Group;

static void show_tick(void *context, const char *bytes, size_t n) {
    Group *g = context;
    (void)bytes, (void)n;
    tick(g->tick, g->ready, 1);
}

/* A question with room for an answer of `tokens`: at least half of the context stays the question's. */
static bool cut_prompt(Suite *s, const Model *m, const Row *row, TokenRow *t, size_t tokens) {
    size_t ctx = m->config.ctx, room = tokens < ctx / 2 ? ctx + 1 - tokens : ctx - ctx / 2;
    if (t->count <= ctx) return false;
    if (s->refuse_long)
        bad_input("%s: line %zu: the prompt has %zu tokens, the model's context is %zu: shorten it, or let it be cut (--long cut)",
                  rows_path(s->rows), row->line, t->count, ctx);
    if (!s->too_long++) s->too_long_line = row->line;
    size_t keep = t->ids[0] == tokenizer_bos(s->tok) && room > 1, rest = room - keep;
    memmove(t->ids + keep, t->ids + t->count - rest, rest * sizeof *t->ids);
    t->count = room;
    return true;
}

static void prepare(Group *g, const Model *m, const GenerateOptions *o, size_t k, TokenRow *ids, Buf *right) {
    static const char *const line_end[] = {"\n"};
    Suite *s = g->suite;
    Writing *w = &g->texts[k];
    const Row *row = suite_row(s, g->first + k);
    *w = (Writing){.options = *o, .draws = (uint64_t)(g->first + k) << 32};
    w->options.tokens = s->tokens;
    w->options.show = show_tick, w->options.context = g;
    if (!s->tokens || s->line_ends) {
        Ids right_ids = {0};
        const char *first = suite_right(s, row, right) ? right->data : "";
        tokenizer_encode(s->tok, first, right->len, false, &right_ids);
        if (!s->tokens) w->options.tokens = right_ids.count + 8;
        bool one_line = !strchr(first + strspn(first, " \t\r\n"), '\n');
        if (s->line_ends && one_line && !o->stop_count) w->options.stops = line_end, w->options.stop_count = 1;
        ids_free(&right_ids);
    }
    g->prompts[k] = (Buf){0};
    suite_prompt(s, row, ids, &g->prompts[k]);
    g->lines[k] = row->line;
    g->cut[k] = cut_prompt(s, m, row, ids, w->options.tokens);
    for (size_t i = 0; i < ids->count; i++) ids_push(&w->ids, ids->ids[i]);
}

/* Of the group as many as the caches have room for, then the rest. */
static void write_group(Group *g, const Model *m) {
    for (size_t at = 0, n; at < g->count; at += n) {
        size_t longest = 1;
        for (n = 0; at + n < g->count; n++) {
            const Writing *w = &g->texts[at + n];
            size_t need = w->ids.count + w->options.tokens, more = need < m->config.ctx ? need : m->config.ctx;
            if (more < longest) more = longest;
            if (n && cache_bytes(m, more) * (n + 1) > CACHE_BYTES) break;
            longest = more;
        }
        Cache *cache = cache_new_many(m, longest, n);
        generate_many(m, g->suite->tok, cache, g->texts + at, n);
        cache_free(cache);
    }
}

size_t suite_answer_bytes(const Model *m, size_t longest, size_t rows) {
    enum { DECODED = 256 };           /* tokens of a pass: decode.c */
    size_t n = rows < TOGETHER ? rows : TOGETHER, each = cache_bytes(m, longest), all = each * n;
    if (all > CACHE_BYTES) all = each > CACHE_BYTES ? each : CACHE_BYTES;
    return all + pass_bytes(m, DECODED, false, false) + n * m->config.vocab * sizeof(real);
}

void suite_answer(Suite *s, const Model *m, const GenerateOptions *o, Tick *t, void (*take)(void *context, const Answer *a), void *context) {
    Group *g = mem_new(1, sizeof *g);
    TokenRow ids = {0};
    Buf right = {0};
    s->too_long = 0;
    g->suite = s, g->tick = t;
    for (size_t first = 0; first < s->count; first += g->count) {
        g->first = g->ready = first, g->count = s->count - first < TOGETHER ? s->count - first : TOGETHER;
        for (size_t k = 0; k < g->count; k++) prepare(g, m, o, k, &ids, &right);
        write_group(g, m);
        for (size_t k = 0; k < g->count; k++) {
            Writing *w = &g->texts[k];
            buf_str(&w->text, "");
            take(context, &(Answer){.item = first + k, .row = suite_number(s, first + k), .line = g->lines[k], .prompt = &g->prompts[k],
                                    .text = &w->text, .tokens = w->made, .reason = w->reason, .cut = g->cut[k]});
            ids_free(&w->ids), buf_free(&w->text), buf_free(&g->prompts[k]);
        }
        tick(t, first + g->count, 0);
    }
    token_row_free(&ids), buf_free(&right), mem_free(g);
}
