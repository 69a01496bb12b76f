#include "regex.h"

#include "unicode.h"

#include <string.h>

enum { MOST_STEPS = 20000, MOST_REPEATS = 1000, MOST_DEPTH = 10, MOST_ATOMS = 1000000 };

/* A program: SET takes a character of set x; SPLIT goes on at x and at y; the others take nothing. */
typedef enum { SET, SPLIT, JUMP, BEGIN_TEXT, END_TEXT, WORD_EDGE, MATCH } Op;
typedef struct {
    Op op;
    size_t x, y;
} Step;

typedef enum { RANGE, DIGIT, WORD, SPACE } ItemKind;
typedef struct {
    ItemKind kind;
    bool inverted;                    /* \D, \W, \S */
    uint32_t first, last;             /* RANGE */
} Item;
typedef struct {
    size_t first, count;              /* of the items */
    bool inverted;
} Set;

struct Regex {
    Step *steps;
    Item *items;
    Set *sets;
    size_t count, item_count, set_count, room, item_room, set_room;
};

typedef struct {
    Regex *r;
    const char *pattern, *at, *end, *where;
    int depth;
    size_t atoms;                     /* atoms and items read so far, those that are read again among them */
} Parser;

static _Noreturn void refuse(const Parser *p, const char *what) {
    bad_input("%s: the regular expression \"%.300s\": %s at character %zu is not understood; known are characters, . [a-z] ( ) | * + ? {2,5} ^ $ "
              "\\d \\w \\s \\b",
              p->where, p->pattern, what, (size_t)(p->at - p->pattern) + 1);
}

/* ---- compiling ---- */

static size_t emit(Parser *p, Op op, size_t x, size_t y) {
    Regex *r = p->r;
    if (r->count == MOST_STEPS) refuse(p, "so much repetition");
    if (r->count == r->room) r->room = 2 * r->room + 64, r->steps = mem_resize(r->steps, r->room, sizeof *r->steps);
    r->steps[r->count] = (Step){op, x, y};
    return r->count++;
}

static void add_item(Parser *p, Item item) {
    Regex *r = p->r;
    if (++p->atoms > MOST_ATOMS) refuse(p, "so much repetition");
    if (r->item_count == r->item_room) r->item_room = 2 * r->item_room + 64, r->items = mem_resize(r->items, r->item_room, sizeof *r->items);
    r->items[r->item_count++] = item;
    r->sets[r->set_count - 1].count++;
}

/* A new set, and the step that takes a character of it. */
static void begin_set(Parser *p, bool inverted) {
    Regex *r = p->r;
    if (r->set_count == r->set_room) r->set_room = 2 * r->set_room + 64, r->sets = mem_resize(r->sets, r->set_room, sizeof *r->sets);
    r->sets[r->set_count++] = (Set){.first = r->item_count, .inverted = inverted};
    emit(p, SET, r->set_count - 1, 0);
}

static uint32_t next_char(Parser *p) {
    uint32_t c;
    p->at += utf8_next((const unsigned char *)p->at, (size_t)(p->end - p->at), &c);
    return c;
}

static bool is_next(const Parser *p, char c) { return p->at < p->end && *p->at == c; }

/* Behind a backslash: an item. */
static Item read_escape(Parser *p) {
    static const char names[] = "dwsDWS", plain[] = "ntrfv", means[] = "\n\t\r\f\v";
    if (p->at == p->end) refuse(p, "the \\");
    const char *class = strchr(names, *p->at), *control = strchr(plain, *p->at);
    if (*p->at && class) {
        p->at++;
        return (Item){.kind = (ItemKind)(DIGIT + (class - names) % 3), .inverted = class - names >= 3};
    }
    if (*p->at && control) { /* strchr finds the 0 at a name's end, too */
        p->at++;
        return (Item){.first = (uint32_t)means[control - plain], .last = (uint32_t)means[control - plain]};
    }
    const char *from = p->at;
    uint32_t c = next_char(p);
    if (char_class(c) == CHAR_LETTER || char_class(c) == CHAR_NUMBER || c == 0) p->at = from, refuse(p, "the escape");
    return (Item){.first = c, .last = c};
}

/* Behind '[', up to and with ']'. */
static void read_set(Parser *p) {
    bool inverted = is_next(p, '^');
    p->at += inverted;
    begin_set(p, inverted);
    for (bool first = true; first || !is_next(p, ']'); first = false) {
        if (p->at == p->end) refuse(p, "a [ without its ]");
        uint32_t c = next_char(p);
        Item item = {.first = c, .last = c};
        if (c == '\\') item = read_escape(p);
        if (item.kind == RANGE && is_next(p, '-') && p->at + 1 < p->end && p->at[1] != ']') {
            p->at++;
            c = next_char(p);
            Item end = {.first = c, .last = c};
            if (c == '\\') end = read_escape(p);
            if (end.kind != RANGE || end.first < item.first) refuse(p, "the range");
            item.last = end.first;
        }
        add_item(p, item);
    }
    p->at++;
}

static void parse_alternatives(Parser *p);

static void parse_atom(Parser *p) {
    char c = *p->at;
    if (++p->atoms > MOST_ATOMS) refuse(p, "so much repetition");
    switch (c) {
    case '(':
        p->at++;
        if (is_next(p, '?')) {
            if (p->end - p->at < 2 || p->at[1] != ':') refuse(p, "(?");
            p->at += 2;
        }
        if (++p->depth > MOST_DEPTH) refuse(p, "so deep a (");
        parse_alternatives(p);
        if (!is_next(p, ')')) refuse(p, "a ( without its )");
        p->at++, p->depth--;
        return;
    case '[': p->at++, read_set(p); return;
    case '^': p->at++, emit(p, BEGIN_TEXT, 0, 0); return;
    case '$': p->at++, emit(p, END_TEXT, 0, 0); return;
    case '*':
    case '+':
    case '?':
    case '{':
    case '}': refuse(p, "the quantifier");
    case '.':
        p->at++;
        begin_set(p, true);
        add_item(p, (Item){.first = '\n', .last = '\n'});
        return;
    case '\\':
        p->at++;
        if (is_next(p, 'b')) {
            p->at++, emit(p, WORD_EDGE, 0, 0);
            return;
        }
        begin_set(p, false);
        add_item(p, read_escape(p));
        return;
    default: begin_set(p, false);
    }
    uint32_t x = next_char(p);
    add_item(p, (Item){.first = x, .last = x});
}

static size_t read_number(Parser *p) {
    size_t n = 0;
    const char *from = p->at;
    while (p->at < p->end && *p->at >= '0' && *p->at <= '9' && n <= MOST_REPEATS) n = 10 * n + (size_t)(*p->at++ - '0');
    if (p->at == from || n > MOST_REPEATS) refuse(p, "the number of repetitions");
    return n;
}

/* Behind an atom: how often it comes, most SIZE_MAX without end. */
static void read_quantifier(Parser *p, size_t *least, size_t *most) {
    char c = p->at < p->end ? *p->at : 0;
    *least = c == '*' || c == '?' ? 0 : 1;
    *most = c == '*' || c == '+' ? SIZE_MAX : 1;
    if (c == '{') {
        p->at++;
        *least = *most = read_number(p);
        if (is_next(p, ',')) {
            p->at++;
            *most = is_next(p, '}') ? SIZE_MAX : read_number(p);
        }
        if (!is_next(p, '}') || *most < *least) refuse(p, "the quantifier");
    } else if (c != '*' && c != '+' && c != '?') return;
    p->at++;
    p->at += is_next(p, '?');
}

/* An atom's steps are written anew for each time that it comes:  a{2,4} is a a (a (a)?)?,  a{2,} is a a a*. */
static void parse_repeated(Parser *p) {
    Regex *r = p->r;
    const char *from = p->at;
    size_t start = r->count, items = r->item_count, sets = r->set_count, least, most;
    parse_atom(p);
    read_quantifier(p, &least, &most);
    const char *behind = p->at;
    if (least == 1 && most == 1) return;
    r->count = start, r->item_count = items, r->set_count = sets;
    for (size_t i = 0; i < least; i++) p->at = from, parse_atom(p);
    if (most == SIZE_MAX) {
        size_t split = emit(p, SPLIT, r->count + 1, 0);
        p->at = from, parse_atom(p);
        emit(p, JUMP, split, 0);
        r->steps[split].y = r->count;
    } else
        for (size_t i = least; i < most; i++) {
            emit(p, SPLIT, r->count + 1, SIZE_MAX);
            p->at = from, parse_atom(p);
        }
    for (size_t i = start; i < r->count; i++) /* those splits leave to the end of all */
        if (r->steps[i].op == SPLIT && r->steps[i].y == SIZE_MAX) r->steps[i].y = r->count;
    p->at = behind;
}

static void parse_alternatives(Parser *p) {
    Regex *r = p->r;
    size_t jumps = SIZE_MAX;          /* the branches' last steps, one linked to the one before by x */
    for (;;) {
        size_t split = emit(p, SPLIT, r->count + 1, 0);
        while (p->at < p->end && *p->at != '|' && *p->at != ')') parse_repeated(p);
        if (!is_next(p, '|')) {
            r->steps[split].op = JUMP; /* the last branch has no other beside it */
            break;
        }
        p->at++;
        jumps = emit(p, JUMP, jumps, 0);
        r->steps[split].y = r->count;
    }
    while (jumps != SIZE_MAX) {
        size_t next = r->steps[jumps].x;
        r->steps[jumps].x = r->count;
        jumps = next;
    }
}

Regex *regex_new(const char *pattern, size_t n, const char *where) {
    Regex *r = mem_new(1, sizeof *r);
    char *copy = str_copy_n(pattern, n);
    Parser p = {.r = r, .pattern = copy, .at = copy, .end = copy + n, .where = where};
    parse_alternatives(&p);
    if (p.at < p.end) refuse(&p, "a ) without its (");
    emit(&p, MATCH, 0, 0);
    mem_free(copy);
    return r;
}

void regex_free(Regex *r) {
    if (!r) return;
    mem_free(r->steps), mem_free(r->items), mem_free(r->sets), mem_free(r);
}

/* ---- matching ---- */

static bool is_word(uint32_t c) { return c == '_' || char_class(c) == CHAR_LETTER || char_class(c) == CHAR_NUMBER; }

static bool fits(const Regex *r, size_t set, uint32_t c) {
    const Set *s = &r->sets[set];
    for (size_t i = s->first; i < s->first + s->count; i++) {
        const Item *x = &r->items[i];
        bool in = false;
        switch (x->kind) {
        case RANGE: in = c >= x->first && c <= x->last; break;
        case DIGIT: in = c >= '0' && c <= '9'; break;
        case WORD: in = is_word(c); break;
        case SPACE: in = char_class(c) == CHAR_SPACE; break;
        }
        if (in != x->inverted) return !s->inverted;
    }
    return s->inverted;
}

/* The steps that wait for the character at a place of the text, each once. */
typedef struct {
    const Regex *r;
    size_t *waiting, count;
    size_t *seen, round;              /* [steps]: the round that reached it last */
    size_t *stack;
    bool begin, end, edge;            /* of the text, of a word: whether the place is one */
    bool ended;                       /* the program's end was reached here */
} Place;

/* From a step on, follows all that takes no character. */
static void reach(Place *p, size_t from) {
    size_t depth = 0;
    p->stack[depth++] = from;
    while (depth) {
        size_t at = p->stack[--depth];
        if (p->seen[at] == p->round) continue;
        p->seen[at] = p->round;
        const Step *s = &p->r->steps[at];
        switch (s->op) {
        case SET: p->waiting[p->count++] = at; break;
        case SPLIT: p->stack[depth++] = s->y, p->stack[depth++] = s->x; break;
        case JUMP: p->stack[depth++] = s->x; break;
        case MATCH: p->ended = true; break;
        case BEGIN_TEXT:
        case END_TEXT:
        case WORD_EDGE:
            if (s->op == BEGIN_TEXT ? p->begin : s->op == END_TEXT ? p->end : p->edge) p->stack[depth++] = at + 1;
        }
    }
}

static bool run(const Regex *r, const char *text, size_t n, bool anywhere) {
    Place p = {.r = r, .waiting = mem_new(r->count, sizeof(size_t)), .seen = mem_new(r->count, sizeof(size_t)),
               .stack = mem_new(2 * r->count + 2, sizeof(size_t))};
    size_t *taken = mem_new(r->count, sizeof *taken), count = 0;   /* the steps behind those that took the last character */
    bool matched = false, before = false;
    for (size_t at = 0;;) {
        uint32_t c = CHAR_INVALID;
        size_t length = at < n ? utf8_next((const unsigned char *)text + at, n - at, &c) : 0;
        bool word = at < n && is_word(c);
        p.begin = at == 0, p.end = at == n, p.edge = word != before;
        p.ended = false, p.count = 0, p.round++;
        for (size_t i = 0; i < count; i++) reach(&p, taken[i]);
        if (at == 0 || anywhere) reach(&p, 0);
        matched = p.ended && (anywhere || at == n);
        if (matched || at == n) break;
        count = 0;
        for (size_t i = 0; i < p.count; i++)
            if (fits(r, r->steps[p.waiting[i]].x, c)) taken[count++] = p.waiting[i] + 1;
        before = word;
        at += length;
    }
    mem_free(p.waiting), mem_free(p.seen), mem_free(p.stack), mem_free(taken);
    return matched;
}

bool regex_found(const Regex *r, const char *text, size_t n) { return run(r, text, n, true); }
bool regex_full(const Regex *r, const char *text, size_t n) { return run(r, text, n, false); }
