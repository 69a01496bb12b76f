/* check fisher: the Fisher information of a model on a text or on rows, as a file that train --ewc takes. */
#include "commands.h"
#include "fisher.h"
#include "hash.h"
#include "lora.h"
#include "material.h"
#include "opening.h"
#include "os.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    Common common;
    ModelFlags model;
    const char *data, *out, *plus, *loss, *template, *system;
    size_t sequences, ctx;
    double decay;
    bool empirical, force;
} Options;

static int fisher(const Options *o) {
    static const char *const losses[] = {"completions", "all"};
    Model *m = open_weights(&o->model, false);
    Tokenizer *tok = open_tokenizer(&o->model, m, false);
    size_t ctx = o->ctx ? o->ctx : m->config.ctx < 512 ? m->config.ctx : 512;
    if (ctx > m->config.ctx) bad_input("--ctx %zu is longer than the model's context of %zu", ctx, m->config.ctx);
    if (m->adapter) lora_merge(m, 1);
    model_alloc_training(m, false);
    Material data = material_open(o->data, m, tok, ctx, (LossKind)cli_choice("--loss", o->loss, losses, 2), o->template, o->system, template_folder(&o->model));
    Pass *p = pass_new(m, data.source.longest, true, false);
    Fisher *f = fisher_new(m, p, &data.source, o->sequences, o->empirical, (uint32_t)o->common.seed);
    base_hash(o->model.model, f->base);
    if (o->model.adapter) hash_path(o->model.adapter, f->adapter);
    memcpy(f->data, data.hash, sizeof f->data);
    if (o->plus) fisher_add_earlier(f, m, o->plus, o->decay);
    fisher_write(f, m, o->out);
    double sum = 0, largest = 0;
    for (size_t i = 0; i < f->params; i++)
        for (size_t j = 0; f->values[i] && j < param_size(m->params[i]); j++) {
            double x = (double)f->values[i][j];
            sum += x;
            if (x > largest) largest = x;
        }
    ResultLine r = result_begin(o->common.json);
    result_count(&r, "sequences", f->sequences), result_text(&r, "variant", f->empirical ? "empirical" : "true");
    result_number(&r, "mean", sum / (double)model_parameters(m)), result_number(&r, "largest", largest);
    result_print(&r);
    return 0;
}

int check_fisher(int argc, char **argv) {
    Options o = {.sequences = 200, .loss = "completions", .decay = 1, .common = {.seed = 1}};
    Flag flags[] = {
        MODEL_FLAGS(o.model),
        {"--data", FLAG_TEXT, EXECUTION, &o.data, 0, 0, "FILE", "text, or rows of any form: what the model is to keep", false},
        {"--out", FLAG_TEXT, EXECUTION, &o.out, 0, 0, "F.safetensors", "file to write", false},
        {"--sequences", FLAG_SIZE, DEFINING, &o.sequences, 0, 1e9, "N", "of the first N sequences; 0: of all", false},
        {"--ctx", FLAG_SIZE, DEFINING, &o.ctx, 0, 1048576, "N", "longest sequence; 0: the model's context, at most 512", false},
        {"--empirical", FLAG_SWITCH, DEFINING, &o.empirical, 0, 0, NULL, "with the text's own tokens instead of tokens drawn from the model", false},
        {"--plus", FLAG_TEXT, EXECUTION, &o.plus, 0, 0, "FILE", "add the Fisher information of the tasks before, of the same model", false},
        {"--decay", FLAG_REAL, DEFINING, &o.decay, 0, 1, "X", "times this", false},
        {"--loss", FLAG_TEXT, DEFINING, &o.loss, 0, 0, "NAME", "completions: at what the assistant says; all", false},
        {"--template", FLAG_TEXT, DEFINING, &o.template, 0, 0, "NAME|FILE", "of chat rows", false},
        {"--system", FLAG_TEXT, DEFINING, &o.system, 0, 0, "TEXT|none", "system message of rows that have none", false},
        {"--force", FLAG_SWITCH, EXECUTION, &o.force, 0, 0, NULL, "replace the file when it exists", false},
        COMMON_FLAGS(o.common)};
    Command c = {.name = "check fisher", .summary = "how much each weight matters to what a model says: the diagonal Fisher information",
                 .usage = "--model DIR --data FILE --out F.safetensors [flags]", .flags = flags, .count = sizeof flags / sizeof *flags,
                 .example = "finetune check fisher --model demo-out/base --data demo-out/stories/valid.txt --out fisher.safetensors\n"
                            "finetune train --model demo-out/base --data rows.jsonl --ewc fisher.safetensors --ewc-lambda 100 --out tuned"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    cli_need(&c, "--model"), cli_need(&c, "--data"), cli_need(&c, "--out");
    if (cli_given(&c, "--decay") && !o.plus) bad_input("--decay belongs to --plus FILE");
    if (os_exists(o.out) && !o.force) bad_input("%s exists: name another --out, or add --force to replace it", o.out);
    cli_threads(&o.common);
    return fisher(&o);
}
