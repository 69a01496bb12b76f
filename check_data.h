/* check_data: a command of its own beside the others of check (cmd_check.c). */
#ifndef CHECK_DATA_H
#define CHECK_DATA_H

int check_data(int argc, char **argv);

#endif
