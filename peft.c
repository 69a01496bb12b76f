/* peft: an adapter's folder as PEFT writes and reads it. Declared in lora.h.
 *
 * adapter_config.json says which modules have an adapter, adapter_model.safetensors holds
 *
 *     base_model.model.<module>.lora_A.weight [r, in]     .lora_B.weight [out, r]     .lora_magnitude_vector [out] (DoRA)
 *     base_model.model.<embedding>.token_adapter.trainable_tokens_delta [ids, C]: the rows themselves, in the order of the ids
 *
 * Keys of the config that are null, false or empty mean nothing. What is set must be understood, or it is refused: an adapter that is
 * computed otherwise than it was trained is worse than none.
 */
#include "gguf_model.h"
#include "hf.h"
#include "lora.h"
#include "pattern.h"

#include <string.h>

#define CONFIG "adapter_config.json"
#define TENSORS "adapter_model.safetensors"
#define NOTE "base_tensors"

bool is_adapter(const char *dir) {
    char *path = os_join(dir, CONFIG);
    bool there = os_exists(path);
    mem_free(path);
    return there;
}

void base_hash(const char *model_path, char hex[65]) {
    if (os_is_dir(model_path)) st_tensors_hash(model_path, hex);
    else {
        OsMap map = os_map(model_path);
        sha256_of(map.data, map.size, hex);
        os_unmap(&map);
    }
}

void adapter_set_base(Model *m, const char *model_path, const char *name) {
    mem_free(m->adapter->base);
    m->adapter->base = str_copy(name);
    base_hash(model_path, m->adapter->base_hash);
}

/* ---- writing ---- */

static void write_patterns(JsonWriter *w, const char *key, const LoraPattern *p, size_t count) {
    jw_object(w, key);
    for (size_t i = 0; i < count; i++) jw_double(w, p[i].key, p[i].value);
    jw_end_object(w);
}

static void write_ids(JsonWriter *w, const char *key, const TrainedRows *t) {
    jw_array(w, key);
    for (size_t i = 0; i < t->count; i++) jw_int(w, NULL, t->ids[i]);
    jw_end_array(w);
}

/* A list means the embedding; with a head of its own both are named. */
static void write_tokens(JsonWriter *w, const Model *m) {
    const char *key = "trainable_token_indices";
    if (!m->tok_rows.rows && !m->head_rows.rows) return;
    if (!m->head_rows.rows) {
        write_ids(w, key, &m->tok_rows);
        return;
    }
    jw_object(w, key);
    if (m->tok_rows.rows) write_ids(w, m->config.family == FAMILY_GPT2 ? "wte" : "embed_tokens", &m->tok_rows);
    write_ids(w, "lm_head", &m->head_rows);
    jw_end_object(w);
}

static void write_targets(JsonWriter *w, const LoraOptions *o) {
    const char *key = "target_modules";
    if (o->targets_regex) {
        jw_string(w, key, o->targets[0]);
        return;
    }
    jw_array(w, key);
    for (size_t i = 0; i < o->target_count; i++) jw_string(w, NULL, o->targets[i]);
    jw_end_array(w);
}

static void write_config(const Model *m, const char *path) {
    const Adapter *a = m->adapter;
    const LoraOptions *o = &a->options;
    JsonWriter w = {.pretty = true};
    jw_object(&w, NULL);
    write_patterns(&w, "alpha_pattern", o->alphas, o->alpha_count);
    jw_null(&w, "auto_mapping");
    if (a->base) jw_string(&w, "base_model_name_or_path", a->base);
    else jw_null(&w, "base_model_name_or_path");
    jw_string(&w, "bias", "none");
    jw_bool(&w, "fan_in_fan_out", m->config.family == FAMILY_GPT2);
    jw_bool(&w, "inference_mode", true);
    jw_bool(&w, "init_lora_weights", true);
    jw_null(&w, "layers_pattern"), jw_null(&w, "layers_to_transform");
    jw_double(&w, "lora_alpha", o->alpha), jw_double(&w, "lora_dropout", o->dropout);
    jw_null(&w, "modules_to_save");
    jw_string(&w, "peft_type", "LORA");
    jw_uint(&w, "r", o->rank);
    write_patterns(&w, "rank_pattern", o->ranks, o->rank_count);
    jw_null(&w, "revision");
    write_targets(&w, o);
    jw_string(&w, "task_type", "CAUSAL_LM");
    write_tokens(&w, m);
    jw_bool(&w, "use_dora", o->dora), jw_bool(&w, "use_rslora", o->rslora);
    jw_end_object(&w);
    buf_char(&w.text, '\n');
    os_write_file(path, w.text.data, w.text.len);
    buf_free(&w.text);
}

void adapter_save(const Model *m, const char *dir) {
    StTensor *t = mem_new(m->count, sizeof *t);
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        if (p->adapter)
            t[count++] = (StTensor){.name = p->name, .type = ST_F32, .rank = p->rank, .dims = {p->shape[0], p->shape[1]}, .data = p->w};
    }
    char *config = os_join(dir, CONFIG), *tensors = os_join(dir, TENSORS);
    write_config(m, config);
    st_write_noted(tensors, t, count, *m->adapter->base_hash ? NOTE : NULL, m->adapter->base_hash);
    mem_free(config), mem_free(tensors), mem_free(t);
}

/* ---- reading the config ---- */

static bool is_set(const Json *v) {
    switch (v->kind) {
    case JSON_NULL: return false;
    case JSON_BOOL: return v->boolean;
    case JSON_STRING: return v->length > 0;
    case JSON_ARRAY:
    case JSON_OBJECT: return v->count > 0;
    default: return true;
    }
}

static _Noreturn void refuse_value(const JsonDoc *doc, const char *key, const Json *v, const char *expected) {
    const char *quote = v->kind == JSON_STRING ? "\"" : "";
    const char *found = v->kind == JSON_STRING || v->kind == JSON_NUMBER ? v->string : json_kind_name(v->kind);
    if (v->kind == JSON_BOOL) found = v->boolean ? "true" : "false";
    bad_input("%s: line %zu: \"%s\" is %s%.100s%s, expected %s", json_name(doc), v->line, key, quote, found, quote, expected);
}

static bool is_text(const Json *v, const char *text) { return v->kind == JSON_STRING && json_is(v, text); }

/* Refuses every key that is set and not understood. */
static void check_keys(const JsonDoc *doc, const Json *root) {
    static const char *const understood[] = {"peft_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "target_modules", "rank_pattern",
        "alpha_pattern", "trainable_token_indices", "task_type", "bias", "init_lora_weights",
        /* these choose modules, and the tensors say which were chosen */
        "exclude_modules", "layers_to_transform", "layers_pattern",
        /* these change nothing that is computed here */
        "fan_in_fan_out", "inference_mode", "base_model_name_or_path", "revision", "peft_version", "auto_mapping", "megatron_core", "qalora_group_size",
        "ensure_weight_tying"};
    for (size_t i = 0; i < root->count; i++) {
        const char *key = root->keys[i].string;
        bool known = !is_set(&root->items[i]);
        for (size_t j = 0; !known && j < sizeof understood / sizeof *understood; j++) known = !strcmp(key, understood[j]);
        if (!known)
            bad_input("%s: line %zu: \"%.100s\" is set: this kind of adapter is not understood; make one of plain LoRA, rsLoRA or DoRA",
                      json_name(doc), root->items[i].line, key);
    }
    const Json *type = json_need(doc, root, "peft_type", JSON_STRING), *task = json_get(root, "task_type"), *bias = json_get(root, "bias"),
               *init = json_get(root, "init_lora_weights");
    if (!json_is(type, "LORA")) refuse_value(doc, "peft_type", type, "\"LORA\"");
    if (task && is_set(task) && !is_text(task, "CAUSAL_LM")) refuse_value(doc, "task_type", task, "\"CAUSAL_LM\"");
    if (bias && is_set(bias) && !is_text(bias, "none")) refuse_value(doc, "bias", bias, "\"none\": merge such an adapter with PEFT");
    if (init && is_set(init) && init->kind != JSON_BOOL && !is_text(init, "gaussian"))
        refuse_value(doc, "init_lora_weights", init, "true, false or \"gaussian\": other kinds change the base; convert the adapter with PEFT");
}

static LoraPattern *read_patterns(const JsonDoc *doc, const Json *root, const char *key, size_t *count) {
    const Json *object = json_get(root, key);
    *count = 0;
    if (!object || !is_set(object)) return NULL;
    if (object->kind != JSON_OBJECT) refuse_value(doc, key, object, "an object of names and numbers");
    LoraPattern *p = mem_new(object->count, sizeof *p);
    for (; *count < object->count; ++*count) {
        const Json *value = &object->items[*count];
        if (value->kind != JSON_NUMBER) refuse_value(doc, key, value, "a number for every name");
        p[*count] = (LoraPattern){str_copy(object->keys[*count].string), value->number};
    }
    return p;
}

static void read_targets(const JsonDoc *doc, const Json *root, LoraOptions *o) {
    const Json *targets = json_get(root, "target_modules");
    if (!targets || !is_set(targets)) bad_input("%s: no \"target_modules\": expected the names of the modules that have an adapter", json_name(doc));
    if (targets->kind != JSON_ARRAY && targets->kind != JSON_STRING) refuse_value(doc, "target_modules", targets, "names, or a regular expression");
    o->targets_regex = targets->kind == JSON_STRING && !json_is(targets, "all-linear");
    o->target_count = targets->kind == JSON_STRING ? 1 : targets->count;
    o->targets = mem_new(o->target_count, sizeof *o->targets);
    for (size_t i = 0; i < o->target_count; i++) {
        const Json *name = targets->kind == JSON_STRING ? targets : &targets->items[i];
        if (name->kind != JSON_STRING) refuse_value(doc, "target_modules", name, "a name");
        o->targets[i] = str_copy(name->string);
    }
}

static int32_t *read_ids(const JsonDoc *doc, const Json *array, const Model *m, size_t *count) {
    const char *key = "trainable_token_indices", *expected = "token ids of the model";
    if (array->kind != JSON_ARRAY) refuse_value(doc, key, array, expected);
    int32_t *ids = mem_new(array->count, sizeof *ids);
    for (*count = 0; *count < array->count; ++*count) {
        const Json *id = &array->items[*count];
        bool whole = id->kind == JSON_NUMBER && id->is_integer && id->integer >= 0;
        if (!whole || (uint64_t)id->integer >= m->config.vocab) refuse_value(doc, key, id, expected);
        ids[*count] = (int32_t)id->integer;
        for (size_t i = 0; i < *count; i++)
            if (ids[i] == ids[*count]) refuse_value(doc, key, id, "no id twice");
    }
    return ids;
}

static void read_tokens(const JsonDoc *doc, const Json *root, const Model *m, LoraOptions *o) {
    const Json *tokens = json_get(root, "trainable_token_indices");
    const char *embedding = m->config.family == FAMILY_GPT2 ? "transformer.wte" : "model.embed_tokens";
    if (!tokens || !is_set(tokens)) return;
    if (tokens->kind != JSON_OBJECT) {
        o->tokens = read_ids(doc, tokens, m, &o->token_count);
        return;
    }
    for (size_t i = 0; i < tokens->count; i++) {
        const char *name = tokens->keys[i].string;
        bool head = name_ends("lm_head", name);
        if (head ? o->head_tokens != NULL : o->tokens != NULL)
            bad_input("%s: line %zu: trainable_token_indices: \"%s\" names a tensor a second time", json_name(doc), tokens->items[i].line, name);
        if (name_ends(embedding, name)) o->tokens = read_ids(doc, &tokens->items[i], m, &o->token_count);
        else if (!m->config.tied && head) o->head_tokens = read_ids(doc, &tokens->items[i], m, &o->head_token_count);
        else
            bad_input("%s: line %zu: trainable_token_indices: rows of \"%s\" cannot be trained here, but those of %s%s", json_name(doc),
                      tokens->items[i].line, name, embedding, m->config.tied ? " (which is the head too)" : " and lm_head");
    }
}

static void read_config(const JsonDoc *doc, const Model *m, LoraOptions *o) {
    const Json *root = json_root(doc);
    if (root->kind != JSON_OBJECT) bad_input("%s: expected an object, found %s", json_name(doc), json_kind_name(root->kind));
    check_keys(doc, root);
    o->rank = (size_t)json_int(doc, root, "r", 1, 65536, 8);
    o->alpha = json_double(doc, root, "lora_alpha", 8), o->dropout = json_double(doc, root, "lora_dropout", 0);
    o->rslora = json_bool(doc, root, "use_rslora", false), o->dora = json_bool(doc, root, "use_dora", false);
    o->ranks = read_patterns(doc, root, "rank_pattern", &o->rank_count);
    o->alphas = read_patterns(doc, root, "alpha_pattern", &o->alpha_count);
    read_targets(doc, root, o);
    read_tokens(doc, root, m, o);
}

/* ---- which modules: targets and tensors must agree ---- */

static bool has_tensors(const SafeTensors *s, const char *module) {
    char *name = str_format("base_model.model.%s.lora_A.weight", module);
    bool there = st_find(s, name) != NULL;
    mem_free(name);
    return there;
}

static void remove_target(LoraOptions *o, size_t i) {
    mem_free(o->targets[i]);
    for (o->target_count--; i < o->target_count; i++) o->targets[i] = o->targets[i + 1];
}

/* Whole names in place of targets when other keys narrow the choice; names that select nothing here are left out, as PEFT does. */
static void settle_targets(Model *m, const JsonDoc *doc, const SafeTensors *s, LoraOptions *o) {
    const char *const narrowing[] = {"exclude_modules", "layers_to_transform"};
    bool narrow = false;
    for (int i = 0; i < 2; i++) {
        const Json *v = json_get(json_root(doc), narrowing[i]);
        narrow |= v && is_set(v);
    }
    if (o->target_count == 1 && !strcmp(o->targets[0], "all-linear")) lora_name_all(m, o);
    bool *used = mem_new(o->target_count, sizeof *used);
    char **present = NULL;
    size_t present_count = 0, which = 0;
    for (size_t layer = 0; layer < m->config.layers; layer++) {
        Linear *list[BLOCK_LINEARS];
        size_t count = block_linears(&m->blocks[layer], list);
        for (size_t i = 0; i < count; i++) {
            char *module = module_name(m, list[i]->w);
            bool chosen = lora_selects(o, module, &which), there = has_tensors(s, module);
            if (chosen) used[which] = true;
            if (chosen != there && (!narrow || there))
                bad_input("%s: %s %s target_modules, but " TENSORS " holds %stensors of it", json_name(doc), module,
                          chosen ? "is among the" : "is not among the", there ? "" : "no ");
            if (there) {
                present = mem_resize(present, present_count + 1, sizeof *present);
                present[present_count++] = module;
            } else mem_free(module);
        }
    }
    if (!present_count) bad_input("%s: none of its target_modules is a Linear of this model that %s has tensors of", json_name(doc), TENSORS);
    for (size_t i = o->target_count; !narrow && i-- > 0;)
        if (!used[i] && !o->targets_regex) remove_target(o, i);
    char **spare = narrow ? o->targets : present;
    size_t spare_count = narrow ? o->target_count : present_count;
    if (narrow) o->targets = present, o->target_count = present_count, o->targets_regex = false;
    for (size_t i = 0; i < spare_count; i++) mem_free(spare[i]);
    mem_free(spare), mem_free(used);
}

/* ---- the tensors ---- */

/* row_of NULL, or where row i of the file belongs. */
static void fill(const SafeTensors *s, const char *path, Param *p, const size_t *row_of, size_t *filled) {
    const StTensor *t = st_find(s, p->name);
    if (!t) bad_input("%s: tensor %s is missing, though " CONFIG " describes an adapter that has it", path, p->name);
    unsigned long long rows = t->rank > 0 ? t->dims[0] : 0, columns = t->rank > 1 ? t->dims[1] : 1;
    if (t->rank != p->rank || rows != p->shape[0] || columns != p->shape[1])
        bad_input("%s: tensor %s has shape [%llu, %llu], expected [%zu, %zu] by " CONFIG " and the model: the adapter belongs to another model",
                  path, p->name, rows, columns, p->shape[0], p->shape[1]);
    if (t->type != ST_F32 && t->type != ST_F16 && t->type != ST_BF16)
        bad_input("%s: tensor %s is %s; adapters are read as F32, F16 or BF16: save it in one of these", path, p->name, st_type_name(t->type));
    check_finite(path, p->name, t->type, t->data, param_size(p));
    for (size_t i = 0; i < param_size(p); i++) {
        size_t row = i / p->shape[1], column = i % p->shape[1];
        ((real *)p->w)[(row_of ? row_of[row] : row) * p->shape[1] + column] = (real)st_value(t, i);
    }
    ++*filled;
}

/* Our rows ascend by id, the file's stand as its config says. */
static void fill_rows(const SafeTensors *s, const char *path, const TrainedRows *t, const int32_t *ids, size_t *filled) {
    if (!t->rows) return;
    size_t *row_of = mem_new(t->count, sizeof *row_of);
    for (size_t i = 0; i < t->count; i++)
        while (t->ids[row_of[i]] != ids[i]) row_of[i]++;
    fill(s, path, t->rows, row_of, filled);
    mem_free(row_of);
}

static void fill_all(Model *m, const SafeTensors *s, const char *path, const LoraOptions *o) {
    size_t filled = 0;
    fill_rows(s, path, &m->tok_rows, o->tokens, &filled);
    fill_rows(s, path, &m->head_rows, o->head_tokens, &filled);
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        if (p->adapter && p != m->tok_rows.rows && p != m->head_rows.rows) fill(s, path, p, NULL, &filled);
    }
    for (size_t i = 0; filled < st_count(s) && i < st_count(s); i++) {
        const char *name = st_tensor(s, i)->name;
        bool known = false;
        for (size_t j = 0; j < m->count && !known; j++) known = m->params[j]->adapter && !strcmp(m->params[j]->name, name);
        if (!known) bad_input("%s: tensor %.200s is no part of the adapter that " CONFIG " describes on this model", path, name);
    }
}

static void check_base(Model *m, const SafeTensors *s, const char *dir, const char *model_path, bool other_base) {
    const char *note = st_note(s, NOTE);
    m->adapter->base = str_copy(model_path);
    if (!note || other_base) return;
    base_hash(model_path, m->adapter->base_hash);
    if (strcmp(note, m->adapter->base_hash))
        bad_input("%s: this adapter was trained on a model whose tensors have the SHA-256 %.12s…, those of %s have %.12s…: name that model, "
                  "or add --other-base",
                  dir, note, model_path, m->adapter->base_hash);
}

void adapter_load(Model *m, const char *dir, const char *model_path, bool other_base) {
    if (gguf_named(dir)) {
        gguf_adapter_load(m, dir, model_path);
        return;
    }
    if (mlx_is_adapter(dir)) {
        mlx_adapter_load(m, dir, model_path);
        return;
    }
    if (!is_adapter(dir)) bad_input("%s: no " CONFIG " in it: an adapter is a folder with that and " TENSORS, dir);
    char *config = os_join(dir, CONFIG), *path = os_join(dir, TENSORS);
    if (!os_exists(path)) bad_input("%s: missing: save the adapter as safetensors", path);
    JsonDoc *doc = json_read(config);
    SafeTensors *s = st_open(path);
    LoraOptions o = {0};
    read_config(doc, m, &o);
    settle_targets(m, doc, s, &o);
    lora_attach(m, &o);
    check_base(m, s, dir, model_path, other_base);
    fill_all(m, s, path, &o);
    adapter_refresh(m);
    lora_free_options(&o);
    st_close(s), json_free(doc);
    mem_free(config), mem_free(path);
}
