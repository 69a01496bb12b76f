#include "score.h"

#include "unicode.h"

#include <string.h>

const char *const score_names[SCORE_KINDS] = {"exact", "contains", "regex", "json", "choice"};

enum { LONG_ANSWER = 256 };           /* tokens, where nothing says how long an answer may be */

/* ---- JSON values ---- */

/* NULL: it is none. `where` not NULL: that is an error, there. */
static JsonDoc *parse(const char *text, size_t n, const char *where) {
    Catch c;
    JsonDoc *volatile doc = NULL;
    if (!setjmp(catch_begin(&c)->jump)) {
        doc = json_parse(text, n, "the answer", 1);
        catch_end(&c);
    } else if (where || c.code != EXIT_BAD_INPUT) {
        if (c.code != EXIT_BAD_INPUT) work_failed("%s", c.text);
        bad_input("%s: --score json: the right answer is no JSON value: %s", where, c.text);
    }
    return doc;
}

/* Members in any order, numbers by value, strings by their characters. */
static bool equal(const Json *a, const Json *b) {
    if (a->kind != b->kind || a->count != b->count) return false;
    switch (a->kind) {
    case JSON_NULL: return true;
    case JSON_BOOL: return a->boolean == b->boolean;
    case JSON_NUMBER: return a->is_integer && b->is_integer ? a->integer == b->integer : a->number == b->number;
    case JSON_STRING: return a->length == b->length && !memcmp(a->string, b->string, a->length);
    case JSON_ARRAY:
        for (size_t i = 0; i < a->count; i++)
            if (!equal(&a->items[i], &b->items[i])) return false;
        return true;
    case JSON_OBJECT: break;
    }
    for (size_t i = 0; i < a->count; i++) { /* keys differ among themselves, so each of a's once in b is all of b's */
        size_t k = 0;
        while (k < b->count && !equal(&a->keys[i], &b->keys[k])) k++;
        if (k == b->count || !equal(&a->items[i], &b->items[k])) return false;
    }
    return true;
}

/* ---- one answer ---- */

static bool holds(const char *text, size_t n, const char *part, size_t k) {
    for (size_t i = 0; i + k <= n; i++)
        if (!memcmp(text + i, part, k)) return true;
    return false;
}

bool score_answer(const ScoreOptions *o, const Buf *answer, const Buf *right, const char *where, bool *valid) {
    const char *a = answer->data, *b = right->data;
    size_t n = answer->len, k = right->len;
    text_trim(&a, &n), text_trim(&b, &k);
    *valid = true;
    if (o->kind == SCORE_EXACT) return n == k && !memcmp(a, b, n);
    if (o->kind == SCORE_CONTAINS) return holds(a, n, b, k);
    if (o->kind == SCORE_REGEX) {
        if (o->regex) return regex_found(o->regex, a, n);
        Regex *own = regex_new(b, k, where);
        bool found = regex_found(own, a, n);
        regex_free(own);
        return found;
    }
    JsonDoc *value = parse(a, n, NULL), *wanted = parse(b, k, where);
    *valid = value != NULL;
    bool same = value && equal(json_root(value), json_root(wanted));
    json_free(value), json_free(wanted);
    return same;
}

/* ---- a suite ---- */

static char *place(const Suite *s, size_t line) { return str_format("%s: line %zu", rows_path(s->rows), line); }

void score_check(Suite *s, const ScoreOptions *o) {
    RowKind kind = rows_kind(s->rows);
    const char *path = rows_path(s->rows), *name = score_names[o->kind];
    Buf right = {0}, none = {0};
    if (o->kind == SCORE_CHOICE && kind != ROWS_CHOICE)
        bad_input("%s: its rows are of the kind %s; --score choice wants {\"query\", \"choices\", \"gold\"}", path, rows_kind_name(kind));
    if (o->kind != SCORE_CHOICE && kind == ROWS_CHOICE) bad_input("%s: its rows are choices, which --score choice scores, not %s", path, name);
    s->line_ends = !o->stop_count && (o->kind == SCORE_EXACT || o->kind == SCORE_JSON);
    if (!s->tokens && o->kind != SCORE_EXACT) s->tokens = LONG_ANSWER;
    buf_str(&none, "");
    for (size_t i = 0; i < s->count && o->kind != SCORE_CHOICE; i++) {
        const Row *row = suite_row(s, i);
        bool some = suite_right(s, row, &right), valid;
        char *where = place(s, row->line);
        if (!some && !o->regex) bad_input("%s: no right answer in it to compare with: --score %s needs rows that have one", where, name);
        const char *text = right.data;
        size_t n = right.len;
        text_trim(&text, &n);
        if (!n && o->kind == SCORE_CONTAINS) bad_input("%s: the right answer is empty: every answer contains it", where);
        score_answer(o, &none, &right, where, &valid); /* for what it refuses */
        mem_free(where);
    }
    buf_free(&right), buf_free(&none);
}

typedef struct {
    Scores *scores;
    Suite *suite;
    const ScoreOptions *o;
    Buf right;
} Judge;

static void judge(void *context, const Answer *a) {
    Judge *j = context;
    bool valid;
    char *where = place(j->suite, a->line);
    suite_right(j->suite, suite_row(j->suite, a->item), &j->right);
    j->scores->values[0][a->item] = score_answer(j->o, a->text, &j->right, where, &valid);
    if (j->scores->measures > 1) j->scores->values[1][a->item] = valid;
    buf_put(&j->scores->texts[a->item], a->text->data, a->text->len + 1), j->scores->texts[a->item].len--;
    j->scores->reasons[a->item] = a->reason;
    j->scores->cut[a->item] = a->cut;
    mem_free(where);
}

Scores score_suite(Suite *s, const Model *m, const ScoreOptions *o, Tick *tick) {
    Scores r = {.count = s->count, .measures = o->kind == SCORE_JSON ? 2 : 1, .names = {score_names[o->kind], "valid_json"}};
    if (o->kind == SCORE_CHOICE) {
        Choices c = suite_choices(s, m, tick);
        return (Scores){.count = s->count, .measures = 3, .names = {"acc", "acc_norm", "acc_bytes"}, .values = {c.acc, c.acc_norm, c.acc_bytes},
                        .choices = c};
    }
    Judge j = {.scores = &r, .suite = s, .o = o};
    GenerateOptions g = {.sample = {.repetition_penalty = 1, .top_p = 1}, .stops = o->stops, .stop_count = o->stop_count, .whole = true};
    for (size_t i = 0; i < r.measures; i++) r.values[i] = mem_new(s->count, sizeof(double));
    r.texts = mem_new(s->count, sizeof *r.texts), r.reasons = mem_new(s->count, sizeof *r.reasons), r.cut = mem_new(s->count, sizeof *r.cut);
    suite_answer(s, m, &g, tick, judge, &j);
    buf_free(&j.right);
    return r;
}

void scores_free(Scores *s) {
    for (size_t i = 0; s->texts && i < s->count; i++) buf_free(&s->texts[i]);
    mem_free(s->texts), mem_free(s->reasons), mem_free(s->cut);
    if (s->choices.count) choices_free(&s->choices);
    else
        for (size_t i = 0; i < s->measures; i++) mem_free(s->values[i]);
    *s = (Scores){0};
}
