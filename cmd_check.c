/* check: hashes of artifacts; logits and gradients of any model folder, for those who port, compare or teach. */
#include "commands.h"
#include "gradcheck.h"
#include "hash.h"
#include "opening.h"
#include "os.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Common common;
    ModelFlags model;
    const char *ids, *out;
    bool force, tensors;
    size_t elements;
} Options;

/* ---- check hash ---- */

static void print_hash(const char *path, bool tensors, bool json) {
    char hex[65], *adapter = os_join(path, "adapter_model.safetensors");
    if (tensors) st_tensors_hash(os_exists(adapter) ? adapter : path, hex);
    else if (os_exists(path) && os_is_dir(path)) hash_folder(path, hex);
    else hash_file(path, hex);
    ResultLine r = result_begin(json);
    result_text(&r, "sha256", hex), result_text(&r, "path", path);
    result_print(&r);
    mem_free(adapter);
}

static int check_hash(int argc, char **argv) {
    Options o = {0};
    Flag flags[] = {{"--adapter", FLAG_TEXT, EXECUTION, &o.model.adapter, 0, 0, "DIR", "an adapter, after the paths", false},
                    {"--tensors", FLAG_SWITCH, EXECUTION, &o.tensors, 0, 0, NULL, "of the tensors alone, whatever the sharding and metadata", false},
                    {"--json", FLAG_SWITCH, EXECUTION, &o.common.json, 0, 0, NULL, "results as JSON", false}};
    Command c = {.name = "check hash", .summary = "SHA-256 of files, folders or tensors", .usage = "PATH… [--tensors]", .flags = flags,
                 .count = sizeof flags / sizeof *flags, .example = "finetune check hash demo-out/base\nfinetune check hash --tensors model.safetensors"};
    if (!cli_parse(&c, argc, argv, 4096)) return 0;
    if (!c.positional_count && !o.model.adapter) bad_input("check hash needs at least one PATH; see finetune check hash --help");
    for (size_t i = 0; i < c.positional_count; i++) print_hash(c.positional[i], o.tensors, o.common.json);
    if (o.model.adapter) print_hash(o.model.adapter, o.tensors, o.common.json);
    return 0;
}

/* ---- token ids from JSON ---- */

typedef struct {
    int32_t *ids;
    size_t rows, length;
} IdRows;

static IdRows read_ids(const char *path, const Config *config, size_t least_length) {
    JsonDoc *doc = json_read(path);
    const Json *root = json_root(doc);
    if (root->kind != JSON_ARRAY || !root->count) bad_input("%s: expected an array of rows of token ids, found %s", path, json_kind_name(root->kind));
    IdRows r = {.rows = root->count};
    for (size_t i = 0; i < root->count; i++) {
        const Json *row = &root->items[i];
        if (row->kind != JSON_ARRAY)
            bad_input("%s: line %zu: row %zu: expected an array of token ids, found %s", path, row->line, i, json_kind_name(row->kind));
        if (!i) r.length = row->count;
        if (r.length < least_length) bad_input("%s: rows need at least %zu token ids, found %zu", path, least_length, r.length);
        if (row->count != r.length) bad_input("%s: row %zu has %zu token ids and row 0 has %zu: rows must be equally long", path, i, row->count, r.length);
    }
    r.ids = mem_new(size_mul(r.rows, r.length, path), sizeof *r.ids); /* so many are there */
    for (size_t i = 0; i < root->count; i++)
        for (size_t j = 0; j < r.length; j++) {
            const Json *id = &root->items[i].items[j];
            if (id->kind != JSON_NUMBER || !id->is_integer || id->integer < 0 || (uint64_t)id->integer >= config->vocab)
                bad_input("%s: line %zu: row %zu, place %zu: a token id of this model is a whole number from 0 to %zu", path, id->line, i,
                    j, config->vocab - 1);
            r.ids[i * r.length + j] = (int32_t)id->integer;
        }
    json_free(doc);
    return r;
}

static void check_length(const char *path, size_t length, const Config *c) {
    if (length > c->ctx) bad_input("%s: rows of %zu tokens are longer than the model's context of %zu: cut them", path, length, c->ctx);
}

/* ---- check logits, check grad ---- */

static bool parse_model_flags(Options *o, const char *name, const char *summary, const char *example, int argc, char **argv) {
    Flag flags[] = {{"--model", FLAG_MODEL, EXECUTION, &o->model.model, 0, 0, "DIR", "model folder, or a llama2.c .bin", false},
                    {"--adapter", FLAG_TEXT, EXECUTION, &o->model.adapter, 0, 0, "DIR",
                        "an adapter on the model, ours or PEFT's; check grad: its gradients alone", false},
                    {"--other-base", FLAG_SWITCH, EXECUTION, &o->model.other_base, 0, 0, NULL, "the adapter may have been trained on another model", false},
                    {"--ids", FLAG_TEXT, EXECUTION, &o->ids, 0, 0, "FILE.json", "array of equally long rows of token ids", false},
                    {"--out", FLAG_TEXT, EXECUTION, &o->out, 0, 0, "F.safetensors", "file to write", false},
                    {"--force", FLAG_SWITCH, EXECUTION, &o->force, 0, 0, NULL, "replace the file when it exists", false},
                    {"--elements", FLAG_SIZE, EXECUTION, &o->elements, 1, 1000000, "N", "check grad without --out: elements compared in each tensor", false},
                    COMMON_FLAGS(o->common)};
    Command c = {.name = name, .summary = summary, .usage = "--model DIR --ids FILE.json --out F.safetensors", .example = example, .flags = flags,
                 .count = sizeof flags / sizeof *flags};
    if (!cli_parse(&c, argc, argv, 0)) return false;
    cli_need(&c, "--model"), cli_need(&c, "--ids");
    if (o->out && os_exists(o->out) && !o->force) bad_input("%s exists: name another --out, or add --force to replace it", o->out);
    cli_threads(&o->common);
    return true;
}

static int check_logits(int argc, char **argv) {
    Options o = {.elements = 20};
    if (!parse_model_flags(&o, "check logits", "write the logits [B,T,V] of rows of token ids",
                           "finetune check logits --model demo-out/base --ids ids.json --out logits.safetensors", argc, argv))
        return 0;
    if (!o.out) bad_input("check logits needs --out F.safetensors");
    Model *m = open_weights(&o.model, true);
    const Config *c = &m->config;
    IdRows ids = read_ids(o.ids, c, 1);
    check_length(o.ids, ids.length, c);
    real *logits = mem_new(size_mul(size_mul(ids.rows, ids.length, o.ids), c->vocab, o.ids), sizeof *logits);
    Pass *p = pass_new(m, ids.length, false, false);
    Batch b = {0};
    for (size_t i = 0; i < ids.rows; i++) {
        const int32_t *row = ids.ids + i * ids.length;
        batch_clear(&b);
        batch_add(&b, row, row, NULL, ids.length);
        model_forward(m, p, &b);
        model_logits(m, p, 0, ids.length, logits + i * ids.length * c->vocab);
    }
    StTensor t = {.name = "logits", .type = ST_F32, .rank = 3, .dims = {ids.rows, ids.length, c->vocab}, .data = (const unsigned char *)logits,
                  .bytes = ids.rows * ids.length * c->vocab * 4};
    st_write(o.out, &t, 1);
    ResultLine r = result_begin(o.common.json);
    result_count(&r, "rows", ids.rows), result_count(&r, "tokens", ids.length), result_count(&r, "vocab", c->vocab);
    result_print(&r);
    return 0;
}

static void write_gradients(const Model *m, const char *path) {
    StTensor *t = mem_new(m->count, sizeof *t);
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        const Param *p = m->params[i];
        if (p->frozen) continue;
        t[count++] = (StTensor){.name = p->name, .type = ST_F32, .rank = p->rank, .dims = {p->shape[0], p->shape[1]}, .data = (const unsigned char *)p->g,
                          .bytes = param_size(p) * 4};
    }
    st_write(path, t, count);
    mem_free(t);
}

#ifdef REAL_F64
static int compare_gradients(Model *m, Pass *p, const Batch *b, const Options *o) {
    double worst = 0, *losses = mem_new(b->tokens, sizeof *losses);
    const char *where = "";
    for (size_t i = 0; i < m->count; i++) {
        if (m->params[i]->frozen) continue;
        double error = gradcheck_param(m, p, b, m->params[i], o->elements, losses);
        ResultLine r = result_begin(o->common.json);
        result_text(&r, "tensor", m->params[i]->name), result_number(&r, "error", error);
        result_print(&r);
        if (!(error <= worst)) worst = error, where = m->params[i]->name;
    }
    ResultLine r = result_begin(o->common.json);
    result_number(&r, "worst", worst), result_text(&r, "tensor", where);
    result_print(&r);
    if (!(worst < 1e-5)) work_failed("%s: the analytic gradient differs from the numeric one by %s", where, "more than 1e-5 of its size");
    return 0;
}
#endif

static int check_grad(int argc, char **argv) {
    Options o = {.elements = 20};
    if (!parse_model_flags(&o, "check grad", "write every gradient of the mean next-token loss, or compare it with central differences",
                           "finetune check grad --model demo-out/base --ids ids.json --out grads.safetensors\n"
                           "finetune check grad --model demo-out/base --ids ids.json",
                           argc, argv))
        return 0;
#ifndef REAL_F64
    if (!o.out) return os_run_beside("finetune-f64", "check", "grad", argc, argv, NULL);
#endif
    Model *m = open_weights(&o.model, false);
    IdRows ids = read_ids(o.ids, &m->config, 2);
    size_t pairs = ids.length - 1;
    check_length(o.ids, pairs, &m->config);
    model_alloc_training(m, false);
    Batch b = {0};
    for (size_t i = 0; i < ids.rows; i++) batch_add(&b, ids.ids + i * ids.length, ids.ids + i * ids.length + 1, NULL, pairs);
    size_t samples = o.out ? 2048 / pairs + 1 : ids.rows;
    Pass *p = pass_new(m, (samples < ids.rows ? samples : ids.rows) * pairs, true, false);
    double loss = batch_gradients(m, p, &b, samples);
    ResultLine r = result_begin(o.common.json);
    result_number(&r, "loss", loss), result_count(&r, "tokens", b.tokens);
    result_print(&r);
#ifdef REAL_F64
    if (!o.out) return compare_gradients(m, p, &b, &o);
#endif
    write_gradients(m, o.out);
    return 0;
}

int cmd_check(int argc, char **argv) {
    static const struct { const char *name; int (*run)(int, char **); } checks[] = {{"hash", check_hash}, {"logits", check_logits},
        {"grad", check_grad}, {"data", check_data}, {"fisher", check_fisher}};
    for (size_t i = 0; argc && i < sizeof checks / sizeof *checks; i++)
        if (!strcmp(argv[0], checks[i].name)) return checks[i].run(argc - 1, argv + 1);
    bool help = argc && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h"));
    if (!help) bad_input("check what? finetune check hash PATH…, check logits --model DIR …, check grad --model DIR …, check data FILE --model DIR");
    out_text("finetune check: look inside\n\n  hash PATH…    SHA-256 of files, folders or tensors\n  logits        logits of rows of token ids, to a file\n"
             "  grad          every gradient, to a file; or against central differences\n"
             "  data FILE…    rows token by token, what is learned of them, what is wrong with them\n"
             "  fisher        how much each weight matters to what the model says, for train --ewc\n\nexample:\n  finetune check grad --help\n");
    return 0;
}
