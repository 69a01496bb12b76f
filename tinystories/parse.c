/* parse: understanding. The walk of stories.c in which every choice is tried and the text decides.
 *
 * A choice costs as many attempts as it has alternatives, nearly all of which fail at their first letter; only where two
 * alternatives begin alike does the reader go on with both. Every complete way through is a derivation, and the
 * probability of the text is the sum over them. (This grammar has one for each text; the reader does not rely on it.)
 *
 * A single sentence is read with empty registers: a register that is told before it was set may hold any word that some
 * rule puts into it, from then on the same one.
 */
#include "world.h"

#include "../fp.h"

#include <assert.h>
#include <string.h>

/* Where to go on when an alternative is through. */
typedef struct Frame {
    const Op *op;
    const struct Frame *up;
} Frame;

typedef struct {
    const char *at;
    const Reg *regs;
    double bits, name_bits;
    bool capital;
} Place;

typedef struct {
    const char *end;
    bool sentence;      /* registers start empty, one derivation is enough */
    StoryReading found;
} Reader;

static void follow(Reader *r, const Op *op, const Frame *up, Place p);

static bool fits(const Reader *r, const Place *p, const char *text, size_t len) {
    if ((size_t)(r->end - p->at) < len) return false;
    char first = text[0];
    if (p->capital && first >= 'a' && first <= 'z') first = (char)(first - 'a' + 'A');
    return p->at[0] == first && !memcmp(p->at + 1, text + 1, len - 1);
}

static bool match(const Reader *r, Place *p, const char *text, size_t len) {
    if (!fits(r, p, text, len)) return false;
    p->at += len, p->capital = false;
    return true;
}

/* "a" or "an", whichever the word behind it asks for. */
static bool match_article(const Reader *r, Place *p) {
    if (!match(r, p, "a", 1)) return false;
    size_t left = (size_t)(r->end - p->at);
    bool n = left > 0 && p->at[0] == 'n';
    p->at += n, left -= n;
    return left > 1 && p->at[0] == ' ' && world_takes_an(p->at + 1, left - 1) == n;
}

/* Adds a derivation: log2(2^-a + 2^-b) = -b + log2(1 + 2^(b-a)), b the more probable one. */
static void arrive(Reader *r, const Place *p) {
    if (p->at != r->end) return;
    StoryReading *f = &r->found;
    if (f->derivations++ == 0) {
        f->facts = world_facts(p->regs);
        f->facts.bits = p->bits, f->facts.name_bits = p->name_bits;
        f->held_out = f->facts.hero >= 0 && f->facts.problem >= 0 && world_held_out(p->regs);
        return;
    }
    double a = f->facts.bits, b = p->bits, ln2 = 0.6931471805599453;
    if (a < b) a = p->bits, b = f->facts.bits;
    f->facts.bits = b - d_log(1 + d_exp((b - a) * ln2)) / ln2;
}

static void try_alternatives(Reader *r, const Op *op, const Frame *up, Place p) {
    const World *w = world();
    const Rule *rule = &w->rules[op->rule];
    Frame next = {op + 1, up};
    uint32_t total = world_total(p.regs, op->rule, op->reg);
    uint32_t weight = 0;
    double bits = 0;
    Reg regs[REGS_MAX];
    if (op->reg >= 0) memcpy(regs, p.regs, sizeof regs);
    for (uint32_t i = 0; i < rule->count; i++) {
        const Alt *alt = &rule->alts[i];
        if (r->sentence && r->found.derivations) return;
        if (rule->count > 1 && total < rule->total && !world_free(p.regs, op->rule, i, op->reg)) continue;
        if (op->kind == OP_RULE && alt->ops->kind == OP_TEXT && !fits(r, &p, alt->ops->text, alt->ops->len)) continue; /* most end here */
        Place q = p;
        if (rule->count > 1) {
            if (weight != alt->weight) bits = world_bits(total, weight = alt->weight);
            q.bits += bits;
            if (world_is_name(rule)) q.name_bits += bits;
        }
        if (op->reg >= 0) regs[op->reg] = (Reg){(int16_t)op->rule, (int16_t)i, (int16_t)rule->gender}, q.regs = regs;
        if (op->kind == OP_SILENT) follow(r, next.op, up, q);
        else follow(r, alt->ops, &next, q);
    }
}

/* Every word that an empty register may hold, of the gender that is known. */
static void try_fillings(Reader *r, const Op *op, const Frame *up, Place p) {
    const World *w = world();
    Reg regs[REGS_MAX];
    memcpy(regs, p.regs, sizeof regs);
    p.regs = regs;
    int gender = regs[op->reg].gender;
    for (int rule = 0; rule < w->rule_count; rule++) {
        if (!w->holds[op->reg][rule] || (gender && gender != w->rules[rule].gender)) continue;
        for (uint32_t i = 0; i < w->rules[rule].count && !r->found.derivations; i++) {
            if (!world_free(p.regs, rule, i, op->reg)) continue;
            regs[op->reg] = (Reg){(int16_t)rule, (int16_t)i, (int16_t)w->rules[rule].gender};
            follow(r, op, up, p);
        }
        regs[op->reg] = (Reg){NO_RULE, 0, (int16_t)gender};
    }
}

static void try_genders(Reader *r, const Op *op, const Frame *up, Place p) {
    Reg regs[REGS_MAX];
    memcpy(regs, p.regs, sizeof regs);
    p.regs = regs;
    for (int gender = SHE; gender <= HE; gender++) {
        regs[op->reg].gender = (int16_t)gender;
        follow(r, op, up, p);
    }
}

static void follow(Reader *r, const Op *op, const Frame *up, Place p) {
    const World *w = world();
    for (;;) {
        p.capital |= op->capital;
        const Reg *reg = op->reg >= 0 ? &p.regs[op->reg] : NULL;
        switch (op->kind) {
        case OP_TEXT:
            if (!match(r, &p, op->text, op->len)) return;
            break;
        case OP_ARTICLE:
            if (!match_article(r, &p)) return;
            break;
        case OP_RULE:
        case OP_SILENT: try_alternatives(r, op, up, p); return;
        case OP_TELL:
            if (reg->rule == NO_RULE) {
                if (r->sentence) try_fillings(r, op, up, p);
                return;
            }
            follow(r, w->rules[reg->rule].alts[reg->alt].ops, &(Frame){op + 1, up}, p);
            return;
        case OP_PRONOUN: {
            if (r->sentence && reg->rule == NO_RULE && !reg->gender) {
                try_genders(r, op, up, p);
                return;
            }
            const char *pronoun = world_pronoun(reg->gender, op->pronoun);
            if (!match(r, &p, pronoun, strlen(pronoun))) return;
            break;
        }
        case OP_END:
            if (!up) {
                arrive(r, &p);
                return;
            }
            op = up->op, up = up->up;
            continue;
        }
        op++;
    }
}

static StoryReading read_from(const Op *ops, const char *text, size_t len, bool sentence) {
    Reg regs[REGS_MAX];
    for (int i = 0; i < REGS_MAX; i++) regs[i] = (Reg){NO_RULE, 0, NO_GENDER};
    Reader r = {.end = text + len, .sentence = sentence};
    follow(&r, ops, NULL, (Place){.at = text, .regs = regs});
    return r.found;
}

StoryReading story_read(const char *text, size_t len) { return read_from(world()->rules[0].alts[0].ops, text, len, false); }

/* ---- sentences ---- */

size_t sentence_length(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] != '.' && text[i] != '!' && text[i] != '?') continue;
        size_t end = i + 1;
        if (end < len && text[end] == '"') end++;
        if (end == len || text[end] == '\n') return end;
        /* "Why?" asked the owl: a small letter goes on with the sentence */
        if (text[end] == ' ' && !(end + 1 < len && text[end + 1] >= 'a' && text[end + 1] <= 'z')) return end;
    }
    return 0;
}

/* The alternatives of the rules, cut into sentences. An alternative that ends none is a part of one, or a frame. */
enum { PIECES_MAX = 512, PIECE_OPS_MAX = 8192 };
static const Op *pieces[PIECES_MAX];
static Op piece_pool[PIECE_OPS_MAX];
static size_t piece_count, piece_ops;

static void cut_alternative(const Op *op) {
    size_t start = piece_ops;
    for (; op->kind != OP_END; op++) {
        Op rest = *op;
        while (op->kind == OP_TEXT && rest.len) {
            assert(piece_ops + 3 < PIECE_OPS_MAX && piece_count < PIECES_MAX);
            if (piece_ops == start && (rest.text[0] == ' ' || rest.text[0] == '\n')) {
                rest.text++, rest.len--;
                continue;
            }
            size_t len = sentence_length(rest.text, rest.len);
            if (!len) break;
            piece_pool[piece_ops] = rest;
            piece_pool[piece_ops++].len = len;
            piece_pool[piece_ops++] = (Op){.kind = OP_END, .reg = -1};
            pieces[piece_count++] = piece_pool + start;
            start = piece_ops;
            rest.text += len, rest.len -= len;
        }
        if (op->kind != OP_TEXT || rest.len) piece_pool[piece_ops++] = rest;
    }
    piece_ops = start;
}

bool sentence_read(const char *text, size_t len) {
    static const World *cut;
    const World *w = world();
    if (cut != w) {
        cut = w, piece_count = piece_ops = 0;
        for (int i = 0; i < w->rule_count; i++)
            for (uint32_t k = 0; k < w->rules[i].count; k++) cut_alternative(w->rules[i].alts[k].ops);
    }
    for (size_t i = 0; i < piece_count; i++)
        if (read_from(pieces[i], text, len, true).derivations) return true;
    return false;
}
