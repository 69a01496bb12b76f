#include "line.h"
#include "os.h"
#include "unicode.h"

#include <stdio.h>
#include <string.h>

/* ---- characters ---- */

static const unsigned char *bytes_at(const Line *l, size_t at) { return (const unsigned char *)l->text.data + at; }

static size_t code_point(const Line *l, size_t at, uint32_t *c) { return utf8_next(bytes_at(l, at), l->text.len - at, c); }

/* Whether what stands at `at` is drawn on what stands before it. */
static bool joins(const Line *l, size_t at) {
    uint32_t c;
    if (at == 0 || at >= l->text.len || l->text.data[at - 1] == '\n') return false;
    code_point(l, at, &c);
    return c >= 0x80 && char_width(c) == 0;
}

static size_t next_char(const Line *l, size_t at) {
    uint32_t c;
    if (at == l->text.len) return at;
    do at += code_point(l, at, &c);
    while (joins(l, at));
    return at;
}

static size_t char_before(const Line *l, size_t at) {
    while (at > 0) {
        do at--;
        while ((l->text.data[at] & 0xC0) == 0x80);
        if (!joins(l, at)) break;
    }
    return at;
}

static bool is_white(const Line *l, size_t at) { return strchr(" \t\n", l->text.data[at]) != NULL; }

static size_t word_before(const Line *l, size_t at) {
    while (at > 0 && is_white(l, char_before(l, at))) at = char_before(l, at);
    while (at > 0 && !is_white(l, char_before(l, at))) at = char_before(l, at);
    return at;
}

static size_t word_after(const Line *l, size_t at) {
    while (at < l->text.len && is_white(l, at)) at = next_char(l, at);
    while (at < l->text.len && !is_white(l, at)) at = next_char(l, at);
    return at;
}

/* ---- changes ---- */

static void put_text(Buf *b, const Buf *from) {
    b->len = 0;
    buf_str(b, "");
    buf_put(b, from->data, from->len);
}

/* What may stand in a text: every end of a line is \n, no other control character but the tab, U+FFFD for each byte that is no UTF-8. */
static void clean(const Buf *from, Buf *to) {
    const unsigned char *s = (const unsigned char *)from->data;
    uint32_t c;
    for (size_t i = 0, n; i < from->len; i += n) {
        n = utf8_next(s + i, from->len - i, &c);
        if (c == '\r' && i + 1 < from->len && s[i + 1] == '\n') continue;
        if (c == '\r') buf_char(to, '\n');
        else if (c == CHAR_INVALID) buf_str(to, "\xEF\xBF\xBD");
        else if (c == '\t' || c == '\n' || (c >= 0x20 && (c < 0x7F || c >= 0xA0))) buf_put(to, s + i, n);
    }
}

/* Replaces the bytes from..to by those of `new`; the cursor stands behind them, and behind what is drawn on them. */
static void replace(Line *l, size_t from, size_t to, const char *new, size_t n) {
    Buf all = {0};
    buf_str(&all, "");
    buf_put(&all, l->text.data, from), buf_put(&all, new, n), buf_put(&all, l->text.data + to, l->text.len - to);
    buf_free(&l->text);
    l->text = all;
    uint32_t c;
    for (l->cursor = from + n; joins(l, l->cursor);) l->cursor += code_point(l, l->cursor, &c);
}

/* Puts in what is pending. */
static void insert_pending(Line *l) {
    Buf good = {0};
    buf_str(&good, "");
    clean(&l->pending, &good);
    replace(l, l->cursor, l->cursor, good.data, good.len);
    buf_free(&good);
    l->pending.len = 0;
}

static void show_history(Line *l, size_t at) {
    if (at > l->history_count) return;
    if (l->at == l->history_count) put_text(&l->typed, &l->text);
    put_text(&l->text, at == l->history_count ? &l->typed : &l->history[at]);
    l->at = at, l->cursor = l->text.len;
}

/* Completes the word at the beginning as far as all words that begin so agree; a space follows the only one. */
static void complete(Line *l) {
    const char *found = NULL;
    size_t agreed = 0, count = 0, n = l->cursor;
    for (size_t i = 0; i < l->word_count && n; i++) {
        if (strncmp(l->words[i], l->text.data, n) != 0) continue;
        if (!count++) found = l->words[i], agreed = strlen(found);
        for (size_t k = n; k < agreed; k++)
            if (found[k] != l->words[i][k]) agreed = k;
    }
    if (!found || n != l->text.len) return;
    replace(l, n, n, found + n, agreed - n);
    if (count == 1) replace(l, l->cursor, l->cursor, " ", 1);
}

void line_begin(Line *l) {
    l->text.len = l->cursor = l->pending.len = l->above.len = l->column = 0;
    buf_str(&l->text, "");
    l->at = l->history_count;
    l->pasting = false;
}

void line_remember(Line *l) {
    const Buf *newest = l->history_count ? &l->history[l->history_count - 1] : NULL;
    if (!l->text.len || (newest && newest->len == l->text.len && !memcmp(newest->data, l->text.data, newest->len))) return;
    if (l->history_count == l->history_room) l->history_room = 2 * l->history_room + 8, l->history = mem_resize(l->history, l->history_room, sizeof(Buf));
    put_text(&l->history[l->history_count++], &l->text);
}

void line_free(Line *l) {
    for (size_t i = 0; i < l->history_count; i++) buf_free(&l->history[i]);
    mem_free(l->history);
    buf_free(&l->text), buf_free(&l->typed), buf_free(&l->pending), buf_free(&l->above);
    *l = (Line){0};
}

/* ---- keys ---- */

enum { CTRL = 0x1F, ESC = 27, BACKSPACE = 127 }; /* CTRL & 'A' is Ctrl-A */

static LineEvent control(Line *l, unsigned char key) {
    bool asked = l->asked;
    l->asked = false;
    switch (key) {
    case CTRL & 'A': l->cursor = 0; break;
    case CTRL & 'B': l->cursor = char_before(l, l->cursor); break;
    case CTRL & 'C':
        l->asked = !l->text.len;
        return asked ? LINE_QUIT : LINE_DROPPED;
    case CTRL & 'D':
        if (!l->text.len) return LINE_ENDED;
        replace(l, l->cursor, next_char(l, l->cursor), "", 0);
        break;
    case CTRL & 'E': l->cursor = l->text.len; break;
    case CTRL & 'F': l->cursor = next_char(l, l->cursor); break;
    case CTRL & 'H':
    case BACKSPACE: replace(l, char_before(l, l->cursor), l->cursor, "", 0); break;
    case CTRL & 'I': complete(l); break;
    case CTRL & 'J': /* Enter, typed before it was asked for */
    case CTRL & 'M': return LINE_DONE;
    case CTRL & 'K': replace(l, l->cursor, l->text.len, "", 0); break;
    case CTRL & 'L': l->clear = true; break;
    case CTRL & 'N': show_history(l, l->at + 1); break;
    case CTRL & 'P': show_history(l, l->at - 1); break; /* of 0: beyond every one */
    case CTRL & 'U': replace(l, 0, l->cursor, "", 0); break;
    case CTRL & 'W': replace(l, word_before(l, l->cursor), l->cursor, "", 0); break;
    case CTRL & 'Z': return LINE_SUSPENDED;
    }
    return LINE_GOES_ON;
}

/* A key that is a sequence of bytes, whole in pending: as a control key where there is one. */
static LineEvent sequence(Line *l) {
    static const struct {
        const char *bytes;
        unsigned char key;
    } same[] = {{"[A", CTRL & 'P'},  {"[B", CTRL & 'N'},  {"[C", CTRL & 'F'},  {"[D", CTRL & 'B'},  {"[H", CTRL & 'A'},  {"[F", CTRL & 'E'},
                {"OA", CTRL & 'P'},  {"OB", CTRL & 'N'},  {"OC", CTRL & 'F'},  {"OD", CTRL & 'B'},  {"OH", CTRL & 'A'},  {"OF", CTRL & 'E'},
                {"[1~", CTRL & 'A'}, {"[7~", CTRL & 'A'}, {"[4~", CTRL & 'E'}, {"[8~", CTRL & 'E'}, {"\177", CTRL & 'W'}, {"\b", CTRL & 'W'}};
    char bytes[32];
    size_t n = l->pending.len - 1; /* without ESC */
    memcpy(bytes, l->pending.data + 1, n);
    bytes[n] = 0;
    l->pending.len = 0;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!strcmp(bytes, same[i].bytes)) return control(l, same[i].key);
    if (!strcmp(bytes, "[200~")) l->pasting = true;
    else if (!strcmp(bytes, "[3~")) replace(l, l->cursor, next_char(l, l->cursor), "", 0);
    else if (!strcmp(bytes, "\r") || !strcmp(bytes, "\n")) replace(l, l->cursor, l->cursor, "\n", 1); /* Alt-Enter */
    else if (!strcmp(bytes, "b") || !strcmp(bytes, "[1;5D") || !strcmp(bytes, "[1;3D")) l->cursor = word_before(l, l->cursor);
    else if (!strcmp(bytes, "f") || !strcmp(bytes, "[1;5C") || !strcmp(bytes, "[1;3C")) l->cursor = word_after(l, l->cursor);
    else if (!strcmp(bytes, "d")) replace(l, l->cursor, word_after(l, l->cursor), "", 0);
    return LINE_GOES_ON;
}

/* A byte behind ESC: ESC [ ... final, ESC O final, or ESC and a key (Alt). What belongs to none of these is a key of its own. */
static LineEvent escape(Line *l, unsigned char byte) {
    enum { LONGEST = 31 };
    bool alt = l->pending.len == 1, alone = alt && (byte == '\r' || byte == '\n' || byte == '\b');
    if ((byte < 0x20 && !alone) || byte >= 0x80) return l->pending.len = 0, line_key(l, byte);
    buf_char(&l->pending, (char)byte);
    bool inner = l->pending.len == 3 && byte == '['; /* the function keys of Linux's own terminal: ESC [ [ A */
    if (alt ? byte == '[' || byte == 'O' : (byte < 0x40 || inner) && l->pending.len < LONGEST) return LINE_GOES_ON;
    return sequence(l);
}

static LineEvent paste(Line *l, unsigned char byte) {
    static const char end[] = "\033[201~";
    size_t n = sizeof end - 1;
    buf_char(&l->pending, (char)byte);
    if (byte != '~' || l->pending.len < n || memcmp(l->pending.data + l->pending.len - n, end, n) != 0) return LINE_GOES_ON;
    l->pending.len -= n, l->pasting = false;
    while (l->pending.len && strchr("\r\n", l->pending.data[l->pending.len - 1])) l->pending.len--; /* lines are copied with their ends */
    insert_pending(l);
    return LINE_GOES_ON;
}

LineEvent line_key(Line *l, unsigned char byte) {
    if (l->pasting) return paste(l, byte);
    if (l->pending.len && l->pending.data[0] == ESC) return escape(l, byte);
    if (l->pending.len && (byte & 0xC0) != 0x80) insert_pending(l); /* a character that was cut short */
    if (byte != ESC && (byte < 0x20 || byte == BACKSPACE)) return control(l, byte);
    buf_char(&l->pending, (char)byte);
    l->asked = false;
    unsigned first = (unsigned char)l->pending.data[0];
    if (byte != ESC && l->pending.len >= (first < 0xC2 ? 1u : first < 0xE0 ? 2u : first < 0xF0 ? 3u : first < 0xF5 ? 4u : 1u)) insert_pending(l);
    return LINE_GOES_ON;
}

/* ---- the screen ---- */

enum { TAB = 2 }; /* cells that are shown for one */

typedef struct {
    size_t row, column, rows; /* where the cursor is, and how many there are */
} Layout;

static void spaces(Buf *out, size_t n) {
    while (n--) buf_char(out, ' ');
}

/* Breaks the text into rows of at most `width` cells, each behind an indent. out receives rows first..first+count-1; above the widths of those of them that
 * stand above the cursor's; it may be NULL, and out where count is 0. */
static Layout lay_out(const Line *l, size_t width, size_t indent, size_t first, size_t count, Buf *out, Buf *above) {
    Layout at = {0};
    size_t row = 0, column = indent;
    for (size_t i = 0, n;; i += n) {
        uint32_t c = 0;
        n = next_char(l, i) - i;
        if (n) code_point(l, i, &c);
        size_t cells = c == '\t' ? TAB : (size_t)char_width(c);
        if (column + cells > width || (i && l->text.data[i - 1] == '\n')) {
            if (above && i <= l->cursor && row >= first) buf_put(above, &column, sizeof column);
            row++, column = indent;
            if (row > first && row < first + count) buf_str(out, "\r\n"), spaces(out, indent);
        }
        if (i == l->cursor) at.row = row, at.column = column;
        if (!n) break;
        if (row >= first && row < first + count && c != '\n') {
            if (c == '\t') spaces(out, TAB);
            else buf_put(out, bytes_at(l, i), n);
        }
        column += cells;
    }
    at.rows = row + 1;
    return at;
}

void line_draw(Line *l, const char *prompt, size_t columns, size_t rows, Buf *out) {
    /* The last column stays free: a terminal that has written there is not sure in which row it is. */
    size_t width = columns > 3 ? columns - 1 : 2, n = strlen(prompt), indent = n + 2 <= width ? n : 0, up = l->column / columns;
    for (size_t i = 0, was; i < l->above.len; i += sizeof was) { /* a window that has become narrow has broken the rows that were there */
        memcpy(&was, l->above.data + i, sizeof was);
        up += was > columns ? (was + columns - 1) / columns : 1;
    }
    if (l->clear) buf_str(out, "\033[H");
    else if (up) buf_format(out, "\r\033[%zuA", up);
    buf_str(out, "\r\033[J");
    Layout at = lay_out(l, width, indent, 0, 0, NULL, NULL);
    size_t first = at.row < rows ? 0 : at.row + 1 - rows, last = at.rows < first + rows ? at.rows - 1 : first + rows - 1;
    if (first) spaces(out, indent);
    else if (indent) buf_str(out, prompt);
    l->above.len = 0, l->clear = false;
    lay_out(l, width, indent, first, rows, out, &l->above);
    if (last > at.row) buf_format(out, "\033[%zuA", last - at.row);
    buf_str(out, "\r");
    if (at.column) buf_format(out, "\033[%zuC", at.column);
    l->column = at.column;
}

static void show(Line *l, const char *prompt, const char *behind) {
    Buf out = {0};
    line_draw(l, prompt, (size_t)os_terminal_columns(), (size_t)os_terminal_rows(), &out);
    buf_str(&out, behind);
    fwrite(out.data, 1, out.len, stderr);
    buf_free(&out);
}

LineEvent line_read(Line *l, const char *prompt, Buf *text) {
    if (!os_keys_begin()) return LINE_NONE;
    LineEvent event = LINE_GOES_ON;
    line_begin(l);
    while (event == LINE_GOES_ON) {
        if (l->input_at == l->input_end) {
            show(l, prompt, "");
            l->input_at = 0, l->input_end = os_keys_read(l->input, sizeof l->input);
        }
        event = l->input_end ? line_key(l, l->input[l->input_at++]) : LINE_ENDED;
        if (event == LINE_GOES_ON) continue;
        size_t cursor = l->cursor;
        l->cursor = l->text.len;
        show(l, prompt, event == LINE_DROPPED && l->asked ? "\r\nCtrl-C again, or Ctrl-D, ends the program\r\n" : "\r\n");
        if (event != LINE_SUSPENDED) break;
        os_keys_suspend();
        l->cursor = cursor, l->above.len = l->column = 0;
        event = LINE_GOES_ON;
        show(l, prompt, "");
    }
    os_keys_end();
    if (event == LINE_DONE) line_remember(l), put_text(text, &l->text);
    return event;
}
