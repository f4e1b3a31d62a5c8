/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* cpu.c - affinity, nodes, and the roles that evering-pin gives out; see cpu.h. */

#include <evering/cpu.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "internal_error.h"
#include "os.h"

#define WORD_BITS 64
/* The largest mask that is tried: EVR_NUMBER_SET_LIMIT CPUs. */
#define WORDS_LIMIT (EVR_NUMBER_SET_LIMIT / WORD_BITS)

/* ---- affinity ---- */

static int set_from_words(struct evr_number_set *set, const uint64_t *words,
			  int words_count)
{
	evr_number_set_clear(set);
	for (int i = 0; i < words_count; i++)
		for (uint64_t left = words[i]; left; left &= left - 1) {
			int cpu = i * WORD_BITS + __builtin_ctzll(left);
			int error = evr_number_set_add(set, cpu);

			if (error)
				return error;
		}
	return 0;
}

int evr_cpu_allowed(struct evr_number_set *set)
{
	int error = -EINVAL;

	/* The kernel does not say how long its mask is; it refuses what is too short. */
	for (int count = 16; error == -EINVAL && count <= WORDS_LIMIT; count *= 2) {
		uint64_t *words = calloc((size_t)count, sizeof(*words));

		if (!words)
			return -ENOMEM;
		error = evri_os_affinity_get(words, (size_t)count);
		if (!error)
			error = set_from_words(set, words, count);
		free(words);
	}
	return error;
}

static int apply(const struct evr_number_set *set)
{
	int last = -1;
	int error;

	for (int cpu = evr_number_set_next(set, 0); cpu >= 0;
	     cpu = evr_number_set_next(set, cpu + 1))
		last = cpu;

	size_t count = (size_t)last / WORD_BITS + 1;
	uint64_t *words = calloc(count, sizeof(*words));

	if (!words)
		return -ENOMEM;
	for (int cpu = evr_number_set_next(set, 0); cpu >= 0;
	     cpu = evr_number_set_next(set, cpu + 1))
		words[cpu / WORD_BITS] |= UINT64_C(1) << (cpu % WORD_BITS);
	error = evri_os_affinity_set(words, count);
	free(words);
	return error;
}

static int cannot_pin(const struct evr_number_set *wanted,
		      const struct evr_number_set *got)
{
	char wanted_list[80];
	char got_list[80];

	evr_number_set_format(wanted, wanted_list, sizeof(wanted_list));
	evr_number_set_format(got, got_list, sizeof(got_list));
	return evri_fail(-EPERM, "cannot run on CPUs %s: this thread may use %s",
			 wanted_list, got_list);
}

/* evr_cpu_pin() with two sets to work with. */
static int pin(const struct evr_number_set *set, struct evr_number_set *before,
	       struct evr_number_set *got)
{
	int error = evr_cpu_allowed(before);

	if (!error)
		error = apply(set);
	if (error == -EINVAL)
		return cannot_pin(set, before);
	if (!error)
		error = evr_cpu_allowed(got);
	if (error)
		return error;
	if (evr_number_set_equal(set, got))
		return 0;
	/* Should even this fail, the thread is on fewer CPUs than it was, all allowed. */
	(void)apply(before);
	return cannot_pin(set, got);
}

int evr_cpu_pin(const struct evr_number_set *set)
{
	struct evr_number_set *before = NULL;
	struct evr_number_set *got = NULL;
	int error;

	if (evr_number_set_next(set, 0) < 0)
		return evri_fail(-EINVAL, "a thread cannot run on no CPU at all");
	error = evr_number_set_create(&before);
	if (!error)
		error = evr_number_set_create(&got);
	if (!error)
		error = pin(set, before, got);
	evr_number_set_destroy(got);
	evr_number_set_destroy(before);
	return error;
}

/* ---- roles ---- */

static const char *const role_names[] = {
	[EVR_CPU_SUBMITTER] = "submitter",
	[EVR_CPU_COMPLETER] = "completer",
	[EVR_CPU_WORKER] = "worker",
};

#define ROLES_COUNT (sizeof(role_names) / sizeof(role_names[0]))

/* The list behind "ROLE:" in the variable's @text, or NULL. */
static const char *list_of_role(const char *text, const char *role)
{
	size_t length = strlen(role);

	for (;;) {
		text += strspn(text, " ");
		if (!*text)
			return NULL;
		if (!strncmp(text, role, length) && text[length] == ':')
			return text + length + 1;
		text += strcspn(text, " ");
	}
}

/* The number at *@text, which moves behind it. -1: there is none that a CPU can have. */
static int read_cpu(const char **text)
{
	const char *digit = *text;
	int cpu = 0;

	for (; *digit >= '0' && *digit <= '9'; digit++) {
		cpu = cpu * 10 + (*digit - '0');
		if (cpu >= EVR_NUMBER_SET_LIMIT)
			return -1;
	}
	if (digit == *text)
		return -1;
	*text = digit;
	return cpu;
}

int evr_cpu_of_role(enum evr_cpu_role role, uint32_t index, int *ret_cpu)
{
	const char *text = getenv(EVR_CPU_ENVIRONMENT);
	const char *list;
	uint32_t read = 0;

	if ((size_t)role >= ROLES_COUNT)
		return evri_fail(-EINVAL, "there is no role %d", (int)role);
	if (!text)
		return evri_fail(-ENOENT,
				 "%s is not set: start the program with "
				 "evering-pin",
				 EVR_CPU_ENVIRONMENT);
	list = list_of_role(text, role_names[role]);
	if (!list)
		return evri_fail(-ENOENT, "%s='%.100s' has no CPU for a %s",
				 EVR_CPU_ENVIRONMENT, text, role_names[role]);
	for (;;) {
		int cpu = read_cpu(&list);

		if (cpu < 0 || (*list && *list != ',' && *list != ' '))
			return evri_fail(-EINVAL,
					 "%s='%.100s' is not like submitter:0,2 "
					 "completer:1,3",
					 EVR_CPU_ENVIRONMENT, text);
		if (read == index) {
			*ret_cpu = cpu;
			return 0;
		}
		read++;
		if (*list != ',')
			return evri_fail(-ERANGE,
					 "%s='%.100s' has %u CPUs for a %s; "
					 "number %u is wanted",
					 EVR_CPU_ENVIRONMENT, text, read,
					 role_names[role], index);
		list++;
	}
}

int evr_cpu_pin_role(enum evr_cpu_role role, uint32_t index, int *ret_cpu)
{
	struct evr_number_set *set;
	int cpu;
	int error = evr_cpu_of_role(role, index, &cpu);

	if (error)
		return error;
	error = evr_number_set_create(&set);
	if (error)
		return error;
	error = evr_number_set_add(set, cpu);
	if (!error)
		error = evr_cpu_pin(set);
	evr_number_set_destroy(set);
	if (!error && ret_cpu)
		*ret_cpu = cpu;
	return error;
}

/* ---- nodes ---- */

int evr_cpu_current(int *ret_cpu, int *ret_node)
{
	int cpu;
	int node;
	int error = evri_os_current_cpu(&cpu, &node);

	if (error)
		return error;
	if (ret_cpu)
		*ret_cpu = cpu;
	if (ret_node)
		*ret_node = node;
	return 0;
}

int evr_cpu_node(int cpu, int *ret_node)
{
	int error = evri_os_cpu_node(cpu, ret_node);

	if (error)
		return evri_fail(error, "there is no CPU %d online", cpu);
	return 0;
}

int evr_node_allowed(struct evr_number_set *set)
{
	evr_number_set_clear(set);
	for (int node = 0; node < evri_os_nodes_limit(); node++) {
		int error;

		if (!evri_os_node_allowed(node))
			continue;
		error = evr_number_set_add(set, node);
		if (error)
			return error;
	}
	return 0;
}

static int take_cpu(void *context, int cpu)
{
	return evr_number_set_add(context, cpu);
}

int evr_node_cpus(int node, struct evr_number_set *set)
{
	int error;

	evr_number_set_clear(set);
	error = evri_os_node_cpus(node, take_cpu, set);
	if (error == -ENODEV)
		return evri_fail(error, "there is no node %d", node);
	return error;
}

int evr_address_node(const void *address, int *ret_node)
{
	return evri_os_address_node(address, ret_node);
}
