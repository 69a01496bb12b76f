/* opening: a model as the commands name it: its weights, its tokenizer, an adapter on it. */
#ifndef OPENING_H
#define OPENING_H

#include "cli.h"
#include "model.h"
#include "tokenizer.h"

typedef struct {
    const char *model, *tokenizer, *adapter;
    bool other_base;
} ModelFlags;

#define MODEL_FLAGS(o) \
    {"--model", FLAG_MODEL, EXECUTION, &(o).model, 0, 0, "DIR", "model folder, a .gguf, or a llama2.c .bin", false}, \
    {"--tokenizer", FLAG_TEXT, EXECUTION, &(o).tokenizer, 0, 0, "PATH", "when the model folder holds none", false}, \
    {"--adapter", FLAG_TEXT, EXECUTION, &(o).adapter, 0, 0, "DIR", "an adapter on the model: ours, PEFT's, mlx-lm's, or a .gguf", false}, \
    {"--other-base", FLAG_SWITCH, EXECUTION, &(o).other_base, 0, 0, NULL, "the adapter may have been trained on another model", false}

/* The weights, with the adapter on when one is named. */
Model *open_weights(const ModelFlags *f, bool keep_16bit);
/* The tokenizer, which must fit the model's vocabulary. needed false: NULL when none is named and the model's folder holds none. */
Tokenizer *open_tokenizer(const ModelFlags *f, const Model *m, bool needed);
/* The folder whose chat template the model goes by: the adapter's if it brings one, else the model's; NULL for a .bin. */
const char *template_folder(const ModelFlags *f);

/* --dtype's value, and the type of weights that it says of m: f32, f16, bf16, or source, the one that m was read in. */
size_t dtype_choice(const char *name);
Stored dtype_stored(size_t choice, const Model *m);

/* Appends the ids of a text from its beginning: BOS first where the tokenizer puts one before every text. A text without any token is begun
 * by BOS or else EOS all the same; an error names `what` when there is neither. */
void encode_beginning(Tokenizer *tok, const char *text, size_t n, const char *what, Ids *ids);

#endif
