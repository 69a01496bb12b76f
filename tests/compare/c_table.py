"""What the scripts that write a C table share: the array, and writing it or comparing it with the file that is there."""
import os
import sys


def array(kind, name, items):
    text, line = "static const %s %s[] = {\n" % (kind, name), "   "
    for item in items:
        item = " %s," % item
        if len(line) + len(item) > 138:
            text, line = text + line + "\n", "   "
        line += item
    return text + line + "\n};\n"


def write_or_check(made, name, truth):
    """name: of the file beside the product's others; truth: who would say otherwise."""
    if "--check" in sys.argv:
        here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", name)
        same = open(here).read() == made
        print(name, "is up to date" if same else "DIFFERS from what %s says" % truth)
        sys.exit(not same)
    sys.stdout.write(made)
