/* mlx: adapters of Apple's mlx-lm. Declared in gguf_model.h.
 *
 * adapter_config.json says {"fine_tune_type": "lora" or "dora", "lora_parameters": {"scale": 20.0, …}}, adapters.safetensors holds
 *
 *     <module>.lora_a [in, r]     <module>.lora_b [r, out]     <module>.m [out] (DoRA)          y = x W' + scale · (x A) B
 *
 * which is PEFT's adapter with both matrices transposed, and alpha = scale · r.
 */
#include "gguf_model.h"
#include "hf.h"

#include <string.h>

#define CONFIG "adapter_config.json"
#define TENSORS "adapters.safetensors"

bool mlx_is_adapter(const char *dir) {
    char *config = os_join(dir, CONFIG), *tensors = os_join(dir, TENSORS), *peft = os_join(dir, "adapter_model.safetensors");
    bool there = os_exists(config) && os_exists(tensors) && !os_exists(peft);
    mem_free(config), mem_free(tensors), mem_free(peft);
    return there;
}

/* mlx calls GPT-2's blocks "model.h.0", Hugging Face "transformer.h.0". */
static const StTensor *find_part(const SafeTensors *s, const Model *m, const Linear *l, const char *part) {
    char *module = module_name(m, l->w);
    const char *bare = str_starts(module, "transformer.") ? module + strlen("transformer.") : NULL;
    char *name = bare ? str_format("model.%s.%s", bare, part) : str_format("%s.%s", module, part);
    const StTensor *t = st_find(s, name);
    mem_free(module), mem_free(name);
    return t;
}

static bool read_settings(const JsonDoc *doc, double *scale) {
    const Json *root = json_root(doc);
    if (root->kind != JSON_OBJECT) bad_input("%s: expected an object, found %s", json_name(doc), json_kind_name(root->kind));
    const char *type = json_string(doc, root, "fine_tune_type", "lora");
    bool dora = !strcmp(type, "dora");
    if (!dora && strcmp(type, "lora"))
        bad_input("%s: fine_tune_type is \"%.40s\", expected lora or dora: a model tuned in full is a model folder (mlx_lm.fuse writes it)",
                  json_name(doc), type);
    const Json *parameters = json_need(doc, root, "lora_parameters", JSON_OBJECT);
    json_need(doc, parameters, "scale", JSON_NUMBER);
    *scale = json_double(doc, parameters, "scale", 0);
    if (!(*scale > 0) || !(*scale < 1e30)) bad_input("%s: lora_parameters: scale must be above 0", json_name(doc));
    return dora;
}

/* Our p[row][column] is the file's t[column][row]; of a vector, the same. */
static void fill(Param *p, const StTensor *t) {
    bool vector = p->rank == 1;
    uint64_t rows = vector ? 1 : p->shape[1], columns = p->shape[0];
    if (t->type != ST_F32 && t->type != ST_F16 && t->type != ST_BF16)
        bad_input("%s: tensor %s is %s; adapters are read as F32, F16 or BF16", t->file, t->name, st_type_name(t->type));
    if (t->rank != p->rank || t->bytes / (t->type == ST_F32 ? 4 : 2) != rows * columns || t->dims[t->rank - 1] != columns)
        bad_input("%s: tensor %s has another shape than the model's %s: the adapter belongs to another model", t->file, t->name, p->name);
    check_finite(t->file, t->name, t->type, t->data, param_size(p));
    for (size_t row = 0; row < columns; row++)
        for (size_t column = 0; column < rows; column++) ((real *)p->w)[row * rows + column] = (real)st_value(t, column * columns + row);
}

static void fill_all(Model *m, const SafeTensors *s, const char *path) {
    size_t filled = 0;
    for (size_t i = 0; i < m->adapter->count; i++) {
        const Lora *l = &m->adapter->loras[i];
        Param *const parts[] = {l->a, l->b, l->magnitude};
        static const char *const names[] = {"lora_a", "lora_b", "m"};
        for (int k = 0; k < 3; k++) {
            if (!parts[k]) continue;
            const StTensor *t = find_part(s, m, m->adapter->linears[i], names[k]);
            if (!t) bad_input("%s: %s of %s is missing: save the adapter again", path, names[k], m->adapter->linears[i]->w->name);
            fill(parts[k], t);
            filled++;
        }
    }
    if (filled != st_count(s))
        bad_input("%s: %zu tensors, but %zu belong to Linears of this model's blocks: adapters of embeddings or of the head are not supported", path,
                  st_count(s), filled);
}

void mlx_adapter_load(Model *m, const char *dir, const char *model_path) {
    char *config = os_join(dir, CONFIG), *path = os_join(dir, TENSORS);
    JsonDoc *doc = json_read(config);
    SafeTensors *s = st_open(path);
    double scale;
    LoraOptions o = {.dora = read_settings(doc, &scale)};
    for (size_t layer = 0; layer < m->config.layers; layer++) {
        Linear *list[BLOCK_LINEARS];
        size_t count = block_linears(&m->blocks[layer], list);
        for (size_t i = 0; i < count; i++) {
            const StTensor *a = find_part(s, m, list[i], "lora_a");
            if (!a) continue;
            uint64_t rank = a->rank == 2 ? a->dims[1] : 0;
            if (rank < 1 || rank > 65536) bad_input("%s: tensor %s is no matrix of rank 1 to 65536", path, a->name);
            lora_add_module(&o, module_name(m, list[i]->w), (size_t)rank, scale * (double)rank);
        }
    }
    if (!o.target_count) bad_input("%s: no tensor of it belongs to a Linear of this model", path);
    lora_attach(m, &o);
    m->adapter->base = str_copy(model_path);
    fill_all(m, s, path);
    adapter_refresh(m);
    lora_free_options(&o);
    st_close(s), json_free(doc), mem_free(config), mem_free(path);
}
