/* Examples: which tokens are learned, rows that are too long, nothing to learn, holding out by prompt group, overlap; check data. */
#include "../commands.h"
#include "../examples.h"
#include "../overlap.h"
#include "scratch.h"
#include "test.h"

/* A tokenizer of single bytes and a few merges with chatml's tokens; BOS in front when asked. */
static Tokenizer *make_tokenizer(bool bos) {
    static const char text[] = "assistant\nassistant\nassistant\nassistant\nassistant\nthe cat sat on the mat. user assistant system. the "
                               "cat and the mat and the user\n\n\n\n";
    BpeTrainer *b = bpe_trainer_new();
    bpe_trainer_add(b, text, sizeof text - 1);
    Tokenizer *t = bpe_train(b, 284);
    const char *dir = scratch(bos ? "tok-bos" : "tok");
    tokenizer_save(t, dir);
    size_t n = tokenizer_size(t);
    tokenizer_free(t);
    char *path = os_join(dir, "tokenizer.json");
    Buf json = os_read(path), out = {0};
    char *at = strstr(json.data, "\"added_tokens\": [") + strlen("\"added_tokens\": [");
    buf_put(&out, json.data, (size_t)(at - json.data));
    buf_format(&out, "{\"id\":%zu,\"content\":\"<|im_start|>\",\"special\":true},{\"id\":%zu,\"content\":\"<|im_end|>\",\"special\":true},",
               n, n + 1);
    buf_str(&out, at);
    os_write_file(path, out.data, out.len);
    if (!bos) {
        char *config = os_join(dir, "tokenizer_config.json");
        static const char no[] = "{\"bos_token\":\"<|endoftext|>\",\"eos_token\":\"<|endoftext|>\",\"add_bos_token\":false}";
        os_write_file(config, no, sizeof no - 1);
        mem_free(config);
    }
    mem_free(path), buf_free(&json), buf_free(&out);
    return tokenizer_load(dir);
}

/* Tokens with | between, learned ones in [ ]. */
static const char *shown(Tokenizer *t, const TokenRow *r) {
    static Buf b;
    b.len = 0;
    buf_str(&b, "");
    for (size_t i = 0; i < r->count; i++) {
        buf_format(&b, "%s%s", i ? "|" : "", r->labels[i] >= 0 ? "[" : "");
        tokenizer_decode(t, &r->ids[i], 1, true, &b);
        buf_str(&b, r->labels[i] >= 0 ? "]" : "");
    }
    return b.data;
}

typedef struct {
    Rows *rows;
    Tokenizer *tok;
    Chat *chat;
    Encoder *encoder;
} Case;

static Case open_case(const char *text, const char *template_name, bool bos, LossKind loss) {
    Case c = {
        .rows = rows_open(scratch_text("rows.jsonl", text), NULL, true), .tok = make_tokenizer(bos), .chat = chat_load(template_name)};
    c.encoder = encoder_new(c.tok, c.chat, loss, 0);
    return c;
}

static void close_case(Case *c) { encoder_free(c->encoder), chat_free(c->chat), tokenizer_free(c->tok), rows_free(c->rows); }

static void expect(const char *text, const char *template_name, bool bos, LossKind loss, const char *tokens) {
    Case c = open_case(text, template_name, bos, loss);
    TokenRow t = {0};
    encode_row(c.encoder, c.rows, rows_get(c.rows, 0), &t);
    const char *found = shown(c.tok, &t);
    CHECK(!strcmp(found, tokens), "%s gave\n%s", text, found);
    CHECK(t.ends, "%s: no end token", text);
    token_row_free(&t), close_case(&c);
}

static void test_masks(void) {
    expect("{\"prompt\":\"the\",\"completion\":\" cat\"}", "plain", true, LOSS_COMPLETIONS, "<|endoftext|>|the|[ cat]|[<|endoftext|>]");
    expect("{\"prompt\":\"the\",\"completion\":\" cat\"}", "plain", false, LOSS_COMPLETIONS, "the|[ cat]|[<|endoftext|>]");
    expect("{\"prompt\":\"the\",\"completion\":\" cat<|endoftext|>\"}", "plain", true, LOSS_COMPLETIONS,
           "<|endoftext|>|the|[ cat]|[<|endoftext|>]");
    expect("{\"prompt\":\"the \",\"completion\":\"cat\"}", "plain", false, LOSS_COMPLETIONS,
           "the|[ cat]|[<|endoftext|>]"); /* joined over the border: learned */
    expect("{\"prompt\":\"t\",\"completion\":\"he\"}", "plain", false, LOSS_ALL, "[the]|[<|endoftext|>]");
    expect("{\"text\":\"the cat\"}", "plain", true, LOSS_COMPLETIONS, "<|endoftext|>|[the]|[ cat]|[<|endoftext|>]");
    expect("{\"messages\":[{\"role\":\"user\",\"content\":\"the\"},{\"role\":\"assistant\",\"content\":\"cat\"}]}", "chatml", true,
           LOSS_COMPLETIONS, "<|im_start|>|user|\n|the|<|im_end|>|\n|<|im_start|>|assistant|\n|[cat]|[<|im_end|>]|[\n]");
    expect("{\"messages\":[{\"role\":\"user\",\"content\":\"<|im_end|>\"},{\"role\":\"assistant\",\"content\":\"\\n\\nthe\"}]}", "chatml",
           true, LOSS_COMPLETIONS,
           "<|im_start|>|user|\n|<|||i|m|_|e|n|d|||>|<|im_end|>|\n|<|im_start|>|assistant|[\n\n]|[\n]|[the]|[<|im_end|>]|[\n]");
    expect("{\"prompt\":[{\"role\":\"user\",\"content\":\"the\"}],\"completion\":[{\"role\":\"assistant\",\"content\":\"cat\"}]}", "chatml",
           true, LOSS_COMPLETIONS, "<|im_start|>|user|\n|the|<|im_end|>|\n|<|im_start|>|assistant|\n|[cat]|[<|im_end|>]|[\n]");
    expect("{\"prompt\":\"the\",\"completion\":\"cat\"}", "chatml", true, LOSS_COMPLETIONS,
           "<|im_start|>|user|\n|the|<|im_end|>|\n|<|im_start|>|assistant|\n|[cat]|[<|im_end|>]|[\n]");
    expect("{\"messages\":[{\"role\":\"assistant\",\"content\":\"the\",\"weight\":0},{\"role\":\"assistant\",\"content\":\"cat\"}]}",
           "plain", true, LOSS_COMPLETIONS, "<|endoftext|>|the|<|endoftext|>|[cat]|[<|endoftext|>]");
}

static void test_prompts(void) {
    Case c = open_case("{\"prompt\":\"the\",\"completion\":\" cat\"}\n{\"prompt\":\"the\",\"completion\":\"x\"}", "plain", true,
                       LOSS_COMPLETIONS);
    TokenRow t = {0};
    const Row *row = rows_get(c.rows, 0);
    CHECK(row_answer(row) && !memcmp(row_answer(row)->text, " cat", 4));
    encode_prompt(c.encoder, c.rows, row, &t);
    CHECK(!strcmp(shown(c.tok, &t), "<|endoftext|>|the"), "%s", shown(c.tok, &t));
    close_case(&c);
    c = open_case("{\"messages\":[{\"role\":\"user\",\"content\":\"the\"},{\"role\":\"assistant\",\"content\":\"cat\"}]}", "chatml", true,
                  LOSS_COMPLETIONS);
    encode_prompt(c.encoder, c.rows, rows_get(c.rows, 0), &t);
    CHECK(!strcmp(shown(c.tok, &t), "<|im_start|>|user|\n|the|<|im_end|>|\n|<|im_start|>|assistant|\n"), "%s", shown(c.tok, &t));
    token_row_free(&t), close_case(&c);
}

/* ---- too long ---- */

static void cut(const char *labels, size_t ctx, int32_t bos, const char *left, bool answer_cut) {
    TokenRow t = {.ids = mem_new(64, 4), .labels = mem_new(64, 4), .room = 64};
    for (const char *s = labels; *s; s++, t.count++)
        t.ids[t.count] = (int32_t)t.count, t.labels[t.count] = *s == 'x' ? (int32_t)t.count : -1;
    bool found = token_row_cut(&t, ctx, bos);
    char text[64];
    for (size_t i = 0; i < t.count; i++) text[i] = (char)('a' + t.ids[i]);
    text[t.count] = 0;
    CHECK(!strcmp(text, left) && found == answer_cut, "%s cut to %zu: %s %d", labels, ctx, text, found);
    token_row_free(&t);
}

static void test_cut(void) {
    cut("....xx", 5, -1, "abcdef", false);
    cut("....xx", 4, -1, "bcdef", false);
    cut("....xx", 4, 0, "acdef", false);
    cut("....xx", 3, 0, "adef", false);
    cut("....xx", 2, -1, "def", false);
    cut("....xx", 1, -1, "de", true);
    cut("....xx", 2, 0, "ade", true);
    cut("..xx..xx", 4, -1, "defgh", false);
    cut("..xx..xx..", 3, -1, "fghi", false);    /* what follows the last answer goes at last */
    cut("xxxxxx", 3, 0, "abcd", true);
}

/* A failure frees what was made since: so all of it is made here. */
static void limit(const char *text, size_t ctx, LongRows longer) {
    Case c = open_case(text, "plain", true, LOSS_COMPLETIONS);
    examples_limit(examples_new(c.rows, c.encoder), ctx, longer);
}

static void measure(const char *text, const char *template_name) {
    Case c = open_case(text, template_name, true, LOSS_COMPLETIONS);
    examples_new(c.rows, c.encoder);
}

static void measure_ids(const char *path, size_t vocab) {
    examples_new(rows_open(path, NULL, true), encoder_new(NULL, NULL, LOSS_COMPLETIONS, vocab));
}

static void test_limits(void) {
    static const char rows[] = "{\"prompt\":\"xxxxxxxxxx\",\"completion\":\"yy\"}\n{\"prompt\":\"x\",\"completion\":\"y\"}\n{\"prompt\":"
                               "\"x\",\"completion\":\"zzzzzzzz\"}\n";
    for (int kind = 0; kind < 2; kind++) {
        Case c = open_case(rows, "plain", true, LOSS_COMPLETIONS);
        Examples *e = examples_new(c.rows, c.encoder);
        CHECK(e->count == 3 && e->longest == 13 && e->learned == 3 + 2 + 9 && e->tokens == 13 + 3 + 10, "%zu %zu %zu %zu", e->count,
              e->longest, e->learned, e->tokens);
        examples_limit(e, 6, kind ? LONG_SKIP : LONG_CUT);
        CHECK(e->too_long == 2 && e->too_long_line == 1);
        if (kind) CHECK(e->count == 1 && e->longest == 3 && e->tokens == 3);
        else CHECK(e->count == 3 && e->longest == 6 && e->right_cut == 1 && e->learned == 3 + 2 + 5, "%zu %zu", e->right_cut, e->learned);
        Batch b = {0};
        for (size_t i = 0; i < e->count; i++) examples_add(e, i, &b);
        CHECK(b.tokens == e->tokens && b.segment_count == e->count && batch_weight(&b) == (double)e->learned);
        batch_free(&b), examples_free(e), close_case(&c);
    }
    CHECK_FAILS(2, "2 rows have more tokens than the context of 6 takes, the first at line 1", limit(rows, 6, LONG_REFUSE));
    CHECK_FAILS(2, "every row is longer", limit(rows, 2, LONG_SKIP));
}

static void test_batches(void) {
    Rows *rows = rows_open(scratch_text("ids.jsonl", "{\"input_ids\":[5,6,7,8],\"labels\":[-100,-100,9,8]}\n{\"input_ids\":[1,2],"
                                                     "\"labels\":[1,-100]}\n{\"input_ids\":[3,4]}"),
                           NULL, true);
    Encoder *encoder = encoder_new(NULL, NULL, LOSS_COMPLETIONS, 10);
    Examples *e = examples_new(rows, encoder);
    CHECK(e->count == 2 && e->empty == 1 && e->empty_line == 2, "a label of the first token is nobody's target");
    Batch b = {0};
    examples_add(e, 0, &b), examples_add(e, 1, &b);
    static const int32_t ids[] = {5, 6, 7, 3}, targets[] = {-1, 9, 8, 4};
    static const float weights[] = {0, 1, 1, 1};
    CHECK(b.tokens == 4 && !memcmp(b.ids, ids, sizeof ids) && !memcmp(b.targets, targets, sizeof targets) &&
          !memcmp(b.weights, weights, sizeof weights));
    batch_free(&b), examples_free(e), encoder_free(encoder);
    rows_free(rows);
    CHECK_FAILS(2, "line 1: token id 9: the model's vocabulary has the ids 0 to 8", measure_ids(scratch("ids.jsonl"), 9));
    CHECK_FAILS(2, "none of its 1 rows has a token to learn from",
                measure("{\"messages\":[{\"role\":\"user\",\"content\":\"the\"}]}", "chatml"));
    CHECK_FAILS(2, "scored, not learned", measure("{\"query\":\"q\",\"choices\":[\"a\",\"b\"],\"gold\":0}", "plain"));
}

/* ---- holding out ---- */

static Rows *many_rows(size_t n, size_t repeated) {
    Buf text = {0};
    for (size_t i = 0; i < n; i++) {
        buf_str(&text, "{\"prompt\":\"");
        size_t k = i % (n / repeated);
        if (i % 3 == 0) buf_format(&text, "What is %zu?", k);
        else if (i % 3 == 1) buf_format(&text, "what  is %zu", k);
        else buf_format(&text, "WHAT IS, %zu!?", k);
        buf_format(&text, "\",\"completion\":\"%zu\"}\n", i);
    }
    Rows *rows = rows_open(scratch_file("many.jsonl", text.data, text.len), NULL, true);
    buf_free(&text);
    return rows;
}

static void test_hold_out(void) {
    static const struct {
        size_t rows, repeated, held;
    } cases[] = {{39, 1, 0}, {40, 1, 20}, {300, 1, 30}, {300, 4, 32}, {400, 50, 50}, {100, 100, 0}, {60, 30, 30}};
    Tokenizer *tok = make_tokenizer(true);
    Chat *chat = chat_load("plain");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Rows *rows = many_rows(cases[i].rows, cases[i].repeated);
        Encoder *encoder = encoder_new(tok, chat, LOSS_COMPLETIONS, 0);
        Examples *e = examples_new(rows, encoder), *held = examples_hold_out(e, 0.1, 20, 1);
        CHECK((held ? held->count : 0) == cases[i].held, "%zu rows, %zu alike: %zu held out", cases[i].rows, cases[i].repeated,
              held ? held->count : 0);
        size_t straddling = 0, out_of_order = 0;
        for (size_t a = 0; held && a < held->count; a++) {
            for (size_t b = 0; b < e->count; b++) straddling += held->groups[a] == e->groups[b];
            out_of_order += a && held->items[a].row <= held->items[a - 1].row;
        }
        CHECK(!straddling && !out_of_order && e->count + (held ? held->count : 0) == cases[i].rows);
        if (held) CHECK(held->tokens + e->tokens > 0 && held->longest && e->longest);
        if (held && cases[i].rows == 300) {
            Examples *again = examples_new(rows, encoder), *same = examples_hold_out(again, 0.1, 20, 1),
                     *fresh = examples_new(rows, encoder), *other = examples_hold_out(fresh, 0.1, 20, 2);
            CHECK(!memcmp(held->items, same->items, held->count * sizeof *held->items), "the same seed holds the same rows out");
            CHECK(other->count != held->count || memcmp(held->items, other->items, held->count * sizeof *held->items), "another seed, "
                                                                                                                       "others");
            examples_free(again), examples_free(same), examples_free(fresh), examples_free(other);
        }
        examples_free(e), examples_free(held), encoder_free(encoder), rows_free(rows);
    }
    chat_free(chat), tokenizer_free(tok);
}

static void test_normal(void) {
    static const struct {
        const char *text, *form;
    } cases[] = {{"What is 2 + 2?", "what is 2 2"},
                 {"  a\t\n B ", "a b"},
                 {"don't \xE2\x80\x9Cgo\xE2\x80\x9D", "dont go"},
                 {"\xC3\x84pfel \xD0\x96", "\xC3\xA4pfel \xD0\xB6"},
                 {"?!", "?!"},
                 {"", ""},
                 {"e\xCC\x81", "e\xCC\x81"},
                 {"a . b", "a b"}};
    Buf b = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_normal(cases[i].text, strlen(cases[i].text), &b);
        CHECK(!strcmp(b.data, cases[i].form), "%s gave %s", cases[i].text, b.data);
    }
    buf_free(&b);
}

static bool overlap(const char *a, const char *b, size_t words, size_t least) {
    Buf x = {0}, y = {0};
    NgramSet s = {0};
    bool owner = false;
    text_normal(a, strlen(a), &x), text_normal(b, strlen(b), &y);
    ngrams_add(&s, &x, words, least, 0);
    bool any = ngrams_mark(&s, &y, words, least, &owner);
    CHECK(any == owner);
    ngrams_free(&s), buf_free(&x), buf_free(&y);
    return any;
}

static void test_ngrams(void) {
    CHECK(overlap("a b c d e", "x y B, c d z", 3, 3));
    CHECK(!overlap("a b c d e", "x b c z d e", 3, 3));
    CHECK(overlap("a b c", "a b c", 3, 3) && overlap("x a b c", "a b c", 3, 3) && overlap("a b c", "x a b c", 3, 3));
    CHECK(!overlap("a b", "a b", 3, 3) && overlap("a b", "a b", 3, 2) && !overlap("", "", 3, 3));
    Buf long_text = {0};
    NgramSet s = {0};
    for (int i = 0; i < 5000; i++) buf_format(&long_text, "w%d ", i);
    long_text.len--;
    ngrams_add(&s, &long_text, 5, 5, 0);
    CHECK(s.count == 4996, "%zu", s.count);
    ngrams_free(&s), buf_free(&long_text);
}

/* ---- what examples ask of a tokenizer ---- */

#define MARK "\xE2\x96\x81"
static Tokenizer *metaspace(const char *scheme, const char *post, const char *config) {
    char *text =
        str_format("{\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true}],\"normalizer\":null,\"pre_tokenizer\":{\"type\":"
                   "\"Metaspace\",\"replacement\":"
                   "\"" MARK "\",\"prepend_scheme\":\"%s\"},\"post_processor\":%s,\"decoder\":{\"type\":\"Metaspace\",\"replacement\":"
                             "\"" MARK "\",\"prepend_scheme\":\"%s\"},"
                   "\"model\":{\"type\":\"BPE\",\"vocab\":{\"<s>\":0,\"" MARK "\":1,\"a\":2,\"" MARK "a\":3},\"merges\":[\"" MARK " a\"]}}",
                   scheme, post, scheme);
    const char *dir = scratch("meta");
    os_make_dir(dir);
    scratch_text("meta/tokenizer.json", text);
    scratch_text("meta/tokenizer_config.json", config);
    mem_free(text);
    return tokenizer_load(dir);
}

static void test_tokenizer(void) {
    static const struct { const char *scheme; int32_t first, on; } cases[] = {{"first", 3, 2}, {"always", 3, 3}, {"never", 2, 2}};
    for (size_t i = 0; i < 3; i++) {
        Tokenizer *t = metaspace(cases[i].scheme, "null", "{\"bos_token\":\"<s>\"}");
        Ids ids = {0};
        tokenizer_encode(t, "a", 1, false, &ids);
        tokenizer_encode_on(t, "a", 1, &ids);
        CHECK(ids.count == 2 && ids.data[0] == cases[i].first && ids.data[1] == cases[i].on, "%s: %zu ids", cases[i].scheme, ids.count);
        ids_free(&ids), tokenizer_free(t);
    }
    static const char with[] = "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{"
                               "\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]}",
                      without[] = "{\"type\":\"ByteLevel\"}", both[] = "{\"type\":\"Sequence\",\"processors\":[";
    char *sequence = str_format("%s%s,%s]}", both, without, with);
    static const char bos[] = "{\"bos_token\":\"<s>\"}";
    const struct {
        const char *post, *config;
        bool adds;
    } files[] = {{"null", bos, true},
                 {"null", "{\"bos_token\":null}", false},
                 {with, bos, true},
                 {without, bos, false},
                 {sequence, bos, true},
                 {with, "{\"bos_token\":\"<s>\",\"add_bos_token\":false}", false},
                 {without, "{\"bos_token\":\"<s>\",\"add_bos_token\":true}", true}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        Tokenizer *t = metaspace("first", files[i].post, files[i].config);
        CHECK(tokenizer_adds_bos(t) == files[i].adds, "%s %s", files[i].post, files[i].config);
        tokenizer_free(t);
    }
    mem_free(sequence);
}

/* ---- check data ---- */

static int run(int argc, const char **argv) { return check_data(argc, (char **)argv); }

static void test_command(void) {
    tokenizer_free(make_tokenizer(true));
    const char *data = scratch_text("d.jsonl", "{\"prompt\":\"the\",\"completion\":\" cat\"}\n{\"prompt\":\"the\",\"completion\":\" "
                                               "cat\"}\n");
    const char *missing[] = {data}, *loss[] = {data, "--loss", "half", "--model", "x"},
               *whole[] = {data, "--model", scratch("tok-bos"), "--show", "0", "--json"};
    CHECK_FAILS(2, "name the model", run(1, missing));
    CHECK_FAILS(2, "completions or all", run(5, loss));
    CHECK_FAILS(2, "needs a FILE", run(0, NULL));
    CHECK(run(6, whole) == 0);
    out_flush();
}

TESTS({"masks", test_masks}, {"prompts", test_prompts}, {"cut", test_cut}, {"limits", test_limits}, {"batches", test_batches},
      {"hold out", test_hold_out}, {"normal form", test_normal}, {"n-grams", test_ngrams}, {"tokenizer", test_tokenizer},
      {"command", test_command})
