/* pattern: names of modules by part and by regular expression. */
#ifndef PATTERN_H
#define PATTERN_H

#include "base.h"

/* True when whole dotted parts of `name`, one after another, are those of `part`: "layers.0" covers "model.layers.0.mlp.up_proj". A * in
 * `part` stands for any characters within its part. */
bool name_covers(const char *part, const char *name);
/* True when `name` is `end` or ends in "." and it. */
bool name_ends(const char *name, const char *end);

/* True when the regular expression (regex.h) matches all of `text` (Python's re.fullmatch). What is not understood: bad_input naming `where`. */
bool regex_matches(const char *regex, const char *text, const char *where);
/* Whether `text` holds any character that means something in a regular expression beside the dot. */
bool regex_is_one(const char *text);

#endif
