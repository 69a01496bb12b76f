/* world: the grammar of the story world, compiled from the tables in words.c and plots.c.
 *
 * plots.c says how a rule is written. A story in the making is a walk through the rules: its state is what the registers
 * hold and the text so far. The same walk tells stories (stories.c: every choice is drawn) and understands them (parse.c:
 * every choice is tried against the text).
 */
#ifndef WORLD_H
#define WORLD_H

#include "tinystories.h"

typedef struct {
    const char *name, *alternatives;
} RuleText;
extern const RuleText world_words[], world_plots[];   /* closed by a NULL name */

enum { REGS_MAX = 40, RULES_MAX = 256, NO_RULE = -1 };
enum { NO_GENDER, SHE, HE };

typedef enum { OP_END, OP_TEXT, OP_ARTICLE, OP_RULE, OP_SILENT, OP_TELL, OP_PRONOUN } OpKind;

typedef struct {
    OpKind kind;
    bool capital;       /* the first letter told is a capital */
    int reg;            /* the register that is set or told; -1: none */
    int rule;           /* OP_RULE, OP_SILENT */
    int pronoun;        /* OP_PRONOUN: 0 he, 1 him, 2 his, 3 himself */
    const char *text;   /* OP_TEXT, not closed by a 0 */
    size_t len;
} Op;

typedef struct {
    const Op *ops;      /* closed by OP_END */
    uint32_t weight;
} Alt;

typedef struct {
    const char *name;
    size_t name_len;
    const Alt *alts;
    uint32_t count, total;   /* total of the weights */
    int gender;              /* of a register that holds one of its words */
} Rule;

/* Draws of one document: draw number `high` is a function of (seed, low, high). */
typedef struct {
    uint32_t seed;
    uint64_t low, high;
} Draw;
uint32_t draw_below(Draw *d, uint32_t n);
/* What the low half of the counter begins with, in its top four bits; a document's number stands below, an attempt's (a task's split) at bit 40. */
enum { STREAM_STORIES = 0, STREAM_MIXTURE = 3, STREAM_SKILLS = 4, STREAM_SUITES = 8, STREAM_TASKS = 12 };

/* What a register holds. A reader of single sentences may know the gender alone. */
typedef struct {
    int16_t rule, alt, gender;
} Reg;

typedef struct {
    Rule rules[RULES_MAX];   /* rules[0] is the story */
    int rule_count;
    char regs[REGS_MAX][16];
    int reg_count;
    int hero, thing, problem, fix;   /* the registers that decide what is held out; -1 in a world without them */
    bool holds[REGS_MAX][RULES_MAX]; /* is the rule ever put into the register? */
} World;

/* The project's own world, or the one that a test compiled last; world_compile(world_plots, world_words) brings it back. */
const World *world(void);
void world_compile(const RuleText *plots, const RuleText *words);
int world_rule(const char *name);
int world_reg(const char *name);
const char *world_pronoun(int gender, int pronoun);
/* May a draw for register `reg` (-1: none) take this alternative? Not when another register holds it. */
bool world_free(const Reg *regs, int rule, uint32_t alt, int reg);
/* The weights of the free alternatives, added. */
uint32_t world_total(const Reg *regs, int rule, int reg);
/* log2(total / weight). */
double world_bits(uint32_t total, uint32_t weight);
/* A name, a relative (whose gender matters) or a number: what the report counts apart. */
bool world_is_name(const Rule *rule);
/* Is it "an" before this word? */
bool world_takes_an(const char *word, size_t len);
bool world_held_out(const Reg *regs);
/* For the parts of a story that its registers decide. */
StoryFacts world_facts(const Reg *regs);

/* A plain word of a class of words.c, by its number. */
uint32_t class_size(const char *class);
void put_word(Buf *b, const char *class, uint32_t index);
void put_a_word(Buf *b, const char *class, uint32_t index);   /* with its article */
/* count different words of a class. */
void draw_words(Draw *d, const char *class, uint32_t *index, uint32_t count);

/* A text of six facts: who went where with whom, and three things that happened there. */
enum { FACTS = 6, NAME = 0, PLACE, COMPANION, SEEN, EATEN, FOUND };
typedef struct {
    bool girl;
    uint32_t word[FACTS];
    uint32_t order[3];      /* in which the last three are told */
} Passage;
/* One fact in five is held out for each hero. A training document's passage has none of those, asked about or not. */
bool passage_held_out(const Passage *p, uint32_t fact);
Passage passage_draw(Draw *d, bool held_out);
void passage_put(Buf *b, const Passage *p);
void passage_put_fact(Buf *b, const Passage *p, uint32_t fact);   /* "the valley" */

#endif
