/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * region_pages.c - making a range real where it was asked to be, and saying why not.
 *
 * Whoever creates or grows binds the addresses to nodes, touches every page, and then
 * looks at every page: a policy is advice for some kinds of memory, and the mapping that
 * touches first decides for others. Everything that can run out does so here.
 */

#include <evering/cpu.h>
#include <evering/region.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "region_internal.h"

#define TRANSPARENT_BYTES (UINT64_C(2) << 20)
#define LOOK_PAGES 1024

/* ---- nodes ---- */

/* The policy in the kernel's words, and its nodes; @nodes is the caller's to destroy. */
static int resolve_nodes(const struct evr_placement *placement,
			 enum evri_os_policy *ret_policy, struct evr_number_set *nodes)
{
	int node;
	int error;

	switch (placement->policy) {
	case EVR_POLICY_NEAR_CPU:
		error = evr_cpu_node(placement->cpu, &node);
		if (error == 0)
			error = evr_number_set_add(nodes, node);
		*ret_policy = EVRI_OS_POLICY_BIND;
		return error == -ENODEV ? -EINVAL : error;
	case EVR_POLICY_BIND:
		*ret_policy = EVRI_OS_POLICY_BIND;
		break;
	case EVR_POLICY_INTERLEAVE:
		*ret_policy = EVRI_OS_POLICY_INTERLEAVE;
		break;
	case EVR_POLICY_PREFERRED:
		*ret_policy = EVRI_OS_POLICY_PREFERRED;
		break;
	default:
		return evri_fail(-EINVAL, "there is no placement policy %u",
				 placement->policy);
	}
	if (!placement->nodes || evr_number_set_next(placement->nodes, 0) < 0)
		return evri_fail(-EINVAL, "placement policy %u needs nodes",
				 placement->policy);
	return evr_number_set_copy(nodes, placement->nodes);
}

static int check_nodes(const struct evr_number_set *nodes)
{
	struct evr_number_set *allowed;
	int error = evr_number_set_create(&allowed);

	if (error == 0)
		error = evr_node_allowed(allowed);
	for (int node = evr_number_set_next(nodes, 0); error == 0 && node >= 0;
	     node = evr_number_set_next(nodes, node + 1))
		if (!evr_number_set_has(allowed, node)) {
			char list[96];

			evr_number_set_format(allowed, list, sizeof(list));
			error = evri_fail(-EINVAL,
					  "node %d: this process may take memory from "
					  "nodes %s",
					  node, list);
		}
	evr_number_set_destroy(allowed);
	return error;
}

/* The nodes that pages can come from in the end. A preferred one is only the first, and
 * who does not ask may still be bound, by a cpuset or numactl. False: all there are. */
static bool possible_nodes(enum evri_os_policy policy, const struct evr_number_set *asked,
			   struct evr_number_set *ret, int *ret_error)
{
	int limit = evri_os_nodes_limit();
	bool some = false;

	*ret_error = 0;
	if (policy == EVRI_OS_POLICY_BIND || policy == EVRI_OS_POLICY_INTERLEAVE) {
		*ret_error = evr_number_set_copy(ret, asked);
		return true;
	}
	for (int node = 0; *ret_error == 0 && node < limit; node++) {
		bool possible = policy == EVRI_OS_POLICY_PREFERRED ?
					evri_os_node_allowed(node) :
					evri_os_node_usual(node);

		if (possible)
			*ret_error = evr_number_set_add(ret, node);
		else
			some |= evri_os_node_exists(node);
	}
	return some;
}

/* ---- what is missing ---- */

/* "node 1 has 3, node 2 has 0", for a text. */
static void tell_free(const struct evr_number_set *nodes, uint64_t page_bytes, char *text,
		      size_t bytes)
{
	size_t used = 0;

	text[0] = '\0';
	for (int node = evr_number_set_next(nodes, 0); node >= 0 && used < bytes;
	     node = evr_number_set_next(nodes, node + 1)) {
		uint64_t free = evri_os_node_free_bytes(node, page_bytes) / page_bytes;
		int length = snprintf(text + used, bytes - used,
				      "%snode %d has %" PRIu64, used ? ", " : "", node,
				      free);

		used += length > 0 ? (size_t)length : 0;
	}
}

static int refuse_by_cgroup(const struct evr_region *region, uint64_t bytes)
{
	struct evri_os_cgroup_limit limit;

	if (!evri_os_cgroup_refuses(region->page_bytes, bytes, &limit))
		return 0;
	return evri_fail(-ENOMEM,
			 "%" PRIu64 " bytes wanted, but the cgroup's limit is %" PRIu64
			 " and %" PRIu64 " are used: %s",
			 bytes, limit.limit_bytes, limit.usage_bytes, limit.path);
}

static int refuse_by_machine(const struct evr_region *region, uint64_t bytes,
			     uint32_t flags)
{
	uint64_t page_bytes = region->page_bytes;
	uint64_t available;

	if (page_bytes == EVR_PAGE_4K) {
		available = evri_os_memory_available(!(flags & EVR_REGION_LOCKED));
		if (bytes <= available)
			return 0;
		return evri_fail(-ENOMEM,
				 "%" PRIu64 " bytes wanted, %" PRIu64
				 " available on this machine",
				 bytes, available);
	}
	available = evri_os_huge_pages_free(page_bytes);
	if (bytes / page_bytes <= available + evri_os_huge_pages_more(page_bytes))
		return 0;
	return evri_fail(-ENOMEM,
			 "%" PRIu64 " huge pages of %" PRIu64 " KiB wanted, %" PRIu64
			 " free; raise nr_hugepages in "
			 "/sys/kernel/mm/hugepages/hugepages-%" PRIu64
			 "kB, or use 4 KiB pages",
			 bytes / page_bytes, page_bytes >> 10, available,
			 page_bytes >> 10);
}

/* Do these nodes together have less, or one of them less than its share? */
static bool nodes_lack(const struct evr_number_set *nodes, uint64_t page_bytes,
		       uint64_t bytes, bool in_turn)
{
	uint64_t pages = bytes / page_bytes;
	uint64_t share = pages / (uint64_t)evr_number_set_count(nodes);
	uint64_t more = evri_os_huge_pages_more(page_bytes);
	uint64_t sum = more;
	bool lacks = false;

	for (int node = evr_number_set_next(nodes, 0); node >= 0;
	     node = evr_number_set_next(nodes, node + 1)) {
		uint64_t free = evri_os_node_free_bytes(node, page_bytes) / page_bytes;

		lacks |= in_turn && free + more < share;
		sum += free;
	}
	return lacks || sum < pages;
}

static int refuse_by_nodes(const struct evr_region *region, uint64_t bytes,
			   const struct evr_number_set *nodes, bool in_turn)
{
	uint64_t page_bytes = region->page_bytes;
	char free[128];

	if (!nodes_lack(nodes, page_bytes, bytes, in_turn))
		return 0;
	tell_free(nodes, page_bytes, free, sizeof(free));
	return evri_fail(-ENOSPC,
			 "%" PRIu64 " pages of %" PRIu64
			 " KiB wanted on these nodes%s, free now: %s%s",
			 bytes / page_bytes, page_bytes >> 10,
			 in_turn ? " in turn" : "", free,
			 page_bytes == EVR_PAGE_4K ?
				 "" :
				 "; raise nr_hugepages in "
				 "/sys/devices/system/node/nodeN/hugepages");
}

static int check_with(const struct evr_region *region, uint64_t bytes,
		      const struct evri_settling *how, struct evr_number_set *asked,
		      struct evr_number_set *possible)
{
	enum evri_os_policy policy = EVRI_OS_POLICY_ANY;
	bool some;
	int error = 0;

	if (how->placement.policy != EVR_POLICY_ANY)
		error = resolve_nodes(&how->placement, &policy, asked);
	if (error == 0)
		error = check_nodes(asked);
	if (error == 0)
		error = refuse_by_cgroup(region, bytes);
	if (error < 0)
		return error;
	some = possible_nodes(policy, asked, possible, &error);
	if (error == 0 && some)
		error = refuse_by_nodes(region, bytes, possible,
					policy == EVRI_OS_POLICY_INTERLEAVE);
	if (error == 0)
		error = refuse_by_machine(region, bytes, how->flags);
	return error;
}

/*
 * Huge pages that are missing are an error when they are touched, but only after others
 * were zeroed for nothing. For small ones that are missing the kernel kills somebody.
 */
int evri_settle_check(const struct evr_region *region, uint64_t bytes,
		      const struct evri_settling *how)
{
	struct evr_number_set *possible = NULL;
	struct evr_number_set *asked;
	int error = evr_number_set_create(&asked);

	if (error < 0)
		return error;
	error = evr_number_set_create(&possible);
	if (error == 0)
		error = check_with(region, bytes, how, asked, possible);
	evr_number_set_destroy(possible);
	evr_number_set_destroy(asked);
	return error;
}

/* ---- settling ---- */

/* Is every page on one of these nodes? */
static int look_at_nodes(const struct evr_region *region, const char *address,
			 uint64_t bytes, const struct evr_number_set *nodes)
{
	uint64_t pages = bytes / region->page_bytes;
	int found[LOOK_PAGES];

	for (uint64_t done = 0; done < pages;) {
		uint32_t some = pages - done < LOOK_PAGES ? (uint32_t)(pages - done) :
							    LOOK_PAGES;
		int error = evri_os_page_nodes(address + done * region->page_bytes,
					       region->page_bytes, some, found);

		if (error < 0)
			return evri_fail(error, "cannot ask where pages are: %s",
					 strerror(-error));
		for (uint32_t i = 0; i < some; i++)
			if (!evr_number_set_has(nodes, found[i]))
				return evri_fail(-ENOSPC,
						 "page %" PRIu64 " of %" PRIu64
						 " came from node %d, which was not "
						 "asked for",
						 done + i, pages, found[i]);
		done += some;
	}
	return 0;
}

/* Others took the pages since they were counted. Ours go back before the rest is. */
static int settle_ran_out(const struct evr_region *region, uint64_t offset,
			  uint64_t bytes, const struct evri_settling *how, int error)
{
	int why;

	if (!how->keep_pages)
		(void)evri_os_memory_release(region->fd, offset, bytes);
	why = evri_settle_check(region, bytes, how);
	if (why < 0)
		return why;
	return evri_fail(error,
			 "the pages for %" PRIu64 " bytes ran out while they were being "
			 "made real: %s",
			 bytes, strerror(-error));
}

static int settle_huge(char *address, uint64_t bytes, uint32_t flags)
{
	uint64_t head = -(uintptr_t)address & (TRANSPARENT_BYTES - 1);
	uint64_t wanted;
	uint64_t huge;

	if (head >= bytes)
		return 0;
	wanted = (bytes - head) / TRANSPARENT_BYTES * TRANSPARENT_BYTES;
	huge = evri_os_memory_collapse(address + head, wanted);
	if (huge == wanted || flags & EVR_REGION_PREFER_PAGES)
		return 0;
	return evri_fail(
		-ENOMEM,
		"%" PRIu64 " of %" PRIu64
		" bytes became transparent huge pages: memory is too fragmented, or "
		"this kernel (before 6.1) cannot; "
		"EVR_REGION_PREFER_PAGES would take them as they are",
		huge, wanted);
}

static int settle_lock(char *address, uint64_t bytes)
{
	uint64_t limit = evri_os_lock_limit();
	int error = evri_os_memory_lock(address, bytes);

	if (error == 0)
		return 0;
	return evri_fail(-ENOMEM,
			 "cannot lock %" PRIu64 " bytes: %s; RLIMIT_MEMLOCK is %" PRIu64
			 " (ulimit -l, LimitMEMLOCK=), for all that is locked together",
			 bytes, strerror(-error), limit);
}

/*
 * Making pages huge puts all of one onto the node that has most of it, which for pages in
 * turn is the same node again and again. So each huge page is bound to its node in turn;
 * what every process then sees as the policy is the one asked for.
 */
static int place_huge_in_turn(struct evr_region *region, uint64_t offset, uint64_t bytes,
			      const struct evr_number_set *nodes)
{
	uint64_t step = TRANSPARENT_BYTES;
	uint64_t end = offset + bytes;
	struct evr_number_set *one;
	int node = -1;
	int error = evr_number_set_create(&one);

	/* Each is a mapping for a while, and a process may have 65530. */
	while (bytes / step > 8192)
		step *= 2;
	while (error == 0 && offset < end) {
		uint64_t next = (offset / step + 1) * step;

		next = next < end ? next : end;
		node = evr_number_set_next(nodes, node + 1);
		if (node < 0)
			node = evr_number_set_next(nodes, 0);
		evr_number_set_clear(one);
		error = evr_number_set_add(one, node);
		if (error == 0)
			error = evri_os_memory_place(region->base + offset, next - offset,
						     EVRI_OS_POLICY_BIND, one);
		offset = next;
	}
	evr_number_set_destroy(one);
	return error;
}

static int settle_with(struct evr_region *region, uint64_t offset, uint64_t bytes,
		       const struct evri_settling *how, enum evri_os_policy policy,
		       const struct evr_number_set *nodes)
{
	bool transparent = how->flags & EVR_REGION_TRANSPARENT;
	bool huge_in_turn = transparent && policy == EVRI_OS_POLICY_INTERLEAVE;
	char *address = region->base + offset;
	int error = 0;

	if (huge_in_turn)
		error = place_huge_in_turn(region, offset, bytes, nodes);
	else
		/* Also to none: a wish that failed here before may have left its own. */
		error = evri_os_memory_place(address, bytes, policy, nodes);
	if (error < 0)
		return evri_fail(error, "placement policy %u: %s", how->placement.policy,
				 strerror(-error));
	if (transparent)
		evri_os_memory_want_huge(address, bytes);
	error = evri_os_memory_populate_all(address, bytes, region->page_bytes,
					    how->progress, how->context);
	if (error < 0)
		return settle_ran_out(region, offset, bytes, how, error);
	if (transparent)
		error = settle_huge(address, bytes, how->flags);
	if (error == 0 && huge_in_turn)
		error = evri_os_memory_place(address, bytes, policy, nodes);
	if (error == 0 && how->flags & EVR_REGION_LOCKED)
		error = settle_lock(address, bytes);
	if (error == 0 && nodes && policy != EVRI_OS_POLICY_PREFERRED)
		error = look_at_nodes(region, address, bytes, nodes);
	return error;
}

int evri_settle(struct evr_region *region, uint64_t offset, uint64_t bytes,
		const struct evri_settling *how)
{
	struct evr_number_set *nodes;
	enum evri_os_policy policy;
	int error;

	if (how->placement.policy == EVR_POLICY_ANY)
		return settle_with(region, offset, bytes, how, EVRI_OS_POLICY_ANY, NULL);
	error = evr_number_set_create(&nodes);
	if (error < 0)
		return error;
	error = resolve_nodes(&how->placement, &policy, nodes);
	if (error == 0)
		error = settle_with(region, offset, bytes, how, policy, nodes);
	evr_number_set_destroy(nodes);
	return error;
}
