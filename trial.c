/* trial: steps of training that are not kept: timing for --minutes, and the search for a learning rate. Declared in train.h. */
#include "eval.h"
#include "lora.h"
#include "os.h"
#include "train_parts.h"

#include <stdio.h>
#include <string.h>

/* ---- --minutes ---- */

/* An update that leaves the weights as they are: it writes over the gradient in their place. */
static void update_nothing(Model *m, const OptimOptions *o, size_t k, double norm) {
    void **kept = mem_new(m->count, sizeof *kept);
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        kept[i] = p->w;
        if (p->m) p->w = p->g;
    }
    optim_update(m, o, k, norm);
    for (size_t i = 0; i < m->count; i++) m->params[i]->w = kept[i];
    mem_free(kept);
    adapter_refresh(m);
}

/* How many steps fit into the minutes. */
static size_t time_steps(Training *t, double minutes) {
    enum { TRIALS = 10 };
    Model *m = t->model;
    Loop l = loop_begin(t);
    OptimOptions o = t->optim;
    double weight, started = 0;
    o.steps = TRIALS, o.warmup = 0;
    for (size_t k = 0; k <= TRIALS; k++) { /* the first one touches the memory and is not timed */
        if (k == 1) started = os_seconds();
        loop_gradients(&l, k, &weight);
        update_nothing(m, &o, k, optim_grad_norm(m));
    }
    double seconds = (os_seconds() - started) / TRIALS;
    for (size_t i = 0; i < m->count; i++) {
        Param *p = m->params[i];
        if (!p->m) continue;
        memset(p->m, 0, param_size(p) * sizeof(real)), memset(p->v, 0, param_size(p) * sizeof(real));
    }
    loop_end(&l);
    size_t steps = (size_t)(minutes * 60 / seconds);
    return steps ? steps : 1;
}

void training_minutes(Training *t, TrainFlags *f, const char *out) {
    if (!(f->minutes > 0)) return;
    JsonDoc *old = f->resume ? run_settings(out) : NULL;
    if (old) {
        const Json *settings = json_need(old, json_root(old), "settings", JSON_OBJECT);
        f->steps = (size_t)json_int(old, settings, "steps", 1, INT64_MAX, 1);
        json_free(old);
    } else {
        fprintf(stderr, "%s: timing ten steps\n", t->stage);
        f->steps = time_steps(t, f->minutes);
    }
    f->minutes = 0;
    training_settings(t, f);
}

/* ---- --find-lr ----
 * The rate grows from step to step, a twelfth of a decade each; after every update the loss of the same samples is measured, so that what
 * moves it is the rate and not the luck of the batch. At low rates nothing happens, then it falls, then it breaks. Ref: Smith 2017. */

enum { A_DECADE = 12, DECADES = 6, RATES = A_DECADE * DECADES + 1, PROBE = 64 };
static const double LOWEST_RATE = 1e-6;

/* The rate whose update, with those around it, lowered the loss the most: fall[k] is loss[k-1] - loss[k], of three steps together. */
static size_t steepest(const double *loss, double first, size_t count) {
    size_t best = 0;
    double most = 0;
    for (size_t k = 0; k + 1 < count; k++) {
        double before = k >= 2 ? loss[k - 2] : first, fall = before - loss[k + 1];
        if (fall > most) most = fall, best = k;
    }
    return best;
}

static void print_rate(double lr, double loss, double train_loss, bool json) {
    ResultLine r = result_begin(json);
    result_number(&r, "lr", lr), result_number(&r, "loss", loss), result_number(&r, "train_loss", train_loss);
    result_print(&r);
}

void training_find_lr(Training *t, const TrainFlags *f) {
    Source probe = t->held.samples ? t->held : t->source;
    if (probe.samples > PROBE) probe.samples = PROBE;
    t->end = UINT64_MAX, t->tokens = 0;
    Loop l = loop_begin(t);
    OptimOptions o = t->optim;
    o.schedule = SCHEDULE_CONSTANT, o.warmup = 0;
    double first = score_samples(t->model, l.pass, &probe), lowest = first, loss[RATES], rate[RATES], weight;
    size_t count = 0, at = 0;
    fprintf(stderr, "%s: up to %d updates at rising rates, none is kept; loss of %zu %s samples, before them %.4f\n", t->stage, RATES, probe.samples,
            t->held.samples ? "held-out" : "training", first);
    while (count < RATES) {
        size_t k = count++;
        o.lr = rate[k] = LOWEST_RATE * d_pow(10, (double)k / A_DECADE);
        double train_loss = loop_gradients(&l, k, &weight), norm = optim_grad_norm(t->model);
        if (is_finite(norm)) optim_update(t->model, &o, k, norm);
        loss[k] = score_samples(t->model, l.pass, &probe);
        print_rate(o.lr, loss[k], train_loss, f->common.json);
        if (loss[k] < lowest) lowest = loss[k], at = k;
        if (!is_finite(norm) || !(loss[k] < 1.5 * lowest)) break; /* it broke */
    }
    size_t k = steepest(loss, first, at + 1);
    ResultLine r = result_begin(f->common.json);
    result_number(&r, "suggested_lr", rate[k]), result_number(&r, "lowest_at", rate[at]), result_number(&r, "lowest_loss", lowest);
    result_print(&r);
    loop_end(&l);
}
