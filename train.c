#include "train_parts.h"

#include "decimal.h"
#include "eval.h"
#include "hash.h"
#include "lora.h"
#include "os.h"
#include "parallel.h"
#include "progress.h"
#include "sample.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

enum { TRAIN_TOKENS = 2048 };         /* of a micro-batch, when nobody says how many samples */

/* ---- settings ---- */

static size_t parse_warmup(const char *text, size_t steps) {
    size_t n = strlen(text);
    bool percent = n && text[n - 1] == '%';
    double x;
    if (!decimal_parse(text, n - percent, &x) || x < 0 || (percent && x > 100) || (!percent && x != (double)(size_t)x))
        bad_input("--warmup takes a number of steps or a percentage such as 5%%, found \"%s\"", text);
    return percent ? (size_t)(x / 100 * (double)steps + 0.5) : (size_t)x;
}

/* "20": steps; "90s", "10m", "2h": time, returned in *seconds. */
static size_t parse_interval(const char *text, double *seconds) {
    static const char units[] = "smh";
    static const double of[] = {1, 60, 3600};
    size_t n = strlen(text);
    const char *unit = n && text[n - 1] ? strchr(units, text[n - 1]) : NULL;
    double x;
    if (!decimal_parse(text, n - (unit != NULL), &x) || x < 0 || x > 1e9 || (unit ? !(x > 0) : x != (double)(size_t)x))
        bad_input("--save-every takes a number of steps, or a time such as 90s, 10m or 2h, found \"%s\"", text);
    *seconds = unit ? x * of[unit - units] : 0;
    return unit ? 0 : (size_t)x;
}

size_t training_longest(const Training *t) {
    const Source *replay = &t->remedies.replay;
    return replay->samples && replay->longest > t->source.longest ? replay->longest : t->source.longest;
}

void training_settings(Training *t, TrainFlags *f) {
    static const char *const schedules[] = {"constant", "linear", "cosine", "wsd"}, *const orders[] = {"file", "shuffle"};
    size_t batch = f->batch;
    if (f->steps && f->epochs > 0) bad_input("--steps and --epochs both say how long: give one of them");
    if ((f->steps || f->epochs > 0) && f->minutes > 0) bad_input("--minutes and --steps or --epochs both say how long: give one of them");
    if (!(f->lr > 0)) bad_input("--lr must be above 0");
    if (f->min_lr > f->lr) bad_input("--min-lr is above --lr");
    t->end = UINT64_MAX;
    if (f->epochs > 0) {
        t->end = (uint64_t)(f->epochs * (double)t->source.samples / (1 - t->remedies.share) + 0.5);
        f->steps = (size_t)((t->end + batch - 1) / batch);
    }
    if (!f->steps && !(f->minutes > 0)) bad_input("--epochs and --steps leave nothing to do");
    t->optim = (OptimOptions){.lr = f->lr, .min_lr = f->min_lr, .beta1 = f->beta1, .beta2 = f->beta2, .eps = f->eps, .weight_decay = f->weight_decay,
                              .clip = f->clip, .schedule = (Schedule)cli_choice("--schedule", f->schedule, schedules, 4), .steps = f->steps};
    t->optim.warmup = parse_warmup(f->warmup, f->steps);
    if (f->steps && !f->eval_every) f->eval_every = f->steps / 10 ? f->steps / 10 : 1;
    t->shuffle = cli_choice("--order", f->order, orders, 2) == 1;
    t->batch = batch, t->micro_batch = f->micro_batch, t->recompute = f->recompute;
    t->save_every = f->save_every ? parse_interval(f->save_every, &t->save_seconds) : 0;
    if (!t->save_every) t->save_every = f->eval_every;
    t->eval_every = f->eval_every, t->stop_at = f->stop_at;
    t->seed = (uint32_t)f->common.seed;
    if (!t->micro_batch) t->micro_batch = training_longest(t) < TRAIN_TOKENS ? TRAIN_TOKENS / training_longest(t) : 1;
    if (t->micro_batch > batch) t->micro_batch = batch;
    t->tokens = training_most_tokens(t);
}

size_t training_tokens(const Training *t) { return t->tokens ? t->tokens : t->micro_batch * training_longest(t); }

size_t training_most_tokens(const Training *t) {
    enum { PATIENCE = 1 << 24 };      /* samples */
    const Source *s = &t->source;
    size_t most = training_longest(t), sum = 0, steps = t->optim.steps;
    if (t->remedies.replay.samples || !s->length || !steps || steps > PATIENCE / t->batch) return 0;
    Order order = order_new(s->samples, t->seed, t->shuffle);
    for (uint64_t i = 0; i < (uint64_t)steps * t->batch && i < t->end; i++) {
        if (i % t->batch % t->micro_batch == 0) sum = 0;
        sum += s->length(s->self, order_sample(&order, i));
        if (sum > most) most = sum;
    }
    order_free(&order);
    return most;
}

/* ---- one update ---- */

Loop loop_begin(Training *t) {
    Loop l = {.t = t};
    Remedies *r = &t->remedies;
    l.pass = pass_new(t->model, training_tokens(t), true, t->recompute);
    if (r->teacher) l.teacher = pass_new(r->teacher, training_tokens(t), false, false);
    l.order = order_new(t->source.samples, t->seed, t->shuffle);
    if (r->replay.samples) l.replayed = order_new(r->replay.samples, t->seed + 1, t->shuffle);
    l.first_segment = mem_new(t->batch + 1, sizeof *l.first_segment);
    return l;
}

void loop_end(Loop *l) {
    pass_free(l->pass), pass_free(l->teacher), order_free(&l->order), order_free(&l->replayed);
    batch_free(&l->batch), batch_free(&l->part), mem_free(l->first_segment);
}

/* How many of the first i samples are replayed. */
static uint64_t replays(const Remedies *r, uint64_t i) { return (uint64_t)((double)i * r->share); }

/* Sample i of the endless sequence, marked when it is to be distilled; a replayed sample that is distilled is not learned itself. */
static void add_sample(Loop *l, uint64_t i, bool replayed) {
    const Remedies *r = &l->t->remedies;
    Batch *b = &l->batch;
    size_t first = b->segment_count, row = b->tokens;
    uint64_t before = replays(r, i);
    if (replayed) r->replay.add(r->replay.self, order_sample(&l->replayed, before), b);
    else l->t->source.add(l->t->source.self, order_sample(&l->order, i - before), b);
    batch_key(b, row, i);
    if (!(r->kl > 0) || r->kl_replay != replayed) return;
    batch_distil(b, first);
    for (size_t n = row; replayed && n < b->tokens; n++) b->targets[n] = -1;
}

/* The samples of step k (from 0); returns how many. */
static size_t gather_batch(Loop *l, size_t k) {
    const Training *t = l->t;
    const Remedies *r = &t->remedies;
    uint64_t from = (uint64_t)k * t->batch, to = from + t->batch < t->end ? from + t->batch : t->end;
    bool apart = r->kl > 0 && r->kl_replay;
    size_t count = 0;
    l->new_tokens = 0;
    batch_clear(&l->batch);
    for (int last = 0; last < 2; last++) {
        for (uint64_t i = from; i < to; i++) {
            bool replayed = r->replay.samples && replays(r, i + 1) > replays(r, i);
            if (last != (apart && replayed)) continue;
            size_t before = l->batch.tokens;
            l->first_segment[count++] = l->batch.segment_count;
            add_sample(l, i, replayed);
            if (!replayed) l->new_tokens += l->batch.tokens - before;
        }
    }
    l->batch.seed = t->seed, l->batch.step = k;
    l->first_segment[count] = l->batch.segment_count;
    return count;
}

double loop_gradients(Loop *l, size_t k, double *weight) {
    Training *t = l->t;
    const Remedies *r = &t->remedies;
    const Batch *b = &l->batch;
    size_t samples = gather_batch(l, k), distilled = batch_distilled(b);
    double sum = 0, kl = 0;
    *weight = batch_weight(b);
    if (!(*weight > 0)) bad_input("step %zu: its batch has no token to learn from: use a larger --batch, or look at the data", k + 1);
    model_teach(t->model, l->pass, distilled ? r->teacher : NULL, l->teacher, distilled ? r->kl / (double)distilled : 0, &kl);
    model_begin_gradients(t->model, l->pass, b->ids, b->tokens);
    for (size_t i = 0; i < samples; i += t->micro_batch) {
        size_t end = i + t->micro_batch < samples ? i + t->micro_batch : samples;
        batch_clear(&l->part);
        for (size_t j = l->first_segment[i]; j < l->first_segment[end]; j++) batch_add_segment(&l->part, b, j);
        model_step(t->model, l->pass, &l->part, 1 / *weight, i == 0, &sum);
    }
    model_finish_gradients(t->model, l->pass);
    l->kl = distilled ? kl / (double)distilled : 0;
    l->penalty = r->penalty ? penalty_add(r->penalty, t->model) : 0;
    return sum / *weight;
}

static _Noreturn void stop_non_finite(const Training *t, size_t step, double loss) {
    const Param *p = optim_non_finite(t->model);
    work_failed("step %zu: the %s is not finite%s%s; the last checkpoint is whole: lower --lr, or raise --warmup", step,
                is_finite(loss) ? "gradient norm" : "loss", p ? ", first in the gradient of " : "", p ? p->name : "");
}

void training_check_out(const TrainFlags *f, const char *out) {
    if (os_exists(out) && !f->resume && !f->force && !f->dry_run)
        bad_input("%s exists: name another --out, add --resume to go on with it, or --force to replace it", out);
}

void training_check_space(const Training *t, const char *out) {
    size_t every = t->eval_every < t->save_every ? t->eval_every : t->save_every, steps = t->optim.steps;
    run_need_space(out, t->model, t->saved_as, t->save_seconds > 0 ? steps : (steps + every - 1) / every);
}

/* The checkpoint that is about to be written, and what is published from it; the earlier ones stay as they are. */
static void check_space(const Training *t, const Run *run, size_t step, bool publish) {
    char *what = str_format("the checkpoint of step %zu", step);
    os_need_space(run->out, checkpoint_bytes(t->model) + (publish ? published_bytes(t->model, t->saved_as) : 0), what,
                  "make room, then go on with --resume; earlier checkpoints are whole");
    mem_free(what);
}

void training_result(const TrainFlags *f, const char *out) {
    char hex[65];
    hash_folder(out, hex);
    ResultLine r = result_begin(f->common.json);
    result_text(&r, "out", out), result_text(&r, "sha256", hex);
    result_print(&r);
}

/* ---- log lines ---- */

static void log_step(Run *r, const Loop *l, size_t step, double loss, double norm, size_t tokens) {
    const Remedies *remedies = &l->t->remedies;
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_uint(&w, "step", step);
    jw_float(&w, "loss", (float)loss), jw_float(&w, "lr", (float)optim_lr(&l->t->optim, step - 1)), jw_float(&w, "grad_norm", (float)norm);
    if (remedies->kl > 0) jw_float(&w, "kl", (float)l->kl);
    if (remedies->penalty) jw_float(&w, "penalty", (float)l->penalty);
    jw_uint(&w, "tokens", tokens);
    jw_end_object(&w);
    run_log(r, &w);
}

static void log_evaluation(Run *r, size_t step, double loss, const TextScore *s, const double *score, bool best) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_uint(&w, "step", step);
    jw_float(&w, "valid_loss", (float)loss);
    if (s->bytes) jw_float(&w, "valid_bpb", (float)score_bpb(s));
    if (score) jw_float(&w, "valid_score", (float)*score);
    jw_bool(&w, "best", best);
    jw_end_object(&w);
    run_log(r, &w);
}

static void log_sample(Run *r, size_t step, const Buf *text) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_uint(&w, "step", step);
    jw_string_n(&w, "sample", text->data ? text->data : "", text->len);
    jw_end_object(&w);
    run_log(r, &w);
}

static void log_timing(Run *r, const char *event, const Training *t, size_t step, double seconds, double updating, int argc, char **argv) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_int(&w, "v", 1), jw_string(&w, "event", event), jw_uint(&w, "step", step), jw_double(&w, "seconds", seconds);
    jw_double(&w, "update_seconds", updating); /* gradients and updates alone, without evaluations and files */
    jw_uint(&w, "peak_memory", os_peak_memory()), jw_uint(&w, "micro_batch", t->micro_batch), jw_bool(&w, "recompute", t->recompute);
    jw_uint(&w, "threads", (uint64_t)thread_count()), jw_string(&w, "compiler", build_compiler()), jw_string(&w, "tier", build_tier());
    jw_array(&w, "command");
    for (int i = 0; i < argc; i++) jw_string(&w, NULL, argv[i]);
    jw_end_array(&w), jw_end_object(&w);
    run_timing(r, &w);
}

/* ---- the loop ---- */

static void show_sample(const Training *t, Run *run, size_t step) {
    int32_t bos = tokenizer_bos(t->tok);
    if (!t->sample_tokens || bos < 0) return;
    GenerateOptions o = {.sample = {.temperature = 0.8, .top_p = 0.95, .repetition_penalty = 1, .seed = t->seed}, .tokens = t->sample_tokens, .whole = true};
    Cache *cache = cache_new(t->model, t->model->config.ctx);
    Ids ids = {0};
    Buf text = {0};
    ids_push(&ids, bos);
    generate(t->model, t->tok, cache, &ids, &o, &text);
    fprintf(stderr, "  sample: %s\n", text.data ? text.data : "");
    log_sample(run, step, &text);
    cache_free(cache), ids_free(&ids), buf_free(&text);
}

static bool has_held_out(const Training *t) { return t->valid || t->held.samples; }

/* True when this is the best so far. */
static bool evaluate(Loop *l, Run *run, State *s, Progress *progress) {
    const Training *t = l->t;
    TextScore score = {0};
    if (!has_held_out(t)) return false;
    if (t->valid) score = score_corpus(t->model, l->pass, t->valid, t->tok);
    double loss = t->valid ? score_loss(&score) : score_samples(t->model, l->pass, &t->held);
    double measured = t->metric ? t->measure(t->measured, t->model) : 0;
    bool lower = loss < s->best_loss;
    bool best = !s->best_step || (t->metric ? measured > s->best_score || (measured == s->best_score && lower) : lower);
    if (best) s->best_step = s->step, s->best_loss = loss, s->scored = t->metric != NULL, s->best_score = measured;
    log_evaluation(run, s->step, loss, &score, t->metric ? &measured : NULL, best);
    progress_break(progress);
    fprintf(stderr, "  step %zu  held-out loss %.4f", s->step, loss);
    if (score.bytes) fprintf(stderr, "  bits per byte %.4f", score_bpb(&score));
    if (t->metric) fprintf(stderr, "  %s %.4f", t->metric, measured);
    fprintf(stderr, best ? "  (best)\n" : "\n");
    show_sample(t, run, s->step);
    return best;
}

/* The held-out loss or score has not become better for `patience` evaluations. A function of the state, so that a resumed run decides alike. */
static bool out_of_patience(const Training *t, const State *s) {
    return t->patience && has_held_out(t) && s->best_step && s->step - s->best_step >= t->patience * t->eval_every;
}

static int leave(const Training *t, const State *s, bool interrupted, int argc, char **argv) {
    fprintf(stderr, "%s: stopped after step %zu of %zu; to go on:\n  finetune %s", t->stage, s->step, t->optim.steps, t->stage);
    for (int i = 0; i < argc; i++)
        if (!strcmp(argv[i], "--stop-at")) i++;
        else if (strcmp(argv[i], "--resume") && strcmp(argv[i], "--force") && !str_starts(argv[i], "--stop-at=")) fprintf(stderr, " %s", argv[i]);
    fprintf(stderr, " --resume\n");
    return interrupted ? EXIT_INTERRUPTED : 0;
}

int training_run(Training *t, Run *run, int argc, char **argv) {
    State s = {0};
    Loop l = loop_begin(t);
    double started = os_seconds(), last_save = started, updating = 0;
    size_t saved = SIZE_MAX;
    if (checkpoint_load(run, t->model, &s)) {
        saved = s.step;
        fprintf(stderr, "%s: going on after step %zu\n", t->stage, s.step);
        if (s.best_step) checkpoint_publish(run, t->model, t->tok, s.best_step, t->saved_as);
    }
    log_timing(run, "begin", t, s.step, 0, 0, argc, argv);
    os_catch_interrupts();
    Progress progress = progress_begin(t->stage, s.step, t->optim.steps);
    bool stop = t->stop_at && s.step >= t->stop_at, over = s.step >= t->optim.steps || out_of_patience(t, &s);
    while (!over && !stop) {
        double weight, began = os_seconds(), loss = loop_gradients(&l, s.step, &weight), norm = optim_grad_norm(t->model);
        if (!is_finite(loss) || !is_finite(norm)) stop_non_finite(t, s.step + 1, loss);
        optim_update(t->model, &t->optim, s.step, norm);
        s.tokens += (size_t)weight, s.new_tokens += l.new_tokens, s.total_tokens += l.batch.tokens;
        updating += os_seconds() - began;
        log_step(run, &l, s.step + 1, loss, norm, s.tokens);
        s.step++;
        progress_step(&progress, s.step, loss, l.batch.tokens);
        bool last = s.step == t->optim.steps, best = false;
        if (s.step % t->eval_every == 0 || last) best = evaluate(&l, run, &s, &progress);
        over = last || out_of_patience(t, &s);
        stop = os_interrupted || s.step == t->stop_at;
        bool due = t->save_seconds > 0 && os_seconds() - last_save >= t->save_seconds;
        if (best || over || stop || due || s.step % t->save_every == 0) {
            check_space(t, run, s.step, best);
            checkpoint_save(run, t->model, &s);
            saved = s.step, last_save = os_seconds();
        }
        if (best) checkpoint_publish(run, t->model, t->tok, s.step, t->saved_as);
    }
    if (saved != s.step) checkpoint_save(run, t->model, &s);
    log_timing(run, "end", t, s.step, os_seconds() - started, updating, argc, argv);
    if (!has_held_out(t)) checkpoint_publish(run, t->model, t->tok, s.step, t->saved_as);
    if (over && s.step < t->optim.steps)
        fprintf(stderr, "%s: stopped early: the held-out %s was best at step %zu, %zu evaluations ago\n", t->stage,
                t->metric ? t->metric : "loss", s.best_step, t->patience);
    t->kept = has_held_out(t) ? s.best_step : s.step;
    loop_end(&l);
    return !over ? leave(t, &s, os_interrupted != 0, argc, argv) : 0;
}
