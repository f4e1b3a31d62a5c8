/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* asked.c - the arguments of the harness, its help, and its lists. */

#include "crash.h"

#include <getopt.h>
#include <stdlib.h>

/* How many points of an operation and mode the quick run looks at. */
#define QUICK_POINTS 60

struct crash_options asked = {
	.point = POINT_NONE,
	.partner = POINT_NONE,
	.stride = 1,
};

static void list(void)
{
	for (int i = 0; scenarios[i]; i++) {
		printf("%-16s %s;", scenarios[i]->name, scenarios[i]->about);
		for (int mode = 0; mode < MODES; mode++) {
			if (scenarios[i]->modes & IN(mode))
				printf(" %s", mode_names[mode]);
		}
		putchar('\n');
	}
}

static void help(void)
{
	puts("crash: kills and stops a process at every instruction of each operation.\n"
	     "\n"
	     "  --only OP[:MODE][,...]  these operations only\n"
	     "  --point K               this one point, and tell what happens\n"
	     "  --partner K             in duets: with the partner at this point only\n"
	     "  --stride S              every S-th point\n"
	     "  --most N                about N points of each operation and mode\n"
	     "  --seconds N             after that, few points of what is left\n"
	     "  --first                 stop at the first failure\n"
	     "  --lanes N               so many at once; default: one a CPU\n"
	     "  --list                  operations and their modes\n"
	     "  --coverage              functions of the library, and what is tried\n"
	     "\n"
	     "EVR_QUICK=1 in the environment: --most, small.\n"
	     "Exit status: 0 no failure, 1 failures, 2 it could not run.");
}

static uint32_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value >= POINT_NONE) {
		fprintf(stderr, "crash: \"%s\" is no number\n", text);
		exit(2);
	}
	return (uint32_t)value;
}

void options_read(int argc, char **argv)
{
	static const struct option known[] = {
		{ "only", required_argument, NULL, 'o' },
		{ "point", required_argument, NULL, 'p' },
		{ "partner", required_argument, NULL, 'P' },
		{ "stride", required_argument, NULL, 's' },
		{ "most", required_argument, NULL, 'm' },
		{ "seconds", required_argument, NULL, 't' },
		{ "lanes", required_argument, NULL, 'l' },
		{ "first", no_argument, NULL, 'f' },
		{ "list", no_argument, NULL, 'L' },
		{ "coverage", no_argument, NULL, 'C' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *quick = getenv("EVR_QUICK");
	int option;

	asked.quick = quick && quick[0] == '1';
	if (asked.quick)
		asked.most = QUICK_POINTS;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'o':
			asked.only = optarg;
			break;
		case 'p':
			asked.point = number(optarg);
			asked.verbose = true;
			asked.lanes = 1;
			break;
		case 'P':
			asked.partner = number(optarg);
			break;
		case 's':
			asked.stride = number(optarg) ? number(optarg) : 1;
			break;
		case 'm':
			asked.most = number(optarg);
			break;
		case 't':
			asked.seconds = number(optarg);
			break;
		case 'f':
			asked.first = true;
			break;
		case 'l':
			asked.lanes = number(optarg);
			break;
		case 'L':
			list();
			exit(0);
		case 'C':
			coverage_list();
			exit(0);
		case 'h':
			help();
			exit(0);
		default:
			exit(2);
		}
	}
}
