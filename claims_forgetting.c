/* What tuning costs. Each function is one statement: its cells, its table, what the table says. */
#include "claims.h"
#include "decimal.h"
#include "forget.h"
#include "fp.h"
#include "stats.h"

#include <string.h>

/* ---- catastrophic forgetting: tasks one after the other ---- */

typedef struct {
    const char *name, *flags;
    bool adapter, replay, fisher; /* one adapter goes on through the tasks; earlier data; EWC on them */
} Method;

#define COMMON "--valid 0 --batch 8 --epochs 4 "
static const Method methods[] = {
    {.name = "one after the other", .flags = COMMON "--lr 1e-3"},
    {.name = "low rate", .flags = COMMON "--lr 3e-4"},
    {.name = "LoRA, rank 16", .flags = COMMON "--lr 3e-3 --lora --rank 16", .adapter = true},
    {.name = "LoRA, rank 2", .flags = COMMON "--lr 3e-3 --lora --rank 2 --alpha 4", .adapter = true},
    {.name = "L2-SP", .flags = COMMON "--lr 1e-3 --l2-sp 0.03"},
    {.name = "EWC", .flags = COMMON "--lr 1e-3 --ewc-lambda 30", .fisher = true},
    {.name = "distillation", .flags = COMMON "--lr 1e-3 --kl-base 0.3"},
    {.name = "self-replay", .flags = COMMON "--lr 1e-3 --self-replay 200 --self-replay-tokens 128"},
    {.name = "replay", .flags = COMMON "--lr 1e-3", .replay = true},
};
enum { METHODS = sizeof methods / sizeof *methods, ROWS = 400, ORDERS = 3 };
static const Task orders[ORDERS][TASKS] = {
    {TASK_JSON, TASK_CODE, TASK_SUPPORT}, {TASK_CODE, TASK_SUPPORT, TASK_JSON}, {TASK_SUPPORT, TASK_JSON, TASK_CODE}};

/* Three stages; with replay and EWC the earlier data are texts of the base's training and, from the second stage on, rows of the tasks before. */
static const Json **sequence_cell(Lab *l, const Method *m, size_t order) {
    Cell c = {.row = "sequence", .method = m->name, .setting = "", .order = order, .on = ON_TASKS | ON_SKILLS | ON_STORIES, .count = TASKS};
    char *rows[TASKS], *earlier[TASKS] = {0}, *flags[TASKS];
    for (size_t i = 0; i < TASKS; i++) {
        rows[i] = data_rows(l, orders[order][i], 0, ROWS);
        if (m->replay || m->fisher) earlier[i] = data_earlier(l, 1, ROWS, orders[order], i, ROWS / 4);
        flags[i] = m->replay         ? str_format("%s --replay %s --replay-ratio 0.5", m->flags, earlier[i])
                   : m->adapter && i ? str_copy(COMMON "--lr 3e-3")
                                     : str_copy(m->flags);
        c.stages[i] = (Stage){
            .model = m->adapter ? 0 : i, .adapter = m->adapter ? i : 0, .data = rows[i], .flags = flags[i], .fisher = m->fisher ? earlier[i] : NULL};
    }
    const Json **r = lab_seeds(l, c);
    for (size_t i = 0; i < TASKS; i++) mem_free(rows[i]), mem_free(earlier[i]), mem_free(flags[i]);
    return r;
}

static const Json **joint_cell(Lab *l) {
    char *rows = data_joint(l, orders[0], TASKS, ROWS);
    const Json **r = lab_seeds(l, (Cell){.row = "sequence",
                                      .method = "all tasks at once",
                                      .setting = "",
                                      .on = ON_TASKS | ON_SKILLS | ON_STORIES,
                                      .count = 1,
                                      .stages = {{.data = rows, .flags = COMMON "--lr 1e-3"}}});
    mem_free(rows);
    return r;
}

enum { FIGURES = 8, SAMPLES_MOST = 100 * ORDERS };
static const char *const figure_names[FIGURES] = {"learning accuracy", "accuracy at the end", "backward transfer", "forward transfer", "forgetting",
    "intransigence", "four skills", "stories, bits a byte"};

typedef struct {
    double x[FIGURES][SAMPLES_MOST];
    size_t count;
} Samples;

static void add_sample(Samples *s, const Json *results, const Json *base, const Json *joint, size_t order) {
    double R[TASKS * TASKS], before[TASKS], reached[TASKS];
    for (size_t j = 0; j < TASKS; j++) {
        const char *name = task_names[orders[order][j]];
        before[j] = score_of(base, 0, name), reached[j] = score_of(joint, 0, name);
        for (size_t i = 0; i < TASKS; i++) R[i * TASKS + j] = score_of(results, i, name);
    }
    SequenceScores q = sequence_scores(R, before, reached, TASKS);
    const double figures[FIGURES] = {q.learning, q.acc, q.bwt, q.fwt, q.forgetting, q.intransigence, score_of(results, TASKS - 1, "skills"),
        json_get(&results->items[TASKS - 1], "bits_per_byte")->number};
    for (int f = 0; f < FIGURES; f++) s->x[f][s->count] = figures[f];
    s->count++;
}

static void put_estimate(Buf *page, const double *x, size_t n, int decimals, bool sign) { page_interval(page, number_over(x, n), decimals, sign); }

/* Rows of R of the first order, seed 1: what happens, before the figures that sum it up. */
static void put_matrix(Buf *page, const Json *results, const Json *base) {
    buf_str(page, "| after |");
    for (int j = 0; j < TASKS; j++) buf_format(page, " %s |", task_names[orders[0][j]]);
    buf_str(page, " reading | words | numbers | form |\n|---|");
    for (int j = 0; j < TASKS + SKILLS; j++) buf_str(page, "--:|");
    for (size_t i = 0; i <= TASKS; i++) {
        const Json *r = i ? results : base;
        buf_format(page, "\n| %s |", i ? task_names[orders[0][i - 1]] : "the base");
        for (int j = 0; j < TASKS; j++)
            buf_char(page, ' '), page_number(page, score_of(r, i ? i - 1 : 0, task_names[orders[0][j]]), 2), buf_str(page, " |");
        for (int j = 0; j < SKILLS; j++) buf_char(page, ' '), page_number(page, score_of(r, i ? i - 1 : 0, skill_names[j]), 2), buf_str(page, " |");
    }
    buf_str(page, "\n\n");
}

void claim_sequence(Lab *l, Buf *page) {
    size_t order_count = l->seeds > 1 ? ORDERS : 1;
    const Json **base = lab_seeds(l, (Cell){.row = "base", .method = "none", .setting = "", .on = ON_TASKS | ON_SKILLS | ON_STORIES}),
               **joint = joint_cell(l);
    page_section(page, "Can cause catastrophic forgetting: three tasks, one after the other",
        "400 rows of each task, four epochs of batches of 8; R, its figures and their definitions as in docs/forgetting.md; the four skills and the "
        "stories are what the base knew. "
        "The upper bound is one model tuned on all three at once. Replay: half of every batch is earlier data: 400 texts of the base's own training, "
        "and of each task before 100 rows; "
        "EWC has its Fisher information from the same. A store so small is read many times, and unseen stories pay for it.");
    Samples plain = {0};
    for (size_t m = 0; m < METHODS; m++) {
        Samples s = {0};
        for (size_t o = 0; o < order_count; o++) {
            const Json **r = sequence_cell(l, &methods[m], o);
            if (!m && !o) {
                buf_format(page, "Scores of \"%s\", first order, seed 1:\n\n", methods[0].name);
                put_matrix(page, r[0], base[0]);
            }
            for (size_t k = 0; k < l->seeds; k++) add_sample(&s, r[k], base[k], joint[k], o);
            mem_free(r);
        }
        if (!m) {
            plain = s;
            buf_str(page, "| method |");
            for (int f = 0; f < FIGURES; f++) buf_format(page, " %s |", figure_names[f]);
            buf_str(page, " skills against the first line |\n|---|");
            for (int f = 0; f <= FIGURES; f++) buf_str(page, "--:|");
            buf_char(page, '\n');
        }
        buf_format(page, "| %s |", methods[m].name);
        for (int f = 0; f < FIGURES; f++)
            buf_char(page, ' '), put_estimate(page, s.x[f], s.count, f == FIGURES - 1 ? 4 : 3, f >= 2 && f <= 5), buf_str(page, " |");
        for (size_t i = 0; i < s.count; i++) s.x[0][i] = s.x[6][i] - plain.x[6][i];
        buf_char(page, ' ');
        if (m) put_estimate(page, s.x[0], s.count, 3, true);
        buf_str(page, " |\n");
    }
    Samples j = {0};
    for (size_t k = 0; k < l->seeds; k++) {
        double sum = 0;
        for (int t = 0; t < TASKS; t++) sum += score_of(joint[k], 0, task_names[t]) / TASKS;
        j.x[0][k] = sum, j.x[1][k] = score_of(joint[k], 0, "skills"), j.x[2][k] = json_get(&joint[k]->items[0], "bits_per_byte")->number, j.count++;
    }
    buf_str(page, "| all tasks at once | "), put_estimate(page, j.x[0], j.count, 3, false), buf_str(page, " | "),
        put_estimate(page, j.x[0], j.count, 3, false);
    buf_str(page, " | | | | | "), put_estimate(page, j.x[1], j.count, 3, false), buf_str(page, " | "), put_estimate(page, j.x[2], j.count, 4, false),
        buf_str(page, " | |\n");
    mem_free(base), mem_free(joint);
}

/* ---- must be redone when the base updates ---- */

/* Stages: 1 the adapter on the base, 2 the newer base, 3 the old adapter on it as it is; then the old adapter trained on, and a new one, for as many steps. */
static void put_update(Lab *l, Buf *page, const char *what, const char *rows, const char *news, bool first) {
    static const char *const steps[] = {"10", "30", "150"};
    enum { TRIALS = 3 };
    char *again[TRIALS], *anew[TRIALS];
    Cell c = {.row = "newer base",
        .method = "lora",
        .setting = what,
        .on = ON_JSON,
        .count = 3 + 2 * TRIALS,
        .stages = {{.data = rows, .flags = "--valid 0 --batch 8 --steps 150 --lr 3e-3 --lora --rank 16"},
            {.data = news, .flags = "--valid 0 --batch 8 --epochs 1 --lr 1e-3"}, {.model = 2, .adapter = 1}}};
    for (size_t k = 0; k < TRIALS; k++) {
        again[k] = str_format("--valid 0 --batch 8 --steps %s --lr 3e-3", steps[k]), anew[k] = str_format("%s --lora --rank 16", again[k]);
        c.stages[3 + 2 * k] = (Stage){.model = 2, .adapter = 1, .data = rows, .flags = again[k]};
        c.stages[4 + 2 * k] = (Stage){.model = 2, .data = rows, .flags = anew[k]};
    }
    const Json **r = lab_seeds(l, c);
    for (size_t s = 0; s < c.count; s++) {
        if (s == 1 || (!s && !first)) continue;
        Interval change = change_over(l, r, 0, r, s, "json");
        buf_format(page, "| %s | ", s ? what : "");
        if (s < 3) buf_str(page, s ? "the old adapter as it is" : "the old pair");
        else buf_format(page, "%s, %s steps", s % 2 ? "the old adapter trained on" : "a new adapter", steps[(s - 3) / 2]);
        buf_str(page, " | "), page_interval(page, score_over(l, r, s, "json"), 3, false), buf_str(page, " | ");
        if (s) page_interval(page, change, 3, true), buf_format(page, " (%s)", verdict(change));
        buf_str(page, " |\n");
    }
    for (size_t k = 0; k < TRIALS; k++) mem_free(again[k]), mem_free(anew[k]);
    mem_free(r);
}

void claim_newer_base(Lab *l, Buf *page) {
    static const Task other[] = {TASK_CODE, TASK_SUPPORT};
    char *rows = data_rows(l, TASK_JSON, 0, ROWS), *news = data_earlier(l, 2, 4000, NULL, 0, 0), *tasks = data_earlier(l, 2, 3000, other, 2, 500);
    page_section(page, "Must be redone when the base model updates",
        "A LoRA (rank 16, 3e-3, 150 steps of 8) learns the JSON task on the base. The base is then trained on, one epoch at 1e-3: on 4,000 new texts "
        "of its own kind, or on 3,000 with 500 rows of each of "
        "the other two tasks. The old adapter stands on the newer base as it is; then it is trained on there for some steps, beside a new adapter "
        "with as many.");
    buf_str(page, "| the update | adapter | right answers | against the old pair |\n|---|---|--:|--:|\n");
    put_update(l, page, "more of the same", rows, news, true);
    put_update(l, page, "two tasks among it", rows, tasks, false);
    mem_free(rows), mem_free(news), mem_free(tasks);
}

/* ---- matched learning ---- */

enum { TAU_PERCENT = 90, TRIALS = 4 };
static const struct {
    const char *name, *flags, *rates, *strengths;
    bool replay, fisher; /* texts of the base's own training; their Fisher information */
} remedies[] = {
    {.name = "all weights", .flags = "", .rates = "3e-4, 1e-3, 3e-3, 6e-3"},
    {.name = "LoRA", .flags = "--lora", .rates = "1e-3, 3e-3", .strengths = "\"rank\": [4, 16]"},
    {.name = "half the layers frozen", .flags = "--freeze embed_tokens,layers.0,layers.1", .rates = "3e-4, 1e-3, 3e-3, 6e-3"},
    {.name = "L2-SP", .flags = "", .rates = "1e-3, 3e-3", .strengths = "\"l2-sp\": [0.01, 0.1]"},
    {.name = "EWC", .flags = "", .rates = "1e-3, 3e-3", .strengths = "\"ewc-lambda\": [10, 100]", .fisher = true},
    {.name = "distillation, new rows", .flags = "", .rates = "1e-3, 3e-3", .strengths = "\"kl-base\": [0.1, 1]"},
    {.name = "distillation, earlier texts",
        .flags = "--replay-ratio 0.5",
        .rates = "1e-3, 3e-3",
        .strengths = "\"kl-base\": [0.3, 3]",
        .replay = true},
    {.name = "self-replay",
        .flags = "--self-replay 200 --self-replay-tokens 128",
        .rates = "1e-3, 3e-3",
        .strengths = "\"replay-ratio\": [0.25, 0.5]"},
    {.name = "replay", .flags = "", .rates = "1e-3, 3e-3", .strengths = "\"replay-ratio\": [0.25, 0.5]", .replay = true},
};
enum { REMEDIES = sizeof remedies / sizeof *remedies, FULL = 0, LORA = 1 };

/* earlier, fisher: files, of the base's own training and its Fisher information on that; NULL for a method that takes neither. */
static const Json **remedy_cell(Lab *l, size_t k, const char *rows, const char *earlier, const char *fisher) {
    char *flags = str_format("--batch 8 --schedule constant --warmup 10 %s%s%s%s%s", remedies[k].flags, remedies[k].replay ? " --replay " : "",
        remedies[k].replay ? earlier : "", remedies[k].fisher ? " --ewc " : "", remedies[k].fisher ? fisher : "");
    const Json **r = lab_seeds(l, (Cell){.row = "remedies",
                                      .method = remedies[k].name,
                                      .setting = "",
                                      .count = 1,
                                      .stages = {{.data = rows, .flags = flags}},
                                      .rates = remedies[k].rates,
                                      .strengths = remedies[k].strengths,
                                      .tau = TAU_PERCENT / 100.0,
                                      .steps = 240,
                                      .evaluations = 4});
    mem_free(flags);
    return r;
}

/* Over the seeds: the cell `trial` of each, or where trial is TRIALS the one that was chosen. missed: seeds without it. */
typedef struct {
    Interval learning, forgetting;
    double step, new_tokens, total_tokens, seconds, rate, strength;
    size_t missed;
} Matched;

static Matched matched_over(const Lab *l, const Json *const *r, size_t trial) {
    static const char *const keys[2][3] = {{"reported", "reported_low", "reported_high"}, {"forgetting", "low", "high"}};
    Matched m = {0};
    double *values[2] = {mem_new(l->seeds, sizeof(double)), mem_new(l->seeds, sizeof(double))}, below[2] = {0}, above[2] = {0};
    size_t n = 0;
    for (size_t s = 0; s < l->seeds; s++) {
        size_t k = trial;
        if (trial == TRIALS)
            for (k = 0; k < r[s]->count && !json_get(&r[s]->items[k], "chosen")->boolean;) k++;
        if (k == r[s]->count || json_get(&r[s]->items[k], "matched")->kind != JSON_OBJECT) {
            m.missed++;
            continue;
        }
        const Json *cell = &r[s]->items[k], *strength = json_get(cell, "strength");
        for (int i = 0; i < 2; i++) {
            values[i][n] = matched_number(cell, keys[i][0]);
            below[i] += values[i][n] - matched_number(cell, keys[i][1]), above[i] += matched_number(cell, keys[i][2]) - values[i][n];
        }
        m.step += matched_number(cell, "step"), m.new_tokens += matched_number(cell, "new_tokens"), m.total_tokens += matched_number(cell, "total_tokens");
        m.seconds += lab_seconds(l, r[s], k), m.rate = json_get(cell, "rate")->number, m.strength = strength ? strength->number : 0, n++;
    }
    double count = (double)n;
    if (n) m.step /= count, m.new_tokens /= count, m.total_tokens /= count, m.seconds /= count;
    for (int i = 0; i < 2 && n; i++) { /* items and seeds: the squares of the half widths add */
        Estimate e = estimate_mean(values[i], n);
        double seeds = n > 1 ? e.high - e.mean : 0, down = below[i] / count, up = above[i] / count;
        *(i ? &m.forgetting : &m.learning) = (Interval){e.mean, e.mean - d_sqrt(down * down + seeds * seeds), e.mean + d_sqrt(up * up + seeds * seeds)};
    }
    mem_free(values[0]), mem_free(values[1]);
    return m;
}

/* Two methods' forgetting, taken as independent of each other: wider than a paired interval. */
static Interval difference(Interval a, Interval b) {
    double x = (a.high - a.low) / 2, y = (b.high - b.low) / 2, half = d_sqrt(x * x + y * y);
    return (Interval){b.value - a.value, b.value - a.value - half, b.value - a.value + half};
}

static void put_matched(Buf *page, const Lab *l, const Matched *m) {
    if (m->missed == l->seeds) {
        buf_str(page, "not reached | – | – | – | – | –");
        return;
    }
    page_number(page, m->step, 0), buf_str(page, " | "), page_number(page, m->new_tokens, 0), buf_str(page, " | "),
        page_number(page, m->total_tokens, 0);
    buf_str(page, " | "), page_number(page, m->seconds, 1), buf_str(page, " | "), page_interval(page, m->learning, 3, false), buf_str(page, " | ");
    page_interval(page, m->forgetting, 3, true);
    if (m->missed) buf_format(page, " (%zu of %zu seeds not reached)", m->missed, l->seeds);
}

static void put_number(Buf *page, double x) {
    char text[DECIMAL_MAX];
    decimal_print(text, x);
    buf_str(page, text);
}

static const char *const columns = "step | new tokens | all tokens | seconds | right answers | forgotten";

/* Every rate of one method. */
static void put_rates(Buf *page, const Lab *l, const Json *const *r) {
    buf_format(page, "| rate | %s |\n|--:|--:|--:|--:|--:|--:|--:|\n", columns);
    for (size_t k = 0; k < TRIALS; k++) {
        Matched m = matched_over(l, r, k);
        buf_str(page, "| "), put_number(page, json_get(&r[0]->items[k], "rate")->number), buf_str(page, " | "), put_matched(page, l, &m),
            buf_str(page, " |\n");
    }
}

/* A row of the picture for every rate of all weights, and for every other method. */
typedef struct {
    char *names[TRIALS + REMEDIES];
    double x[TRIALS + REMEDIES], low[TRIALS + REMEDIES], high[TRIALS + REMEDIES];
    size_t count;
} Picture;

static void picture_add(Picture *p, char *name, const Matched *m, size_t seeds) {
    double none = bits_double(0x7ff8000000000000);
    size_t i = p->count++;
    bool reached = m->missed < seeds;
    p->names[i] = name;
    p->x[i] = reached ? m->forgetting.value : none, p->low[i] = reached ? m->forgetting.low : none, p->high[i] = reached ? m->forgetting.high : none;
}

/* false: no method reached it, and there is nothing to draw. */
static bool picture_draw(Lab *l, const Picture *p) {
    double low, high;
    Series series = {.x = p->x, .x_low = p->low, .x_high = p->high, .count = p->count, .dots = true};
    l->picture.len = 0;
    if (!series_range(&series, 1, true, &low, &high)) return false;
    page_picture(&l->picture, &(Forest){.id = "forgotten", .title = "Forgotten at matched learning", .desc = "Mean drop of four skills, with 95 % intervals.",
                                        .x_name = "mean drop of the four skills where the new task is at 0.90", .rows = (const char *const *)p->names,
                                        .row_count = p->count, .series = &series, .count = 1});
    return true;
}

void claim_matched(Lab *l, Buf *page) {
    char *rows = data_rows(l, TASK_JSON, 0, 1200), *earlier = data_earlier(l, 1, 1000, NULL, 0, 0);
    char *fisher = str_format("%s/data/fisher.safetensors", l->out);
    lab_fisher(l, l->base, earlier, fisher);
    page_section(page, "Forgetting and its remedies, at matched learning",
        "The JSON task, 1,200 rows, constant rate, batches of 8 new rows, at most 240 steps. Each run is read where its score on the task's select "
        "half first reaches 0.90 (`forget --sweep`: the run is "
        "halved until the checkpoint lies within 0.01 above that, or the bracket is one step). Forgotten: the mean drop of the four skills. First "
        "all weights at every rate:");
    const Json **full = NULL;
    Matched plain = {0};
    Picture picture = {0};
    for (size_t k = 0; k < REMEDIES; k++) {
        const Json **r = remedy_cell(l, k, rows, earlier, fisher);
        Matched m = matched_over(l, r, TRIALS);
        size_t reached = 0;
        for (size_t t = 0; t < TRIALS; t++) reached += json_get(&r[0]->items[t], "matched")->kind == JSON_OBJECT;
        if (!k) {
            full = r, plain = m;
            put_rates(page, l, r);
            for (size_t t = 0; t < TRIALS; t++) {
                Matched one = matched_over(l, r, t);
                char rate[DECIMAL_MAX];
                decimal_print(rate, json_get(&r[0]->items[t], "rate")->number);
                picture_add(&picture, str_format("all weights, %s", rate), &one, l->seeds);
            }
            buf_format(page,
                "\nThen every method with %d trials (rates and strengths): the one that forgets least on the skills' select halves is chosen, and "
                "figures are those of the report halves. "
                "Earlier texts: 1,000 of the base's own training.\n\n",
                TRIALS);
            buf_format(page, "| method | chosen | reached | %s | against all weights |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n", columns);
        }
        buf_format(page, "| %s | ", remedies[k].name);
        if (m.missed < l->seeds) put_number(page, m.rate);
        if (m.missed < l->seeds && remedies[k].strengths) {
            const char *name = remedies[k].strengths + 1;
            buf_format(page, ", %.*s ", (int)strcspn(name, "\""), name), put_number(page, m.strength);
        }
        buf_format(page, " | %zu of %d | ", reached, TRIALS), put_matched(page, l, &m), buf_str(page, " | ");
        if (k && m.missed < l->seeds && plain.missed < l->seeds) {
            Interval d = difference(plain.forgetting, m.forgetting);
            page_interval(page, d, 3, true), buf_format(page, " (%s)", verdict(d));
        }
        buf_str(page, " |\n");
        if (k) picture_add(&picture, str_copy(remedies[k].name), &m, l->seeds), mem_free(r);
    }
    if (picture_draw(l, &picture)) buf_str(page, "\n![Forgotten at matched learning](claims.svg)\n");
    for (size_t i = 0; i < picture.count; i++) mem_free(picture.names[i]);
    if (l->seeds > 1) buf_str(page, "\nChosen and reached are those of the last and of the first seed: each seed has its own choice.\n");
    mem_free(full), mem_free(rows), mem_free(earlier), mem_free(fisher);
}

/* ---- LoRA trains a tiny fraction ---- */

void claim_lora(Lab *l, Buf *page) {
    static const char *const flags[] = {"--valid 0 --batch 8 --epochs 1 --lr 1e-3",
        "--valid 0 --batch 8 --epochs 1 --lr 3e-3 --lora --rank 2 --alpha 4", "--valid 0 --batch 8 --epochs 1 --lr 3e-3 --lora --rank 16"};
    static const char *const names[] = {"all weights", "LoRA, rank 2", "LoRA, rank 16"};
    char *rows = data_rows(l, TASK_JSON, 0, 1200);
    const Json **full = NULL;
    page_section(page, "LoRA trains a tiny fraction of the parameters",
        "One epoch of 1,200 rows of the JSON task, batches of 8. AdamW keeps two moments of 4 bytes for each trained parameter.");
    buf_str(page, "| | trained | of all weights' | moments, bytes | ms a step | right answers | four skills, against all weights "
                  "|\n|---|--:|--:|--:|--:|--:|--:|\n");
    for (int k = 0; k < 3; k++) {
        const Json **r = lab_seeds(l, (Cell){.row = "lora",
                                          .method = names[k],
                                          .setting = "",
                                          .on = ON_JSON | ON_SKILLS,
                                          .count = 1,
                                          .stages = {{.data = rows, .flags = flags[k]}}});
        double trained = json_get(&r[0]->items[0], "trained")->number, seconds = 0;
        if (!k) full = r;
        for (size_t s = 0; s < l->seeds; s++) seconds += lab_seconds(l, r[s], 0) / (double)l->seeds;
        buf_format(page, "| %s | ", names[k]), page_number(page, trained, 0), buf_str(page, " | ");
        page_number(page, 100 * trained / json_get(&full[0]->items[0], "trained")->number, 1), buf_str(page, " % | "),
            page_number(page, 8 * trained, 0), buf_str(page, " | ");
        page_number(page, 1000 * seconds / json_get(&r[0]->items[0], "steps")->number, 1), buf_str(page, " | "),
            page_interval(page, score_over(l, r, 0, "json"), 3, false), buf_str(page, " | ");
        if (k) {
            Interval d = change_over(l, full, 0, r, 0, "skills");
            page_interval(page, d, 3, true), buf_format(page, " (%s)", verdict(d));
            mem_free(r);
        }
        buf_str(page, " |\n");
    }
    const Json **a = remedy_cell(l, FULL, rows, NULL, NULL), **b = remedy_cell(l, LORA, rows, NULL, NULL);
    Matched x = matched_over(l, a, TRIALS), y = matched_over(l, b, TRIALS);
    if (x.missed == l->seeds || y.missed == l->seeds) buf_str(page, "\nAt matched learning they cannot be compared: one of them never reaches it (below).\n");
    else {
        Interval d = difference(x.forgetting, y.forgetting);
        buf_str(page, "\nAt matched learning, from the table of remedies below: all weights forget "), page_interval(page, x.forgetting, 3, true);
        buf_str(page, ", LoRA "), page_interval(page, y.forgetting, 3, true), buf_str(page, "; LoRA against all weights ");
        page_interval(page, d, 3, true), buf_format(page, " (%s).\n", verdict(d));
    }
    mem_free(full), mem_free(a), mem_free(b), mem_free(rows);
}
