/* libFuzzer's side: FUZZ_TARGET=gguf fuzz CORPUS… (make fuzz). */
#include "targets.h"

#include <unistd.h>

/* A file that was open when an input was refused stays open until the end of the process, which here does not come. */
static void close_what_was_left(void) {
    static int first;
    if (!first) first = dup(0);
    for (int fd = first; fd < first + 4; fd++) close(fd);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n) {
    static size_t target = TARGETS;
    if (target == TARGETS) {
        const char *name = getenv("FUZZ_TARGET"), *dir = getenv("FUZZ_DIR");
        for (target = 0; target < TARGETS && (!name || strcmp(targets[target].name, name)); target++) continue;
        if (target == TARGETS) fputs("FUZZ_TARGET names no target\n", stderr), exit(2);
        fuzz_begin(dir ? dir : "build/fuzz-files");
    }
    close_what_was_left();
    const char *wrong = fuzz_one(targets[target].run, data, n);
    if (wrong) fprintf(stderr, "%s\n", wrong), abort();
    return 0;
}
