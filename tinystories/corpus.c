/* corpus: the mixture, the files, and what generated stories are worth. */
#include "tinystories.h"
#include "world.h"

#include "../decimal.h"
#include "../json.h"
#include "../os.h"

#include <string.h>

/* ---- the mixture ---- */

/* In 64 documents; by bytes, seven tenths are stories. */
static const uint32_t shares[SKILLS] = {11, 11, 11, 11};
enum { MIXTURE = 64 };

StoryFacts mixture_document(Buf *text, uint32_t seed, uint64_t index) {
    Draw d = {seed, (uint64_t)STREAM_MIXTURE << 60 | index, 0};
    uint32_t at = draw_below(&d, MIXTURE);
    for (int skill = 0; skill < SKILLS; skill++) {
        if (at < shares[skill]) {
            skill_document(text, seed, (Skill)skill, index);
            return (StoryFacts){.hero = -1, .thing = -1, .problem = -1, .fix = -1};
        }
        at -= shares[skill];
    }
    return story_tell(text, seed, SPLIT_TRAIN, index);
}
