/* The rows of the experiments, made of those that `stories` wrote. What is drawn is a function of its place: every call writes the same file. */
#include "claims.h"
#include "os.h"

#include <string.h>

static void put_row(Buf *out, const Buf *prompt, const Buf *completion) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_string_n(&w, "prompt", prompt->data, prompt->len), jw_string_n(&w, "completion", completion->data, completion->len);
    jw_end_object(&w);
    buf_put(out, w.text.data, w.text.len), buf_char(out, '\n');
    buf_free(&w.text);
}

static void put_text_row(Buf *out, const char *text, size_t n) {
    JsonWriter w = {0};
    jw_object(&w, NULL);
    jw_string_n(&w, "text", text, n);
    jw_end_object(&w);
    buf_put(out, w.text.data, w.text.len), buf_char(out, '\n');
    buf_free(&w.text);
}

/* A file of the world: of a task the different rows to be tuned on, or its test. */
typedef struct {
    JsonDoc **docs;
    size_t count;
} Table;

static Table table_read(const Lab *l, Task task, const char *part) {
    char *path = str_format("%s/task-%s-%s.jsonl", l->world, task_names[task], part);
    Table t = {0};
    JsonLines lines = json_lines(path);
    while (json_next(&lines)) {
        t.docs = mem_resize(t.docs, t.count + 1, sizeof *t.docs);
        t.docs[t.count++] = lines.doc, lines.doc = NULL;
    }
    mem_free(path);
    return t;
}

static void table_free(Table *t) {
    for (size_t i = 0; i < t->count; i++) json_free(t->docs[i]);
    mem_free(t->docs);
}

/* One member of row i, in place of what is in out. */
static void take(const Table *t, size_t i, const char *key, Buf *out) {
    if (i >= t->count) work_failed("claims: a task has only %zu rows, row %zu was asked for", t->count, i + 1);
    const Json *text = json_need(t->docs[i], json_root(t->docs[i]), key, JSON_STRING);
    out->len = 0;
    buf_put(out, text->string, text->length);
}

static char *write_rows(const Lab *l, char *name, Buf *rows) {
    char *path = str_format("%s/data/%s.jsonl", l->out, name);
    os_write_file(path, rows->data, rows->len);
    buf_free(rows), mem_free(name);
    return path;
}

/* Which row stands at each place, and whose answer: of `count` places. The first share·count of a permutation are the changed ones. */
typedef enum { CHANGE_ANSWER, CHANGE_ROW } Change;
static char *changed_rows(const Lab *l, Task task, size_t first, size_t count, double share, Change change, char *name) {
    Table t = table_read(l, task, "train");
    uint32_t *order = mem_new(count, sizeof *order);
    size_t changed = (size_t)(share * (double)count + 0.5);
    Buf rows = {0}, prompt = {0}, completion = {0};
    bool *is_changed = mem_new(count, sizeof *is_changed);
    rng_permute(order, (uint32_t)count, 1, RNG_SPLIT, 0);
    for (size_t i = 0; i < changed; i++) is_changed[order[i]] = true;
    for (size_t i = 0; i < count; i++) {
        uint32_t kept = (uint32_t)(count - changed), pick = is_changed[i] && kept ? rng_below(kept, 1, RNG_SPLIT, i, 1) : 0;
        size_t other = is_changed[i] ? order[changed + pick] : i;
        take(&t, first + (change == CHANGE_ROW ? other : i), "prompt", &prompt), take(&t, first + other, "completion", &completion);
        put_row(&rows, &prompt, &completion);
    }
    buf_free(&prompt), buf_free(&completion), mem_free(order), mem_free(is_changed), table_free(&t);
    return write_rows(l, name, &rows);
}

char *data_rows(const Lab *l, Task task, size_t first, size_t count) {
    return changed_rows(l, task, first, count, 0, CHANGE_ROW, str_format("%s-%zu-%zu", task_names[task], first, count));
}

char *data_wrong(const Lab *l, Task task, size_t count, double share) {
    return changed_rows(l, task, 0, count, share, CHANGE_ANSWER, str_format("%s-%zu-wrong-%d", task_names[task], count, (int)(100 * share + 0.5)));
}

char *data_repeated(const Lab *l, Task task, size_t count, double share) {
    return changed_rows(l, task, 0, count, share, CHANGE_ROW, str_format("%s-%zu-repeated-%d", task_names[task], count, (int)(100 * share + 0.5)));
}

char *data_joint(const Lab *l, const Task *tasks, size_t task_count, size_t count) {
    Table t[TASKS];
    Buf rows = {0}, prompt = {0}, completion = {0};
    for (size_t k = 0; k < task_count; k++) t[k] = table_read(l, tasks[k], "train");
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < task_count; k++) {
            take(&t[k], i, "prompt", &prompt), take(&t[k], i, "completion", &completion);
            put_row(&rows, &prompt, &completion);
        }
    for (size_t k = 0; k < task_count; k++) table_free(&t[k]);
    buf_free(&prompt), buf_free(&completion);
    return write_rows(l, str_format("joint-%zu-%zu", task_count, count), &rows);
}

char *data_earlier(const Lab *l, uint32_t seed, size_t documents, const Task *tasks, size_t task_count, size_t rows) {
    Buf out = {0}, text = {0}, completion = {0}, name = {0};
    for (size_t i = 0; i < documents; i++) {
        text.len = 0;
        mixture_document(&text, seed, i);
        put_text_row(&out, text.data, text.len);
    }
    buf_format(&name, "earlier-%u-%zu-%zu", seed, documents, rows);
    for (size_t k = 0; k < task_count; k++) {
        Table t = table_read(l, tasks[k], "train");
        for (size_t i = 0; i < rows; i++) {
            take(&t, i, "prompt", &text), take(&t, i, "completion", &completion);
            buf_put(&text, completion.data, completion.len);
            put_text_row(&out, text.data, text.len);
        }
        table_free(&t);
        buf_format(&name, "-%s", task_names[tasks[k]]);
    }
    buf_free(&text), buf_free(&completion);
    return write_rows(l, name.data, &out);
}

/* ---- other words, and the form of an answer ---- */

static void replace(Buf *text, const char *from, const char *to) {
    char *at = text->len ? strstr(text->data, from) : NULL;
    if (!at) return;
    Buf out = {0};
    buf_put(&out, text->data, (size_t)(at - text->data)), buf_str(&out, to), buf_str(&out, at + strlen(from));
    buf_free(text);
    *text = out;
}

/* No training row has these words; what is asked for is the same. */
static const char *const others[TASKS][WORDINGS][2] = {
    [TASK_JSON] = {{"", ""}, {" counted:", " saw:"}, {" and ", ", "}, {" counted:", " went to the park and counted:"}},
    [TASK_CODE] = {{"", ""}, {"start with", "begin with"}, {" and print it", " and show it"}, {"Task: start", "Task: please start"}},
    [TASK_SUPPORT] = {{"", ""}, {" asks:", " says:"}, {" asks: ", " asks: Hello! "}, {"?", ", please?"}},
};

char *data_wording(const Lab *l, Task task, size_t wording) {
    Table t = table_read(l, task, "test");
    Buf rows = {0}, prompt = {0}, completion = {0};
    for (size_t i = 1; i < t.count; i += 2) { /* the report half */
        take(&t, i, "prompt", &prompt), take(&t, i, "completion", &completion);
        if (wording) replace(&prompt, others[task][wording][0], others[task][wording][1]);
        put_row(&rows, &prompt, &completion);
    }
    buf_free(&prompt), buf_free(&completion), table_free(&t);
    return write_rows(l, str_format("%s-wording-%zu", task_names[task], wording), &rows);
}

/* One object of three different names, each with a whole number. */
static bool json_form(const char *answer) {
    Catch c;
    bool ok = false;
    if (!setjmp(catch_begin(&c)->jump)) {
        JsonDoc *doc = json_parse(answer, strlen(answer), "answer", 1);
        const Json *root = json_root(doc);
        ok = root->kind == JSON_OBJECT && root->count == 3;
        for (size_t i = 0; ok && i < root->count; i++) ok = root->items[i].kind == JSON_NUMBER && root->items[i].is_integer;
        json_free(doc);
        catch_end(&c);
        return ok;
    }
    return false;
}

/* " = 5; + 2; - 1; *" with one setting, one to three steps, one print. */
static bool code_form(const char *at) {
    int steps = 0;
    for (;; steps++) {
        if (*at++ != ' ') return false;
        if (*at == '*') return steps > 1 && steps < 5 && !at[1];
        if (*at != (steps ? '+' : '=') && !(steps && *at == '-')) return false;
        if (*++at != ' ' || !strspn(at + 1, "0123456789")) return false;
        at += 1 + strspn(at + 1, "0123456789");
        if (*at++ != ';') return false;
    }
}

/* " The TOY is N nuts, NAME. Then you will be happy." */
static bool support_form(const char *answer) {
    const char *is = strstr(answer, " is "), *nuts = is ? strstr(is, " nuts, ") : NULL;
    size_t digits = is ? strspn(is + 4, "0123456789") : 0;
    return str_starts(answer, " The ") && nuts && digits && is + 4 + digits == nuts && str_ends(answer, ". Then you will be happy.");
}

bool task_form(Task task, const char *answer) {
    return task == TASK_JSON ? json_form(answer) : task == TASK_CODE ? code_form(answer) : support_form(answer);
}
