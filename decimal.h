/* decimal: numbers to text and back, the same on every libc and in every locale. */
#ifndef DECIMAL_H
#define DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

enum { DECIMAL_MAX = 32 };   /* enough for every result below, with its closing 0 */

/* Correctly rounded (nearest, ties to even), any number of digits. The text must be a JSON-style number
 * ([-+]digits[.digits][e[-+]digits], also ".5" and "5."), all `len` bytes of it. False: not a number, or out of range. */
bool decimal_parse(const char *text, size_t len, double *value);

/* The shortest digits that read back as the same value; of those the nearest. Layout: integers below 1e15
 * plainly ("128"), 1e-4 <= |x| plainly ("0.83"), else "1.5e-7". Not for NaN or infinity: they print as "nan", "inf", "-inf".
 * Returns the length; text is closed by a 0. */
size_t decimal_print(char text[DECIMAL_MAX], double value);        /* round-trips as a double */
size_t decimal_print_float(char text[DECIMAL_MAX], float value);   /* round-trips as a float */

#endif
