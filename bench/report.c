/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Medians, and a line for each subject and regime.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Round trips of a raw line below this: the two CPUs are neighbours (they share a cache).
 * A virtual machine may be moved between the two regimes at any moment. */
#define NEAR_NS 250
/* Above this no hardware is to blame: others run on these CPUs. */
#define FAR_NS 1500

enum regime { NEAR, FAR, MIXED, DISTURBED, REGIMES };

static const char *const regimes[REGIMES] = { "near", "far", "mixed", "disturbed" };

struct spread {
	double median, min, max;
};

/* Samples of one regime. */
struct group {
	struct bench_sample *samples;
	uint32_t count;
	enum regime regime;
};

static enum regime regime_of(const struct bench_sample *sample)
{
	bool before = sample->bounce_before_ns < NEAR_NS;
	bool after = sample->bounce_after_ns < NEAR_NS;

	if (sample->bounce_before_ns > FAR_NS || sample->bounce_after_ns > FAR_NS)
		return DISTURBED;
	return before != after ? MIXED : before ? NEAR : FAR;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* @offset: of the wanted number in struct bench_sample. */
static struct spread spread_of(const struct group *group, size_t offset)
{
	double *values = calloc(group->count, sizeof(*values));
	struct spread spread;
	uint32_t middle = group->count / 2;

	bench_check(values);
	for (uint32_t i = 0; i < group->count; i++)
		memcpy(&values[i], (const char *)&group->samples[i] + offset,
		       sizeof(double));
	qsort(values, group->count, sizeof(*values), compare);
	spread.median = group->count % 2 ? values[middle]
					 : (values[middle - 1] + values[middle]) / 2;
	spread.min = values[0];
	spread.max = values[group->count - 1];
	free(values);
	return spread;
}

static const char *sides_of(const struct bench_subject *subject)
{
	return subject->threads ? "threads" : "processes";
}

static void report_json(const struct bench_subject *subject, const struct group *group)
{
	struct spread value = spread_of(group, offsetof(struct bench_sample, value));
	struct spread before =
		spread_of(group, offsetof(struct bench_sample, bounce_before_ns));
	struct spread after =
		spread_of(group, offsetof(struct bench_sample, bounce_after_ns));

	printf("{\"case\":\"%s\",\"subject\":\"%s\",\"sides\":\"%s\",\"unit\":\"%s\","
	       "\"better\":\"%s\",\"median\":%.2f,\"min\":%.2f,\"max\":%.2f,\"reps\":%u,",
	       subject->case_name, subject->name, sides_of(subject),
	       subject->pairs ? "M/s" : "ns", subject->pairs ? "higher" : "lower",
	       value.median, value.min, value.max, group->count);
	if (subject->pairs) {
		struct spread fairness =
			spread_of(group, offsetof(struct bench_sample, fairness));

		printf("\"fairness\":%.3f,\"fairness_min\":%.3f,", fairness.median,
		       fairness.min);
	}
	printf("\"bounce_before_ns\":%.1f,\"bounce_after_ns\":%.1f,\"regime\":\"%s\"}\n",
	       before.median, after.median, regimes[group->regime]);
}

static void report_row(const struct bench_subject *subject, const struct group *group)
{
	struct spread value = spread_of(group, offsetof(struct bench_sample, value));
	struct spread before =
		spread_of(group, offsetof(struct bench_sample, bounce_before_ns));
	struct spread after =
		spread_of(group, offsetof(struct bench_sample, bounce_after_ns));

	printf("%-21s %-24s %8.2f %-3s [%8.2f ..%9.2f] %4u   %5.0f %5.0f  %-5s",
	       subject->case_name, subject->name, value.median,
	       subject->pairs ? "M/s" : "ns", value.min, value.max, group->count,
	       before.median, after.median, regimes[group->regime]);
	if (subject->pairs) {
		struct spread fairness =
			spread_of(group, offsetof(struct bench_sample, fairness));

		printf("  fair %.2f, least %.2f", fairness.median, fairness.min);
	}
	printf("%s\n", subject->threads ? "  threads" : "");
}

static void report_hung(const struct bench_subject *subject, uint32_t hung,
			uint32_t tries, bool json)
{
	if (json)
		printf("{\"case\":\"%s\",\"subject\":\"%s\",\"sides\":\"%s\","
		       "\"hung\":%u,\"reps\":%u}\n",
		       subject->case_name, subject->name, sides_of(subject), hung, tries);
	else
		printf("%-21s %-24s hung: did not end in %u of %u repetitions\n",
		       subject->case_name, subject->name, hung, tries);
}

void bench_report(const struct bench_series *series, bool json)
{
	uint32_t hung = 0;

	for (uint32_t i = 0; i < series->count; i++)
		hung += series->samples[i].hung;
	if (hung)
		report_hung(series->subject, hung, series->count, json);
	for (int regime = 0; regime < REGIMES; regime++) {
		struct group group = {
			.samples = calloc(series->count + 1, sizeof(*group.samples)),
			.regime = (enum regime)regime,
		};

		bench_check(group.samples);
		for (uint32_t i = 0; i < series->count; i++)
			if (!series->samples[i].hung &&
			    (int)regime_of(&series->samples[i]) == regime)
				group.samples[group.count++] = series->samples[i];
		if (group.count && json)
			report_json(series->subject, &group);
		else if (group.count)
			report_row(series->subject, &group);
		free(group.samples);
	}
	fflush(stdout);
}

void bench_report_skipped(const char *case_name, const char *subject, const char *reason,
			  bool json)
{
	if (json)
		printf("{\"case\":\"%s\",\"subject\":\"%s\",\"skipped\":\"%s\"}\n",
		       case_name, subject, reason);
	else
		printf("%-21s %-24s skipped: %s\n", case_name, subject, reason);
}
