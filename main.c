/* main: the subcommands, and the only place that exits. Compiled for the baseline CPU, so that it can say what is missing. */
#include "commands.h"
#include "fp.h"
#include "os.h"

#include <stdio.h>
#include <string.h>

#ifndef BUILT_FOR
#define BUILT_FOR "the compiler's own target"
#endif

typedef struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} Subcommand;

static const Subcommand subcommands[] = {
    {"stories", "write the generated story world: texts, tasks, suites", cmd_stories},
    {"tokenizer", "train a byte-level BPE, encode, decode", cmd_tokenizer},
    {"pretrain", "train a new model on text", cmd_pretrain},
    {"train", "fine-tune a model on rows: all weights, or an adapter", cmd_train},
    {"plan", "memory and time of a run of train before it starts", cmd_plan},
    {"generate", "sample text from a model", cmd_generate},
    {"chat", "talk with a model in the terminal", cmd_chat},
    {"eval", "loss and bits per byte of a text, or the score on a task", cmd_eval},
    {"merge", "an adapter into the weights, or part of the way to a tuned model", cmd_merge},
    {"export", "a model or an adapter as a GGUF file for llama.cpp and Ollama", cmd_export},
    {"forget", "what tuning cost: suites before and after, drift, R matrix", cmd_forget},
    {"report", "one HTML file of curves, samples, forgetting, hashes", cmd_report},
    {"claims", "what is said about fine-tuning, as experiments on the story world", cmd_claims},
    {"check", "hashes, logits, gradients of any model folder", cmd_check},
    {"version", "compiler, tier, kind of fma, bits_version", cmd_version},
};
enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static void usage(void) {
    out_text("finetune: train, sample and examine small transformers, with the same bits on every machine\n\n"
             "usage: finetune COMMAND [flags]      finetune COMMAND --help\n\n");
    for (int i = 0; i < SUBCOMMANDS; i++) out_text("  %-10s %s\n", subcommands[i].name, subcommands[i].summary);
    out_text("\nexit: 0 done, 1 the work failed, 2 the call or a file is wrong, 130 interrupted (and saved)\n");
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>

/* What the CPU has and the system saves: AVX2 tier needs FMA, F16C, BMI2 beside it. */
static void check_cpu(void) {
    unsigned a, b = 0, c = 0, d, b7 = 0, c7, xcr = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    if (__get_cpuid_count(7, 0, &a, &b7, &c7, &d) == 0) b7 = 0;
    if (c >> 27 & 1) __asm__ volatile("xgetbv" : "=a"(xcr), "=d"(d) : "c"(0));
    bool v3 = (c >> 12 & 1) && (c >> 29 & 1) && (b7 >> 5 & 1) && (b7 >> 8 & 1) && (xcr & 6) == 6;
    bool v4 = v3 && (b7 >> 16 & 1) && (b7 >> 17 & 1) && (b7 >> 30 & 1) && (b7 >> 31 & 1) && (xcr & 0xe6) == 0xe6;
    if (strstr(BUILT_FOR, "v4") && !v4) bad_input("built for AVX-512, this CPU has none: make ARCH=%s", v3 ? "x86-64-v3" : "x86-64");
    if (strstr(BUILT_FOR, "v3") && !v3) bad_input("built for AVX2, this CPU has none: make ARCH=x86-64");
}
#else
static void check_cpu(void) {}
#endif

static int run(int argc, char **argv) {
    check_cpu();
    os_begin();
    fp_reset_mode();
    const char *wrong = fp_self_test();
    if (wrong) work_failed("this build does not compute as it must (%s): use another compiler or fewer flags, and please report it", wrong);
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage();
        return argc < 2 ? EXIT_BAD_INPUT : 0;
    }
    const char *name = !strcmp(argv[1], "--version") ? "version" : argv[1], *names[SUBCOMMANDS];
    for (int i = 0; i < SUBCOMMANDS; i++) {
        names[i] = subcommands[i].name;
        if (!strcmp(name, names[i])) return subcommands[i].run(argc - 2, argv + 2);
    }
    const char *near = nearest_name(name, names, SUBCOMMANDS);
    bad_input("unknown command \"%s\"%s%s%s; see finetune --help", name, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

int main(int argc, char **argv) {
    static Catch c;
    if (!setjmp(catch_begin(&c)->jump)) {
        int code = run(argc, argv);
        out_flush();
        catch_end(&c);
        return code;
    }
    int code = c.code;
    fprintf(stderr, "finetune: %s\n", c.text);
    if (!setjmp(catch_begin(&c)->jump)) { /* results that came before the failure are not lost */
        out_flush();
        catch_end(&c);
    }
    return code;
}
