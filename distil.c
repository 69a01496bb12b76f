/* distil: a teacher beside a pass: KL(teacher‖model) at the tokens of distilled segments. Declared in model.h and pass.h. */
#include "lora.h"
#include "ops.h"
#include "pass.h"

#include <assert.h>
#include <string.h>

size_t teacher_bytes(const Model *m, size_t tokens) {
    size_t rows = head_rows(m->config.vocab) < tokens ? head_rows(m->config.vocab) : tokens;
    return tokens * (sizeof(size_t) + sizeof(double)) + rows * ((2 * m->config.vocab + m->config.dim) * sizeof(real) + sizeof(size_t));
}

void teacher_free(Teacher *t) {
    mem_free(t->losses), mem_free(t->row_of), mem_free(t->place), mem_free(t->kept), mem_free(t->logits), mem_free(t->rows);
    batch_free(&t->batch);
    *t = (Teacher){0};
}

void model_teach(Model *m, Pass *p, Model *teacher, Pass *forward, double scale, double *kl_sum) {
    Teacher *t = &p->teacher;
    size_t V = m->config.vocab, C = m->config.dim;
    assert(!teacher || (teacher->config.vocab == V && (teacher == m) == (m->adapter != NULL)));
    if (!t->row_of && teacher) {
        t->row_of = mem_new(p->tokens, sizeof *t->row_of), t->losses = mem_new(p->tokens, sizeof *t->losses);
        t->place = mem_new(p->head_rows, sizeof *t->place);
        t->kept = mem_new(p->head_rows * V, sizeof(real)), t->logits = mem_new(p->head_rows * V, sizeof(real));
        t->rows = mem_new(p->head_rows * C, sizeof(real));
    }
    t->model = teacher, t->forward = forward, t->scale = scale, t->sum = kl_sum;
}

/* m plays its own teacher with the adapter off. */
static void become(Model *m, const Teacher *t, bool teacher) {
    if (t->model == m) adapter_enable(m, !teacher);
}

void teacher_forward(Model *m, Pass *p, const Batch *b) {
    Teacher *t = &p->teacher;
    batch_clear(&t->batch);
    for (size_t i = 0; i < b->segment_count; i++) {
        Segment s = b->segments[i];
        for (size_t n = 0; n < s.length; n++) t->row_of[s.row + n] = s.distilled ? t->batch.tokens + n : SIZE_MAX;
        if (s.distilled) batch_add_segment(&t->batch, b, i);
    }
    if (!t->batch.tokens) return;
    become(m, t, true);
    model_forward(t->model, t->forward, &t->batch);
    become(m, t, false);
}

void teacher_logits(Model *m, Pass *p, const size_t *tokens, size_t n) {
    Teacher *t = &p->teacher;
    size_t V = m->config.vocab, C = m->config.dim, count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!teacher_has(p, tokens[i])) continue;
        memcpy(t->rows + count * C, t->forward->final + t->row_of[tokens[i]] * C, C * sizeof *t->rows);
        memcpy(t->kept + count * V, p->logits + i * V, V * sizeof *t->kept);
        t->place[i] = count++;
    }
    if (!count) return;
    become(m, t, true);
    linear_forward(t->logits, V, t->rows, C, &t->model->head, count, NULL);
    become(m, t, false);
}

void teacher_row(Pass *p, real *dlogits, size_t V, size_t token, size_t i) {
    Teacher *t = &p->teacher;
    if (!teacher_has(p, token)) return;
    size_t at = t->place[i] * V;
    t->losses[token] = kl_row(dlogits, t->kept + at, t->logits + at, V, (real)t->scale);
}

void teacher_sum(Pass *p, const Batch *b) {
    for (size_t n = 0; n < b->tokens; n++)
        if (teacher_has(p, n)) *p->teacher.sum += p->teacher.losses[n];
}
