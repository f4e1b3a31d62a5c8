/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * growth.c - regions that grow on a machine with three nodes, when that fails half-way:
 * for lack of pages, for a limit, or because the one who grows is killed. The region goes
 * on, and what comes next has the pages that it asked for.
 */

#include "witness.h"

#include <sys/resource.h>

#include <evering/cpu.h>

static void expect_block(struct evr_pool *pool, struct evr_agent *agent)
{
	struct evr_block block;

	(void)pool;
	MUST(evr_block_alloc(agent, 1024, &block));
	memset(block.payload, 1, 1024);
	MUST(evr_block_free(agent, block.token));
}

static void grow_too_far(void *context)
{
	const uint64_t page_bytes = *(const uint64_t *)context;
	struct evr_region_options options = region_of("limits", 4 * MIB, page_bytes);
	uint64_t too_many = page_bytes == EVR_PAGE_2M ? TOO_MANY_BYTES : 300 * MIB;
	struct evr_range_options more = range_of(too_many, "2");
	struct evr_pool_class class = {1024, 64, 0};
	struct evr_pool_options of = {
		.size = sizeof(of), .classes = &class, .classes_count = 1};
	struct evr_report *report;
	struct evr_region *region;
	struct evr_pool *pool;
	struct evr_agent agent;
	struct huge_pages mine;
	uint32_t range = 77;

	options.bytes_max = UINT64_C(1) << 30;
	options.placement = placed(EVR_POLICY_BIND, "0");
	MUST(evr_region_create(&options, &region));
	MUST(evr_pool_create(region, &of, &pool));
	MUST(evr_agent_open(pool, &agent));
	mine = huge_pages_now();
	expect_refusal(evr_region_grow(region, &more, &range), -ENOSPC, "wanted",
		       page_bytes == EVR_PAGE_2M ? "node 2 has 16" : "node 2 has ");
	expect_huge_pages(&mine);
	wrong_if(range != 77, "the result was touched");
	wrong_if(evr_region_bytes(region) != 4 * MIB, "%" PRIu64 " bytes",
		 evr_region_bytes(region));
	expect_block(pool, &agent);
	more.bytes = 8 * MIB;
	MUST(evr_region_grow(region, &more, &range));
	report = true_report(region, "limits");
	wrong_if(spread_of_report(report).bytes[2] < 8 * MIB,
		 "node 2 has %" PRIu64 " bytes", spread_of_report(report).bytes[2]);
	evr_region_report_destroy(report);
}

/* A range is locked too late to be refused before, and its addresses are used again. */
static void grow_after_failure(void *context)
{
	uint64_t page_bytes = *(const uint64_t *)context;
	struct evr_region_options options = region_of("limits", 2 * MIB, page_bytes);
	struct evr_range_options more = range_of(4 * MIB, "2");
	struct evr_number_set *cpus = nodes_of("0");
	struct rlimit limit = {65536, 65536};
	struct evr_report *report;
	struct evr_region *region;
	uint32_t range = 0;

	options.bytes_max = 6 * MIB;
	MUST(evr_cpu_pin(cpus));
	wrong_if(setrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
			 setresuid(65534, 65534, 65534) != 0,
		 "%s", strerror(errno));
	/* Else nobody may read its /proc. */
	prctl(PR_SET_DUMPABLE, 1);
	MUST(evr_region_create(&options, &region));
	more.flags = EVR_REGION_LOCKED | EVR_REGION_DUMPED;
	expect_refusal(evr_region_grow(region, &more, NULL), -ENOMEM, "cannot lock",
		       "RLIMIT_MEMLOCK");
	more.flags = 0;
	more.placement = (struct evr_placement){0};
	MUST(evr_region_grow(region, &more, &range));
	report = true_report(region, "limits");
	wrong_if(range != 1 || spread_of_report(report).bytes[0] != 6 * MIB,
		 "range %u, %" PRIu64 " bytes in node 0", range,
		 spread_of_report(report).bytes[0]);
	wrong_if(report->ranges[1].dumped || report->ranges[1].locked,
		 "locked %d, dumped %d", report->ranges[1].locked,
		 report->ranges[1].dumped);
	evr_region_report_destroy(report);
}

static void die(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
	(void)context;
	(void)done_bytes;
	(void)all_bytes;
	kill(getpid(), SIGKILL);
}

static void grow_and_die(void *context)
{
	const struct evr_region *creator = context;
	struct evr_range_options more = range_of(4 * MIB, "2");
	struct evr_region *region;

	more.progress = die;
	MUST(evr_region_attach(evr_region_fd(creator), &region));
	wrong_if(evr_region_grow(region, &more, NULL) != -EINTR, "it lives");
}

/* All pages were there, on a node that the next one does not ask for. */
static void grow_after_death(void *context)
{
	uint64_t page_bytes = *(const uint64_t *)context;
	struct evr_region_options options = region_of("limits", 2 * MIB, page_bytes);
	struct evr_range_options more = range_of(4 * MIB, "0");
	struct evr_report *report;
	struct evr_region *region;
	uint32_t range = 0;
	int status = 0;

	options.bytes_max = 6 * MIB;
	options.placement = placed(EVR_POLICY_BIND, "0");
	MUST(evr_region_create(&options, &region));
	waitpid(start_child(grow_and_die, region), &status, 0);
	wrong_if(!WIFSIGNALED(status), "the one who grows did not die");
	MUST(evr_region_grow(region, &more, &range));
	report = true_report(region, "limits");
	wrong_if(range != 1 || spread_of_report(report).bytes[0] != 6 * MIB,
		 "range %u, %" PRIu64 " bytes in node 0", range,
		 spread_of_report(report).bytes[0]);
	evr_region_report_destroy(report);
}

int main(void)
{
	uint64_t sizes[] = {EVR_PAGE_4K, EVR_PAGE_2M};

	begin(60);
	remember();
	for (int i = 0; i < 2; i++) {
		const char *what = i ? "2 MiB" : "4 KiB";

		in_child(grow_too_far, &sizes[i]);
		SETTLE("growing by more pages of %s than a node has is an error, takes "
		       "nothing, and the region goes on and grows by less",
		       what);
		in_child(grow_after_failure, &sizes[i]);
		SETTLE("a range in pages of %s that failed leaves none of its wishes to "
		       "the one that has its addresses next",
		       what);
		in_child(grow_after_death, &sizes[i]);
		SETTLE("a range in pages of %s whose maker died is made anew by the "
		       "next, on its own node",
		       what);
	}
	return report_end();
}
