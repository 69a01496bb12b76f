#include "material.h"

#include "examples.h"
#include "hash.h"
#include "os.h"

static void add_row(const void *corpus, size_t row, Batch *b) { corpus_add_row(corpus, row, b); }

static bool is_text(const char *path) {
    if (!os_exists(path) || !os_is_dir(path)) return str_ends(path, ".txt");
    char *rows = rows_part(path, "train");
    bool text = !rows;
    mem_free(rows);
    return text;
}

static Material text_material(const char *path, Tokenizer *tok, size_t ctx) {
    Texts *texts = mem_new(1, sizeof *texts);
    Corpus *corpus = mem_new(1, sizeof *corpus);
    *texts = texts_read(path);
    *corpus = corpus_new(texts, tok, ctx);
    if (!corpus->pairs) bad_input("%s: no two tokens follow each other: nothing to learn from", path);
    Material m = {.source = {.samples = corpus_rows(corpus), .longest = ctx < corpus->pairs ? ctx : corpus->pairs, .self = corpus, .add = add_row}};
    memcpy(m.hash, texts->hash, sizeof m.hash);
    return m;
}

Material material_open(const char *path, const Model *m, Tokenizer *tok, size_t ctx, LossKind loss, const char *template_name, const char *system,
                       const char *template_dir) {
    if (is_text(path)) {
        if (!tok) bad_input("%s is text, and the model's folder holds no tokenizer: name one with --tokenizer, or give rows of input_ids", path);
        return text_material(path, tok, ctx);
    }
    char *part = os_exists(path) && os_is_dir(path) ? rows_part(path, "train") : str_copy(path);
    const char *why;
    Rows *rows = rows_open(part, NULL, true);
    if (!tok && rows_kind(rows) != ROWS_IDS) bad_input("%s: the model's folder holds no tokenizer: name one with --tokenizer, or give rows of input_ids", part);
    const Row *first = rows_get(rows, 0);
    Chat *chat = tok ? chat_choose(template_name, system, template_dir, rows_kind(rows), first->strings, tok, &why) : NULL;
    Examples *e = examples_new(rows, encoder_new(tok, chat, loss, m->config.vocab));
    examples_limit(e, ctx, LONG_CUT);
    if (!e->count) bad_input("%s: no row with anything to learn from; see finetune check data", part);
    Material material = {.source = {.samples = e->count, .longest = e->longest, .self = e, .add = examples_add}};
    hash_file(part, material.hash);
    mem_free(part);
    return material;
}
