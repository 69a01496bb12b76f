/* trainer: `finetune train` in a process of its own: its memory is given back, and the bits are those of a run by hand. */
#ifndef TRAINER_H
#define TRAINER_H

#include "json.h"

/* The words of a command line, copies. */
typedef struct {
    char **list;
    size_t count;
} Words;
void words_add(Words *w, const char *text);
void words_pair(Words *w, const char *flag, const char *value);
void words_number(Words *w, const char *flag, double value);
/* A JSON object of flags as --config has it: {"lora": true, "batch": 8}; NULL: none. */
void words_flags(Words *w, const JsonDoc *doc, const Json *flags);
void words_free(Words *w);

/* train --model WORDS…: the first word is the model. Refused by train: bad_input; failed: work_failed, both naming `what`.
 * log: a file that all it prints is appended to; "": standard error. */
void train_beside(const Words *w, const char *what, const char *log);

#endif
