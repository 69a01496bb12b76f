/* sample: the next token from a row of logits, and text from a prompt. */
#ifndef SAMPLE_H
#define SAMPLE_H

#include "model.h"
#include "tokenizer.h"

typedef struct {
    double temperature;               /* 0: the largest logit, the lowest id of equal ones */
    size_t top_k;                     /* 0: all */
    double top_p, min_p;              /* 1 and 0: all */
    double repetition_penalty;        /* 1: none */
    uint32_t seed;
} SampleOptions;

/* Scratch for one vocabulary. */
typedef struct Sampler Sampler;
Sampler *sampler_new(size_t vocab);
void sampler_free(Sampler *s);

/* In transformers' order: repetition penalty over the ids in history (positive logits divided, negative multiplied), temperature,
 * top-k, top-p (the smallest set of likeliest tokens whose probability reaches p), min-p (below min_p times the largest).
 * The draw is a function of (seed, index). logits are changed. */
int32_t sample_next(Sampler *s, real *logits, const SampleOptions *o, const int32_t *history, size_t count, uint64_t index);

/* Why generation ended. */
typedef enum { STOP_TOKENS, STOP_END, STOP_STRING, STOP_CONTEXT, STOP_INTERRUPT } StopReason;

typedef struct {
    SampleOptions sample;
    size_t tokens;                    /* at most */
    const char *const *stops;         /* stop strings; what comes from them on is not shown */
    size_t stop_count;
    void (*show)(void *context, const char *bytes, size_t n);   /* text as it comes, whole characters; NULL: none */
    void *context;
    size_t cached;                    /* so many of the prompt's ids stand in the cache already, and nothing else: of one text alone */
    bool whole;                       /* an interrupt does not cut it: the text goes into a log */
} GenerateOptions;

/* --stop "a|b" as stop strings, \n a line end; they live as long as the process. How many; NULL: none. */
size_t split_stops(const char *flag, const char **stops, size_t most);

/* "tokens", "end", "string", "context", "interrupt" */
extern const char *const stop_names[];

/* Continues ids (of at least one token) through the cache, appending to ids. text: the answer, without end token. */
StopReason generate(const Model *m, Tokenizer *tok, Cache *cache, Ids *ids, const GenerateOptions *o, Buf *text);

/* One of several texts that are written together; each gets the bits that it gets alone. */
typedef struct {
    Ids ids;                          /* the prompt; what is written is appended */
    GenerateOptions options;
    uint64_t draws;                   /* index of its first draw */
    Buf text;                         /* what is written is appended */
    StopReason reason;
    size_t made, shown;               /* tokens; bytes of text that were shown */
    Decoding decoding;
} Writing;
/* The cache has room for as many sequences. */
void generate_many(const Model *m, Tokenizer *tok, Cache *cache, Writing *texts, size_t count);

#endif
