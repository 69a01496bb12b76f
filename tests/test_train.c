/* Whole runs in small: interrupted, cut, recomputed, damaged, and always the same bytes. */
#include "../hash.h"
#include "../parallel.h"
#include "../train.h"
#include "scratch.h"
#include "small_models.h"
#include "test.h"

#include <math.h>

enum { CTX = 13, SAMPLES = 39, STEPS = 20, BATCH = 4, EVAL_EVERY = 10, SAVE_EVERY = 5 };

/* ---- what all runs share: two epochs of 39 rows by four, so the twentieth batch has two ---- */

static Texts train_texts, valid_texts;
static Tokenizer *tok;
static Corpus train_rows, valid_rows;

static Texts random_text(const char *name, size_t documents) {
    static const char *const words[] = {"the", "cat", "dog", "sat", "on", "a", "mat", "and", "saw", "red", "ball", "ran", "to", "it"};
    Buf b = {0};
    for (size_t d = 0; d < documents; d++) {
        for (size_t i = 0, n = 3 + random_below(12); i < n; i++) buf_format(&b, "%s%s", i ? " " : "", words[random_below(14)]);
        buf_str(&b, ".<|endoftext|>\n");
    }
    return texts_read(scratch_file(name, b.data, b.len));
}

static void prepare(void) {
    if (tok) return;
    train_texts = random_text("train.txt", 70), valid_texts = random_text("valid.txt", 9);
    BpeTrainer *b = bpe_trainer_new();
    for (size_t i = 0; i < train_texts.count; i++) bpe_trainer_add(b, train_texts.documents[i].text, train_texts.documents[i].length);
    tok = bpe_train(b, 280);
    train_rows = corpus_new(&train_texts, tok, CTX), valid_rows = corpus_new(&valid_texts, tok, CTX);
    CHECK(corpus_rows(&train_rows) >= SAMPLES, "%zu", corpus_rows(&train_rows));
    if (!freopen(scratch("stderr.txt"), "w", stderr)) work_failed("stderr cannot be led into a file");
}

/* ---- one run ---- */

typedef struct {
    const char *settings;
    size_t micro, stop, interrupt_at; /* interrupt_at: Ctrl-C comes when that sample is read */
    int threads;
    bool recompute, resume, force, gpt2, no_valid, explode;
} Way;

static size_t interrupt_at, samples_read;

static void add_row(const void *corpus, size_t sample, Batch *b) {
    if (++samples_read == interrupt_at) os_interrupted = 1;
    corpus_add_row(corpus, sample, b);
}

static Training training_of(Model *m, const Way *way) {
    Training t = {.stage = "pretrain", .model = m, .tok = tok, .valid = way->no_valid ? NULL : &valid_rows, .batch = BATCH,
                  .micro_batch = way->micro ? way->micro : BATCH, .end = 2 * SAMPLES, .eval_every = EVAL_EVERY, .save_every = SAVE_EVERY, .stop_at = way->stop,
                  .sample_tokens = 6, .shuffle = true, .recompute = way->recompute, .seed = 3,
                  .source = {.samples = SAMPLES, .longest = CTX, .self = &train_rows, .add = add_row}};
    t.optim = (OptimOptions){.lr = 2e-2, .min_lr = 1e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .clip = 1,
                             .schedule = SCHEDULE_COSINE, .steps = STEPS, .warmup = 3};
    if (way->explode) t.optim = (OptimOptions){.lr = 10, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 10, .steps = STEPS};
    return t;
}

static Model *fresh_model(bool gpt2) {
    size_t vocab = tokenizer_size(tok);
    Config c = gpt2 ? small_gpt2(vocab, CTX, 12, 1, 2, 20, true) : small_llama(vocab, CTX, 12, 2, 2, 1, 6, 20, true);
    c.bos = tokenizer_bos(tok), c.eos[0] = tokenizer_eos(tok), c.eos_count = 1;
    Model *m = small_model(c, false);
    model_alloc_training(m, true);
    return m;
}

/* As a process of its own would do it: a fresh model, its run's folder, and nothing left. */
static int run(const char *out, Way way) {
    char *argv[] = {"--out", "x"};
    Buf settings = {0};
    prepare();
    Model *m = fresh_model(way.gpt2);
    if (way.threads) thread_limit(way.threads);
    Training t = training_of(m, &way);
    buf_str(&settings, way.settings ? way.settings : "{\n  \"lr\": 0.02,\n  \"seed\": 3\n}\n");
    interrupt_at = way.interrupt_at, samples_read = 0;
    Run *r = run_open(scratch(out), &settings, way.resume, way.force);
    int code = training_run(&t, r, 2, argv);
    os_interrupted = 0;
    run_close(r);
    model_free(m), buf_free(&settings);
    return code;
}

/* A process that failed has let go of its lock; this one plays many. */
static void unlock(const char *out) {
    char *lock = os_join(scratch(out), "run.lock");
    os_remove_tree(lock);
    mem_free(lock);
}

/* ---- comparing ---- */

static bool same_file(const char *a, const char *b) {
    Buf x = os_read(a), y = os_read(b);
    bool same = x.len == y.len && (!x.len || !memcmp(x.data, y.data, x.len));
    buf_free(&x), buf_free(&y);
    return same;
}

/* The first file that two folders do not share, or NULL; not what lies in checkpoints, times and locks. */
static const char *difference(const char *a, const char *b) {
    size_t n, k;
    char **left = os_list(a, &n), **right = os_list(b, &k);
    for (size_t i = 0; i < n || i < k; i++) {
        if (i >= n || i >= k || strcmp(left[i], right[i])) return i < n ? left[i] : right[i];
        if (!strcmp(left[i], "checkpoints") || !strcmp(left[i], "timing.jsonl") || !strcmp(left[i], "run.lock")) continue;
        if (!same_file(os_join(a, left[i]), os_join(b, left[i]))) return left[i];
    }
    return NULL;
}

static const char *checkpoint(const char *out, size_t step) {
    char name[96];
    snprintf(name, sizeof name, "%s/checkpoints/step-%08zu", out, step);
    return scratch(name);
}

static bool has_checkpoint(const char *out, size_t step) { return os_exists(checkpoint(out, step)); }

static void check_same(const char *a, const char *b) {
    const char *file = difference(scratch(a), scratch(b)), *inside = difference(checkpoint(a, STEPS), checkpoint(b, STEPS));
    CHECK(!file, "%s and %s differ in %s", a, b, file);
    CHECK(!inside, "%s and %s: the last checkpoints differ in %s", a, b, inside);
}

/* The run all others are compared with. */
static const char *whole(bool gpt2) {
    const char *out = gpt2 ? "whole-gpt2" : "whole";
    if (!os_exists(scratch(out))) CHECK(run(out, (Way){.gpt2 = gpt2}) == 0);
    return out;
}

/* What was printed since the beginning holds these words. */
static bool was_said(const char *words) {
    fflush(stderr);
    Buf b = os_read(scratch("stderr.txt"));
    bool found = b.len && strstr(b.data, words);
    buf_free(&b);
    return found;
}

static void copy_folder(const char *from, const char *to) {
    size_t count;
    char **names = os_list(scratch(from), &count);
    os_make_dir(scratch(to));
    for (size_t i = 0; i < count; i++) {
        char *a = str_format("%s/%s", from, names[i]), *b = str_format("%s/%s", to, names[i]);
        if (os_is_dir(scratch(a))) copy_folder(a, b);
        else {
            Buf bytes = os_read(scratch(a));
            scratch_file(b, bytes.data, bytes.len);
            buf_free(&bytes);
        }
        mem_free(a), mem_free(b), mem_free(names[i]);
    }
    mem_free(names);
}

/* Where the run stopped after its seventh step, as `out`. */
static void stopped_at_seven(const char *out) {
    if (!os_exists(scratch("seven"))) CHECK(run("seven", (Way){.stop = 7}) == 0);
    copy_folder("seven", out);
    unlock(out);
}

/* ---- the tests ---- */

static void test_log(void) {
    prepare();
    Buf text = os_read(os_join(scratch(whole(false)), "log.jsonl"));
    size_t steps = 0, evaluations = 0, samples = 0, best = 0, line = 0;
    double first = 0, last = 0, best_loss = 1e300;
    for (char *at = text.data, *end; (end = strchr(at, '\n')); at = end + 1) {
        JsonDoc *doc = json_parse(at, (size_t)(end - at), "log.jsonl", ++line);
        const Json *root = json_root(doc);
        CHECK(json_int(doc, root, "v", 0, 9, 0) == 1);
        if (json_get(root, "loss")) {
            CHECK(json_int(doc, root, "step", 0, 99, 0) == (int64_t)++steps);
            last = json_double(doc, root, "loss", -1);
            if (steps == 1) first = last;
            OptimOptions o = training_of(NULL, &(Way){0}).optim;
            CHECK((float)json_double(doc, root, "lr", -1) == (float)optim_lr(&o, steps - 1) && json_double(doc, root, "grad_norm", -1) > 0);
            CHECK(json_int(doc, root, "tokens", 0, 9999, 0) == (int64_t)(steps < STEPS ? steps * BATCH * CTX : 2 * SAMPLES * CTX),
                  "the last batch is short");
        } else if (json_get(root, "valid_loss")) {
            double loss = json_double(doc, root, "valid_loss", 0);
            evaluations++;
            CHECK(json_int(doc, root, "step", 0, 99, 0) == (int64_t)(EVAL_EVERY * evaluations));
            CHECK(json_bool(doc, root, "best", false) == (loss < best_loss));
            if (loss < best_loss) best_loss = loss, best = EVAL_EVERY * evaluations;
            CHECK(json_double(doc, root, "valid_bpb", 0) > 0);
        } else if (json_get(root, "sample")) samples++;
        else CHECK(0, "line %zu", line);
        json_free(doc);
    }
    CHECK(steps == STEPS && evaluations == 2 && samples == 2);
    CHECK(fabs(first - log((double)tokenizer_size(tok))) < 0.2 && last < first - 1, "from %.3f to %.3f", first, last);
    CHECK(same_file(os_join(scratch(whole(false)), "model.safetensors"), os_join(checkpoint(whole(false), best), "model.safetensors")),
          "the best is published");
    buf_free(&text);
}

static void test_interrupted(void) {
    for (int gpt2 = 0; gpt2 < 2; gpt2++) {
        const char *out = gpt2 ? "parts-gpt2" : "parts";
        CHECK(run(out, (Way){.gpt2 = gpt2, .stop = 7}) == 0 && has_checkpoint(out, 7) && !has_checkpoint(out, 8) && has_checkpoint(out, 5));
        CHECK(was_said("stopped after step 7 of 20") && was_said("--resume"));
        CHECK(run(out, (Way){.gpt2 = gpt2, .resume = true}) == 0);
        check_same(whole(gpt2), out);
    }
    CHECK(run("ctrl-c", (Way){.interrupt_at = 34}) == EXIT_INTERRUPTED && has_checkpoint("ctrl-c", 9), "the step is finished and saved");
    CHECK(run("ctrl-c", (Way){.resume = true, .stop = 9}) == 0 && !samples_read, "nothing to do");
    CHECK(run("ctrl-c", (Way){.resume = true, .interrupt_at = 1}) == EXIT_INTERRUPTED && has_checkpoint("ctrl-c", 10));
    CHECK(run("ctrl-c", (Way){.resume = true}) == 0);
    check_same(whole(false), "ctrl-c");
    CHECK(run("ctrl-c", (Way){.resume = true}) == 0, "a finished run stays as it is");
    check_same(whole(false), "ctrl-c");
}

static void test_cuts(void) {
    static const struct { const char *name; Way way; } ways[] = {
        {"micro-1", {.micro = 1, .threads = 2}}, {"recompute", {.recompute = true, .micro = 2, .threads = 3}}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        CHECK(run(ways[i].name, ways[i].way) == 0);
        check_same(whole(false), ways[i].name);
    }
    CHECK(run("changing", (Way){.micro = 1, .stop = 6}) == 0 && run("changing", (Way){.micro = 3, .recompute = true, .resume = true}) == 0);
    check_same(whole(false), "changing");
}

/* A crash leaves lines after the checkpoint, half a line, half a checkpoint: none of it is seen afterwards. */
static void test_after_a_crash(void) {
    stopped_at_seven("crash");
    OsLog *log = os_log_open(os_join(scratch("crash"), "log.jsonl"));
    os_log_line(log, "{\"v\":1,\"step\":8,\"loss\":1}", 25);
    os_log_line(log, "{\"v\":1,\"st", 10);
    os_log_close(log);
    os_make_dir(scratch("crash/checkpoints/.tmp-step-00000010"));
    scratch_text("crash/checkpoints/.tmp-step-00000010/model.safetensors", "half");
    scratch_text("crash/model.safetensors", "half");
    CHECK(run("crash", (Way){.resume = true}) == 0);
    check_same(whole(false), "crash");
    CHECK(!os_exists(scratch("crash/checkpoints/.tmp-step-00000010")));
    stopped_at_seven("shorter");
    os_truncate(os_join(scratch("shorter"), "log.jsonl"), 10);
    CHECK_FAILS(2, "log.jsonl: holds 10 bytes, the checkpoint was written when it held", run("shorter", (Way){.resume = true}));
}

/* ---- damage ---- */

static void damage(const char *out, size_t step, const char *name, int kind) {
    char *path = os_join(checkpoint(out, step), name);
    Buf b = os_read(path);
    if (kind == 0) b.data[b.len / 2] ^= 1;
    os_remove_tree(path);
    FILE *f = kind == 2 ? NULL : fopen(path, "wb"); /* 2: gone */
    if (f) fwrite(b.data, 1, kind == 1 ? b.len / 2 : b.len, f), fclose(f);
    buf_free(&b), mem_free(path);
}

static void test_damage(void) {
    static const struct { const char *file; int kind; } cases[] = {
        {"model.safetensors", 0}, {"model.safetensors", 1}, {"state.safetensors", 0},
        {"state.safetensors", 2}, {"state.json", 1}, {"state.json", 2}, {"config.json", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        os_remove_tree(scratch("damage"));
        stopped_at_seven("damage");
        damage("damage", 7, cases[i].file, cases[i].kind);
        CHECK(run("damage", (Way){.resume = true, .stop = 6}) == 0 && samples_read == BATCH, "%s: on from step 5, %zu samples",
              cases[i].file, samples_read);
        CHECK(was_said("checkpoint passed over: ") && was_said(cases[i].file));
        CHECK(!has_checkpoint("damage", 7) && has_checkpoint("damage", 6) && has_checkpoint("damage", 5),
              "a damaged one does not stay in place of a whole one");
    }
}

/* Two damaged ones later than the best: the first that is saved after it stays. */
static void test_two_damaged(void) {
    CHECK(run("two", (Way){.stop = 12}) == 0 && has_checkpoint("two", 5) + has_checkpoint("two", 10) + has_checkpoint("two", 12) >= 2);
    copy_folder("two/checkpoints/step-00000012", "two/checkpoints/step-00000013");
    damage("two", 12, "model.safetensors", 0), damage("two", 13, "state.json", 1);
    CHECK(run("two", (Way){.resume = true, .stop = 11}) == 0 && samples_read == BATCH && has_checkpoint("two", 11));
    CHECK(!has_checkpoint("two", 13) && !has_checkpoint("two", 12));
    CHECK(run("two", (Way){.resume = true}) == 0 && samples_read == 2 * SAMPLES - 11 * BATCH, "%zu", samples_read);
    check_same(whole(false), "two");
    damage("two", 20, "state.json", 1), damage("two", 15, "state.json", 2);
    for (size_t step = 5; step < 15; step++)
        if (has_checkpoint("two", step)) damage("two", step, "model.safetensors", 1);
    CHECK_FAILS(2, "none of its checkpoints is whole", run("two", (Way){.resume = true}));
}

static void test_no_valid(void) {
    CHECK(run("no-valid", (Way){.no_valid = true, .stop = 3}) == 0);
    CHECK(same_file(scratch("no-valid/model.safetensors"), os_join(checkpoint("no-valid", 3), "model.safetensors")), "the last is published");
}

static void test_kept(void) {
    size_t count, best = 0;
    prepare();
    char **names = os_list(os_join(scratch(whole(false)), "checkpoints"), &count);
    CHECK(has_checkpoint(whole(false), 20) && has_checkpoint(whole(false), 15) && (count == 2 || count == 3), "%zu", count);
    JsonDoc *doc = json_read(os_join(checkpoint(whole(false), 20), "state.json"));
    best = (size_t)json_int(doc, json_root(doc), "best_step", 0, 99, 0);
    CHECK(best && has_checkpoint(whole(false), best));
    CHECK(json_int(doc, json_root(doc), "step", 0, 99, 0) == 20);
    CHECK(json_int(doc, json_root(doc), "tokens", 0, 9999, 0) == 2 * SAMPLES * CTX);
    for (size_t i = 0; i < count; i++) mem_free(names[i]);
    json_free(doc);
}

/* ---- what stops a run ---- */

static void test_non_finite(void) {
    char before[65], after[65];
    volatile int step = 0;
    Catch c;
    prepare();
    if (!setjmp(catch_begin(&c)->jump)) {
        run("explode", (Way){.explode = true});
        catch_end(&c);
        CHECK(0, "a run of ever larger weights went through");
        return;
    }
    bool named = strstr(c.text, "is not finite") && strstr(c.text, "last checkpoint is whole") && strstr(c.text, "--lr");
    CHECK(c.code == EXIT_WORK_FAILED && named, "%s", c.text);
    CHECK(sscanf(c.text, "step %d:", (int *)&step) == 1 && step > 5 && step <= STEPS, "%s", c.text);
    unlock("explode");
    hash_folder(checkpoint("explode", 5), before);
    CHECK_FAILS(EXIT_WORK_FAILED, c.text, run("explode", (Way){.explode = true, .resume = true}));
    hash_folder(checkpoint("explode", 5), after);
    CHECK(!strcmp(before, after), "the checkpoint is as it was");
    CHECK(was_said("going on after step"));
}

static void folder_state(const char *out, char hex[65]) { hash_folder(scratch(out), hex); }

static void test_refusals(void) {
    char before[65], after[65];
    CHECK(run("refuse", (Way){.stop = 2}) == 0);
    folder_state("refuse", before);
    CHECK_FAILS(2, "exists: name another --out, add --resume", run("refuse", (Way){0}));
    CHECK_FAILS(2, "this run was begun with \"lr\": 0.02, now it is \"lr\": 0.01: give the same flags",
                run("refuse", (Way){.resume = true, .settings = "{\n  \"lr\": 0.01,\n  \"seed\": 3\n}\n"}));
    unlock("refuse");
    CHECK_FAILS(2, "begun with \"seed\": 3, now it is \"seed\": 30:", run("refuse", (Way){.resume = true,
        .settings = "{\n  \"lr\": 0.02,\n  \"seed\": 30\n}\n"}));
    unlock("refuse");
    CHECK_FAILS(2, "give the same flags", run("refuse", (Way){.resume = true, .settings = "{\n  \"lr\": 0.02,\n  \"seed\": 3\n}\n\n"}));
    unlock("refuse");
    CHECK_FAILS(2, "holds no run to resume", run("nowhere", (Way){.resume = true}));
    scratch_text("file", "x");
    CHECK_FAILS(2, "is no folder", run("file", (Way){.force = true}));
    os_make_dir(scratch("mine"));
    scratch_text("mine/letter.txt", "dear");
    CHECK_FAILS(2, "is no run of finetune", run("mine", (Way){.force = true}));
    CHECK(os_exists(scratch("mine/letter.txt")));
    Buf settings = {0};
    buf_str(&settings, "{\n  \"lr\": 0.02,\n  \"seed\": 3\n}\n");
    Run *r = run_open(scratch("refuse"), &settings, true, false);
    CHECK_FAILS(2, "another finetune is training here", run("refuse", (Way){.resume = true}));
    CHECK_FAILS(2, "another finetune is training here", run("refuse", (Way){.force = true}));
    run_close(r);
    folder_state("refuse", after);
    CHECK(!strcmp(before, after), "a refusal changes nothing");
    CHECK(run("refuse", (Way){.force = true, .stop = 1}) == 0 && has_checkpoint("refuse", 1) && !has_checkpoint("refuse", 2), "--force begins anew");
}

/* A batch in which no token is supervised. */
static void add_nothing(const void *corpus, size_t sample, Batch *b) {
    size_t from = b->tokens;
    corpus_add_row(corpus, sample, b);
    for (size_t i = from; i < b->tokens; i++) b->weights[i] = 0;
}

static void train_on_nothing(void) {
    Buf settings = {0};
    Model *m = fresh_model(false);
    Training t = training_of(m, &(Way){0});
    t.source.add = add_nothing;
    buf_str(&settings, "{}\n");
    training_run(&t, run_open(scratch("nothing"), &settings, false, false), 0, NULL);
}

static void test_nothing_to_learn(void) {
    prepare();
    CHECK_FAILS(2, "step 1: its batch has no token to learn from", train_on_nothing());
}

/* ---- settings ---- */

static TrainFlags defaults(void) {
    return (TrainFlags){.schedule = "cosine", .order = "shuffle", .warmup = "5%", .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8,
                        .batch = 8,
                        .common = {.seed = 7}};
}

static Training settled(TrainFlags f, size_t samples, size_t longest) {
    Training t = {.source = {.samples = samples, .longest = longest}};
    training_settings(&t, &f);
    return t;
}

static void test_settings(void) {
    TrainFlags f = defaults();
    f.epochs = 1;
    Training t = settled(f, 100, 64);
    CHECK(t.end == 100 && t.optim.steps == 13 && t.optim.warmup == 1 && t.shuffle && t.eval_every == 1 && t.save_every == 1 && t.seed == 7);
    CHECK(t.micro_batch == 8, "2048 tokens hold all of the batch: %zu", t.micro_batch);
    f.epochs = 2.5, f.warmup = "10%", f.order = "file", f.schedule = "wsd", f.eval_every = 4, f.save_every = "3";
    t = settled(f, 101, 1000);
    CHECK(t.end == 253 && t.optim.steps == 32 && t.optim.warmup == 3 && !t.shuffle && t.optim.schedule == SCHEDULE_WSD &&
          t.eval_every == 4 && t.save_every == 3 && !(t.save_seconds > 0));
    static const struct { const char *text; size_t steps; double seconds; } intervals[] = {
        {"0", 4, 0}, {"12", 12, 0}, {"90s", 4, 90}, {"10m", 4, 600}, {"1.5h", 4, 5400}};
    for (size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        f.save_every = intervals[i].text;
        Training timed = settled(f, 101, 1000);
        CHECK(timed.save_every == intervals[i].steps && timed.save_seconds - intervals[i].seconds == 0, "--save-every %s: %zu steps", intervals[i].text,
              timed.save_every);
    }
    CHECK(t.micro_batch == 2);
    f.epochs = 0, f.steps = 1000, f.warmup = "17", f.micro_batch = 5, f.schedule = "linear";
    t = settled(f, 10, 5000);
    CHECK(t.end == UINT64_MAX && t.optim.steps == 1000 && t.optim.warmup == 17 && t.micro_batch == 5 &&
          t.optim.schedule == SCHEDULE_LINEAR);
    f.micro_batch = 0, f.schedule = "constant";
    t = settled(f, 10, 5000);
    CHECK(t.micro_batch == 1 && t.optim.schedule == SCHEDULE_CONSTANT);
    f.micro_batch = 100;
    CHECK(settled(f, 10, 5000).micro_batch == 8);
}

static void refuse_flags(TrainFlags f, const char *words) { CHECK_FAILS(2, words, settled(f, 10, 10)); }

static void test_settings_refused(void) {
    TrainFlags f = defaults();
    refuse_flags(f, "leave nothing to do");
    f.steps = 5, f.epochs = 1;
    refuse_flags(f, "--steps and --epochs both");
    f.epochs = 0, f.minutes = 1;
    refuse_flags(f, "--minutes and --steps");
    f.minutes = 0, f.lr = 0;
    refuse_flags(f, "--lr must be above 0");
    f.lr = 1e-3, f.min_lr = 2e-3;
    refuse_flags(f, "--min-lr is above --lr");
    f.min_lr = 0, f.schedule = "cosin";
    refuse_flags(f, "did you mean cosine?");
    f.schedule = "cosine", f.order = "random";
    refuse_flags(f, "--order: unknown value \"random\"");
    f.order = "file";
    static const char *const warmups[] = {"", "%", "x", "-1", "1.5", "101%", "5 %", "1e3%"};
    for (volatile size_t i = 0; i < sizeof warmups / sizeof *warmups; i++) {
        f.warmup = warmups[i];
        refuse_flags(f, "--warmup takes");
    }
    f.warmup = "0";
    static const char *const intervals[] = {"", "m", "0s", "-1s", "1.5", "10 m", "10min", "1d", "x"};
    for (volatile size_t i = 0; i < sizeof intervals / sizeof *intervals; i++) {
        f.save_every = intervals[i];
        refuse_flags(f, "--save-every takes");
    }
}

/* Timing steps are not kept. */
static void test_timing(void) {
    prepare();
    Model *m = fresh_model(false), *fresh = fresh_model(false);
    Training t = training_of(m, &(Way){0});
    TrainFlags f = {.schedule = "cosine", .order = "file", .warmup = "0", .lr = 1e-3, .batch = 2, .minutes = 1e-9};
    training_settings(&t, &f), training_minutes(&t, &f, "nowhere");
    CHECK(f.steps == 1 && f.minutes == 0 && t.optim.steps == 1);
    f.steps = 0, f.minutes = 10;
    training_settings(&t, &f), training_minutes(&t, &f, "nowhere");
    CHECK(f.steps > 100 && f.minutes == 0 && t.optim.steps == f.steps);
    for (size_t i = 0; i < m->count; i++) {
        size_t bytes = param_size(m->params[i]) * sizeof(real);
        CHECK(!memcmp(m->params[i]->w, fresh->params[i]->w, bytes) && !memcmp(m->params[i]->m, fresh->params[i]->m, bytes) &&
              !memcmp(m->params[i]->v, fresh->params[i]->v, bytes), "%s", m->params[i]->name);
    }
}

TESTS({"log", test_log}, {"interrupted", test_interrupted}, {"cuts", test_cuts}, {"after a crash", test_after_a_crash},
      {"damage", test_damage},
      {"two damaged", test_two_damaged}, {"no held-out text", test_no_valid}, {"kept", test_kept}, {"non-finite", test_non_finite},
      {"refusals", test_refusals},
      {"nothing to learn", test_nothing_to_learn}, {"settings", test_settings}, {"settings refused", test_settings_refused},
      {"timing", test_timing})
