/* jinja: tells whether two chat templates are the same program, however they are laid out. It runs none.
 *
 * A template is text with {{ expressions }}, {% statements %} and {# comments #}. Its canonical form is what stays when
 *
 *   - white space is taken out as Jinja does it for chat templates (trim_blocks, lstrip_blocks, the dashes in {%- and -%}),
 *   - comments go, and each tag is written token by token,
 *   - m.role becomes m['role'], "x" becomes 'x', {{ a + 'b' + c }} becomes {{ a }}b{{ c }},
 *   - the marks {% generation %}, which only training tools read, go.
 *
 * Two templates with one canonical form render the same text from the same messages.
 */
#ifndef JINJA_H
#define JINJA_H

#include "base.h"

/* Bytes of the canonical form that text cannot hold. */
enum { JINJA_TAG = 1, JINJA_END = 2, JINJA_NEXT = 3, JINJA_QUOTE = 4, JINJA_HOLE = 5 };

/* False: something that is not understood here (raw blocks, odd escapes, a tag without an end); out is then unfinished. */
bool jinja_canonical(const char *text, size_t n, Buf *out);

/* Appends the text as a quoted string of a template. */
void jinja_quote(Buf *b, const char *text);

#endif
