/* The editor of lines: keys change a text; what is drawn is read by a small terminal of the test's own. */
#include "../line.h"
#include "../unicode.h"
#include "random.h"
#include "test.h"

#define LEFT "\033[D"
#define RIGHT "\033[C"
#define UP "\033[A"
#define DOWN "\033[B"
#define DELETE "\033[3~"
#define PASTE(text) "\033[200~" text "\033[201~"
#define ACUTE "\xCC\x81"
#define NIHON "日本"
#define LOST "\xEF\xBF\xBD"

/* The last event that was not LINE_GOES_ON. */
static LineEvent press_n(Line *l, const char *keys, size_t n) {
    LineEvent last = LINE_GOES_ON;
    for (size_t i = 0; i < n; i++) {
        LineEvent event = line_key(l, (unsigned char)keys[i]);
        if (event != LINE_GOES_ON) last = event;
    }
    return last;
}
static LineEvent press(Line *l, const char *keys) { return press_n(l, keys, strlen(keys)); }

/* The text with | where the cursor is. */
static const char *shown(const Line *l) {
    static Buf b;
    b.len = 0;
    buf_put(&b, l->text.data, l->cursor), buf_char(&b, '|'), buf_put(&b, l->text.data + l->cursor, l->text.len - l->cursor);
    return b.data;
}

static void test_keys(void) {
    static const struct {
        const char *keys, *text;
    } cases[] = {
        {"abc", "abc|"},
        {"abc" LEFT "X", "abX|c"},
        {"abc" LEFT LEFT LEFT LEFT RIGHT "X", "aX|bc"},
        {"abc\033OD\033OD\033OC", "ab|c"},
        {"abc\001X\005Y", "XabcY|"},
        {"abc\033[HX\033[FY\033[1~Z\033[4~", "ZXabcY|"},
        {"abc\033OHX\033OF\033[7~\033[8~", "Xabc|"},
        {"abc\002\002\006X", "abX|c"},
        {"abc\177\bX", "aX|"},
        {"\177" DELETE "a", "a|"},
        {"abc\001" DELETE "\004", "|c"},
        {"abc" DELETE, "abc|"},
        {"one two  three\027", "one two  |"},
        {"one two  \027", "one |"},
        {"one two\033\177\033\b", "|"},
        {"one two" LEFT "\025", "|o"},
        {"one two" LEFT LEFT "\013", "one t|"},
        {"one two\033b\033[1;5DX\033fY", "XoneY| two"},
        {"one two\001\033d", "| two"},
        {"a\033\rb", "a\nb|"},
        {"a\033[99;9Xb\033Qc\033[[Ad\033[24~e", "abcde|"},                            /* keys that mean nothing here */
        {"a\033[1\025b", "b|"},                                                       /* a control key ends a sequence, and is itself */
        {"a\033\033[Db", "b|a"},                                                      /* ESC typed before an arrow */
        {"a\033[111111111111111111111111111111111111b", "a1111111b|"},                 /* too long for a key */
        {"a\033" NIHON, "a" NIHON "|"},                                               /* ESC alone takes no character with it */
        {"a\023\021\016\020\034b", "ab|"},
        /* characters */
        {NIHON LEFT "x", "日x|本"},
        {NIHON "\177", "日|"},
        {NIHON "\001" DELETE, "|本"},
        {"e" ACUTE "x" LEFT LEFT, "|e" ACUTE "x"},
        {"e" ACUTE "\177", "|"},
        {"e" ACUTE "\001" DELETE, "|"},
        {"x" ACUTE "\001e" LEFT, "|ex" ACUTE},
        {ACUTE "\001e", "e" ACUTE "|"},                                               /* e takes the mark that stood alone: the cursor is behind both */
        {"a\033\r" ACUTE "\001\006\004", "a" ACUTE "|"},                               /* and so does a when the end of the line goes */
        {"👍🏽" LEFT "x", "👍x|🏽"},
        {"a\xE6\x97" "b", "a" LOST LOST "b|"},                                        /* cut short */
        {"\xFF\x80\xC0z", LOST LOST LOST "z|"},
        {"\xED\xA0\x80", LOST LOST LOST "|"},                                         /* a surrogate */
        {"\xC2\x85" "a", "a|"},                                                       /* a control character of two bytes */
        /* what is pasted */
        {PASTE("one\ntwo\r\nthree\rfour"), "one\ntwo\nthree\nfour|"},
        {"ad" LEFT PASTE("b\tc\n\n"), "ab\tc|d"},
        {PASTE("a\001\003\004\033[31mb\x7F"), "a[31mb|"},
        {PASTE("x\033[201") "y", "x[201y|"},
        {PASTE("\n\n"), "|"},
        {"\033[200~/re\t", "|"},
        {PASTE("e") ACUTE LEFT, "|e" ACUTE},
        /* commands */
        {"/s", "/s|"}, {"/s\t", "/s|"}, {"/sa\t", "/save |"}, {"/sax" LEFT "\t", "/sa|x"}, {"/re\t", "/re|"}, {"/x\t", "/x|"}, {"\t", "|"}, {"a/sa\t", "a/sa|"},
        {"/ret\tx", "/retry x|"}, {"/r\tt\t", "/retry |"}, {"/retry\t\t", "/retry |"}};
    static const char *const words[] = {"/retry", "/reset", "/system", "/save"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Line l = {.words = words, .word_count = 4};
        line_begin(&l);
        LineEvent event = press(&l, cases[i].keys);
        CHECK(event == LINE_GOES_ON && !strcmp(shown(&l), cases[i].text), "case %zu gave %d, %s, not %s", i, event, shown(&l), cases[i].text);
        line_free(&l);
    }
}

static void test_events(void) {
    static const struct {
        const char *keys;
        LineEvent event;
        const char *text;
    } cases[] = {{"a" LEFT "b\r", LINE_DONE, "b|a"}, {"\n", LINE_DONE, "|"},       {"\xE6\r", LINE_DONE, LOST "|"}, {"\004", LINE_ENDED, "|"},
                 {"ab\001\004", LINE_GOES_ON, "|b"}, {"a\003", LINE_DROPPED, "a|"}, {"\003", LINE_DROPPED, "|"},     {"\003\003", LINE_QUIT, "|"},
                 {"\003a\003", LINE_DROPPED, "a|"},   {"\003a\177\003", LINE_DROPPED, "|"}, {"\003" LEFT "\003", LINE_DROPPED, "|"}, {"\003" PASTE("a") "\025\003", LINE_DROPPED, "|"},
                 {"\003\001\003", LINE_DROPPED, "|"}, {"a\003\025\003", LINE_DROPPED, "|"}, {"a\032", LINE_SUSPENDED, "a|"}, {"\033\003", LINE_DROPPED, "|"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Line l = {0};
        line_begin(&l);
        LineEvent event = press(&l, cases[i].keys);
        CHECK(event == cases[i].event && !strcmp(shown(&l), cases[i].text), "case %zu gave %d, %s", i, event, shown(&l));
        line_free(&l);
    }
    Line l = {0}; /* the two need not come to the same line */
    line_begin(&l);
    press(&l, "\003"), line_begin(&l);
    CHECK(press(&l, "\003") == LINE_QUIT);
    line_free(&l);
}

static void test_history(void) {
    static const char *const said[] = {"one", "two", "", "two", "th\nree"};
    static const struct {
        const char *keys, *text;
    } cases[] = {{UP, "th\nree|"},           {UP UP, "two|"},       {UP UP UP UP UP, "one|"},      {"new" UP DOWN "er", "newer|"},   {DOWN "a", "a|"},
                 {"\020\020\016", "th\nree|"}, {UP "x" UP DOWN, "th\nree|"}, {"n" UP UP "x" DOWN DOWN DOWN, "n|"}, {UP UP LEFT "x", "twx|o"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Line l = {0};
        for (size_t k = 0; k < 5; k++) {
            line_begin(&l);
            press(&l, "\033[200~"), press(&l, said[k]), press(&l, "\033[201~");
            CHECK(press(&l, "\r") == LINE_DONE);
            line_remember(&l);
        }
        line_begin(&l);
        CHECK(l.history_count == 3 && !l.text.len, "%zu lines", l.history_count);
        press(&l, cases[i].keys);
        CHECK(!strcmp(shown(&l), cases[i].text), "case %zu gave %s", i, shown(&l));
        line_free(&l);
    }
}

static void test_widths(void) {
    static const struct {
        uint32_t c;
        int width;
    } cases[] = {{'a', 1}, {0, 0},      {'\n', 0},   {0x7F, 0},   {0xE9, 1},   {0x300, 0},  {0x36F, 0},   {0x370, 1},   {0x200B, 0}, {0x200D, 0}, {0x2013, 1},
                 {0x1100, 2}, {0x1161, 0}, {0x231A, 2}, {0x2764, 1}, {0xFE0F, 0}, {0x3042, 2}, {0x4E00, 2}, {0xAC00, 2}, {0xFF21, 2}, {0xFF71, 1},
                 {0x1F600, 2}, {0x1F1E6, 1}, {0x1FAE8, 2}, {0x20000, 2}, {0x3FFFD, 2}, {0xE0100, 0}, {0x10FFFF, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK(char_width(cases[i].c) == cases[i].width, "U+%04X takes %d", (unsigned)cases[i].c, char_width(cases[i].c));
}

/* ---- a terminal ---- */

enum { MOST_ROWS = 24, MOST_COLUMNS = 50, CELL = 200 };
typedef struct {
    size_t rows, columns, row, column;
    size_t top;                                /* the row where the text began */
    size_t wrong;                              /* sequences unknown, writing beyond the last column or into it */
    char cells[MOST_ROWS][MOST_COLUMNS][CELL]; /* the second cell of a wide character is empty; "" shows as a space */
} Screen;

static void erase_below(Screen *s) {
    for (size_t c = s->column; c < MOST_COLUMNS; c++) s->cells[s->row][c][0] = 0;
    for (size_t r = s->row + 1; r < MOST_ROWS; r++)
        for (size_t c = 0; c < MOST_COLUMNS; c++) s->cells[r][c][0] = 0;
}

static size_t obey(Screen *s, const char *sequence) {
    size_t n = 0, at = 2;
    for (; sequence[at] >= '0' && sequence[at] <= '9'; at++) n = 10 * n + (size_t)(sequence[at] - '0');
    switch (sequence[at]) {
    case 'A': s->row -= n < s->row ? n : s->row; break;
    case 'C': s->column = s->column + n < s->columns ? s->column + n : s->columns - 1; break;
    case 'H': s->row = s->column = 0; break;
    case 'J': erase_below(s); break;
    default: s->wrong++;
    }
    s->wrong += at > 2 && !n;
    return at + 1;
}

static void put(Screen *s, const char *bytes, size_t n, size_t cells) {
    if (s->column + cells >= s->columns + (s->columns < 4)) s->wrong++; /* at three columns two are needed */
    size_t at = s->column;
    if (!cells && at) at -= at > 1 && !s->cells[s->row][at - 1][0] ? 2 : 1;
    char *cell = s->cells[s->row][at];
    uint32_t before = 'a';
    if (*cell) utf8_next((const unsigned char *)cell, strlen(cell), &before);
    size_t had = cells && char_width(before) ? 0 : strlen(cell); /* a mark in the first column has nothing before it */
    if (had + n >= CELL || at + cells >= MOST_COLUMNS) s->wrong++;
    else memcpy(cell + had, bytes, n), cell[had + n] = 0;
    if (cells == 2) s->cells[s->row][at + 1][0] = 0;
    s->column += cells;
}

static void print(Screen *s, const Buf *out) {
    for (size_t i = 0, n; i < out->len; i += n) {
        uint32_t c;
        n = utf8_next((const unsigned char *)out->data + i, out->len - i, &c);
        if (c == '\033' && out->data[i + 1] == '[') n = obey(s, out->data + i);
        else if (c == '\r') s->column = 0;
        else if (c == '\n' && s->row + 1 < s->rows) s->row++;
        else if (c == '\n') {
            memmove(s->cells[0], s->cells[1], sizeof s->cells[0] * (s->rows - 1));
            memset(s->cells[s->rows - 1], 0, sizeof s->cells[0]);
        } else if (c < 0x20 || c == 0x7F || c == CHAR_INVALID) s->wrong++;
        else put(s, out->data + i, n, (size_t)char_width(c));
    }
}

/* The rows, each without the spaces at its end, with | where the cursor is. */
static const char *screen_text(const Screen *s) {
    static Buf b;
    b.len = 0;
    buf_str(&b, "");
    for (size_t r = 0; r < s->rows; r++) {
        size_t end = b.len;
        bool wide = false; /* this cell is the second of a wide character */
        for (size_t c = 0; c < s->columns; c++) {
            const char *cell = s->cells[r][c];
            uint32_t first = ' ';
            if (r == s->row && c == s->column) buf_char(&b, '|'), end = b.len;
            if (*cell) utf8_next((const unsigned char *)cell, strlen(cell), &first);
            if (!wide) buf_str(&b, *cell ? cell : " ");
            wide = !wide && char_width(first) == 2;
            if (first != ' ') end = b.len;
        }
        b.len = end;
        buf_char(&b, '\n');
    }
    while (b.len > 1 && b.data[b.len - 1] == '\n' && b.data[b.len - 2] == '\n') b.len--;
    b.data[b.len] = 0;
    return b.data;
}

static void draw(Line *l, Screen *s) {
    Buf out = {0};
    line_draw(l, "> ", s->columns, s->rows, &out);
    print(s, &out);
    buf_free(&out);
}

static void test_drawing(void) {
    static const struct {
        size_t columns, rows;
        const char *keys, *screen;
    } cases[] = {{20, 5, "", "> |\n"},
                 {20, 5, "abc" LEFT, "> ab|c\n"},
                 {20, 5, NIHON "e" ACUTE "x" LEFT, "> " NIHON "e" ACUTE "|x\n"},
                 {11, 5, "abcdefgh", "> abcdefgh|\n"},
                 {11, 5, "abcdefghi", "> abcdefgh\n  i|\n"},
                 {11, 5, "abcdefghi" LEFT, "> abcdefgh\n  |i\n"},
                 {12, 5, "日本日本日", "> 日本日本\n  日|\n"}, /* half a cell stays free */
                 {11, 5, PASTE("ab\ncd\n\n\tx"), "> ab\n  cd\n\n    x|\n"},
                 {11, 2, PASTE("ab\ncd\nef\ngh") LEFT, "  ef\n  g|h\n"},
                 {11, 2, PASTE("ab\ncd\nef\ngh") "\001", "> |ab\n  cd\n"},
                 {5, 5, "abc", "> ab\n  c|\n"},
                 {4, 5, "abcd", "abc\nd|\n"},
                 {3, 5, "a日b", "a\n日\nb|\n"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Line l = {0};
        Screen s = {.rows = cases[i].rows, .columns = cases[i].columns};
        line_begin(&l);
        for (const char *key = cases[i].keys; *key; key++) {
            draw(&l, &s);
            line_key(&l, (unsigned char)*key);
        }
        draw(&l, &s);
        CHECK(!s.wrong && !strcmp(screen_text(&s), cases[i].screen), "case %zu shows\n%s", i, screen_text(&s));
        press(&l, "\014"); /* Ctrl-L: the same at the top */
        draw(&l, &s);
        CHECK(!strcmp(screen_text(&s), cases[i].screen), "case %zu anew shows\n%s", i, screen_text(&s));
        line_free(&l);
    }
}

/* A terminal that is made narrower breaks its rows: those are found and drawn over. */
static void test_narrower(void) {
    Line l = {0};
    Screen s = {.rows = 10, .columns = 20};
    Buf out = {0};
    line_begin(&l);
    press(&l, "abcdefghijklmnopqrstuvwxyz" LEFT);
    draw(&l, &s);
    s = (Screen){.rows = 10, .columns = 10};
    buf_str(&out, "above\r\n> abcdefgh\r\nijklmnopq\r\n  rstuvwxy\r\nz\033[1A\r\033[1C"); /* two rows of 19 and 11 as four of 10 */
    print(&s, &out);
    s.wrong = 0, s.row = 4, s.column = 0; /* on z, the column 10 of the second */
    draw(&l, &s);
    CHECK(!s.wrong && !strcmp(screen_text(&s), "above\n> abcdefg\n  hijklmn\n  opqrstu\n  vwxy|z\n"), "%s", screen_text(&s));
    buf_free(&out), line_free(&l);
}

/* ---- any keys ---- */

static void check_state(const Line *l) {
    const unsigned char *text = (const unsigned char *)l->text.data;
    bool controls = false, border = l->cursor <= l->text.len;
    uint32_t c;
    for (size_t i = 0; i < l->text.len; i++) controls |= (text[i] < 0x20 && text[i] != '\t' && text[i] != '\n') || text[i] == 0x7F;
    if (border && l->cursor && l->cursor < l->text.len) {
        utf8_next(text + l->cursor, l->text.len - l->cursor, &c);
        border = c != CHAR_INVALID && (c < 0x80 || char_width(c) || text[l->cursor - 1] == '\n');
    }
    CHECK(utf8_valid(text, l->text.len) && !controls && border && text[l->text.len] == 0, "%s", shown(l));
}

static size_t compared; /* screens on which the whole text had room */

/* Drawn over what was drawn, the rows are those of a drawing on an empty screen, with nothing below; and the text is in them, when it has room. */
static void check_screen(Line *l, Screen *s) {
    static Screen fresh;
    Buf want = {0}, found = {0};
    Line copy = *l;
    fresh = (Screen){.rows = s->rows, .columns = s->columns};
    copy.above = (Buf){0}, copy.column = 0;
    bool clear = l->clear;
    draw(l, s), draw(&copy, &fresh);
    CHECK(!s->wrong && s->column == fresh.column && s->row >= fresh.row, "%zu wrong, column %zu", s->wrong, s->column);
    size_t top = s->row - fresh.row, height = 0;
    while (height < s->rows && fresh.cells[height][0][0]) height++;
    if (s->columns >= 5) /* where rows are indented they can be counted: it began where it did, or higher because of what scrolled */
        CHECK(top == (clear ? 0 : s->top + height > s->rows ? s->rows - height : s->top), "from row %zu to row %zu", s->top, top);
    s->top = top;
    bool same = true, filled = fresh.cells[s->rows - 1][0][0] != 0 || fresh.row + 1 == s->rows;
    for (size_t r = 0; r < s->rows; r++)
        for (size_t c = 0; c < s->columns; c++) {
            const char *cell = fresh.cells[r][c];
            if (r + top < s->rows) same &= !strcmp(cell, s->cells[r + top][c]);
            else same &= !*cell;
            if (*cell != ' ') buf_str(&found, cell);
            else buf_str(&found, cell + 1);
        }
    CHECK(same, "drawn over: %s", screen_text(s));
    if (s->columns >= 5) buf_str(&want, "> ");
    buf_put(&want, l->text.data, l->text.len);
    size_t kept = 0;
    for (size_t i = 0; i < want.len; i++)
        if (!strchr(" \t\n", want.data[i])) want.data[kept++] = want.data[i];
    want.len = kept;
    compared += !filled;
    CHECK(filled || (want.len == found.len && !memcmp(want.data, found.data, kept)), "the text is not there: %s", screen_text(&fresh));
    buf_free(&want), buf_free(&found), buf_free(&copy.above);
}

static void test_any_keys(void) {
    static const char *const keys[] = {"a", "b", " ", "日", "e" ACUTE, "\xE0\xA4\x95\xE0\xA5\x8D", "👍", ACUTE, "\t", "\r", "\n", "\003", "\004", "\001", "\005", "\013", "\014",
                                       "\025", "\027", "\032", LEFT, RIGHT, LEFT, LEFT, UP, DOWN, UP, DELETE, "\177", "\033\r", "\033b", "\033f", "\033d", "/sa\t",
                                       PASTE("one\n\ttwo 日本\n"), PASTE("a long text that wraps wherever the window ends"), "\033[200~", "\033[201~", "\xE6", "\033"};
    static const char *const words[] = {"/save", "/say"};
    static Screen s;
    size_t longest = 0, done = 0;
    for (int trial = 0; trial < 400; trial++) {
        Line l = {.words = words, .word_count = 2};
        line_begin(&l);
        s = (Screen){.rows = 1 + random_below(12), .columns = trial % 4 ? 3 + random_below(12) : 3 + random_below(MOST_COLUMNS - 4)};
        for (int i = 0; i < 60; i++) {
            char byte = (char)random_below(256);
            bool any = random_below(5) == 0;
            const char *key = keys[random_below(sizeof keys / sizeof *keys)];
            LineEvent event = any ? press_n(&l, &byte, 1) : press(&l, key);
            check_state(&l);
            if (l.text.len < 60) check_screen(&l, &s); /* more marks than that on one character have no room in a cell */
            else press(&l, "\005\025"), check_screen(&l, &s);
            longest = l.text.len > longest ? l.text.len : longest;
            if (event == LINE_GOES_ON || event == LINE_SUSPENDED) continue;
            if (event == LINE_DONE) line_remember(&l), done++;
            line_begin(&l);
            size_t row = random_below((uint32_t)s.rows);
            s = (Screen){.rows = s.rows, .columns = s.columns, .row = row, .top = row};
        }
        line_free(&l);
    }
    CHECK(longest > 30 && done > 400 && compared > 5000, "%zu bytes, %zu lines, %zu screens compared", longest, done, compared);
}

TESTS({"keys", test_keys}, {"events", test_events}, {"history", test_history}, {"widths", test_widths}, {"drawing", test_drawing}, {"narrower", test_narrower},
      {"any keys", test_any_keys})
