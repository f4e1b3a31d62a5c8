/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#ifndef EVERING_REPORT_H
#define EVERING_REPORT_H

/**
 * report.h - which pages a region really has, and where they are.
 *
 *	struct evr_report *report;
 *	int error = evr_region_report(region, &report);
 *
 *	if (!error)
 *		error = evr_region_report_write(report, STDERR_FILENO);
 *	evr_region_report_destroy(report);
 *
 * What was asked for stands in the region; what was got is asked of the kernel now, page
 * by page, as this process has them mapped.
 */

#include <evering/region.h>

EVR_BEGIN_DECLS

/* Bytes of a range that lie in a node. */
struct evr_node_bytes {
	int32_t node;
	uint32_t reserved;
	uint64_t bytes;
};

/**
 * struct evr_range_report - one range.
 * @offset:       from the region's start.
 * @bytes:        its size.
 * @state:        enum evr_range_state; what follows is zero unless it is READY.
 * @policy:       enum evr_policy, as asked for.
 * @flags:        enum evr_region_flags, as asked for.
 * @nodes_wanted: those of the policy, node n at bit n, up to 63.
 * @page_bytes:   of the file's pages.
 * @huge_bytes:   how much of it is mapped here in pages of 2 MiB or more.
 * @returned_bytes: given back by evr_pool_retire().
 * @absent_bytes: more pages that the kernel says are not there: somebody punched a hole.
 * @locked:       is it locked in memory (by the process that made it real)?
 * @dumped:       is it part of core dumps?
 * @settle_ns:    how long making it real took.
 * @nodes:        @nodes_count of them, those with bytes, in ascending order; part of the
 *                report.
 */
struct evr_range_report {
	uint64_t offset;
	uint64_t bytes;
	uint32_t state;
	uint32_t policy;
	uint32_t flags;
	uint32_t nodes_count;
	uint64_t nodes_wanted;
	uint64_t page_bytes;
	uint64_t huge_bytes;
	uint64_t returned_bytes;
	uint64_t absent_bytes;
	bool locked;
	bool dumped;
	uint64_t settle_ns;
	struct evr_node_bytes *nodes;
};

/**
 * struct evr_report - a region.
 * @bytes:        of all READY ranges.
 * @bytes_max:    what it may grow to.
 * @page_bytes:   of the file's pages.
 * @seals:        F_SEAL_* of the file, see fcntl(2).
 * @ranges_count: how many of @ranges are filled in.
 */
struct evr_report {
	uint64_t bytes;
	uint64_t bytes_max;
	uint64_t page_bytes;
	uint32_t seals;
	uint32_t ranges_count;
	struct evr_range_report ranges[EVR_RANGES_MAX];
};

/**
 * evr_region_report() - looks at each page of a region.
 * @region:     an attached region; reading is enough.
 * @ret_report: the report, to be given to evr_region_report_destroy().
 *
 * Brings all pages into this process's page tables first, but for those that were given
 * back, and reads /proc/self/smaps: milliseconds for each GiB of small pages.
 *
 * Threads: any. Signals: not from handlers. Stopped or killed inside: nobody notices.
 *
 * Return: 0, -ENOMEM, or an errno of the kernel that evr_error_detail() explains.
 */
EVR_API int evr_region_report(struct evr_region *region,
			      struct evr_report **ret_report) EVR_NODISCARD;

/**
 * evr_region_report_write() - writes a report as text, a line for each range.
 * @report: from evr_region_report().
 * @fd:     where to.
 *
 * Threads: any. Return: 0, or the negative errno of write().
 */
EVR_API int evr_region_report_write(const struct evr_report *report,
				    int fd) EVR_NODISCARD;

/**
 * evr_region_report_destroy() - gives a report back.
 * @report: or NULL, which does nothing.
 */
EVR_API void evr_region_report_destroy(struct evr_report *report);

EVR_END_DECLS
#endif
