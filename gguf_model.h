/* gguf_model: models in llama.cpp's files. hf.h has what reads them whole (gguf_load, gguf_config); this is what reading and writing share.
 *
 * A file of llama.cpp says what a Hugging Face folder says, in other words: keys for config.json, "blk.0.attn_q" for
 * "model.layers.0.self_attn.q_proj", the tokenizer's pieces for tokenizer.json. Two things lie differently: GPT-2's matrices are
 * transposed, and Llama's q and k have the two halves of a head's pairs side by side, as llama2.c has them.
 */
#ifndef GGUF_MODEL_H
#define GGUF_MODEL_H

#include "gguf.h"
#include "lora.h"
#include "tokenizer.h"

/* "llama", "gpt2", … */
const char *gguf_architecture(const Config *c);
/* "blk.0.attn_q.weight" for a Param of the model; "blk.0.attn_q.weight.lora_b" for one of its adapter. Free it. */
char *gguf_name(const Model *m, const Param *p);

/* How a Param lies in the file: [rows, columns], rows 1 for a vector. */
typedef struct {
    int rank;
    size_t rows, columns, head_dim;  /* head_dim not 0: outputs 2i and 2i+1 of a head in the file are i and i + D/2 in ours */
    bool transposed;
} GgufLayout;
GgufLayout gguf_layout(const Model *m, const Param *p);
/* Index in our w of an element of the file's tensor. */
size_t gguf_place(const GgufLayout *l, size_t row, size_t column);
/* Fills a Param from the file's tensor: same shape, or bad_input naming `where`; finite. Its w is there, or is made: in the file's 16 bits
 * where keep_16bit and it has them. */
void gguf_fill(const Gguf *g, const Model *m, Param *p, bool keep_16bit);
/* One row of the file's tensor, out of ours. [columns] */
void gguf_row_of(const GgufLayout *l, const Param *p, size_t row, float *out);

/* Llama 3's stretching of RoPE as the file's rope_freqs.weight has it: factors [head_dim / 2]. */
void gguf_rope_factors(const Config *c, float *factors);

/* ---- writing (gguf_export.c) ---- */

/* chat_template NULL: none. writes_bos: what renders chats puts BOS in front itself, so llama.cpp shall not. */
typedef struct {
    const char *chat_template;
    bool writes_bos;
} GgufChat;
/* A model with its tokenizer and chat template (NULL: none). Matrices in `type`; vectors, and matrices whose rows are no whole blocks, in
 * F32 or F16 as llama.cpp's own conversion has them. */
void gguf_export(const Model *m, const Tokenizer *t, const GgufChat *chat, GgmlType type, const char *name, const char *path);
/* The keys of a tokenizer (gguf_tokenizer.c), filled up to the model's vocabulary. */
void gguf_put_tokenizer(GgufWriter *w, const Tokenizer *t, const Config *c, const GgufChat *chat);
/* The model's adapter, as llama.cpp's --lora takes it; scales that its one alpha cannot say are folded into B. DoRA and trained rows:
 * bad_input. */
void gguf_export_lora(const Model *m, const char *path);

/* ---- adapters of others, attached to a model ---- */

void gguf_adapter_load(Model *m, const char *path, const char *model_path);
/* mlx-lm's folder: adapters.safetensors and an adapter_config.json of its own (mlx.c). */
bool mlx_is_adapter(const char *dir);
void mlx_adapter_load(Model *m, const char *dir, const char *model_path);

#endif
