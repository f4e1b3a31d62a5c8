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
#define HUNG_MAX 2

static const struct bench_subject *const lists[] = {
	bench_bounce,
	bench_floors,
	bench_ring,
	bench_ring_burst,
	bench_ring_no_mark,
	bench_ring_no_intent_clear,
	bench_ring_block,
	bench_ring_team,
	bench_message,
	bench_message_burst,
	bench_message_no_intent_clear,
	bench_channel,
	bench_inline,
	bench_lanes,
	bench_alloc,
	bench_rte,
	bench_rte_block,
	bench_ck,
	bench_boost,
	bench_moodycamel,
	bench_readerwriter,
	bench_urcu,
	bench_tbb,
};

#define LISTS_COUNT (sizeof(lists) / sizeof(lists[0]))

static const struct {
	const char *name, *about;
} cases[] = {
	{ "bounce", "a raw cache line to the other CPU and back" },
	{ "spsc_8", "8 bytes, one sender, one receiver, one a call" },
	{ "spsc_8_burst_32", "the same, 32 a call" },
	{ "spsc_64", "64 bytes, one sender, one receiver, one a call" },
	{ "spsc_64_burst_32", "the same, 32 a call" },
	{ "mpmc_1p1c", "one block, or 8 bytes, through an MPMC ring" },
	{ "mpmc_burst_8", "the same, 8 a call" },
	{ "mpmc_burst_32", "the same, 32 a call" },
	{ "mpmc_4p4c", "4 senders and 4 receivers at one MPMC ring; M/s" },
	{ "mpmc_8p8c", "8 and 8" },
	{ "lanes_4p", "4 senders, one receiver with a CPU to itself; M/s" },
	{ "roundtrip_8", "a block, or 8 bytes, there and back over two MPMC rings" },
	{ "roundtrip_inline_8", "8 bytes there and back, in the slots of two rings" },
	{ "roundtrip_inline_64", "64 bytes" },
	{ "roundtrip_inline_120", "120 bytes" },
	{ "roundtrip_block_256", "a block of 256 B, answered in place" },
	{ "message_64", "alloc, fill 64 B, push; pop, read, free" },
	{ "message_64_burst_32", "the same, pushed and popped 32 a call" },
	{ "channel_roundtrip_64", "request of 64 B, answer in place; one in flight" },
	{ "channel_window_8", "the same, 8 in flight; ns per request" },
	{ "alloc_free", "one thread takes a block of 64 B and gives it back" },
	{ "alloc_free_32", "32 blocks of 64 B, then all back; ns per block" },
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
		"Exit status: 0; 1 a message was lost, a call failed, one of ours hung;\n"
		"2 wrong usage.\n",
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

/* The CPUs that this process may use, as many as there can be sides. */
static void find_cpus(struct bench_conditions *ret)
{
	cpu_set_t set;

	bench_check(sched_getaffinity(0, sizeof(set), &set) == 0);
	for (int cpu = 0; cpu < CPU_SETSIZE && ret->cpus_count < BENCH_SIDES_MAX; cpu++)
		if (CPU_ISSET(cpu, &set))
			ret->cpus[ret->cpus_count++] = cpu;
}

/* Who hung twice is not tried again. */
static bool gave_up(const struct bench_series *series)
{
	uint32_t hung = 0;

	for (uint32_t i = 0; i < series->count; i++)
		hung += series->samples[i].hung;
	return hung >= HUNG_MAX;
}

/* Whether it went well: a peer that hangs is a result, one of ours is a failure. */
static bool finish_series(struct bench_series *series, bool json)
{
	bool well = true;

	bench_report(series, json);
	for (uint32_t i = 0; i < series->count; i++)
		if (series->samples[i].hung &&
		    strncmp(series->subject->name, "evering", 7) == 0)
			well = false;
	free(series->samples);
	return well;
}

static bool run_case(const char *name, const struct settings *settings)
{
	struct bench_series series[SUBJECTS_MAX];
	size_t subjects_count = 0;
	bool well = true;

	for (size_t i = 0; i < LISTS_COUNT; i++) {
		for (const struct bench_subject *s = lists[i]; s->case_name; s++) {
			if (strcmp(s->case_name, name) != 0)
				continue;
			bench_check(subjects_count < SUBJECTS_MAX);
			series[subjects_count] = (struct bench_series){
				.subject = s,
				.samples = calloc(settings->repetitions,
						  sizeof(struct bench_sample)),
			};
			bench_check(series[subjects_count].samples);
			subjects_count++;
		}
	}
	for (uint32_t i = 0; i < settings->repetitions; i++)
		for (size_t k = 0; k < subjects_count; k++)
			if (!gave_up(&series[k]))
				bench_run(series[k].subject, &settings->conditions,
					  &series[k].samples[series[k].count++]);
	for (size_t k = 0; k < subjects_count; k++)
		well = finish_series(&series[k], settings->json) && well;
	if (subjects_count == 0)
		bench_report_skipped(name, "*", "nobody here does it", settings->json);
	return well;
}

/* Peers that are not there. */
static void report_absent(bool json)
{
	for (size_t i = 0; i < LISTS_COUNT; i++)
		for (const struct bench_subject *s = lists[i]; s->case_name; s++)
			if (s->skipped)
				bench_report_skipped("*", s->name, s->skipped, json);
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

static void measure_bounce(struct settings *settings)
{
	struct bench_sample sample = { 0 };

	settings->conditions.divisor = QUICK_DIVISOR;
	if (settings->conditions.cpus_count >= 2)
		bench_run(&bench_bounce[0], &settings->conditions, &sample);
	printf("%.1f\n", sample.value);
}

int main(int argc, char **argv)
{
	struct settings settings = { .repetitions = REPETITIONS,
				     .conditions.divisor = 1 };
	bool well = true;

	parse(argc, argv, &settings);
	find_cpus(&settings.conditions);
	if (settings.bounce_alone) {
		measure_bounce(&settings);
		return 0;
	}
	if (!settings.json)
		printf("%-21s %-24s %12s [%8s ..%9s] %4s   bounce before, after\n",
		       "case", "subject", "median", "min", "max", "reps");
	report_absent(settings.json);
	for (size_t i = 0; i < CASES_COUNT; i++) {
		if (settings.only && strcmp(settings.only, cases[i].name) != 0)
			continue;
		if (settings.conditions.cpus_count >= 2)
			well = run_case(cases[i].name, &settings) && well;
		else
			bench_report_skipped(cases[i].name, "*",
					     "2 CPUs wanted, 1 usable; widen the "
					     "affinity (taskset) or the machine",
					     settings.json);
	}
	return well ? 0 : 1;
}
