/* skills: four skills with known answers, for measuring by exact match what is learned and what is forgotten.
 *
 *     reading   who, what, where: questions about a text just given (the answer of the other person is the trap)
 *     words     opposites and categories
 *     numbers   counting, small sums and differences, the number after
 *     form      following a form: repeat, swap, list, frame, fill in
 *
 * An item is a prompt and its one right completion. One item in five is held out by what it combines: a word with the
 * question asked about it, a sum with its wording, a name with what was found. The fact is in the training documents,
 * in other company; the combination is not. Suites hold nothing but held-out items.
 */
#include "world.h"

enum { WORDS_FORMS = 6, NUMBERS_FORMS = 7, FORM_FORMS = 6, SHOTS = 4 };

#include <assert.h>
#include <string.h>

typedef struct {
    Draw d;
    Buf *question, *answer;
    double chance;      /* of a guess that knows what kind of answer is asked for */
    bool held_out;
} Item;

/* ---- words ---- */

static const char *const opposites[][2] = {
    {"big", "small"}, {"hot", "cold"}, {"up", "down"}, {"fast", "slow"}, {"happy", "sad"}, {"day", "night"}, {"old", "new"},
    {"open", "closed"}, {"full", "empty"}, {"hard", "soft"}, {"high", "low"}, {"wet", "dry"}, {"light", "dark"},
    {"loud", "quiet"}, {"rich", "poor"}, {"left", "right"}, {"long", "short"}, {"near", "far"}, {"clean", "dirty"},
    {"early", "late"}, {"easy", "difficult"}, {"first", "last"}, {"give", "take"}, {"good", "bad"}, {"in", "out"},
    {"laugh", "cry"}, {"lost", "found"}, {"many", "few"}, {"more", "less"}, {"over", "under"}, {"push", "pull"},
    {"rough", "smooth"}, {"strong", "weak"}, {"sweet", "sour"}, {"thick", "thin"}, {"top", "bottom"}, {"true", "false"},
    {"wide", "narrow"}, {"win", "lose"}, {"yes", "no"},
};
enum { OPPOSITES = sizeof opposites / sizeof *opposites };

enum { CATEGORIES = 8, MEMBERS = 12 };
static const struct {
    const char *name, *members[MEMBERS];
} categories[CATEGORIES] = {
    {"fruit", {"apple", "pear", "plum", "cherry", "banana", "grape", "lemon", "peach", "melon", "apricot", "mango", "fig"}},
    {"tool", {"hammer", "saw", "shovel", "rake", "drill", "wrench", "axe", "broom", "ladder", "needle", "hoe", "pliers"}},
    {"animal", {"dog", "cat", "horse", "cow", "pig", "sheep", "lion", "tiger", "bear", "fox", "rabbit", "mouse"}},
    {"vegetable", {"carrot", "potato", "onion", "cabbage", "turnip", "radish", "pea", "bean", "leek", "beet", "pumpkin", "spinach"}},
    {"flower", {"rose", "tulip", "daisy", "lily", "clover", "poppy", "orchid", "pansy", "iris", "peony", "daffodil", "sunflower"}},
    {"color", {"red", "blue", "green", "yellow", "purple", "pink", "white", "black", "brown", "gray", "violet", "orange"}},
    {"vehicle", {"car", "bus", "train", "truck", "boat", "ship", "plane", "bike", "wagon", "tram", "van", "sled"}},
    {"drink", {"milk", "juice", "tea", "cocoa", "water", "cider", "coffee", "soda", "lemonade", "broth", "nectar", "punch"}},
};

static void ask_opposite(Item *it, uint32_t form) {
    static const char *const wording[] = {"What is the opposite of %s?", "Which word is the opposite of %s?", "If it is not %s, what is it?"};
    uint32_t pair = draw_below(&it->d, OPPOSITES), side = draw_below(&it->d, 2);
    buf_format(it->question, wording[form], opposites[pair][side]); /* the literals above */
    buf_str(it->answer, opposites[pair][1 - side]);
    it->held_out = (pair + 2 * form) % 5 == 0;
    it->chance = 1.0 / (2 * OPPOSITES);
}

static void ask_category(Item *it, uint32_t form) {
    static const char *const wording[] = {"What kind of thing is this: %s?", "What do we call things like this: %s?"};
    uint32_t category = draw_below(&it->d, CATEGORIES), member = draw_below(&it->d, MEMBERS);
    buf_format(it->question, wording[form], categories[category].members[member]);
    buf_str(it->answer, categories[category].name);
    it->held_out = (member + 2 * category + 3 * form) % 5 == 0;
    it->chance = 1.0 / CATEGORIES;
}

static void ask_member(Item *it) {
    uint32_t category[3], member[3], place = draw_below(&it->d, 3);
    category[0] = draw_below(&it->d, CATEGORIES);
    uint32_t step = 1 + draw_below(&it->d, CATEGORIES - 1), other = 1 + draw_below(&it->d, CATEGORIES - 2);
    category[1] = (category[0] + step) % CATEGORIES;
    category[2] = (category[0] + other + (other >= step)) % CATEGORIES; /* neither of the two */
    for (int i = 0; i < 3; i++) member[i] = draw_below(&it->d, MEMBERS);
    const char *word[3];
    for (uint32_t i = 0, next = 1; i < 3; i++) {
        uint32_t k = i == place ? 0 : next++;
        word[i] = categories[category[k]].members[member[k]];
    }
    buf_format(it->question, "Which one is a kind of %s: %s, %s or %s?", categories[category[0]].name, word[0], word[1], word[2]);
    buf_str(it->answer, categories[category[0]].members[member[0]]);
    it->held_out = (member[0] + member[1] + member[2]) % 5 == 0;
    it->chance = 1.0 / 3;
}

static void words_item(Item *it, uint32_t form) {
    if (form < 3) ask_opposite(it, form);
    else if (form < 5) ask_category(it, form - 3);
    else ask_member(it);
}

/* ---- numbers ---- */

static void numbers_item(Item *it, uint32_t form) {
    uint32_t a, b, name;
    switch (form) {
    case 0:
    case 1:
    case 2: /* a + b <= 10 */
        a = 1 + draw_below(&it->d, 9), b = 1 + draw_below(&it->d, 10 - a);
        if (form == 0) buf_format(it->question, "What is %u plus %u?", a, b);
        if (form == 1) buf_format(it->question, "How much is %u + %u?", a, b);
        if (form == 2) {
            name = draw_below(&it->d, class_size("girl"));
            put_word(it->question, "girl", name);
            buf_format(it->question, " has %u nuts and gets %u more. How many nuts are there?", a, b);
        }
        buf_format(it->answer, "%u", a + b);
        it->held_out = (a + 3 * b + form) % 5 == 0;
        break;
    case 3:
    case 4:
        a = 2 + draw_below(&it->d, 9), b = 1 + draw_below(&it->d, a - 1);
        buf_format(it->question, form == 3 ? "What is %u minus %u?" : "How much is %u - %u?", a, b);
        buf_format(it->answer, "%u", a - b);
        it->held_out = (a + 3 * b + form) % 5 == 0;
        break;
    case 5:
        a = 1 + draw_below(&it->d, 8), b = draw_below(&it->d, class_size("animal"));
        buf_str(it->question, "How many words are here:");
        for (uint32_t i = 0; i < a; i++) buf_char(it->question, ' '), put_word(it->question, "animal", b);
        buf_char(it->question, '?');
        buf_format(it->answer, "%u", a);
        it->held_out = (a + b) % 5 == 0;
        break;
    default:
        a = 1 + draw_below(&it->d, 20), b = draw_below(&it->d, 2);
        buf_format(it->question, b ? "Which number comes after %u?" : "What is the number after %u?", a);
        buf_format(it->answer, "%u", a + 1);
        it->held_out = (a + 2 * b) % 5 == 0;
    }
    it->chance = form == 5 ? 1.0 / 8 : form == 6 ? 1.0 / 20 : 1.0 / 9;
}

/* ---- form ---- */

static const struct {
    const char *name;
    char left, right;
} frames[] = {{"stars", '*', '*'}, {"braces", '{', '}'}, {"brackets", '[', ']'}, {"quotes", '"', '"'}, {"equals signs", '=', '='}, {"semicolons", ';', ';'}};
enum { FRAMES = sizeof frames / sizeof *frames };

static void form_item(Item *it, uint32_t form) {
    static const char *const times[] = {"two", "three", "four"};
    uint32_t w[6] = {0}, n = form == 1 ? 3 + draw_below(&it->d, 4) : 3;
    draw_words(&it->d, "animal", w, n);
    Buf *q = it->question, *a = it->answer;
    switch (form) {
    case 0:
        n = draw_below(&it->d, 3);
        buf_str(q, "Say "), put_word(q, "animal", w[0]), buf_format(q, " %s times.", times[n]);
        for (uint32_t i = 0; i < n + 2; i++) buf_str(a, i ? " " : ""), put_word(a, "animal", w[0]);
        it->held_out = (w[0] + n) % 5 == 0;
        break;
    case 1:
        buf_str(q, "Repeat:");
        for (uint32_t i = 0; i < n; i++) {
            buf_char(q, ' '), put_word(q, "animal", w[i]);
            buf_str(a, i ? " " : ""), put_word(a, "animal", w[i]);
        }
        break;
    case 2:
        buf_str(q, "Swap "), put_word(q, "animal", w[0]), buf_str(q, " and "), put_word(q, "animal", w[1]), buf_char(q, '.');
        put_word(a, "animal", w[1]), buf_str(a, " and "), put_word(a, "animal", w[0]);
        it->held_out = (w[0] + 2 * w[1]) % 5 == 0;
        break;
    case 3:
        buf_str(q, "Make a list of ");
        for (uint32_t i = 0; i < 3; i++) {
            put_word(q, "animal", w[i]), buf_str(q, i == 0 ? ", " : i == 1 ? " and " : ".");
            buf_format(a, i ? " %u. " : "%u. ", i + 1), put_word(a, "animal", w[i]);
        }
        break;
    case 4:
        n = draw_below(&it->d, FRAMES);
        buf_str(q, "Put "), put_word(q, "animal", w[0]), buf_format(q, " between %s.", frames[n].name);
        buf_char(a, frames[n].left), put_word(a, "animal", w[0]), buf_char(a, frames[n].right);
        it->held_out = (w[0] + n) % 5 == 0;
        break;
    default: {
        uint32_t name = draw_below(&it->d, class_size("boy")), color = draw_below(&it->d, class_size("color"));
        buf_str(q, "Fill in name and color: "), put_word(q, "boy", name), buf_str(q, " likes "), put_word(q, "color", color), buf_char(q, '.');
        buf_str(a, "name: "), put_word(a, "boy", name), buf_str(a, ", color: "), put_word(a, "color", color);
        it->held_out = (name + color) % 5 == 0;
    }
    }
    if (form == 1 || form == 3) it->held_out = (w[0] + w[1] + w[2]) % 5 == 0;
    it->chance = 1.0 / FORM_FORMS; /* the right words in any of the forms */
}

/* ---- reading ---- */

static void ask_passage(Item *it, const Passage *p, uint32_t fact) {
    static const char *const before[FACTS] = {"Who went to ", "Where did ", "Who went with ", "What did ", "What did ", "What did "};
    static const char *const after[FACTS] = {"?", " go?", "?", " see?", " eat?", " find?"};
    buf_str(it->question, before[fact]), passage_put_fact(it->question, p, fact == NAME ? PLACE : NAME), buf_str(it->question, after[fact]);
    if (fact == NAME) it->question->len--, buf_format(it->question, " with "), passage_put_fact(it->question, p, COMPANION), buf_char(it->question, '?');
    passage_put_fact(it->answer, p, fact);
    it->held_out = passage_held_out(p, fact == NAME ? PLACE : fact);
    it->chance = 1.0 / FACTS; /* any of the six */
}

/* ---- items and documents ---- */

static const uint32_t form_counts[SKILLS] = {FACTS, WORDS_FORMS, NUMBERS_FORMS, FORM_FORMS};
const char *const skill_names[SKILLS] = {"reading", "words", "numbers", "form"};

/* One item whose question and answer are appended; false and nothing appended when the side is the wrong one. */
static bool make_item(Item *it, Skill skill, uint32_t form, const Passage *p, bool held_out) {
    size_t question = it->question->len, answer = it->answer->len;
    it->held_out = false;
    if (skill == SKILL_READING) ask_passage(it, p, form);
    if (skill == SKILL_WORDS) words_item(it, form);
    if (skill == SKILL_NUMBERS) numbers_item(it, form);
    if (skill == SKILL_FORM) form_item(it, form);
    if (it->held_out == held_out) return true;
    it->question->len = question, it->answer->len = answer;
    return false;
}

static const char *lead_in(Skill skill) { return skill == SKILL_FORM ? "Instruction: " : "Question: "; }

void skill_item(Buf *prompt, Buf *completion, double *chance, uint32_t seed, Skill skill, uint64_t index) {
    Buf question = {0}, answer = {0};
    Item it = {.d = {.seed = seed, .low = (uint64_t)(STREAM_SUITES + skill) << 60 | index}, .question = &question, .answer = &answer};
    Passage p = {0};
    do {
        if (skill == SKILL_READING) p = passage_draw(&it.d, true);
    } while (!make_item(&it, skill, draw_below(&it.d, form_counts[skill]), &p, true));
    if (skill == SKILL_READING) buf_str(prompt, "Text: "), passage_put(prompt, &p), buf_char(prompt, '\n');
    buf_format(prompt, "%s%s\nAnswer:", lead_in(skill), question.data);
    buf_format(completion, " %s", answer.data);
    *chance = it.chance;
    buf_free(&question), buf_free(&answer);
}

/* One question; or, with a text, five questions about it; or, without, four of one form: few-shot. */
void skill_document(Buf *text, uint32_t seed, Skill skill, uint64_t index) {
    Buf question = {0}, answer = {0};
    Item it = {.d = {.seed = seed, .low = (uint64_t)(STREAM_SKILLS + skill) << 60 | index}, .question = &question, .answer = &answer};
    Passage p = {0};
    uint32_t items = skill == SKILL_READING ? 5 : draw_below(&it.d, 3) ? 1 : SHOTS, form = draw_below(&it.d, form_counts[skill]);
    uint32_t stride = skill == SKILL_READING ? 1 + 4 * draw_below(&it.d, 2) : 0; /* prime to six: different questions */
    if (skill == SKILL_READING) p = passage_draw(&it.d, false), buf_str(text, "Text: "), passage_put(text, &p), buf_char(text, '\n');
    for (uint32_t i = 0; i < items; i++) {
        question.len = answer.len = 0;
        while (!make_item(&it, skill, (form + i * stride) % form_counts[skill], &p, false)) continue;
        buf_format(text, "%s%s%s\nAnswer: %s", i ? "\n" : "", lead_in(skill), question.data, answer.data);
    }
    buf_free(&question), buf_free(&answer);
}
