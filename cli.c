#include "cli.h"

#include "decimal.h"
#include "os.h"
#include "parallel.h"
#include "simd.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

/* ---- names that other tools use, and ours ---- */

static const char *const synonyms[][2] = {
    {"--learning-rate", "--lr"},        {"--learning_rate", "--lr"},         {"--lora-r", "--rank"},           {"--lora_r", "--rank"},
    {"--lora-alpha", "--alpha"},        {"--max-seq-length", "--ctx"},       {"--max_seq_length", "--ctx"},    {"--seq-len", "--ctx"},
    {"--block-size", "--ctx"},          {"--block_size", "--ctx"},           {"--context-length", "--ctx"},
        {"--gradient-accumulation-steps", "--micro-batch"},
    {"--grad-accum", "--micro-batch"},  {"--batch-size", "--batch"},         {"--batch_size", "--batch"},
        {"--per-device-train-batch-size", "--micro-batch"},
    {"--iters", "--steps"},             {"--max-steps", "--steps"},          {"--max_iters", "--steps"},       {"--num-train-epochs", "--epochs"},
    {"--output-dir", "--out"},          {"--output", "--out"},               {"--model-name-or-path", "--model"}, {"--dataset", "--data"},
    {"--train-data", "--data"},         {"--max-grad-norm", "--clip"},       {"--grad-clip", "--clip"},        {"--warmup-steps", "--warmup"},
    {"--warmup-ratio", "--warmup"},     {"--lr-scheduler-type", "--schedule"}, {"--gradient-checkpointing", "--recompute"},
        {"--grad-checkpoint", "--recompute"},
    {"--n-layer", "--layers"},          {"--n-embd", "--dim"},               {"--hidden-size", "--dim"},       {"--n-head", "--heads"},
    {"--num-layers", "--layers"},       {"--temp", "--temperature"},         {"--max-new-tokens", "--tokens"}, {"--max-tokens", "--tokens"},
    {"--top_k", "--top-k"},             {"--top_p", "--top-p"},              {"--vocab-size", "--vocab"},      {"--eval-interval", "--eval-every"},
    {"--save-steps", "--save-every"},   {"--eval-steps", "--eval-every"},    {"--num-threads", "--threads"},   {"--min-learning-rate", "--min-lr"},
    {"--intermediate-size", "--ffn"},   {"--num-heads", "--heads"},          {"--n-kv-head", "--kv-heads"},    {"--wd", "--weight-decay"}};

static size_t edit_distance(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b), row[64];
    if (n >= 64 || m >= 64) return 64;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]), least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = change < least ? change : least;
        }
    }
    return row[m];
}

const char *nearest_name(const char *word, const char *const *names, size_t count) {
    const char *best = NULL;
    size_t least = strlen(word) / 2 < 4 ? strlen(word) / 2 + 1 : 4;
    for (size_t i = 0; i < count; i++) {
        size_t d = edit_distance(word, names[i]);
        if (d < least) least = d, best = names[i];
    }
    return best;
}

size_t cli_choice(const char *flag, const char *value, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(names[i], value)) return i;
    const char *near = nearest_name(value, names, count);
    bad_input("%s: unknown value \"%s\"%s%s%s", flag, value, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static Flag *find_flag(const Command *c, const char *name) {
    for (size_t i = 0; i < c->count; i++)
        if (!strcmp(c->flags[i].name, name)) return &c->flags[i];
    return NULL;
}

static _Noreturn void unknown_flag(const Command *c, const char *name) {
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (!strcmp(synonyms[i][0], name) && find_flag(c, synonyms[i][1]))
            bad_input("%s: unknown flag %s; did you mean %s?", c->name, name, synonyms[i][1]);
    const char *names[128];
    size_t count = 0;
    for (; count < c->count && count < 128; count++) names[count] = c->flags[count].name;
    const char *near = nearest_name(name, names, count);
    if (near) bad_input("%s: unknown flag %s; did you mean %s?", c->name, name, near);
    bad_input("%s: unknown flag %s; see finetune %s --help", c->name, name, c->name);
}

/* ---- values ---- */

static void set_number(const Command *c, Flag *f, double x, const char *shown) {
    char low[DECIMAL_MAX], high[DECIMAL_MAX];
    bool bounded = f->least != 0 || f->most != 0;
    decimal_print(low, f->least), decimal_print(high, f->most);
    if (f->kind == FLAG_SIZE && (x < 0 || x > 9007199254740992.0 || x != (double)(size_t)x))
        bad_input("%s: %s takes a whole number of 0 or more, found %s", c->name, f->name, shown);
    if (bounded && !(x >= f->least && x <= f->most)) bad_input("%s: %s lies between %s and %s, found %s", c->name, f->name, low, high, shown);
    if (f->kind == FLAG_SIZE) *(size_t *)f->value = (size_t)x;
    else *(double *)f->value = x;
}

static bool is_text(const Flag *f) { return f->kind == FLAG_TEXT || f->kind == FLAG_MODEL; }

static void set_text(const Command *c, Flag *f, const char *text) {
    double x;
    f->given = true;
    if (is_text(f)) *(const char **)f->value = text;
    else if (!decimal_parse(text, strlen(text), &x)) bad_input("%s: %s takes a number, found \"%s\"", c->name, f->name, text);
    else set_number(c, f, x, text);
}

static void set_json(const Command *c, const JsonDoc *doc, Flag *f, const Json *value) {
    bool number = value->kind == JSON_NUMBER; /* a text may be a number: "save-every": 20 */
    bool fits = f->kind == FLAG_SWITCH ? value->kind == JSON_BOOL : is_text(f) ? value->kind == JSON_STRING || number : number;
    if (!fits)
        bad_input("%s: line %zu: %s cannot be %s", json_name(doc), value->line, f->name, json_kind_name(value->kind));
    f->given = true;
    if (f->kind == FLAG_SWITCH) *(bool *)f->value = value->boolean;
    else if (value->kind == JSON_STRING) *(const char **)f->value = str_copy(value->string);
    else {
        char shown[DECIMAL_MAX];
        decimal_print(shown, value->number);
        if (is_text(f)) *(const char **)f->value = str_copy(shown);
        else set_number(c, f, value->number, shown);
    }
}

static void read_config(const Command *c, const char *path) {
    JsonDoc *doc = json_read(path);
    const Json *root = json_root(doc);
    if (root->kind != JSON_OBJECT) bad_input("%s: expected an object of flags, found %s", path, json_kind_name(root->kind));
    for (size_t i = 0; i < root->count; i++) {
        char *name = str_format("--%s", root->keys[i].string);
        Flag *f = find_flag(c, name);
        if (!f) unknown_flag(c, name);
        set_json(c, doc, f, &root->items[i]);
        mem_free(name);
    }
    json_free(doc);
}

static bool shown_default(const Flag *f, char text[DECIMAL_MAX + 512]) {
    text[0] = 0;
    if (f->kind == FLAG_SIZE) decimal_print(text, (double)*(size_t *)f->value);
    else if (f->kind == FLAG_REAL) decimal_print(text, *(double *)f->value);
    else if (is_text(f) && *(const char **)f->value) strncpy(text, *(const char **)f->value, 511), text[511] = 0;
    else if (f->kind == FLAG_SWITCH) strcpy(text, *(bool *)f->value ? "true" : "false");
    return text[0] && !(f->kind == FLAG_SWITCH);
}

static void print_help(const Command *c) {
    out_text("finetune %s: %s\n\nusage: finetune %s %s\n\n", c->name, c->summary, c->name, c->usage);
    for (size_t i = 0; i < c->count; i++) {
        const Flag *f = &c->flags[i];
        char value[DECIMAL_MAX + 512], left[64];
        snprintf(left, sizeof left, "%s%s%s", f->name, f->meta ? " " : "", f->meta ? f->meta : "");
        out_text("  %-28s %s", left, f->help);
        if (shown_default(f, value)) out_text(" [%s]", value);
        out_text("\n");
    }
    out_text("  %-28s any of these flags from a JSON object\n  %-28s this page\n\nexample:\n", "--config FILE.json", "--help");
    const char *line = c->example;
    while (line && *line) {
        const char *end = strchr(line, '\n');
        int n = (int)(end ? (size_t)(end - line) : strlen(line));
        out_text("  %.*s\n", n, line);
        line = end ? end + 1 : NULL;
    }
}

static void locate_models(Command *c) {
    for (size_t i = 0; i < c->count; i++) {
        const Flag *f = &c->flags[i];
        const char **value = f->value;
        if (f->kind != FLAG_MODEL || !*value) continue;
        if (!c->model) c->model = *value;
        *value = model_locate(*value);
    }
}

bool cli_parse(Command *c, int argc, char **argv, size_t most_positional) {
    c->positional = mem_new((size_t)argc + 1, sizeof *c->positional);
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--")) break;
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return print_help(c), false;
        if (!strcmp(argv[i], "--config")) {
            if (i + 1 == argc) bad_input("%s: --config needs a FILE.json", c->name);
            read_config(c, argv[i + 1]);
        }
    }
    bool flags_over = false;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        if (!flags_over && !strcmp(arg, "--")) {
            flags_over = true;
            continue;
        }
        if (flags_over || arg[0] != '-' || !arg[1]) {
            if (c->positional_count == most_positional)
                bad_input("%s: did not expect \"%s\" (flags begin with --; see finetune %s --help)", c->name, arg, c->name);
            c->positional[c->positional_count++] = arg;
            continue;
        }
        const char *equals = strchr(arg, '=');
        char *name = str_copy_n(arg, equals ? (size_t)(equals - arg) : strlen(arg));
        if (!strcmp(name, "--config")) {
            i += !equals;
            continue;
        }
        Flag *f = find_flag(c, name);
        if (!f) unknown_flag(c, name);
        if (f->kind == FLAG_SWITCH) {
            if (equals) bad_input("%s: %s is a switch and takes no value", c->name, name);
            *(bool *)f->value = f->given = true;
        } else if (equals) set_text(c, f, equals + 1);
        else if (i + 1 == argc) bad_input("%s: %s needs a value: %s %s", c->name, name, name, f->meta);
        else set_text(c, f, argv[++i]);
        mem_free(name);
    }
    locate_models(c);
    return true;
}

const Flag *cli_flag(const Command *c, const char *name) { return find_flag(c, name); }

bool cli_given(const Command *c, const char *name) {
    const Flag *f = find_flag(c, name);
    return f && f->given;
}

void cli_need(const Command *c, const char *name) {
    const Flag *f = find_flag(c, name);
    if (!f->given) bad_input("%s needs %s %s (%s); see finetune %s --help", c->name, name, f->meta ? f->meta : "", f->help, c->name);
}

void cli_print_settings(const Command *c) {
    for (size_t i = 0; i < c->count; i++) {
        char value[DECIMAL_MAX + 512];
        shown_default(&c->flags[i], value);
        if (value[0]) fprintf(stderr, "  %s %s\n", c->flags[i].name + 2, value);
    }
}

void cli_record(const Command *c, JsonWriter *w) {
    for (size_t i = 0; i < c->count; i++) {
        const Flag *f = &c->flags[i];
        const char *name = f->name + 2;
        if (f->role != DEFINING) continue;
        if (f->kind == FLAG_SWITCH) jw_bool(w, name, *(bool *)f->value);
        else if (f->kind == FLAG_SIZE) jw_uint(w, name, *(size_t *)f->value);
        else if (f->kind == FLAG_REAL) jw_double(w, name, *(double *)f->value);
        else if (*(const char **)f->value) jw_string(w, name, *(const char **)f->value);
        else jw_null(w, name);
    }
}

void cli_threads(const Common *common) {
    if (common->threads) thread_limit((int)common->threads);
    EVERY_THREAD
    fp_reset_mode();
}

/* ---- result lines ---- */

ResultLine result_begin(bool json) {
    ResultLine r = {.json = json};
    buf_str(&r.text, json ? "{\"v\":1" : "");
    return r;
}

static void result_name(ResultLine *r, const char *name) {
    if (r->json) buf_format(&r->text, ",\"%s\":", name);
    else buf_format(&r->text, "%s%s ", r->text.len ? " " : "", name);
}

void result_number(ResultLine *r, const char *name, double value) {
    char text[DECIMAL_MAX];
    result_name(r, name);
    decimal_print_float(text, (float)value);
    buf_str(&r->text, is_finite(value) || !r->json ? text : "null");
}

void result_count(ResultLine *r, const char *name, size_t value) {
    result_name(r, name);
    buf_format(&r->text, "%zu", value);
}

void result_text(ResultLine *r, const char *name, const char *value) {
    result_name(r, name);
    if (r->json) json_quote(&r->text, value, strlen(value));
    else buf_str(&r->text, value);
}

void result_print(ResultLine *r) {
    buf_str(&r->text, r->json ? "}\n" : "\n");
    out_bytes(r->text.data, r->text.len);
    buf_free(&r->text);
}

/* ---- the build ---- */

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__TINYC__)
#define COMPILER "tcc"
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

const char *build_compiler(void) { return COMPILER; }
const char *build_tier(void) { return TIER; }
const char *build_fma(void) { return FMA_KIND; }
