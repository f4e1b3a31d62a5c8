/* SPDX-License-Identifier: Apache-2.0 OR MIT */

/*
 * test_region_pages.c - which pages a region gets, where they are, what its report says,
 * and what it says when it does not get them.
 */

#include "fixture.h"

#include <evering/cpu.h>
#include <evering/report.h>

#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)

static struct evr_region_options plain(uint64_t bytes)
{
	return (struct evr_region_options){
		.size = sizeof(struct evr_region_options),
		.bytes = bytes,
	};
}

static struct evr_number_set *nodes_of(const char *list)
{
	struct evr_number_set *nodes;

	MUST(evr_number_set_create(&nodes));
	MUST(evr_number_set_parse(nodes, list, NULL));
	return nodes;
}

static struct evr_report *report_of(struct evr_region *region)
{
	struct evr_report *report;

	MUST(evr_region_report(region, &report));
	return report;
}

static uint64_t node_bytes(const struct evr_range_report *range)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < range->nodes_count; i++)
		bytes += range->nodes[i].bytes;
	return bytes;
}

Test(region_pages, a_report_counts_every_page_once)
{
	struct evr_region_options options = plain(3 * MIB);
	struct evr_range_options more = { .size = sizeof(more), .bytes = 2 * MIB };
	struct evr_report *report;
	struct evr_region *region;

	options.bytes_max = 16 * MIB;
	MUST(evr_region_create(&options, &region));
	MUST(evr_region_grow(region, &more, NULL));
	report = report_of(region);
	cr_assert_eq(report->bytes, 5 * MIB);
	cr_assert_eq(report->bytes_max, 16 * MIB);
	cr_assert_eq(report->page_bytes, 4096);
	cr_assert_eq(report->ranges_count, 2);
	cr_assert_eq(report->ranges[1].offset, 3 * MIB);
	for (int i = 0; i < 2; i++) {
		const struct evr_range_report *range = &report->ranges[i];

		cr_assert_eq(range->state, EVR_RANGE_READY);
		cr_assert_eq(node_bytes(range), range->bytes);
		cr_assert_eq(range->absent_bytes, 0);
		cr_assert_not(range->dumped);
		cr_assert_not(range->locked);
		cr_assert_gt(range->settle_ns, 0);
	}
	evr_region_report_destroy(report);
	evr_region_detach(region);
}

Test(region_pages, a_hole_that_somebody_punched_is_told)
{
	struct evr_region_options options = plain(3 * MIB);
	struct evr_report *report;
	struct evr_region *reader;
	struct evr_region *region;
	char text[4096] = "";
	int pipes[2];

	MUST(evr_region_create(&options, &region));
	MUST(evr_region_attach_read_only(evr_region_fd(region), &reader));
	cr_assert_eq(fallocate(evr_region_fd(region),
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 2 * MIB,
			       8 * 4096),
		     0);
	/* Looking through a mapping that may only read does not fill it again. */
	report = report_of(reader);
	cr_assert_leq(node_bytes(&report->ranges[0]), 3 * MIB);
	cr_assert_eq(node_bytes(&report->ranges[0]) + report->ranges[0].absent_bytes,
		     3 * MIB);
	cr_assert_eq(pipe(pipes), 0);
	MUST(evr_region_report_write(report, pipes[1]));
	cr_assert_gt(read(pipes[0], text, sizeof(text) - 1), 0);
	cr_assert_not_null(strstr(text, "range 0: 3072 KiB at 0 KiB, ready"), "%s", text);
	evr_region_report_destroy(report);
	evr_region_detach(reader);
	evr_region_detach(region);
}

Test(region_pages, transparent_huge_pages_are_made_without_any_right_or_setting)
{
	struct evr_region_options options = plain(8 * MIB);
	struct evr_report *report;
	struct evr_region *region;
	int error;

	options.flags = EVR_REGION_TRANSPARENT;
	error = evr_region_create(&options, &region);
	if (error == -ENOMEM)
		cr_skip_test("this kernel made no huge pages: %s; Linux 6.1 or newer "
			     "with CONFIG_TRANSPARENT_HUGEPAGE",
			     evr_error_detail());
	MUST(error);
	report = report_of(region);
	cr_assert_eq(report->ranges[0].huge_bytes, 8 * MIB, "%" PRIu64,
		     report->ranges[0].huge_bytes);
	cr_assert_eq(report->page_bytes, 4096);
	evr_region_report_destroy(report);
	evr_region_detach(region);
}

Test(region_pages, a_preferred_page_size_falls_back_and_the_report_says_to_what)
{
	struct evr_region_options options = plain(2 * MIB);
	struct evr_report *report;
	struct evr_region *region;

	options.page_bytes = EVR_PAGE_1G;
	options.flags = EVR_REGION_PREFER_PAGES;
	/* No machine that runs tests has so much of it free, in any size. */
	options.bytes = UINT64_C(1) << 39;
	FAILS(-ENOMEM, evr_region_create(&options, &region));

	/* Rounded up to 1 GiB only if it gets a page of that size, else to 2 MiB. */
	options = plain((UINT64_C(8) << 20) + 1);
	options.page_bytes = EVR_PAGE_1G;
	options.flags = EVR_REGION_PREFER_PAGES;
	MUST(evr_region_create(&options, &region));
	cr_assert_lt(evr_region_bytes(region) - options.bytes,
		     evr_region_page_bytes(region) == EVR_PAGE_1G ? EVR_PAGE_1G :
								    EVR_PAGE_2M);
	evr_region_detach(region);

	options = plain(2 * MIB);
	options.page_bytes = EVR_PAGE_2M;
	options.flags = EVR_REGION_PREFER_PAGES;
	MUST(evr_region_create(&options, &region));
	report = report_of(region);
	cr_assert(report->page_bytes == EVR_PAGE_2M || report->page_bytes == EVR_PAGE_4K);
	cr_assert_eq(report->bytes, 2 * MIB);
	cr_assert_eq(report->ranges[0].flags & EVR_REGION_TRANSPARENT,
		     report->page_bytes == EVR_PAGE_4K ? EVR_REGION_TRANSPARENT : 0);
	evr_region_report_destroy(report);
	evr_region_detach(region);
}

Test(region_pages, a_required_page_size_that_is_not_there_is_an_error_with_the_cure)
{
	struct evr_region_options options = plain(UINT64_C(1) << 38);
	struct evr_region *region;
	int before = open_descriptors();
	int error;

	options.page_bytes = EVR_PAGE_2M;
	error = evr_region_create(&options, &region);
	cr_assert(error == -ENOMEM || error == -ENODEV, "%d", error);
	if (error == -ENOMEM)
		cr_assert_not_null(strstr(evr_error_detail(), "131072 huge pages"), "%s",
				   evr_error_detail());
	cr_assert_eq(open_descriptors(), before);
	options = plain(MIB);
	options.page_bytes = EVR_PAGE_2M;
	options.flags = EVR_REGION_TRANSPARENT;
	FAILS(-EINVAL, evr_region_create(&options, &region));
	options.page_bytes = 12345;
	FAILS(-EINVAL, evr_region_create(&options, &region));
}

Test(region_pages, pages_lie_on_the_node_that_was_asked_for)
{
	const uint32_t policies[] = { EVR_POLICY_BIND, EVR_POLICY_INTERLEAVE,
				      EVR_POLICY_PREFERRED, EVR_POLICY_NEAR_CPU };
	struct evr_number_set *allowed;
	int cpu;
	int node;

	MUST(evr_number_set_create(&allowed));
	MUST(evr_cpu_current(&cpu, &node));
	MUST(evr_number_set_add(allowed, node));
	for (size_t i = 0; i < 4; i++) {
		struct evr_region_options options = plain(3 * MIB);
		struct evr_report *report;
		struct evr_region *region;

		options.placement.policy = policies[i];
		options.placement.cpu = cpu;
		if (policies[i] != EVR_POLICY_NEAR_CPU)
			options.placement.nodes = allowed;
		MUST(evr_region_create(&options, &region));
		report = report_of(region);
		cr_assert_eq(report->ranges[0].policy, policies[i]);
		cr_assert_eq(report->ranges[0].nodes_count, 1);
		cr_assert_eq(report->ranges[0].nodes[0].node, node);
		cr_assert_eq(report->ranges[0].nodes[0].bytes, 3 * MIB);
		evr_region_report_destroy(report);
		evr_region_detach(region);
	}
	evr_number_set_destroy(allowed);
}

Test(region_pages, a_node_that_is_not_there_is_refused_by_name)
{
	struct evr_region_options options = plain(MIB);
	struct evr_number_set *far_nodes = nodes_of("0,1000");
	struct evr_number_set *none;
	struct evr_region *region;

	MUST(evr_number_set_create(&none));
	options.placement.policy = EVR_POLICY_BIND;
	options.placement.nodes = far_nodes;
	FAILS(-EINVAL, evr_region_create(&options, &region));
	cr_assert_not_null(strstr(evr_error_detail(),
				  "node 1000: this process may take memory from nodes"),
			   "%s", evr_error_detail());
	options.placement.nodes = none;
	FAILS(-EINVAL, evr_region_create(&options, &region));
	options.placement.policy = EVR_POLICY_NEAR_CPU;
	options.placement.cpu = 1 << 19;
	FAILS(-EINVAL, evr_region_create(&options, &region));
	options.placement.policy = 5;
	FAILS(-EINVAL, evr_region_create(&options, &region));
	evr_number_set_destroy(none);
	evr_number_set_destroy(far_nodes);
}

static void lock_too_much(void *unused)
{
	struct rlimit limit = { 65536, 65536 };
	struct evr_region_options options = plain(MIB);
	struct evr_region *region;

	(void)unused;
	CHILD_MUST(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
	/* Root may lock what it likes. */
	if (getuid() == 0)
		CHILD_MUST(setresuid(65534, 65534, 65534) == 0);
	options.flags = EVR_REGION_LOCKED;
	CHILD_MUST(evr_region_create(&options, &region) == -ENOMEM);
	CHILD_MUST(strstr(evr_error_detail(), "RLIMIT_MEMLOCK is 65536") != NULL);
	_exit(0);
}

Test(region_pages, a_locked_region_is_locked_or_says_the_limit)
{
	struct evr_region_options options = plain(MIB);
	struct evr_report *report;
	struct evr_region *region;
	struct rlimit limit;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	cr_skip_test("sanitizers make mlock() do nothing; build without one");
#endif
	child_succeeds(start_child(lock_too_much, NULL));
	cr_assert_eq(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	if (limit.rlim_cur < MIB && getuid() != 0)
		cr_skip_test("RLIMIT_MEMLOCK is %llu; ulimit -l 1024",
			     (unsigned long long)limit.rlim_cur);
	options.flags = EVR_REGION_LOCKED | EVR_REGION_DUMPED;
	MUST(evr_region_create(&options, &region));
	report = report_of(region);
	cr_assert(report->ranges[0].locked);
	cr_assert(report->ranges[0].dumped);
	evr_region_report_destroy(report);
	evr_region_detach(region);
}

struct progress {
	uint64_t last;
	uint64_t all;
	uint32_t calls;
};

static void note_progress(void *context, uint64_t done_bytes, uint64_t all_bytes)
{
	struct progress *progress = context;

	cr_assert_geq(done_bytes, progress->last);
	cr_assert_leq(done_bytes, all_bytes);
	progress->last = done_bytes;
	progress->all = all_bytes;
	progress->calls++;
}

Test(region_pages, progress_is_told_and_ends_at_the_end)
{
	struct evr_region_options options = plain(200 * MIB);
	struct progress progress = { 0 };
	struct evr_region *region;

	options.progress = note_progress;
	options.context = &progress;
	MUST(evr_region_create(&options, &region));
	cr_assert_eq(progress.all, 200 * MIB);
	cr_assert_eq(progress.last, 200 * MIB);
	cr_assert_geq(progress.calls, 2);
	evr_region_detach(region);
}

/* ---- a cgroup's limit ---- */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

/* Under either version of cgroups: where a group can be made, and its limit's file. */
static const char *make_cgroup(char directory[128])
{
	static const char *const roots[][2] = {
		{ "/sys/fs/cgroup/memory", "memory.limit_in_bytes" },
		{ "/sys/fs/cgroup", "memory.max" },
	};

	for (size_t i = 0; i < 2; i++) {
		char path[192];

		snprintf(directory, 128, "%s/evering-test-%d", roots[i][0], getpid());
		if (mkdir(directory, 0755) < 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, roots[i][1]);
		if (write_file(path, "33554432"))
			return directory;
		rmdir(directory);
	}
	return NULL;
}

static void create_beyond_the_limit(void *argument)
{
	struct evr_region_options options = plain(64 * MIB);
	struct evr_region *region;
	char path[192];
	char text[32];

	snprintf(path, sizeof(path), "%s/cgroup.procs", (char *)argument);
	snprintf(text, sizeof(text), "%d", getpid());
	CHILD_MUST(write_file(path, text));
	/* The kernel would kill somebody. */
	CHILD_MUST(evr_region_create(&options, &region) == -ENOMEM);
	CHILD_MUST(strstr(evr_error_detail(), "the cgroup's limit is 33554432") != NULL);
	CHILD_MUST(strstr(evr_error_detail(), "evering-test-") != NULL);
	options.bytes = 4 * MIB;
	CHILD_MUST(evr_region_create(&options, &region) == 0);
	_exit(0);
}

Test(region_pages, a_cgroups_limit_is_an_error_and_kills_nobody)
{
	char directory[128];
	pid_t child;

	if (!make_cgroup(directory))
		cr_skip_test(
			"no memory cgroup can be made here; as root, with the memory "
			"controller under /sys/fs/cgroup");
	child = start_child(create_beyond_the_limit, directory);
	child_succeeds(child);
	rmdir(directory);
}

/* ---- looking without taking part ---- */

Test(region_pages, who_only_reads_is_nobody_and_changes_nothing)
{
	struct peer peer = pool_peer();
	struct evr_range_options more = { .size = sizeof(more), .bytes = 4096 };
	struct evr_ring ring;
	struct evr_region *reader;
	struct evr_uring *uring;
	struct evr_agent agent;
	struct evr_pool *pool;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", evr_region_fd(peer.region));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		cr_skip_test("/proc is not mounted here; mount -t proc proc /proc");
	FAILS(-EBADF, evr_region_attach(fd, &reader));
	MUST(evr_region_attach_read_only(fd, &reader));
	close(fd);
	cr_assert_eq(evr_region_number(reader), 0);
	cr_assert_eq(evr_participant_records(reader),
		     evr_participant_records(peer.region));
	MUST(evr_pool_open(reader, &pool));
	cr_assert_eq(evr_pool_free_count(pool), FIXTURE_BLOCKS);
	FAILS(-EROFS, evr_agent_open(pool, &agent));
	FAILS(-EROFS, evr_region_grow(reader, &more, NULL));
	FAILS(-EROFS, evr_ring_create(reader, "ring", 4, &ring));
	FAILS(-EROFS, evr_uring_create(pool, NULL, &uring));
	MUST(evr_uring_create(peer.pool, NULL, &peer.uring));
	MUST(evr_uring_open(pool, NULL, 0, 0, &uring));
	FAILS(-EROFS, evr_uring_shutdown(uring));
	uring = evr_uring_close(uring);
	MUST(evr_ring_create(peer.region, "ring", 4, &ring));
	FAILS(-EROFS, evr_ring_open(reader, "ring", &ring));
	MUST(evr_region_dump(reader, open("/dev/null", O_WRONLY | O_CLOEXEC)));
	evr_pool_close(pool);
	evr_region_detach(reader);
	peer_close(&peer);
}

static void attach_and_die(void *region)
{
	struct evr_region *mine;

	CHILD_MUST(evr_region_attach(evr_region_fd(region), &mine) == 0);
	_exit(0);
}

Test(region_pages, who_only_reads_counts_the_dead_and_buries_nobody)
{
	struct peer peer = pool_peer();
	struct evr_region *reader;

	MUST(evr_region_attach_read_only(evr_region_fd(peer.region), &reader));
	cr_assert_eq(evr_participant_find_dead(reader), 0);
	child_succeeds(start_child(attach_and_die, peer.region));
	cr_assert_eq(evr_participant_find_dead(reader), 1);
	cr_assert_eq(evr_participant_find_dead(reader), 1);
	cr_assert_eq(evr_participant_find_dead(peer.region), 1);
	evr_region_detach(reader);
	peer_close(&peer);
}
