/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* test_cpu.c - cpu.h: what is pinned runs there; roles are what the environment says. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <evering/cpu.h>
#include <evering/error.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct evr_number_set *allowed;
static struct evr_number_set *set;

static void make_sets(void)
{
	cr_assert_eq(evr_number_set_create(&allowed), 0);
	cr_assert_eq(evr_number_set_create(&set), 0);
	cr_assert_eq(evr_cpu_allowed(allowed), 0);
}

static void destroy_sets(void)
{
	evr_number_set_destroy(allowed);
	evr_number_set_destroy(set);
}

TestSuite(cpu, .init = make_sets, .fini = destroy_sets);

/* What /proc says of this thread: "Cpus_allowed_list:	0-1". */
static void expect_in_proc(const struct evr_number_set *cpus)
{
	char path[64];
	char line[4096];
	char wanted[4096];
	bool found = false;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", gettid());
	status = fopen(path, "re");
	if (!status)
		cr_skip_test("/proc is not mounted here; mount -t proc proc /proc");
	evr_number_set_format(cpus, wanted, sizeof(wanted));
	while (!found && fgets(line, sizeof(line), status))
		found = !strncmp(line, "Cpus_allowed_list:\t", 19);
	fclose(status);
	cr_assert(found);
	line[strcspn(line, "\n")] = '\0';
	cr_assert_str_eq(line + 19, wanted);
}

Test(cpu, what_may_be_used_is_what_the_kernel_says)
{
	cr_assert_gt(evr_number_set_count(allowed), 0);
	expect_in_proc(allowed);
}

Test(cpu, a_thread_runs_on_each_cpu_that_it_is_pinned_to)
{
	for (int cpu = evr_number_set_next(allowed, 0); cpu >= 0;
	     cpu = evr_number_set_next(allowed, cpu + 1)) {
		int current = -1;
		int node = -1;
		int its_node = -2;

		evr_number_set_clear(set);
		cr_assert_eq(evr_number_set_add(set, cpu), 0);
		cr_assert_eq(evr_cpu_pin(set), 0, "%s", evr_error_detail());
		expect_in_proc(set);
		cr_assert_eq(evr_cpu_current(&current, &node), 0);
		cr_assert_eq(current, cpu);
		cr_assert_eq(evr_cpu_node(cpu, &its_node), 0);
		cr_assert_eq(its_node, node, "getcpu() says node %d", node);
	}
	cr_assert_eq(evr_cpu_pin(allowed), 0);
	expect_in_proc(allowed);
}

static void *pin_first(void *context)
{
	struct evr_number_set *one = context;

	return evr_cpu_pin(one) == 0 ? context : NULL;
}

Test(cpu, pinning_a_thread_leaves_the_others_alone)
{
	pthread_t thread;
	void *pinned = NULL;

	cr_assert_eq(evr_number_set_add(set, evr_number_set_next(allowed, 0)), 0);
	cr_assert_eq(pthread_create(&thread, NULL, pin_first, set), 0);
	cr_assert_eq(pthread_join(thread, &pinned), 0);
	cr_assert_not_null(pinned);
	expect_in_proc(allowed);
}

Test(cpu, a_cpu_that_may_not_be_used_is_refused_and_changes_nothing)
{
	int beyond = 1 + EVR_NUMBER_SET_LIMIT / 2;

	cr_assert_eq(evr_cpu_pin(set), -EINVAL, "no CPU at all");
	cr_assert_eq(evr_number_set_add(set, beyond), 0);
	cr_assert_eq(evr_cpu_pin(set), -EPERM);
	cr_assert_not_null(strstr(evr_error_detail(), "524289"), "%s",
			   evr_error_detail());
	expect_in_proc(allowed);

	/* The kernel would take this one, and leave out silently what is not there. */
	cr_assert_eq(evr_number_set_add(set, evr_number_set_next(allowed, 0)), 0);
	cr_assert_eq(evr_cpu_pin(set), -EPERM);
	expect_in_proc(allowed);
}

static const struct {
	const char *environment;
	enum evr_cpu_role role;
	uint32_t index;
	int result; /* the CPU, or the error */
} roles[] = {
	{"submitter:0,2 completer:1,3", EVR_CPU_SUBMITTER, 0, 0},
	{"submitter:0,2 completer:1,3", EVR_CPU_SUBMITTER, 1, 2},
	{"submitter:0,2 completer:1,3", EVR_CPU_COMPLETER, 1, 3},
	{"submitter:0,2 completer:1,3", EVR_CPU_COMPLETER, 2, -ERANGE},
	{"submitter:0,2 completer:1,3", EVR_CPU_WORKER, 0, -ENOENT},
	{"worker:7,2000,5", EVR_CPU_WORKER, 1, 2000},
	{"worker:7", EVR_CPU_WORKER, UINT32_MAX, -ERANGE},
	{"  later:x completer:9 ", EVR_CPU_COMPLETER, 0, 9},
	{"nosubmitter:1", EVR_CPU_SUBMITTER, 0, -ENOENT},
	{"", EVR_CPU_SUBMITTER, 0, -ENOENT},
	{NULL, EVR_CPU_SUBMITTER, 0, -ENOENT},
	{"submitter:", EVR_CPU_SUBMITTER, 0, -EINVAL},
	{"submitter:x", EVR_CPU_SUBMITTER, 0, -EINVAL},
	{"submitter:1,", EVR_CPU_SUBMITTER, 1, -EINVAL},
	{"submitter:1;2", EVR_CPU_SUBMITTER, 0, -EINVAL},
	{"submitter:0-3", EVR_CPU_SUBMITTER, 0, -EINVAL},
	{"submitter:99999999999", EVR_CPU_SUBMITTER, 0, -EINVAL},
	{"submitter:1", (enum evr_cpu_role)3, 0, -EINVAL},
};

Test(cpu, a_role_has_the_cpus_that_the_environment_names)
{
	for (size_t i = 0; i < COUNT_OF(roles); i++) {
		int cpu = -1;
		int result;

		if (roles[i].environment)
			setenv(EVR_CPU_ENVIRONMENT, roles[i].environment, 1);
		else
			unsetenv(EVR_CPU_ENVIRONMENT);
		result = evr_cpu_of_role(roles[i].role, roles[i].index, &cpu);
		if (result)
			cr_assert_eq(cpu, -1, "row %zu: touched", i);
		else
			result = cpu;
		cr_assert_eq(result, roles[i].result, "row %zu gave %d: %s", i, result,
			     evr_error_detail());
	}
}

Test(cpu, pinning_by_role_pins_to_that_one_cpu)
{
	int wanted = evr_number_set_next(allowed, 0);
	int cpu = -1;
	char text[64];

	snprintf(text, sizeof(text), "completer:%d", wanted);
	setenv(EVR_CPU_ENVIRONMENT, text, 1);
	cr_assert_eq(evr_cpu_pin_role(EVR_CPU_COMPLETER, 0, &cpu), 0);
	cr_assert_eq(cpu, wanted);
	cr_assert_eq(evr_number_set_add(set, wanted), 0);
	expect_in_proc(set);
	cr_assert_eq(evr_cpu_pin_role(EVR_CPU_COMPLETER, 0, NULL), 0);
	cr_assert_eq(evr_cpu_pin_role(EVR_CPU_COMPLETER, 1, NULL), -ERANGE);
	setenv(EVR_CPU_ENVIRONMENT, "completer:524289", 1);
	cr_assert_eq(evr_cpu_pin_role(EVR_CPU_COMPLETER, 0, &cpu), -EPERM);
	cr_assert_eq(cpu, wanted);
	expect_in_proc(set);
}

Test(cpu, every_cpu_belongs_to_the_node_that_lists_it)
{
	int node;

	cr_assert_eq(evr_node_allowed(set), 0);
	cr_assert_gt(evr_number_set_count(set), 0);
	for (int cpu = evr_number_set_next(allowed, 0); cpu >= 0;
	     cpu = evr_number_set_next(allowed, cpu + 1)) {
		cr_assert_eq(evr_cpu_node(cpu, &node), 0, "%s", evr_error_detail());
		cr_assert_eq(evr_node_cpus(node, set), 0);
		cr_assert(evr_number_set_has(set, cpu), "CPU %d, node %d", cpu, node);
	}
	cr_assert_eq(evr_cpu_node(-1, &node), -ENODEV);
	cr_assert_eq(evr_cpu_node(EVR_NUMBER_SET_LIMIT, &node), -ENODEV);
	cr_assert_eq(evr_node_cpus(-1, set), -ENODEV);
	cr_assert_eq(evr_node_cpus(100000, set), -ENODEV);
}

Test(cpu, a_page_lies_in_an_allowed_node_once_it_was_touched)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	char *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int node = -1;
	int result;

	cr_assert_neq(page, MAP_FAILED);
	result = evr_address_node(page + 100, &node);
	cr_assert(result == -ENOENT || result == 0, "%d", result);
	/* Only read, it is the page of zeroes, which is in no node. */
	cr_assert_eq(*(volatile char *)page, 0);
	cr_assert_eq(evr_address_node(page + 100, &node), result);
	page[0] = 1;
	cr_assert_eq(evr_address_node(page + 100, &node), 0);
	cr_assert_eq(evr_node_allowed(set), 0);
	cr_assert(evr_number_set_has(set, node), "node %d", node);
	munmap(page, bytes);
	cr_assert_eq(evr_address_node(page, &node), -EFAULT);
}
