/* cli: flags in one table a subcommand, help from the same table, errors that name the nearest flag. */
#ifndef CLI_H
#define CLI_H

#include "json.h"

/* FLAG_MODEL: a text; a name of the Hugging Face hub becomes the folder that the local cache has of it. */
typedef enum { FLAG_SWITCH, FLAG_SIZE, FLAG_REAL, FLAG_TEXT, FLAG_MODEL } FlagKind;

/* A defining flag decides bits and is recorded in run.json; an execution flag (threads, paths, intervals) is not. */
typedef enum { DEFINING, EXECUTION } FlagRole;

typedef struct {
    const char *name;        /* "--lr" */
    FlagKind kind;
    FlagRole role;
    void *value;             /* bool *, size_t *, double *, const char ** */
    double least, most;      /* FLAG_SIZE and FLAG_REAL: bounds, both included; 0, 0: none but 0 <= x for FLAG_SIZE */
    const char *meta;        /* "N", "FILE"; NULL for a switch */
    const char *help;        /* one line; its default is printed after it when the value is set */
    bool given;              /* on the command line or in --config */
} Flag;

typedef struct {
    const char *name;        /* "pretrain" */
    const char *summary;     /* one line */
    const char *usage;       /* what stands after the name: "--data FILE --out DIR [flags]" */
    const char *example;     /* one or more whole commands, a line each */
    Flag *flags;
    size_t count;
    const char **positional; /* filled: arguments that are no flags */
    size_t positional_count;
    const char *model;       /* filled: the first FLAG_MODEL as it was typed */
} Command;

/* Reads argv (after the subcommand's name) into the flags' values. --help prints and returns false: the caller returns 0.
 * --config FILE.json gives any flag by its name without the dashes; the command line wins. -- ends the flags. "--flag=value" works too.
 * Arguments that are no flags are collected in positional; more than most_positional of them are refused. */
bool cli_parse(Command *c, int argc, char **argv, size_t most_positional);
const Flag *cli_flag(const Command *c, const char *name);
bool cli_given(const Command *c, const char *name);
/* bad_input "pretrain needs --data FILE" when the flag was not given. */
void cli_need(const Command *c, const char *name);
/* The settings on standard error, "name value" a line, before the work starts. */
void cli_print_settings(const Command *c);
/* The defining flags that were resolved, in table order, into a JSON object that is open. */
void cli_record(const Command *c, JsonWriter *w);

/* Flags of every command that computes. */
typedef struct {
    size_t threads, seed;
    bool json;
} Common;
#define COMMON_FLAGS(common) \
    {"--threads", FLAG_SIZE, EXECUTION, &(common).threads, 0, 4096, "N", "threads; 0: one a core; any number gives the same bits", false}, \
    {"--seed", FLAG_SIZE, DEFINING, &(common).seed, 0, 4294967295.0, "N", "seed of every random choice", false}, \
    {"--json", FLAG_SWITCH, EXECUTION, &(common).json, 0, 0, NULL, "results and log lines as JSON", false}
/* Sets the number of threads and every thread's floating-point mode. */
void cli_threads(const Common *common);

/* One result line on standard output: "loss 1.6374545 bpb 0.83", or the same as a JSON object. */
typedef struct {
    Buf text;
    bool json;
} ResultLine;
ResultLine result_begin(bool json);
void result_number(ResultLine *r, const char *name, double value);     /* printed as a float */
void result_count(ResultLine *r, const char *name, size_t value);
void result_text(ResultLine *r, const char *name, const char *value);
void result_print(ResultLine *r);

/* What this binary was built with: "gcc 12.2.0", "x86-64-v4 (AVX-512)", "hardware" or "emulated". */
const char *build_compiler(void);
const char *build_tier(void);
const char *build_fma(void);

/* The place of a flag's value among its names; bad_input names the nearest of them. */
size_t cli_choice(const char *flag, const char *value, const char *const *names, size_t count);

/* The nearest of `names` by edit distance, or NULL when none is near. */
const char *nearest_name(const char *word, const char *const *names, size_t count);

#endif
