/* suite: rows as questions to a model: what it is given to answer, the answer that is right, the one that it writes. */
#ifndef SUITE_H
#define SUITE_H

#include "examples.h"
#include "opening.h"
#include "sample.h"

typedef struct {
    Rows *rows;
    Encoder *encoder;                 /* its template decides what the model is given */
    Chat *chat;                       /* that template; NULL: rows of ids have none */
    Tokenizer *tok;
    const uint32_t *items;            /* the rows that count; NULL: all */
    size_t count;
    const char *delimiter;            /* between query and choice; NULL: a space */
    size_t tokens;                    /* of an answer, at most; 0: eight more than the right one has */
    bool line_ends;                   /* an answer ends at a line end where the right one has none */
    bool refuse_long;                 /* a question longer than the model's context: refused, else cut from the left behind BOS */
    size_t too_long, too_long_line;   /* how many were, and the first; counted by suite_answer */
} Suite;

/* All rows of a file. The template: chat_choose's rule (chat.h); `why` says which it was. dir: of the model's template, or NULL. */
Suite suite_open(const char *path, const char *map, const char *template_name, const char *system, const char *dir, Tokenizer *tok,
                 bool need_answers, const char **why);
/* The same as the commands name it: a file, or a folder's test file; says on standard error what it is. */
typedef struct {
    const char *data, *map, *template_name, *system, *longer;
} SuiteFlags;
#define SUITE_FLAGS(o) \
    {"--map", FLAG_TEXT, DEFINING, &(o).map, 0, 0, "A=B,…", "names of columns: prompt=question,completion=answer", false}, \
    {"--template", FLAG_TEXT, DEFINING, &(o).template_name, 0, 0, "NAME|FILE", "chatml, llama-3, zephyr, alpaca, plain, or a file", false}, \
    {"--system", FLAG_TEXT, DEFINING, &(o).system, 0, 0, "TEXT|none", "system message of rows that have none", false}, \
    {"--long", FLAG_TEXT, DEFINING, &(o).longer, 0, 0, "NAME", "prompts beyond the context: cut (from the left) or refuse", false}
Suite suite_named(const SuiteFlags *f, const ModelFlags *m, Tokenizer *tok, bool need_answers, const char *stage);
/* Says how many prompts were cut, if any. */
void suite_say_cut(const Suite *s, const char *stage);
void suite_free(Suite *s);            /* and its rows and encoder */
const Row *suite_row(const Suite *s, size_t item);
size_t suite_number(const Suite *s, size_t item);     /* of its row, from 0 */
/* The right answer's text, in place of what is in out; false: the row has none. */
bool suite_right(const Suite *s, const Row *row, Buf *out);

/* What a model is given to answer, as tokens and as text, template and all; both replace what was there. */
void suite_prompt(const Suite *s, const Row *row, TokenRow *ids, Buf *text);

/* Seconds and tokens as they come: done of all items, tokens since the last call. */
typedef struct {
    const char *what;                 /* "eval"; NULL: nothing is shown */
    bool live;
    size_t done, count, tokens;
    double started, last_shown;
} Tick;
Tick tick_begin(const char *what, size_t count);
void tick(Tick *t, size_t done, size_t tokens);

typedef struct {
    size_t item, row, line;           /* row of the file, from 0; line, from 1 */
    const Buf *prompt;                /* the text that the model was given, template and all */
    const Buf *text;                  /* the answer, without end token */
    size_t tokens;
    StopReason reason;
    bool cut;                         /* the prompt was */
} Answer;
/* The answers in the order of the items, one call of `take` each; the rows may be read in it. sample: greedy is {.repetition_penalty = 1,
 * .top_p = 1}; item i draws with the indices i·2^32 on. stops: beside line_ends, until which an answer goes. */
void suite_answer(Suite *s, const Model *m, const GenerateOptions *o, Tick *tick, void (*take)(void *context, const Answer *a), void *context);
/* Bytes that this takes when no prompt with its answer has more than `longest` tokens. */
size_t suite_answer_bytes(const Model *m, size_t longest, size_t rows);

#endif
