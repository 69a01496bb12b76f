/* safetensors, shards and hashes: what is written is canonical, what is read is checked, nothing hostile gets further. */
#include "../hash.h"
#include "../weights.h"
#include "scratch.h"
#include "test.h"

/* A file of a header and `size` bytes of data counting from 0. */
static Buf make(const char *header, size_t size) {
    Buf b = {0};
    uint64_t n = strlen(header);
    for (int i = 0; i < 8; i++) buf_char(&b, (char)(n >> 8 * i));
    buf_str(&b, header);
    for (size_t i = 0; i < size; i++) buf_char(&b, (char)i);
    return b;
}

static const char *make_file(const char *name, const char *header, size_t size) {
    Buf b = make(header, size);
    const char *path = scratch_file(name, b.data, b.len);
    buf_free(&b);
    return path;
}

/* 0, or the exit code of the failure; a file that opens is read to its last byte. */
static int outcome(const char *path, char text[2048]) {
    Catch c;
    if (!setjmp(catch_begin(&c)->jump)) {
        SafeTensors *s = st_open(path);
        unsigned char sum = 0;
        for (size_t i = 0; i < st_count(s); i++)
            for (uint64_t j = 0; j < st_tensor(s, i)->bytes; j++) sum ^= st_tensor(s, i)->data[j];
        text[0] = (char)(sum & 1); /* so that reading is not for nothing */
        st_close(s);
        catch_end(&c);
        return 0;
    }
    memcpy(text, c.text, sizeof c.text);
    return c.code;
}

static void test_write(void) {
    static const float a[6] = {1, -2, 0.5f, 3, 4, 1e-30f};
    static const unsigned char b[3] = {1, 0, 1};
    static const uint16_t half[2] = {0x3c00, 0xc000}, brain[2] = {0x3f80, 0xc000}; /* 1, -2 */
    StTensor tensors[] = {{.name = "z", .type = ST_F32, .rank = 2, .dims = {2, 3}, .data = (const unsigned char *)a},
                          {.name = "a.b", .type = ST_BOOL, .rank = 1, .dims = {3}, .data = b},
                          {.name = "h", .type = ST_F32, .rank = 1, .dims = {2}, .data = (const unsigned char *)half, .held = STORED_F16},
                          {.name = "b", .type = ST_F32, .rank = 1, .dims = {2}, .data = (const unsigned char *)brain, .held = STORED_BF16},
                          {.name = "k", .type = ST_F16, .rank = 1, .dims = {2}, .data = (const unsigned char *)half},
                          {.name = "scalar", .type = ST_F32, .rank = 0, .data = (const unsigned char *)a},
                          {.name = "empty", .type = ST_I64, .rank = 2, .dims = {0, 7}, .data = b}};
    const char *path = scratch("w.safetensors");
    st_write(path, tensors, 7);
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"z\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"a.b\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[24,27]},\"h\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":"
        "[27,35]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[35,43]},\"k\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[43,47]},"
        "\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[47,51]},\"empty\":{\"dtype\":\"I64\",\"shape\":[0,7],"
        "\"data_offsets\":[51,51]}}";
    Buf whole = os_read(path);
    size_t padded = (sizeof header - 1 + 7) / 8 * 8;
    CHECK(whole.len == 8 + padded + 51, "%zu bytes", whole.len);
    CHECK((unsigned char)whole.data[0] == padded % 256 && (unsigned char)whole.data[1] == padded / 256 && !whole.data[2] && !whole.data[7]);
    CHECK(!memcmp(whole.data + 8, header, sizeof header - 1));
    for (size_t i = sizeof header - 1; i < padded; i++) CHECK(whole.data[8 + i] == ' ');
    CHECK(!memcmp(whole.data + 8 + padded, a, 24));

    SafeTensors *s = st_open(path);
    CHECK(st_count(s) == 7);
    CHECK(!strcmp(st_tensor(s, 0)->name, "z") && !strcmp(st_tensor(s, 1)->name, "a.b"));
    const StTensor *h = st_find(s, "h"), *b2 = st_find(s, "b"), *k = st_find(s, "k"), *scalar = st_find(s, "scalar"),
                   *empty = st_find(s, "empty");
    static const float widened[2] = {1, -2};
    CHECK(h && h->type == ST_F32 && h->rank == 1 && h->dims[0] == 2 && !memcmp(h->data, widened, 8));
    CHECK(b2 && !memcmp(b2->data, widened, 8));
    CHECK(k && k->type == ST_F16 && k->bytes == 4 && !memcmp(k->data, half, 4));
    CHECK(scalar && scalar->rank == 0 && scalar->bytes == 4 && empty && empty->bytes == 0 && empty->dims[1] == 7);
    CHECK(!st_find(s, "zz") && !st_find(s, "") && !st_find(s, "a"));
    st_close(s);
    buf_free(&whole);
    if (os_exists("/dev/full")) CHECK_FAILS(EXIT_WORK_FAILED, "/dev/full", st_write("/dev/full", tensors, 7));
}

#define T(name, type, shape, begin, end) "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

/* A larger file than one chunk of conversion. */
static void test_write_long(void) {
    enum { N = 2500 };
    uint16_t *half = mem_new(N, sizeof *half);
    for (int i = 0; i < N; i++) half[i] = (uint16_t)(i * 7);
    StTensor t = {.name = "x", .type = ST_F32, .rank = 1, .dims = {N}, .data = (const unsigned char *)half, .held = STORED_BF16};
    st_write(scratch("long.safetensors"), &t, 1);
    SafeTensors *s = st_open(scratch("long.safetensors"));
    bool same = true;
    for (int i = 0; i < N; i++) {
        float x;
        memcpy(&x, st_tensor(s, 0)->data + 4 * i, 4);
        same = same && float_bits(x) == (uint32_t)half[i] << 16;
    }
    CHECK(same);
    st_close(s);
    mem_free(half);
}

static void test_accepted(void) {
    static const struct {
        const char *header;
        size_t size, count;
    } good[] = {
        {"{}", 0, 0},
        {"{}      ", 0, 0},
        {"{\"__metadata__\":{}," T("a", "U8", "[3]", 0, 3) "}", 3, 1},
        {"{" T("b", "U8", "[3]", 3, 6) "," T("a", "U8", "[3]", 0, 3) "}", 6, 2},
        {"{" T("z", "U8", "[0]", 3, 3) "," T("a", "U8", "[3]", 0, 3) "," T("c", "U8", "[2]", 3, 5) "}", 5, 3},
        {"{" T("a", "F64", "[1,1,1,1,1,1,1,2]", 0, 16) "}", 16, 1},
        {"{" T("gr\xc3\xb6\xc3\x9f" "e", "I16", "[]", 0, 2) "}", 2, 1},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        SafeTensors *s = st_open(make_file("good.safetensors", good[i].header, good[i].size));
        CHECK(st_count(s) == good[i].count, "%s: %zu tensors", good[i].header, st_count(s));
        for (size_t j = 1; j < st_count(s); j++) CHECK(st_tensor(s, j - 1)->data <= st_tensor(s, j)->data);
        st_close(s);
    }
}

static void test_refused(void) {
    static const struct {
        const char *header;
        size_t size;
        const char *words;
    } bad[] = {
        {"", 0, "does not begin with '{'"},
        {"{", 0, "does not begin with '{'"},
        {"[]", 0, "does not begin with '{'"},
        {" {}", 0, "does not begin with '{'"},
        {"{}x", 0, "line 1, column 3"},
        {"{\"a\":}", 0, "line 1, column 6"},
        {"{\"a\":1}", 0, "tensor a: its header entry is a number, expected an object"},
        {"{}", 1, "1 bytes after the last tensor's data, expected none"},
        {"{\"__metadata__\":[]}", 0, "__metadata__ is an array, expected an object"},
        {"{\"__metadata__\":{\"format\":1}}", 0, "__metadata__ \"format\" is a number, expected a string"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "tensor a: no \"dtype\""},
        {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "tensor a: no \"shape\""},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "tensor a: no \"data_offsets\""},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":0}}", 1,
         "4 fields, expected dtype, shape and data_offsets alone"},
        {"{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "\"dtype\" is a number, expected a string"},
        {"{" T("a", "Q4", "[1]", 0, 1) "}", 1, "dtype is \"Q4\", expected F32"},
        {"{" T("a", "f32", "[1]", 0, 4) "}", 4, "dtype is \"f32\""},
        {"{" T("a", "U8", "1", 0, 1) "}", 1, "\"shape\" is a number, expected an array"},
        {"{" T("a", "U8", "[-1]", 0, 1) "}", 1, "\"shape\" holds a number that is no whole number"},
        {"{" T("a", "U8", "[1.0]", 0, 1) "}", 1, "no whole number"},
        {"{" T("a", "U8", "[1e0]", 0, 1) "}", 1, "no whole number"},
        {"{" T("a", "U8", "[\"1\"]", 0, 1) "}", 1, "\"shape\" holds a string that is no whole number"},
        {"{" T("a", "U8", "[99999999999999999999]", 0, 1) "}", 1, "no whole number"},
        {"{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, "9 dimensions, expected at most 8"},
        {"{" T("a", "F32", "[4294967296,4294967296]", 0, 4) "}", 4, "does not fit into 64 bits"},
        {"{" T("a", "F32", "[4611686018427387904]", 0, 0) "}", 0, "does not fit into 64 bits"},
        {"{" T("a", "F32", "[2305843009213693952,2,2]", 0, 0) "}", 0, "does not fit into 64 bits"},
        {"{" T("a", "F32", "[2]", 0, 4) "}", 4, "its shape as F32 takes 8 bytes, but data_offsets span 4"},
        {"{" T("a", "U8", "[3]", 0, 4) "}", 4, "takes 3 bytes, but data_offsets span 4"},
        {"{" T("a", "U8", "[1]", 1, 0) "}", 1, "begin at 1 after their end 0"},
        {"{" T("a", "U8", "[2]", 0, 2) "}", 1, "end at 2, but the file has only 1 bytes of data: the file is cut short"},
        {"{" T("a", "U8", "[1]", 9223372036854775806, 9223372036854775807) "}", 1, "the file is cut short"},
        {"{" T("a", "U8", "[1]", -1, 0) "}", 1, "\"data_offsets\" holds a number that is no whole number"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1]}}", 1, "data_offsets has 1 numbers, expected 2"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,2]}}", 1, "data_offsets has 3 numbers, expected 2"},
        {"{" T("a", "U8", "[2]", 0, 2) "," T("b", "U8", "[2]", 1, 3) "}", 3,
         "tensor b: its data begin at 1 and overlap those of a, which end at 2"},
        {"{" T("a", "U8", "[2]", 0, 2) "," T("b", "U8", "[2]", 0, 2) "}", 2, "tensor b: its data begin at 0 and overlap"},
        {"{" T("a", "U8", "[2]", 0, 2) "," T("b", "U8", "[2]", 3, 5) "}", 5, "tensor b: its data begin at 3, expected 2"},
        {"{" T("a", "U8", "[2]", 1, 3) "}", 3, "tensor a: its data begin at 1, expected 0"},
        {"{" T("a", "U8", "[2]", 0, 2) "}", 3, "1 bytes after the last tensor's data"},
        {"{" T("a", "U8", "[1]", 0, 1) "," T("a", "U8", "[1]", 1, 2) "}", 2, "the key \"a\" a second time"},
        {"{" T("a", "U8", "[1]", 0, 1) "," T("\\u0061", "U8", "[1]", 1, 2) "}", 2, "the key \"a\" a second time"},
        {"{" T("a\\u0000b", "U8", "[1]", 0, 1) "}", 1, "a zero byte in a tensor's name"},
        {"{" T("\xff", "U8", "[1]", 0, 1) "}", 1, "UTF-8"},
    };
    size_t before = mem_in_use();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[2048];
        int code = outcome(make_file("bad.safetensors", bad[i].header, bad[i].size), text);
        CHECK(code == EXIT_BAD_INPUT && strstr(text, bad[i].words) && strstr(text, "bad.safetensors"), "%s gave %d: %s", bad[i].header,
              code, text);
    }
    CHECK(mem_in_use() == before, "%zu bytes left", mem_in_use() - before);
    CHECK_FAILS(EXIT_BAD_INPUT, "none.safetensors", st_open(scratch("none.safetensors")));
    CHECK_FAILS(EXIT_BAD_INPUT, "0 bytes, expected at least the 8", st_open(scratch_file("zero.safetensors", "", 0)));
    CHECK_FAILS(EXIT_BAD_INPUT, "7 bytes, expected at least the 8", st_open(scratch_file("seven.safetensors", "1234567", 7)));
    static const unsigned char too_long[] = {1, 0, 0, 1, 0, 0, 0, 0, '{', '}'},
                               minus[] = {255, 255, 255, 255, 255, 255, 255, 255, '{', '}'};
    CHECK_FAILS(EXIT_BAD_INPUT, "byte 0 is 16777217, expected at most 16777216", st_open(scratch_file("b.safetensors", too_long, 10)));
    CHECK_FAILS(EXIT_BAD_INPUT, "byte 0 is 18446744073709551615, expected at most", st_open(scratch_file("b.safetensors", minus, 10)));
    static const unsigned char three[] = {3, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    CHECK_FAILS(EXIT_BAD_INPUT, "is 3, but only 2 bytes follow", st_open(scratch_file("b.safetensors", three, 10)));
}

/* Brackets nested a hundred thousand deep, where an object, a shape and an unknown value are expected. */
static void test_deep(void) {
    static const char *const before[] = {"", "{\"a\":", "{\"a\":{\"dtype\":\"U8\",\"shape\":", "{\"__metadata__\":{\"x\":"};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        Buf header = {0};
        buf_str(&header, before[i]);
        for (int d = 0; d < 100000; d++) buf_str(&header, i == 0 ? "{\"a\":" : "[");
        char text[2048];
        int code = outcome(make_file("deep.safetensors", header.data, 0), text);
        CHECK(code == EXIT_BAD_INPUT && strstr(text, "deep.safetensors"), "%d: %s", code, text);
        buf_free(&header);
    }
}

static const char small[] = "{\"__metadata__\":{\"format\":\"pt\"}," T("a", "F32", "[2,3]", 0, 24) "," T("b", "BF16", "[2]", 24, 28) "} ";

static void test_truncated(void) {
    Buf whole = make(small, 28);
    char text[2048];
    for (size_t n = 0; n < whole.len; n++) {
        int code = outcome(scratch_file("cut.safetensors", whole.data, n), text);
        CHECK(code == EXIT_BAD_INPUT && strstr(text, "cut.safetensors"), "%zu bytes: %d: %s", n, code, text);
    }
    CHECK(outcome(scratch_file("cut.safetensors", whole.data, whole.len), text) == 0);
    for (size_t n = 1; n < 10; n++) {
        buf_char(&whole, 0);
        CHECK(outcome(scratch_file("cut.safetensors", whole.data, whole.len), text) == EXIT_BAD_INPUT &&
              strstr(text, "after the last tensor's data"));
    }
    buf_free(&whole);
}

/* Every byte of the frame and the header changed to several others: refused in words, or a file that is as whole as before; a file that was
 * 300 bytes never costs more than a few megabytes. */
static void test_corrupted(void) {
    static const unsigned char others[] = {0, ' ', '"', '0', '1', '9', '-', ',', ':', '[', ']', '{', '}', '\\', 'a', 'e', 0x80, 0xff};
    Buf whole = make(small, 28);
    size_t refused = 0, opened = 0, before = mem_in_use();
    char text[2048];
    const char *path = scratch_file("corrupt.safetensors", whole.data, whole.len);
    FILE *f = fopen(path, "r+b");
    for (size_t at = 0; f && at < whole.len - 28; at++) {
        char old = whole.data[at];
        for (size_t i = 0; i < sizeof others + 2; i++) {
            char new = i < sizeof others ? (char)others[i] : (char)(old + (i == sizeof others ? 1 : -1));
            fseek(f, (long)at, SEEK_SET), fputc(new, f), fflush(f);
            int code = outcome(path, text);
            CHECK(code == 0 || (code == EXIT_BAD_INPUT && strstr(text, "corrupt.safetensors")), "byte %zu, %02x: %d: %s", at,
                  (unsigned char)new, code, text);
            if (code) refused++;
            else opened++;
        }
        fseek(f, (long)at, SEEK_SET), fputc(old, f), fflush(f);
    }
    CHECK(f && !fclose(f));
    CHECK(refused > 2000 && opened > 100, "%zu refused, %zu opened", refused, opened);
    CHECK(mem_in_use() == before);
    CHECK(mem_peak() < 16 << 20, "%zu bytes at the peak", mem_peak());
    buf_free(&whole);
}

static const char *index_file(const char *text) { return scratch_text("shards/model.safetensors.index.json", text); }

static void test_shards(void) {
    os_make_dir(scratch("shards"));
    const char *dir = scratch("shards");
    CHECK_FAILS(EXIT_BAD_INPUT, "no model.safetensors", st_open(dir));
    make_file("shards/m-2.safetensors", "{" T("a", "U8", "[2]", 0, 2) "," T("c", "U8", "[1]", 2, 3) "}", 3);
    make_file("shards/m-1.safetensors", "{" T("b", "U8", "[4]", 0, 4) "}", 4);
    index_file(
        "{\"metadata\":{\"total_size\":7},\"weight_map\":{\"a\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\",\"c\":\"m-2.safetensors\"}}");
    dir = scratch("shards");
    SafeTensors *s = st_open(dir);
    CHECK(st_count(s) == 3 && !strcmp(st_tensor(s, 0)->name, "b") && !strcmp(st_tensor(s, 1)->name, "a") &&
          !strcmp(st_tensor(s, 2)->name, "c"));
    CHECK(st_find(s, "c") && st_find(s, "c")->data[0] == 2 && str_ends(st_find(s, "c")->file, "m-2.safetensors"));
    st_close(s);
    char sharded[65], single[65];
    st_tensors_hash(dir, sharded);

    static const struct {
        const char *index, *words;
    } bad[] = {
        {"[]", "weight_map"},
        {"{}", "weight_map"},
        {"{\"weight_map\":3}", "weight_map"},
        {"{\"weight_map\":{\"a\":1}}", "weight_map: a is in a number, expected the name of a .safetensors file"},
        {"{\"weight_map\":{\"a\":\"../shards/m-1.safetensors\"}}", "expected the name of a .safetensors file in the same folder"},
        {"{\"weight_map\":{\"a\":\"/etc/m.safetensors\"}}", "in the same folder"},
        {"{\"weight_map\":{\"a\":\"c:m.safetensors\"}}", "in the same folder"},
        {"{\"weight_map\":{\"a\":\"..\\\\m.safetensors\"}}", "in the same folder"},
        {"{\"weight_map\":{\"a\":\"m-2.bin\"}}", "in the same folder"},
        {"{\"weight_map\":{\"a\":\"m-1.safetensors\\u0000.safetensors\"}}", "in the same folder"},
        {"{\"weight_map\":{\"a\":\"m-3.safetensors\"}}", "m-3.safetensors"},
        {"{\"weight_map\":{\"a\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\"}}", "tensor c is not in the weight_map"},
        {"{\"weight_map\":{\"a\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\",\"c\":\"m-1.safetensors\"}}", "tensor c: the weight_map"},
        {"{\"weight_map\":{\"a\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\",\"c\":\"m-2.safetensors\",\"d\":\"m-1.safetensors\"}}",
         "d is in none of the shards"},
        {"{\"weight_map\":{\"A\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\",\"c\":\"m-2.safetensors\"}}", "A is in none of the shards"},
        {"{\"weight_map\":{\"a\":\"m-2.safetensors\",\"a\":\"m-2.safetensors\"}}", "the key \"a\" a second time"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        index_file(bad[i].index);
        char text[2048];
        int code = outcome(dir, text);
        CHECK(code == EXIT_BAD_INPUT && strstr(text, bad[i].words), "%s gave %d: %s", bad[i].index, code, text);
    }
    make_file("shards/m-3.safetensors", "{" T("a", "U8", "[1]", 0, 1) "}", 1);
    index_file(
        "{\"weight_map\":{\"a\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\",\"c\":\"m-2.safetensors\",\"d\":\"m-3.safetensors\"}}");
    CHECK_FAILS(EXIT_BAD_INPUT, "tensor a stands in", st_open(dir));

    /* The same tensors in one file, in another order and with other metadata. */
    Buf one = make(
        "{\"__metadata__\":{\"x\":\"y\"}," T("c", "U8", "[1]", 0, 1) "," T("b", "U8", "[4]", 1, 5) "," T("a", "U8", "[2]", 5, 7) "}", 0);
    buf_put(&one, "\2\0\1\2\3\0\1", 7);
    st_tensors_hash(scratch_file("shards/model.safetensors", one.data, one.len), single);
    CHECK(!strcmp(sharded, single));
    st_tensors_hash(dir, sharded);
    CHECK(!strcmp(sharded, single));
    buf_free(&one);
}

/* The bytes of spec.md section 5, spelled out. */
static void test_tensors_hash(void) {
    static const char bytes[] = "\1\0\0\0" "a" "F32" "\2\0\0\0" "\1\0\0\0\0\0\0\0" "\2\0\0\0\0\0\0\0" "\0\1\2\3\4\5\6\7"
                                "\2\0\0\0" "bb" "BOOL" "\0\0\0\0" "\10";
    char expected[65], found[65];
    sha256_of(bytes, sizeof bytes - 1, expected);
    st_tensors_hash(make_file("h.safetensors", "{" T("a", "F32", "[1,2]", 0, 8) "," T("bb", "BOOL", "[]", 8, 9) "}", 9), found);
    CHECK(!strcmp(found, expected));
}

static void test_hash_folder(void) {
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    static const char nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    os_make_dir(scratch("run"));
    CHECK_FAILS(EXIT_BAD_INPUT, "no file in this folder", hash_folder(scratch("run"), (char[65]){0}));
    os_make_dir(scratch("run/sub/deeper"));
    os_make_dir(scratch("run/checkpoints/step-00000001"));
    char hex[65], expected[65];
    hash_file(scratch_text("run/sub/deeper/z.txt", "abc"), hex);
    CHECK(!strcmp(hex, abc));
    hash_file(scratch_text("run/empty", ""), hex);
    CHECK(!strcmp(hex, nothing));
    scratch_text("run/a.json", "abc");
    scratch_text("run/timing.jsonl", "1");
    scratch_text("run/train.lock", "2");
    scratch_text("run/a.json.tmp-123", "3");
    scratch_text("run/checkpoints/step-00000001/state.json", "4");
    char *lines = str_format("%s  a.json\n%s  sub/deeper/z.txt\n%s  empty\n", abc, abc, nothing);
    sha256_of(lines, strlen(lines), expected);
    hash_folder(scratch("run"), hex);
    CHECK(!strcmp(hex, expected));
    scratch_text("run/checkpoints/step-00000001/state.json", "5");
    scratch_text("run/timing.jsonl", "6");
    hash_folder(scratch("run/"), hex);
    CHECK(!strcmp(hex, expected));
    scratch_text("run/sub/deeper/z.txt", "abd");
    hash_folder(scratch("run"), hex);
    CHECK(strcmp(hex, expected));
    mem_free(lines);
    CHECK_FAILS(EXIT_BAD_INPUT, "no-such", hash_file(scratch("no-such"), hex));
}

TESTS({"written bytes, and read back", test_write}, {"a long tensor is converted whole", test_write_long},
      {"accepted headers", test_accepted}, {"refused headers", test_refused}, {"deep nesting", test_deep},
      {"every truncation, trailing bytes", test_truncated}, {"every byte of the header changed", test_corrupted}, {"shards", test_shards},
      {"hash of tensors", test_tensors_hash}, {"hash of files and folders", test_hash_folder})
