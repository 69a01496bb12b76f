/* fisher: the diagonal of the Fisher information at a model: how much each weight matters to what it says.
 *
 *     F = 1/N Σ over sequences of (d Σ_t log p(y_t | x, y_<t) / dw)²
 *
 * One sequence at a time, the gradient of the sum over its supervised positions squared, the mean over sequences. The true one draws y from the
 * model itself, position by position, with the text as context; the empirical one takes the text's own tokens. Ref: Kirkpatrick et al. 2017;
 * Kunstner et al. 2019 on why the two differ. The file is a safetensors of f32 tensors named as the model's, and its metadata say what it is.
 */
#ifndef FISHER_H
#define FISHER_H

#include "dataset.h"

typedef struct {
    size_t params;
    real **values;                    /* of each of the model's own Params, in its order, file layout; NULL: not in it */
    size_t sequences;
    bool empirical;
    double earlier;                   /* the earlier Fisher that was added, times this; 0: none (online EWC) */
    uint32_t seed;
    char base[65], adapter[65], data[65];   /* SHA-256 of the tensors it was taken at (adapter empty: none), of the texts */
} Fisher;

/* Of the first `sequences` sequences, the segments of the samples of s (0: all). The model has gradients, its adapter is merged; the pass has
 * room for the longest sample. */
Fisher *fisher_new(Model *m, Pass *p, const Source *s, size_t sequences, bool empirical, uint32_t seed);
/* += decay times an earlier one, whose file it is: what more than one task before this needs (Huszar 2018). */
void fisher_add_earlier(Fisher *f, const Model *m, const char *path, double decay);
void fisher_write(const Fisher *f, const Model *m, const char *path);
/* Of the model's shapes; what the model freezes is not read, but with an adapter its Linears are. */
Fisher *fisher_read(const char *path, const Model *m);
void fisher_free(Fisher *f);
size_t fisher_bytes(const Fisher *f, const Model *m);

#endif
