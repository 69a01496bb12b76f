#include "relearn.h"

#include "lora.h"
#include "os.h"
#include "trainer.h"
#include "weights.h"

#include <string.h>

/* The rows of the select half before `rows` of them have been written, as they stand in the file. */
static void write_rows(const char *from, const char *to, size_t rows) {
    Buf file = os_read(from), out = {0};
    size_t item = 0, written = 0;
    for (const char *at = file.data, *end = file.data + file.len, *next; at && at < end && written < rows; at = next) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((stop ? stop : end) - at), blank = 0;
        next = stop ? stop + 1 : end;
        while (blank < n && (at[blank] == ' ' || at[blank] == '\r')) blank++;
        if (blank == n) continue;
        if (item++ % 2 == 0) buf_put(&out, at, n), buf_char(&out, '\n'), written++;
    }
    os_write_file(to, out.data ? out.data : "", out.len);
    buf_free(&file), buf_free(&out);
}

static double score_again(Outcome *o, size_t suite, Model *base, const char *base_path, const char *dir, bool adapter, Interval *score) {
    Model *m = base;
    Tick quiet = {0};
    if (adapter) adapter_load(base, dir, base_path, true);
    else m = model_load(dir, true);
    Measured r = measure_model(&o->suites[suite], m, false, &quiet);
    *score = measured_score(&o->suites[suite], r.score);
    measured_free(&r, o->suites[suite].count);
    if (adapter) adapter_free(base);
    else model_free(m);
    return score->value;
}

static void relearn_one(Outcome *o, Relearned *r, Model *base, const char *base_path, const char *path, size_t most, const char *dir) {
    const TunedModel *t = &o->tuned[r->model];
    const char *suite = o->suites[r->suite].name;
    double before = measured_score(&o->suites[r->suite], o->before[r->suite].score).value;
    r->back = SIZE_MAX;
    for (size_t rows = 1; r->count < RELEARN_POINTS; rows = rows * 2 < most || rows == most ? rows * 2 : most) {
        char *name = str_format("%s/relearn/%zu-%s-%zu", dir, r->model, suite, rows), *data = str_format("%s.jsonl", name);
        Words w = {0};
        Interval score;
        if (rows > most) return mem_free(name), mem_free(data);
        write_rows(path, data, rows);
        words_add(&w, t->adapter ? base_path : t->path);
        if (t->adapter) words_pair(&w, "--adapter", t->path), words_add(&w, "--other-base");
        words_pair(&w, "--data", data), words_pair(&w, "--valid", "0"), words_number(&w, "--epochs", 10), words_number(&w, "--seed", o->seed);
        words_pair(&w, "--out", name), words_number(&w, "--stop-at", 1e9), words_add(&w, "--force");
        train_beside(&w, name, "");
        words_free(&w);
        r->rows[r->count] = rows;
        r->scores[r->count++] = score_again(o, r->suite, base, base_path, name, t->adapter, &score);
        if (score.high >= before && r->back == SIZE_MAX) r->back = rows;
        mem_free(name), mem_free(data);
    }
}

void relearn(Outcome *o, Model *base, const char *base_path, const char *const *paths, size_t most, const char *dir) {
    char *runs = os_join(dir, "relearn");
    os_make_dir(runs);
    o->relearned = mem_new(o->suite_count * o->tuned_count, sizeof *o->relearned);
    for (size_t i = 0; i < o->suite_count; i++)
        for (size_t k = 0; k < o->tuned_count; k++) {
            if (o->suites[i].kind != MEASURE_TASK || !suite_known(o, i)) continue; /* rows of choices are no rows to learn from */
            Relearned *r = &o->relearned[o->relearned_count++];
            r->suite = i, r->model = k;
            relearn_one(o, r, base, base_path, paths[i], most, dir);
        }
    mem_free(runs);
}
