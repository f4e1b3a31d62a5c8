/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_TESTS_LIB_REPORT_H
#define EVERING_TESTS_LIB_REPORT_H

/**
 * report.h - how a plain test program says what it proved.
 *
 * One line per property on standard output, which ./check counts:
 *
 *	ok NAME
 *	not ok NAME: what was found, what was expected
 *	skip NAME: reason; cure
 *
 * NAME is the sentence that the test proves; it holds no colon. A program ends with
 * `return report_end();`. Not for several threads at once.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int report_passed_count __attribute__((unused));
static int report_failed_count __attribute__((unused));
static int report_skipped_count __attribute__((unused));

__attribute__((unused)) static void report_ok(const char *name)
{
	report_passed_count++;
	printf("ok %s\n", name);
	fflush(stdout);
}

__attribute__((unused, format(printf, 2, 3))) static void
report_not_ok(const char *name, const char *why, ...)
{
	va_list arguments;

	report_failed_count++;
	printf("not ok %s: ", name);
	va_start(arguments, why);
	vprintf(why, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
}

/* The cure is a command, or what has to be there, so that the test runs next time. */
__attribute__((unused)) static void
report_skip(const char *name, const char *reason, const char *cure)
{
	report_skipped_count++;
	printf("skip %s: %s; %s\n", name, reason, cure);
	fflush(stdout);
}

/* Nonzero when ./check quick runs us: prove the same with less repetition. */
__attribute__((unused)) static int report_quick(void)
{
	const char *quick = getenv("EVR_QUICK");

	return quick && quick[0] == '1';
}

/* The exit status for main(). A program that reported nothing has failed. */
__attribute__((unused)) static int report_end(void)
{
	if (report_passed_count + report_failed_count + report_skipped_count == 0)
		report_not_ok("the program reports what it proves", "no report");
	return report_failed_count ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
