/* examples: rows as the tokens that a model is tuned on.
 *
 *     row -> chat_render -> pieces -> token ids, and labels: the id itself where it is learned, -1 elsewhere
 *         -> one segment of a batch: inputs ids[0 … n-2], targets labels[1 … n-1]
 *
 * Plain text between two special tokens is tokenised as one run, as every tokenizer does that gets the whole text; the first token
 * that reaches into a learned piece is learned. Nothing is kept but 12 bytes an example: tokens are made again for every batch, which
 * costs next to nothing beside a training step.
 */
#ifndef EXAMPLES_H
#define EXAMPLES_H

#include "chat.h"
#include "model.h"

/* What ends an answer ends a generation, wherever the model is used: it joins the end tokens of its config. */
void end_at_answers(Model *m, const Chat *chat, const Tokenizer *t);

/* ---- one row ---- */

typedef struct Encoder Encoder;
/* t may be NULL for rows of input_ids; vocab: of the model, 0: not checked. Both stay the caller's. */
Encoder *encoder_new(Tokenizer *t, const Chat *chat, LossKind loss, size_t vocab);
void encoder_free(Encoder *e);
const ChatTokens *encoder_tokens(const Encoder *e);
/* The text of the row that was encoded last; empty for rows of input_ids. */
const Buf *encoder_text(const Encoder *e);

typedef struct {
    int32_t *ids, *labels;
    size_t count, room;
    bool ends;                        /* its last learned token is an end token, or it was given as ids */
} TokenRow;
void token_row_free(TokenRow *r);
void token_row_push(TokenRow *r, int32_t id, bool learn);

/* Replaces what is in out. */
void encode_row(Encoder *e, const Rows *rows, const Row *row, TokenRow *out);
/* What the model is given to answer: the row up to its last assistant message, and the header of the answer. No labels. */
void encode_prompt(Encoder *e, const Rows *rows, const Row *row, TokenRow *out);
/* The text of the answer that a row expects: its last assistant message, or NULL. */
const Message *row_answer(const Row *row);

/* Cuts a row to `ctx` pairs: from the left of what stands before its last learned part, behind BOS; what is still too long, from the
 * right. whole: all is learned (text): from the right only. Returns whether the right was cut. */
bool token_row_cut(TokenRow *r, size_t ctx, int32_t bos);

/* ---- all rows of a file ---- */

typedef enum { LONG_CUT, LONG_SKIP, LONG_REFUSE } LongRows;

typedef struct {
    uint32_t row, tokens, learned;    /* tokens: pairs of input and target */
} Example;

typedef struct {
    Rows *rows;
    Encoder *encoder;
    Example *items;
    size_t count;
    size_t longest, tokens, learned;  /* pairs; of all: pairs, learned targets */
    size_t ctx;                       /* 0: no limit */
    /* of the whole file, with the line of the first */
    size_t empty, empty_line;         /* rows with nothing to learn: left out */
    size_t too_long, too_long_line;   /* cut, left out or refused, as asked */
    size_t right_cut;                 /* of those cut: the end of the answer is gone */
    uint64_t *groups;                 /* of each example: its prompt group */
} Examples;

/* Reads, checks and measures every row. rows and encoder stay the caller's. */
Examples *examples_new(Rows *rows, Encoder *encoder);
void examples_free(Examples *e);
/* Limits rows to ctx pairs, the longer ones treated as said; counted. */
void examples_limit(Examples *e, size_t ctx, LongRows longer);
/* For a Source (train.h): self is an Examples. */
void examples_add(const void *self, size_t example, Batch *b);
size_t examples_length(const void *self, size_t example);

/* Takes a fraction of the examples, at least `least`, out of e: whole prompt groups, chosen by the seed. NULL: fewer than 2 * least
 * examples, or the groups do not allow it (one is more than half of all). The result shares rows and encoder with e. */
Examples *examples_hold_out(Examples *e, double fraction, size_t least, uint32_t seed);
/* Prompts of one group are nearly equal (overlap.h): what the user says before the first answer; of texts all; of ids those before
 * the first label. */
uint64_t row_group(const Row *row, Buf *scratch);

#endif
