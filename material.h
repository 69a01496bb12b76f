/* material: samples from a file of any kind. */
#ifndef MATERIAL_H
#define MATERIAL_H

#include "chat.h"
#include "dataset.h"
#include "tokenizer.h"

typedef struct {
    Source source;
    char hash[65];                    /* SHA-256 of the file; of a folder of texts as texts_read has it */
} Material;

/* Rows of any form (JSONL, JSON, CSV, TSV), one segment each, cut to ctx; or text (a .txt file, or a folder of them) in rows of ctx pairs. What
 * is learned of rows says loss; template, system, template_dir as chat_choose takes them. tok may be NULL for rows of input_ids. All of it
 * stays in memory till the end. */
Material material_open(const char *path, const Model *m, Tokenizer *tok, size_t ctx, LossKind loss, const char *template_name, const char *system,
                       const char *template_dir);

#endif
