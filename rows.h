/* rows: the data that a model is tuned and scored on, one row after the other.
 *
 *     *.jsonl            one JSON value a line          *.csv, *.tsv    RFC 4180, the first line names the columns
 *     *.json             one array of rows              others          by their first byte
 *
 *     kind               columns                                                   messages of a row
 *     text               text                                                      assistant
 *     prompt/completion  prompt, completion: two strings or two message lists      user, assistant; or both lists
 *     messages           messages: [{role, content, weight?}], or that bare list   as they stand
 *     ShareGPT           conversations: [{from, value}], system?                   system?, as they stand
 *     Alpaca             instruction, input?, output, system?, history?            system?, (user, assistant)…, user, assistant
 *     input_ids          input_ids, labels? (-100: not learned)                    none: ids and labels
 *     choice             query, choices, gold                                      user; choices and gold
 *
 * The first row decides the kind, every row is checked when it is read. The file is mapped, its pages are given back as it is read,
 * and an index of 16 bytes a row is all that stays in memory: 100 MB of rows cost what their longest row costs.
 */
#ifndef ROWS_H
#define ROWS_H

#include "json.h"

typedef enum { ROWS_TEXT, ROWS_PROMPT, ROWS_MESSAGES, ROWS_SHAREGPT, ROWS_ALPACA, ROWS_IDS, ROWS_CHOICE } RowKind;

typedef enum { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT } Role;
const char *role_name(Role role);

typedef struct {
    Role role;
    bool muted;                       /* weight 0: never learned */
    const char *text;                 /* may hold NUL bytes */
    size_t length;
    size_t input;                     /* Alpaca's input begins there, after a line break; 0: none */
} Message;

typedef struct {
    RowKind kind;
    size_t line;                      /* of the file, from 1 */
    Message *messages;
    size_t count;
    size_t completion;                /* prompt/completion: messages from here on are the completion; else count */
    bool strings;                     /* prompt and completion were strings */
    int32_t *ids, *labels;            /* labels: -1 is not learned */
    size_t id_count;
    const char **choices;
    size_t choice_count, gold;
} Row;

typedef struct Rows Rows;

/* map: "prompt=question,completion=answer" (ours = the file's), or NULL. need_answers: rows must have something to learn from;
 * else prompts alone will do (to answer them). Reads the first row. */
Rows *rows_open(const char *path, const char *map, bool need_answers);
void rows_free(Rows *r);
const char *rows_path(const Rows *r);
RowKind rows_kind(const Rows *r);
const char *rows_kind_name(RowKind kind);
size_t rows_count(const Rows *r);
size_t rows_line(const Rows *r, size_t row);
/* Checked; bad_input names file, line, column, what was found and what to do. Valid until the next call. */
const Row *rows_get(Rows *r, size_t row);

/* The file of a folder that holds a part ("train", "valid", "test"): PART.jsonl, .json, .csv or .tsv ("validation" and "dev" are
 * valid, too); NULL: none. Two of them: bad_input. Free it. */
char *rows_part(const char *dir, const char *part);

/* ---- rows_file.c: where each row stands ---- */

typedef enum { ROWS_LINES, ROWS_ARRAY, ROWS_CSV } RowsFormat;
typedef struct {
    uint64_t at;
    uint32_t length, line;
} RowPlace;
typedef struct {
    char *path;
    const char *data;                 /* the mapped file behind a byte order mark */
    size_t size;
    void *map;
    size_t touched, last_row;         /* bytes read since the file's pages were given back */
    RowsFormat format;
    char separator;                   /* ROWS_CSV */
    RowPlace *places;
    size_t count, room;
    char **columns;                   /* ROWS_CSV */
    bool *values;                     /* of each column: its cells are lists or numbers, not text; set by rows.c */
    size_t column_count;
} RowsFile;

RowsFile rows_file_open(const char *path);
void rows_file_close(RowsFile *f);
/* The row as JSON; a record of a CSV becomes an object of strings, but for lists and numbers where `values` says so. */
JsonDoc *rows_file_json(RowsFile *f, size_t row, Buf *scratch);

#endif
