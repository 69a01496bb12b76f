#include "rows.h"

#include "cli.h"
#include "os.h"

#include <string.h>

/* The names that --map may rename. */
enum {
    C_TEXT, C_PROMPT, C_COMPLETION, C_MESSAGES, C_CONVERSATIONS, C_INSTRUCTION, C_INPUT, C_OUTPUT, C_SYSTEM, C_HISTORY,
    C_IDS, C_LABELS, C_QUERY, C_CHOICES, C_GOLD, C_ROLE, C_CONTENT, C_WEIGHT, C_FROM, C_VALUE, COLUMNS
};
static const char *const column_names[COLUMNS] = {
    "text", "prompt", "completion", "messages", "conversations", "instruction", "input", "output", "system", "history",
    "input_ids", "labels", "query", "choices", "gold", "role", "content", "weight", "from", "value"};

struct Rows {
    RowsFile file;
    RowKind kind;
    bool need_answers;
    const char *names[COLUMNS];       /* what the file calls them */
    char *map;
    JsonDoc *doc;                     /* of the row below */
    Row row;
    Buf scratch, joined;
    size_t message_room, id_room, choice_room;
};

const char *role_name(Role role) {
    static const char *const names[] = {"system", "user", "assistant"};
    return names[role];
}

const char *rows_kind_name(RowKind kind) {
    static const char *const names[] = {"text", "prompt/completion", "messages", "ShareGPT", "Alpaca", "input_ids", "choice"};
    return names[kind];
}

const char *rows_path(const Rows *r) { return r->file.path; }
RowKind rows_kind(const Rows *r) { return r->kind; }
size_t rows_count(const Rows *r) { return r->file.count; }
size_t rows_line(const Rows *r, size_t row) { return r->file.places[row].line; }

/* ---- columns ---- */

static void read_map(Rows *r, const char *map) {
    for (size_t i = 0; i < COLUMNS; i++) r->names[i] = column_names[i];
    if (!map) return;
    r->map = str_copy(map);
    for (char *at = r->map; *at;) {
        char *end = at + strcspn(at, ","), *equals = memchr(at, '=', (size_t)(end - at));
        bool last = !*end;
        *end = 0;
        if (!equals || equals == at || !equals[1])
            bad_input("--map: expected OURS=THEIRS,… such as prompt=question,completion=answer, found \"%s\"", at);
        *equals = 0;
        size_t i = 0;
        while (i < COLUMNS && strcmp(column_names[i], at)) i++;
        if (i == COLUMNS) {
            const char *near = nearest_name(at, column_names, COLUMNS);
            bad_input("--map: there is no column \"%s\"%s%s%s; ours are text, prompt, completion, messages, conversations, instruction, "
                      "input, output, system, history, input_ids, labels, query, choices, gold, role, content, weight, from, value",
                      at, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
        }
        r->names[i] = equals + 1;
        at = last ? end : end + 1;
    }
}

/* NULL: absent or null. */
static const Json *column(const Rows *r, const Json *row, size_t name) {
    const Json *value = row->kind == JSON_OBJECT ? json_get(row, r->names[name]) : NULL;
    return value && value->kind != JSON_NULL ? value : NULL;
}

static _Noreturn void wrong_type(const Rows *r, size_t name, const Json *found, const char *expected) {
    bad_input("%s: line %zu: \"%s\": expected %s, found %s: correct the row, or name another column with --map %s=COLUMN", r->file.path,
              found->line, r->names[name], expected, json_kind_name(found->kind), column_names[name]);
}

static const Json *need(const Rows *r, const Json *row, size_t name, const char *expected) {
    const Json *value = column(r, row, name);
    if (!value)
        bad_input("%s: line %zu: no \"%s\" (%s): every row needs it, as the rows of this file are of the kind %s; correct the row, or name "
                  "the column with --map %s=COLUMN",
                  r->file.path, row->line, r->names[name], expected, rows_kind_name(r->kind), column_names[name]);
    return value;
}

static const Json *need_text(const Rows *r, const Json *row, size_t name) {
    const Json *value = need(r, row, name, "a string");
    if (value->kind != JSON_STRING) wrong_type(r, name, value, "a string");
    return value;
}

/* NULL: absent, null or empty. */
static const Json *maybe_text(const Rows *r, const Json *row, size_t name) {
    const Json *value = column(r, row, name);
    if (value && value->kind != JSON_STRING) wrong_type(r, name, value, "a string");
    return value && value->length ? value : NULL;
}

/* What would change the text in ways that are not done here. */
static void refuse_extras(const Rows *r, const Json *object) {
    static const char *const names[] = {"tools", "functions", "tool_calls", "function_call", "images", "videos", "audios"};
    for (size_t i = 0; object->kind == JSON_OBJECT && i < sizeof names / sizeof *names; i++) {
        const Json *x = json_get(object, names[i]);
        bool empty = !x || x->kind == JSON_NULL ||
                     (x->kind == JSON_STRING ? !x->length : (x->kind == JSON_ARRAY || x->kind == JSON_OBJECT) && !x->count);
        if (!empty)
            bad_input("%s: line %zu: \"%s\" is not supported: rows are text alone; take the row out, or write what it says into the "
                      "contents",
                      r->file.path, x->line, names[i]);
    }
}

/* ---- messages ---- */

static Message *add_message(Rows *r, Role role, const Json *text) {
    Row *row = &r->row;
    if (row->count == r->message_room) {
        r->message_room = 2 * r->message_room + 8;
        row->messages = mem_resize(row->messages, r->message_room, sizeof *row->messages);
    }
    Message *m = &row->messages[row->count++];
    *m = (Message){.role = role};
    if (text) m->text = text->string, m->length = text->length;
    return m;
}

static Role read_role(const Rows *r, const Json *role, size_t name) {
    static const struct { const char *name; Role role; } known[] = {
        {"system", ROLE_SYSTEM}, {"user", ROLE_USER}, {"human", ROLE_USER}, {"assistant", ROLE_ASSISTANT}, {"gpt", ROLE_ASSISTANT},
        {"chatgpt", ROLE_ASSISTANT}, {"bot", ROLE_ASSISTANT}, {"model", ROLE_ASSISTANT}};
    if (role->kind != JSON_STRING) wrong_type(r, name, role, "a string");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (json_is(role, known[i].name)) return known[i].role;
    bad_input("%s: line %zu: \"%s\": found \"%.60s\", expected system, user (human) or assistant (gpt): other roles, those of tools among "
              "them, are not supported; take the row out",
              r->file.path, role->line, r->names[name], role->string);
}

static void read_message(Rows *r, const Json *m) {
    if (m->kind != JSON_OBJECT)
        bad_input("%s: line %zu: a message: expected an object {\"role\", \"content\"}, found %s", r->file.path, m->line,
                  json_kind_name(m->kind));
    refuse_extras(r, m);
    bool share = !column(r, m, C_ROLE) && column(r, m, C_FROM);
    size_t who = share ? C_FROM : C_ROLE, what = share ? C_VALUE : C_CONTENT;
    const Json *role = need(r, m, who, "a string"), *content = need(r, m, what, "a string"), *weight = column(r, m, C_WEIGHT);
    Role known = read_role(r, role, who);
    if (content->kind == JSON_ARRAY)
        bad_input("%s: line %zu: \"%s\": a list of parts is not supported: join its texts into one string; images and audio cannot be read",
                  r->file.path, content->line, r->names[what]);
    if (content->kind != JSON_STRING) wrong_type(r, what, content, "a string");
    Message *added = add_message(r, known, content);
    if (weight && (weight->kind != JSON_NUMBER || (weight->number != 0 && weight->number != 1))) wrong_type(r, C_WEIGHT, weight, "0 or 1");
    added->muted = weight && weight->number == 0;
}

static void read_messages(Rows *r, const Json *list, size_t name) {
    if (list->kind != JSON_ARRAY) wrong_type(r, name, list, "a list of messages");
    if (!list->count)
        bad_input("%s: line %zu: \"%s\": the list has no message: take the row out", r->file.path, list->line, r->names[name]);
    for (size_t i = 0; i < list->count; i++) read_message(r, &list->items[i]);
}

/* ---- the kinds ---- */

static void read_prompt(Rows *r, const Json *row) {
    const Json *prompt = need(r, row, C_PROMPT, "a string or a list of messages");
    const Json *completion = column(r, row, C_COMPLETION);
    bool strings = prompt->kind == JSON_STRING;
    if (!strings && prompt->kind != JSON_ARRAY) wrong_type(r, C_PROMPT, prompt, "a string or a list of messages");
    if (!completion && r->need_answers) need(r, row, C_COMPLETION, strings ? "a string" : "a list of messages");
    if (completion && completion->kind != prompt->kind)
        wrong_type(r, C_COMPLETION, completion, strings ? "a string, as the prompt is one" : "a list of messages, as the prompt is one");
    if (strings) add_message(r, ROLE_USER, prompt);
    else read_messages(r, prompt, C_PROMPT);
    r->row.completion = r->row.count, r->row.strings = strings;
    if (completion && strings) add_message(r, ROLE_ASSISTANT, completion);
    else if (completion) {
        read_messages(r, completion, C_COMPLETION);
        if (r->row.messages[r->row.completion].role != ROLE_ASSISTANT)
            bad_input("%s: line %zu: \"%s\": its first message must be the assistant's, found one of the %s", r->file.path,
                      completion->line, r->names[C_COMPLETION], role_name(r->row.messages[r->row.completion].role));
    }
}

static void read_alpaca(Rows *r, const Json *row) {
    const Json *system = maybe_text(r, row, C_SYSTEM), *history = column(r, row, C_HISTORY), *input = maybe_text(r, row, C_INPUT);
    const Json *instruction = need_text(r, row, C_INSTRUCTION);
    if (system) add_message(r, ROLE_SYSTEM, system);
    if (history && history->kind != JSON_ARRAY) wrong_type(r, C_HISTORY, history, "a list of [question, answer] pairs");
    for (size_t i = 0; history && i < history->count; i++) {
        const Json *pair = &history->items[i];
        if (pair->kind != JSON_ARRAY || pair->count != 2 || pair->items[0].kind != JSON_STRING || pair->items[1].kind != JSON_STRING)
            wrong_type(r, C_HISTORY, pair, "pairs of strings [question, answer]");
        add_message(r, ROLE_USER, &pair->items[0]);
        add_message(r, ROLE_ASSISTANT, &pair->items[1]);
    }
    Message *m = add_message(r, ROLE_USER, instruction);
    if (input) {
        r->joined.len = 0;
        buf_put(&r->joined, instruction->string, instruction->length);
        buf_char(&r->joined, '\n');
        buf_put(&r->joined, input->string, input->length);
        m->text = r->joined.data, m->length = r->joined.len, m->input = instruction->length + 1;
    }
    const Json *output = column(r, row, C_OUTPUT);
    if (output || r->need_answers) add_message(r, ROLE_ASSISTANT, need_text(r, row, C_OUTPUT));
}

static void read_share(Rows *r, const Json *row) {
    const Json *system = maybe_text(r, row, C_SYSTEM), *list = need(r, row, C_CONVERSATIONS, "a list of messages");
    if (system) add_message(r, ROLE_SYSTEM, system);
    read_messages(r, list, C_CONVERSATIONS);
    for (size_t i = 1; system && i < r->row.count; i++)
        if (r->row.messages[i].role == ROLE_SYSTEM)
            bad_input("%s: line %zu: both \"%s\" and a system message: keep one of them", r->file.path, system->line, r->names[C_SYSTEM]);
}

/* Token ids; absent is marked in labels by -100, here by -1. */
static void read_id_list(const Rows *r, const Json *list, size_t name, int32_t *to) {
    for (size_t i = 0; i < list->count; i++) {
        const Json *x = &list->items[i];
        bool label = name == C_LABELS && x->kind == JSON_NUMBER && x->is_integer && x->integer == -100;
        if (!label && (x->kind != JSON_NUMBER || !x->is_integer || x->integer < 0 || x->integer > INT32_MAX))
            bad_input("%s: line %zu: \"%s\": place %zu: expected a token id%s, found %s", r->file.path, x->line, r->names[name], i,
                      name == C_LABELS ? " or -100 (not learned)" : " of 0 or more",
                      x->kind == JSON_NUMBER ? x->string : json_kind_name(x->kind));
        to[i] = label ? -1 : (int32_t)x->integer;
    }
}

static void read_ids(Rows *r, const Json *row) {
    Row *to = &r->row;
    const Json *ids = need(r, row, C_IDS, "a list of token ids"), *labels = column(r, row, C_LABELS);
    if (ids->kind != JSON_ARRAY) wrong_type(r, C_IDS, ids, "a list of token ids");
    if (labels && labels->kind != JSON_ARRAY) wrong_type(r, C_LABELS, labels, "a list of token ids and -100");
    if (ids->count < 2)
        bad_input("%s: line %zu: \"%s\": %zu token ids: at least two are needed, one to see and one to learn", r->file.path, ids->line,
                  r->names[C_IDS], ids->count);
    if (labels && labels->count != ids->count)
        bad_input("%s: line %zu: \"%s\" has %zu entries and \"%s\" has %zu: each token needs its label", r->file.path, labels->line,
                  r->names[C_LABELS], labels->count, r->names[C_IDS], ids->count);
    if (ids->count > r->id_room) {
        r->id_room = ids->count + ids->count / 2;
        to->ids = mem_resize(to->ids, r->id_room, sizeof *to->ids);
        to->labels = mem_resize(to->labels, r->id_room, sizeof *to->labels);
    }
    to->id_count = ids->count;
    read_id_list(r, ids, C_IDS, to->ids);
    if (labels) read_id_list(r, labels, C_LABELS, to->labels);
    else memcpy(to->labels, to->ids, to->id_count * sizeof *to->labels);
}

static void read_choice(Rows *r, const Json *row) {
    const Json *query = need_text(r, row, C_QUERY), *choices = need(r, row, C_CHOICES, "a list of strings"),
               *gold = need(r, row, C_GOLD, "the number of the right choice, from 0");
    if (choices->kind != JSON_ARRAY || choices->count < 2) wrong_type(r, C_CHOICES, choices, "a list of at least two strings");
    if (gold->kind != JSON_NUMBER || !gold->is_integer || gold->integer < 0 || (uint64_t)gold->integer >= choices->count)
        bad_input("%s: line %zu: \"%s\": expected the number of the right choice, 0 to %zu, found %s", r->file.path, gold->line,
                  r->names[C_GOLD], choices->count - 1, gold->kind == JSON_NUMBER ? gold->string : json_kind_name(gold->kind));
    if (choices->count > r->choice_room) {
        r->choice_room = choices->count;
        r->row.choices = mem_resize(r->row.choices, r->choice_room, sizeof *r->row.choices);
    }
    for (size_t i = 0; i < choices->count; i++) {
        if (choices->items[i].kind != JSON_STRING) wrong_type(r, C_CHOICES, &choices->items[i], "strings");
        r->row.choices[i] = choices->items[i].string;
    }
    r->row.choice_count = choices->count, r->row.gold = (size_t)gold->integer;
    add_message(r, ROLE_USER, query);
}

const Row *rows_get(Rows *r, size_t i) {
    Row *row = &r->row;
    json_free(r->doc);
    r->doc = NULL; /* a failure below must not leave a freed one */
    r->doc = rows_file_json(&r->file, i, &r->scratch);
    const Json *root = json_root(r->doc);
    row->kind = r->kind, row->line = rows_line(r, i);
    row->count = row->id_count = row->choice_count = 0, row->strings = false;
    row->completion = SIZE_MAX;
    bool list = root->kind == JSON_ARRAY && r->kind == ROWS_MESSAGES;
    if (root->kind != JSON_OBJECT && !list)
        bad_input("%s: line %zu: expected an object, found %s", r->file.path, root->line, json_kind_name(root->kind));
    refuse_extras(r, root);
    switch (r->kind) {
    case ROWS_TEXT: add_message(r, ROLE_ASSISTANT, need_text(r, root, C_TEXT)); break;
    case ROWS_PROMPT: read_prompt(r, root); break;
    case ROWS_MESSAGES: read_messages(r, list ? root : need(r, root, C_MESSAGES, "a list of messages"), C_MESSAGES); break;
    case ROWS_SHAREGPT: read_share(r, root); break;
    case ROWS_ALPACA: read_alpaca(r, root); break;
    case ROWS_IDS: read_ids(r, root); break;
    case ROWS_CHOICE: read_choice(r, root); break;
    }
    if (row->completion == SIZE_MAX) row->completion = row->count;
    return row;
}

/* ---- opening ---- */

static _Noreturn void unknown_kind(const Rows *r, const Json *row) {
    Buf found = {0};
    buf_str(&found, "");
    for (size_t i = 0; i < row->count && i < 12; i++) buf_format(&found, "%s\"%.40s\"", i ? ", " : "", row->keys[i].string);
    bad_input("%s: line %zu: found the columns %s; expected text; prompt and completion; messages; conversations; instruction and output; "
              "input_ids; or query, choices and gold: rename columns with --map, such as --map prompt=%.40s,completion=%.40s",
              r->file.path, row->line, row->count ? found.data : "of an empty object", row->count > 0 ? row->keys[0].string : "question",
              row->count > 1 ? row->keys[1].string : "answer");
}

static RowKind find_kind(const Rows *r, const Json *row) {
    static const struct {
        int column;
        RowKind kind;
    } kinds[] = {{C_IDS, ROWS_IDS},        {C_MESSAGES, ROWS_MESSAGES},  {C_CONVERSATIONS, ROWS_SHAREGPT},
                 {C_CHOICES, ROWS_CHOICE}, {C_INSTRUCTION, ROWS_ALPACA}, {C_PROMPT, ROWS_PROMPT},
                 {C_TEXT, ROWS_TEXT}};
    if (row->kind == JSON_ARRAY) return ROWS_MESSAGES;
    if (row->kind != JSON_OBJECT)
        bad_input("%s: line %zu: expected an object, found %s", r->file.path, row->line, json_kind_name(row->kind));
    if (json_get(row, "chosen") && json_get(row, "rejected"))
        bad_input("%s: line %zu: \"chosen\" and \"rejected\" make a row of preferences: those are for finetune prefer; to learn the chosen "
                  "answers, --map completion=chosen",
                  r->file.path, row->line);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (column(r, row, (size_t)kinds[i].column)) return kinds[i].kind;
    unknown_kind(r, row);
}

Rows *rows_open(const char *path, const char *map, bool need_answers) {
    static const int values[] = {C_MESSAGES, C_CONVERSATIONS, C_HISTORY, C_IDS, C_LABELS, C_CHOICES, C_GOLD};
    Rows *r = mem_new(1, sizeof *r);
    r->need_answers = need_answers;
    read_map(r, map);
    r->file = rows_file_open(path);
    for (size_t i = 0; i < r->file.column_count; i++)
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) r->file.values[i] |= !strcmp(r->file.columns[i], r->names[values[k]]);
    r->doc = rows_file_json(&r->file, 0, &r->scratch);
    r->kind = find_kind(r, json_root(r->doc));
    rows_get(r, 0);
    return r;
}

void rows_free(Rows *r) {
    if (!r) return;
    json_free(r->doc);
    rows_file_close(&r->file);
    mem_free(r->row.messages), mem_free(r->row.ids), mem_free(r->row.labels), mem_free(r->row.choices), mem_free(r->map);
    buf_free(&r->scratch), buf_free(&r->joined);
    mem_free(r);
}

char *rows_part(const char *dir, const char *part) {
    static const char *const ends[] = {".jsonl", ".json", ".csv", ".tsv"}, *const valid[] = {"valid", "validation", "dev"};
    char *found = NULL;
    size_t names = strcmp(part, "valid") ? 1 : 3;
    for (size_t n = 0; n < names; n++)
        for (size_t i = 0; i < 4; i++) {
            char *name = str_format("%s%s", names == 1 ? part : valid[n], ends[i]), *path = os_join(dir, name);
            mem_free(name);
            if (!os_exists(path)) mem_free(path);
            else if (found) bad_input("%s and %s: which one is meant? Keep one of them", found, path);
            else found = path;
        }
    return found;
}
