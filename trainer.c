#include "trainer.h"

#include "decimal.h"
#include "os.h"

void words_add(Words *w, const char *text) {
    w->list = mem_resize(w->list, w->count + 1, sizeof *w->list);
    w->list[w->count++] = str_copy(text);
}

void words_pair(Words *w, const char *flag, const char *value) { words_add(w, flag), words_add(w, value); }

void words_number(Words *w, const char *flag, double value) {
    char text[DECIMAL_MAX];
    decimal_print(text, value);
    words_pair(w, flag, text);
}

void words_flags(Words *w, const JsonDoc *doc, const Json *flags) {
    for (size_t i = 0; flags && i < flags->count; i++) {
        const Json *value = &flags->items[i];
        char *flag = str_format("--%s", flags->keys[i].string);
        if (value->kind == JSON_BOOL && value->boolean) words_add(w, flag);
        else if (value->kind == JSON_NUMBER) words_number(w, flag, value->number);
        else if (value->kind == JSON_STRING) words_pair(w, flag, value->string);
        else if (value->kind != JSON_BOOL) bad_input("%s: line %zu: flag %s cannot be %s", json_name(doc), value->line, flag, json_kind_name(value->kind));
        mem_free(flag);
    }
}

void words_free(Words *w) {
    for (size_t i = 0; i < w->count; i++) mem_free(w->list[i]);
    mem_free(w->list);
    *w = (Words){0};
}

void train_beside(const Words *w, const char *what, const char *log) {
    int code = os_run_beside("finetune", "train", "--model", (int)w->count, w->list, log);
    if (code == EXIT_BAD_INPUT) bad_input("%s: train refused it, see %s", what, *log ? log : "above");
    if (code) work_failed("%s: train ended with %d, see %s; what is finished is kept", what, code, *log ? log : "above");
}
