#include "opening.h"

#include "gguf.h"
#include "lora.h"
#include "os.h"
#include "weights.h"

static bool holds(const char *dir, const char *name) {
    char *path = os_join(dir, name);
    bool there = os_exists(path);
    mem_free(path);
    return there;
}

Model *open_weights(const ModelFlags *f, bool keep_16bit) {
    Model *m = model_load(f->model, keep_16bit);
    if (f->adapter) adapter_load(m, f->adapter, f->model, f->other_base);
    return m;
}

static bool holds_tokenizer(const char *path) {
    if (!gguf_named(path)) return holds(path, "tokenizer.json") || holds(path, "tokenizer.model");
    Gguf *g = gguf_open(path);
    bool there = gguf_get(g, "tokenizer.ggml.model") != NULL;
    gguf_close(g);
    return there;
}

Tokenizer *open_tokenizer(const ModelFlags *f, const Model *m, bool needed) {
    const char *path = f->tokenizer ? f->tokenizer : f->model;
    bool bin = str_ends(f->model, ".bin");
    if (!f->tokenizer && bin && needed) bad_input("%s holds no tokenizer: name one with --tokenizer", f->model);
    if (!f->tokenizer && !needed && (bin || !holds_tokenizer(path))) return NULL;
    Tokenizer *tok = tokenizer_load(path);
    if (tokenizer_size(tok) > m->config.vocab)
        bad_input("%s: its %zu tokens do not fit the model's vocabulary of %zu: name the tokenizer of this model with --tokenizer", path,
                  tokenizer_size(tok), m->config.vocab);
    return tok;
}

const char *template_folder(const ModelFlags *f) {
    if (f->adapter && os_is_dir(f->adapter) && (holds(f->adapter, "chat_template.jinja") || holds(f->adapter, "tokenizer_config.json")))
        return f->adapter;
    return str_ends(f->model, ".bin") ? NULL : f->model;
}

void encode_beginning(Tokenizer *tok, const char *text, size_t n, const char *what, Ids *ids) {
    size_t before = ids->count;
    int32_t bos = tokenizer_bos(tok), begin = bos >= 0 ? bos : tokenizer_eos(tok);
    if (tokenizer_adds_bos(tok)) ids_push(ids, bos);
    tokenizer_encode(tok, text, n, false, ids);
    if (ids->count > before) return;
    if (begin < 0) bad_input("%s is empty, and the tokenizer has no token that begins a text", what);
    ids_push(ids, begin);
}

size_t dtype_choice(const char *name) {
    static const char *const names[] = {"f32", "f16", "bf16", "source"}; /* in the order of Stored */
    return cli_choice("--dtype", name, names, sizeof names / sizeof *names);
}

Stored dtype_stored(size_t choice, const Model *m) { return choice > STORED_BF16 ? m->read_as : (Stored)choice; }
