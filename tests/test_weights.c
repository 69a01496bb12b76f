/* Model folders: config.json of both families, weights in three types, what must be refused; llama2.c's files. */
#include "../weights.h"
#include "scratch.h"
#include "test.h"

/* ---- small models ---- */

static Config small_llama(void) {
    return (Config){.family = FAMILY_LLAMA, .vocab = 11, .ctx = 6, .dim = 12, .layers = 2, .heads = 4, .kv_heads = 2, .head_dim = 6,
                    .ffn = 7, .norm_eps = 1e-5, .rope_theta = 500, .init_std = 0.02, .bos = 1, .pad = -1, .eos = {2}, .eos_count = 1};
}

static Config small_gpt2(void) {
    return (Config){.family = FAMILY_GPT2, .vocab = 11, .ctx = 6, .dim = 12, .layers = 2, .heads = 3, .kv_heads = 3, .head_dim = 4, .ffn
                    = 9, .tied = true, .qkv_bias = true, .out_bias = true, .mlp_bias = true, .norm_eps = 1e-5, .init_std = 0.02, .bos =
                    -1, .pad = 3, .eos = {2, 5}, .eos_count = 2};
}

static Model *random_model(Config c, uint32_t seed) {
    Model *m = model_new(&c, "test");
    model_alloc_weights(m);
    model_init(m, seed);
    for (size_t i = 0; i < m->count; i++) /* no two vectors of zeros or ones */
        for (size_t j = 0; j < param_size(m->params[i]); j++) ((real *)m->params[i]->w)[j] += (real)(0.125 * (double)(i + j % 7));
    return m;
}

static const char *folder(const char *name, const Model *m) {
    os_make_dir(scratch(name));
    model_save(m, scratch(name));
    return scratch(name);
}

static bool same_weights(const Model *a, const Model *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        const Param *p = a->params[i], *q = b->params[i];
        same = !strcmp(p->name, q->name) && param_size(p) == param_size(q) && p->stored == q->stored &&
               !memcmp(p->w, q->w, param_size(p) * sizeof(real));
    }
    return same;
}

static bool same_file(const char *a, const char *b) {
    Buf x = os_read(a), y = os_read(b);
    bool same = x.len == y.len && !memcmp(x.data, y.data, x.len);
    buf_free(&x), buf_free(&y);
    return same;
}

/* The tensors of a model as they would be saved, to be spoiled one by one. */
static StTensor *tensors_of(const Model *m, size_t extra) {
    StTensor *t = mem_new(m->count + extra, sizeof *t);
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        t[i] = (StTensor){.name = p->name, .type = ST_F32, .rank = p->rank, .dims = {p->shape[0], p->shape[1]}, .data = p->w};
    }
    return t;
}

static void write_tensors(const char *name, const StTensor *t, size_t count) {
    char *path = os_join(scratch(name), "model.safetensors");
    st_write(path, t, count);
    mem_free(path);
}

/* ---- saving and loading ---- */

static void test_round_trip(void) {
    for (int kind = 0; kind < 8; kind++) {
        Config c = kind & 1 ? small_gpt2() : small_llama();
        c.tied = kind & 2;
        c.bare_names = kind & 4;
        if (kind == 0) c.qkv_bias = c.out_bias = c.mlp_bias = true;
        if (kind == 2) c.rope_kind = ROPE_LINEAR, c.rope_factor = 8;
        if (kind == 4)
            c.rope_kind = ROPE_LLAMA3, c.rope_factor = 32.5, c.rope_low = 1, c.rope_high = 4, c.rope_original_ctx = 3,
            c.rope_theta = 1e5 / 3;
        Model *m = random_model(c, (uint32_t)kind);
        const char *first = folder("first", m), *second;
        Model *again = model_load(first, kind & 1);
        CHECK(same_weights(m, again), "kind %d", kind);
        Config *d = &again->config;
        CHECK(!memcmp(m->config.eos, d->eos, sizeof d->eos) && d->eos_count == c.eos_count && d->bos == c.bos && d->pad == c.pad);
        CHECK(d->family == c.family && d->vocab == c.vocab && d->ctx == c.ctx && d->dim == c.dim && d->layers == c.layers &&
              d->heads == c.heads);
        CHECK(d->kv_heads == c.kv_heads && d->head_dim == c.head_dim && d->ffn == c.ffn && d->tied == c.tied &&
              d->bare_names == c.bare_names);
        CHECK(d->qkv_bias == c.qkv_bias && d->out_bias == c.out_bias && d->mlp_bias == c.mlp_bias && d->rope_kind == c.rope_kind);
        CHECK(double_bits(d->norm_eps) == double_bits(c.norm_eps) && double_bits(d->init_std) == double_bits(c.init_std));
        if (c.family == FAMILY_LLAMA)
            CHECK(double_bits(d->rope_theta) == double_bits(c.rope_theta) && double_bits(d->rope_factor) == double_bits(c.rope_factor));
        CHECK(double_bits(d->rope_low) == double_bits(c.rope_low) && double_bits(d->rope_high) == double_bits(c.rope_high) &&
              double_bits(d->rope_original_ctx) == double_bits(c.rope_original_ctx));
        second = folder("second", again);
        static const char *const files[] = {"config.json", "generation_config.json", "model.safetensors"};
        for (size_t i = 0; i < 3; i++) {
            char *a = os_join(first, files[i]), *b = os_join(second, files[i]);
            CHECK(same_file(a, b), "%s", files[i]);
            mem_free(a), mem_free(b);
        }
        model_free(m), model_free(again);
    }
}

/* The bytes are fixed: a change here changes every hash of a folder. */
static void test_config_text(void) {
    Config c = small_gpt2();
    Model *m = random_model(c, 1);
    folder("text", m);
    Buf b = os_read(scratch("text/generation_config.json"));
    CHECK(!strcmp(b.data, "{\n  \"eos_token_id\": [\n    2,\n    5\n  ],\n  \"pad_token_id\": 3\n}\n"), "%s", b.data);
    buf_free(&b);
    b = os_read(scratch("text/config.json"));
    static const char expected[] =
        "{\n  \"activation_function\": \"gelu_new\",\n  \"architectures\": [\n    \"GPT2LMHeadModel\"\n  ],\n"
        "  \"attn_pdrop\": 0.0,\n  \"bos_token_id\": null,\n  \"dtype\": \"float32\",\n  \"embd_pdrop\": 0.0,\n"
        "  \"eos_token_id\": [\n    2,\n    5\n  ],\n  \"initializer_range\": 0.02,\n  \"layer_norm_epsilon\": 1e-5,\n"
        "  \"model_type\": \"gpt2\",\n  \"n_ctx\": 6,\n  \"n_embd\": 12,\n  \"n_head\": 3,\n  \"n_inner\": 9,\n"
        "  \"n_layer\": 2,\n  \"n_positions\": 6,\n  \"pad_token_id\": 3,\n  \"resid_pdrop\": 0.0,\n"
        "  \"tie_word_embeddings\": true,\n  \"torch_dtype\": \"float32\",\n  \"vocab_size\": 11\n}\n";
    CHECK(!strcmp(b.data, expected), "%s", b.data);
    buf_free(&b);
    model_free(m);
}

/* f16 and bf16: kept as they are or widened; saved as f32 either way. */
static void test_16bit(void) {
    for (int brain = 0; brain < 2; brain++) {
        Model *m = random_model(brain ? small_gpt2() : small_llama(), 5);
        folder("half", m);
        StTensor *t = tensors_of(m, 0);
        for (size_t i = 0; i < m->count; i++) {
            Param *p = m->params[i];
            uint16_t *half = mem_new(param_size(p), sizeof *half);
            real *w = p->w;
            for (size_t j = 0; j < param_size(p); j++) {
                half[j] = brain ? bf16_round((float)w[j]) : f16_round((float)w[j]);
                w[j] = (real)(brain ? bf16_widen(half[j]) : f16_widen(half[j]));
            }
            t[i].type = brain ? ST_BF16 : ST_F16;
            t[i].data = (const unsigned char *)half;
        }
        write_tensors("half", t, m->count);
        Model *wide = model_load(scratch("half"), false), *kept = model_load(scratch("half"), true);
        CHECK(same_weights(m, wide));
        for (size_t i = 0; i < m->count; i++) {
            const Param *p = kept->params[i];
            CHECK(p->stored == (p->rank == 1 ? STORED_REAL : brain ? STORED_BF16 : STORED_F16), "%s", p->name);
            if (p->rank == 2) CHECK(!memcmp(p->w, t[i].data, 2 * param_size(p)), "%s", p->name);
            else CHECK(!memcmp(p->w, m->params[i]->w, sizeof(real) * param_size(p)), "%s", p->name);
        }
        folder("wide", wide), folder("kept", kept);
        CHECK(same_file(scratch("wide/model.safetensors"), scratch("kept/model.safetensors")));
        CHECK(same_file(scratch("wide/config.json"), scratch("kept/config.json")));
        model_free(m), model_free(wide), model_free(kept);
    }
}

/* ---- refused tensors ---- */

static const float not_finite[3] = {0, 1, 0};

static void expect_tensors(const char *dir, const StTensor *t, size_t count, const char *words) {
    write_tensors(dir, t, count);
    CHECK_FAILS(EXIT_BAD_INPUT, words, model_free(model_load(scratch(dir), false)));
}

static void test_tensors_refused(void) {
    Model *m = random_model(small_llama(), 9);
    folder("bad", m);
    StTensor *t = tensors_of(m, 1);
    size_t n = m->count;
    expect_tensors("bad", t, n - 1, "tensor lm_head.weight is missing");
    expect_tensors("bad", t + 1, n - 1, "tensor model.embed_tokens.weight is missing");
    t[n] = (StTensor){
        .name = "model.layers.2.input_layernorm.weight", .type = ST_F32, .rank = 1, .dims = {3}, .data = (const unsigned char *)not_finite};
    expect_tensors("bad", t, n + 1, "tensor model.layers.2.input_layernorm.weight is no part of the llama model");
    t[n].name = "model.layers.0.attn.bias"; /* GPT-2's buffer, not Llama's */
    expect_tensors("bad", t, n + 1, "tensor model.layers.0.attn.bias is no part");
    StTensor whole = t[1];
    t[1].dims[0] = 11;
    expect_tensors("bad", t, n, "tensor model.layers.0.input_layernorm.weight has shape [11], expected [12]");
    t[1].rank = 2, t[1].dims[0] = 12, t[1].dims[1] = 1;
    expect_tensors("bad", t, n, "has shape [12, 1], expected [12]");
    t[1].rank = 0;
    expect_tensors("bad", t, n, "has shape [], expected [12]");
    t[1] = whole, t[1].type = ST_F64, t[1].data = m->tok->w;
    expect_tensors("bad", t, n, "tensor model.layers.0.input_layernorm.weight is F64; weights are read as F32, F16 or BF16");
    t[1].type = ST_I32;
    expect_tensors("bad", t, n, "is I32");
    t[1] = whole;
    real *w = m->params[2]->w, old = w[17];
    static const uint32_t patterns[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffffffff, 0x7f800001};
    for (size_t i = 0; i < 5; i++) {
        memcpy(&w[17], &patterns[i], 4);
        expect_tensors("bad", t, n, "tensor model.layers.0.self_attn.q_proj.weight: element 17 is NaN or infinite");
    }
    w[17] = old;
    uint16_t *half = mem_new(12, sizeof *half);
    t[1].data = (const unsigned char *)half, half[11] = 0x7c00, t[1].type = ST_F16;
    expect_tensors("bad", t, n, "tensor model.layers.0.input_layernorm.weight: element 11 is NaN");
    half[11] = 0xff80, t[1].type = ST_BF16;
    expect_tensors("bad", t, n, "element 11 is NaN or infinite");
    half[11] = 0x7c00; /* finite as bf16, infinite as f16 */
    write_tensors("bad", t, n);
    model_free(model_load(scratch("bad"), false));
    half[11] = 0x7bff, t[1].type = ST_F16;
    write_tensors("bad", t, n);
    model_free(model_load(scratch("bad"), false));
    mem_free(half), mem_free(t), model_free(m);

    CHECK_FAILS(EXIT_BAD_INPUT, "no such model", model_load(scratch("nowhere"), false));
    CHECK_FAILS(EXIT_BAD_INPUT, "a model is a folder", model_load(scratch("bad/model.safetensors"), false));
    os_make_dir(scratch("hollow"));
    CHECK_FAILS(EXIT_BAD_INPUT, "config.json", model_load(scratch("hollow"), false));
}

/* Tensors that other programs save although they are no weights of their own. */
static void test_tied_head_and_buffers(void) {
    static const float mask[9] = {1};
    for (int gpt2 = 0; gpt2 < 2; gpt2++) {
        Config c = gpt2 ? small_gpt2() : small_llama();
        c.tied = true;
        Model *m = random_model(c, 3);
        folder("tied", m);
        StTensor *t = tensors_of(m, 3);
        size_t n = m->count;
        t[n] = t[0], t[n].name = "lm_head.weight";
        t[n + 1] = (StTensor){.name = gpt2 ? "transformer.h.0.attn.bias" : "model.layers.0.self_attn.rotary_emb.inv_freq", .type =
                              ST_F32, .rank = 4, .dims = {1, 1, 3, 3}, .data = (const unsigned char *)mask};
        t[n + 2] = (StTensor){.name = gpt2 ? "transformer.h.1.attn.masked_bias" : "model.rotary_emb.inv_freq", .type = ST_BOOL, .rank = 0,
                              .data = (const unsigned char *)mask};
        write_tensors("tied", t, n + 3);
        Model *again = model_load(scratch("tied"), false);
        CHECK(same_weights(m, again));
        model_free(again);
        real *other = mem_new(param_size(m->tok), sizeof *other);
        memcpy(other, m->tok->w, param_size(m->tok) * sizeof *other);
        other[param_size(m->tok) - 1] += 1;
        t[n].data = (const unsigned char *)other;
        expect_tensors("tied", t, n + 3, "tensor lm_head.weight differs from");
        t[n] = t[0], t[n].name = "lm_head.weight", t[n].dims[0] = c.dim, t[n].dims[1] = c.vocab;
        expect_tensors("tied", t, n + 1, "tensor lm_head.weight differs from");
        mem_free(other), mem_free(t), model_free(m);
    }
}

/* Of a folder in 16 bits: what is frozen stays so, what is trained becomes float, with the same values. */
static void test_widen_trained(void) {
    Model *m = random_model(small_llama(), 8);
    model_store(m, STORED_BF16);
    const char *dir = folder("bf16", m);
    Model *kept = model_load(dir, true), *wide = model_load(dir, false);
    CHECK(kept->read_as == STORED_BF16 && wide->read_as == STORED_BF16 && m->read_as == STORED_REAL);
    model_freeze(kept, "embed_tokens,layers.0");
    model_widen_trained(kept);
    for (size_t i = 0; i < kept->count; i++) {
        const Param *p = kept->params[i], *q = wide->params[i];
        CHECK((p->stored == STORED_BF16) == (p->rank == 2 && p->frozen), "%s", p->name);
        for (size_t j = 0; j < param_size(p); j++) CHECK(stored_value(p->w, p->stored, j) == param_real(q)[j], "%s", p->name);
    }
    model_free(m), model_free(kept), model_free(wide);
}

/* ---- config.json ---- */

#define LLAMA                                                                                                                              \
    "\"model_type\":\"llama\",\"vocab_size\":11,\"hidden_size\":12,\"intermediate_size\":7,\"num_hidden_layers\":2,\"num_attention_"       \
    "heads\":3,\"max_position_embeddings\":6"
#define GPT2 "\"model_type\":\"gpt2\",\"vocab_size\":11,\"n_embd\":12,\"n_layer\":2,\"n_head\":3,\"n_positions\":6"

static Config config_of(const char *text) {
    os_make_dir(scratch("config"));
    scratch_text("config/config.json", text);
    return config_load(scratch("config"));
}

static void test_config_llama(void) {
    Config c = config_of("{" LLAMA "}");
    CHECK(c.family == FAMILY_LLAMA && c.vocab == 11 && c.dim == 12 && c.ffn == 7 && c.layers == 2 && c.heads == 3 && c.ctx == 6);
    CHECK(c.kv_heads == 3 && c.head_dim == 4 && !c.tied && !c.qkv_bias && !c.out_bias && !c.mlp_bias && c.rope_kind == ROPE_PLAIN);
    CHECK(c.norm_eps == 1e-6 && c.rope_theta == 10000 && c.init_std == 0.02 && c.bos == 1 && c.pad == -1 && c.eos_count == 1 &&
          c.eos[0] == 2);
    c = config_of("{" LLAMA ",\"num_key_value_heads\":1,\"head_dim\":10,\"tie_word_embeddings\":true,\"attention_bias\":true,\"mlp_bias\":"
                            "true,\"rms_norm_eps\":"
                  "9.999999747378752e-06,\"rope_theta\":5e5,\"initializer_range\":0.5,\"bos_token_id\":null,\"eos_token_id\":[3,4,99],"
                  "\"pad_token_id\":0,"
                  "\"pretraining_tp\":2,\"attention_dropout\":0.1,\"rope_scaling\":null,\"hidden_act\":\"silu\",\"torch_dtype\":"
                  "\"bfloat16\",\"new_key\":{}}");
    CHECK(c.kv_heads == 1 && c.head_dim == 10 && c.tied && c.qkv_bias && c.out_bias && c.mlp_bias && c.rope_theta == 5e5 &&
          c.init_std == 0.5);
    CHECK((float)c.norm_eps == 1e-5f && c.bos == -1 && c.eos_count == 2 && c.eos[1] == 4 && c.pad == 0);
    c = config_of("{" LLAMA
                  ",\"num_key_value_heads\":null,\"head_dim\":null,\"eos_token_id\":null,\"bos_token_id\":11,\"pad_token_id\":-1}");
    CHECK(c.kv_heads == 3 && c.head_dim == 4 && c.eos_count == 0 && c.bos == -1 && c.pad == -1);

    c = config_of("{" LLAMA ",\"rope_theta\":7,\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}");
    CHECK(c.rope_kind == ROPE_LINEAR && c.rope_factor == 2 && c.rope_theta == 7);
    c = config_of("{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":8.5}}");
    CHECK(c.rope_kind == ROPE_PLAIN && c.rope_theta == 8.5);
    c = config_of("{" LLAMA ",\"rope_scaling\":{},\"rope_theta\":7,\"rope_parameters\":{\"rope_type\":\"llama3\",\"rope_theta\":9,"
                            "\"factor\":32.0,\"low_freq_factor\":1.5,"
                  "\"high_freq_factor\":4,\"original_max_position_embeddings\":5}}");
    CHECK(c.rope_kind == ROPE_LLAMA3 && c.rope_theta == 9 && c.rope_factor == 32 && c.rope_low == 1.5 && c.rope_high == 4 &&
          c.rope_original_ctx == 5);
    c = config_of("{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"linear\",\"type\":\"llama3\",\"factor\":3},\"rope_theta\":7,\"rope_"
                            "parameters\":{\"rope_theta\":9}}");
    CHECK(c.rope_kind == ROPE_LINEAR && c.rope_factor == 3 && c.rope_theta == 7);
}

#define SIZES \
    "\"vocab_size\":11,\"hidden_size\":12,\"intermediate_size\":7,\"num_hidden_layers\":2,\"num_attention_heads\":4,\"max_position_embeddings\":6"
#define DIALECT(name) "{\"model_type\":\"" name "\"," SIZES

/* The classes of transformers differ in their defaults, in their biases, and in how a window is said. */
static void test_config_dialects(void) {
    Config c = config_of(DIALECT("mistral") ",\"sliding_window\":null,\"num_key_value_heads\":2,\"attention_bias\":true,\"mlp_bias\":true}");
    CHECK(c.dialect == DIALECT_MISTRAL && c.kv_heads == 2 && c.head_dim == 3 && !c.qkv_bias && !c.out_bias && !c.mlp_bias && c.bos == 1 && c.eos[0] == 2);
    c = config_of(DIALECT("mistral") ",\"sliding_window\":6,\"head_dim\":8,\"num_key_value_heads\":null}"); /* as wide as the context */
    CHECK(c.kv_heads == 4 && c.head_dim == 8);
    c = config_of(DIALECT("qwen2") ",\"num_key_value_heads\":1,\"sliding_window\":2,\"max_window_layers\":1,\"use_sliding_window\":false,\"layer_types\":["
                  "\"full_attention\",\"full_attention\"]}");
    CHECK(c.dialect == DIALECT_QWEN2 && c.qkv_bias && !c.out_bias && !c.mlp_bias && !c.qk_norm && c.head_dim == 3 && c.bos == -1 && !c.eos_count);
    c = config_of(DIALECT("qwen2") ",\"use_sliding_window\":true,\"sliding_window\":6,\"layer_types\":[\"full_attention\",\"sliding_attention\"]}");
    CHECK(c.dialect == DIALECT_QWEN2);
    c = config_of(DIALECT("qwen3") ",\"num_key_value_heads\":2}");
    CHECK(c.dialect == DIALECT_QWEN3 && c.qk_norm && c.head_dim == 128 && !c.qkv_bias && !c.out_bias && !c.tied);
    c = config_of(DIALECT("qwen3") ",\"head_dim\":4,\"attention_bias\":true,\"tie_word_embeddings\":true}");
    CHECK(c.head_dim == 4 && c.qkv_bias && c.out_bias && c.tied);
    static const char *const known[] = {"\"_name_or_path\":3", "\"unknown\":\"word\"", "\"unknown\":null", "\"unknown\":false", "\"unknown\":[]", "\"top_k\":50",
                                        "\"use_cache\":true", "\"rope_interleaved\":false", "\"id2label\":{\"0\":\"a\"}", "\"pretraining_tp\":2", "\"max_sequence_length\":2048",
                                        "\"is_decoder\":true", "\"num_labels\":2"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char *text = str_format("{" LLAMA ",%s}", known[i]);
        CHECK(config_of(text).vocab == 11, "%s", known[i]);
        mem_free(text);
    }
}

/* What is read is written under its own name, and read again as it was. */
static void test_dialects_round_trip(void) {
    static const char *const names[] = {"llama", "mistral", "qwen2", "qwen3"};
    for (int i = 0; i < 4; i++) {
        Config c = small_llama();
        c.dialect = (Dialect)i, c.qkv_bias = i == DIALECT_QWEN2, c.qk_norm = i == DIALECT_QWEN3;
        Model *m = random_model(c, 5), *again = model_load(folder("dialect", m), false);
        Buf text = os_read(scratch("dialect/config.json"));
        char *expected = str_format("\"model_type\": \"%s\"", names[i]);
        CHECK(strstr(text.data, expected) != NULL, "%s: %s", names[i], text.data);
        CHECK(again->config.dialect == c.dialect && again->config.qk_norm == c.qk_norm && same_weights(m, again), "%s", names[i]);
        mem_free(expected), buf_free(&text), model_free(m), model_free(again);
    }
}

static void test_config_gpt2(void) {
    Config c = config_of("{" GPT2 "}");
    CHECK(c.family == FAMILY_GPT2 && c.vocab == 11 && c.dim == 12 && c.ffn == 48 && c.layers == 2 && c.heads == 3 && c.kv_heads == 3 &&
          c.ctx == 6);
    CHECK(c.head_dim == 4 && c.tied && c.qkv_bias && c.out_bias && c.mlp_bias && c.norm_eps == 1e-5 && c.bos == -1 && c.eos_count == 0 &&
          c.pad == -1);
    c = config_of("{" GPT2
                  ",\"n_inner\":5,\"tie_word_embeddings\":false,\"activation_function\":\"gelu_pytorch_tanh\",\"layer_norm_epsilon\":1e-6,"
                  "\"eos_token_id\":7,\"bos_token_id\":8,\"scale_attn_weights\":true,\"reorder_and_upcast_attn\":true,\"attn_pdrop\":0.1,"
                  "\"n_ctx\":6}");
    CHECK(c.ffn == 5 && !c.tied && c.norm_eps == 1e-6 && c.eos[0] == 7 && c.bos == 8);
    c = config_of("{\"model_type\":\"gpt2\",\"vocab_size\":60000,\"n_embd\":12,\"n_layer\":2,\"n_head\":3,\"n_ctx\":9,\"n_inner\":null}");
    CHECK(c.ctx == 9 && c.ffn == 48 && c.bos == 50256 && c.eos[0] == 50256);
}

static void expect_config(const char *text, const char *words) { CHECK_FAILS(EXIT_BAD_INPUT, words, config_of(text)); }

static void test_config_refused(void) {
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "config.json: line 1"},
        {"[]", "holds an array, expected an object"},
        {"{}", "model_type"},
        {"{\"model_type\":\"qwen3_moe\"}", "found \"qwen3_moe\", expected one of the families supported: gpt2, llama"},
        {"{\"model_type\":\"mixtral\"}", "found \"mixtral\", expected one of the families supported: gpt2, llama, mistral, qwen2, qwen3"},
        {"{\"model_type\":\"mistral\",\"vocab_size\":11,\"hidden_size\":12,\"intermediate_size\":7,\"num_hidden_layers\":2,\"num_attention_heads\":2,"
         "\"max_position_embeddings\":4097}", "there is no \"sliding_window\", which means 4096"},
        {DIALECT("mistral") ",\"num_key_value_heads\":2,\"sliding_window\":5}", "\"sliding_window\": found 5, expected no window"},
        {DIALECT("qwen2") ",\"use_sliding_window\":true,\"sliding_window\":5}", "\"sliding_window\": found 5"},
        {DIALECT("qwen3") ",\"layer_types\":[\"full_attention\",\"sliding_attention\"]}", "\"layer_types\": found sliding_attention"},
        {DIALECT("qwen3") ",\"layer_types\":[\"full_attention\",\"linear_attention\"]}", "\"layer_types\": found linear_attention"},
        {DIALECT("qwen3") ",\"num_experts\":8}", "\"num_experts\": mixtures of experts are not supported"},
        {"{" LLAMA ",\n\"attn_logit_softcapping\":50.0}", "line 2: \"attn_logit_softcapping\": found 50.0, a setting that is not known here"},
        {"{" LLAMA ",\"use_qk_norm\":true}", "\"use_qk_norm\": found true, a setting that is not known"},
        {"{" LLAMA ",\"no_rope_layers\":[1,0]}", "\"no_rope_layers\": found an array, a setting"},
        {"{" LLAMA ",\"auto_map\":{\"AutoModel\":\"m.M\"}}", "the model brings code of its own"},
        {"{" GPT2 ",\"rope_theta\":7}", "\"rope_theta\": found 7, a setting that is not known"},
        {"{\"model_type\":\"llama\"}", "vocab_size"},
        {"{" LLAMA ",\"vocab_size\":12}", "second time"},
        {"{" LLAMA ",\"quantization_config\":{\"bits\":4}}", "quantized weights are not read"},
        {"{" LLAMA ",\"quantization\":{\"group_size\":64,\"bits\":4}}", "\"quantization\": quantized weights are not read"},
        {"{" LLAMA ",\"num_key_value_heads\":0}", "num_key_value_heads"},
        {"{" LLAMA ",\"num_key_value_heads\":2.0}", "num_key_value_heads"},
        {"{" LLAMA ",\"head_dim\":\"4\"}", "head_dim"},
        {"{" LLAMA ",\"tie_word_embeddings\":1}", "tie_word_embeddings"},
        {"{" LLAMA ",\"hidden_act\":\"gelu\"}", "line 1: \"hidden_act\": found gelu, expected silu"},
        {"{" LLAMA ",\n\"rms_norm_eps\":0}", "line 2: \"rms_norm_eps\": found 0, expected a number above 0"},
        {"{" LLAMA ",\"rms_norm_eps\":-1e-5}", "found -1e-5, expected a number above 0"},
        {"{" LLAMA ",\"initializer_range\":-1}", "a number from 0 to 1"},
        {"{" LLAMA ",\"rope_theta\":0}", "rope_theta"},
        {"{" LLAMA ",\"rope_theta\":\"1\"}", "rope_theta"},
        {"{" LLAMA ",\"rope_scaling\":1}", "\"rope_scaling\": found 1, expected an object or null"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2}}", "\"type\": found yarn, expected default, linear or llama3"},
        {"{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"dynamic\",\"factor\":2}}", "\"rope_type\": found dynamic"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"linear\"}}", "factor"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":-2}}", "found -2, expected a number above 0"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"llama3\",\"factor\":2}}", "low_freq_factor"},
        {"{" LLAMA ",\"rope_scaling\":{\"type\":\"llama3\",\"factor\":2,\"low_freq_factor\":4,\"high_freq_factor\":4}}",
         "expected more than low_freq_factor"},
        {"{" LLAMA ",\"rope_parameters\":{\"partial_rotary_factor\":0.5}}", "RoPE on a part of each head is not supported"},
        {"{" LLAMA ",\"partial_rotary_factor\":0.25}", "found 0.25, expected 1"},
        {"{" LLAMA ",\"bos_token_id\":\"a\"}", "expected a token id or null"},
        {"{" LLAMA ",\"eos_token_id\":[1.5]}", "token ids in the list"},
        {"{" LLAMA ",\"eos_token_id\":true}", "found true, expected a token id, a list of them, or null"},
        {"{" LLAMA ",\"eos_token_id\":[1,1,1,1,1,1,1,1,1]}", "found 9 ids, expected at most 8"},
        {"{\"model_type\":\"llama\",\"vocab_size\":9000000}", "vocab_size"},
        {"{\"model_type\":\"llama\",\"vocab_size\":0}", "vocab_size"},
        {"{\"model_type\":\"llama\",\"vocab_size\":11,\"hidden_size\":13,\"intermediate_size\":7,\"num_hidden_layers\":2,\"num_attention_"
         "heads\":3,"
         "\"max_position_embeddings\":6}",
         "hidden_size 13 is no multiple of num_attention_heads 3"},
        {"{" GPT2 ",\"activation_function\":\"gelu\"}", "found gelu, expected gelu_new or gelu_pytorch_tanh"},
        {"{" GPT2 ",\"scale_attn_weights\":false}", "\"scale_attn_weights\": found false, expected true"},
        {"{" GPT2 ",\"scale_attn_by_inverse_layer_idx\":true}", "found true, expected false"},
        {"{" GPT2 ",\"add_cross_attention\":true}", "cross-attention is not supported"},
        {"{\"model_type\":\"gpt2\",\"vocab_size\":11,\"n_embd\":13,\"n_layer\":2,\"n_head\":3,\"n_positions\":6}",
         "n_embd 13 is no multiple of n_head 3"},
        {"{\"model_type\":\"gpt2\",\"vocab_size\":11,\"n_embd\":12,\"n_layer\":2,\"n_head\":3}", "n_positions"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) expect_config(bad[i].text, bad[i].words);
}

static void test_generation_config(void) {
    os_make_dir(scratch("config"));
    scratch_text("config/generation_config.json", "{\"eos_token_id\":[5,6]}");
    Config c = config_of("{" LLAMA "}");
    CHECK(c.eos_count == 2 && c.eos[0] == 5 && c.eos[1] == 6 && c.bos == 1);
    scratch_text("config/generation_config.json", "{\"temperature\":0.6,\"eos_token_id\":null}");
    c = config_of("{" LLAMA "}");
    CHECK(c.eos_count == 1 && c.eos[0] == 2);
    scratch_text("config/generation_config.json", "[]");
    CHECK_FAILS(EXIT_BAD_INPUT, "generation_config.json: holds an array", config_of("{" LLAMA "}"));
    remove(scratch("config/generation_config.json"));
}

/* ---- llama2.c ---- */

/* The file that llama2.c's export writes for m, told by indices alone. */
static Buf llama2c_file(const Model *m) {
    const Config *c = &m->config;
    int32_t header[7] = {(int32_t)c->dim, (int32_t)c->ffn, (int32_t)c->layers, (int32_t)c->heads, (int32_t)c->kv_heads,
                         c->tied ? (int32_t)c->vocab : -(int32_t)c->vocab, (int32_t)c->ctx};
    static const char *const order[] = {"input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                                        "post_attention_layernorm", "mlp.gate_proj", "mlp.down_proj", "mlp.up_proj"};
    Buf b = {0};
    buf_put(&b, header, sizeof header);
    buf_put(&b, m->tok->w, param_size(m->tok) * 4);
    for (int k = 0; k < 9; k++)
        for (size_t layer = 0; layer < c->layers; layer++) {
            char name[80];
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", (int)layer, order[k]);
            const Param *p = model_find(m, name);
            const real *w = param_real(p);
            size_t half = c->head_dim / 2;
            for (size_t row = 0; row < p->shape[0]; row++) {
                size_t head = row / c->head_dim, pair = row % c->head_dim / 2, second = row % 2;
                size_t from = k == 1 || k == 2 ? head * c->head_dim + second * half + pair : row;
                buf_put(&b, w + from * p->shape[1], p->shape[1] * 4);
            }
        }
    buf_put(&b, m->norm_f.w->w, c->dim * 4);
    for (size_t i = 0; i < c->ctx * c->head_dim; i++) buf_put(&b, "\377\377\377\377", 4); /* RoPE tables: not read */
    if (!c->tied) buf_put(&b, m->head.w->w, param_size(m->head.w) * 4);
    return b;
}

/* In a function of its own: a failure's longjmp may spoil the locals of the one that catches it. */
static void expect_bin(const Buf *b, size_t n, const char *words) {
    CHECK_FAILS(EXIT_BAD_INPUT, words, model_load(scratch_file("m.bin", b->data, n), false));
}

static void test_llama2c(void) {
    for (int tied = 0; tied < 2; tied++) {
        Config c = small_llama();
        c.tied = tied, c.dim = 24, c.rope_theta = 10000;
        Model *m = random_model(c, 4);
        Buf b = llama2c_file(m);
        Model *again = model_load(scratch_file("m.bin", b.data, b.len), true);
        CHECK(same_weights(m, again));
        const Config *d = &again->config;
        CHECK(d->ctx == c.ctx && d->tied == c.tied && d->head_dim == 6 && d->norm_eps == 1e-5 && d->rope_theta == 10000 && d->bos == 1 &&
              d->eos[0] == 2);
        expect_bin(&b, b.len - 1, "bytes, expected");
        expect_bin(&b, 27, "m.bin: 27 bytes, expected at least the 28");
        buf_char(&b, 0);
        expect_bin(&b, b.len, "bytes, expected");
        b.len--;
        memcpy(b.data + 28 + 4 * 5, "\0\0\200\177", 4);
        expect_bin(&b, b.len, "tensor model.embed_tokens.weight: element 5 is NaN or infinite");
        memset(b.data + 28 + 4 * 5, 0, 4);
        static const char *const fields[7] = {"dim at byte 0",      "hidden_dim at byte 4",  "n_layers at byte 8",
                                              "n_heads at byte 12", "n_kv_heads at byte 16", NULL,
                                              "seq_len at byte 24"};
        static const int32_t values[] = {0, -1, 1, 5, INT32_MAX, INT32_MIN};
        for (size_t i = 0; i < 7; i++)
            for (size_t j = 0; j < 6; j++) {
                int32_t old;
                memcpy(&old, b.data + 4 * i, 4), memcpy(b.data + 4 * i, &values[j], 4);
                const char *words = fields[i] && (values[j] < 1 || values[j] == INT32_MAX) ? fields[i] : "m.bin: ";
                expect_bin(&b, b.len, words);
                memcpy(b.data + 4 * i, &old, 4);
            }
        memcpy(b.data, "24ka", 4);
        expect_bin(&b, b.len, "version 1 or 2, expected version 0");
        buf_free(&b), model_free(m), model_free(again);
    }
}

static void test_stories260k(void) {
    static const char bin[] = "../shared/material/stories260K/stories260K.bin", hf[] = "../shared/material/stories260K/hf";
    if (!os_exists(bin)) {
        SKIP("%s is not there", bin);
        return;
    }
    Model *a = model_load(bin, false), *b = model_load(hf, false);
    CHECK(same_weights(a, b));
    CHECK(model_parameters(a) == 260032 && a->config.tied && a->config.ctx == 512 && a->config.norm_eps == b->config.norm_eps);
    char before[65], after[65];
    st_tensors_hash(hf, before);
    folder("stories", a);
    st_tensors_hash(scratch("stories"), after);
    CHECK(!strcmp(before, after));
    model_free(a), model_free(b);
}

/* For tests/compare/weights.py: a folder of another program's, read and written again. */
static void test_resave(void) {
    const char *from = getenv("RESAVE_FROM"), *to = getenv("RESAVE_TO");
    if (!from || !to) return;
    Model *m = model_load(from, getenv("RESAVE_16BIT") != NULL);
    os_make_dir(to);
    model_save(m, to);
    model_free(m);
    CHECK(true);
}

TESTS({"resave", test_resave}, {"saved and loaded", test_round_trip}, {"the text of config.json", test_config_text},
      {"16-bit weights", test_16bit}, {"refused tensors", test_tensors_refused}, {"a tied head and buffers", test_tied_head_and_buffers},
      {"16 bits, partly trained", test_widen_trained},
      {"config.json of Llama", test_config_llama}, {"config.json of GPT-2", test_config_gpt2}, {"config.json of Mistral, Qwen2, Qwen3", test_config_dialects},
      {"dialects, saved and loaded", test_dialects_round_trip}, {"refused config.json", test_config_refused},
      {"generation_config.json", test_generation_config}, {"llama2.c files", test_llama2c}, {"stories260K", test_stories260k})
