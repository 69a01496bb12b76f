/* tinystories: the story world. A seeded probabilistic grammar of small stories, and four skills with known answers.
 *
 *   full source      every choice as plots.c weights it: a story's `bits` are its exact -log2 probability under it
 *   training stories the full source, given that a story holds none of the held-out combinations of world_held_out
 *   unseen stories   the full source, given that it holds one: what no training story has
 *
 * So the probability of a story under the source of its own split is its probability under the full source divided by the
 * split's share of it, a constant: story_share.
 */
#ifndef TINYSTORIES_H
#define TINYSTORIES_H

#include "../base.h"

typedef enum { SPLIT_TRAIN, SPLIT_UNSEEN, SPLIT_FULL } Split;

typedef struct {
    double bits;                     /* -log2 of the exact probability under the full source */
    double name_bits;                /* the part of it that names and numbers carry */
    int hero, thing, problem, fix;   /* what was chosen, by index (-1: none); problem and fix make the plot */
} StoryFacts;

/* Story `index` of a split, appended to text: a function of (seed, split, index). */
StoryFacts story_tell(Buf *text, uint32_t seed, Split split, uint64_t index);
/* The probability that a story of the full source belongs to the split. */
double story_share(Split split);
/* Different words that stories can hold, small and capital letters alike; pairs of a problem and a way out of it. */
size_t story_words(void);
size_t story_plots(void);

typedef struct {
    uint64_t derivations;   /* ways the grammar has to tell it; 0: not a story of this world; 1: facts are what was chosen */
    StoryFacts facts;       /* facts.bits is exact: the derivations' probabilities are added */
    bool held_out;
} StoryReading;
StoryReading story_read(const char *text, size_t len);

/* The length of the sentence that text begins with, closing quote included; 0: none ends before the text does. */
size_t sentence_length(const char *text, size_t len);
/* Is it a sentence of some story of this world? What other sentences would have told is free. */
bool sentence_read(const char *text, size_t len);

typedef enum { SKILL_READING, SKILL_WORDS, SKILL_NUMBERS, SKILL_FORM, SKILLS } Skill;
extern const char *const skill_names[SKILLS];
/* A training document of a skill: a question and its answer, several about one text, or four of a kind. */
void skill_document(Buf *text, uint32_t seed, Skill skill, uint64_t index);
/* An item that no training document holds. chance: of a guess that knows what kind of answer is asked for. */
void skill_item(Buf *prompt, Buf *completion, double *chance, uint32_t seed, Skill skill, uint64_t index);

typedef enum { TASK_JSON, TASK_CODE, TASK_SUPPORT, TASKS } Task;
extern const char *const task_names[TASKS];
/* A row of a task to be tuned on, appended: of its training file, or held out from it. */
void task_item(Buf *prompt, Buf *completion, uint32_t seed, Task task, bool held_out, uint64_t index);

/* Document `index` of the pretraining mixture: a training story (facts are its) or a skill's document (facts.hero is -1). */
StoryFacts mixture_document(Buf *text, uint32_t seed, uint64_t index);

/* ---- files ---- */

/* How much of each. */
typedef struct {
    size_t bytes;                   /* of train.txt, at least */
    size_t valid;                   /* stories in valid.txt */
    size_t items;                   /* of each suite, and of each task's test */
    size_t rows;                    /* of each task's training file */
} StoriesSize;
/* Writes into the folder: train.txt (documents of the mixture), valid.txt (unseen stories) with valid.jsonl (their bits),
 * suite-SKILL.jsonl, task-TASK-train.jsonl, task-TASK-test.jsonl, world.json (figures). */
typedef struct {
    size_t documents, bytes;        /* of train.txt */
    double valid_bits_per_byte;     /* of valid.txt: no model of this world can do better */
} StoriesSummary;
StoriesSummary stories_write(const char *dir, uint32_t seed, const StoriesSize *size);

/* What a file of generated stories is worth. */
typedef struct {
    size_t sentences, good_sentences;   /* that end; that read */
    size_t stories, good_stories, training_stories;
} StoriesCheck;
/* Documents between <|endoftext|>, but for those of skills; a last sentence that does not end is not counted. train NULL: training_stories stays 0. */
StoriesCheck stories_check(const char *file, const char *train);

#endif
