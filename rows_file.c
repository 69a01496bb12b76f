/* Where the rows of a file stand: one pass over it that looks at line ends, quotes and brackets only. */
#include "rows.h"

#include "os.h"
#include "unicode.h"

#include <string.h>

enum { FORGET_EVERY = 16 << 20 };

static void touch(RowsFile *f, size_t n) {
    f->touched += n;
    if (f->touched < FORGET_EVERY) return;
    os_map_forget(f->map);
    f->touched = 0;
}

static void add_place(RowsFile *f, size_t at, size_t length, size_t line) {
    if (length > UINT32_MAX || line > UINT32_MAX || f->count >= UINT32_MAX - 1)
        bad_input("%s: line %zu: a file has fewer than 2^32 rows and lines, and a row less than 4 GB: split it", f->path, line);
    if (f->count == f->room) {
        f->room = 2 * f->room + 256;
        f->places = mem_resize(f->places, f->room, sizeof *f->places);
    }
    f->places[f->count++] = (RowPlace){at, (uint32_t)length, (uint32_t)line};
    touch(f, length);
}

static bool is_blank(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r' && s[i] != '\n') return false;
    return true;
}

static size_t line_length(const RowsFile *f, size_t at) {
    const char *end = memchr(f->data + at, '\n', f->size - at);
    return end ? (size_t)(end - (f->data + at)) : f->size - at;
}

static void index_lines(RowsFile *f) {
    for (size_t at = 0, line = 1; at < f->size; line++) {
        size_t n = line_length(f, at);
        if (!is_blank(f->data + at, n)) add_place(f, at, n, line);
        at += n + 1;
    }
}

/* The file is no array of values, or not one alone: the reader says what is wrong where. */
static _Noreturn void bad_array(const RowsFile *f) {
    json_parse(f->data, f->size, f->path, 1);
    bad_input("%s: the array of rows could not be read", f->path);
}

/* The end of the value at `at`: the comma or bracket behind it. Counts its lines. */
static size_t value_end(const RowsFile *f, size_t at, size_t *line) {
    size_t depth = 0;
    bool quoted = false;
    for (; at < f->size; at++) {
        char c = f->data[at];
        *line += c == '\n';
        if (quoted) {
            if (c == '\\') at++;
            else if (c == '"') quoted = false;
        } else if (c == '"') quoted = true;
        else if (c == '[' || c == '{') depth++;
        else if (c == ']' || c == '}') {
            if (!depth) return at;
            depth--;
        } else if (c == ',' && !depth) return at;
    }
    bad_array(f);
}

static size_t skip_blank(const RowsFile *f, size_t at, size_t *line) {
    for (; at < f->size && is_blank(f->data + at, 1); at++) *line += f->data[at] == '\n';
    return at;
}

static void index_array(RowsFile *f) {
    size_t line = 1, at = skip_blank(f, 0, &line) + 1;
    for (;;) {
        at = skip_blank(f, at, &line);
        size_t start = at, start_line = line;
        at = value_end(f, at, &line);
        if (f->data[at] == ']' && is_blank(f->data + start, at - start)) {
            if (f->count) bad_array(f); /* a comma before the bracket */
            break;
        }
        add_place(f, start, at - start, start_line);
        if (f->data[at++] == ']') break;
    }
    at += at < f->size && f->data[at] == ']';
    if (!is_blank(f->data + at, f->size - at)) bad_array(f);
}

/* ---- CSV ---- */

/* The field at *at without its quotes; *at goes behind its separator, *last says that the record ends. */
static void csv_field(const RowsFile *f, const RowPlace *p, size_t *at, bool *last, Buf *field) {
    const char *s = f->data + p->at;
    size_t i = *at, n = p->length;
    field->len = 0;
    buf_str(field, "");
    if (i < n && s[i] == '"') {
        for (i++;; i++) {
            if (i >= n) bad_input("%s: line %u: a quote that opens a field is never closed", f->path, (unsigned)p->line);
            if (s[i] != '"') buf_char(field, s[i]);
            else if (i + 1 < n && s[i + 1] == '"') buf_char(field, s[++i]);
            else break;
        }
        i++;
        if (i < n && s[i] != f->separator)
            bad_input("%s: line %u: text behind the quote that closes a field: a quote inside a field is written twice", f->path,
                      (unsigned)p->line);
    } else
        for (; i < n && s[i] != f->separator; i++) buf_char(field, s[i]);
    *last = i >= n;
    *at = i + 1;
    if (!utf8_valid((const unsigned char *)field->data, field->len))
        bad_input("%s: line %u: the text is not UTF-8: convert the file", f->path, (unsigned)p->line);
}

static void index_csv(RowsFile *f) {
    for (size_t at = 0, line = 1; at < f->size;) {
        size_t start = at, start_line = line;
        for (bool quoted = false; at < f->size && (quoted || f->data[at] != '\n'); at++) {
            quoted ^= f->data[at] == '"';
            line += f->data[at] == '\n';
        }
        size_t n = at - start;
        while (n && f->data[start + n - 1] == '\r') n--;
        if (!is_blank(f->data + start, n)) add_place(f, start, n, start_line);
        at++, line++;
    }
    if (!f->count) return;
    Buf field = {0};
    size_t at = 0;
    for (bool last = false; !last;) {
        csv_field(f, &f->places[0], &at, &last, &field);
        if (!field.len) bad_input("%s: line 1: a column has no name", f->path);
        for (size_t i = 0; i < f->column_count; i++)
            if (!strcmp(f->columns[i], field.data)) bad_input("%s: line 1: two columns have the name \"%s\"", f->path, field.data);
        f->columns = mem_resize(f->columns, f->column_count + 1, sizeof *f->columns);
        f->columns[f->column_count++] = str_copy(field.data);
    }
    f->values = mem_new(f->column_count, sizeof *f->values);
    buf_free(&field);
    f->count--;
    memmove(f->places, f->places + 1, f->count * sizeof *f->places);
}

/* A cell that holds a list or a whole number, as it would stand in JSON. */
static bool is_json_cell(const Buf *cell) {
    size_t end = cell->len;
    while (end && is_blank(cell->data + end - 1, 1)) end--;
    if (end && cell->data[0] == '[') return cell->data[end - 1] == ']';
    return end < 10 && strspn(cell->data, "0123456789") == end && (end == 1 || cell->data[0] != '0');
}

static void csv_json(const RowsFile *f, const RowPlace *p, Buf *out) {
    Buf field = {0};
    size_t at = 0, i = 0;
    out->len = 0;
    buf_char(out, '{');
    for (bool last = false; !last; i++) {
        csv_field(f, p, &at, &last, &field);
        if (i == f->column_count)
            bad_input("%s: line %u: more fields than the %zu columns that line 1 names", f->path, (unsigned)p->line, f->column_count);
        if (i) buf_char(out, ',');
        json_quote(out, f->columns[i], strlen(f->columns[i]));
        buf_char(out, ':');
        if (f->values[i] && !field.len) buf_str(out, "null");
        else if (f->values[i] && is_json_cell(&field)) {
            for (size_t k = 0; k < field.len; k++) /* lines are the file's */
                if (field.data[k] == '\n') field.data[k] = ' ';
            buf_put(out, field.data, field.len);
        } else json_quote(out, field.data, field.len);
    }
    if (i != f->column_count)
        bad_input("%s: line %u: %zu fields, line 1 names %zu columns", f->path, (unsigned)p->line, i, f->column_count);
    buf_char(out, '}');
    buf_free(&field);
}

/* ---- files ---- */

/* Rows by lines, unless the first line alone is no value: then the text is one array over many lines. */
static RowsFormat lines_or_array(const RowsFile *f) {
    size_t line = 1, at = skip_blank(f, 0, &line), depth = 0;
    if (f->data[at] != '[') return ROWS_LINES;
    if (str_ends(f->path, ".json")) return ROWS_ARRAY;
    bool quoted = false;
    for (size_t i = at, end = at + line_length(f, at); i < end; i++) {
        char c = f->data[i];
        if (quoted && c == '\\') i++;
        else if (c == '"') quoted = !quoted;
        else if (!quoted && (c == '[' || c == '{')) depth++;
        else if (!quoted && (c == ']' || c == '}') && depth) depth--;
    }
    return depth ? ROWS_ARRAY : ROWS_LINES;
}

RowsFile rows_file_open(const char *path) {
    RowsFile f = {.path = str_copy(path)};
    if (!os_exists(path)) bad_input("%s: there is no such file", path);
    if (os_is_dir(path)) bad_input("%s is a folder: name a file of rows (.jsonl, .json, .csv, .tsv)", path);
    OsMap *map = mem_new(1, sizeof *map);
    *map = os_map(path);
    f.map = map;
    f.data = (const char *)map->data, f.size = map->size;
    if (f.size >= 3 && !memcmp(f.data, "\xEF\xBB\xBF", 3)) f.data += 3, f.size -= 3;
    if (is_blank(f.data, f.size)) bad_input("%s: the file is empty: it needs at least one row", path);
    if (str_ends(path, ".csv") || str_ends(path, ".tsv")) f.format = ROWS_CSV, f.separator = str_ends(path, ".csv") ? ',' : '\t';
    else f.format = lines_or_array(&f);
    if (f.format == ROWS_CSV) index_csv(&f);
    else if (f.format == ROWS_ARRAY) index_array(&f);
    else index_lines(&f);
    if (!f.count) bad_input("%s: no rows%s: it needs at least one", path, f.format == ROWS_CSV ? " below the names of the columns" : "");
    return f;
}

void rows_file_close(RowsFile *f) {
    os_unmap(f->map);
    for (size_t i = 0; i < f->column_count; i++) mem_free(f->columns[i]);
    mem_free(f->map), mem_free(f->path), mem_free(f->places), mem_free(f->columns), mem_free(f->values);
    *f = (RowsFile){0};
}

JsonDoc *rows_file_json(RowsFile *f, size_t row, Buf *scratch) {
    const RowPlace *p = &f->places[row];
    touch(f, p->length + (row == f->last_row + 1 ? 0 : 65536)); /* elsewhere the system brings its neighbourhood along */
    f->last_row = row;
    if (f->format != ROWS_CSV) return json_parse(f->data + p->at, p->length, f->path, p->line);
    csv_json(f, p, scratch);
    return json_parse(scratch->data, scratch->len, f->path, p->line);
}
