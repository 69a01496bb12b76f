/* train: fine-tunes a model folder on rows, full or by LoRA. */
#include "commands.h"
#include "decimal.h"
#include "examples.h"
#include "hash.h"
#include "lora.h"
#include "metric.h"
#include "opening.h"
#include "plan.h"
#include "remedy.h"
#include "train.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    TrainFlags train;
    RemedyFlags remedies;
    const char *model, *tokenizer, *data, *valid, *out, *map, *template, *system, *loss, *longer, *freeze;
    const char *adapter, *targets, *train_embeddings;
    const char *dtype, *test, *metric;
    bool lora, rslora, dora, other_base, find_lr;
    double alpha, dropout, plus;
    size_t rank, ctx, patience;
    size_t rows;                      /* plan: without --data */
    double memory;
} Options;

static const double QUICKLY = 0.05, THOROUGHLY = 0.25;   /* seconds a measurement of a plan */
enum { LEAST_HELD = 20, LONGEST_ROW = 2048, SMALL_MODEL = 20000000 };

/* ---- the model and what of it is trained ---- */

static LoraOptions lora_options(const Options *o, const Model *m, Tokenizer *tok) {
    LoraOptions l = {.rank = o->rank, .alpha = o->alpha, .dropout = o->dropout, .plus = o->plus, .rslora = o->rslora, .dora = o->dora,
                     .seed = (uint32_t)o->train.common.seed};
    lora_targets(&l, o->targets);
    if (o->train_embeddings) {
        Ids ids = {0};
        char *words = str_copy(o->train_embeddings);
        for (char *word = words, *end; word; word = end) {
            end = strchr(word, ',');
            if (end) *end++ = 0;
            int32_t id = tok ? tokenizer_id(tok, word) : -1;
            if (id < 0) bad_input("--train-embeddings: the tokenizer has no token \"%s\"", word);
            ids_push(&ids, id);
        }
        lora_tokens(&l, m, ids.data, ids.count);
        ids_free(&ids), mem_free(words);
    }
    return l;
}

/* outline: without weights, for a plan. */
static Model *open_model(const Options *o, const Command *c, Tokenizer **tok, bool outline) {
    bool adapted = o->lora || o->adapter;
    static const char *const only_lora[] = {"--rank", "--alpha", "--targets", "--lora-dropout", "--rslora", "--lora-plus", "--dora", "--train-embeddings"};
    for (size_t i = 0; i < sizeof only_lora / sizeof *only_lora; i++)
        if (cli_given(c, only_lora[i]) && !adapted) bad_input("%s belongs to an adapter: add --lora", only_lora[i]);
    if (o->lora && o->adapter) bad_input("--lora begins an adapter, --adapter goes on with one: give one of them");
    bool keep = adapted || o->freeze;
    if (!outline) plan_refuse_weights("train", o->model, keep);
    Model *m = (outline ? model_outline : model_load)(o->model, keep);
    *tok = open_tokenizer(&(ModelFlags){.model = o->model, .tokenizer = o->tokenizer}, m, false);
    if (o->lora) {
        LoraOptions l = lora_options(o, m, *tok);
        lora_attach(m, &l);
        lora_free_options(&l);
        adapter_set_base(m, o->model, c->model);
    } else if (o->adapter) {
        adapter_load(m, o->adapter, o->model, o->other_base);
        lora_training(m, o->dropout, o->plus);
        adapter_set_base(m, o->model, c->model);
    }
    if (o->freeze) model_freeze(m, o->freeze);
    if (!adapted) model_widen_trained(m);
    return m;
}

/* ---- rows ---- */

typedef struct {
    Rows *rows, *valid_rows, *test_rows;
    Chat *chat;
    const char *why;                  /* this template */
    Encoder *encoder;
    Examples *train, *held;           /* held NULL: none */
    Examples *test;                   /* NULL: none; reported at the end, never used to stop */
    bool split;                       /* held was taken out of train */
    size_t rows_read;
    char data_hash[65], valid_hash[65], test_hash[65];
    LossKind loss;
    RemedyInputs remedies;
} Inputs;

static Examples *read_rows(Rows *rows, const Inputs *in, size_t ctx, LongRows longer) {
    Examples *e = examples_new(rows, in->encoder);
    if (ctx) examples_limit(e, ctx, longer);
    return e;
}

static void hold_out(Inputs *in, const Options *o) {
    double fraction = 0.1;
    size_t least = LEAST_HELD;
    bool given = o->valid && decimal_parse(o->valid, strlen(o->valid), &fraction);
    if (given && (fraction < 0 || fraction >= 1)) bad_input("--valid takes a file, or a fraction from 0 up to 1, found %s", o->valid);
    if (given && fraction == 0) {
        fprintf(stderr, "train: nothing is held out (--valid 0): every row is trained, nothing stops early, --out holds the last step\n");
        return;
    }
    if (!given && !strcmp(o->train.order, "file")) {
        fprintf(stderr, "train: nothing is held out (--order file): every row is trained, nothing stops early, --out holds the last step\n");
        return;
    }
    if (given) least = 1;
    in->held = examples_hold_out(in->train, fraction, least, (uint32_t)o->train.common.seed);
    in->split = in->held != NULL;
    if (!in->held && given)
        bad_input("--valid %s: these %zu rows cannot be divided without tearing nearly equal prompts apart: give --valid FILE, or --valid 0",
                  o->valid, in->train->count);
    if (!in->held)
        fprintf(stderr, "train: nothing is held out of %zu rows: every row is trained, nothing stops early, --out holds the last step\n", in->train->count);
}

/* The file for a part: the data itself, or the part of a folder. */
static char *part_path(const char *path, const char *part) { return os_exists(path) && os_is_dir(path) ? rows_part(path, part) : NULL; }

/* Of the longest row that is taken whole. */
static size_t context(const Options *o, const Model *m) {
    size_t ctx = m->config.ctx;
    if (o->ctx > ctx) bad_input("--ctx %zu is longer than the model's context of %zu", o->ctx, ctx);
    return o->ctx ? o->ctx : ctx > LONGEST_ROW ? LONGEST_ROW : ctx;
}

static Inputs read_inputs(const Options *o, const Model *m, Tokenizer *tok) {
    static const char *const losses[] = {"completions", "all"}, *const longs[] = {"cut", "skip", "refuse"};
    Inputs in = {0};
    double fraction;
    LossKind loss = (LossKind)cli_choice("--loss", o->loss, losses, 2);
    LongRows longer = (LongRows)cli_choice("--long", o->longer, longs, 3);
    char *train = part_path(o->data, "train"), *valid = part_path(o->data, "valid");
    if (os_exists(o->data) && os_is_dir(o->data) && !train) bad_input("%s: the folder holds no train.jsonl, train.json, train.csv or train.tsv", o->data);
    in.rows = rows_open(train ? train : o->data, o->map, true);
    const Row *first = rows_get(in.rows, 0);
    if (rows_kind(in.rows) == ROWS_CHOICE) bad_input("%s: rows of choices are for eval --score choice; train wants rows with an answer", o->data);
    if (!tok && rows_kind(in.rows) != ROWS_IDS)
        bad_input("%s holds no tokenizer: name one with --tokenizer, or give rows of input_ids", o->model);
    if (tok) in.chat = chat_choose(o->template, o->system, str_ends(o->model, ".bin") ? NULL : o->model, rows_kind(in.rows), first->strings, tok, &in.why);
    in.encoder = encoder_new(tok, in.chat, loss, m->config.vocab);
    size_t ctx = context(o, m);
    in.loss = loss;
    in.train = read_rows(in.rows, &in, ctx, longer);
    in.rows_read = in.train->count;
    if (!in.train->count) bad_input("%s: no row with anything to learn from; see finetune check data", o->data);
    if (o->valid && !decimal_parse(o->valid, strlen(o->valid), &fraction)) valid = str_copy(o->valid);
    if (valid && !(o->valid && decimal_parse(o->valid, strlen(o->valid), &fraction))) {
        in.valid_rows = rows_open(valid, o->map, true);
        in.held = read_rows(in.valid_rows, &in, ctx, longer);
        if (!in.held->count) bad_input("%s: no row with anything to learn from", valid);
        hash_file(valid, in.valid_hash);
    } else hold_out(&in, o);
    char *test = o->test ? str_copy(o->test) : part_path(o->data, "test");
    if (test) {
        in.test_rows = rows_open(test, o->map, true);
        in.test = read_rows(in.test_rows, &in, ctx, longer);
        if (!in.test->count) bad_input("%s: no row with an answer to score", test);
        hash_file(test, in.test_hash);
    }
    hash_file(train ? train : o->data, in.data_hash);
    mem_free(train), mem_free(valid), mem_free(test);
    return in;
}

/* ---- settings ---- */

/* Rates that work without a flag: 2e-5 for all weights, 2e-4 for adapters. Small models need more: below 20M parameters the rate grows as
 * the square root of what is missing, and once by a factor, as the tasks of the demo want it (docs/cli.md). */
static double default_lr(const Model *m, bool adapted) {
    double lr = adapted ? 2e-4 : 2e-5, parameters = (double)model_parameters(m);
    if (parameters >= SMALL_MODEL) return lr;
    return lr * d_sqrt(SMALL_MODEL / parameters) * (adapted ? 4 : 8);
}

static Buf settings_text(const Options *o, const Command *c, const Inputs *in, const Model *m, size_t ctx) {
    JsonWriter w = {.pretty = true};
    char hex[65];
    double fraction;
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "format", "finetune.c run"), jw_int(&w, "bits_version", BITS_VERSION), jw_string(&w, "command", "train");
    jw_object(&w, "settings");
    cli_record(c, &w);
    if (o->valid && decimal_parse(o->valid, strlen(o->valid), &fraction)) jw_double(&w, "valid", fraction);
    jw_string(&w, "template_used", in->chat ? chat_name(in->chat) : "none");
    jw_uint(&w, "longest", ctx);
    jw_end_object(&w);
    jw_object(&w, "inputs");
    base_hash(o->model, hex);
    jw_string(&w, "model", hex);
    if (o->adapter) hash_path(o->adapter, hex), jw_string(&w, "adapter", hex);
    jw_string(&w, "data", in->data_hash);
    if (in->valid_rows) jw_string(&w, "valid", in->valid_hash);
    if (in->test) jw_string(&w, "test", in->test_hash);
    if (*in->remedies.replay_hash) jw_string(&w, "replay", in->remedies.replay_hash);
    if (*in->remedies.ewc_hash) jw_string(&w, "ewc", in->remedies.ewc_hash);
    jw_end_object(&w);
    jw_object(&w, "model");
    jw_uint(&w, "parameters", model_parameters(m)), jw_uint(&w, "trainable", model_trainable(m));
    jw_uint(&w, "train_rows", in->train->count), jw_uint(&w, "valid_rows", in->held ? in->held->count : 0);
    jw_uint(&w, "tokens", in->train->tokens), jw_uint(&w, "supervised", in->train->learned);
    jw_end_object(&w), jw_end_object(&w);
    buf_char(&w.text, '\n');
    return w.text;
}

static void print_plan(const Options *o, const Command *c, const Inputs *in, const Model *m, const Training *t) {
    char scale[DECIMAL_MAX] = "";
    const Examples *e = in->train;
    fprintf(stderr, "train: settings\n");
    cli_print_settings(c);
    fprintf(stderr, "train: %zu of %zu parameters are trained", model_trainable(m), model_parameters(m));
    if (m->adapter && m->adapter->count) {
        decimal_print_float(scale, (float)m->adapter->loras[0].scale);
        fprintf(stderr, "; %zu adapters, effective scale %s", m->adapter->count, scale);
    }
    fprintf(stderr, "\ntrain: %s; template %s%s%s%s\n", rows_kind_name(rows_kind(in->rows)), in->chat ? chat_name(in->chat) : "none", in->why ? " (" : "",
            in->why ? in->why : "", in->why ? ")" : "");
    fprintf(stderr, "train: %zu rows, %zu held out; longest %zu tokens; %.1f %% of the tokens are learned; %zu steps an epoch\n", e->count,
            in->held ? in->held->count : 0, e->longest, 100 * (double)e->learned / (double)e->tokens,
            ((size_t)((double)e->count / (1 - t->remedies.share)) + t->batch - 1) / t->batch);
    if (e->empty) fprintf(stderr, "train: %zu rows have nothing to learn and are left out, the first on line %zu\n", e->empty, e->empty_line);
    if (e->too_long) fprintf(stderr, "train: %zu rows were too long (--long %s), the first on line %zu\n", e->too_long, o->longer, e->too_long_line);
}

/* The template's special tokens must have been trained, or be trained now: rows of an untrained token cannot be learned by LoRA. */
static void warn_template(const Inputs *in, Tokenizer *tok) {
    char *missing = in->chat && tok ? chat_missing(in->chat, tok) : NULL;
    if (missing) fprintf(stderr, "train: warning: the template's %s are no tokens of this tokenizer and are written as text\n", missing);
    mem_free(missing);
}

static void write_held_out(const Inputs *in, const char *out) {
    JsonWriter w = {0};
    char *path = os_join(out, "held-out.json");
    jw_object(&w, NULL);
    jw_int(&w, "v", 1);
    jw_array(&w, "rows");
    for (size_t i = 0; i < in->held->count; i++) jw_uint(&w, NULL, in->held->items[i].row);
    jw_end_array(&w), jw_end_object(&w);
    buf_char(&w.text, '\n');
    os_write_file(path, w.text.data, w.text.len);
    buf_free(&w.text), mem_free(path);
}

/* What --dtype says; checkpoints are exact all the same. */
static Stored saved_as(const Options *o, const Command *c, const Model *m) {
    size_t as = dtype_choice(o->dtype);
    if (cli_given(c, "--dtype") && m->adapter) bad_input("--dtype is of whole models: an adapter is small and stays f32");
    if (sizeof(real) != sizeof(float) && as) bad_input("--dtype %s: finetune-f64 writes f32 alone", o->dtype);
    return dtype_stored(as, m);
}

static double measure(void *measured, const Model *m) { return metric_measure(measured, m); }

/* What OUT holds, on rows that had no say in it. */
static void report_test(const Options *o, Run *run, const Training *t, Metric *metric, const Examples *test) {
    JsonWriter line = {0};
    if (t->kept) checkpoint_weights(run, t->model, t->kept);
    jw_object(&line, NULL);
    jw_int(&line, "v", 1), jw_uint(&line, "step", t->kept);
    metric_report(metric, t->model, test, o->train.common.json, &line);
    jw_end_object(&line);
    run_log(run, &line);
}

/* The run that the flags describe, without gradients and moments. */
static Training training_of(Options *o, const Command *c, Model *m, Tokenizer *tok, const Inputs *in) {
    size_t longest = in->held && in->held->longest > in->train->longest ? in->held->longest : in->train->longest;
    Training t = {.stage = "train", .model = m, .tok = tok, .patience = o->patience, .saved_as = saved_as(o, c, m),
                  .mean = (double)in->train->tokens / (double)in->train->count, .learned = (double)in->train->learned / (double)in->train->tokens,
                  .source = {.samples = in->train->count, .longest = longest, .self = in->train, .add = examples_add, .length = examples_length}};
    if (in->held) t.held = (Source){.samples = in->held->count, .longest = longest, .self = in->held, .add = examples_add, .length = examples_length};
    if (!in->held && strcmp(o->metric, "loss")) bad_input("--metric %s needs held-out rows: give --valid FILE or a fraction", o->metric);
    if (in->held && strcmp(o->metric, "loss")) t.measuring = metric_bytes(m, in->held);
    return t;
}

static int train(Options *o, const Command *c, int argc, char **argv) {
    Tokenizer *tok = NULL;
    Model *m = open_model(o, c, &tok, false);
    Inputs in = read_inputs(o, m, tok);
    if (in.chat && tok) end_at_answers(m, in.chat, tok);
    if (!cli_given(c, "--lr")) o->train.lr = default_lr(m, m->adapter != NULL);
    Training t = training_of(o, c, m, tok, &in);
    Metric *metric = in.held ? metric_new(o->metric, in.held, tok) : NULL, *tested = in.test ? metric_new(o->metric, in.test, tok) : NULL;
    if (metric) t.metric = metric->name, t.measure = measure, t.measured = metric;
    in.remedies = remedies_open(&t.remedies, &o->remedies, c, &(ModelFlags){o->model, o->tokenizer, o->adapter, o->other_base}, m, tok, context(o, m),
                                in.loss, o->template, o->system, (uint32_t)o->train.common.seed);
    training_settings(&t, &o->train);
    Memory memory = plan_memory(&t);
    plan_refuse(&t, o->model, &memory, os_memory());
    double seconds = o->train.resume || o->find_lr ? 0 : plan_step_seconds(&t, QUICKLY); /* while there is room: before gradients and moments */
    model_alloc_training(m, true);
    training_minutes(&t, &o->train, o->out);
    warn_template(&in, tok);
    print_plan(o, c, &in, m, &t);
    plan_print(&t, &memory, seconds);
    if (o->train.dry_run) return 0;
    if (o->find_lr) {
        training_find_lr(&t, &o->train);
        return 0;
    }
    Buf settings = settings_text(o, c, &in, m, t.source.longest);
    training_check_space(&t, o->out);
    Run *run = run_open(o->out, &settings, o->train.resume, o->train.force);
    if (in.split) write_held_out(&in, o->out);
    remedies_save(&in.remedies, o->out);
    if (in.chat && (rows_kind(in.rows) != ROWS_IDS)) chat_save(in.chat, tok, o->out);
    int code = training_run(&t, run, argc, argv);
    if (code == 0 && !o->train.stop_at && in.test) report_test(o, run, &t, tested, in.test);
    run_close(run);
    if (code == 0 && !o->train.stop_at) training_result(&o->train, o->out);
    return code;
}

/* The same, but no weights are read, nothing is trained and nothing written. Without --data: of rows that have all --ctx tokens. */
static int plan(Options *o, const Command *c) {
    Tokenizer *tok = NULL;
    Model *m = open_model(o, c, &tok, true);
    Training t = {.stage = "plan", .model = m, .source = {.samples = o->rows, .longest = context(o, m)}};
    if (o->data) {
        Inputs in = read_inputs(o, m, tok);
        t = training_of(o, c, m, tok, &in);
        t.stage = "plan";
    }
    t.beside = remedies_outline(&t.remedies, &o->remedies, &(ModelFlags){o->model, o->tokenizer, o->adapter, o->other_base}, m);
    training_settings(&t, &o->train);
    Memory memory = plan_memory(&t);
    uint64_t bytes = o->memory > 0 ? (uint64_t)(o->memory * 1e9) : os_memory();
    double seconds = plan_step_seconds(&t, THOROUGHLY);
    if (!t.optim.steps) t.optim.steps = (size_t)(o->train.minutes * 60 / seconds) + 1; /* --minutes */
    fprintf(stderr, "plan: %zu of %zu parameters are trained; %zu rows of at most %zu tokens\n", model_trainable(m), model_parameters(m), t.source.samples,
            t.source.longest);
    plan_print(&t, &memory, seconds);
    plan_report(&t, o->model, &memory, bytes, seconds, o->train.common.json);
    return 0;
}

static int run(int argc, char **argv, bool planning) {
    Options o = {.train = {.schedule = "cosine", .order = "shuffle", .warmup = "5%", .lr = 2e-5, .beta1 = 0.9, .beta2 = 0.999,
        .eps = 1e-8, .clip = 1, .batch = 8,
                           .common = {.seed = 1}},
                 .remedies = {.replay_ratio = 0.5, .self_tokens = 256},
                 .dtype = "f32", .metric = "loss", .loss = "completions", .longer = "cut", .targets = "all-linear", .rank = 16, .alpha = 32, .patience = 3,
                 .rows = 1000};
    Flag flags[] = {
        {"--model", FLAG_MODEL, EXECUTION, &o.model, 0, 0, "DIR", "model folder, or a llama2.c .bin", false},
        {"--tokenizer", FLAG_TEXT, EXECUTION, &o.tokenizer, 0, 0, "PATH", "when the model folder holds none", false},
        {"--data", FLAG_TEXT, EXECUTION, &o.data, 0, 0, "FILE|DIR", "rows: JSONL, JSON, CSV or TSV; a folder: its train, valid and test files", false},
        {"--map", FLAG_TEXT, DEFINING, &o.map, 0, 0, "A=B,…", "names of columns: prompt=question,completion=answer", false},
        {"--valid", FLAG_TEXT, EXECUTION, &o.valid, 0, 0, "FILE|FRACTION", "held-out rows, or their share; 0: none; else 10 % of 40 rows or more", false},
        {"--test", FLAG_TEXT, EXECUTION, &o.test, 0, 0, "FILE", "rows reported at the end and never used to stop; a folder's test file", false},
        {"--metric", FLAG_TEXT, DEFINING, &o.metric, 0, 0, "NAME", "what chooses the best step: loss, exact, contains, regex or json", false},
        {"--out", FLAG_TEXT, EXECUTION, &o.out, 0, 0, "DIR", "run folder; must not exist", false},
        {"--template", FLAG_TEXT, DEFINING, &o.template, 0, 0, "NAME|FILE", "chatml, llama-3, zephyr, alpaca, plain, or a file", false},
        {"--system", FLAG_TEXT, DEFINING, &o.system, 0, 0, "TEXT|none", "system message of rows that have none", false},
        {"--loss", FLAG_TEXT, DEFINING, &o.loss, 0, 0, "NAME", "completions: of what the assistant says; all", false},
        {"--ctx", FLAG_SIZE, DEFINING, &o.ctx, 0, 1048576, "N", "longest row in tokens; 0: the model's context, at most 2048", false},
        {"--long", FLAG_TEXT, DEFINING, &o.longer, 0, 0, "NAME", "rows beyond it: cut (from the left of the prompt), skip or refuse", false},
        {"--freeze", FLAG_TEXT, DEFINING, &o.freeze, 0, 0, "NAMES", "tensors or modules that stay as they are: embed_tokens,layers.0", false},
        {"--lora", FLAG_SWITCH, DEFINING, &o.lora, 0, 0, NULL, "train an adapter; the model stays as it is", false},
        {"--rank", FLAG_SIZE, DEFINING, &o.rank, 1, 65536, "N", "of the adapter", false},
        {"--alpha", FLAG_REAL, DEFINING, &o.alpha, 1e-6, 1e6, "X", "the adapter counts alpha/rank times", false},
        {"--targets", FLAG_TEXT, DEFINING, &o.targets, 0, 0, "NAMES", "modules with an adapter: all-linear, or q_proj,v_proj …", false},
        {"--lora-dropout", FLAG_REAL, DEFINING, &o.dropout, 0, 0.99, "P", "share of its inputs an adapter does not see", false},
        {"--rslora", FLAG_SWITCH, DEFINING, &o.rslora, 0, 0, NULL, "alpha/sqrt(rank) instead", false},
        {"--lora-plus", FLAG_REAL, DEFINING, &o.plus, 0, 1000, "RATIO", "learning rate of B over that of A; 0: 1", false},
        {"--dora", FLAG_SWITCH, DEFINING, &o.dora, 0, 0, NULL, "train the length of the weights' rows apart", false},
        {"--train-embeddings", FLAG_TEXT, DEFINING, &o.train_embeddings, 0, 0, "TOKENS", "tokens whose rows are trained beside the adapter", false},
        {"--adapter", FLAG_TEXT, EXECUTION, &o.adapter, 0, 0, "DIR", "go on from an adapter, ours or PEFT's", false},
        {"--other-base", FLAG_SWITCH, DEFINING, &o.other_base, 0, 0, NULL, "the adapter may have been trained on another model", false},
        {"--dtype", FLAG_TEXT, DEFINING, &o.dtype, 0, 0, "NAME", "of the weights in --out: f32, f16, bf16, or source: as --model has them", false},
        {"--patience", FLAG_SIZE, DEFINING, &o.patience, 0, 1000000, "N", "evaluations without a better one before it stops; 0: to the end", false},
        {"--find-lr", FLAG_SWITCH, EXECUTION, &o.find_lr, 0, 0, NULL, "train nothing: try rising rates and say which looks good", false},
        REMEDY_FLAGS(o.remedies), TRAIN_FLAGS(o.train),
        {"--rows", FLAG_SIZE, EXECUTION, &o.rows, 1, 1e12, "N", "without --data: so many rows of --ctx tokens", false},
        {"--memory", FLAG_REAL, EXECUTION, &o.memory, 0, 1e9, "GB", "of the machine that is planned for; 0: this one", false}};
    enum { OF_PLAN = 2 };             /* the last flags of the table */
    Command c = {.name = "train", .summary = "fine-tune a model on rows: all weights, or an adapter",
        .usage = "--model DIR --data FILE --out DIR [--lora] [flags]",
                 .flags = flags, .count = sizeof flags / sizeof *flags - OF_PLAN,
                 .example = "finetune train --model demo-out/base --data rows.jsonl --out tuned\n"
                            "finetune train --model demo-out/base --data rows.jsonl --lora --out adapter"};
    if (planning) {
        c.name = "plan", c.summary = "memory and time of a run of train, before it starts", c.count += OF_PLAN;
        c.usage = "--model DIR [the flags of train]";
        c.example = "finetune plan --model SmolLM2-135M --batch 8 --ctx 512\n"
                    "finetune plan --model Qwen2.5-0.5B --data rows.jsonl --lora --memory 8";
    }
    if (!cli_parse(&c, argc, argv, 0)) return 0;
    cli_need(&c, "--model");
    if (!planning) cli_need(&c, "--data");
    if (!o.find_lr && !planning) cli_need(&c, "--out");
    if (!o.train.steps && !(o.train.epochs > 0) && !(o.train.minutes > 0)) o.train.epochs = 3;
    cli_threads(&o.train.common);
    if (planning) return plan(&o, &c);
    if (!o.find_lr) training_check_out(&o.train, o.out);
    return train(&o, &c, argc, argv);
}

int cmd_train(int argc, char **argv) { return run(argc, argv, false); }
int cmd_plan(int argc, char **argv) { return run(argc, argv, true); }
