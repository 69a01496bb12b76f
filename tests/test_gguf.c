/* llama.cpp's files: the types bit for bit (values of the Python package gguf, tests/compare/gguf.py --golden), hostile headers, models and
 * adapters there and back. */
#include "../gguf_model.h"
#include "../hf.h"
#include "scratch.h"
#include "small_adapters.h"
#include "test.h"

/* ---- types ---- */

static uint32_t lcg_state;
static uint32_t lcg(void) { return lcg_state = lcg_state * 1664525u + 1013904223u; }

static void hash_is(const char *what, const void *bytes, size_t n, const char *expected) {
    char hex[65];
    sha256_of(bytes, n, hex);
    CHECK(!strcmp(hex, expected), "%s: %s", what, hex);
}

static void test_dequantize(void) {
    static const struct {
        GgmlType type;
        int halves[2];
        const char *hash;
    } cases[] = {{GGML_Q4_0, {0, 0}, "f744b78a83559cef82048a91c5428cee7149e32180f415a16939e7ed83cf1d2c"},
                 {GGML_Q4_1, {0, 2}, "a36a4250659bba26c786f9692be7dce90cf67aba0f2204a9b365b584253c9761"},
                 {GGML_Q5_0, {0, 0}, "5de44204af0b39a1a75eaccdd632ac926fdc7c9d1299645db2551b29677029eb"},
                 {GGML_Q5_1, {0, 2}, "28817f0dc638f832b500280f45b12e5482dfb545771ece271f8d178f0f9c2a6b"},
                 {GGML_Q8_0, {0, 0}, "32a164f424b8399b0d1512500b2240dd13ba8dc4c6f5386e0c7e8e2196f15393"},
                 {GGML_IQ4_NL, {0, 0}, "a914d61d4c3c07734f98f13a16a66244bef02487b3f260a94a2b9876cc2d0dba"},
                 {GGML_Q2_K, {80, 82}, "381c9c12934d4d3a5e13a49cd4fee1320593935f2e0410b54d8191328b593052"},
                 {GGML_Q3_K, {108, 108}, "11841b0f7394fdc888dbe0303d35341d2ecdf2ad71959fc7f7757f0028178f13"},
                 {GGML_Q4_K, {0, 2}, "7cf230d6ab9eaa7ee933c4c4405db0c58aadca75e525e5f97767f8471f75e2f9"},
                 {GGML_Q5_K, {0, 2}, "b41ccc3186f0de05bbc137e15be88ad0a559fc0a6815b3362c9612a0cea057d4"},
                 {GGML_Q6_K, {208, 208}, "c4621be01a4984307af89b7e6c0dfef8db050cdb2128b1c597f6e39a5dcde91b"}};
    enum { MANY = 64 };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        size_t elements = 0, bytes = 0;
        CHECK(ggml_block((uint32_t)cases[c].type, &elements, &bytes));
        unsigned char *data = mem_new(MANY, bytes);
        float *y = mem_new(MANY * elements, sizeof *y);
        lcg_state = 1;
        for (size_t i = 0; i < MANY * bytes; i++) data[i] = (unsigned char)(lcg() >> 24);
        for (size_t b = 0; b < MANY; b++)
            for (int h = 0; h < 2; h++) {
                unsigned char *high = data + b * bytes + (size_t)cases[c].halves[h] + 1;
                *high = (unsigned char)((*high & 0x87) | 0x28);
            }
        ggml_dequantize(cases[c].type, data, y, MANY * elements);
        hash_is(ggml_type_name((uint32_t)cases[c].type), y, MANY * elements * sizeof *y, cases[c].hash);
    }
}

static void test_quantize(void) {
    enum { ROWS = 500 };
    Buf out = {0};
    lcg_state = 1;
    for (int row = 0; row < ROWS; row++) {
        float x[32], scale = bits_float((uint32_t)(127 + row % 24 - 16) << 23);
        for (int i = 0; i < 32; i++) x[i] = (float)((int)(lcg() >> 8) - (1 << 23)) * 0x1p-23f * scale;
        ggml_quantize(GGML_Q8_0, x, 32, &out);
    }
    hash_is("Q8_0", out.data, out.len, "fe31d5c577b9d5cf568f5ec2b04ee24c6d960987543ed5b87da83e5e2db027c5");
    float zeros[32] = {0}, back[32];
    out.len = 0;
    ggml_quantize(GGML_Q8_0, zeros, 32, &out);
    ggml_dequantize(GGML_Q8_0, (unsigned char *)out.data, back, 32);
    CHECK(out.len == 34 && !memcmp(zeros, back, sizeof zeros), "a block of zeros");
}

/* ---- hostile files ---- */

static void u32(Buf *b, uint64_t x) {
    for (int i = 0; i < 4; i++) buf_char(b, (char)(x >> 8 * i & 255));
}
static void u64(Buf *b, uint64_t x) {
    u32(b, x & 0xffffffffu), u32(b, x >> 32);
}
static void text(Buf *b, const char *s) {
    u64(b, strlen(s)), buf_str(b, s);
}

/* Two keys, two tensors; every part of it can be another. */
typedef struct {
    const char *magic;
    uint64_t version, tensors, keys;
    const char *key[2];
    uint64_t kind, of, count, alignment, rank, dims[4], type, offset[2];
    const char *name[2];
    size_t key_length, data; /* key_length not 0: the first key's length as written */
} Parts;

static Parts good_parts(void) {
    return (Parts){.magic = "GGUF", .version = 3, .tensors = 2, .keys = 2, .key = {"a.list", "general.alignment"}, .kind = GGUF_ARRAY, .of = GGUF_U16,
                   .count = 3, .alignment = 32, .rank = 2, .dims = {4, 3, 1, 1}, .type = GGML_F32, .offset = {0, 64}, .name = {"one", "two"}, .data = 128};
}

static const char *write_parts(const Parts *p) {
    Buf b = {0};
    buf_str(&b, p->magic), u32(&b, p->version), u64(&b, p->tensors), u64(&b, p->keys);
    if (p->key_length) u64(&b, p->key_length), buf_str(&b, p->key[0]);
    else text(&b, p->key[0]);
    u32(&b, p->kind), u32(&b, p->of), u64(&b, p->count);
    buf_put(&b, "\1\0\2\0\3\0", 6);
    text(&b, p->key[1]), u32(&b, GGUF_U32), u32(&b, p->alignment);
    for (int i = 0; i < 2; i++) {
        text(&b, p->name[i]), u32(&b, p->rank);
        for (uint64_t d = 0; d < p->rank && d < 4; d++) u64(&b, p->dims[d]);
        u32(&b, p->type), u64(&b, p->offset[i]);
    }
    while (b.len % 32) buf_char(&b, 0);
    for (size_t i = 0; i < p->data; i++) buf_char(&b, (char)i);
    const char *path = scratch_file("parts.gguf", b.data, b.len);
    buf_free(&b);
    return path;
}

#define REFUSES(words, ...) \
    do { \
        Parts p = good_parts(); \
        __VA_ARGS__; \
        const char *path = write_parts(&p); \
        CHECK_FAILS(EXIT_BAD_INPUT, words, gguf_open(path)); \
    } while (0)

static void test_fields(void) {
    Parts good = good_parts();
    Gguf *g = gguf_open(write_parts(&good));
    const GgufTensor *two = gguf_find(g, "two");
    CHECK(gguf_count(g) == 2 && two && two->rank == 2 && two->dims[0] == 4 && two->dims[1] == 3 && two->bytes == 48 && two->data[0] == 64);
    CHECK(!gguf_find(g, "three") && gguf_get(g, "a.list")->count == 3 && !gguf_get(g, "b"));
    CHECK_FAILS(EXIT_BAD_INPUT, "a.list is an array of U16, expected a whole number", gguf_int(g, "a.list", 0, 9, 0));
    CHECK_FAILS(EXIT_BAD_INPUT, "general.alignment is 32, expected 0 to 9", gguf_int(g, "general.alignment", 0, 9, 0));
    CHECK_FAILS(EXIT_BAD_INPUT, "expected STRING", gguf_text(g, "general.alignment", NULL));
    CHECK_FAILS(EXIT_BAD_INPUT, "expected an array of F32", gguf_array(g, "a.list", GGUF_F32));
    gguf_close(g);
    REFUSES("does not begin with \"GGUF\"", p.magic = "GGML");
    REFUSES("version 1, expected 2 or 3", p.version = 1);
    REFUSES("big-endian", p.version = 0x03000000);
    REFUSES("18446744073709551615 tensors", p.tensors = UINT64_MAX);
    REFUSES("9223372036854775808 keys", p.keys = (uint64_t)1 << 63);
    REFUSES("tensors, expected at most 9 in a file of this size", p.tensors = 10);
    REFUSES("a tensor's name has 0 bytes", p.tensors = 3);
    REFUSES("27 keys, expected at most 21", p.keys = 27);
    REFUSES("has 0 bytes", p.key[0] = "");
    REFUSES("needs 18446744073709551615 bytes", p.key_length = SIZE_MAX);
    REFUSES("holds the byte 10", p.key[0] = "a\nb");
    REFUSES("the key general.alignment stands in it twice", p.key[0] = "general.alignment");
    REFUSES("is of kind 13", p.kind = 13);
    REFUSES("array of arrays", p.of = GGUF_ARRAY);
    REFUSES("2^61 values or more", p.of = GGUF_U64, p.count = (uint64_t)1 << 62);
    REFUSES("needs 18446744073709551614 bytes", p.count = UINT64_MAX >> 1);
    REFUSES("a BOOL is 2", p.of = GGUF_BOOL);
    REFUSES("bytes, but only 258 are left", p.of = GGUF_STRING);
    REFUSES("expected 1 to 65536", p.alignment = 0);
    REFUSES("expected 1 to 65536", p.alignment = 0x80000000u);
    REFUSES("expected a power of two", p.alignment = 48);
    REFUSES("ends before the tensors' data", p.alignment = 4096);
    REFUSES("begin at 64, expected 128", p.alignment = 128, p.data = 256);
    REFUSES("two tensors are called one", p.name[1] = "one");
    REFUSES("a tensor's name has 0 bytes", p.name[1] = "");
    REFUSES("has 0 dimensions", p.rank = 0);
    REFUSES("has 5 dimensions", p.rank = 5);
    REFUSES("dimension 0 is 0", p.dims[0] = 0);
    REFUSES("dimension 1 is 4611686018427387904", p.dims[1] = (uint64_t)1 << 62);
    REFUSES("dimension 1 is 18446744073709551615", p.dims[1] = UINT64_MAX);
    REFUSES("bytes do not fit into 64 bits", p.dims[1] = (uint64_t)1 << 60);
    REFUSES("do not fit into the 128 bytes", p.dims[1] = (uint64_t)1 << 40);
    REFUSES("of type unknown (99)", p.type = 99);
    REFUSES("of type IQ2_XS (17)", p.type = 17);
    REFUSES("no multiple of Q4_K's blocks of 256", p.type = GGML_Q4_K);
    REFUSES("begin at 32, expected 0", p.offset[0] = 32);
    REFUSES("begin at 0, expected 64", p.offset[1] = 0);
    REFUSES("begin at 18446744073709551584, expected 64", p.offset[1] = UINT64_MAX - 31);
    REFUSES("begin at 96, expected 64", p.offset[1] = 96);
    REFUSES("do not fit into the 111 bytes", p.data = 111);
    REFUSES("1 bytes behind the last", p.data = 129);
    REFUSES("32 bytes behind the last", p.data = 160);
    Parts unpadded = good_parts();
    unpadded.data = 112;
    gguf_close(gguf_open(write_parts(&unpadded)));
}

static Buf small_file(void) {
    Config c = small_llama(23, 12, 32, 1, 4, 2, 8, 32, false);
    Model *m = small_model(c, true);
    const char *path = scratch("small.gguf");
    gguf_export(m, NULL, NULL, GGML_Q8_0, "small", path);
    model_free(m);
    return os_read(path);
}

/* Whatever stands there: it loads, or it is refused with a message; never anything else. */
static void try_model(const void *bytes, size_t n, size_t *loaded, size_t *refused) {
    Catch c;
    const char *path = scratch_file("tried.gguf", bytes, n);
    if (!setjmp(catch_begin(&c)->jump)) {
        Model *m = gguf_load(path, true);
        model_free(m);
        catch_end(&c);
        ++*loaded;
    } else {
        CHECK(c.code == EXIT_BAD_INPUT && strstr(c.text, ".gguf"), "%d: %s", c.code, c.text);
        ++*refused;
    }
}

static void test_every_truncation(void) {
    Buf file = small_file();
    size_t loaded = 0, refused = 0, head = file.len < 2600 ? file.len : 2600;
    for (size_t n = 0; n < head; n++) try_model(file.data, n, &loaded, &refused);
    for (size_t n = head; n < file.len - 31; n += 13) try_model(file.data, n, &loaded, &refused);
    CHECK(loaded == 0 && refused > 2600, "%zu loaded", loaded);
}

static void test_every_byte(void) {
    static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff};
    Buf file = small_file();
    size_t loaded = 0, refused = 0;
    Gguf *g = gguf_open(scratch("small.gguf"));
    uint64_t bytes = 0;
    for (size_t i = 0; i < gguf_count(g); i++) bytes += (gguf_tensor(g, i)->bytes + 31) / 32 * 32;
    size_t head = file.len - (size_t)bytes;
    gguf_close(g);
    for (size_t at = 0; at < head; at++) {
        char was = file.data[at];
        for (size_t v = 0; v < sizeof values; v++) {
            file.data[at] = (char)values[v];
            if (file.data[at] != was) try_model(file.data, file.len, &loaded, &refused);
        }
        file.data[at] = was;
    }
    /* eps, theta, ctx, the name and keys that nobody needs may be others, the shapes not */
    CHECK(refused > 3000 && loaded > 10 && loaded < 1000, "%zu refused, %zu loaded", refused, loaded);
}

static void test_not_finite(void) {
    Model *m = small_model(small_llama(23, 12, 32, 1, 4, 2, 8, 32, true), true);
    const char *path = scratch("nan.gguf");
    float *w = m->tok->w;
    w[40] = bits_float(0x7f800000);
    gguf_export(m, NULL, NULL, GGML_F32, NULL, path);
    CHECK_FAILS(EXIT_BAD_INPUT, "token_embd.weight: element 8 is NaN", gguf_load(path, false));
    w[40] = 70000;
    CHECK_FAILS(EXIT_BAD_INPUT, "too large for F16: export as BF16", gguf_export(m, NULL, NULL, GGML_F16, NULL, path));
    w[40] = 1e7f;
    CHECK_FAILS(EXIT_BAD_INPUT, "too large for Q8_0", gguf_export(m, NULL, NULL, GGML_Q8_0, NULL, path));
    gguf_export(m, NULL, NULL, GGML_BF16, NULL, path);
    model_free(gguf_load(path, true));
}

/* ---- models there and back ---- */

static void same_weights(const char *what, const Model *a, const Model *b) {
    CHECK(a->count == b->count, "%s: %zu and %zu", what, a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const Param *p = a->params[i], *q = model_find(b, p->name);
        CHECK(q && param_size(p) == param_size(q) && p->stored == q->stored && !memcmp(p->w, q->w, param_size(p) * (p->stored ? 2 : sizeof(real))),
              "%s: %s", what, p->name);
    }
}

static void same_config(const char *what, const Model *a, const Model *b) {
    Buf one = hf_config_text(&a->config), two = hf_config_text(&b->config);
    CHECK(one.len == two.len && !memcmp(one.data, two.data, one.len), "%s:\n%s\n%s", what, one.data, two.data);
    buf_free(&one), buf_free(&two);
}

static Config kinds_of_models(int kind) {
    Config c = kind == 0   ? small_gpt2(23, 12, 32, 2, 4, 64, true)
               : kind == 1 ? small_gpt2(29, 12, 24, 1, 2, 40, false)
               : kind == 2 ? small_llama(23, 12, 32, 2, 4, 2, 8, 64, true)
                           : small_llama(23, 300, 24, 2, 2, 1, 16, 40, false);
    c.norm_eps = 1e-6, c.eos_count = 1, c.eos[0] = 5;
    if (kind >= 2) c.rope_theta = 500000;
    if (kind == 3)
        c.qkv_bias = c.out_bias = c.mlp_bias = true, c.rope_kind = ROPE_LLAMA3, c.rope_factor = 8, c.rope_low = 1, c.rope_high = 4,
        c.rope_original_ctx = 8192, c.eos[c.eos_count++] = 7;
    if (kind == 4) c.qkv_bias = true, c.dialect = DIALECT_QWEN2;
    if (kind == 5) c.qk_norm = true, c.dialect = DIALECT_QWEN3;
    return c;
}

static Tokenizer *bytes_tokenizer(void) {
    BpeTrainer *b = bpe_trainer_new();
    bpe_trainer_add(b, "a rose is a rose is a rose", 26);
    return bpe_train(b, 262);
}

static void test_round_trip(void) {
    const char *path = scratch("model.gguf");
    for (int kind = 0; kind < 6; kind++) {
        Model *m = small_model(kinds_of_models(kind), true);
        m->config.bos = -1; /* no tokenizer, no special tokens in the file */
        gguf_export(m, NULL, NULL, GGML_F32, NULL, path);
        Model *back = gguf_load(path, false);
        m->config.eos_count = 0;
        same_weights("F32", m, back), same_config("F32", m, back);
        Buf first = os_read(path);
        gguf_export(back, NULL, NULL, GGML_F32, NULL, path);
        Buf second = os_read(path);
        CHECK(first.len == second.len && !memcmp(first.data, second.data, first.len), "written again");
        model_free(back);
        for (int half = 0; half < 2; half++) {
            model_store(m, half ? STORED_BF16 : STORED_F16);
            gguf_export(m, NULL, NULL, half ? GGML_BF16 : GGML_F16, NULL, path);
            Model *kept = gguf_load(path, true), *wide = gguf_load(path, false);
            const char *what = half ? "BF16" : "F16";
            for (size_t i = 0; i < m->count; i++) {
                const Param *p = m->params[i], *k = model_find(kept, p->name), *w = model_find(wide, p->name);
                bool floats = p->rank == 1 || str_ends(p->name, "wpe.weight"); /* F32 in the file */
                CHECK(k->stored == (floats ? STORED_REAL : p->stored) && w->stored == STORED_REAL, "%s: %s", what, p->name);
                bool same = true;
                for (size_t j = 0; j < param_size(p); j++)
                    same = same && float_bits(stored_value(p->w, p->stored, j)) == float_bits(stored_value(k->w, k->stored, j)) &&
                           float_bits(stored_value(p->w, p->stored, j)) == float_bits(stored_value(w->w, STORED_REAL, j));
                CHECK(same, "%s: %s", what, p->name);
            }
            model_free(kept), model_free(wide);
        }
        model_free(m);
    }
}

/* An embedding once more as a head of its own is a tied one; another is not. */
static void test_tied(void) {
    Model *m = small_model(small_llama(23, 12, 32, 1, 4, 2, 8, 32, false), true);
    const char *path = scratch("tied.gguf");
    gguf_export(m, NULL, NULL, GGML_F16, NULL, path);
    Model *back = gguf_load(path, true);
    CHECK(!back->config.tied);
    model_free(back);
    memcpy(m->head.w->w, m->tok->w, param_size(m->tok) * sizeof(real));
    gguf_export(m, NULL, NULL, GGML_F16, NULL, path);
    back = gguf_load(path, true);
    CHECK(back->config.tied && back->head.w == back->tok);
    model_free(back), model_free(m);
}

static void test_refused_models(void) {
    Model *m = small_model(small_llama(23, 12, 8, 1, 2, 1, 4, 8, true), true);
    const char *path = scratch("lora.gguf");
    LoraOptions o = options("q_proj", 2);
    lora_attach(m, &o);
    gguf_export_lora(m, path);
    CHECK_FAILS(EXIT_BAD_INPUT, "is named with --adapter", gguf_load(path, false));
    CHECK_FAILS(EXIT_BAD_INPUT, "name a tokenizer with --tokenizer", tokenizer_load(scratch_file("small2.gguf", small_file().data, small_file().len)));
}

/* ---- tokenizers ---- */

static void same_ids(Tokenizer *a, Tokenizer *b, const char *words) {
    Ids one = {0}, two = {0};
    tokenizer_encode(a, words, strlen(words), true, &one), tokenizer_encode(b, words, strlen(words), true, &two);
    CHECK(one.count == two.count && (!one.count || !memcmp(one.data, two.data, one.count * sizeof *one.data)), "%s: %zu and %zu ids", words, one.count, two.count);
    Buf first = {0}, second = {0};
    buf_char(&first, ' '), buf_char(&second, ' ');
    tokenizer_decode(a, one.data, one.count, true, &first), tokenizer_decode(b, two.data, two.count, true, &second);
    CHECK(!strcmp(first.data, second.data), "%s: %s", first.data, second.data);
    ids_free(&one), ids_free(&two), buf_free(&first), buf_free(&second);
}

static void test_tokenizers(void) {
    Config c = small_llama(270, 12, 8, 1, 2, 1, 4, 8, true);
    Model *m = small_model(c, true);
    Tokenizer *t = bytes_tokenizer();
    const char *path = scratch("tok.gguf");
    m->config.eos[m->config.eos_count++] = 0;
    gguf_export(m, t, &(GgufChat){"{{ messages }}", false}, GGML_F32, NULL, path);
    Tokenizer *back = tokenizer_load(path);
    CHECK(tokenizer_size(back) == tokenizer_size(t) && tokenizer_eos(back) == 0 && tokenizer_bos(back) == tokenizer_bos(t));
    CHECK(tokenizer_adds_bos(back) == tokenizer_adds_bos(t) && tokenizer_is_special(back, 0));
    same_ids(t, back, "a rose<|endoftext|> is 12\n\xC3\xA9!"), same_ids(t, back, "");
    tokenizer_save(back, scratch("saved"));
    Tokenizer *again = tokenizer_load(scratch("saved"));
    same_ids(back, again, "a rose is a <|endoftext|>rose 123");
    Gguf *g = gguf_open(path);
    char *chat = gguf_text(g, "tokenizer.chat_template", NULL);
    CHECK(chat && !strcmp(chat, "{{ messages }}"));
    gguf_close(g);
    Config read = gguf_config(path);
    CHECK(read.eos_count == 1 && read.eos[0] == 0 && read.vocab == 270);
}

#define MATERIAL "../shared/material/"

static void test_real_tokenizers(void) {
    const char *const folders[] = {MATERIAL "tokenizers/gpt2/tokenizer.json", MATERIAL "tokenizers/qwen2.5/tokenizer.json", MATERIAL "stories260K/tok512.bin",
                                   MATERIAL "tokenizers/tok512/tok512.model"};
    const char *const words[] = {"Hello world, it's 2024!\n\n  tabs\t and  spaces", "caf\xC3\xA9 na\xC3\xAFve \xE4\xBD\xA0\xE5\xA5\xBD 12345", " x", "a  b", "e\xCC\x81 A\xCC\x8A <|im_end|>"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (!os_exists(folders[i])) {
            SKIP("%s is not here", folders[i]);
            continue;
        }
        Tokenizer *t = tokenizer_load(folders[i]);
        GgufWriter *w = gguf_create(scratch("real.gguf"));
        Config c = {.vocab = tokenizer_size(t), .bos = -1, .pad = -1};
        gguf_put_tokenizer(w, t, &c, &(GgufChat){NULL, false});
        gguf_commit(w);
        Tokenizer *back = tokenizer_load(scratch("real.gguf"));
        CHECK(tokenizer_size(t) == tokenizer_size(back) && tokenizer_bos(t) == tokenizer_bos(back), "%s", folders[i]);
        for (size_t k = 0; k < sizeof words / sizeof *words; k++) same_ids(t, back, words[k]);
        tokenizer_free(t), tokenizer_free(back);
    }
}

/* ---- adapters ---- */

static void test_adapters(void) {
    const char *path = scratch("adapter.gguf");
    for (int kind = 0; kind < 2; kind++) {
        Config c = kind ? small_gpt2(23, 12, 32, 2, 4, 64, true) : small_llama(23, 12, 32, 2, 4, 2, 8, 64, true);
        Model *m = small_model(c, true);
        LoraOptions o = options("all-linear", 3);
        LoraPattern rank = {(char *)(kind ? "c_fc" : "k_proj"), 2}, alpha = {(char *)(kind ? "c_attn" : "v_proj"), 5};
        o.rslora = true, o.ranks = &rank, o.rank_count = 1, o.alphas = &alpha, o.alpha_count = 1;
        lora_attach(m, &o);
        move(m);
        Batch b = keyed_batch(&c, 4);
        real *before = logits_of(m, &b);
        gguf_export_lora(m, path);
        adapter_free(m);
        real *base = logits_of(m, &b);
        gguf_adapter_load(m, path, "base");
        real *after = logits_of(m, &b);
        size_t n = b.tokens * c.vocab;
        double off = greatest_difference(before, after, n), effect = greatest_difference(before, base, n);
        CHECK(off < 2e-6 * effect + 2e-6 && effect > 0.05, "%g of %g", off, effect);
        CHECK(m->adapter->count == (kind ? 8 : 14) && m->adapter->options.alpha < 6.001);
        model_free(m);
    }
}

static void test_refused_adapters(void) {
    const char *path = scratch("refused.gguf");
    LoraOptions o = options("q_proj", 2);
    o.dora = true;
    CHECK_FAILS(EXIT_BAD_INPUT, "DoRA; llama.cpp's adapters have no such thing: merge it first", gguf_export_lora(adapted(llama(), &o), path));
    Model *m = small_model(llama(), true);
    const int32_t ids[] = {3};
    o = options("q_proj", 2);
    lora_tokens(&o, m, ids, 1);
    lora_attach(m, &o);
    CHECK_FAILS(EXIT_BAD_INPUT, "trains rows of the embedding; llama.cpp's adapters have no such thing", gguf_export_lora(m, path));
    o = options("q_proj", 2);
    gguf_export_lora(adapted(llama(), &o), path);
    CHECK_FAILS(EXIT_BAD_INPUT, "architecture \"llama\", but the model is gpt2", gguf_adapter_load(small_model(gpt2(), true), path, "base"));
    Config wider = llama();
    wider.head_dim = 8;
    CHECK_FAILS(EXIT_BAD_INPUT, "has the dimensions", gguf_adapter_load(small_model(wider, true), path, "base"));
    Config shallow = llama();
    shallow.layers = 1;
    CHECK_FAILS(EXIT_BAD_INPUT, "4 tensors, but 2 belong to Linears", gguf_adapter_load(small_model(shallow, true), path, "base"));
    CHECK_FAILS(EXIT_BAD_INPUT, "expected adapter and lora", gguf_adapter_load(small_model(llama(), true), scratch_file("m.gguf", small_file().data, small_file().len), "base"));
}

/* ---- mlx-lm ---- */

/* What PEFT's folder says, with both matrices transposed. */
static void write_mlx(const Model *m, const char *dir, const char *type) {
    StTensor t[3 * 2 * BLOCK_LINEARS];
    size_t count = 0;
    for (size_t i = 0; i < m->adapter->count; i++) {
        const Lora *l = &m->adapter->loras[i];
        Param *const parts[] = {l->a, l->b, l->magnitude};
        static const char *const names[] = {"lora_a", "lora_b", "m"};
        char *module = module_name(m, m->adapter->linears[i]->w);
        if (str_starts(module, "transformer.")) module = str_format("model.%s", module + strlen("transformer."));
        for (int k = 0; k < 3; k++) {
            const Param *p = parts[k];
            if (!p) continue;
            size_t rows = p->shape[0], columns = p->shape[1];
            real *w = mem_new(rows * columns, sizeof *w);
            for (size_t r = 0; r < rows; r++)
                for (size_t c = 0; c < columns; c++) w[c * rows + r] = param_real(p)[r * columns + c];
            t[count++] = (StTensor){.name = str_format("%s.%s", module, names[k]), .type = ST_F32, .rank = p->rank, .data = (unsigned char *)w,
                                    .dims = {p->rank == 1 ? rows : columns, rows}};
        }
    }
    os_make_dir(dir);
    st_write(os_join(dir, "adapters.safetensors"), t, count);
    char *config = str_format("{\"fine_tune_type\": \"%s\", \"num_layers\": 2, \"lora_parameters\": {\"rank\": 3, \"scale\": 2.0, \"dropout\": 0.0}}", type);
    os_write_file(os_join(dir, "adapter_config.json"), config, strlen(config));
}

static void test_mlx(void) {
    const char *dir = scratch("mlx");
    for (int kind = 0; kind < 3; kind++) {
        Config c = kind == 2 ? gpt2() : llama();
        Model *m = small_model(c, true);
        LoraOptions o = options("all-linear", 3); /* alpha 6: scale 2 */
        o.dora = kind == 1;
        lora_attach(m, &o);
        move(m);
        Batch b = keyed_batch(&c, 4);
        real *before = logits_of(m, &b);
        write_mlx(m, dir, o.dora ? "dora" : "lora");
        adapter_free(m);
        CHECK(mlx_is_adapter(dir));
        adapter_load(m, dir, "base", false);
        CHECK(same_values(before, logits_of(m, &b), b.tokens * c.vocab), "kind %d", kind);
        if (kind == 2) CHECK_FAILS(EXIT_BAD_INPUT, "no tensor of it belongs", adapter_load(small_model(llama(), true), dir, "base", false));
        Config other = c;
        other.layers = 1;
        CHECK_FAILS(EXIT_BAD_INPUT, "adapters of embeddings or of the head", adapter_load(small_model(other, true), dir, "base", false));
        other = c, other.ffn = 16;
        CHECK_FAILS(EXIT_BAD_INPUT, "has another shape", adapter_load(small_model(other, true), dir, "base", false));
        model_free(m);
    }
    os_write_file(os_join(dir, "adapter_config.json"), "{\"fine_tune_type\": \"full\"}", 26);
    CHECK_FAILS(EXIT_BAD_INPUT, "expected lora or dora", adapter_load(small_model(llama(), true), dir, "base", false));
    os_write_file(os_join(dir, "adapter_config.json"), "{\"lora_parameters\": {}}", 23);
    CHECK_FAILS(EXIT_BAD_INPUT, "scale", adapter_load(small_model(llama(), true), dir, "base", false));
}

TESTS({"dequantize", test_dequantize}, {"quantize", test_quantize}, {"fields", test_fields}, {"every truncation", test_every_truncation},
      {"every byte", test_every_byte}, {"not finite", test_not_finite}, {"round trip", test_round_trip}, {"tied", test_tied},
      {"refused models", test_refused_models}, {"tokenizers", test_tokenizers}, {"real tokenizers", test_real_tokenizers}, {"adapters", test_adapters},
      {"refused adapters", test_refused_adapters}, {"mlx", test_mlx})
