/* passage: words of a class, and the text of six facts that skills and tasks ask about. */
#include "world.h"

static Alt class_word(const char *class, uint32_t index) { return world()->rules[world_rule(class)].alts[index]; }

uint32_t class_size(const char *class) { return world()->rules[world_rule(class)].count; }

void put_word(Buf *b, const char *class, uint32_t index) {
    Alt a = class_word(class, index);
    buf_put(b, a.ops[0].text, a.ops[0].len);
}

void put_a_word(Buf *b, const char *class, uint32_t index) {
    Alt a = class_word(class, index);
    buf_str(b, world_takes_an(a.ops[0].text, a.ops[0].len) ? "an " : "a ");
    put_word(b, class, index);
}

void draw_words(Draw *d, const char *class, uint32_t *index, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t word = draw_below(d, class_size(class) - i);
        /* the word-th of those that are left: step over the taken ones in ascending order */
        for (bool moved = true; moved;) {
            moved = false;
            for (uint32_t k = 0; k < i; k++)
                if (index[k] == word) word = (word + 1) % class_size(class), moved = true;
        }
        index[i] = word;
    }
}

static const char *fact_class(const Passage *p, uint32_t fact) {
    static const char *const classes[FACTS] = {"", "places", "", "animal", "foods", "toy"};
    return fact == NAME ? (p->girl ? "girl" : "boy") : fact == COMPANION ? (p->girl ? "boy" : "girl") : classes[fact];
}

void passage_put_fact(Buf *b, const Passage *p, uint32_t fact) {
    if (fact == PLACE) buf_str(b, "the ");
    if (fact == SEEN || fact == FOUND) put_a_word(b, fact_class(p, fact), p->word[fact]);
    else put_word(b, fact_class(p, fact), p->word[fact]);
}

bool passage_held_out(const Passage *p, uint32_t fact) { return (p->word[NAME] + p->word[fact]) % 5 == 0; }

Passage passage_draw(Draw *d, bool held_out) {
    Passage p = {.girl = draw_below(d, 2)};
    p.word[NAME] = draw_below(d, class_size("girl"));
    for (uint32_t fact = PLACE; fact < FACTS; fact++)
        do p.word[fact] = draw_below(d, class_size(fact == COMPANION ? "boy" : fact_class(&p, fact)));
        while (!held_out && passage_held_out(&p, fact));
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t at = draw_below(d, i + 1);
        p.order[i] = p.order[at], p.order[at] = SEEN + i;
    }
    return p;
}

void passage_put(Buf *b, const Passage *p) {
    static const char *const did[FACTS] = {"", "", "", " saw ", " ate ", " found "};
    passage_put_fact(b, p, NAME), buf_str(b, " went to "), passage_put_fact(b, p, PLACE);
    buf_str(b, " with "), passage_put_fact(b, p, COMPANION), buf_char(b, '.');
    for (uint32_t i = 0; i < 3; i++) {
        buf_str(b, p->girl ? " She" : " He");
        buf_str(b, did[p->order[i]]), passage_put_fact(b, p, p->order[i]), buf_char(b, '.');
    }
}
