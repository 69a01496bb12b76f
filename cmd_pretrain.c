/* pretrain: a new model from text. */
#include "commands.h"
#include "decimal.h"
#include "fp.h"
#include "hash.h"
#include "plan.h"
#include "train.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    TrainFlags train;
    const char *data, *valid, *out, *family, *size, *tokenizer;
    size_t vocab, layers, dim, heads, kv_heads, ffn, ctx, sample_tokens;
    bool untied;
} Options;

/* ---- shape ---- */

typedef struct {
    const char *name;
    size_t vocab, layers, dim, heads, ffn, ctx;
    double lr;
} Size;

static const Size sizes[] = {{"1M", 2048, 4, 128, 4, 352, 256, 3e-3}, {"7M", 4096, 6, 288, 6, 768, 256, 2e-3}, {"30M", 8192, 8, 512, 8, 1376, 512, 1e-3}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void resolve_shape(Options *o, const Command *c) {
    const Size *s = NULL;
    const char *names[SIZES];
    for (int i = 0; i < SIZES; i++) {
        names[i] = sizes[i].name;
        if (!strcmp(o->size, sizes[i].name)) s = &sizes[i];
    }
    if (!s) {
        const char *near = nearest_name(o->size, names, SIZES);
        bad_input("--size: unknown value \"%s\": 1M, 7M or 30M%s%s%s", o->size, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    if (!o->vocab) o->vocab = s->vocab;
    if (!o->layers) o->layers = s->layers;
    if (!o->dim) o->dim = s->dim;
    if (!o->heads) o->heads = s->heads;
    if (!o->kv_heads) o->kv_heads = o->heads;
    if (!o->ffn) o->ffn = cli_given(c, "--dim") ? o->dim * 4 : s->ffn;
    if (!o->ctx) o->ctx = s->ctx;
    if (!cli_given(c, "--lr")) o->train.lr = s->lr;
    if (o->dim % o->heads) bad_input("--dim %zu is no multiple of --heads %zu", o->dim, o->heads);
}

static Config config_of(const Options *o, const Tokenizer *tok) {
    static const char *const families[] = {"gpt2", "llama"};
    bool gpt2 = !strcmp(o->family, "gpt2");
    if (!gpt2 && strcmp(o->family, "llama")) {
        const char *near = nearest_name(o->family, families, 2);
        bad_input("--family: unknown value \"%s\": llama or gpt2%s%s%s", o->family, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    Config c = {.family = gpt2 ? FAMILY_GPT2 : FAMILY_LLAMA, .vocab = tokenizer_size(tok), .ctx = o->ctx, .dim = o->dim, .layers = o->layers,
                .heads = o->heads, .kv_heads = o->kv_heads, .head_dim = o->dim / o->heads, .ffn = o->ffn,
                .tied = !o->untied, .norm_eps = 1e-5, .rope_theta = 10000, .init_std = 1 / d_sqrt((double)o->dim), .bos = tokenizer_bos(tok), .pad = -1};
    c.qkv_bias = c.out_bias = c.mlp_bias = gpt2;
    int32_t eos = tokenizer_eos(tok);
    if (eos >= 0) c.eos[c.eos_count++] = eos;
    return c;
}

/* ---- inputs ---- */

typedef struct {
    Texts texts, held;
    Tokenizer *tok;
    Corpus train, valid;
    char tokenizer_hash[65];
} Inputs;

static Tokenizer *train_tokenizer(const Options *o, const Texts *t) {
    BpeTrainer *b = bpe_trainer_new();
    for (size_t i = 0; i < t->count; i++) bpe_trainer_add(b, t->documents[i].text, t->documents[i].length);
    Tokenizer *tok = bpe_train(b, o->vocab);
    if (tokenizer_size(tok) < o->vocab)
        fprintf(stderr, "pretrain: the text has pairs for %zu tokens only, not for --vocab %zu\n", tokenizer_size(tok), o->vocab);
    return tok;
}

static void hash_tokenizer(const char *path, char hex[65]) {
    static const char *const names[] = {"tokenizer.json", "tokenizer.model", "tokenizer.bin"};
    if (!os_is_dir(path)) {
        hash_file(path, hex);
        return;
    }
    for (int i = 0; i < 3; i++) {
        char *file = os_join(path, names[i]);
        bool there = os_exists(file);
        if (there) hash_file(file, hex);
        mem_free(file);
        if (there) return;
    }
}

static Inputs read_inputs(const Options *o) {
    Inputs in = {.texts = texts_read(o->data)};
    double fraction;
    if (!decimal_parse(o->valid, strlen(o->valid), &fraction)) in.held = texts_read(o->valid);
    else if (fraction < 0 || fraction >= 1) bad_input("--valid takes a file, or a fraction from 0 up to 1, found %s", o->valid);
    else if (fraction > 0) in.held = texts_hold_out(&in.texts, fraction, (uint32_t)o->train.common.seed);
    in.tok = o->tokenizer ? tokenizer_load(o->tokenizer) : train_tokenizer(o, &in.texts);
    if (o->tokenizer) hash_tokenizer(o->tokenizer, in.tokenizer_hash);
    in.train = corpus_new(&in.texts, in.tok, o->ctx);
    if (!in.train.pairs) bad_input("%s: no two tokens follow each other: nothing to learn", o->data);
    if (in.held.count) in.valid = corpus_new(&in.held, in.tok, o->ctx);
    return in;
}

static void add_row(const void *corpus, size_t sample, Batch *b) { corpus_add_row(corpus, sample, b); }

/* ---- settings ---- */

static Buf settings_text(const Options *o, const Command *c, const Inputs *in, const Model *m) {
    JsonWriter w = {.pretty = true};
    double fraction;
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "format", "finetune.c run"), jw_int(&w, "bits_version", BITS_VERSION), jw_string(&w, "command", "pretrain");
    jw_object(&w, "settings");
    cli_record(c, &w);
    if (decimal_parse(o->valid, strlen(o->valid), &fraction)) jw_double(&w, "valid", fraction);
    jw_end_object(&w);
    jw_object(&w, "inputs");
    jw_string(&w, "data", in->texts.hash);
    if (in->held.file_count) jw_string(&w, "valid", in->held.hash);
    if (o->tokenizer) jw_string(&w, "tokenizer", in->tokenizer_hash);
    jw_end_object(&w);
    jw_object(&w, "model");
    jw_uint(&w, "parameters", model_parameters(m)), jw_uint(&w, "vocab", m->config.vocab);
    jw_uint(&w, "train_documents", in->texts.count), jw_uint(&w, "train_tokens", in->train.pairs);
    jw_uint(&w, "valid_documents", in->held.count), jw_uint(&w, "valid_tokens", in->valid.pairs);
    jw_end_object(&w), jw_end_object(&w);
    buf_char(&w.text, '\n');
    return w.text;
}

static void print_plan(const Options *o, const Command *c, const Inputs *in, const Training *t) {
    fprintf(stderr, "pretrain: settings\n");
    cli_print_settings(c);
    fprintf(stderr, "pretrain: %zu parameters; %zu documents, %zu tokens, %zu rows of %zu; %zu held-out documents, %zu tokens\n",
            model_parameters(t->model), in->texts.count, in->train.pairs, t->source.samples, o->ctx, in->held.count, in->valid.pairs);
}

static int pretrain(Options *o, const Command *c, int argc, char **argv) {
    Inputs in = read_inputs(o);
    o->vocab = tokenizer_size(in.tok);
    Config config = config_of(o, in.tok);
    Model *m = model_new(&config, "pretrain");
    Training t = {.stage = "pretrain", .model = m, .tok = in.tok, .valid = in.held.count ? &in.valid : NULL, .sample_tokens = o->sample_tokens,
                  .source = {.samples = corpus_rows(&in.train), .longest = o->ctx < in.train.pairs ? o->ctx : in.train.pairs,
                      .self = &in.train, .add = add_row}};
    if (t.source.longest < o->ctx && in.valid.pairs > t.source.longest) t.source.longest = o->ctx;
    training_settings(&t, &o->train);
    Memory memory = plan_memory(&t);
    plan_refuse(&t, NULL, &memory, os_memory());
    double seconds = o->train.resume ? 0 : plan_step_seconds(&t, 0.05); /* while there is room */
    model_alloc_weights(m);
    model_alloc_training(m, true);
    model_init(m, (uint32_t)o->train.common.seed);
    training_minutes(&t, &o->train, o->out);
    print_plan(o, c, &in, &t);
    plan_print(&t, &memory, seconds);
    if (o->train.dry_run) return 0;
    Buf settings = settings_text(o, c, &in, m);
    training_check_space(&t, o->out);
    Run *run = run_open(o->out, &settings, o->train.resume, o->train.force);
    int code = training_run(&t, run, argc, argv);
    run_close(run);
    if (code == 0 && !o->train.stop_at) training_result(&o->train, o->out);
    return code;
}

int cmd_pretrain(int argc, char **argv) {
    Options o = {.train = {.schedule = "cosine", .order = "shuffle", .warmup = "5%", .lr = 3e-3, .min_lr = 0, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8,
                           .weight_decay = 0.1, .clip = 1, .batch = 8, .common = {.seed = 1}},
                 .valid = "0.05", .family = "llama", .size = "1M", .sample_tokens = 48};
    Flag flags[] = {
        {"--data", FLAG_TEXT, EXECUTION, &o.data, 0, 0, "FILE|DIR", "text; documents end at " END_OF_TEXT "; a folder: its *.txt", false},
        {"--valid", FLAG_TEXT, EXECUTION, &o.valid, 0, 0, "FILE|FRACTION", "held-out text, or the share of the documents to hold out; 0: none", false},
        {"--out", FLAG_TEXT, EXECUTION, &o.out, 0, 0, "DIR", "run folder; must not exist", false},
        {"--family", FLAG_TEXT, DEFINING, &o.family, 0, 0, "NAME", "llama or gpt2", false},
        {"--size", FLAG_TEXT, DEFINING, &o.size, 0, 0, "NAME", "1M, 7M or 30M: the defaults of the six below, of --vocab and of --lr", false},
        {"--layers", FLAG_SIZE, DEFINING, &o.layers, 0, 1024, "N", "blocks", false},
        {"--dim", FLAG_SIZE, DEFINING, &o.dim, 0, 65536, "N", "width of the residual stream", false},
        {"--heads", FLAG_SIZE, DEFINING, &o.heads, 0, 1024, "N", "attention heads", false},
        {"--kv-heads", FLAG_SIZE, DEFINING, &o.kv_heads, 0, 1024, "N", "key-value heads; 0: as many as heads", false},
        {"--ffn", FLAG_SIZE, DEFINING, &o.ffn, 0, 1048576, "N", "width inside the feed-forward layer", false},
        {"--ctx", FLAG_SIZE, DEFINING, &o.ctx, 0, 4194304, "N", "tokens of a row: the model's context", false},
        {"--untied", FLAG_SWITCH, DEFINING, &o.untied, 0, 0, NULL, "a head of its own instead of the embedding", false},
        {"--tokenizer", FLAG_TEXT, EXECUTION, &o.tokenizer, 0, 0, "DIR", "tokenizer to use; else one is trained on the data", false},
        {"--vocab", FLAG_SIZE, DEFINING, &o.vocab, 0, 1000000, "N", "tokens of the tokenizer that is trained", false},
        {"--sample-tokens", FLAG_SIZE, DEFINING, &o.sample_tokens, 0, 100000, "N", "of the sample at each evaluation; 0: none", false},
        TRAIN_FLAGS(o.train)};
    Command c = {.name = "pretrain", .summary = "train a new model on text", .usage = "--data FILE|DIR --out DIR [flags]", .flags = flags,
                 .count = sizeof flags / sizeof *flags,
                 .example = "finetune pretrain --data stories/train.txt --valid stories/valid.txt --size 1M --epochs 1 --out base\n"
                            "finetune pretrain --data book.txt --family gpt2 --layers 4 --dim 192 --heads 6 --ctx 128 --minutes 10 --out book"};
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    cli_need(&c, "--data"), cli_need(&c, "--out");
    resolve_shape(&o, &c);
    if (!o.train.steps && !(o.train.epochs > 0) && !(o.train.minutes > 0)) o.train.epochs = 1;
    training_check_out(&o.train, o.out);
    cli_threads(&o.train.common);
    return pretrain(&o, &c, argc, argv);
}
