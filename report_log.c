#include "report.h"

#include "fp.h"
#include "hash.h"
#include "os.h"

#include <string.h>

double not_known(void) { return bits_double(0x7ff8000000000000); }

/* Room for one more double in each of `count` arrays. */
static void grow(double **arrays[], size_t count, size_t used) {
    if (used & (used - 1)) return; /* full when it is a power of two, or empty */
    for (size_t i = 0; i < count; i++) *arrays[i] = mem_resize(*arrays[i], used ? 2 * used : 1, sizeof(double));
}

static void read_line(RunLog *r, const JsonDoc *doc) {
    const Json *line = json_root(doc), *sample;
    if (line->kind != JSON_OBJECT) bad_input("%s: line %zu: expected an object, found %s", json_name(doc), line->line, json_kind_name(line->kind));
    double step = (double)json_int(doc, line, "step", 0, INT64_MAX, 0);
    if (json_get(line, "loss")) {
        grow((double **[]){&r->step, &r->loss, &r->lr, &r->norm}, 4, r->steps);
        r->step[r->steps] = step, r->loss[r->steps] = json_double(doc, line, "loss", not_known());
        r->lr[r->steps] = json_double(doc, line, "lr", not_known()), r->norm[r->steps] = json_double(doc, line, "grad_norm", not_known());
        r->tokens = (size_t)json_int(doc, line, "tokens", 0, INT64_MAX, (int64_t)r->tokens);
        r->steps++;
    } else if (json_get(line, "valid_loss")) {
        grow((double **[]){&r->eval_step, &r->eval_loss, &r->eval_bpb}, 3, r->evals);
        r->eval_step[r->evals] = step, r->eval_loss[r->evals] = json_double(doc, line, "valid_loss", not_known());
        r->eval_bpb[r->evals] = json_double(doc, line, "valid_bpb", not_known());
        r->evals++;
    } else if ((sample = json_get(line, "sample")) && sample->kind == JSON_STRING) {
        r->samples = mem_resize(r->samples, r->sample_count + 1, sizeof *r->samples);
        r->samples[r->sample_count++] = (LogSample){(size_t)step, str_copy_n(sample->string, sample->length), sample->length};
    }
}

static void read_log(RunLog *r, const char *path) {
    if (!os_exists(path)) return;
    Buf file = os_read(path);
    const char *at = file.data, *end = file.data + file.len, *stop;
    for (size_t line = 1; at && at < end && (stop = memchr(at, '\n', (size_t)(end - at))); at = stop + 1, line++) {
        if (stop == at) continue;
        JsonDoc *doc = json_parse(at, (size_t)(stop - at), path, line);
        read_line(r, doc);
        json_free(doc);
    }
    buf_free(&file);
}

RunLog run_log_read(const char *path) {
    RunLog r = {.path = path};
    char *settings = os_join(path, "run.json"), *log = os_join(path, "log.jsonl");
    if (!os_exists(settings)) bad_input("%s: no run.json in it: report takes folders that pretrain or train wrote", path);
    r.settings = json_read(settings);
    if (json_root(r.settings)->kind != JSON_OBJECT) bad_input("%s: expected an object", settings);
    read_log(&r, log);
    hash_folder(path, r.hash);
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    size_t begin = length;
    while (begin && path[begin - 1] != '/') begin--;
    r.name = str_copy_n(path + begin, length - begin);
    mem_free(settings), mem_free(log);
    return r;
}

void run_log_free(RunLog *r) {
    for (size_t i = 0; i < r->sample_count; i++) mem_free(r->samples[i].text);
    mem_free(r->samples), mem_free(r->step), mem_free(r->loss), mem_free(r->lr), mem_free(r->norm);
    mem_free(r->eval_step), mem_free(r->eval_loss), mem_free(r->eval_bpb);
    json_free(r->settings);
    *r = (RunLog){0};
}
