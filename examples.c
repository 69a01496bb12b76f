#include "examples.h"

#include "overlap.h"

#include <assert.h>
#include <string.h>

struct Encoder {
    Tokenizer *tok;
    const Chat *chat;
    ChatTokens tokens;
    LossKind loss;
    size_t vocab;
    Rendering rendering;
    Ids ids, part;
    size_t *ends, end_room;           /* of ids, in the text of their run */
    TokenRow row;                     /* for examples_add */
    float *weights;
    size_t weight_room;
};

Encoder *encoder_new(Tokenizer *t, const Chat *chat, LossKind loss, size_t vocab) {
    Encoder *e = mem_new(1, sizeof *e);
    e->tok = t, e->chat = chat, e->loss = loss, e->vocab = vocab;
    if (t) e->tokens = chat_tokens(t);
    return e;
}

void encoder_free(Encoder *e) {
    if (!e) return;
    if (e->tok) chat_tokens_free(&e->tokens);
    rendering_free(&e->rendering), ids_free(&e->ids), ids_free(&e->part), token_row_free(&e->row);
    mem_free(e->ends), mem_free(e->weights), mem_free(e);
}

const ChatTokens *encoder_tokens(const Encoder *e) { return &e->tokens; }
const Buf *encoder_text(const Encoder *e) { return &e->rendering.text; }

void token_row_free(TokenRow *r) {
    mem_free(r->ids), mem_free(r->labels);
    *r = (TokenRow){0};
}

void token_row_push(TokenRow *r, int32_t id, bool learn) {
    if (r->count == r->room) {
        r->room = 2 * r->room + 64;
        r->ids = mem_resize(r->ids, r->room, sizeof *r->ids);
        r->labels = mem_resize(r->labels, r->room, sizeof *r->labels);
    }
    r->ids[r->count] = id;
    r->labels[r->count++] = learn ? id : -1;
}

/* ---- text to tokens ---- */

static void encode_text(Encoder *e, const char *text, size_t n, bool begins, Ids *ids) {
    ids->count = 0;
    if (begins) tokenizer_encode(e->tok, text, n, false, ids);
    else tokenizer_encode_on(e->tok, text, n, ids);
}

/* Where each token of the run ends in its text; false: tokens and text differ (a normaliser changed it). */
static bool find_ends(Encoder *e, const char *text, size_t n) {
    size_t at = 0;
    if (e->ids.count > e->end_room) {
        e->end_room = e->ids.count + e->ids.count / 2;
        e->ends = mem_resize(e->ends, e->end_room, sizeof *e->ends);
    }
    for (size_t i = 0; i < e->ids.count; i++) {
        size_t length;
        const char *bytes = tokenizer_piece_bytes(e->tok, e->ids.data[i], &length);
        bool same = length <= n - at && !memcmp(bytes, text + at, length);
        if (!same && length && *bytes == ' ') { /* the space that only tokens have in front */
            bytes++, length--;
            same = length <= n - at && !memcmp(bytes, text + at, length);
        }
        if (!same) return false;
        e->ends[i] = at += length;
    }
    return at == n;
}

/* The first token behind a border of learning at byte `at` of the run. A token that reaches over the border is learned: it holds the
 * first or the last of what is. */
static size_t border(Encoder *e, const char *text, size_t at, bool begins, bool learned_before, bool by_ends) {
    size_t i = 0;
    if (by_ends) {
        while (i < e->ids.count && (learned_before ? i == 0 || e->ends[i - 1] < at : e->ends[i] <= at)) i++;
        return i;
    }
    encode_text(e, text, at, begins, &e->part);
    while (i < e->part.count && i < e->ids.count && e->part.data[i] == e->ids.data[i]) i++;
    return learned_before && i < e->part.count && i < e->ids.count ? i + 1 : i;
}

/* Pieces [from, to) are one run of text. Completions begin where the tokens of prompt and completion part from those of the prompt
 * alone, which is what the model sees when it answers (and TRL's rule, too); answers in a conversation, by their place in the text. */
static void encode_run(Encoder *e, size_t from, size_t to, bool begins, bool completion, TokenRow *out) {
    const Piece *p = e->rendering.pieces;
    const char *text = e->rendering.text.data + p[from].at;
    size_t n = p[to - 1].at + p[to - 1].length - p[from].at, done = 0;
    encode_text(e, text, n, begins, &e->ids);
    bool by_ends = !completion && find_ends(e, text, n);
    for (size_t i = from; i < to; i++) {
        bool last = i + 1 == to;
        if (!last && p[i + 1].learn == p[i].learn) continue;
        size_t end = last ? e->ids.count : border(e, text, p[i].at + p[i].length - p[from].at, begins, p[i].learn, by_ends);
        for (; done < end; done++) token_row_push(out, e->ids.data[done], p[i].learn);
    }
}

/* -1: the piece is text, or this vocabulary has no such token and it is written as text. */
static int32_t control_id(const Encoder *e, const Piece *p) {
    char name[256];
    if (!p->control || p->length >= sizeof name) return -1;
    memcpy(name, e->rendering.text.data + p->at, p->length);
    name[p->length] = 0;
    return tokenizer_id(e->tok, name);
}

static void encode_pieces(Encoder *e, bool plain, bool completion, TokenRow *out) {
    const Rendering *r = &e->rendering;
    const char *end_token = chat_end(e->chat, &e->tokens);
    for (size_t i = 0; i < r->count;) {
        const Piece *p = &r->pieces[i];
        int32_t id = control_id(e, p);
        if (id >= 0) {
            token_row_push(out, id, p->learn);
            out->ends |= p->learn && p->length == strlen(end_token) && !memcmp(r->text.data + p->at, end_token, p->length);
            i++;
            continue;
        }
        size_t end = i + 1;
        while (end < r->count && control_id(e, &r->pieces[end]) < 0) end++;
        encode_run(e, i, end, !out->count || plain, completion, out); /* a tokenizer's own BOS stands in front of the beginning */
        i = end;
    }
}

static bool ends_with(const Message *m, const char *end) {
    size_t n = strlen(end);
    return n && m->length >= n && !memcmp(m->text + m->length - n, end, n);
}

static void encode_ids(const Encoder *e, const Rows *rows, const Row *row, TokenRow *out) {
    for (size_t i = 0; i < row->id_count; i++) {
        int32_t id = row->ids[i], label = row->labels[i];
        int32_t large = id > label ? id : label;
        if (e->vocab && (size_t)large >= e->vocab)
            bad_input("%s: line %zu: token id %d: the model's vocabulary has the ids 0 to %zu", rows_path(rows), row->line, (int)large,
                      e->vocab - 1);
        token_row_push(out, id, true);
        out->labels[i] = label;
    }
    out->ends = true;
}

void encode_row(Encoder *e, const Rows *rows, const Row *row, TokenRow *out) {
    out->count = 0, out->ends = false;
    if (row->kind == ROWS_IDS) {
        encode_ids(e, rows, row, out);
        return;
    }
    if (row->kind == ROWS_CHOICE)
        bad_input("%s: line %zu: rows of choices are scored, not learned: finetune eval --score choice", rows_path(rows), row->line);
    assert(e->tok && e->chat);
    bool plain = row->kind == ROWS_TEXT || row->strings;
    Message *last = row->count ? &row->messages[row->count - 1] : NULL;
    if (plain && last && last->role == ROLE_ASSISTANT && ends_with(last, e->tokens.eos))
        last->length -= strlen(e->tokens.eos); /* one is added */
    chat_render(e->chat, row->messages, row->count, row->completion, e->loss, false, &e->tokens, &e->rendering);
    encode_pieces(e, plain && !strcmp(chat_name(e->chat), "plain"), row->completion < row->count, out);
}

const Message *row_answer(const Row *row) {
    const Message *last = row->count ? &row->messages[row->count - 1] : NULL;
    return last && last->role == ROLE_ASSISTANT && row->kind != ROWS_TEXT ? last : NULL;
}

void encode_prompt(Encoder *e, const Rows *rows, const Row *row, TokenRow *out) {
    out->count = 0, out->ends = false;
    if (row->kind == ROWS_IDS) {
        encode_ids(e, rows, row, out);
        size_t start = 0;
        while (start < out->count && out->labels[start] < 0) start++;
        out->count = start;
    } else {
        assert(e->tok && e->chat);
        size_t count = row->count - (row_answer(row) != NULL);
        if (row->kind == ROWS_PROMPT && row->completion < row->count) count = row->completion;
        chat_render(e->chat, row->messages, count, count, LOSS_COMPLETIONS, row->kind != ROWS_TEXT, &e->tokens, &e->rendering);
        encode_pieces(e, row->kind == ROWS_TEXT || ((row->strings || row->kind == ROWS_CHOICE) && !strcmp(chat_name(e->chat), "plain")),
                      false, out);
    }
    for (size_t i = 0; i < out->count; i++) out->labels[i] = -1;
    if (!out->count)
        bad_input("%s: line %zu: the prompt is empty, and the tokenizer has no token that begins a text", rows_path(rows), row->line);
}

static void add_end(Config *c, int32_t id) {
    bool known = id < 0 || c->eos_count == MAX_EOS;
    for (int i = 0; i < c->eos_count; i++) known |= c->eos[i] == id;
    if (!known) c->eos[c->eos_count++] = id;
}

void end_at_answers(Model *m, const Chat *chat, const Tokenizer *t) {
    ChatTokens tokens = chat_tokens(t);
    const char *end = chat_end(chat, &tokens);
    if (!m->config.eos_count) add_end(&m->config, tokenizer_eos(t)); /* which a config that names none implies */
    if (*end) add_end(&m->config, tokenizer_id(t, end));
    chat_tokens_free(&tokens);
}

/* ---- rows longer than the context ---- */

bool token_row_cut(TokenRow *r, size_t ctx, int32_t bos) {
    size_t most = ctx + 1;
    if (r->count <= most) return false;
    size_t keep = r->count && r->ids[0] == bos, last = r->count;
    while (last && r->labels[last - 1] < 0) last--;           /* behind the last learned token */
    while (last && r->labels[last - 1] >= 0) last--;          /* the first of its part */
    size_t room = last > keep + 1 ? last - keep - 1 : 0;      /* one token stays in front of it, to predict from */
    size_t drop = r->count - most < room ? r->count - most : room;
    memmove(r->ids + keep, r->ids + keep + drop, (r->count - keep - drop) * sizeof *r->ids);
    memmove(r->labels + keep, r->labels + keep + drop, (r->count - keep - drop) * sizeof *r->labels);
    r->count -= drop;
    if (r->count <= most) return false;
    bool learned = false;
    for (size_t i = most; i < r->count; i++) learned |= r->labels[i] >= 0;
    r->count = most;
    r->ends &= !learned;
    return learned;
}

/* ---- the file ---- */

static size_t learned_in(const TokenRow *r) {
    size_t n = 0;
    for (size_t i = 1; i < r->count; i++) n += r->labels[i] >= 0;
    return n;
}

static void add_up(Examples *e) {
    e->longest = e->tokens = e->learned = 0;
    for (size_t i = 0; i < e->count; i++) {
        const Example *x = &e->items[i];
        if (x->tokens > e->longest) e->longest = x->tokens;
        e->tokens += x->tokens, e->learned += x->learned;
    }
}

Examples *examples_new(Rows *rows, Encoder *encoder) {
    Examples *e = mem_new(1, sizeof *e);
    Buf scratch = {0};
    TokenRow *t = &encoder->row;
    size_t n = rows_count(rows);
    e->rows = rows, e->encoder = encoder;
    e->items = mem_new(n, sizeof *e->items);
    e->groups = mem_new(n, sizeof *e->groups);
    for (size_t i = 0; i < n; i++) {
        const Row *row = rows_get(rows, i);
        e->groups[e->count] = row_group(row, &scratch);
        encode_row(encoder, rows, row, t);
        size_t learned = learned_in(t);
        if (t->count > UINT32_MAX) bad_input("%s: line %zu: the row has 2^32 tokens or more", rows_path(rows), row->line);
        if (learned) e->items[e->count++] = (Example){(uint32_t)i, (uint32_t)t->count - 1, (uint32_t)learned};
        else if (!e->empty++) e->empty_line = row->line;
    }
    buf_free(&scratch);
    if (!e->count)
        bad_input("%s: none of its %zu rows has a token to learn from: the first is at line %zu; rows need an answer (weight 0 mutes one), "
                  "or --loss all",
                  rows_path(rows), n, e->empty_line);
    add_up(e);
    return e;
}

void examples_free(Examples *e) {
    if (e) mem_free(e->items), mem_free(e->groups), mem_free(e);
}

static int32_t bos_of(const Examples *e) { return e->encoder->tok ? tokenizer_bos(e->encoder->tok) : -1; }

void examples_limit(Examples *e, size_t ctx, LongRows longer) {
    TokenRow *t = &e->encoder->row;
    size_t kept = 0;
    e->ctx = ctx;
    for (size_t i = 0; i < e->count; i++) {
        Example x = e->items[i];
        if (x.tokens > ctx) {
            if (!e->too_long++) e->too_long_line = rows_line(e->rows, x.row);
            if (longer == LONG_SKIP) continue;
            if (longer == LONG_CUT) {
                encode_row(e->encoder, e->rows, rows_get(e->rows, x.row), t);
                e->right_cut += token_row_cut(t, ctx, bos_of(e));
                x.tokens = (uint32_t)t->count - 1, x.learned = (uint32_t)learned_in(t);
            }
        }
        e->groups[kept] = e->groups[i];
        e->items[kept++] = x;
    }
    e->count = kept;
    if (longer == LONG_REFUSE && e->too_long)
        bad_input("%s: %zu rows have more tokens than the context of %zu takes, the first at line %zu: raise --ctx, shorten them, or let "
                  "them be cut (--long cut) or left out (--long skip)",
                  rows_path(e->rows), e->too_long, ctx, e->too_long_line);
    if (!e->count)
        bad_input("%s: every row is longer than the context of %zu: raise --ctx, or let them be cut (--long cut)", rows_path(e->rows), ctx);
    add_up(e);
}

size_t examples_length(const void *self, size_t example) { return ((const Examples *)self)->items[example].tokens; }

void examples_add(const void *self, size_t example, Batch *b) {
    const Examples *e = self;
    Encoder *c = e->encoder;
    TokenRow *t = &c->row;
    encode_row(c, e->rows, rows_get(e->rows, e->items[example].row), t);
    if (e->ctx) token_row_cut(t, e->ctx, bos_of(e));
    size_t n = t->count - 1;
    assert(n == e->items[example].tokens);
    if (n > c->weight_room) {
        c->weight_room = n + n / 2;
        c->weights = mem_resize(c->weights, c->weight_room, sizeof *c->weights);
    }
    for (size_t i = 0; i < n; i++) c->weights[i] = t->labels[i + 1] >= 0 ? 1.0f : 0.0f;
    batch_add(b, t->ids, t->labels + 1, c->weights, n);
}

/* ---- holding out ---- */

uint64_t row_group(const Row *row, Buf *scratch) {
    if (row->kind == ROWS_IDS) {
        size_t n = 0;
        while (n < row->id_count && row->labels[n] < 0) n++;
        if (n <= 1) n = row->id_count;
        return bytes_key(row->ids, n * sizeof *row->ids);
    }
    Buf text = {0};
    buf_str(&text, "");
    for (size_t i = 0; i < row->count; i++) {
        const Message *m = &row->messages[i];
        bool answer = i >= row->completion || (m->role == ROLE_ASSISTANT && row->kind != ROWS_TEXT && row->completion == row->count);
        if (answer && text.len) break;
        if (m->role == ROLE_SYSTEM) continue;
        buf_put(&text, m->text, m->length);
        buf_char(&text, ' ');
    }
    text_normal(text.data, text.len, scratch);
    buf_free(&text);
    return bytes_key(scratch->data, scratch->len);
}

typedef struct {
    size_t first, count;              /* of the sorted members */
} Group;

static int by_group(const void *a, const void *b, const void *context) {
    const uint64_t *groups = context, x = groups[*(const uint32_t *)a], y = groups[*(const uint32_t *)b];
    return x < y ? -1 : x > y;
}

static int by_first_member(const void *a, const void *b, const void *context) {
    const uint32_t *members = context, x = members[((const Group *)a)->first], y = members[((const Group *)b)->first];
    return x < y ? -1 : x > y;
}

/* Marks the examples of the groups that are held out; how many. */
static size_t choose_groups(const Examples *e, const uint32_t *members, Group *groups, size_t count, size_t wanted, uint32_t seed,
                            bool *held) {
    uint32_t *order = mem_new(count, sizeof *order);
    size_t taken = 0;
    rng_permute(order, (uint32_t)count, seed, RNG_SPLIT, 1);
    for (size_t i = 0; i < count && taken < wanted; i++) {
        Group *g = &groups[order[i]];
        if (taken + g->count > wanted) continue;
        for (size_t k = 0; k < g->count; k++) held[members[g->first + k]] = true;
        taken += g->count, g->count = 0;
    }
    while (taken < wanted) { /* only larger groups are left: the smallest that leaves half of all */
        Group *best = NULL;
        for (size_t i = 0; i < count; i++) {
            Group *g = &groups[order[i]];
            if (g->count && taken + g->count <= e->count / 2 && (!best || g->count < best->count)) best = g;
        }
        if (!best) break;
        for (size_t k = 0; k < best->count; k++) held[members[best->first + k]] = true;
        taken += best->count, best->count = 0;
    }
    mem_free(order);
    return taken;
}

static Examples *move_held(Examples *e, const bool *held, size_t count) {
    Examples *out = mem_new(1, sizeof *out);
    size_t kept = 0;
    *out = *e;
    out->items = mem_new(count, sizeof *out->items);
    out->groups = mem_new(count, sizeof *out->groups);
    out->count = 0;
    for (size_t i = 0; i < e->count; i++) {
        if (held[i]) out->groups[out->count] = e->groups[i], out->items[out->count++] = e->items[i];
        else e->groups[kept] = e->groups[i], e->items[kept++] = e->items[i];
    }
    e->count = kept;
    add_up(e), add_up(out);
    return out;
}

Examples *examples_hold_out(Examples *e, double fraction, size_t least, uint32_t seed) {
    size_t wanted = (size_t)((double)e->count * fraction + 0.5), count = 0;
    if (wanted < least) wanted = least;
    if (e->count < 2 * least || !wanted) return NULL;
    uint32_t *members = mem_new(e->count, sizeof *members);
    Group *groups = mem_new(e->count, sizeof *groups);
    bool *held = mem_new(e->count, sizeof *held);
    for (size_t i = 0; i < e->count; i++) members[i] = (uint32_t)i;
    sort_stable(members, e->count, sizeof *members, by_group, e->groups);
    for (size_t i = 0; i < e->count; i++) {
        if (!i || e->groups[members[i]] != e->groups[members[i - 1]]) groups[count++].first = i;
        groups[count - 1].count++;
    }
    sort_stable(groups, count, sizeof *groups, by_first_member, members);
    size_t taken = choose_groups(e, members, groups, count, wanted, seed, held);
    Examples *out = taken >= least ? move_held(e, held, taken) : NULL;
    mem_free(members), mem_free(groups), mem_free(held);
    return out;
}
