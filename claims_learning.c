/* What tuning brings. Each function is one statement: its cells, its table, what the table says. */
#include "claims.h"
#include "os.h"
#include "stats.h"

#include <string.h>

/* ---- far cheaper than training from scratch ---- */

void claim_scratch(Lab *l, Buf *page) {
    char *rows = data_rows(l, TASK_JSON, 0, 1200), *untrained = lab_untrained(l);
    Cell tuned = {.row = "scratch",
        .method = "full",
        .setting = "tuned",
        .stages = {{.data = rows, .flags = "--batch 8 --schedule constant --warmup 10"}},
        .count = 1,
        .rates = "1e-3",
        .tau = 0.9,
        .steps = 240,
        .evaluations = 4};
    Cell scratch = tuned;
    scratch.setting = "from scratch", scratch.begin = untrained, scratch.steps = 6000, scratch.evaluations = 20;
    const Json **a = lab_seeds(l, tuned), **b = lab_seeds(l, scratch);
    page_section(page, "Far cheaper than training from scratch",
        "The JSON task (1,200 rows), learned to 90 % right answers of its select half: by the base, and by a model of the same shape and tokenizer "
        "that begins untrained. "
        "AdamW, batches of 8, rate 1e-3.");
    buf_str(page, "| begins with | steps | tokens | seconds of training | right answers, report half |\n|---|--:|--:|--:|--:|\n");
    for (int k = 0; k < 2; k++) {
        const Json **r = k ? b : a;
        double *steps = mem_new(l->seeds, sizeof *steps), *tokens = mem_new(l->seeds, sizeof *tokens), *seconds = mem_new(l->seeds, sizeof *seconds),
               *score = mem_new(l->seeds, sizeof *score), missed = 0;
        for (size_t s = 0; s < l->seeds; s++) {
            const Json *cell = &r[s]->items[0];
            steps[s] = matched_number(cell, "step"), tokens[s] = matched_number(cell, "new_tokens"), score[s] = matched_number(cell, "reported");
            seconds[s] = lab_seconds(l, r[s], 0);
            missed += !is_finite(steps[s]);
        }
        buf_format(page, "| %s | ", k ? "nothing" : "the base");
        if (missed > 0) buf_format(page, "not reached within %zu steps", k ? scratch.steps : tuned.steps), buf_str(page, " | – | ");
        else
            page_interval(page, number_over(steps, l->seeds), 0, false), buf_str(page, " | "), page_interval(page, number_over(tokens, l->seeds), 0, false),
                buf_str(page, " | ");
        page_interval(page, number_over(seconds, l->seeds), 0, false), buf_str(page, " | ");
        if (missed > 0) buf_str(page, "–");
        else page_interval(page, number_over(score, l->seeds), 3, false);
        buf_str(page, " |\n");
        mem_free(steps), mem_free(tokens), mem_free(seconds), mem_free(score);
    }
    buf_str(page, "\nThe base itself has read ");
    char *log = os_join(l->base, "log.jsonl"); /* a base from elsewhere has none */
    page_number(page, os_exists(log) ? log_end(l->base).tokens : bits_double(0x7ff8000000000000), 0), mem_free(log);
    buf_str(page, " tokens; that is paid once, whatever it is tuned on later.\n");
    mem_free(a), mem_free(b), mem_free(rows), mem_free(untrained);
}

/* ---- needs relatively little data ---- */

static void put_scores(Buf *page, const Lab *l, const Json *const *r, size_t stage, const char *suite) {
    page_interval(page, score_over(l, r, stage, suite), 3, false);
}

void claim_little_data(Lab *l, Buf *page) {
    static const size_t counts[] = {10, 30, 100, 300, 1000};
    enum { COUNTS = sizeof counts / sizeof *counts };
    const Json **r[2][COUNTS];
    static const Task tasks[] = {TASK_JSON, TASK_SUPPORT};
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < COUNTS; i++) {
            char *rows = data_rows(l, tasks[t], 0, counts[i]), *setting = str_format("%s, %zu rows", task_names[tasks[t]], counts[i]);
            r[t][i] = lab_seeds(l, (Cell){.row = "little data",
                                       .method = "full",
                                       .setting = setting,
                                       .on = 1u << tasks[t],
                                       .count = 1,
                                       .stages = {{.data = rows, .flags = "--valid 0 --batch 8 --steps 300 --lr 1e-3"}}});
            mem_free(rows), mem_free(setting);
        }
    page_section(page, "Needs relatively little data",
        "All weights tuned for 300 steps of 8 rows at 1e-3, whatever the number of different rows; the share of right answers on unseen "
        "combinations. JSON is a form for what "
        "stands in the question; support also wants forty prices that no text before held.");
    buf_str(page, "| rows | JSON | support |\n|--:|--:|--:|\n");
    for (size_t i = 0; i < COUNTS; i++) {
        buf_format(page, "| %zu | ", counts[i]), put_scores(page, l, r[0][i], 0, "json");
        buf_str(page, " | "), put_scores(page, l, r[1][i], 0, "support"), buf_str(page, " |\n");
    }
    for (int t = 0; t < 2; t++) {
        Interval gain = change_over(l, r[t][2], 0, r[t][COUNTS - 1], 0, task_names[tasks[t]]);
        buf_format(page, "%s%s, ten times the 100 rows: ", t ? "; " : "\n", t ? "support" : "JSON"), page_interval(page, gain, 3, true);
        buf_format(page, " (%s)", verdict(gain));
    }
    buf_str(page, ".\n");
    for (int t = 0; t < 2; t++)
        for (size_t i = 0; i < COUNTS; i++) mem_free(r[t][i]);
}

/* ---- needs a quality labelled dataset ---- */

void claim_labels(Lab *l, Buf *page) {
    static const double shares[] = {0, 0.05, 0.2, 0.5};
    enum { SHARES = sizeof shares / sizeof *shares };
    const Json **r[2][SHARES];
    for (int kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < SHARES; i++) {
            char *rows = kind ? data_repeated(l, TASK_JSON, 200, shares[i]) : data_wrong(l, TASK_JSON, 200, shares[i]);
            char *setting = str_format("%d %% %s", (int)(100 * shares[i] + 0.5), kind ? "repeated" : "wrong");
            r[kind][i] = lab_seeds(l, (Cell){.row = "labels",
                                          .method = "full",
                                          .setting = setting,
                                          .on = ON_JSON,
                                          .count = 1,
                                          .stages = {{.data = rows, .flags = "--valid 0 --batch 8 --steps 200 --lr 1e-3"}}});
            mem_free(rows), mem_free(setting);
        }
    page_section(page, "Needs a quality labelled dataset",
        "200 rows of the JSON task, 200 steps of 8 at 1e-3. Wrong: the answer of another row stands in the place of the right one. Repeated: copies "
        "of other rows stand in the place of the row.");
    buf_str(page, "| share of the rows | wrong | change | repeated | change |\n|--:|--:|--:|--:|--:|\n");
    for (size_t i = 0; i < SHARES; i++) {
        buf_format(page, "| %d %%", (int)(100 * shares[i] + 0.5));
        for (int kind = 0; kind < 2; kind++) {
            buf_str(page, " | "), put_scores(page, l, r[kind][i], 0, "json"), buf_str(page, " | ");
            if (!i) continue;
            Interval change = change_over(l, r[kind][0], 0, r[kind][i], 0, "json");
            page_interval(page, change, 3, true), buf_format(page, " (%s)", verdict(change));
        }
        buf_str(page, " |\n");
    }
    for (int kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < SHARES; i++) mem_free(r[kind][i]);
}

/* ---- gently ---- */

void claim_gently(Lab *l, Buf *page) {
    static const char *const rates[] = {"1e-4", "3e-4", "1e-3", "3e-3", "1e-2"};
    static const int epochs[] = {1, 3};
    char *rows = data_rows(l, TASK_JSON, 0, 1200);
    const Json **base = lab_seeds(l, (Cell){.row = "base", .method = "none", .setting = "", .on = ON_TASKS | ON_SKILLS | ON_STORIES});
    page_section(page, "Gently: a lower learning rate and fewer epochs",
        "All weights tuned on 1,200 rows of the JSON task, batches of 8. What is learned is the share of right answers; what is lost is the mean "
        "over the four skills, and bits a byte on unseen stories. "
        "This is the frontier; what the rates cost at equal learning stands below, under the remedies.");
    buf_str(page, "| rate | epochs | new task | four skills | change | stories, bits a byte |\n|--:|--:|--:|--:|--:|--:|\n| – | 0 | ");
    put_scores(page, l, base, 0, "json"), buf_str(page, " | "), put_scores(page, l, base, 0, "skills"), buf_str(page, " | | ");
    page_number(page, json_get(&base[0]->items[0], "bits_per_byte")->number, 4), buf_str(page, " |\n");
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        for (size_t k = 0; k < sizeof epochs / sizeof *epochs; k++) {
            char *flags = str_format("--valid 0 --batch 8 --epochs %d --lr %s", epochs[k], rates[i]),
                 *setting = str_format("rate %s, %d epochs", rates[i], epochs[k]);
            const Json **r = lab_seeds(l, (Cell){.row = "gently",
                                              .method = "full",
                                              .setting = setting,
                                              .on = ON_JSON | ON_SKILLS | ON_STORIES,
                                              .count = 1,
                                              .stages = {{.data = rows, .flags = flags}}});
            double *bits = mem_new(l->seeds, sizeof *bits);
            for (size_t s = 0; s < l->seeds; s++) bits[s] = json_get(&r[s]->items[0], "bits_per_byte")->number;
            Interval change = change_over(l, base, 0, r, 0, "skills");
            buf_format(page, "| %s | %d | ", rates[i], epochs[k]), put_scores(page, l, r, 0, "json"), buf_str(page, " | "),
                put_scores(page, l, r, 0, "skills");
            buf_str(page, " | "), page_interval(page, change, 3, true), buf_format(page, " (%s) | ", verdict(change));
            page_interval(page, number_over(bits, l->seeds), 4, false), buf_str(page, " |\n");
            mem_free(r), mem_free(bits), mem_free(flags), mem_free(setting);
        }
    mem_free(base), mem_free(rows);
}

/* ---- follows instructions; consistent form: two tables of one cell ---- */

static const double temperatures[] = {0, 0.7, 1};
enum { TEMPERATURES = 3, DRAWS = 2, FORMS = 2, PROBES = TASKS + FORMS * WORDINGS * TEMPERATURES * DRAWS };
static const Task form_tasks[FORMS] = {TASK_JSON, TASK_SUPPORT};

static size_t list_probes(Probe *p) {
    size_t n = 0;
    for (int t = 0; t < TASKS; t++) p[n++] = (Probe){.task = (Task)t};
    for (int f = 0; f < FORMS; f++)
        for (size_t w = 0; w < WORDINGS; w++)
            for (int t = 0; t < TEMPERATURES; t++)
                for (uint32_t d = 0; d < (t ? DRAWS : 1); d++) p[n++] = (Probe){form_tasks[f], w, temperatures[t], d + 1};
    return n;
}

static const Json **joint_cell(Lab *l, bool tuned) {
    static const Task all[] = {TASK_JSON, TASK_CODE, TASK_SUPPORT};
    Probe probes[PROBES];
    size_t count = list_probes(probes);
    char *rows = data_joint(l, all, TASKS, 400);
    const Json **r = lab_seeds(l, (Cell){.row = "instructions and form",
                                      .method = tuned ? "full" : "none",
                                      .setting = tuned ? "1,200 rows of three tasks" : "the base",
                                      .on = ON_TASKS,
                                      .count = tuned,
                                      .probes = probes,
                                      .probe_count = count,
                                      .stages = {{.data = rows, .flags = "--valid 0 --batch 8 --epochs 3 --lr 1e-3"}}});
    mem_free(rows);
    return r;
}

/* The share of answers whose form is kept, of one probe: over seeds and items. */
static Interval kept_share(const Lab *l, const Json *const *r, size_t probe) {
    double *hits = mem_new(l->seeds, sizeof *hits);
    size_t items = 0;
    for (size_t s = 0; s < l->seeds; s++) {
        const Json *kept = &json_get(&r[s]->items[0], "kept")->items[probe];
        items = kept->length;
        for (size_t i = 0; i < items; i++) hits[s] += kept->string[i] == '1';
        hits[s] /= (double)items;
    }
    Interval e = number_over(hits, l->seeds);
    if (l->seeds == 1) wilson_interval(hits[0] * (double)items, items, &e.low, &e.high);
    mem_free(hits);
    return e;
}

void claim_instructions(Lab *l, Buf *page) {
    const Json **before = joint_cell(l, false), **after = joint_cell(l, true);
    static const char *const asked[TASKS] = {"one JSON object", "a program", "the shop's sentence"};
    page_section(page, "Instruction tuning makes it follow",
        "One model tuned on 400 rows of each of the three tasks for three epochs. It follows when the answer has the form that the question asks "
        "for, right or wrong; beside it the share of right answers.");
    buf_str(page, "| asked for | follows, before | after | right, before | after | change |\n|---|--:|--:|--:|--:|--:|\n");
    for (int t = 0; t < TASKS; t++) {
        Interval change = change_over(l, before, 0, after, 0, task_names[t]);
        buf_format(page, "| %s | ", asked[t]), page_interval(page, kept_share(l, before, (size_t)t), 3, false), buf_str(page, " | ");
        page_interval(page, kept_share(l, after, (size_t)t), 3, false), buf_str(page, " | "), put_scores(page, l, before, 0, task_names[t]),
            buf_str(page, " | ");
        put_scores(page, l, after, 0, task_names[t]), buf_str(page, " | "), page_interval(page, change, 3, true),
            buf_format(page, " (%s) |\n", verdict(change));
    }
    mem_free(before), mem_free(after);
}

void claim_form(Lab *l, Buf *page) {
    const Json **before = joint_cell(l, false), **after = joint_cell(l, true);
    size_t probe = TASKS;
    page_section(page, "Consistent tone, format or behaviour",
        "The same model: how often the form is kept when the question is put in words that no training row has (wording 0 is the rows' own), at "
        "three temperatures, two draws each. Before tuning and after.");
    buf_str(page, "| form | wording | temperature 0: before | after | 0.7: before | after | 1: before | after "
                  "|\n|---|--:|--:|--:|--:|--:|--:|--:|\n");
    for (int f = 0; f < FORMS; f++)
        for (size_t w = 0; w < WORDINGS; w++) {
            buf_format(page, "| %s | %zu", f ? "the shop's sentence" : "one JSON object", w);
            for (int t = 0; t < TEMPERATURES; t++) {
                size_t draws = t ? DRAWS : 1;
                double share[2] = {0};
                for (size_t d = 0; d < draws; d++, probe++)
                    share[0] += kept_share(l, before, probe).value, share[1] += kept_share(l, after, probe).value;
                buf_str(page, " | "), page_number(page, share[0] / (double)draws, 3), buf_str(page, " | "),
                    page_number(page, share[1] / (double)draws, 3);
            }
            buf_str(page, " |\n");
        }
    mem_free(before), mem_free(after);
}

/* ---- risk of overfitting on small data ---- */

void claim_overfitting(Lab *l, Buf *page) {
    char *rows = data_rows(l, TASK_SUPPORT, 0, 60), *others = data_rows(l, TASK_SUPPORT, 1000, 100);
    char *watched = str_format("--valid %s --batch 8 --epochs 40 --lr 1e-3 --schedule constant --eval-every 15 --patience 0", others);
    Cell keeps = {.row = "overfitting",
        .method = "full",
        .setting = "the best step is kept",
        .on = ON_SUPPORT,
        .count = 1,
        .curve = true,
        .stages = {{.data = rows, .flags = watched}}};
    Cell last = keeps;
    last.setting = "the last step", last.curve = false, last.stages[0].flags = "--valid 0 --batch 8 --epochs 40 --lr 1e-3 --schedule constant";
    const Json **best = lab_seeds(l, keeps), **end = lab_seeds(l, last);
    const Json *curve = json_get(&best[0]->items[0], "curve");
    page_section(page, "Risk of overfitting on small data",
        "60 rows of the support task, 40 epochs at 1e-3; the loss on them and on 100 rows that are not among them, every 15 steps. Early stopping "
        "keeps the step with the least held-out loss.");
    buf_str(page, "| step | training loss | held-out loss |\n|--:|--:|--:|\n");
    size_t least = 0;
    for (size_t i = 0; i < curve->count; i++)
        if (curve->items[i].items[2].number < curve->items[least].items[2].number) least = i;
    for (size_t i = 0; i < curve->count; i++) {
        if (i != least && i != 0 && i + 1 != curve->count && i % 4 != 3) continue;
        const Json *p = &curve->items[i];
        buf_str(page, "| "), page_number(page, p->items[0].number, 0), buf_str(page, " | "), page_number(page, p->items[1].number, 4),
            buf_str(page, " | ");
        page_number(page, p->items[2].number, 4), buf_str(page, i == least ? " (least) |\n" : " |\n");
    }
    Interval change = change_over(l, best, 0, end, 0, "support");
    buf_str(page, l->seeds > 1 ? "\nThis is seed 1's curve. " : "\n"), buf_str(page, "Right answers with the step that is kept: "),
        put_scores(page, l, best, 0, "support");
    buf_str(page, "; with the last step: "), put_scores(page, l, end, 0, "support"), buf_str(page, "; change "), page_interval(page, change, 3, true);
    buf_format(page, " (%s).\n", verdict(change));
    mem_free(best), mem_free(end), mem_free(rows), mem_free(others), mem_free(watched);
}
