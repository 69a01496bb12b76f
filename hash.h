/* hash: what an artifact is known by. */
#ifndef HASH_H
#define HASH_H

#include "base.h"

/* SHA-256 of a file's bytes. */
void hash_file(const char *path, char hex[65]);

/* SHA-256 over the sorted lines "sha256  relative/path\n" of the files in a folder and its subfolders, as
 *     find . -type f … | xargs sha256sum | sed 's|\./||' | LC_ALL=C sort | sha256sum
 * prints it. Left out, at any depth: what differs between two equal runs (timing.jsonl, checkpoints/) and what does not last
 * (*.lock, and anything with ".tmp-" in its name). A folder without any file is refused. */
void hash_folder(const char *dir, char hex[65]);
/* Either, as it comes. */
void hash_path(const char *path, char hex[65]);

#endif
