/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * evr-bench: measures all cases, or one. Usually run by bench/run.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define SUBJECTS_MAX 64
#define REPETITIONS 11
#define REPETITIONS_QUICK 3
#define QUICK_DIVISOR 16

static const struct bench_subject *const lists[] = {
	bench_bounce,
	bench_ring,
	bench_ring_no_mark,
	bench_ring_no_intent_clear,
	bench_message,
	bench_message_no_intent_clear,
	bench_channel,
	bench_alloc,
	bench_rte,
};

static const struct {
	const char *name, *about;
} cases[] = {
	{ "bounce", "a raw cache line to the other CPU and back" },
	{ "mpmc_1p1c", "one block, or 8 bytes, through an MPMC ring" },
	{ "roundtrip_8", "the same there and back, over two rings" },
	{ "message_64", "alloc, fill 64 B, push; pop, read, free" },
	{ "channel_roundtrip_64", "request of 64 B, answer in place; one in flight" },
	{ "channel_window_8", "the same, 8 in flight; ns per request" },
	{ "alloc_free", "one thread takes a block of 64 B and gives it back" },
};

#define CASES_COUNT (sizeof(cases) / sizeof(cases[0]))

struct settings {
	const char *only;
	uint32_t repetitions;
	bool json;
	bool bounce_alone;
	struct bench_conditions conditions;
};

static void usage(FILE *out)
{
	fprintf(out,
		"Usage: evr-bench [OPTION]...\n"
		"\n"
		"Measures Evering beside its peers and the floors of the hardware.\n"
		"\n"
		"  --only CASE   this case alone\n"
		"  --quick       fewer and shorter repetitions: does it run?\n"
		"  --json        a JSON object a line, instead of a table\n"
		"  --reps N      repetitions of each subject (default %d)\n"
		"  --realtime    at real-time priority; wants root\n"
		"  --list        the cases\n"
		"  --bounce      a raw bounce between the two CPUs, in ns; no more\n"
		"  --help        this text\n"
		"\n"
		"Exit status: 0; 1 a message was lost or a call failed; 2 wrong usage.\n",
		REPETITIONS);
}

static void list_cases(void)
{
	for (size_t i = 0; i < CASES_COUNT; i++)
		printf("%-21s  %s\n", cases[i].name, cases[i].about);
}

static bool known_case(const char *name)
{
	for (size_t i = 0; i < CASES_COUNT; i++)
		if (strcmp(cases[i].name, name) == 0)
			return true;
	return false;
}

/* The first two CPUs that this process may use. */
static int find_cpus(int ret_cpus[2])
{
	cpu_set_t set;
	int found = 0;

	bench_check(sched_getaffinity(0, sizeof(set), &set) == 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
		if (CPU_ISSET(cpu, &set))
			ret_cpus[found++] = cpu;
	return found;
}

static void run_case(const char *name, const struct settings *settings)
{
	struct bench_series series[SUBJECTS_MAX];
	size_t subjects_count = 0;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (const struct bench_subject *s = lists[i]; s->case_name; s++) {
			if (strcmp(s->case_name, name) != 0)
				continue;
			bench_check(subjects_count < SUBJECTS_MAX);
			series[subjects_count] = (struct bench_series){
				.subject = s,
				.samples = calloc(settings->repetitions,
						  sizeof(struct bench_sample)),
				.count = settings->repetitions,
			};
			bench_check(series[subjects_count].samples);
			subjects_count++;
		}
	}
	for (uint32_t i = 0; i < settings->repetitions; i++)
		for (size_t k = 0; k < subjects_count; k++)
			bench_pair_run(series[k].subject, &settings->conditions,
				       &series[k].samples[i]);
	for (size_t k = 0; k < subjects_count; k++) {
		bench_report(&series[k], settings->json);
		free(series[k].samples);
	}
}

static void skip_case(const char *name, const struct settings *settings)
{
	const char *reason = "2 CPUs wanted, 1 usable; widen the affinity (taskset) or "
			     "the machine";

	if (settings->json)
		printf("{\"case\":\"%s\",\"skipped\":\"%s\"}\n", name, reason);
	else
		printf("%-21s skipped: %s\n", name, reason);
}

static void parse(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {
		{ "only", required_argument, NULL, 'o' },
		{ "quick", no_argument, NULL, 'q' },
		{ "json", no_argument, NULL, 'j' },
		{ "realtime", no_argument, NULL, 't' },
		{ "reps", required_argument, NULL, 'r' },
		{ "list", no_argument, NULL, 'l' },
		{ "bounce", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'o':
			settings->only = optarg;
			break;
		case 'q':
			settings->repetitions = REPETITIONS_QUICK;
			settings->conditions.divisor = QUICK_DIVISOR;
			break;
		case 'j':
			settings->json = true;
			break;
		case 'r':
			settings->repetitions = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 't':
			settings->conditions.realtime = true;
			break;
		case 'b':
			settings->bounce_alone = true;
			break;
		case 'l':
			list_cases();
			exit(0);
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc || settings->repetitions == 0) {
		usage(stderr);
		exit(2);
	}
	if (settings->only && !known_case(settings->only)) {
		fprintf(stderr, "evr-bench: no case '%s'; there are:\n", settings->only);
		list_cases();
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct settings settings = { .repetitions = REPETITIONS,
				     .conditions.divisor = 1 };
	bool enough_cpus;

	parse(argc, argv, &settings);
	enough_cpus = find_cpus(settings.conditions.cpus) == 2;
	if (settings.bounce_alone) {
		struct bench_sample sample = { 0 };

		settings.conditions.divisor = QUICK_DIVISOR;
		if (enough_cpus)
			bench_pair_run(&bench_bounce[0], &settings.conditions, &sample);
		printf("%.1f\n", sample.item_ns);
		return 0;
	}
	if (!settings.json)
		printf("%-21s %-24s %9s  [%8s ..%9s] %4s   bounce before, after\n",
		       "case", "subject", "median ns", "min", "max", "reps");
	for (size_t i = 0; i < CASES_COUNT; i++) {
		if (settings.only && strcmp(settings.only, cases[i].name) != 0)
			continue;
		if (enough_cpus)
			run_case(cases[i].name, &settings);
		else
			skip_case(cases[i].name, &settings);
	}
	return 0;
}
