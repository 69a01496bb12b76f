/* eval: loss and bits per byte of held-out text, and loss of held-out samples. */
#ifndef EVAL_H
#define EVAL_H

#include "dataset.h"

typedef struct {
    double nats;                      /* over all targets */
    double nats_of_bytes;             /* over targets that have bytes: special tokens have none */
    size_t tokens, bytes;
} TextScore;

/* Each document is cut into segments of corpus->ctx pairs. The pass gives the room: at least corpus->ctx tokens. */
TextScore score_corpus(const Model *m, Pass *p, const Corpus *c, const Tokenizer *tok);
/* Mean loss of the supervised tokens of all samples. The pass gives the room: at least one sample. */
double score_samples(const Model *m, Pass *p, const Source *s);
double score_loss(const TextScore *s);       /* nats a token */
double score_bpb(const TextScore *s);        /* bits a byte */

#endif
