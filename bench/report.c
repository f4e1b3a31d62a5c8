/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Medians, and one line for each subject.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Round trips of a raw line below this: the two CPUs are neighbours (they share a cache).
 * A virtual machine may be moved between the two regimes at any moment. */
#define NEAR_NS 250

struct spread {
	double median, min, max;
};

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* @offset: of the wanted number in struct bench_sample. */
static struct spread spread_of(const struct bench_series *series, size_t offset)
{
	double *values = calloc(series->count, sizeof(*values));
	struct spread spread;
	uint32_t middle = series->count / 2;

	bench_check(values);
	for (uint32_t i = 0; i < series->count; i++)
		memcpy(&values[i], (const char *)&series->samples[i] + offset,
		       sizeof(double));
	qsort(values, series->count, sizeof(*values), compare);
	spread.median = series->count % 2 ? values[middle]
					  : (values[middle - 1] + values[middle]) / 2;
	spread.min = values[0];
	spread.max = values[series->count - 1];
	free(values);
	return spread;
}

void bench_report(const struct bench_series *series, bool json)
{
	const struct bench_subject *subject = series->subject;
	struct spread item = spread_of(series, offsetof(struct bench_sample, item_ns));
	struct spread before =
		spread_of(series, offsetof(struct bench_sample, bounce_before_ns));
	struct spread after =
		spread_of(series, offsetof(struct bench_sample, bounce_after_ns));
	double low = before.min < after.min ? before.min : after.min;
	double high = before.max > after.max ? before.max : after.max;
	const char *regime = high < NEAR_NS ? "near" : low < NEAR_NS ? "mixed" : "far";

	if (json)
		printf("{\"case\":\"%s\",\"subject\":\"%s\",\"unit\":\"ns\","
		       "\"better\":\"lower\",\"median\":%.2f,\"min\":%.2f,\"max\":%.2f,"
		       "\"reps\":%u,\"bounce_before_ns\":%.1f,\"bounce_after_ns\":%.1f,"
		       "\"regime\":\"%s\"}\n",
		       subject->case_name, subject->name, item.median, item.min, item.max,
		       series->count, before.median, after.median, regime);
	else
		printf("%-21s %-24s %9.2f  [%8.2f ..%9.2f] %4u   %5.0f %5.0f  %s\n",
		       subject->case_name, subject->name, item.median, item.min, item.max,
		       series->count, before.median, after.median, regime);
	fflush(stdout);
}
