#include "world.h"

#include "../fp.h"

#include <assert.h>
#include <string.h>

/* All of it lies in static memory: it is compiled once and must outlive every failure that is caught. */
enum { OPS_MAX = 16384, ALTS_MAX = 8192 };
static World the_world;
static Op op_pool[OPS_MAX];
static Alt alt_pool[ALTS_MAX];
static size_t ops_used, alts_used;

static const char *const pronouns[3][4] = {
    {"it", "it", "its", "itself"},
    {"she", "her", "her", "herself"},
    {"he", "him", "his", "himself"},
};

const char *world_pronoun(int gender, int pronoun) { return pronouns[gender][pronoun]; }

int world_rule(const char *name) {
    for (int i = 0; i < the_world.rule_count; i++) {
        const Rule *r = &the_world.rules[i];
        if (strlen(name) == r->name_len && !memcmp(r->name, name, r->name_len)) return i;
    }
    return NO_RULE;
}

int world_reg(const char *name) {
    for (int i = 0; i < the_world.reg_count; i++)
        if (!strcmp(the_world.regs[i], name)) return i;
    return -1;
}

bool world_free(const Reg *regs, int rule, uint32_t alt, int reg) {
    for (int i = 0; i < the_world.reg_count; i++)
        if (i != reg && regs[i].rule == rule && regs[i].alt == (int)alt) return false;
    return true;
}

uint32_t world_total(const Reg *regs, int rule, int reg) {
    const Rule *r = &the_world.rules[rule];
    uint32_t total = r->total;
    for (int i = 0; i < the_world.reg_count; i++) {
        if (i == reg || regs[i].rule != rule) continue;
        bool counted = false; /* a word that two registers hold is missing once */
        for (int j = 0; j < i; j++) counted |= j != reg && regs[j].rule == rule && regs[j].alt == regs[i].alt;
        if (!counted) total -= r->alts[regs[i].alt].weight;
    }
    return total;
}

double world_bits(uint32_t total, uint32_t weight) { return d_log((double)total / weight) / 0.6931471805599453; }

bool world_is_name(const Rule *rule) { return rule->gender || (rule->name_len == 6 && !memcmp(rule->name, "number", 6)); }

/* As these words are said: an owl, an honest owl, a unicorn, a honey cake. */
bool world_takes_an(const char *word, size_t len) {
    if (len >= 3 && !memcmp(word, "uni", 3)) return false;
    if (len >= 5 && !memcmp(word, "hones", 5)) return true;
    return len > 0 && memchr("aeiouAEIOU", word[0], 10);
}

/* ---- compiling the tables ---- */

static void add_rule(const RuleText *text) {
    assert(the_world.rule_count < RULES_MAX);
    Rule *r = &the_world.rules[the_world.rule_count++];
    const char *gender = strchr(text->name, '/');
    r->name = text->name;
    r->name_len = gender ? (size_t)(gender - text->name) : strlen(text->name);
    r->gender = !gender ? NO_GENDER : !strcmp(gender, "/she") ? SHE : HE;
}

static int find_or_add_reg(const char *name) {
    int reg = world_reg(name);
    if (reg >= 0) return reg;
    assert(the_world.reg_count < REGS_MAX && strlen(name) < sizeof the_world.regs[0] && world_rule(name) < 0);
    strcpy(the_world.regs[the_world.reg_count], name);
    return the_world.reg_count++;
}

/* A pronoun's column, or -1. */
static int find_pronoun(const char *name) {
    for (int i = 0; i < 4; i++)
        if (!strcmp(pronouns[HE][i], name)) return i;
    return -1;
}

/* What stands between braces. */
static Op compile_slot(const char *text, size_t len) {
    char slot[64], *rule = slot;
    assert(len > 0 && len < sizeof slot);
    memcpy(slot, text, len), slot[len] = 0;
    Op op = {.reg = -1, .rule = NO_RULE, .capital = slot[0] >= 'A' && slot[0] <= 'Z'};
    if (op.capital) slot[0] = (char)(slot[0] - 'A' + 'a');
    char *equals = strchr(slot, '='), *dot = strchr(slot, '.');
    if (equals) {
        op.kind = equals[-1] == ':' ? OP_SILENT : OP_RULE;
        equals[op.kind == OP_SILENT ? -1 : 0] = 0;
        op.reg = find_or_add_reg(slot), rule = equals + 1;
    } else if (!strcmp(slot, "a")) op.kind = OP_ARTICLE;
    else if (dot) {
        *dot = 0;
        op.kind = OP_PRONOUN, op.reg = find_or_add_reg(slot), op.pronoun = find_pronoun(dot + 1);
        assert(op.pronoun >= 0);
    } else if (find_pronoun(slot) >= 0) op.kind = OP_PRONOUN, op.reg = find_or_add_reg("hero"), op.pronoun = find_pronoun(slot);
    else if (world_rule(slot) >= 0) op.kind = OP_RULE;
    else op.kind = OP_TELL, op.reg = find_or_add_reg(slot);
    if (op.kind == OP_RULE || op.kind == OP_SILENT) {
        op.rule = world_rule(rule);
        if (op.rule < 0) work_failed("the story world's tables: {%.*s}: no rule has the name %s", (int)len, text, rule);
        if (op.reg >= 0) the_world.holds[op.reg][op.rule] = true;
    }
    return op;
}

static Alt compile_alt(const char *text, size_t len) {
    Alt alt = {.weight = 1, .ops = op_pool + ops_used};
    if (len > 1 && text[0] >= '1' && text[0] <= '9' && text[1] == '*') alt.weight = (uint32_t)(text[0] - '0'), text += 2, len -= 2;
    for (size_t i = 0; i < len;) {
        assert(ops_used + 2 < OPS_MAX);
        size_t end = i;
        if (text[i] == '{') {
            while (text[end] != '}') end++;
            op_pool[ops_used++] = compile_slot(text + i + 1, end - i - 1);
            i = end + 1;
        } else {
            while (end < len && text[end] != '{') end++;
            op_pool[ops_used++] = (Op){.kind = OP_TEXT, .reg = -1, .text = text + i, .len = end - i};
            i = end;
        }
    }
    op_pool[ops_used++] = (Op){.kind = OP_END, .reg = -1};
    return alt;
}

static void compile_rule(Rule *r, const char *text) {
    r->count = 1;
    for (const char *p = text; *p; p++) r->count += *p == '|';
    assert(alts_used + r->count <= ALTS_MAX);
    Alt *alts = alt_pool + alts_used;
    alts_used += r->count;
    r->alts = alts;
    for (uint32_t i = 0; i < r->count; i++) {
        size_t len = strcspn(text, "|");
        alts[i] = compile_alt(text, len);
        r->total += alts[i].weight;
        text += len + 1;
    }
}

void world_compile(const RuleText *plots, const RuleText *words) {
    World *w = &the_world;
    const RuleText *tables[] = {plots, words};
    memset(w, 0, sizeof *w);
    ops_used = alts_used = 0;
    for (int t = 0; t < 2; t++)
        for (const RuleText *text = tables[t]; text->name; text++) add_rule(text);
    Rule *rule = w->rules;
    for (int t = 0; t < 2; t++)
        for (const RuleText *text = tables[t]; text->name; text++) compile_rule(rule++, text->alternatives);
    w->hero = world_reg("hero"), w->thing = world_reg("thing"), w->problem = world_reg("problem"), w->fix = world_reg("fix");
}

const World *world(void) {
    if (!the_world.rule_count) world_compile(world_plots, world_words);
    return &the_world;
}

/* ---- held-out combinations ---- */

StoryFacts world_facts(const Reg *regs) {
    const int reg[4] = {the_world.hero, the_world.thing, the_world.problem, the_world.fix};
    int value[4];
    for (int i = 0; i < 4; i++) value[i] = reg[i] >= 0 && regs[reg[i]].rule != NO_RULE ? regs[reg[i]].alt : -1;
    return (StoryFacts){.hero = value[0], .thing = value[1], .problem = value[2], .fix = value[3]};
}

/* One in eight of the pairs of a hero's name and a plot, and one in sixteen of the pairs of a toy and a problem: diagonals of the two
 * tables, so that every hero, plot, toy and problem is in as many held-out pairs as every other. */
bool world_held_out(const Reg *regs) {
    StoryFacts f = world_facts(regs);
    return (f.hero + 3 * f.problem + 2 * f.fix) % 8 == 0 || (f.thing >= 0 && (f.thing + f.problem) % 16 == 0);
}
