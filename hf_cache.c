/* The local cache of the Hugging Face hub: models that other tools have downloaded already. Nothing is fetched here.
 *
 *     CACHE/models--ORG--NAME/refs/main                 the commit that "main" was when it was downloaded
 *     CACHE/models--ORG--NAME/snapshots/COMMIT/…        its files (links into blobs/)
 *
 * CACHE is HF_HUB_CACHE, or HF_HOME/hub, or ~/.cache/huggingface/hub. */
#include "os.h"
#include "weights.h"

#include <stdlib.h>
#include <string.h>

static const char *given(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static char *cache_folder(void) {
    const char *hub = given("HF_HUB_CACHE"), *old = given("HUGGINGFACE_HUB_CACHE"), *home = given("HF_HOME"), *xdg = given("XDG_CACHE_HOME");
    const char *user = given("HOME") ? given("HOME") : given("USERPROFILE");
    if (hub || old) return str_copy(hub ? hub : old);
    if (home) return os_join(home, "hub");
    if (xdg) return os_join(xdg, "huggingface/hub");
    return os_join(user ? user : ".", ".cache/huggingface/hub");
}

/* "org/name", or "name" of the models that have no organisation, with "@revision" behind it or not. */
static bool is_hub_name(const char *s) {
    size_t slashes = 0, length = strcspn(s, "@");
    if (!length || s[0] == '/' || s[0] == '.' || s[length - 1] == '/' || str_ends(s, ".bin") || str_ends(s, ".gguf")) return false;
    for (size_t i = 0; i < length; i++) {
        bool word = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9');
        slashes += s[i] == '/';
        if (!word && !strchr("/._-", s[i])) return false;
    }
    return slashes < 2;
}

/* The commit that refs/REVISION names; else the revision itself; without refs the only snapshot there is. */
static char *snapshot_of(const char *model, const char *revision) {
    char *ref = str_format("%s/refs/%s", model, revision), *snapshots = os_join(model, "snapshots"), *found = NULL;
    if (os_exists(ref) && !os_is_dir(ref)) {
        Buf text = os_read(ref);
        found = str_format("%s/%.*s", snapshots, (int)strcspn(text.data ? text.data : "", " \r\n"), text.data ? text.data : "");
        buf_free(&text);
    } else found = os_join(snapshots, revision);
    if (!os_is_dir(found) && !strcmp(revision, "main") && os_is_dir(snapshots)) {
        size_t count;
        char **names = os_list(snapshots, &count);
        if (count == 1) mem_free(found), found = os_join(snapshots, names[0]);
        for (size_t i = 0; i < count; i++) mem_free(names[i]);
        mem_free(names);
    }
    mem_free(ref), mem_free(snapshots);
    if (os_is_dir(found)) return found;
    mem_free(found);
    return NULL;
}

char *model_locate(const char *name) {
    if (os_exists(name) || !is_hub_name(name)) return str_copy(name);
    size_t length = strcspn(name, "@");
    const char *revision = name[length] ? name + length + 1 : "main";
    char *cache = cache_folder(), *plain = str_copy_n(name, length);
    Buf folder = {0};
    buf_format(&folder, "%s/models--", cache);
    for (const char *s = plain; *s; s++) buf_str(&folder, *s == '/' ? "--" : (const char[]){*s, 0});
    char *found = snapshot_of(folder.data, revision), *config = found ? os_join(found, "config.json") : NULL;
    bool whole = config && os_exists(config);
    if (!whole && !found && !strchr(plain, '/')) found = str_copy(name); /* a mistyped folder rather */
    else if (!whole)
        bad_input("%s: no such folder, and %s%s. To download it:\n    pip install huggingface_hub\n    hf download %s%s%s\n"
                  "then name it as you did; or copy its folder here and give the path",
                  name, found ? "its snapshot has no config.json: " : "the Hugging Face cache has no snapshot of it: ", found ? found : folder.data, plain,
                  name[length] ? " --revision " : "", name[length] ? revision : "");
    mem_free(cache), mem_free(plain), mem_free(config), buf_free(&folder);
    return found;
}
