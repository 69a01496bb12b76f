/* config.json of Hugging Face: one reader and one writer for each family. A setting that changes the arithmetic and that this program
 * does not have is refused by name; what concerns training elsewhere (dropout, dtype, use_cache, …) is passed over. There is no
 * dropout here, and what is written says so. */
#include "hf.h"

#include "decimal.h"
#include "gguf.h"

#include <assert.h>
#include <string.h>

/* No model is larger; what lies beyond is a damaged file, found before memory is asked for. */
enum { MAX_VOCAB = 4000000, MAX_CTX = 1 << 20, MAX_DIM = 65536, MAX_FFN = 1 << 20, MAX_LAYERS = 1024, MAX_HEADS = 1024 };

/* ---- checked members ---- */

static size_t size_or(const JsonDoc *doc, const char *key, int64_t most, size_t fallback) {
    return (size_t)json_int(doc, json_root(doc), key, 1, most, (int64_t)fallback);
}

static size_t size_needed(const JsonDoc *doc, const char *key, int64_t most) {
    json_need(doc, json_root(doc), key, JSON_NUMBER);
    return size_or(doc, key, most, 0);
}

static _Noreturn void refuse(const JsonDoc *doc, const Json *value, const char *key, const char *expected) {
    const char *found = value->kind == JSON_NUMBER || value->kind == JSON_STRING ? value->string : json_kind_name(value->kind);
    if (value->kind == JSON_BOOL) found = value->boolean ? "true" : "false";
    bad_input("%s: line %zu: \"%s\": found %.200s, expected %s", json_name(doc), value->line, key, found, expected);
}

static double positive(const JsonDoc *doc, const Json *object, const char *key, double fallback) {
    double value = json_double(doc, object, key, fallback);
    if (!(value > 0 && is_finite(value))) refuse(doc, json_get(object, key), key, "a number above 0");
    return value;
}

/* A switch that this program has in one position only. */
static void must_be(const JsonDoc *doc, const char *key, bool value, const char *expected) {
    if (json_bool(doc, json_root(doc), key, value) != value) refuse(doc, json_get(json_root(doc), key), key, expected);
}

/* ---- token ids ----
 * transformers warns of an id beyond the vocabulary and goes on (its GPT-2 class has 50256 as the default of every size): such a token
 * cannot occur, so there is none. */

static int token_id(const Config *c, int64_t id) { return id >= 0 && id < (int64_t)c->vocab ? (int)id : -1; }

static int read_id(const JsonDoc *doc, const Config *c, const char *key, int fallback) {
    const Json *value = json_get(json_root(doc), key);
    if (!value) return token_id(c, fallback);
    if (value->kind == JSON_NULL) return -1;
    if (value->kind != JSON_NUMBER || !value->is_integer) refuse(doc, value, key, "a token id or null");
    return token_id(c, value->integer);
}

static void add_eos(Config *c, int64_t id) {
    if (token_id(c, id) >= 0) c->eos[c->eos_count++] = (int)id;
}

/* One id or a list of them. */
static void read_eos(const JsonDoc *doc, Config *c, int fallback) {
    static const char key[] = "eos_token_id";
    const Json *value = json_get(json_root(doc), key);
    c->eos_count = 0;
    if (!value) add_eos(c, fallback);
    else if (value->kind == JSON_NUMBER && value->is_integer) add_eos(c, value->integer);
    else if (value->kind == JSON_ARRAY) {
        if (value->count > MAX_EOS)
            bad_input("%s: line %zu: \"%s\": found %zu ids, expected at most %d", json_name(doc), value->line, key, value->count, MAX_EOS);
        for (size_t i = 0; i < value->count; i++) {
            if (value->items[i].kind != JSON_NUMBER || !value->items[i].is_integer)
                refuse(doc, &value->items[i], key, "token ids in the list");
            add_eos(c, value->items[i].integer);
        }
    } else if (value->kind != JSON_NULL) refuse(doc, value, key, "a token id, a list of them, or null");
}

static void read_common(const JsonDoc *doc, Config *c, int bos, int eos, bool tied) {
    const Json *root = json_root(doc);
    c->vocab = size_needed(doc, "vocab_size", MAX_VOCAB);
    c->tied = json_bool(doc, root, "tie_word_embeddings", tied);
    c->init_std = json_double(doc, root, "initializer_range", 0.02);
    if (!(c->init_std >= 0 && c->init_std <= 1))
        refuse(doc, json_get(root, "initializer_range"), "initializer_range", "a number from 0 to 1");
    c->bos = read_id(doc, c, "bos_token_id", bos);
    c->pad = read_id(doc, c, "pad_token_id", -1);
    read_eos(doc, c, eos);
}

/* ---- numbers and ids, written ---- */

/* Python tells 8 from 8.0, and transformers warns of the first where it wants a float. */
static void write_double(JsonWriter *w, const char *key, double value) {
    char text[DECIMAL_MAX];
    decimal_print(text, value);
    jw_double(w, key, value);
    if (!strpbrk(text, ".e")) buf_str(&w->text, ".0");
}

static void write_id(JsonWriter *w, const char *key, int id) {
    if (id < 0) jw_null(w, key);
    else jw_int(w, key, id);
}

static const char *dtype_name(const Config *c) {
    return c->saved_as == STORED_F16 ? "float16" : c->saved_as == STORED_BF16 ? "bfloat16" : "float32";
}

static void write_eos(JsonWriter *w, const Config *c) {
    if (c->eos_count < 2) {
        write_id(w, "eos_token_id", c->eos_count ? c->eos[0] : -1);
        return;
    }
    jw_array(w, "eos_token_id");
    for (int i = 0; i < c->eos_count; i++) jw_int(w, NULL, c->eos[i]);
    jw_end_array(w);
}

static void write_architecture(JsonWriter *w, const Config *c) {
    jw_array(w, "architectures");
    jw_string(w, NULL, hf_family(c)->architecture);
    jw_end_array(w);
}

/* ---- GPT-2 ---- */

static void read_gpt2(const JsonDoc *doc, Config *c) {
    const Json *root = json_root(doc);
    read_common(doc, c, 50256, 50256, true);
    c->ctx = json_get(root, "n_positions") || !json_get(root, "n_ctx") ? size_needed(doc, "n_positions", MAX_CTX)
                                                                       : size_needed(doc, "n_ctx", MAX_CTX);
    c->dim = size_needed(doc, "n_embd", MAX_DIM);
    c->layers = size_needed(doc, "n_layer", MAX_LAYERS);
    c->heads = c->kv_heads = size_needed(doc, "n_head", MAX_HEADS);
    if (c->dim % c->heads) bad_input("%s: n_embd %zu is no multiple of n_head %zu", json_name(doc), c->dim, c->heads);
    c->head_dim = c->dim / c->heads;
    c->ffn = size_or(doc, "n_inner", MAX_FFN, 4 * c->dim);
    c->norm_eps = positive(doc, root, "layer_norm_epsilon", 1e-5);
    c->qkv_bias = c->out_bias = c->mlp_bias = true;
    const char *act = json_string(doc, root, "activation_function", "gelu_new");
    if (strcmp(act, "gelu_new") && strcmp(act, "gelu_pytorch_tanh"))
        refuse(doc, json_get(root, "activation_function"), "activation_function", "gelu_new or gelu_pytorch_tanh (the tanh form of GELU)");
    must_be(doc, "scale_attn_weights", true, "true: attention without the scale 1/sqrt(head dimension) is not supported");
    must_be(doc, "scale_attn_by_inverse_layer_idx", false, "false: attention scaled by the layer's number is not supported");
    must_be(doc, "add_cross_attention", false, "false: cross-attention is not supported");
}

static void write_gpt2(JsonWriter *w, const Config *c) {
    jw_string(w, "activation_function", "gelu_new");
    write_architecture(w, c);
    write_double(w, "attn_pdrop", 0);
    write_id(w, "bos_token_id", c->bos);
    jw_string(w, "dtype", dtype_name(c));
    write_double(w, "embd_pdrop", 0);
    write_eos(w, c);
    write_double(w, "initializer_range", c->init_std);
    write_double(w, "layer_norm_epsilon", c->norm_eps);
    jw_string(w, "model_type", "gpt2");
    jw_uint(w, "n_ctx", c->ctx);
    jw_uint(w, "n_embd", c->dim);
    jw_uint(w, "n_head", c->heads);
    jw_uint(w, "n_inner", c->ffn);
    jw_uint(w, "n_layer", c->layers);
    jw_uint(w, "n_positions", c->ctx);
    write_id(w, "pad_token_id", c->pad);
    write_double(w, "resid_pdrop", 0);
    jw_bool(w, "tie_word_embeddings", c->tied);
    jw_string(w, "torch_dtype", dtype_name(c));
    jw_uint(w, "vocab_size", c->vocab);
}

/* ---- Llama ---- */

static void whole_heads(const JsonDoc *doc, const Json *object) {
    static const char key[] = "partial_rotary_factor";
    if (json_double(doc, object, key, 1) != 1) refuse(doc, json_get(object, key), key, "1: RoPE on a part of each head is not supported");
}

/* transformers 5 writes rope_parameters {rope_theta, rope_type, factor, …}; older versions rope_theta beside rope_scaling {rope_type or
 * type, factor, …} or null. Where both stand, transformers lets rope_scaling win, and a theta inside win over the one outside. */
static void read_rope(const JsonDoc *doc, Config *c) {
    const Json *root = json_root(doc), *rope = json_get(root, "rope_scaling");
    const char *where = "rope_scaling";
    if (!rope || rope->kind == JSON_NULL || (rope->kind == JSON_OBJECT && !rope->count)) rope = json_get(root, where = "rope_parameters");
    whole_heads(doc, root);
    c->rope_theta = positive(doc, root, "rope_theta", 10000);
    if (!rope || rope->kind == JSON_NULL) return;
    if (rope->kind != JSON_OBJECT) refuse(doc, rope, where, "an object or null");
    c->rope_theta = positive(doc, rope, "rope_theta", c->rope_theta);
    whole_heads(doc, rope);
    const char *key = json_get(rope, "rope_type") ? "rope_type" : "type", *type = json_string(doc, rope, key, "default");
    if (!strcmp(type, "default")) return;
    bool linear = !strcmp(type, "linear");
    if (!linear && strcmp(type, "llama3"))
        refuse(doc, json_get(rope, key), key, "default, linear or llama3: other kinds of RoPE scaling are not supported");
    c->rope_kind = linear ? ROPE_LINEAR : ROPE_LLAMA3;
    json_need(doc, rope, "factor", JSON_NUMBER);
    c->rope_factor = positive(doc, rope, "factor", 1);
    if (linear) return;
    json_need(doc, rope, "low_freq_factor", JSON_NUMBER), json_need(doc, rope, "high_freq_factor", JSON_NUMBER);
    c->rope_low = positive(doc, rope, "low_freq_factor", 1);
    c->rope_high = positive(doc, rope, "high_freq_factor", 4);
    c->rope_original_ctx = (double)json_int(doc, rope, "original_max_position_embeddings", 1, MAX_CTX, (int64_t)c->ctx);
    if (!(c->rope_low < c->rope_high)) refuse(doc, json_get(rope, "high_freq_factor"), "high_freq_factor", "more than low_freq_factor");
}

/* Attention to the last `sliding_window` tokens alone is not supported; where that is the whole context it is no restriction. Mistral has a
 * window unless its config says null; the Qwens have one where use_sliding_window is true, in the layers that layer_types names or from
 * max_window_layers on. */
static void refuse_window(const JsonDoc *doc, const Config *c) {
    static const char remedy[] = "no window: a model that attends to the last tokens alone is not supported; with max_position_embeddings no "
                                 "larger than the window it can be used, for texts as short as that";
    const Json *root = json_root(doc), *window = json_get(root, "sliding_window"), *types = json_get(root, "layer_types");
    bool qwen = c->dialect == DIALECT_QWEN2 || c->dialect == DIALECT_QWEN3;
    bool used = qwen ? json_bool(doc, root, "use_sliding_window", false) : c->dialect == DIALECT_MISTRAL && !(window && window->kind == JSON_NULL);
    if (used && (size_t)json_int(doc, root, "sliding_window", 1, INT64_MAX, 4096) < c->ctx) {
        if (window) refuse(doc, window, "sliding_window", remedy);
        bad_input("%s: there is no \"sliding_window\", which means 4096 in this family: expected null or at least max_position_embeddings (%zu)",
                  json_name(doc), c->ctx);
    }
    if (!types || types->kind == JSON_NULL) return;
    if (types->kind != JSON_ARRAY) refuse(doc, types, "layer_types", "a list");
    for (size_t i = 0; i < types->count; i++) {
        bool window_type = json_is(&types->items[i], "sliding_attention") && used; /* as wide as the context */
        if (!json_is(&types->items[i], "full_attention") && !window_type)
            refuse(doc, &types->items[i], "layer_types", "full_attention in every layer");
    }
}

/* Biases: Llama says by attention_bias, of all four; Qwen2 has them on q, k and v without saying so; Qwen3 as Llama; Mistral has none. */
static void read_llama(const JsonDoc *doc, Config *c) {
    const Json *root = json_root(doc);
    bool llama = c->dialect == DIALECT_LLAMA, mistral = c->dialect == DIALECT_MISTRAL, qwen2 = c->dialect == DIALECT_QWEN2;
    read_common(doc, c, llama || mistral ? 1 : -1, llama || mistral ? 2 : -1, false);
    c->ctx = size_needed(doc, "max_position_embeddings", MAX_CTX);
    c->dim = size_needed(doc, "hidden_size", MAX_DIM);
    c->layers = size_needed(doc, "num_hidden_layers", MAX_LAYERS);
    c->heads = size_needed(doc, "num_attention_heads", MAX_HEADS);
    c->kv_heads = size_or(doc, "num_key_value_heads", MAX_HEADS, !json_get(root, "num_key_value_heads") && mistral ? 8 : c->heads);
    c->head_dim = size_or(doc, "head_dim", MAX_DIM, c->dialect == DIALECT_QWEN3 ? 128 : 0);
    if (!c->head_dim && c->dim % c->heads)
        bad_input("%s: hidden_size %zu is no multiple of num_attention_heads %zu, and there is no head_dim", json_name(doc), c->dim,
                  c->heads);
    if (!c->head_dim) c->head_dim = c->dim / c->heads;
    c->ffn = size_needed(doc, "intermediate_size", MAX_FFN);
    c->norm_eps = positive(doc, root, "rms_norm_eps", 1e-6);
    c->qkv_bias = c->out_bias = (llama || c->dialect == DIALECT_QWEN3) && json_bool(doc, root, "attention_bias", false);
    c->qkv_bias |= qwen2;
    c->mlp_bias = llama && json_bool(doc, root, "mlp_bias", false);
    c->qk_norm = c->dialect == DIALECT_QWEN3;
    const char *act = json_string(doc, root, "hidden_act", "silu");
    if (strcmp(act, "silu") && strcmp(act, "swish")) refuse(doc, json_get(root, "hidden_act"), "hidden_act", "silu");
    read_rope(doc, c);
    refuse_window(doc, c);
}

static void write_scaling(JsonWriter *w, const Config *c) {
    write_double(w, "factor", c->rope_factor);
    if (c->rope_kind == ROPE_LLAMA3) {
        write_double(w, "high_freq_factor", c->rope_high);
        write_double(w, "low_freq_factor", c->rope_low);
        jw_uint(w, "original_max_position_embeddings", (uint64_t)c->rope_original_ctx);
    }
}

/* Both styles, so that transformers of any age reads the same. */
static void write_rope(JsonWriter *w, const Config *c) {
    const char *type = c->rope_kind == ROPE_LLAMA3 ? "llama3" : c->rope_kind == ROPE_LINEAR ? "linear" : "default";
    jw_object(w, "rope_parameters");
    if (c->rope_kind != ROPE_PLAIN) write_scaling(w, c);
    write_double(w, "rope_theta", c->rope_theta);
    jw_string(w, "rope_type", type);
    jw_end_object(w);
    if (c->rope_kind == ROPE_PLAIN) jw_null(w, "rope_scaling");
    else {
        jw_object(w, "rope_scaling");
        write_scaling(w, c);
        jw_string(w, "rope_type", type);
        jw_end_object(w);
    }
    write_double(w, "rope_theta", c->rope_theta);
}

static void write_llama(JsonWriter *w, const Config *c) {
    const HfFamily *family = hf_family(c);
    bool qwen = family->dialect == DIALECT_QWEN2 || family->dialect == DIALECT_QWEN3, llama = family->dialect == DIALECT_LLAMA;
    write_architecture(w, c);
    if (family->dialect != DIALECT_MISTRAL && family->dialect != DIALECT_QWEN2) jw_bool(w, "attention_bias", c->qkv_bias);
    write_double(w, "attention_dropout", 0);
    write_id(w, "bos_token_id", c->bos);
    jw_string(w, "dtype", dtype_name(c));
    write_eos(w, c);
    jw_uint(w, "head_dim", c->head_dim);
    jw_string(w, "hidden_act", "silu");
    jw_uint(w, "hidden_size", c->dim);
    write_double(w, "initializer_range", c->init_std);
    jw_uint(w, "intermediate_size", c->ffn);
    jw_uint(w, "max_position_embeddings", c->ctx);
    if (llama) jw_bool(w, "mlp_bias", c->mlp_bias);
    jw_string(w, "model_type", family->model_type);
    jw_uint(w, "num_attention_heads", c->heads);
    jw_uint(w, "num_hidden_layers", c->layers);
    jw_uint(w, "num_key_value_heads", c->kv_heads);
    write_id(w, "pad_token_id", c->pad);
    write_double(w, "rms_norm_eps", c->norm_eps);
    write_rope(w, c);
    if (!llama) jw_null(w, "sliding_window");
    jw_bool(w, "tie_word_embeddings", c->tied);
    jw_string(w, "torch_dtype", dtype_name(c));
    if (qwen) jw_bool(w, "use_sliding_window", false);
    jw_uint(w, "vocab_size", c->vocab);
}

/* ---- the families ---- */

#define LLAMA_NAMES "model.", "embed_tokens.weight", {".rotary_emb.inv_freq"}, read_llama, write_llama
static const HfFamily families[] = {
    {FAMILY_GPT2, DIALECT_LLAMA, "gpt2", "GPT2LMHeadModel", "transformer.", "wte.weight", {".attn.bias", ".attn.masked_bias"}, read_gpt2, write_gpt2},
    {FAMILY_LLAMA, DIALECT_LLAMA, "llama", "LlamaForCausalLM", LLAMA_NAMES},
    {FAMILY_LLAMA, DIALECT_MISTRAL, "mistral", "MistralForCausalLM", LLAMA_NAMES},
    {FAMILY_LLAMA, DIALECT_QWEN2, "qwen2", "Qwen2ForCausalLM", LLAMA_NAMES},
    {FAMILY_LLAMA, DIALECT_QWEN3, "qwen3", "Qwen3ForCausalLM", LLAMA_NAMES},
};
enum { FAMILIES = sizeof families / sizeof *families };

/* The name under which transformers computes just this. What a config was called when it was read stays, where it can be called so. */
const HfFamily *hf_family(const Config *c) {
    Dialect dialect = c->family == FAMILY_GPT2                             ? DIALECT_LLAMA
                      : c->qk_norm                                         ? DIALECT_QWEN3
                      : c->qkv_bias != c->out_bias                         ? DIALECT_QWEN2
                      : c->dialect == DIALECT_MISTRAL && !c->qkv_bias && !c->mlp_bias ? DIALECT_MISTRAL
                                                                           : DIALECT_LLAMA;
    assert(!(c->mlp_bias && dialect != DIALECT_LLAMA && c->family == FAMILY_LLAMA) && "no class of transformers has these biases");
    for (size_t i = 0; i < FAMILIES; i++)
        if (families[i].family == c->family && families[i].dialect == dialect) return &families[i];
    assert(!"every family is in the table");
    return NULL;
}

static const HfFamily *family_of(const JsonDoc *doc) {
    const Json *type = json_need(doc, json_root(doc), "model_type", JSON_STRING);
    Buf known = {0};
    size_t i = 0;
    for (; i < FAMILIES && !json_is(type, families[i].model_type); i++) buf_format(&known, "%s%s", i ? ", " : "", families[i].model_type);
    if (i == FAMILIES)
        bad_input("%s: line %zu: \"model_type\": found \"%.200s\", expected one of the families supported: %s", json_name(doc), type->line,
                  type->string, known.data);
    buf_free(&known);
    return &families[i];
}

/* transformers stops generating at the ids of generation_config.json, where there are any; chat models have more of them there. */
static void read_generation(const char *dir, Config *c) {
    char *path = os_join(dir, "generation_config.json");
    if (os_exists(path)) {
        JsonDoc *doc = json_read(path);
        const Json *eos = json_get(json_root(doc), "eos_token_id");
        if (json_root(doc)->kind != JSON_OBJECT) bad_input("%s: holds %s, expected an object", path, json_kind_name(json_root(doc)->kind));
        if (eos && eos->kind != JSON_NULL) read_eos(doc, c, -1);
        json_free(doc);
    }
    mem_free(path);
}

Config config_of_json(const JsonDoc *doc) {
    const Json *root = json_root(doc);
    if (root->kind != JSON_OBJECT) bad_input("%s: holds %s, expected an object", json_name(doc), json_kind_name(root->kind));
    const HfFamily *family = family_of(doc);
    static const char *const quantized[] = {"quantization_config", "quantization"}; /* the second: mlx-lm's */
    for (int i = 0; i < 2; i++) {
        const Json *quantization = json_get(root, quantized[i]);
        if (quantization && quantization->kind != JSON_NULL)
            bad_input("%s: line %zu: \"%s\": quantized weights are not read: take the model in f32, f16 or bf16, or as GGUF", json_name(doc),
                      quantization->line, quantized[i]);
    }
    Config c = {.family = family->family, .dialect = family->dialect};
    family->read(doc, &c);
    hf_check_keys(doc, c.family);
    return c;
}

Config config_load(const char *dir) {
    if (gguf_named(dir)) return gguf_config(dir);
    char *path = os_join(dir, "config.json");
    JsonDoc *doc = json_read(path);
    Config c = config_of_json(doc);
    json_free(doc);
    mem_free(path);
    read_generation(dir, &c);
    return c;
}

Buf hf_config_text(const Config *c) {
    JsonWriter w = {.pretty = true};
    jw_object(&w, NULL);
    hf_family(c)->write(&w, c);
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    return w.text;
}

Buf hf_generation_text(const Config *c) {
    JsonWriter w = {.pretty = true};
    jw_object(&w, NULL);
    if (c->bos >= 0) jw_int(&w, "bos_token_id", c->bos);
    if (c->eos_count) write_eos(&w, c);
    if (c->pad >= 0) jw_int(&w, "pad_token_id", c->pad);
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    return w.text;
}
