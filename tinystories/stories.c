/* stories: telling. A walk through the rules in which every choice is drawn. */
#include "world.h"

#include <assert.h>
#include <string.h>

typedef struct {
    Buf *text;
    Reg regs[REGS_MAX];
    Draw d;
    double bits, name_bits;
    bool capital;              /* of the next letter */
    bool article;              /* an "a" was told and waits for the next word */
} Teller;

static void say(Teller *t, const char *text, size_t len) {
    if (!len) return;
    if (t->article && text[0] != ' ') { /* "a " waits for this word */
        if (world_takes_an(text, len)) t->text->len--, buf_str(t->text, "n ");
        t->article = false;
    }
    size_t at = t->text->len;
    buf_put(t->text, text, len);
    if (t->capital && text[0] >= 'a' && text[0] <= 'z') t->text->data[at] = (char)(text[0] - 'a' + 'A');
    t->capital = false;
}

uint32_t draw_below(Draw *d, uint32_t n) { return n < 2 ? 0 : rng_below(n, d->seed, RNG_STORIES, d->low, d->high++); }

/* An alternative of the rule that no other register holds. */
static uint32_t draw(Teller *t, int rule, int reg) {
    const Rule *r = &world()->rules[rule];
    uint32_t total = world_total(t->regs, rule, reg);
    assert(total > 0);
    if (r->count == 1) return 0;
    uint32_t at = draw_below(&t->d, total), i = 0;
    for (;; i++) {
        assert(i < r->count);
        if (total < r->total && !world_free(t->regs, rule, i, reg)) continue;
        if (at < r->alts[i].weight) break;
        at -= r->alts[i].weight;
    }
    double bits = world_bits(total, r->alts[i].weight);
    t->bits += bits;
    if (world_is_name(r)) t->name_bits += bits;
    return i;
}

static void tell(Teller *t, const Op *op) {
    const World *w = world();
    for (; op->kind != OP_END; op++) {
        t->capital |= op->capital;
        Reg *reg = op->reg >= 0 ? &t->regs[op->reg] : NULL;
        switch (op->kind) {
        case OP_TEXT: say(t, op->text, op->len); break;
        case OP_ARTICLE: say(t, "a", 1), t->article = true; break;
        case OP_RULE:
        case OP_SILENT: {
            uint32_t alt = draw(t, op->rule, op->reg);
            if (reg) *reg = (Reg){(int16_t)op->rule, (int16_t)alt, (int16_t)w->rules[op->rule].gender};
            if (op->kind == OP_RULE) tell(t, w->rules[op->rule].alts[alt].ops);
            break;
        }
        case OP_TELL:
            assert(reg->rule != NO_RULE);
            tell(t, w->rules[reg->rule].alts[reg->alt].ops);
            break;
        case OP_PRONOUN: {
            const char *pronoun = world_pronoun(reg->gender, op->pronoun);
            say(t, pronoun, strlen(pronoun));
            break;
        }
        case OP_END: break;
        }
    }
}

StoryFacts story_tell(Buf *text, uint32_t seed, Split split, uint64_t index) {
    assert(index < (uint64_t)1 << 40);
    size_t start = text->len;
    for (uint64_t attempt = 0;; attempt++) {
        Teller t = {.text = text, .d = {seed, (uint64_t)(STREAM_STORIES + split) << 60 | attempt << 40 | index, 0}};
        for (int i = 0; i < REGS_MAX; i++) t.regs[i].rule = NO_RULE;
        text->len = start;
        tell(&t, world()->rules[0].alts[0].ops);
        if (split != SPLIT_FULL && world_held_out(t.regs) != (split == SPLIT_UNSEEN)) continue;
        StoryFacts facts = world_facts(t.regs);
        facts.bits = t.bits, facts.name_bits = t.name_bits;
        return facts;
    }
}
