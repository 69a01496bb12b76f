/* hf: a model folder of Hugging Face, read and written. Its tensors against the model's registry: each is there once, has the shape
 * that config.json gives it, and is finite; none is left over. */
#include "hf.h"

#include "gguf.h"

#include <assert.h>
#include <string.h>

/* ---- weights ---- */

static void check_shape(const Param *p, const StTensor *t, const char *dir) {
    bool same = t->rank == p->rank;
    for (int d = 0; d < t->rank && same; d++) same = t->dims[d] == p->shape[d];
    if (same) return;
    Buf found = {0};
    for (int d = 0; d < t->rank; d++) buf_format(&found, "%s%llu", d ? ", " : "", (unsigned long long)t->dims[d]);
    Buf expected = {0};
    for (int d = 0; d < p->rank; d++) buf_format(&expected, "%s%zu", d ? ", " : "", p->shape[d]);
    bad_input("%s: tensor %s has shape [%s], expected [%s] by %s/config.json: the two files do not belong together", t->file, t->name,
              found.len ? found.data : "", expected.data, dir);
}

static uint16_t half_at(const unsigned char *data, size_t i) {
    uint16_t half;
    memcpy(&half, data + 2 * i, sizeof half);
    return half;
}

static float float_at(const unsigned char *data, size_t i) {
    float x;
    memcpy(&x, data + 4 * i, sizeof x);
    return x;
}

/* A value is NaN or infinite when all bits of its exponent are set. */
void check_finite(const char *file, const char *name, StType type, const unsigned char *data, size_t n) {
    const uint16_t exponent = type == ST_F16 ? 0x7c00 : 0x7f80;
    size_t i = 0;
    if (type == ST_F32) while (i < n && (float_bits(float_at(data, i)) & 0x7f800000) != 0x7f800000) i++;
    else while (i < n && (half_at(data, i) & exponent) != exponent) i++;
    if (i < n)
        bad_input("%s: tensor %s: element %zu is NaN or infinite, expected finite weights: the model is damaged or its training diverged; "
                  "take another copy or an earlier checkpoint",
                  file, name, i);
}

static void load_param(Param *p, const StTensor *t, bool keep_16bit, bool outline) {
    size_t n = param_size(p);
    if (t->type != ST_F32 && t->type != ST_F16 && t->type != ST_BF16)
        bad_input("%s: tensor %s is %s; weights are read as F32, F16 or BF16: save the model in one of these", t->file, t->name,
                  st_type_name(t->type));
    bool half = keep_16bit && p->rank == 2 && t->type != ST_F32;
    if (half) p->stored = t->type == ST_F16 ? STORED_F16 : STORED_BF16;
    if (outline) return;
    check_finite(t->file, t->name, t->type, t->data, n);
    if (half) {
        p->w = mem_new(n, sizeof(uint16_t));
        memcpy(p->w, t->data, n * sizeof(uint16_t));
        return;
    }
    real *w = p->w = mem_new(n, sizeof *w);
    if (t->type == ST_F32 && sizeof(real) == sizeof(float)) memcpy(w, t->data, n * sizeof *w);
    else for (size_t i = 0; i < n; i++) w[i] = (real)st_value(t, i);
}

/* ---- the registry against the tensors ---- */

static bool is_buffer(const HfFamily *family, const char *name) {
    for (size_t i = 0; i < sizeof family->buffers / sizeof *family->buffers; i++)
        if (family->buffers[i] && str_ends(name, family->buffers[i])) return true;
    return false;
}

/* Older versions save a tied head as well: then it must say the same. */
static void check_tied_head(const StTensor *head, const StTensor *embedding, const char *dir) {
    bool same = head->type == embedding->type && head->rank == embedding->rank && head->bytes == embedding->bytes &&
                !memcmp(head->dims, embedding->dims, sizeof head->dims) && !memcmp(head->data, embedding->data, (size_t)head->bytes);
    if (!same)
        bad_input("%s: tensor %s differs from %s, but by %s/config.json the head is the embedding (tie_word_embeddings): "
                  "set tie_word_embeddings to false if the head is the model's own, else remove the tensor",
                  head->file, head->name, embedding->name, dir);
}

static void load_tensors(Model *m, const SafeTensors *s, const char *dir, bool keep_16bit, bool outline) {
    const HfFamily *family = hf_family(&m->config);
    const StTensor *head = m->config.tied ? st_find(s, "lm_head.weight") : NULL;
    bool *used = mem_new(st_count(s), sizeof *used);
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        const StTensor *t = st_find(s, p->name);
        if (!t) bad_input("%s: tensor %s is missing, though config.json describes a model that has it", dir, p->name);
        check_shape(p, t, dir);
        load_param(p, t, keep_16bit && sizeof(real) == sizeof(float), outline);
        used[t - st_tensor(s, 0)] = true;
    }
    if (head) {
        if (!outline) check_tied_head(head, st_find(s, m->tok->name), dir);
        used[head - st_tensor(s, 0)] = true;
    }
    for (size_t i = 0; i < st_count(s); i++) {
        const StTensor *t = st_tensor(s, i);
        if (!used[i] && !is_buffer(family, t->name))
            bad_input("%s: tensor %.200s is no part of the %s model that %s/config.json describes: the two files do not belong together",
                      t->file, t->name, family->model_type, dir);
    }
    mem_free(used);
}

static Model *load_folder(const char *dir, bool keep_16bit, bool outline) {
    Config config = config_load(dir);
    const HfFamily *family = hf_family(&config);
    SafeTensors *s = st_open(dir);
    char *full = str_format("%s%s", family->prefix, family->embedding);
    config.bare_names = !st_find(s, full) && st_find(s, family->embedding);
    mem_free(full);
    char *where = os_join(dir, "config.json");
    Model *m = model_new(&config, where);
    mem_free(where);
    load_tensors(m, s, dir, keep_16bit, outline);
    const StTensor *embedding = st_find(s, m->tok->name);
    m->read_as = embedding->type == ST_F16 ? STORED_F16 : embedding->type == ST_BF16 ? STORED_BF16 : STORED_REAL;
    st_close(s);
    return m;
}

static Model *load(const char *path, bool keep_16bit, bool outline) {
    if (!os_exists(path)) bad_input("%s: no such model: expected a Hugging Face folder, a .gguf file, or a .bin file of llama2.c", path);
    if (os_is_dir(path)) return load_folder(path, keep_16bit, outline);
    if (gguf_named(path)) return outline ? gguf_outline(path, keep_16bit) : gguf_load(path, keep_16bit);
    if (!str_ends(path, ".bin"))
        bad_input("%s: a model is a folder (config.json, model.safetensors), a .gguf file, or a .bin file of llama2.c", path);
    return outline ? llama2c_outline(path) : llama2c_load(path);
}

Model *model_load(const char *path, bool keep_16bit) { return load(path, keep_16bit, false); }
Model *model_outline(const char *path, bool keep_16bit) { return load(path, keep_16bit, true); }

/* ---- saving ---- */

static void write_text(const char *dir, const char *name, Buf text) {
    char *path = os_join(dir, name);
    os_write_file(path, text.data, text.len);
    mem_free(path);
    buf_free(&text);
}

void model_save_config(const Model *m, const char *dir) {
    write_text(dir, "config.json", hf_config_text(&m->config));
    write_text(dir, "generation_config.json", hf_generation_text(&m->config));
}

static uint16_t *narrow(const Param *p, Stored as) {
    uint16_t *half = mem_new(param_size(p), sizeof *half);
    for (size_t i = 0; i < param_size(p); i++) {
        float x = (float)stored_value(p->w, p->stored, i);
        half[i] = as == STORED_F16 ? f16_round(x) : bf16_round(x);
    }
    return half;
}

void model_store(Model *m, Stored as) {
    const uint16_t infinite = as == STORED_F16 ? 0x7c00 : 0x7f80;
    m->config.saved_as = as;
    for (size_t i = 0; as != STORED_REAL && i < m->count; i++) {
        Param *p = m->params[i];
        size_t n = param_size(p);
        uint16_t *half = narrow(p, as);
        for (size_t j = 0; j < n; j++)
            if ((half[j] & infinite) == infinite)
                bad_input("tensor %s: element %zu is beyond the largest number of %s", p->name, j,
                          as == STORED_F16 ? "f16, which is 65504: use bf16" : "bf16: use f32");
        if (p->rank == 2) {
            mem_free(p->w);
            p->w = half, p->stored = as;
        } else {
            for (size_t j = 0; j < n; j++) ((real *)p->w)[j] = stored_value(half, as, j);
            mem_free(half);
        }
    }
}

void model_save(const Model *m, const char *dir) {
    StTensor *tensors = mem_new(m->count, sizeof *tensors);
    uint16_t **halves = mem_new(m->count, sizeof *halves);
    const Stored as = m->config.saved_as;
    const StType type = as == STORED_F16 ? ST_F16 : as == STORED_BF16 ? ST_BF16 : ST_F32;
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        if (p->adapter) continue;
        assert(type == ST_F32 || p->rank == 1 || p->stored == as);
        if (type != ST_F32 && p->stored != as) halves[i] = narrow(p, as);
        tensors[count++] = (StTensor){.name = p->name, .type = type, .rank = p->rank, .dims = {p->shape[0], p->shape[1]},
                                      .data = halves[i] ? (const void *)halves[i] : p->w, .held = p->stored};
    }
    char *path = os_join(dir, "model.safetensors");
    st_write(path, tensors, count);
    for (size_t i = 0; i < m->count; i++) mem_free(halves[i]);
    mem_free(path), mem_free(tensors), mem_free(halves);
    model_save_config(m, dir);
}
