/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/* report.c - see <evering/report.h>. */

#include <evering/report.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "pool_internal.h"
#include "text.h"

#define LOOK_PAGES 1024
#define MIB (UINT64_C(1) << 20)

/* ---- looking ---- */

/* Adds to the node's bytes; the list stays in ascending order. */
static int count_page(struct evr_range_report *range, int node, uint64_t bytes)
{
	struct evr_node_bytes *nodes = range->nodes;
	uint32_t at = 0;

	while (at < range->nodes_count && nodes[at].node < node)
		at++;
	if (at == range->nodes_count || nodes[at].node != node) {
		nodes = realloc(nodes, (range->nodes_count + 1) * sizeof(*nodes));
		if (!nodes)
			return -ENOMEM;
		range->nodes = nodes;
		memmove(&nodes[at + 1], &nodes[at],
			(range->nodes_count - at) * sizeof(*nodes));
		nodes[at] = (struct evr_node_bytes){ .node = node };
		range->nodes_count++;
	}
	nodes[at].bytes += bytes;
	return 0;
}

static int look_at_pages(char *address, uint64_t bytes,
			 struct evr_range_report *range)
{
	uint64_t pages = bytes / range->page_bytes;
	int found[LOOK_PAGES];
	int error = 0;

	/* Fails where a hole was punched that cannot be filled: the counts say so. */
	(void)evri_os_memory_populate_read(address, bytes);
	for (uint64_t done = 0; error == 0 && done < pages;) {
		uint32_t some = pages - done < LOOK_PAGES ? (uint32_t)(pages - done) :
							    LOOK_PAGES;

		error = evri_os_page_nodes(address + done * range->page_bytes,
					   range->page_bytes, some, found);
		if (error < 0)
			return evri_fail(error, "cannot ask where pages are: %s",
					 strerror(-error));
		for (uint32_t i = 0; error == 0 && i < some; i++) {
			if (found[i] < 0)
				range->absent_bytes += range->page_bytes;
			else
				error = count_page(range, found[i], range->page_bytes);
		}
		done += some;
	}
	return error;
}

/* What is between the holes: a look at those would fill them. */
static int look_between(const struct evr_region *region, const struct evri_hole *holes,
			uint32_t holes_count, struct evr_range_report *range)
{
	uint64_t at = range->offset;
	int error = 0;

	for (uint32_t i = 0; error == 0 && i < holes_count; i++) {
		if (holes[i].offset > at)
			error = look_at_pages(region->base + at, holes[i].offset - at,
					      range);
		range->returned_bytes += holes[i].bytes;
		at = holes[i].offset + holes[i].bytes;
	}
	if (error == 0 && range->offset + range->bytes > at)
		error = look_at_pages(region->base + at,
				      range->offset + range->bytes - at, range);
	return error;
}

static int look_at_range(struct evr_region *region, const struct evr_pool *pool,
			 uint32_t index, struct evr_range_report *range)
{
	struct evri_hole *holes = NULL;
	struct evri_os_mapping_info info;
	uint32_t holes_count = 0;
	int error = 0;

	if (pool)
		error = evri_pool_holes(pool, index, &holes, &holes_count);
	if (error == 0)
		error = look_between(region, holes, holes_count, range);
	free(holes);
	if (error < 0)
		return error;
	error = evri_os_mapping_inspect(region->base + range->offset, range->bytes,
					&info);
	if (error < 0)
		return evri_fail(error, "cannot read /proc/self/smaps: %s",
				 strerror(-error));
	range->huge_bytes = range->page_bytes > EVR_PAGE_4K ?
				    range->bytes - range->returned_bytes :
				    info.huge_bytes;
	range->locked = info.locked;
	range->dumped = info.dumped;
	return 0;
}

int evr_region_report(struct evr_region *region, struct evr_report **ret_report)
{
	struct evr_report *report = calloc(1, sizeof(*report));
	struct evri_range_cursor cursor = { 0 };
	struct evri_os_memory_info info;
	struct evr_pool *pool = NULL;
	struct evri_range found;
	int error;

	if (!report)
		return -ENOMEM;
	error = evri_os_memory_inspect(region->fd, &info);
	if (error == 0)
		error = evri_region_map_ranges(region);
	/* Without one, or with one that is broken, nothing was given back. */
	if (error == 0 && evr_pool_open(region, &pool) < 0)
		pool = NULL;
	report->bytes_max = region->bytes;
	report->page_bytes = region->page_bytes;
	while (error == 0 && evri_range_next(region, &cursor, &found)) {
		const struct evr_range_shared *shared = &region->ranges[found.index];
		struct evr_range_report *range = &report->ranges[report->ranges_count++];

		range->offset = found.offset;
		range->bytes = found.bytes;
		range->state = found.state;
		range->page_bytes = region->page_bytes;
		/* One that became READY since the line above is told as it was. */
		if (found.state != EVR_RANGE_READY ||
		    !evri_region_is_mapped(region, found.index))
			continue;
		report->bytes += found.bytes;
		range->policy = evr_plain_load_u32(&shared->policy);
		range->flags = evr_plain_load_u32(&shared->flags);
		range->nodes_wanted = evr_plain_load_u64(&shared->nodes);
		range->settle_ns = evr_plain_load_u64(&shared->settle_ns);
		error = look_at_range(region, pool, found.index, range);
	}
	if (pool)
		evri_pool_free(pool);
	if (error < 0) {
		evr_region_report_destroy(report);
		return error;
	}
	report->seals = info.seals;
	*ret_report = report;
	return 0;
}

void evr_region_report_destroy(struct evr_report *report)
{
	if (!report)
		return;
	for (uint32_t i = 0; i < report->ranges_count; i++)
		free(report->ranges[i].nodes);
	free(report);
}

/* ---- telling ---- */

static const char *state_name(uint32_t state)
{
	switch (state) {
	case EVR_RANGE_BUILDING:
		return "being made";
	case EVR_RANGE_READY:
		return "ready";
	case EVR_RANGE_SPARE:
		return "without pages";
	default:
		return "?";
	}
}

static const char *policy_name(uint32_t policy)
{
	static const char *const names[] = {
		[EVR_POLICY_ANY] = "any node",
		[EVR_POLICY_BIND] = "bound to node",
		[EVR_POLICY_INTERLEAVE] = "interleaved over node",
		[EVR_POLICY_PREFERRED] = "preferably on node",
		[EVR_POLICY_NEAR_CPU] = "near a CPU",
	};

	return policy < sizeof(names) / sizeof(names[0]) ? names[policy] : "?";
}

static void tell_wish(struct evri_text *text, const struct evr_range_report *range)
{
	evri_say(text, "; asked: %s", policy_name(range->policy));
	for (unsigned node = 0; node < 64; node++)
		if (range->nodes_wanted >> node & 1)
			evri_say(text, " %u", node);
	if (range->flags & EVR_REGION_TRANSPARENT)
		evri_say(text, ", transparent huge pages");
	if (range->flags & EVR_REGION_PREFER_PAGES)
		evri_say(text, ", page size preferred");
}

static void tell_range(struct evri_text *text, uint32_t index,
		       const struct evr_range_report *range)
{
	evri_say(text, "range %u: %" PRIu64 " KiB at %" PRIu64 " KiB, %s", index,
		      range->bytes >> 10, range->offset >> 10, state_name(range->state));
	if (range->state != EVR_RANGE_READY) {
		evri_say(text, "\n");
		return;
	}
	evri_say(text, ", pages of %" PRIu64 " KiB", range->page_bytes >> 10);
	if (range->page_bytes == EVR_PAGE_4K && range->huge_bytes)
		evri_say(text, " (%" PRIu64 " KiB in huge ones)",
			      range->huge_bytes >> 10);
	for (uint32_t i = 0; i < range->nodes_count; i++)
		evri_say(text, ", node %d: %" PRIu64 " pages",
			      range->nodes[i].node,
			      range->nodes[i].bytes / range->page_bytes);
	if (range->returned_bytes)
		evri_say(text, ", %" PRIu64 " pages given back",
			 range->returned_bytes / range->page_bytes);
	if (range->absent_bytes)
		evri_say(text, ", ABSENT: %" PRIu64 " pages",
			      range->absent_bytes / range->page_bytes);
	evri_say(text, ", %s, %s", range->locked ? "locked" : "not locked",
		      range->dumped ? "in core dumps" : "not in core dumps");
	tell_wish(text, range);
	evri_say(text, "; made in %.1f ms\n", (double)range->settle_ns / 1e6);
}

int evr_region_report_write(const struct evr_report *report, int fd)
{
	struct evri_text text = { .fd = fd };

	evri_say(&text,
		      "region: %" PRIu64 " of at most %" PRIu64 " KiB, pages of %" PRIu64
		      " KiB, seals %#x\n",
		      report->bytes >> 10, report->bytes_max >> 10,
		      report->page_bytes >> 10, report->seals);
	for (uint32_t i = 0; i < report->ranges_count; i++)
		tell_range(&text, i, &report->ranges[i]);
	evri_flush(&text);
	return text.error;
}
