/* Models out of llama.cpp's files. The keys become the config.json that they stand for and go through its reader, so that what is
 * refused there is refused here. What is quantised is written out in floats: a float more or less would be another model. */
#include "gguf_model.h"

#include "fp.h"
#include "hf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- names ---- */

static const struct {
    const char *ours, *theirs;
} names[] = {{"embed_tokens", "token_embd"}, {"norm", "output_norm"}, {"lm_head", "output"}, {"input_layernorm", "attn_norm"},
             {"self_attn.q_proj", "attn_q"}, {"self_attn.k_proj", "attn_k"}, {"self_attn.v_proj", "attn_v"}, {"self_attn.o_proj", "attn_output"},
             {"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"}, {"post_attention_layernorm", "ffn_norm"},
             {"mlp.gate_proj", "ffn_gate"}, {"mlp.up_proj", "ffn_up"}, {"mlp.down_proj", "ffn_down"},
             {"wte", "token_embd"}, {"wpe", "position_embd"}, {"ln_f", "output_norm"}, {"ln_1", "attn_norm"}, {"attn.c_attn", "attn_qkv"},
             {"attn.c_proj", "attn_output"}, {"ln_2", "ffn_norm"}, {"mlp.c_fc", "ffn_up"}, {"mlp.c_proj", "ffn_down"}};

/* Mistral is a Llama there. */
const char *gguf_architecture(const Config *c) {
    const char *type = hf_family(c)->model_type;
    return strcmp(type, "mistral") ? type : "llama";
}

static const char *behind(const char *name, const char *prefix) { return str_starts(name, prefix) ? name + strlen(prefix) : name; }

char *gguf_name(const Model *m, const Param *p) {
    const char *prefixes[] = {"base_model.model.", "model.", "transformer."}, *module = p->name, *ends[] = {".weight", ".bias", ".lora_A", ".lora_B"};
    char block[40] = "";
    (void)m;
    for (size_t i = 0; i < 3; i++) module = behind(module, prefixes[i]);
    const char *layers = behind(module, "layers."), *in_block = layers != module ? layers : behind(module, "h.");
    if (in_block != module) {
        size_t digits = strspn(in_block, "0123456789");
        snprintf(block, sizeof block, "blk.%.*s.", (int)(digits < 10 ? digits : 10), in_block);
        module = in_block + digits + 1;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i].ours);
        if (strncmp(module, names[i].ours, n)) continue;
        for (size_t e = 0; e < 4; e++)
            if (str_starts(module + n, ends[e]))
                return e < 2 ? str_format("%s%s%s", block, names[i].theirs, ends[e])
                             : str_format("%s%s.weight.%s", block, names[i].theirs, e == 2 ? "lora_a" : "lora_b");
    }
    assert(!"every tensor of the registry has a name in llama.cpp");
    return NULL;
}

/* ---- layout ---- */

/* The matrix that an adapter's A or B belongs to, or the Param itself. */
static const Param *base_of(const Model *m, const Param *p, bool *is_a) {
    *is_a = false;
    for (size_t i = 0; p->adapter && i < m->adapter->count; i++) {
        *is_a = m->adapter->loras[i].a == p;
        if (*is_a || m->adapter->loras[i].b == p) return m->adapter->linears[i]->w;
    }
    return p;
}

GgufLayout gguf_layout(const Model *m, const Param *p) {
    GgufLayout l = {.rank = p->rank, .rows = 1, .columns = p->shape[0]};
    bool is_a;
    const Param *base = base_of(m, p, &is_a);
    char *name = gguf_name(m, base);
    if (p->rank == 2) {
        l.transposed = p->conv1d;
        l.rows = p->shape[p->conv1d ? 1 : 0], l.columns = p->shape[p->conv1d ? 0 : 1];
    }
    bool pairs = !strcmp(gguf_architecture(&m->config), "llama") && (strstr(name, ".attn_q.") || strstr(name, ".attn_k."));
    if (pairs && !is_a) l.head_dim = m->config.head_dim;
    mem_free(name);
    return l;
}

size_t gguf_place(const GgufLayout *l, size_t row, size_t column) {
    size_t out = l->rank == 1 ? column : row, i = l->head_dim ? out % l->head_dim : 0;
    if (l->head_dim) out += i / 2 + i % 2 * (l->head_dim / 2) - i;
    if (l->rank == 1) return out;
    return l->transposed ? column * l->rows + out : out * l->columns + column;
}

/* A 16-bit float comes back from the float that it is. */
static void set_element(Param *p, size_t i, float x) {
    if (p->stored == STORED_REAL) ((real *)p->w)[i] = (real)x;
    else ((uint16_t *)p->w)[i] = p->stored == STORED_F16 ? f16_round(x) : bf16_round(x);
}

void gguf_row_of(const GgufLayout *l, const Param *p, size_t row, float *out) {
    for (size_t column = 0; column < l->columns; column++) out[column] = (float)stored_value(p->w, p->stored, gguf_place(l, row, column));
}

static void fill(const Gguf *g, const Model *m, Param *p, bool keep_16bit, bool outline) {
    GgufLayout l = gguf_layout(m, p);
    char *name = gguf_name(m, p);
    const GgufTensor *t = gguf_find(g, name);
    if (!t) bad_input("%s: tensor %s is missing, though the file's keys describe a model that has it", gguf_path(g), name);
    uint64_t rows = t->rank > 1 ? t->dims[1] : 1;
    if (t->rank != l.rank || t->dims[0] != l.columns || rows != l.rows)
        bad_input("%s: tensor %s has the dimensions %llu x %llu, expected %zu x %zu by the file's keys: the file is damaged", gguf_path(g), name,
                  (unsigned long long)t->dims[0], (unsigned long long)rows, l.columns, l.rows);
    bool half = t->type == GGML_F16 || t->type == GGML_BF16;
    bool kept = !p->w && keep_16bit && half && p->rank == 2 && sizeof(real) == sizeof(float);
    if (kept) p->stored = t->type == GGML_F16 ? STORED_F16 : STORED_BF16;
    if (outline) {
        mem_free(name);
        return;
    }
    if (!p->w) p->w = mem_new(param_size(p), kept ? sizeof(uint16_t) : sizeof(real));
    float *row = mem_new(l.columns, sizeof *row);
    for (size_t i = 0; i < l.rows; i++) {
        ggml_dequantize(t->type, t->data + i * (t->bytes / l.rows), row, l.columns);
        check_finite(gguf_path(g), name, ST_F32, (const unsigned char *)row, l.columns);
        for (size_t column = 0; column < l.columns; column++) set_element(p, gguf_place(&l, i, column), row[column]);
    }
    mem_free(row), mem_free(name);
}

void gguf_fill(const Gguf *g, const Model *m, Param *p, bool keep_16bit) { fill(g, m, p, keep_16bit, false); }

/* ---- RoPE's factors ---- */

void gguf_rope_factors(const Config *c, float *factors) {
    const double two_pi = 6.283185307179586;
    for (size_t i = 0; i < c->head_dim / 2; i++) {
        double wave = two_pi * d_pow(c->rope_theta, 2 * (double)i / (double)c->head_dim), old = c->rope_original_ctx;
        double smooth = (old / wave - c->rope_low) / (c->rope_high - c->rope_low);
        if (wave < old / c->rope_high) factors[i] = 1;
        else if (wave > old / c->rope_low) factors[i] = (float)c->rope_factor;
        else factors[i] = (float)(1 / ((1 - smooth) / c->rope_factor + smooth));
    }
}

/* The file holds what Llama 3's rule gives and not the rule; its settings are found again: Llama's own low and high, and a context that
 * was a power of two. */
static void find_rope_rule(const Gguf *g, const GgufTensor *t, Config *c) {
    size_t n = c->head_dim / 2;
    float *found = mem_new(n, sizeof *found), *rule = mem_new(n, sizeof *rule);
    if (t->rank != 1 || t->dims[0] != n)
        bad_input("%s: rope_freqs.weight has %llu factors, expected %zu: the file is damaged", gguf_path(g), (unsigned long long)t->dims[0], n);
    ggml_dequantize(t->type, t->data, found, n);
    c->rope_kind = ROPE_LLAMA3, c->rope_low = 1, c->rope_high = 4, c->rope_factor = (double)found[n - 1];
    bool same = false;
    for (c->rope_original_ctx = 256; !same && c->rope_original_ctx <= 1048576; c->rope_original_ctx *= 2) {
        gguf_rope_factors(c, rule);
        same = true;
        for (size_t i = 0; i < n; i++) same = same && found[i] > rule[i] * 0.9999f && found[i] < rule[i] * 1.0001f;
        if (same) break;
    }
    if (!same) bad_input("%s: rope_freqs.weight stretches RoPE by another rule than Llama 3's, which is not supported", gguf_path(g));
    mem_free(found), mem_free(rule);
}

/* ---- config.json out of keys ---- */

static const char *key_of(const char *architecture, const char *name, char room[128]) {
    snprintf(room, 128, "%.60s.%s", architecture, name);
    return room;
}

static void put_size(JsonWriter *w, const Gguf *g, const char *json, const char *architecture, const char *name) {
    char key[128];
    key_of(architecture, name, key);
    if (!gguf_get(g, key)) bad_input("%s: key %s is missing: the file is damaged or of a kind that is not known here", gguf_path(g), key);
    jw_int(w, json, gguf_int(g, key, 1, INT32_MAX, 0));
}

static int64_t size_at(const Gguf *g, const char *architecture, const char *name, int64_t fallback) {
    char key[128];
    return gguf_int(g, key_of(architecture, name, key), 0, INT32_MAX, fallback);
}

/* What changes the arithmetic and is not here. */
static void check_settings(const Gguf *g, const char *a, int64_t head_dim) {
    char key[128];
    static const char *const zero[] = {"expert_count", "attention.sliding_window", "attention.clamp_kqv", "logit_scale", "residual_scale",
        "embedding_scale", "attention.max_alibi_bias", "attn_logit_softcapping", "final_logit_softcapping"};
    for (size_t i = 0; i < sizeof zero / sizeof *zero; i++) {
        const GgufValue *v = gguf_get(g, key_of(a, zero[i], key));
        bool fraction = v && (v->kind == GGUF_F32 || v->kind == GGUF_F64);
        double value = !v ? 0 : fraction ? gguf_real(g, key, 0) : (double)gguf_int(g, key, 0, INT64_MAX, 0);
        if (value != 0) bad_input("%s: key %s is set: such a model is not supported", gguf_path(g), key);
    }
    if (size_at(g, a, "attention.value_length", head_dim) != head_dim || size_at(g, a, "rope.dimension_count", head_dim) != head_dim)
        bad_input("%s: %s.attention.value_length or rope.dimension_count differ from the head dimension %d: such a model is not supported",
                  gguf_path(g), a, (int)head_dim);
}

static void put_rope(JsonWriter *w, const Gguf *g, const char *a) {
    char key[128];
    jw_float(w, "rope_theta", (float)gguf_real(g, key_of(a, "rope.freq_base", key), 10000));
    char *type = gguf_text(g, key_of(a, "rope.scaling.type", key), "none");
    if (!strcmp(type, "none")) jw_null(w, "rope_scaling");
    else {
        jw_object(w, "rope_scaling");
        jw_string(w, "rope_type", type);
        jw_float(w, "factor", (float)gguf_real(g, key_of(a, "rope.scaling.factor", key), 1));
        jw_end_object(w);
    }
    mem_free(type);
}

static void put_ids(JsonWriter *w, const Gguf *g, int64_t vocab) {
    static const char *const ends[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};
    static const char *const others[][2] = {{"bos_token_id", "tokenizer.ggml.bos_token_id"}, {"pad_token_id", "tokenizer.ggml.padding_token_id"}};
    int64_t seen[3];
    size_t count = 0;
    jw_array(w, "eos_token_id");
    for (size_t i = 0; i < 3; i++) {
        int64_t id = gguf_int(g, ends[i], -1, UINT32_MAX, -1);
        bool known = id < 0 || id >= vocab;
        for (size_t j = 0; j < count; j++) known |= seen[j] == id;
        if (!known) jw_int(w, NULL, seen[count++] = id);
    }
    jw_end_array(w);
    for (size_t i = 0; i < 2; i++) {
        int64_t id = gguf_int(g, others[i][1], -1, UINT32_MAX, -1);
        if (id >= 0 && id < vocab) jw_int(w, others[i][0], id);
        else jw_null(w, others[i][0]);
    }
}

static void put_gpt2(JsonWriter *w, const Gguf *g, const char *a) {
    char key[128];
    put_size(w, g, "n_positions", a, "context_length"), put_size(w, g, "n_embd", a, "embedding_length");
    put_size(w, g, "n_layer", a, "block_count"), put_size(w, g, "n_head", a, "attention.head_count");
    put_size(w, g, "n_inner", a, "feed_forward_length");
    jw_string(w, "activation_function", "gelu_new");
    jw_float(w, "layer_norm_epsilon", (float)gguf_real(g, key_of(a, "attention.layer_norm_epsilon", key), 1e-5));
}

static void put_llama(JsonWriter *w, const Gguf *g, const char *a) {
    char key[128];
    int64_t heads = size_at(g, a, "attention.head_count", 0), kv = size_at(g, a, "attention.head_count_kv", heads);
    int64_t dim = size_at(g, a, "embedding_length", 0), head_dim = size_at(g, a, "attention.key_length", heads ? dim / heads : 0);
    put_size(w, g, "max_position_embeddings", a, "context_length"), put_size(w, g, "hidden_size", a, "embedding_length");
    put_size(w, g, "num_hidden_layers", a, "block_count"), put_size(w, g, "num_attention_heads", a, "attention.head_count");
    put_size(w, g, "intermediate_size", a, "feed_forward_length");
    jw_int(w, "num_key_value_heads", kv), jw_int(w, "head_dim", head_dim);
    jw_float(w, "rms_norm_eps", (float)gguf_real(g, key_of(a, "attention.layer_norm_rms_epsilon", key), 1e-6));
    jw_bool(w, "attention_bias", gguf_find(g, "blk.0.attn_output.bias") != NULL), jw_bool(w, "mlp_bias", gguf_find(g, "blk.0.ffn_down.bias") != NULL);
    jw_string(w, "hidden_act", "silu");
    put_rope(w, g, a);
    check_settings(g, a, head_dim);
    /* before a table of context x head dimension is made */
    const GgufTensor *q = gguf_find(g, "blk.0.attn_q.weight");
    if (!q || q->rank != 2 || q->dims[1] != (uint64_t)heads * (uint64_t)head_dim)
        bad_input("%s: blk.0.attn_q.weight is missing, or has not %lld heads of %lld rows: the file is damaged", gguf_path(g), (long long)heads,
                  (long long)head_dim);
}

/* Older files have a head of its own that is the embedding once more. */
static bool is_tied(const Gguf *g, const GgufTensor *embedding) {
    const GgufTensor *head = gguf_find(g, "output.weight");
    return !head || (head->type == embedding->type && head->bytes == embedding->bytes && !memcmp(head->dims, embedding->dims, sizeof head->dims) &&
                     !memcmp(head->data, embedding->data, (size_t)head->bytes));
}

static Config read_config(const Gguf *g) {
    char *a = gguf_text(g, "general.architecture", ""), *kind = gguf_text(g, "general.type", "model");
    if (strcmp(kind, "model"))
        bad_input("%s: general.type is \"%.40s\", expected a model%s", gguf_path(g), kind,
                  strcmp(kind, "adapter") ? "" : ": an adapter is named with --adapter");
    const GgufTensor *embedding = gguf_find(g, "token_embd.weight"), *factors = gguf_find(g, "rope_freqs.weight");
    if (!embedding || embedding->rank != 2 || embedding->dims[1] > INT32_MAX)
        bad_input("%s: no tensor token_embd.weight of two dimensions: no language model", gguf_path(g));
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_string(&w, "model_type", a);
    jw_uint(&w, "vocab_size", embedding->dims[1]);
    jw_bool(&w, "tie_word_embeddings", is_tied(g, embedding));
    put_ids(&w, g, (int64_t)embedding->dims[1]);
    if (!strcmp(a, "gpt2")) put_gpt2(&w, g, a);
    else put_llama(&w, g, a);
    jw_end_object(&w);
    JsonDoc *doc = json_parse(w.text.data, w.text.len, gguf_path(g), 1);
    Config c = config_of_json(doc);
    if (factors) find_rope_rule(g, factors, &c);
    json_free(doc), buf_free(&w.text), mem_free(a), mem_free(kind);
    return c;
}

Config gguf_config(const char *path) {
    Gguf *g = gguf_open(path);
    Config c = read_config(g);
    gguf_close(g);
    return c;
}

static void check_all_used(const Gguf *g, const Model *m) {
    bool *used = mem_new(gguf_count(g), sizeof *used);
    for (size_t i = 0; i < m->count; i++) {
        char *name = gguf_name(m, m->params[i]);
        used[gguf_find(g, name) - gguf_tensor(g, 0)] = true;
        mem_free(name);
    }
    for (size_t i = 0; i < gguf_count(g); i++) {
        const char *name = gguf_tensor(g, i)->name;
        bool known = used[i] || !strcmp(name, "rope_freqs.weight") || (m->config.tied && !strcmp(name, "output.weight")) ||
                     str_ends(name, ".attn_rot_embd") || str_ends(name, ".rot_embd"); /* frequencies that old files have for each layer */
        if (!known) bad_input("%s: tensor %s is no part of the %s model that the keys describe", gguf_path(g), name, gguf_architecture(&m->config));
    }
    mem_free(used);
}

/* 16 bits where all matrices but GPT-2's positions have them: what was quantised is written in f32, which alone holds it. */
static Stored held_as(const Gguf *g) {
    GgmlType type = gguf_find(g, "token_embd.weight")->type;
    for (size_t i = 0; i < gguf_count(g); i++) {
        const GgufTensor *t = gguf_tensor(g, i);
        if (t->rank == 2 && t->type != type && strcmp(t->name, "position_embd.weight")) return STORED_REAL;
    }
    return type == GGML_F16 ? STORED_F16 : type == GGML_BF16 ? STORED_BF16 : STORED_REAL;
}

static Model *load(const char *path, bool keep_16bit, bool outline) {
    Gguf *g = gguf_open(path);
    Config c = read_config(g);
    Model *m = model_new(&c, path);
    m->read_as = held_as(g);
    for (size_t i = 0; i < m->count; i++) fill(g, m, m->params[i], keep_16bit, outline);
    check_all_used(g, m);
    gguf_close(g);
    return m;
}

Model *gguf_load(const char *path, bool keep_16bit) { return load(path, keep_16bit, false); }
Model *gguf_outline(const char *path, bool keep_16bit) { return load(path, keep_16bit, true); }
