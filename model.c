#include "model.h"

#include "lora.h"
#include "ops.h"
#include "pattern.h"

#include <assert.h>
#include <string.h>

/* ---- the architecture -------------------------------------------------------------------------------------------------------
 * One walk registers every tensor in file order. Names are Hugging Face's, without the family's prefix ("model." or
 * "transformer.") when the folder has none. */

static void check_config(const Config *c, const char *where) {
    const struct { const char *name; size_t value, most; } sizes[] = {
        {"vocabulary", c->vocab, 4000000}, {"context", c->ctx, 1 << 22},        {"dim", c->dim, 65536},           {"layers", c->layers, 1024},
        {"heads", c->heads, 1024},         {"key-value heads", c->kv_heads, 1024}, {"head dimension", c->head_dim, 4096}, {"ffn", c->ffn, 1 << 20}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].value < 1 || sizes[i].value > sizes[i].most)
            bad_input("%s: %s is %zu; it must lie between 1 and %zu", where, sizes[i].name, sizes[i].value, sizes[i].most);
    if (c->heads % c->kv_heads)
        bad_input("%s: %zu heads cannot share %zu key-value heads evenly; make heads a multiple of kv-heads", where, c->heads, c->kv_heads);
    if (c->family == FAMILY_GPT2 && (c->kv_heads != c->heads || c->head_dim * c->heads != c->dim))
        bad_input("%s: GPT-2 has one key-value head a head and heads x head dimension = dim; found heads %zu, kv-heads %zu, head dimension %zu, dim %zu",
                  where, c->heads, c->kv_heads, c->head_dim, c->dim);
    if (c->family == FAMILY_LLAMA && c->head_dim % 2)
        bad_input("%s: RoPE turns pairs: the head dimension must be even, found %zu (dim / heads)", where, c->head_dim);
    if (c->family == FAMILY_LLAMA && c->ctx * c->head_dim > (size_t)1 << 27) /* 1,048,576 positions of 128: the table is made before a weight is read */
        bad_input("%s: RoPE's table of %zu positions x %zu would take more than 512 MB: lower max_position_embeddings to what you will use", where,
                  c->ctx, c->head_dim);
    if (!(c->norm_eps > 0)) bad_input("%s: the norm's epsilon must be above 0", where);
}

Param *model_add_param(Model *m, char *name, int rank, size_t rows, size_t columns) {
    Param *p = mem_new(1, sizeof *p);
    *p = (Param){.name = name, .rank = rank, .shape = {rows, columns}, .decay = rank == 2};
    m->params = mem_resize(m->params, m->count + 1, sizeof *m->params);
    m->params[m->count++] = p;
    return p;
}

static Param *param_new(Model *m, char *name, int rank, size_t rows, size_t columns, real init_std) {
    Param *p = model_add_param(m, name, rank, rows, columns);
    p->init_std = init_std;
    return p;
}

/* "model." + "layers.3.self_attn.q_proj" + ".weight" */
static char *tensor_name(const Config *c, const char *module, const char *leaf) {
    const char *prefix = c->bare_names ? "" : c->family == FAMILY_GPT2 ? "transformer." : "model.";
    return str_format("%s%s.%s", prefix, module, leaf);
}

static Norm norm_new(Model *m, char *module, size_t width) {
    const Config *c = &m->config;
    Norm n = {0};
    n.w = param_new(m, tensor_name(c, module, "weight"), 1, width, 1, 0);
    n.w->init_one = true;
    if (c->family == FAMILY_GPT2) n.b = param_new(m, tensor_name(c, module, "bias"), 1, width, 1, 0);
    mem_free(module);
    return n;
}

static Linear linear_new(Model *m, char *module, size_t in, size_t out, bool bias, double init_std) {
    const Config *c = &m->config;
    bool conv1d = c->family == FAMILY_GPT2;
    Linear l = {.in = in, .out = out};
    l.w = param_new(m, tensor_name(c, module, "weight"), 2, conv1d ? in : out, conv1d ? out : in, (real)init_std);
    l.w->conv1d = conv1d;
    if (bias) l.b = param_new(m, tensor_name(c, module, "bias"), 1, out, 1, 0);
    mem_free(module);
    return l;
}

static void block_gpt2(Model *m, Block *b, size_t i, double std, double std_out) {
    const Config *c = &m->config;
    b->norm1 = norm_new(m, str_format("h.%zu.ln_1", i), c->dim);
    b->qkv[b->qkv_count++] = linear_new(m, str_format("h.%zu.attn.c_attn", i), c->dim, 3 * c->dim, true, std);
    b->out = linear_new(m, str_format("h.%zu.attn.c_proj", i), c->dim, c->dim, true, 0);
    b->norm2 = norm_new(m, str_format("h.%zu.ln_2", i), c->dim);
    b->in[b->in_count++] = linear_new(m, str_format("h.%zu.mlp.c_fc", i), c->dim, c->ffn, true, std);
    b->down = linear_new(m, str_format("h.%zu.mlp.c_proj", i), c->ffn, c->dim, true, std_out);
}

static void block_llama(Model *m, Block *b, size_t i, double std, double std_out) {
    const Config *c = &m->config;
    size_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    static const char *const qkv[] = {"q", "k", "v"}, *const in[] = {"gate", "up"};
    b->norm1 = norm_new(m, str_format("layers.%zu.input_layernorm", i), c->dim);
    for (; b->qkv_count < 3; b->qkv_count++)
        b->qkv[b->qkv_count] =
            linear_new(m, str_format("layers.%zu.self_attn.%s_proj", i, qkv[b->qkv_count]), c->dim, b->qkv_count ? kv : q, c->qkv_bias, std);
    b->out = linear_new(m, str_format("layers.%zu.self_attn.o_proj", i), q, c->dim, c->out_bias, 0);
    if (c->qk_norm) {
        b->q_norm = norm_new(m, str_format("layers.%zu.self_attn.q_norm", i), c->head_dim);
        b->k_norm = norm_new(m, str_format("layers.%zu.self_attn.k_norm", i), c->head_dim);
    }
    b->norm2 = norm_new(m, str_format("layers.%zu.post_attention_layernorm", i), c->dim);
    for (; b->in_count < 2; b->in_count++)
        b->in[b->in_count] = linear_new(m, str_format("layers.%zu.mlp.%s_proj", i, in[b->in_count]), c->dim, c->ffn, c->mlp_bias, std);
    b->down = linear_new(m, str_format("layers.%zu.mlp.down_proj", i), c->ffn, c->dim, c->mlp_bias, std_out);
}

/* inv_freq as transformers computes it, then the stretch of the config. */
static void rope_frequencies(float *inv_freq, const Config *c) {
    for (size_t i = 0; i < c->head_dim / 2; i++) {
        float exponent = (float)(2 * i) / (float)c->head_dim;
        float f = 1.0f / (float)d_pow(c->rope_theta, (double)exponent);
        if (c->rope_kind == ROPE_LINEAR) f = f / (float)c->rope_factor;
        if (c->rope_kind == ROPE_LLAMA3) {
            float factor = (float)c->rope_factor, low = (float)c->rope_low, high = (float)c->rope_high, old = (float)c->rope_original_ctx;
            float wavelength = 6.28318530717958648f / f;
            float smooth = (old / wavelength - low) / (high - low);
            if (wavelength > old / low) f = f / factor;
            else if (wavelength >= old / high) f = (1 - smooth) * f / factor + smooth * f;
        }
        inv_freq[i] = f;
    }
}

Model *model_new(const Config *config, const char *where) {
    check_config(config, where);
    Model *m = mem_new(1, sizeof *m);
    m->config = *config;
    const Config *c = &m->config;
    bool gpt2 = c->family == FAMILY_GPT2;
    /* The MLP's outputs onto the residual stream begin smaller, so that its variance does not grow with the number of layers (GPT-2). */
    double std = c->init_std, std_out = c->init_std / d_sqrt((double)(2 * c->layers));
    m->tok = param_new(m, tensor_name(c, gpt2 ? "wte" : "embed_tokens", "weight"), 2, c->vocab, c->dim, (real)std);
    if (gpt2) m->pos = param_new(m, tensor_name(c, "wpe", "weight"), 2, c->ctx, c->dim, (real)std);
    m->blocks = mem_new(c->layers, sizeof *m->blocks);
    for (size_t i = 0; i < c->layers; i++) (gpt2 ? block_gpt2 : block_llama)(m, &m->blocks[i], i, std, std_out);
    m->norm_f = norm_new(m, str_copy(gpt2 ? "ln_f" : "norm"), c->dim);
    m->head = (Linear){.in = c->dim, .out = c->vocab, .w = m->tok};
    if (!c->tied) m->head.w = param_new(m, str_copy("lm_head.weight"), 2, c->vocab, c->dim, (real)std);
    if (!gpt2) {
        float *inv_freq = mem_new(c->head_dim / 2, sizeof *inv_freq);
        rope_frequencies(inv_freq, c);
        for (size_t i = 0; i < c->head_dim / 2; i++)
            if (!((double)inv_freq[i] * (double)c->ctx <= 4194304))
                bad_input("%s: RoPE turns by more than 2^22 within the context: rope_theta must be 1 or more, a factor not near 0", where);
        m->rope = mem_new(size_mul(c->ctx, c->head_dim, where), sizeof *m->rope);
        rope_table(m->rope, inv_freq, c->ctx, c->head_dim);
        mem_free(inv_freq);
    }
    return m;
}

void param_freeze(Param *p) {
    mem_free(p->g), mem_free(p->m), mem_free(p->v), mem_free(p->g_sum);
    p->g = p->m = p->v = NULL, p->g_sum = NULL;
    p->frozen = true;
}

void param_free(Param *p) {
    param_freeze(p);
    mem_free(p->name), mem_free(p->w), mem_free(p);
}

void model_free(Model *m) {
    if (!m) return;
    adapter_free(m);
    for (size_t i = 0; i < m->count; i++) param_free(m->params[i]);
    mem_free(m->params), mem_free(m->blocks), mem_free(m->rope), mem_free(m);
}

size_t model_parameters(const Model *m) {
    size_t total = 0;
    for (size_t i = 0; i < m->count; i++) total += m->params[i]->adapter ? 0 : param_size(m->params[i]);
    return total;
}

size_t model_trainable(const Model *m) {
    size_t total = 0;
    for (size_t i = 0; i < m->count; i++) total += m->params[i]->frozen ? 0 : param_size(m->params[i]);
    return total;
}

size_t block_linears(Block *b, Linear **list) {
    size_t count = 0;
    for (int i = 0; i < b->qkv_count; i++) list[count++] = &b->qkv[i];
    list[count++] = &b->out;
    for (int i = 0; i < b->in_count; i++) list[count++] = &b->in[i];
    list[count++] = &b->down;
    return count;
}

Param *model_find(const Model *m, const char *name) {
    for (size_t i = 0; i < m->count; i++)
        if (!strcmp(m->params[i]->name, name)) return m->params[i];
    return NULL;
}

void model_freeze(Model *m, const char *names) {
    for (const char *at = names, *end; at; at = *end ? end + 1 : NULL) {
        end = at + strcspn(at, ",");
        char *name = str_copy_n(at, (size_t)(end - at));
        size_t found = 0;
        for (size_t i = 0; i < m->count; i++)
            if (name_covers(name, m->params[i]->name)) param_freeze(m->params[i]), found++;
        if (!found) {
            bool head = m->config.tied && !strcmp(name, "lm_head"), gpt2 = m->config.family == FAMILY_GPT2;
            bad_input("--freeze: \"%s\" names no tensor and no module of this model: %s", name,
                      head ? "its head is the embedding" : gpt2 ? "give a part of a name such as wte, h.0 or h.*.mlp"
                                                               : "give a part of a name such as embed_tokens, layers.0 or layers.*.mlp");
        }
        mem_free(name);
    }
    if (!model_trainable(m)) bad_input("--freeze %s leaves nothing to train", names);
}

/* ---- storage and initialisation ---- */

void model_alloc_weights(Model *m) {
    for (size_t i = 0; i < m->count; i++)
        if (!m->params[i]->w) m->params[i]->w = mem_new(param_size(m->params[i]), sizeof(real));
}

void model_widen_trained(Model *m) {
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        if (!p->w && !p->frozen) p->stored = STORED_REAL; /* an outline */
        if (p->frozen || p->stored == STORED_REAL) continue;
        real *w = mem_new(param_size(p), sizeof *w);
        for (size_t j = 0; j < param_size(p); j++) w[j] = stored_value(p->w, p->stored, j);
        mem_free(p->w);
        p->w = w, p->stored = STORED_REAL;
    }
}

void model_alloc_training(Model *m, bool moments) {
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        if (p->frozen) continue;
        p->g = mem_new(param_size(p), sizeof(real));
        if (p->rank == 1) p->g_sum = mem_new(param_size(p), sizeof(double));
        if (moments) p->m = mem_new(param_size(p), sizeof(real)), p->v = mem_new(param_size(p), sizeof(real));
    }
}

/* Box-Muller, one element a counter: sqrt(-2 ln u) cos(2 pi u'), u in (0, 1], u' in [0, 1). */
static double normal(uint32_t seed, uint32_t purpose, uint64_t index) {
    uint32_t word[4];
    philox(word, seed, purpose, index, 0);
    double u = (double)((word[0] >> 8) + 1) * 0x1p-24, angle = (double)(word[1] >> 8) * 0x1p-24 * 6.283185307179586;
    return d_sqrt(-2 * d_log(u)) * d_cos(angle);
}

static void init_normal(Param *p, uint32_t seed) {
    unsigned char digest[32];
    Sha256 sha;
    assert(p->stored == STORED_REAL);
    sha256_begin(&sha), sha256_add(&sha, p->name, strlen(p->name)), sha256_end(&sha, digest);
    uint32_t purpose = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
    real *w = p->w;
    for (size_t j = 0; j < param_size(p); j++)
        w[j] = p->init_std > 0 ? (real)((float)normal(seed, purpose, j) * (float)p->init_std) : p->init_one ? 1 : 0;
}

/* Weight [out, in] of a Linear; of q (0), k (1), v (2), which stand in one Linear or in three. */
static real *weight_at(const Linear *l, size_t out, size_t in) { return (real *)l->w->w + (l->w->conv1d ? in * l->out + out : out * l->in + in); }
static real *qkv_at(const Block *b, int which, size_t out, size_t in) {
    return b->qkv_count == 1 ? weight_at(&b->qkv[0], (size_t)which * b->qkv[0].in + out, in) : weight_at(&b->qkv[which], out, in);
}

/* Attention begins as a copier: Wk = Wq, so that a token looks for its like, and Wo = 1.4 Wvᵀ in every head, so that what was looked at is
 * written back as it was (E[Wvᵀ Wv] = I over all heads when the std is 1/sqrt(dim)) and, with a tied head, is told. Induction heads need both
 * and find both late from noise: docs/copying.md has the figures.
 * Ref: Trockman & Kolter 2023, "Mimetic initialization of self-attention layers", here with the sign that copies. */
static void init_copier(const Config *c, const Block *b) {
    const float gain = 1.4f;
    size_t D = c->head_dim, group = c->heads / c->kv_heads;
    for (size_t h = 0; h < c->heads; h++)
        for (size_t d = 0; d < D; d++)
            for (size_t j = 0; j < c->dim; j++) {
                *weight_at(&b->out, j, h * D + d) = (real)(gain * (float)*qkv_at(b, 2, h / group * D + d, j));
                if (h % group == 0) *qkv_at(b, 1, h / group * D + d, j) = *qkv_at(b, 0, h * D + d, j);
            }
}

void model_init(Model *m, uint32_t seed) {
    for (size_t i = 0; i < m->count; i++) init_normal(m->params[i], seed);
    for (size_t i = 0; i < m->config.layers; i++) init_copier(&m->config, &m->blocks[i]);
}
