/* regex: regular expressions, as a set of places that step through the text together, so that none takes for ever (Thompson 1968).
 *
 *     x  .  [a-z]  [^a-z]     a character; any but a line end; one of a set; one of no set. Characters are Unicode's
 *     \d \w \s  \D \W \S      digits 0-9; letters, numbers and _; white space; and what is none
 *     \n \t \r \. \\ …        those characters
 *     ^  $  \b                the text's beginning, its end, the edge of a word
 *     ab  a|b  ( )  (?: )     one after the other, one of them, a group
 *     a*  a+  a?  a{2} a{2,} a{2,5}      repeated; a lazy ? behind it is read: it matches the same texts
 *
 * What else Python has (looking ahead, groups that come again, flags) is refused.
 */
#ifndef REGEX_H
#define REGEX_H

#include "base.h"

typedef struct Regex Regex;
/* bad_input naming `where`, the place and what is not understood. */
Regex *regex_new(const char *pattern, size_t n, const char *where);
void regex_free(Regex *r);
/* Anywhere in the text; all of the text. */
bool regex_found(const Regex *r, const char *text, size_t n);
bool regex_full(const Regex *r, const char *text, size_t n);

#endif
