/* The files that tokenizers come in: what each form means, what is refused in which words, and what damage does. */
#include "../tokenizer_parts.h"
#include "../json.h"
#include "scratch.h"
#include "test.h"

static const char *ids_of(Tokenizer *t, const char *text, bool special) {
    static Buf ring[8];
    static int turn;
    Buf *b = &ring[turn++ % 8];
    *b = (Buf){0};
    Ids ids = {0};
    tokenizer_encode(t, text, strlen(text), special, &ids);
    buf_str(b, "");
    for (size_t i = 0; i < ids.count; i++) buf_format(b, "%s%d", i ? " " : "", (int)ids.data[i]);
    ids_free(&ids);
    return b->data;
}

static const char *there_and_back(Tokenizer *t, const char *text) {
    static Buf out;
    Ids ids = {0};
    out = (Buf){0};
    buf_str(&out, "");
    tokenizer_encode(t, text, strlen(text), false, &ids);
    tokenizer_decode(t, ids.data, ids.count, false, &out);
    ids_free(&ids);
    return out.data;
}

static bool same_bytes(const char *a, const char *b) {
    Buf x = os_read(a), y = os_read(b);
    bool same = x.len == y.len && !memcmp(x.data, y.data, x.len);
    buf_free(&x), buf_free(&y);
    return same;
}

/* ---- tokenizer.json ---- */

/* Ġ is a space. */
#define BYTE_LEVEL(split) \
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":9,\"content\":\"<e>\",\"special\":true},{\"id\":10,\"content\":\"<t>\",\"lstrip\":true," \
    "\"rstrip\":true}],\"normalizer\":null,\"pre_tokenizer\":" split ",\"post_processor\":null,\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"dropout\":null," \
    "\"unk_token\":null,\"vocab\":{\"a\":0,\"b\":1,\"\xC4\xA0\":2,\"ab\":3,\"\xC4\xA0" "a\":4,\"abab\":5,\"<\":6,\"e\":7,\">\":8},\"merges\":[\"a b\",\"\xC4\xA0 a\",[\"ab\",\"ab\"]]}}"
#define PLAIN "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"

static Tokenizer *from_json(const char *text) { return tokenizer_load(scratch_text("t.json", text)); }

static void test_byte_level_json(void) {
    static const struct {
        const char *text, *ids;
        bool special;
    } cases[] = {{"ab a", "3 4", false}, {"ababab", "5 3", false}, {" ab", "2 3", false}, {"a<e>", "0 6 7 8", false}, {"a<e>", "0 9", true},
                 {"a \n<t>\t b", "0 10 1", false}, {"a\xE3\x80\x80 \xC2\xA0<t>\xE3\x80\x80" "b", "0 10 1", false}, {"<t><e><t>", "10 9 10", true}, {"<t><e>", "10 6 7 8", false}};
    Tokenizer *t = from_json(BYTE_LEVEL(PLAIN));
    CHECK(tokenizer_size(t) == 11 && tokenizer_is_special(t, 9) && !tokenizer_is_special(t, 10) && tokenizer_bos(t) == -1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *ids = ids_of(t, cases[i].text, cases[i].special);
        CHECK(!strcmp(ids, cases[i].ids), "%s gave %s", cases[i].text, ids);
    }
    /* As in transformers: a byte without a piece is left out, and its neighbours meet. */
    static const char *const without[][2] = {{"x", ""}, {"xab", "3"}, {"axb", "3"}, {"abxab", "5"}, {"x ay", "4"}, {"\xF1\x90", ""}};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        CHECK(!strcmp(ids_of(t, without[i][0], false), without[i][1]), "%s gave %s", without[i][0], ids_of(t, without[i][0], false));
    size_t n;
    CHECK(!memcmp(tokenizer_piece_bytes(t, 4, &n), " a", 2) && n == 2);
    tokenizer_free(t);
    t = from_json(BYTE_LEVEL("{\"type\":\"ByteLevel\",\"add_prefix_space\":true}"));
    CHECK(!strcmp(ids_of(t, "a a", false), "4 4"));
    tokenizer_free(t);
    t = from_json(BYTE_LEVEL("{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"));
    CHECK(!strcmp(ids_of(t, "a a", false), "0 4"));
    tokenizer_free(t);
}

#define METASPACE(normalizer, pre, decoder) \
    "{\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true},{\"id\":1,\"content\":\"<s>\",\"special\":true,\"normalized\":false}],\"normalizer\":" normalizer \
    ",\"pre_tokenizer\":" pre ",\"decoder\":" decoder ",\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true,\"vocab\":{\"<unk>\":0,\"<s>\":1," \
    "\"<0x0A>\":2,\"\xE2\x96\x81\":3,\"a\":4,\"b\":5,\"\xE2\x96\x81" "a\":6,\"ab\":7,\"\xE2\x96\x81\xE2\x96\x81\":8},\"merges\":[\"\xE2\x96\x81 \xE2\x96\x81\",\"\xE2\x96\x81 a\",\"a b\"]}}"
#define PREPEND "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\xE2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xE2\x96\x81\"}]}"
#define FIRST(split) "{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"first\",\"split\":" split "}"
#define LLAMA_DECODER "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xE2\x96\x81\"},\"content\":\" \"},{\"type\":\"ByteFallback\"}," \
    "{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}"

static void test_metaspace_json(void) {
    static const struct {
        const char *text, *prepend, *whole, *cut;
    } cases[] = {{"a", "6", "6", "6"},       {" a", "8 4", "6", "6"},        {"a b", "6 3 5", "6 3 5", "6 3 5"}, {"a  ab", "6 8 7", "6 8 7", "6 3 6 5"},
                 {"b\n", "3 5 2", "3 5 2", "3 5 2"}, {"xyb", "3 0 5", "3 0 5", "3 0 5"}, {"x\nyb", "3 0 2 0 5", "3 0 2 0 5", "3 0 2 0 5"}, {"", "", "", ""}};
    Tokenizer *prepend = from_json(METASPACE(PREPEND, "null", LLAMA_DECODER)), *whole = from_json(METASPACE("null", FIRST("false"), LLAMA_DECODER)),
              *cut = from_json(METASPACE("null", FIRST("true"), LLAMA_DECODER));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *text = cases[i].text;
        CHECK(!strcmp(ids_of(prepend, text, false), cases[i].prepend), "%s gave %s", text, ids_of(prepend, text, false));
        CHECK(!strcmp(ids_of(whole, text, false), cases[i].whole), "%s gave %s", text, ids_of(whole, text, false));
        CHECK(!strcmp(ids_of(cut, text, false), cases[i].cut), "%s gave %s", text, ids_of(cut, text, false));
    }
    CHECK(!strcmp(ids_of(prepend, "a<s>a", true), "6 1 6") && !strcmp(ids_of(whole, "a<s>a", true), "6 1 4"), "in front of each stretch, or of the first");
    CHECK(!strcmp(there_and_back(prepend, " a  ab\n"), " a  ab\n"));
    CHECK(tokenizer_unk(prepend) == 0 && tokenizer_bos(prepend) == 1 && tokenizer_eos(prepend) == -1);
    tokenizer_free(prepend), tokenizer_free(whole), tokenizer_free(cut);
}

/* The fixture with one passage replaced by another. */
static const char *edited(const char *text, const char *from, const char *to) {
    static Buf out;
    const char *at = strstr(text, from);
    if (!at) work_failed("the fixture has no %s", from);
    out = (Buf){0};
    buf_put(&out, text, (size_t)(at - text));
    buf_str(&out, to);
    buf_str(&out, at + strlen(from));
    return out.data;
}

static void refused_json(const char *words, const char *json) { CHECK_FAILS(2, words, from_json(json)); }

static void test_refused_json(void) {
    static const struct {
        const char *from, *to, *words;
    } byte_level[] = {
        {"\"BPE\"", "\"Unigram\"", "model type Unigram is not known"},
        {"\"dropout\":null", "\"dropout\":0.1", "BPE dropout above 0"},
        {"\"dropout\":null", "\"end_of_word_suffix\":\"</w>\"", "end_of_word_suffix </w> is not known"},
        {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Lowercase\"}", "normalizer Lowercase is not known"},
        {PLAIN, "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x+\"},\"behavior\":\"Isolated\",\"invert\":false}," PLAIN "]}",
         "the split pattern x+ is not known"},
        {PLAIN, "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Punctuation\"}," PLAIN "]}", "pre_tokenizer Punctuation is not known"},
        {PLAIN, "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":false}," PLAIN "]}", "individual_digits false"},
        {PLAIN, "{\"type\":\"Whitespace\"}", "pre_tokenizer Whitespace is not known"},
        {PLAIN, "null", "pre_tokenizer null without a normalizer"},
        {"{\"type\":\"ByteLevel\"}", "null", "decoder null"},
        {"{\"type\":\"ByteLevel\"}", "{\"type\":\"WordPiece\"}", "decoder WordPiece is not known"},
        {"\"post_processor\":null", "\"post_processor\":{\"type\":\"BertProcessing\"}", "post_processor BertProcessing is not known"},
        {"\"b\":1", "\"b\":0", "id 0 belongs to “a” already, found “b”"},
        {"\"b\":1", "\"b\":11", "expected an id from 0 to 10"},
        {"\"b\":1", "\"b\":-1", "expected an id from 0 to 10"},
        {"\"b\":1", "\"b\":1.5", "expected an id from 0 to 10"},
        {"\"b\":1", "\"\":1", "the piece of id 1 is empty"},
        {"\"a b\"", "\"a c\"", "merge 0 needs the piece “c”"},
        {"\"a b\"", "\"b a\"", "merge 0 needs the piece “ba”"},
        {"\"a b\"", "\"a  b\"", "one space between"},
        {"\"a b\"", "\"ab\"", "one space between"},
        {"\"a b\"", "[\"a\"]", "expected \"left right\""},
        {"[\"ab\",\"ab\"]", "\"a b\"", "stands there twice"},
        {"\"<e>\",\"special\"", "\"<e>\",\"single_word\":true,\"special\"", "single_word true of the added token <e>"},
        {"\"id\":9,\"content\":\"<e>\"", "\"id\":3,\"content\":\"<e>\"", "id 3 belongs to “ab” already, found “<e>”"},
        {"\"id\":9,\"content\":\"<e>\"", "\"id\":9,\"content\":\"\"", "the content of id 9 is empty"},
        {"\"id\":9,\"content\":\"<e>\"", "\"id\":9,\"content\":\"ab\"", "ids 3 and 9 are both “ab”"},
        {"\"id\":9,\"content\":\"<e>\",\"special\":true},", "\"id\":10,\"content\":\"<t>\"},", "id 10 belongs to “<t>” already"},
        {"{\"id\":9,\"content\":\"<e>\",\"special\":true},{\"id\":10,", "{\"id\":8,\"content\":\">\"},{\"id\":10,", "no piece has id 9, but “<t>” has id 10"},
        {"\"unk_token\":null", "\"unk_token\":\"<x>\"", "unk_token “<x>” is not in vocab"},
        {"\"merges\"", "\"merge\"", "merges"}};
    for (size_t i = 0; i < sizeof byte_level / sizeof *byte_level; i++)
        refused_json(byte_level[i].words, edited(BYTE_LEVEL(PLAIN), byte_level[i].from, byte_level[i].to));
    refused_json("expected an object", "[]");
    const char *llama = METASPACE(PREPEND, "null", LLAMA_DECODER);
    refused_json("normalizer NFKC is not known", METASPACE("{\"type\":\"NFKC\"}", "null", LLAMA_DECODER));
    refused_json("Prepend of _", edited(llama, "\"prepend\":\"\xE2\x96\x81\"", "\"prepend\":\"_\""));
    refused_json("Replace of x", edited(llama, "{\"String\":\" \"}", "{\"String\":\"x\"}"));
    refused_json("prepend_scheme last", edited(METASPACE("null", FIRST("true"), LLAMA_DECODER), "\"first\"", "\"last\""));
    refused_json("replacement _", edited(METASPACE("null", FIRST("true"), LLAMA_DECODER), "\"replacement\":\"\xE2\x96\x81\"", "\"replacement\":\"_\""));
    refused_json("decoder Strip", edited(llama, "\"start\":1", "\"start\":2"));
    refused_json("decoder CTC", edited(llama, "\"ByteFallback\"", "\"CTC\""));
}

/* ---- tokenizer.model and tokenizer.bin, written here ---- */

typedef struct {
    const char *text;
    float score;
    int type;
} SpPiece;

static void put_varint(Buf *b, uint64_t x) {
    for (; x >= 0x80; x >>= 7) buf_char(b, (char)(x | 0x80));
    buf_char(b, (char)x);
}

static void put_number(Buf *b, uint32_t field, uint64_t x) { put_varint(b, field << 3), put_varint(b, x); }

static void put_bytes(Buf *b, uint32_t field, const void *bytes, size_t n) {
    put_varint(b, field << 3 | 2), put_varint(b, n);
    buf_put(b, bytes, n);
}

static void put_sp_piece(Buf *b, const char *text, float score, int type) {
    Buf piece = {0};
    uint32_t bits;
    memcpy(&bits, &score, 4);
    put_bytes(&piece, 1, text, strlen(text));
    put_varint(&piece, 2 << 3 | 5);
    for (int i = 0; i < 4; i++) buf_char(&piece, (char)(bits >> 8 * i));
    if (type != 1) put_number(&piece, 3, (uint64_t)type);
    put_bytes(b, 1, piece.data, piece.len);
    buf_free(&piece);
}

/* 259 to … : a piece of two characters is learnt before one of three; "▁▁" only where spaces in a row are kept. */
static const SpPiece learnt[] = {{"\xE2\x96\x81" "a", -0.f, 1}, {"ab", -1.f, 1}, {"\xE2\x96\x81" "ab", -2.f, 1}, {"bb", -3.f, 1}, {"\xE2\x96\x81", -4.f, 1},
                                 {"a", -5.f, 1}, {"b", -6.f, 1}, {"\xC3\xA9", -7.f, 1}, {"\xE2\x96\x81\xE2\x96\x81", -3.5f, 1}};
enum { LEARNT = sizeof learnt / sizeof *learnt };

typedef struct {
    bool bytes, prefix, squeeze;
    size_t learnt;
    const char *odd_trainer, *odd_normalizer;    /* more fields, as they are */
    size_t odd_trainer_len, odd_normalizer_len;
    uint64_t model_type;
} SpForm;

static Buf sp_model(SpForm f, const SpPiece *more, size_t more_count) {
    Buf b = {0}, trainer = {0}, normalizer = {0};
    put_sp_piece(&b, "<unk>", 0, 2), put_sp_piece(&b, "<s>", 0, 3), put_sp_piece(&b, "</s>", 0, 3);
    for (unsigned i = 0; i < 256 && f.bytes; i++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", i);
        put_sp_piece(&b, text, 0, 6);
    }
    for (size_t i = 0; i < f.learnt; i++) put_sp_piece(&b, learnt[i].text, learnt[i].score, learnt[i].type);
    for (size_t i = 0; i < more_count; i++) put_sp_piece(&b, more[i].text, more[i].score, more[i].type);
    put_number(&trainer, 3, f.model_type), put_number(&trainer, 35, f.bytes);
    buf_put(&trainer, f.odd_trainer, f.odd_trainer_len);
    put_bytes(&normalizer, 1, "identity", 8);
    put_number(&normalizer, 3, f.prefix), put_number(&normalizer, 4, f.squeeze);
    buf_put(&normalizer, f.odd_normalizer, f.odd_normalizer_len);
    put_bytes(&b, 2, trainer.data, trainer.len), put_bytes(&b, 3, normalizer.data, normalizer.len);
    buf_free(&trainer), buf_free(&normalizer);
    return b;
}

static Tokenizer *from_sp(SpForm f, const SpPiece *more, size_t more_count) {
    Buf b = sp_model(f, more, more_count);
    const char *path = scratch_file("t.model", b.data, b.len);
    buf_free(&b);
    return tokenizer_load(path);
}

static Buf llama2c_bin(size_t count) {
    Buf b = {0};
    uint32_t longest = 8;
    buf_put(&b, &longest, 4);
    for (size_t i = 0; i < 259 + count; i++) {
        char text[16];
        float score = i < 259 ? 0 : learnt[i - 259].score;
        if (i < 3) strcpy(text, i == 0 ? "<unk>" : i == 1 ? "\n<s>\n" : "\n</s>\n");
        else if (i < 259) snprintf(text, sizeof text, "<0x%02X>", (unsigned)(i - 3));
        else {
            size_t n = 0;
            for (const char *c = learnt[i - 259].text; *c; c++)
                if (!strncmp(c, MARK, MARK_LEN)) text[n++] = ' ', c += MARK_LEN - 1;
                else text[n++] = *c;
            text[n] = 0;
        }
        uint32_t n = (uint32_t)strlen(text);
        buf_put(&b, &score, 4), buf_put(&b, &n, 4), buf_put(&b, text, n);
    }
    return b;
}

static const SpForm usual = {.bytes = true, .prefix = true, .squeeze = true, .learnt = LEARNT - 1, .model_type = 2};

static void test_sentencepiece(void) {
    SpForm kept = usual, bare = usual;
    kept.squeeze = false, kept.learnt = LEARNT;
    bare.prefix = bare.bytes = false;
    static const SpPiece user[] = {{"bab", 0, 4}};
    /* 259 ▁a, 260 ab, 261 ▁ab, 262 bb, 263 ▁, 264 a, 265 b, 266 é, 267 ▁▁; without bytes: from 3 on */
    static const struct {
        const char *text, *squeezed, *kept, *bare, *user;
    } cases[] = {{"ab", "261", "261", "4", "261"},
                 {" ab  b ", "261 263 265", "263 261 267 265 263", "4 7 9", "261 263 265"},
                 {"   ", "", "267 267", "", ""},
                 {"abb", "261 265", "261 265", "4 9", "261 265"},
                 {"bbb", "263 262 265", "263 262 265", "6 9", "263 262 265"},
                 {"x\xC3\xA9\xE4\xB8\xAD", "263 123 266 231 187 176", "263 123 266 231 187 176", "0 10 0", "263 123 266 231 187 176"},
                 {"xy", "263 123 124", "263 123 124", "0", "263 123 124"},
                 {"ababb", "261 260 265", "261 260 265", "4 4 9", "259 267 265"}};
    Tokenizer *t[4] = {from_sp(usual, NULL, 0), from_sp(kept, NULL, 0), from_sp(bare, NULL, 0), from_sp(usual, user, 1)};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *expected[4] = {cases[i].squeezed, cases[i].kept, cases[i].bare, cases[i].user};
        for (int k = 0; k < 4; k++) CHECK(!strcmp(ids_of(t[k], cases[i].text, false), expected[k]), "%s, form %d: %s, expected %s", cases[i].text, k, ids_of(t[k], cases[i].text, false), expected[k]);
    }
    CHECK(tokenizer_unk(t[0]) == 0 && tokenizer_bos(t[0]) == 1 && tokenizer_eos(t[0]) == 2 && tokenizer_is_special(t[0], 2));
    CHECK(!strcmp(ids_of(t[0], "a</s>", true), "259 2") && !strcmp(ids_of(t[0], "</s>", true), "2"));
    CHECK(!strcmp(there_and_back(t[1], " ab  b "), " ab  b ") && !strcmp(there_and_back(t[0], " ab  b "), "ab b"));
    CHECK(!strcmp(there_and_back(t[2], "axb"), "a \xE2\x81\x87 b"), "%s", there_and_back(t[2], "axb"));
    CHECK(!strcmp(there_and_back(t[0], "a\xFF\xC3\xA9\xE2"), "a\xFF\xC3\xA9\xE2"), "bytes that are no UTF-8 stay");
    for (int k = 0; k < 4; k++) tokenizer_free(t[k]);
    static const SpPiece hidden[] = {{"xyx", -0.5f, 1}, {"xy", -0.25f, 1}}; /* neither x nor y is a piece */
    Tokenizer *h = from_sp(usual, hidden, 2);
    CHECK(!strcmp(ids_of(h, "xyxyx", false), "263 268 267"), "%s", ids_of(h, "xyxyx", false));
    CHECK(!strcmp(ids_of(h, "yx", false), "263 124 123"), "%s", ids_of(h, "yx", false));
    CHECK(tokenizer_size(h) == 269 && tokenizer_id(h, "x") == -1);
    tokenizer_free(h);
}

/* Scores that are equal, a ▁ inside a piece, spaces in front of a decoded text. */
static void test_sentencepiece_corners(void) {
    static const SpPiece equal[] = {{"de", -1.5f, 1}, {"cd", -1.5f, 1}, {"c", -9, 1}, {"d", -9, 1}, {"e", -9, 1}};
    Tokenizer *t = from_sp(usual, equal, 5);
    CHECK(!strcmp(ids_of(t, "cde", false), "263 268 271"), "the leftmost of equal scores: %s", ids_of(t, "cde", false));
    tokenizer_free(t);
    static const SpPiece inner[] = {{"b" MARK, -0.1f, 1}, {"b" MARK "b", -0.2f, 1}};
    t = from_sp(usual, inner, 2);
    CHECK(!strcmp(ids_of(t, "b b bb", false), "263 267 268 265"), "merges across a space: %s", ids_of(t, "b b bb", false));
    tokenizer_free(t);
    static const int32_t ids[] = {1, 263, 263, 259, 263, 264};
    SpForm kept = usual;
    kept.squeeze = false;
    for (int k = 0; k < 2; k++) {
        Buf out = {0};
        t = from_sp(k ? kept : usual, NULL, 0);
        tokenizer_decode(t, ids, 6, false, &out);
        CHECK(!strcmp(out.data, k ? "  a a" : "a a"), "“%s”", out.data);
        buf_free(&out), tokenizer_free(t);
    }
}

static void refused_piece(const char *words, const SpPiece *piece) { CHECK_FAILS(2, words, from_sp(usual, piece, 1)); }

static void test_refused_sentencepiece(void) {
    SpForm f = usual;
    f.model_type = 1;
    CHECK_FAILS(2, "is UNIGRAM; only BPE", from_sp(f, NULL, 0));
    f = usual, f.odd_normalizer = "\x12\x01x", f.odd_normalizer_len = 3;
    CHECK_FAILS(2, "normalises texts by “identity”", from_sp(f, NULL, 0));
    f = usual, f.odd_normalizer = "\x28\x00", f.odd_normalizer_len = 2;
    CHECK_FAILS(2, "escape_whitespaces is false", from_sp(f, NULL, 0));
    f = usual, f.odd_trainer = "\xC0\x01\x01", f.odd_trainer_len = 3;
    CHECK_FAILS(2, "treat_whitespace_as_suffix", from_sp(f, NULL, 0));
    f = usual, f.odd_trainer = "\x1B", f.odd_trainer_len = 1;
    CHECK_FAILS(2, "a type that protobuf does not know", from_sp(f, NULL, 0));
    f = usual, f.odd_trainer = "\x1A\x01x", f.odd_trainer_len = 3;
    CHECK_FAILS(2, "another type than sentencepiece gives it", from_sp(f, NULL, 0));
    f = usual, f.odd_trainer = "\x80", f.odd_trainer_len = 1;
    CHECK_FAILS(2, "ends inside a number", from_sp(f, NULL, 0));
    static const struct {
        SpPiece piece;
        const char *words;
    } pieces[] = {{{"ab", 0, 1}, "ids 260 and 267 are both “ab”"}, {{"zz", 0, 5}, "is UNUSED"}, {{"zz", 0, 7}, "of an unknown type"}, {{"", 0, 1}, "piece 267 has 0 bytes"},
                  {{"<u>", 0, 2}, "both the unknown piece"}, {{"\xC3", 0, 1}, "is no UTF-8"}, {{"<0x0a>", 0, 6}, "257 byte pieces, expected 256"}};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) refused_piece(pieces[i].words, &pieces[i].piece);
    SpPiece nan = {"zz", 0, 1};
    uint32_t bits = 0x7FC00000;
    memcpy(&nan.score, &bits, 4);
    CHECK_FAILS(2, "no finite number", from_sp(usual, &nan, 1));
    f = usual, f.bytes = false;
    static const SpPiece byte = {"<0x41>", 0, 6};
    CHECK_FAILS(2, "1 byte pieces, expected 0", from_sp(f, &byte, 1));
    CHECK_FAILS(2, "no sentencepiece model", tokenizer_load(scratch_file("t.model", "\x20\x01", 2)));
    CHECK_FAILS(2, "a vocabulary of tiktoken", tokenizer_load(scratch_text("t.model", "IQ== 0\nIg== 1\n")));
    CHECK_FAILS(2, "no whole sentencepiece model", tokenizer_load(scratch_text("t.model.v3", "IQ==\n0"))); /* read, by its name */
    CHECK_FAILS(2, "this is Mistral's tekken.json", tokenizer_load(scratch_text("tekken.json", "{\"config\":{\"pattern\":\"x\"},\"vocab\":[]}")));
}

/* The same pieces in all three forms give the same ids. */
static void test_llama2c(void) {
    static const char *const texts[] = {"ab", " ab  b ", "   ", "abb bbab", "x\xC3\xA9\n", "", "aaa   bbb\n  ab"};
    for (size_t kept = 0; kept < 2; kept++) {
        Buf b = llama2c_bin(LEARNT - 1 + kept);
        SpForm f = usual;
        f.squeeze = !kept, f.learnt = LEARNT - 1 + kept;
        Tokenizer *bin = tokenizer_load(scratch_file("t.bin", b.data, b.len)), *model = from_sp(f, NULL, 0);
        tokenizer_save(bin, scratch("bin"));
        tokenizer_save(model, scratch("model"));
        CHECK(same_bytes(scratch("t.model"), scratch("model/tokenizer.model")));
        Tokenizer *json = tokenizer_load(scratch("bin")), *json2 = tokenizer_load(scratch("model/tokenizer.json"));
        CHECK(same_bytes(scratch("bin/tokenizer.json"), scratch("model/tokenizer.json")));
        CHECK(tokenizer_bos(json) == 1 && tokenizer_eos(json) == 2 && tokenizer_unk(json) == 0);
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            const char *a = ids_of(model, texts[i], false);
            CHECK(!strcmp(a, ids_of(bin, texts[i], false)), "%s: bin %s, model %s", texts[i], ids_of(bin, texts[i], false), a);
            CHECK(!strcmp(a, ids_of(json, texts[i], false)), "%s: json %s, model %s", texts[i], ids_of(json, texts[i], false), a);
            CHECK(!strcmp(a, ids_of(json2, texts[i], false)));
        }
        tokenizer_free(bin), tokenizer_free(model), tokenizer_free(json), tokenizer_free(json2), buf_free(&b);
    }
    Buf b = llama2c_bin(1);
    buf_char(&b, 'x');
    CHECK_FAILS(2, "the file ends inside piece 260", tokenizer_load(scratch_file("t.bin", b.data, b.len)));
    b.data[4 + 8] = '[';
    CHECK_FAILS(2, "piece 0 is “[unk>”, expected “<unk>”", tokenizer_load(scratch_file("t.bin", b.data, b.len - 1)));
    CHECK_FAILS(2, "has at least the 3 special and 256 byte pieces", tokenizer_load(scratch_file("t.bin", b.data, 4)));
    buf_free(&b);
}

/* ---- damage ---- */

static size_t harmless, refused;

/* A damaged file either is refused as bad input, or it reads as another tokenizer, which then must work. */
static void try_damaged(const char *path) {
    Catch c;
    if (!setjmp(catch_begin(&c)->jump)) {
        Tokenizer *t = tokenizer_load(path);
        Ids ids = {0};
        Buf out = {0};
        tokenizer_encode(t, "ab  ab<s>\xC3\xA9 \xFF", 14, true, &ids);
        tokenizer_decode(t, ids.data, ids.count, true, &out);
        buf_free(&out), ids_free(&ids), tokenizer_free(t);
        catch_end(&c);
        harmless++;
    } else if (c.code == EXIT_BAD_INPUT && *c.text) refused++;
    else CHECK(0, "%s: code %d: %s", path, c.code, c.text);
}

static void damage(const char *name, const char *bytes, size_t n, size_t step) {
    char *copy = mem_new(n + 1, 1);
    harmless = refused = 0;
    for (size_t cut = 0; cut < n; cut += step) try_damaged(scratch_file(name, bytes, cut));
    CHECK(refused, "%s: no truncation was refused", name);
    for (size_t i = 0; i < n; i += step)
        for (uint32_t k = 0; k < 2; k++) {
            memcpy(copy, bytes, n);
            copy[i] = (char)(k ? (uint32_t)(unsigned char)bytes[i] ^ 1u << rng_below(8, 1, RNG_TEST, i, k) : rng_below(256, 2, RNG_TEST, i, k));
            try_damaged(scratch_file(name, copy, n));
        }
    CHECK(harmless + refused >= n / step * 3, "%s: %zu harmless, %zu refused", name, harmless, refused);
    mem_free(copy);
}

static void test_damage(void) {
    Buf model = sp_model(usual, NULL, 0), bin = llama2c_bin(LEARNT);
    damage("d.model", model.data, model.len, 3);
    damage("d.bin", bin.data, bin.len, 3);
    const char *json = BYTE_LEVEL(PLAIN), *llama = METASPACE(PREPEND, "null", LLAMA_DECODER);
    damage("d.json", json, strlen(json), 1);
    damage("d.json", llama, strlen(llama), 1);
    buf_free(&model), buf_free(&bin);
}

/* ---- the material beside the checkout ---- */

#define MATERIAL "../shared/material/"

static void run_cases(const char *cases, const char *path, bool special) {
    Tokenizer *t = tokenizer_load(path);
    Buf file = os_read(cases);
    size_t line = 1, wrong = 0;
    for (size_t at = 0; at < file.len; line++) {
        size_t n = (size_t)((char *)memchr(file.data + at, '\n', file.len - at) - (file.data + at));
        JsonDoc *doc = json_parse(file.data + at, n, cases, line);
        const Json *text = json_get(json_root(doc), "text"), *expected = json_get(json_root(doc), "ids");
        Ids ids = {0};
        tokenizer_encode(t, text->string, text->length, special, &ids);
        bool same = ids.count == expected->count;
        for (size_t i = 0; same && i < ids.count; i++) same = ids.data[i] == expected->items[i].integer;
        wrong += !same;
        ids_free(&ids), json_free(doc);
        at += n + 1;
    }
    CHECK(line > 100 && !wrong, "%s: %zu of %zu texts differ", path, wrong, line - 1);
    buf_free(&file), tokenizer_free(t);
}

static void test_cases(void) {
    if (!os_exists(MATERIAL "tokenizers")) {
        SKIP("no " MATERIAL "tokenizers");
        return;
    }
    run_cases(MATERIAL "tokenizers/cases-gpt2.jsonl", MATERIAL "tokenizers/gpt2/tokenizer.json", false);
    run_cases(MATERIAL "tokenizers/cases-tok512-spm.jsonl", MATERIAL "tokenizers/tok512/tok512.model", false);
    run_cases(MATERIAL "tokenizers/cases-tok512-spm.jsonl", MATERIAL "stories260K/tok512.bin", false);
    run_cases(MATERIAL "tokenizers/cases-tok512-spm.jsonl", MATERIAL "stories260K/hf", false);
    Tokenizer *t = tokenizer_load(MATERIAL "tokenizers/gpt2/tokenizer.json");
    CHECK(tokenizer_bos(t) == 50256 && tokenizer_eos(t) == 50256);
    tokenizer_save(t, scratch("gpt2"));
    CHECK(same_bytes(MATERIAL "tokenizers/gpt2/tokenizer.json", scratch("gpt2/tokenizer.json")));
    tokenizer_free(t);
}

static void test_training_reference(void) {
    if (!os_exists(MATERIAL "bpe-train")) {
        SKIP("no " MATERIAL "bpe-train");
        return;
    }
    Buf text = os_read(MATERIAL "bpe-train/corpus.en"), merges = os_read(MATERIAL "bpe-train/train-bpe-reference-merges.txt");
    BpeTrainer *b = bpe_trainer_new();
    bpe_trainer_add(b, text.data, text.len);
    Tokenizer *t = bpe_train(b, 500);
    size_t rank = 0, wrong = 0;
    for (size_t at = 0; at < merges.len; rank++) {
        const char *line = merges.data + at, *space = memchr(line, ' ', merges.len - at), *end = memchr(line, '\n', merges.len - at);
        const Merge *m = merge_find(t, piece_find(t, line, (size_t)(space - line)), piece_find(t, space + 1, (size_t)(end - space - 1)));
        wrong += !m || m->rank != rank;
        at += (size_t)(end - line) + 1;
    }
    CHECK(rank == 243 && t->merge_count == 243 && !wrong, "%zu merges, %zu differ", rank, wrong);
    tokenizer_free(t), buf_free(&text), buf_free(&merges);
}

TESTS({"byte-level tokenizer.json", test_byte_level_json}, {"metaspace tokenizer.json", test_metaspace_json}, {"what a tokenizer.json may not ask for", test_refused_json},
      {"sentencepiece", test_sentencepiece}, {"sentencepiece, corners", test_sentencepiece_corners}, {"what a sentencepiece model may not ask for", test_refused_sentencepiece}, {"llama2.c", test_llama2c},
      {"damaged files", test_damage}, {"reference cases", test_cases}, {"reference training", test_training_reference})
