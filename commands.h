/* commands: the subcommands; argv begins after the subcommand's name. Each returns the exit code. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "cli.h"

int cmd_stories(int argc, char **argv);
int cmd_tokenizer(int argc, char **argv);
int cmd_pretrain(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_plan(int argc, char **argv);
int cmd_generate(int argc, char **argv);
int cmd_chat(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_forget(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_claims(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_version(int argc, char **argv);
/* Parts of check in files of their own. */
int check_data(int argc, char **argv);
int check_fisher(int argc, char **argv);

#endif
