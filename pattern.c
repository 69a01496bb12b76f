#include "pattern.h"

#include "regex.h"

#include <string.h>

/* ---- names by part ---- */

static bool ends(const char *part) { return !*part || *part == '.'; }

/* One part of a name against one part of a pattern; a star matches as little as it can, and the last one more when what follows does not fit:
 * what stands before it needs no second try. */
static bool part_matches(const char *pattern, const char *name) {
    const char *star = NULL, *from = NULL;   /* behind the last star, and where the name goes on behind what it took */
    for (;;) {
        if (*pattern == '*') star = ++pattern, from = name;
        else if (ends(pattern) && ends(name)) return true;
        else if (!ends(name) && *pattern == *name) pattern++, name++;
        else if (star && !ends(from)) pattern = star, name = ++from;
        else return false;
    }
}

static const char *next_part(const char *name) {
    name += strcspn(name, ".");
    return *name ? name + 1 : NULL;
}

bool name_covers(const char *part, const char *name) {
    for (; name; name = next_part(name)) {
        const char *p = part, *n = name;
        while (p && n && part_matches(p, n)) p = next_part(p), n = next_part(n);
        if (!p) return true;
    }
    return false;
}

bool name_ends(const char *name, const char *end) {
    size_t n = strlen(name), k = strlen(end);
    return n >= k && !strcmp(name + n - k, end) && (n == k || name[n - k - 1] == '.');
}

bool regex_matches(const char *regex, const char *text, const char *where) {
    Regex *r = regex_new(regex, strlen(regex), where);
    bool matches = regex_full(r, text, strlen(text));
    regex_free(r);
    return matches;
}

bool regex_is_one(const char *text) { return strpbrk(text, "*+?()[]{}|^$\\") != NULL; }
