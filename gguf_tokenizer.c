/* Tokenizers in llama.cpp's files. A byte-level one is written out as the tokenizer.json that it stands for, one of sentencepiece's kind as
 * the tokenizer.model, and read by their readers; what is tuned from such a file then has them in its folder. */
#include "gguf_model.h"
#include "tokenizer_parts.h"
#include "unicode.h"

#include "json.h"

#include <string.h>

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER_DEFINED, TYPE_UNUSED, TYPE_BYTE };

#define DAMAGED "the file is damaged; download or convert it again"

/* ---- what the file has ---- */

typedef struct {
    const char *text;
    size_t length;
    int64_t type;
    float score;
} Token;

typedef struct {
    const Gguf *g;
    Token *tokens;
    size_t count;                    /* without unused ones at the end, which only fill the matrix up */
    int64_t bos, eos, unk, pad;      /* -1: none */
    bool adds_bos;
} Vocabulary;

static int64_t special_id(const Vocabulary *v, const char *key) {
    int64_t id = gguf_int(v->g, key, -1, UINT32_MAX, -1);
    return id < (int64_t)v->count ? id : -1;
}

static const GgufValue *array_of(const Gguf *g, const char *key, GgufKind of, uint64_t count) {
    const GgufValue *a = gguf_array(g, key, of);
    if (a && a->count != count)
        bad_input("%s: key %s has %llu values for %llu tokens: " DAMAGED, gguf_path(g), key, (unsigned long long)a->count, (unsigned long long)count);
    return a;
}

static Vocabulary read_vocabulary(const Gguf *g) {
    Vocabulary v = {.g = g};
    const GgufValue *texts = gguf_array(g, "tokenizer.ggml.tokens", GGUF_STRING);
    if (!texts || !texts->count || texts->count > INT32_MAX / 2)
        bad_input("%s: no tokens in tokenizer.ggml.tokens: name a tokenizer with --tokenizer", gguf_path(g));
    const GgufValue *types = array_of(g, "tokenizer.ggml.token_type", GGUF_I32, texts->count);
    const GgufValue *scores = array_of(g, "tokenizer.ggml.scores", GGUF_F32, texts->count);
    const unsigned char *at = texts->at;
    v.count = (size_t)texts->count;
    v.tokens = mem_new(v.count, sizeof *v.tokens);
    for (size_t i = 0; i < v.count; i++) {
        Token *t = &v.tokens[i];
        t->text = gguf_next_string(&at, &t->length);
        t->type = types ? gguf_int_at(types, i) : TYPE_NORMAL;
        t->score = scores ? gguf_float_at(scores, i) : 0;
        if (!t->length || memchr(t->text, 0, t->length) || !utf8_valid((const unsigned char *)t->text, t->length))
            bad_input("%s: token %zu is empty or no UTF-8: " DAMAGED, gguf_path(g), i);
        if (t->type < TYPE_NORMAL || t->type > TYPE_BYTE) bad_input("%s: token %zu is of type %d, expected 1 to 6: " DAMAGED, gguf_path(g), i, (int)t->type);
    }
    while (v.count > 1 && v.tokens[v.count - 1].type == TYPE_UNUSED) v.count--;
    v.bos = special_id(&v, "tokenizer.ggml.bos_token_id"), v.eos = special_id(&v, "tokenizer.ggml.eos_token_id");
    v.unk = special_id(&v, "tokenizer.ggml.unknown_token_id"), v.pad = special_id(&v, "tokenizer.ggml.padding_token_id");
    return v;
}

static void put_token(JsonWriter *w, const char *key, const Vocabulary *v, int64_t id) {
    if (id >= 0) jw_string_n(w, key, v->tokens[id].text, v->tokens[id].length);
}

static Buf config_text(const Vocabulary *v) {
    JsonWriter w = {.pretty = true};
    char *chat = gguf_text(v->g, "tokenizer.chat_template", NULL);
    jw_object(&w, NULL);
    jw_bool(&w, "add_bos_token", v->adds_bos && v->bos >= 0);
    put_token(&w, "bos_token", v, v->bos);
    if (chat) jw_string(&w, "chat_template", chat);
    jw_bool(&w, "clean_up_tokenization_spaces", false);
    put_token(&w, "eos_token", v, v->eos), put_token(&w, "pad_token", v, v->pad);
    jw_string(&w, "tokenizer_class", "PreTrainedTokenizerFast");
    put_token(&w, "unk_token", v, v->unk);
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    mem_free(chat);
    return w.text;
}

/* ---- byte-level: tokenizer.json ---- */

/* The cuts by llama.cpp's names for them. */
static const struct {
    const char *name;
    Split split;
    bool each_digit, ignore_merges;
} cuts[] = {{"gpt-2", SPLIT_GPT2, false, false}, {"default", SPLIT_GPT2, false, false}, {"smollm", SPLIT_GPT2, true, false},
            {"qwen2", SPLIT_QWEN2, false, false}, {"deepseek-r1-qwen", SPLIT_QWEN2, false, false}, {"llama-bpe", SPLIT_LLAMA3, false, true},
            {"llama3", SPLIT_LLAMA3, false, true}, {"llama-v3", SPLIT_LLAMA3, false, true}};
enum { CUTS = sizeof cuts / sizeof *cuts };

static size_t cut_of(const Gguf *g) {
    char *name = gguf_text(g, "tokenizer.ggml.pre", "gpt-2");
    size_t i = 0;
    while (i < CUTS && strcmp(name, cuts[i].name)) i++;
    if (i == CUTS)
        bad_input("%s: tokenizer.ggml.pre is \"%.60s\", expected gpt-2, smollm, qwen2 or llama-bpe: another cut into words would give other tokens; "
                  "name the model's own tokenizer.json with --tokenizer", gguf_path(g), name);
    mem_free(name);
    return i;
}

static void put_byte_level(JsonWriter *w, const char *key, bool use_regex) {
    jw_object(w, key);
    jw_string(w, "type", "ByteLevel");
    jw_bool(w, "add_prefix_space", false), jw_bool(w, "trim_offsets", true), jw_bool(w, "use_regex", use_regex);
    jw_end_object(w);
}

static void put_pre_tokenizer(JsonWriter *w, size_t cut) {
    bool gpt2 = cuts[cut].split == SPLIT_GPT2;
    if (gpt2 && !cuts[cut].each_digit) {
        put_byte_level(w, "pre_tokenizer", true);
        return;
    }
    jw_object(w, "pre_tokenizer");
    jw_string(w, "type", "Sequence");
    jw_array(w, "pretokenizers");
    jw_object(w, NULL);
    if (cuts[cut].each_digit) jw_string(w, "type", "Digits"), jw_bool(w, "individual_digits", true);
    else {
        jw_string(w, "type", "Split");
        jw_object(w, "pattern"), jw_string(w, "Regex", split_regex(cuts[cut].split)), jw_end_object(w);
        jw_string(w, "behavior", "Isolated"), jw_bool(w, "invert", false);
    }
    jw_end_object(w);
    put_byte_level(w, NULL, gpt2);
    jw_end_array(w), jw_end_object(w);
}

static void put_part(JsonWriter *w, const char *kind, const Vocabulary *v, int64_t id) {
    jw_object(w, NULL), jw_object(w, kind);
    if (id < 0) jw_string(w, "id", "A");
    else put_token(w, "id", v, id);
    jw_int(w, "type_id", 0);
    jw_end_object(w), jw_end_object(w);
}

static void put_post_processor(JsonWriter *w, const Vocabulary *v) {
    if (!v->adds_bos || v->bos < 0) {
        put_byte_level(w, "post_processor", true);
        return;
    }
    char *bos = str_copy_n(v->tokens[v->bos].text, v->tokens[v->bos].length);
    jw_object(w, "post_processor"), jw_string(w, "type", "TemplateProcessing");
    for (int pair = 0; pair < 2; pair++) {
        jw_array(w, pair ? "pair" : "single");
        for (int i = 0; i <= pair; i++) put_part(w, "SpecialToken", v, v->bos), put_part(w, "Sequence", v, -1);
        jw_end_array(w);
    }
    jw_object(w, "special_tokens"), jw_object(w, bos);
    jw_string(w, "id", bos);
    jw_array(w, "ids"), jw_int(w, NULL, v->bos), jw_end_array(w);
    jw_array(w, "tokens"), jw_string(w, NULL, bos), jw_end_array(w);
    jw_end_object(w), jw_end_object(w), jw_end_object(w);
    mem_free(bos);
}

static void put_added(JsonWriter *w, const Vocabulary *v) {
    jw_array(w, "added_tokens");
    for (size_t i = 0; i < v->count; i++) {
        int64_t type = v->tokens[i].type;
        if (type == TYPE_NORMAL || type == TYPE_BYTE) continue;
        jw_object(w, NULL);
        jw_uint(w, "id", i), put_token(w, "content", v, (int64_t)i);
        jw_bool(w, "single_word", false), jw_bool(w, "lstrip", false), jw_bool(w, "rstrip", false), jw_bool(w, "normalized", false);
        jw_bool(w, "special", type != TYPE_USER_DEFINED);
        jw_end_object(w);
    }
    jw_end_array(w);
}

static void put_bpe(JsonWriter *w, const Vocabulary *v, size_t cut) {
    const GgufValue *merges = gguf_array(v->g, "tokenizer.ggml.merges", GGUF_STRING);
    if (!merges) bad_input("%s: no tokenizer.ggml.merges: " DAMAGED, gguf_path(v->g));
    jw_object(w, "model");
    jw_string(w, "type", "BPE");
    jw_null(w, "dropout"), jw_null(w, "unk_token"), jw_null(w, "continuing_subword_prefix"), jw_null(w, "end_of_word_suffix");
    jw_bool(w, "fuse_unk", false), jw_bool(w, "byte_fallback", false), jw_bool(w, "ignore_merges", cuts[cut].ignore_merges);
    jw_object(w, "vocab");
    for (size_t i = 0; i < v->count; i++) {
        char *text = str_copy_n(v->tokens[i].text, v->tokens[i].length);
        jw_uint(w, text, i);
        mem_free(text);
    }
    jw_end_object(w);
    jw_array(w, "merges");
    const unsigned char *at = merges->at;
    for (uint64_t i = 0; i < merges->count; i++) {
        size_t length;
        const char *text = gguf_next_string(&at, &length);
        jw_string_n(w, NULL, text, length);
    }
    jw_end_array(w), jw_end_object(w);
}

static Tokenizer *read_byte_level(const char *path, Vocabulary *v) {
    size_t cut = cut_of(v->g);
    v->adds_bos = gguf_bool(v->g, "tokenizer.ggml.add_bos_token", cuts[cut].split == SPLIT_LLAMA3);
    JsonWriter w = {.pretty = true};
    jw_object(&w, NULL);
    jw_string(&w, "version", "1.0");
    jw_null(&w, "truncation"), jw_null(&w, "padding");
    put_added(&w, v);
    if (cuts[cut].split == SPLIT_QWEN2) jw_object(&w, "normalizer"), jw_string(&w, "type", "NFC"), jw_end_object(&w); /* the file does not say it */
    else jw_null(&w, "normalizer");
    put_pre_tokenizer(&w, cut);
    put_post_processor(&w, v);
    put_byte_level(&w, "decoder", true);
    put_bpe(&w, v, cut);
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    Tokenizer *t = tokenizer_json_read(path, &w.text);
    keep_file(t, "tokenizer.json", w.text);
    return t;
}

/* ---- sentencepiece: tokenizer.model, a protobuf message (sentencepiece.c says which) ---- */

static void put_varint(Buf *b, uint64_t value) {
    for (; value >= 0x80; value >>= 7) buf_char(b, (char)((value & 0x7f) | 0x80));
    buf_char(b, (char)value);
}

static void put_field(Buf *b, unsigned number, const char *bytes, size_t n) {
    put_varint(b, number << 3 | 2);
    put_varint(b, n);
    buf_put(b, bytes, n);
}

static void put_switch(Buf *b, unsigned number, uint64_t value) {
    put_varint(b, number << 3);
    put_varint(b, value);
}

static void put_message(Buf *b, unsigned number, Buf *message) {
    put_field(b, number, message->data ? message->data : "", message->len);
    message->len = 0;
}

static Tokenizer *read_sentencepiece(const char *path, Vocabulary *v) {
    Buf model = {0}, part = {0};
    bool bytes = false;
    v->adds_bos = gguf_bool(v->g, "tokenizer.ggml.add_bos_token", true);
    for (size_t i = 0; i < v->count; i++) {
        const Token *t = &v->tokens[i];
        put_field(&part, 1, t->text, t->length);
        put_varint(&part, 2 << 3 | 5), buf_put(&part, &t->score, sizeof t->score);
        put_switch(&part, 3, (uint64_t)t->type);
        put_message(&model, 1, &part);
        bytes |= t->type == TYPE_BYTE;
    }
    put_switch(&part, 3, 2), put_switch(&part, 35, bytes); /* BPE, byte_fallback */
    if (v->bos >= 0) put_field(&part, 46, v->tokens[v->bos].text, v->tokens[v->bos].length);
    if (v->eos >= 0) put_field(&part, 47, v->tokens[v->eos].text, v->tokens[v->eos].length);
    put_message(&model, 2, &part);
    put_field(&part, 1, "identity", 8);
    put_switch(&part, 3, gguf_bool(v->g, "tokenizer.ggml.add_space_prefix", true));
    put_switch(&part, 4, gguf_bool(v->g, "tokenizer.ggml.remove_extra_whitespaces", false)), put_switch(&part, 5, 1);
    put_message(&model, 3, &part);
    buf_free(&part);
    Tokenizer *t = sentencepiece_read(path, &model);
    keep_file(t, "tokenizer.model", model);
    return t;
}

Tokenizer *gguf_tokenizer_read(const char *path) {
    Gguf *g = gguf_open(path);
    char *model = gguf_text(g, "tokenizer.ggml.model", "");
    bool byte_level = !strcmp(model, "gpt2");
    if (!byte_level && strcmp(model, "llama"))
        bad_input("%s: tokenizer.ggml.model is \"%.40s\", expected gpt2 or llama: name a tokenizer with --tokenizer", path, model);
    Vocabulary v = read_vocabulary(g);
    Tokenizer *t = byte_level ? read_byte_level(path, &v) : read_sentencepiece(path, &v);
    Buf config = config_text(&v);
    tokenizer_config_read(t, path, &config);
    keep_file(t, "tokenizer_config.json", config);
    mem_free(v.tokens), mem_free(model);
    gguf_close(g);
    return t;
}

/* ---- writing ---- */

static int32_t type_of_piece(const Tokenizer *t, size_t id) {
    if ((int32_t)id == t->unk && t->kind == KIND_METASPACE) return TYPE_UNKNOWN;
    switch (t->pieces[id].kind) {
    case PIECE_SPECIAL: return TYPE_CONTROL;
    case PIECE_UNKNOWN: return TYPE_UNKNOWN;
    case PIECE_ADDED: return TYPE_USER_DEFINED;
    case PIECE_BYTE: return TYPE_BYTE;
    default: return TYPE_NORMAL;
    }
}

/* Of a byte-level tokenizer; llama.cpp has these and no others. */
static const char *cut_name(const Tokenizer *t) {
    for (size_t i = 0; i < CUTS; i++)
        if (t->split == cuts[i].split && t->each_digit == cuts[i].each_digit && t->ignore_merges == cuts[i].ignore_merges && !t->prefix_space)
            return cuts[i].name;
    bad_input("%s: llama.cpp cuts no text into words as this tokenizer does (known: GPT-2, SmolLM, Qwen2, Llama 3): export without it is not possible",
              t->name);
}

/* sentencepiece's own score of a piece is minus its place in the order of merges; a vocabulary of merges has that order. */
static float *scores_of(const Tokenizer *t) {
    float *scores = mem_new(t->count, sizeof *scores);
    for (size_t i = 0; i < t->count; i++) scores[i] = t->sentencepiece ? t->pieces[i].score : 0;
    for (size_t i = 0; i < t->merges_size && !t->sentencepiece; i++) {
        const Merge *m = &t->merges[i];
        float score = -(float)m->rank - 1;
        if (m->pair != MERGE_EMPTY && (scores[m->id] >= 0 || score > scores[m->id])) scores[m->id] = score;
    }
    return scores;
}

static void put_merges(GgufWriter *w, const Tokenizer *t) {
    Merge *merges = merges_in_order(t);
    Buf text = {0};
    gguf_put_array(w, "tokenizer.ggml.merges", GGUF_STRING, t->merge_count);
    for (size_t i = 0; i < t->merge_count; i++) {
        merge_text(t, &merges[i], &text);
        gguf_item_text(w, text.data, text.len);
    }
    buf_free(&text), mem_free(merges);
}

static void put_id(GgufWriter *w, const char *key, int64_t id) {
    if (id >= 0) gguf_put_uint(w, key, (uint64_t)id);
}

/* The model's end tokens under the three names that llama.cpp has for them. */
static void put_ends(GgufWriter *w, const Tokenizer *t, const Config *c) {
    static const char *const ends[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
    put_id(w, "tokenizer.ggml.bos_token_id", t->bos != NO_PIECE ? t->bos : c->bos);
    if (!c->eos_count) put_id(w, ends[0], t->eos);
    for (int i = 0; i < c->eos_count && i < 3; i++) put_id(w, ends[i], c->eos[i]);
    put_id(w, "tokenizer.ggml.unknown_token_id", t->unk), put_id(w, "tokenizer.ggml.padding_token_id", c->pad);
}

void gguf_put_tokenizer(GgufWriter *w, const Tokenizer *t, const Config *c, const GgufChat *chat) {
    bool byte_level = t->kind == KIND_BYTE_LEVEL;
    const char *model = byte_level ? "gpt2" : "llama", *cut = byte_level ? cut_name(t) : "default";
    gguf_put_text(w, "tokenizer.ggml.model", model, strlen(model));
    gguf_put_text(w, "tokenizer.ggml.pre", cut, strlen(cut));
    gguf_put_array(w, "tokenizer.ggml.tokens", GGUF_STRING, c->vocab);
    for (size_t i = 0; i < c->vocab; i++) {
        char *filler = i < t->count ? NULL : str_format("[PAD%zu]", i);
        const char *text = filler ? filler : piece_text(t, (int32_t)i);
        gguf_item_text(w, text, filler ? strlen(filler) : t->pieces[i].text_len);
        mem_free(filler);
    }
    if (!byte_level) {
        float *scores = scores_of(t);
        gguf_put_array(w, "tokenizer.ggml.scores", GGUF_F32, c->vocab);
        for (size_t i = 0; i < c->vocab; i++) gguf_item_float(w, i < t->count ? scores[i] : -1e4f);
        mem_free(scores);
    }
    gguf_put_array(w, "tokenizer.ggml.token_type", GGUF_I32, c->vocab);
    for (size_t i = 0; i < c->vocab; i++) gguf_item_int(w, i < t->count ? type_of_piece(t, i) : TYPE_UNUSED);
    if (byte_level) put_merges(w, t);
    put_ends(w, t, c);
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", tokenizer_adds_bos(t) && !chat->writes_bos);
    if (!byte_level) {
        gguf_put_bool(w, "tokenizer.ggml.add_space_prefix", t->prepend || t->front != FRONT_NEVER);
        gguf_put_bool(w, "tokenizer.ggml.remove_extra_whitespaces", t->squeeze);
    }
    if (chat->chat_template) gguf_put_text(w, "tokenizer.chat_template", chat->chat_template, strlen(chat->chat_template));
}
