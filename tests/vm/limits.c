/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * limits.c - what regions do on a machine with three nodes when pages run out: in a node,
 * in a cgroup, by RLIMIT_MEMLOCK, in a cpuset. It must be an error that says why, before
 * the kernel kills anybody, and everything must be as it was.
 */

#include "witness.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <evering/cpu.h>

/* Creates, and gives back at once: was it possible? */
static int try_create(const struct evr_region_options *options)
{
	struct evr_region *region;
	int error = evr_region_create(options, &region);

	if (error == 0)
		evr_region_detach(region);
	return error;
}

struct got {
	struct evr_range_report range; /* without its list of nodes */
	struct spread spread;
};

static struct got got_of(const struct evr_region_options *options)
{
	struct evr_report *report;
	struct evr_region *region;
	struct got got;

	MUST(evr_region_create(options, &region));
	report = true_report(region, options->name);
	got.spread = spread_of_report(report);
	got.range = report->ranges[0];
	got.range.nodes = NULL;
	evr_region_report_destroy(report);
	evr_region_detach(region);
	return got;
}

/* ---- too few huge pages ---- */

static void huge_in_each_node(void *unused)
{
	static const char *const lists[] = {"0", "1", "2", "1,2"};
	static const char *const had[] = {"node 0 has 16", "node 1 has 16",
					  "node 2 has 16",
					  "node 1 has 16, node 2 has 16"};

	(void)unused;
	for (int i = 0; i < 4; i++) {
		struct evr_region_options options =
			region_of("limits", TOO_MANY_BYTES, EVR_PAGE_2M);

		options.placement = placed(EVR_POLICY_BIND, lists[i]);
		if (i == 3)
			options.bytes *= 2;
		expect_refusal(try_create(&options), -ENOSPC,
			       i == 3 ? "40 pages of 2048 KiB wanted" :
					"20 pages of 2048 KiB wanted",
			       had[i]);
	}
}

static void huge_interleaved(void *unused)
{
	struct evr_region_options options =
		region_of("limits", 2 * TOO_MANY_BYTES, EVR_PAGE_2M);

	(void)unused;
	options.placement = placed(EVR_POLICY_INTERLEAVE, "1,2");
	expect_refusal(try_create(&options), -ENOSPC, "40 pages of 2048 KiB wanted",
		       "node 1 has 16, node 2 has 16");
	/* Enough in both together, but not for every second page. */
	if (!write_text("/sys/devices/system/node/node2/hugepages/hugepages-2048kB/"
			"nr_hugepages",
			"4"))
		return;
	options.bytes = 16 * EVR_PAGE_2M;
	expect_refusal(try_create(&options), -ENOSPC, "16 pages of 2048 KiB wanted",
		       "node 1 has 16, node 2 has 4");
	write_text("/sys/devices/system/node/node2/hugepages/hugepages-2048kB/"
		   "nr_hugepages",
		   "16");
}

static void huge_anywhere(void *unused)
{
	struct evr_region_options options =
		region_of("limits", 60 * EVR_PAGE_2M, EVR_PAGE_2M);

	(void)unused;
	expect_refusal(try_create(&options), -ENOMEM,
		       "60 huge pages of 2048 KiB wanted, 48 free", "raise nr_hugepages");
}

static void giant(void *unused)
{
	struct evr_region_options options = region_of("limits", MIB, EVR_PAGE_1G);
	int error = try_create(&options);

	(void)unused;
	wrong_if(error != -ENOMEM && error != -ENODEV, "error %d", error);
	wrong_if(!strstr(evr_error_detail(), error == -ENODEV ? "1073741824" :
								"1048576 KiB wanted, 0"),
		 "%s", evr_error_detail());
}

#define OVERCOMMIT "/proc/sys/vm/nr_overcommit_hugepages"

/* The kernel may make more: of memory of the right node, as long as there is some. */
static void huge_of_other_memory(void *unused)
{
	struct evr_region_options options =
		region_of("limits", TOO_MANY_BYTES, EVR_PAGE_2M);
	struct evr_range_options more = range_of(300 * MIB, "2");
	struct evr_region *region;
	struct huge_pages mine;
	struct got got;

	(void)unused;
	options.placement = placed(EVR_POLICY_BIND, "2");
	got = got_of(&options);
	wrong_if(got.spread.bytes[2] != TOO_MANY_BYTES, "%" PRIu64 " bytes in node 2",
		 got.spread.bytes[2]);

	options.bytes = 2 * MIB;
	options.bytes_max = 512 * MIB;
	options.placement = placed(EVR_POLICY_BIND, "0");
	MUST(evr_region_create(&options, &region));
	mine = huge_pages_now();
	expect_refusal(evr_region_grow(region, &more, NULL), -ENOSPC,
		       "the pages for 314572800 bytes ran out", "being made real");
	expect_huge_pages(&mine);
	/* Of the addresses only some are lost. */
	more.bytes = 4 * MIB;
	MUST(evr_region_grow(region, &more, NULL));
	wrong_if(evr_region_bytes(region) != 6 * MIB, "%" PRIu64 " bytes",
		 evr_region_bytes(region));
}

static void test_huge(void)
{
	in_child(huge_in_each_node, NULL);
	SETTLE("a node with 16 huge pages of 20 wanted is an error that says how many it "
	       "had");
	in_child(huge_interleaved, NULL);
	SETTLE("interleaving where one node has too few huge pages is such an error too");
	in_child(huge_anywhere, NULL);
	SETTLE("a machine with 48 huge pages of 60 wanted is an error with the cure");
	in_child(giant, NULL);
	SETTLE("pages of 1 GiB that are not there are told");
	write_text(OVERCOMMIT, "200");
	in_child(huge_of_other_memory, NULL);
	write_text(OVERCOMMIT, "0");
	SETTLE("huge pages that the kernel may make come from the right node, and when "
	       "it cannot, growing takes none and reserves none");
}

/* ---- too little small memory ---- */

static void small_in_a_node(void *unused)
{
	struct evr_region_options options = region_of("limits", 300 * MIB, EVR_PAGE_4K);

	(void)unused;
	for (int node = 0; node < NODES; node++) {
		char list[2] = {(char)('0' + node), '\0'};
		char text[32];

		snprintf(text, sizeof(text), "node %d has ", node);
		options.placement = placed(EVR_POLICY_BIND, list);
		expect_refusal(try_create(&options), -ENOSPC,
			       "76800 pages of 4 KiB wanted", text);
	}
	options.flags = EVR_REGION_TRANSPARENT;
	expect_refusal(try_create(&options), -ENOSPC, "wanted", "node 2 has ");
}

static void create_once(void *context)
{
	const struct evr_region_options *options = context;
	int error = try_create(options);

	wrong_if(error < 0 && error != -ENOSPC && error != -ENOMEM, "error %d: %s",
		 error, evr_error_detail());
}

/* As much as is free there, and up to @most less. */
static void test_edge(struct evr_placement placement, uint64_t free_bytes, uint64_t most)
{
	struct evr_region_options options;

	for (uint64_t less = 0; less <= most; less += 4 * MIB) {
		options = region_of("limits", free_bytes - less, EVR_PAGE_4K);
		options.placement = placement;
		in_child(create_once, &options);
		wrong_if(kills_now() != kills_before,
			 "%" PRIu64 " MiB less than was free", less >> 20);
	}
}

static void small_anywhere(void *unused)
{
	struct evr_region_options options = region_of("limits", 760 * MIB, EVR_PAGE_4K);

	(void)unused;
	expect_refusal(try_create(&options), -ENOMEM, "796917760 bytes wanted",
		       "available on this machine");
}

static void test_small(void)
{
	in_child(small_in_a_node, NULL);
	SETTLE("a node with too little small memory is an error that says how much, and "
	       "nobody is killed");
	in_child(small_anywhere, NULL);
	SETTLE("a machine with too little small memory is an error, and nobody is "
	       "killed");
	test_edge(placed(EVR_POLICY_BIND, "2"), node_free_bytes(2), 8 * MIB);
	SETTLE("just about as much as a node has free is made or refused, and nobody is "
	       "killed");
	test_edge((struct evr_placement){0},
		  number_in("/proc/meminfo", "MemAvailable:") * 1024, 0);
	SETTLE("just about as much as the machine has free is made or refused, and "
	       "nobody is killed");
}

/* ---- pages that are only preferred ---- */

static void expect_got(const char *what, const struct got *all, uint64_t bytes,
		       uint64_t page_bytes, uint64_t huge_bytes)
{
	const struct evr_range_report *got = &all->range;

	wrong_if(got->bytes != bytes || got->page_bytes != page_bytes ||
			 got->huge_bytes != huge_bytes,
		 "%s: %" PRIu64 " KiB in pages of %" PRIu64 " KiB, %" PRIu64
		 " KiB of it huge",
		 what, got->bytes >> 10, got->page_bytes >> 10, got->huge_bytes >> 10);
}

static void fall_back(void *unused)
{
	struct evr_region_options options = region_of("limits", 8 * MIB, EVR_PAGE_1G);
	struct got got;

	(void)unused;
	options.flags = EVR_REGION_PREFER_PAGES;
	options.placement = placed(EVR_POLICY_BIND, "2");
	got = got_of(&options);
	expect_got("instead of 1 GiB", &got, 8 * MIB, EVR_PAGE_2M, 8 * MIB);
	options.page_bytes = EVR_PAGE_2M;
	options.bytes = TOO_MANY_BYTES;
	got = got_of(&options);
	expect_got("instead of 2 MiB", &got, TOO_MANY_BYTES, EVR_PAGE_4K, TOO_MANY_BYTES);
	wrong_if(!(got.range.flags & EVR_REGION_TRANSPARENT), "not transparent");
	/* As where the machine's memory is in pieces. */
	wrong_if(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0, "prctl: %s",
		 strerror(errno));
	got = got_of(&options);
	expect_got("instead of transparent", &got, TOO_MANY_BYTES, EVR_PAGE_4K, 0);
	options.flags = EVR_REGION_TRANSPARENT;
	options.page_bytes = EVR_PAGE_4K;
	expect_refusal(try_create(&options), -ENOMEM,
		       "0 of 41943040 bytes became transparent huge pages",
		       "EVR_REGION_PREFER_PAGES");
}

/* ---- cgroups ---- */

#define GROUP "/sys/fs/cgroup/evering"

struct cgroup {
	const char *file;
	const char *value;
	void (*work)(void *);
};

static void inside(void *context)
{
	const struct cgroup *cgroup = context;
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (write_text(GROUP "/below/cgroup.procs", pid))
		cgroup->work((void *)(uintptr_t)cgroup->file);
}

/* Runs in a group below the one that has the limit. */
static void in_cgroup(const char *file, const char *value, void (*work)(void *))
{
	struct cgroup cgroup = {file, value, work};
	char path[128];

	mkdir(GROUP, 0755);
	write_text(GROUP "/cgroup.subtree_control", "+cpuset +hugetlb +memory");
	mkdir(GROUP "/below", 0755);
	snprintf(path, sizeof(path), GROUP "/%s", file);
	if (write_text(path, value))
		in_child(inside, &cgroup);
	wrong_if(rmdir(GROUP "/below") != 0 || rmdir(GROUP) != 0, "rmdir: %s",
		 strerror(errno));
}

static void beyond_huge_limit(void *file)
{
	struct evr_region_options options = region_of("limits", 16 * MIB, EVR_PAGE_2M);
	struct evr_range_options more = range_of(8 * MIB, "2");
	struct evr_region *region;
	char path[128];

	snprintf(path, sizeof(path), GROUP "/%s", (const char *)file);
	expect_refusal(try_create(&options), -ENOMEM, "the cgroup's limit is 8388608",
		       path);
	options.bytes = 4 * MIB;
	options.bytes_max = 64 * MIB;
	MUST(evr_region_create(&options, &region));
	expect_refusal(evr_region_grow(region, &more, NULL), -ENOMEM,
		       "the cgroup's limit is 8388608 and 4194304 are used", path);
	more.bytes = 4 * MIB;
	MUST(evr_region_grow(region, &more, NULL));
	evr_region_detach(region);
}

static void beyond_memory_limit(void *file)
{
	struct evr_region_options options = region_of("limits", 64 * MIB, EVR_PAGE_4K);
	struct evr_range_options more = range_of(32 * MIB, "2");
	struct evr_region *region;

	(void)file;
	expect_refusal(try_create(&options), -ENOMEM, "the cgroup's limit is 33554432",
		       GROUP "/memory.max");
	options.bytes = 16 * MIB;
	options.bytes_max = 64 * MIB;
	MUST(evr_region_create(&options, &region));
	expect_refusal(evr_region_grow(region, &more, NULL), -ENOMEM,
		       "the cgroup's limit is 33554432", GROUP "/memory.max");
	more.bytes = 4 * MIB;
	MUST(evr_region_grow(region, &more, NULL));
	evr_region_detach(region);
	/* Around what is left. */
	for (uint64_t bytes = 34 * MIB; bytes >= 26 * MIB; bytes -= 2 * MIB) {
		options.bytes = bytes;
		create_once(&options);
	}
}

static void in_cpuset(void *file)
{
	struct evr_region_options options = region_of("limits", 4 * MIB, EVR_PAGE_4K);
	struct evr_number_set *allowed;
	struct got got;
	char text[32] = "";

	(void)file;
	MUST(evr_number_set_create(&allowed));
	MUST(evr_node_allowed(allowed));
	evr_number_set_format(allowed, text, sizeof(text));
	wrong_if(strcmp(text, "1") != 0, "nodes '%s' are allowed", text);
	options.placement = placed(EVR_POLICY_BIND, "0");
	expect_refusal(try_create(&options), -EINVAL, "node 0",
		       "may take memory from nodes 1");
	options.placement = placed(EVR_POLICY_INTERLEAVE, "1,2");
	expect_refusal(try_create(&options), -EINVAL, "node 2",
		       "may take memory from nodes 1");
	options.placement = (struct evr_placement){0};
	for (int i = 0; i < 2; i++) {
		got = got_of(&options);
		wrong_if(got.spread.bytes[1] != 4 * MIB, "%" PRIu64 " bytes",
			 got.spread.bytes[1]);
		options.page_bytes = EVR_PAGE_2M;
	}
}

static void beyond_cpuset(void *file)
{
	struct evr_region_options options = region_of("limits", 300 * MIB, EVR_PAGE_4K);

	(void)file;
	expect_refusal(try_create(&options), -ENOSPC, "76800 pages of 4 KiB wanted",
		       "node 1 has ");
	options.placement = placed(EVR_POLICY_PREFERRED, "1");
	expect_refusal(try_create(&options), -ENOSPC, "76800 pages of 4 KiB wanted",
		       "node 1 has ");
	options = region_of("limits", TOO_MANY_BYTES, EVR_PAGE_2M);
	expect_refusal(try_create(&options), -ENOSPC, "20 pages of 2048 KiB wanted",
		       "node 1 has 16");
}

/* As numactl and evering-pin bind the process itself. */
static void beyond_own_policy(void *unused)
{
	struct evr_region_options options = region_of("limits", 300 * MIB, EVR_PAGE_4K);
	unsigned long nodes = 1ul << 2;
	struct got got;

	(void)unused;
	wrong_if(set_mempolicy(MPOL_BIND, &nodes, 8 * sizeof(nodes)) != 0,
		 "set_mempolicy: %s", strerror(errno));
	expect_refusal(try_create(&options), -ENOSPC, "76800 pages of 4 KiB wanted",
		       "node 2 has ");
	options.page_bytes = EVR_PAGE_2M;
	options.bytes = TOO_MANY_BYTES;
	expect_refusal(try_create(&options), -ENOSPC, "20 pages of 2048 KiB wanted",
		       "node 2 has 16");
	options.bytes = 4 * MIB;
	got = got_of(&options);
	wrong_if(got.spread.bytes[2] != 4 * MIB, "%" PRIu64 " bytes",
		 got.spread.bytes[2]);
}

static void test_groups(void)
{
	in_cgroup("hugetlb.2MB.max", "8388608", beyond_huge_limit);
	SETTLE("a cgroup's limit of huge pages in use is an error that names its file");
	in_cgroup("hugetlb.2MB.rsvd.max", "8388608", beyond_huge_limit);
	SETTLE("a cgroup's limit of reserved huge pages is an error that names its file");
	in_cgroup("memory.max", "33554432", beyond_memory_limit);
	SETTLE("a cgroup's limit of memory is an error that names its file, and nobody "
	       "is killed");
	in_cgroup("cpuset.mems", "1", in_cpuset);
	SETTLE("a cpuset of node 1 has its regions there, and refuses others by name");
	in_cgroup("cpuset.mems", "1", beyond_cpuset);
	SETTLE("a cpuset of node 1 and more than it has is an error, and nobody is "
	       "killed");
	in_child(beyond_own_policy, NULL);
	SETTLE("a process bound to node 2 and more than it has is an error, and nobody "
	       "is killed");
}

/* ---- locked memory ---- */

static void lock_too_much(void *unused)
{
	struct evr_region_options options = region_of("limits", 4 * MIB, EVR_PAGE_4K);
	struct rlimit limit = {65536, 65536};
	struct got got;

	(void)unused;
	options.flags = EVR_REGION_LOCKED;
	options.placement = placed(EVR_POLICY_BIND, "2");
	got = got_of(&options);
	wrong_if(!got.range.locked, "root's region is not locked");
	wrong_if(setrlimit(RLIMIT_MEMLOCK, &limit) != 0 ||
			 setresuid(65534, 65534, 65534) != 0,
		 "%s", strerror(errno));
	expect_refusal(try_create(&options), -ENOMEM, "cannot lock 4194304 bytes",
		       "RLIMIT_MEMLOCK is 65536");
}

int main(void)
{
	begin(60);
	remember();
	test_huge();
	test_small();
	in_child(fall_back, NULL);
	SETTLE("preferred pages fall back from 1 GiB to 2 MiB to transparent to 4 KiB, "
	       "and the report says to which");
	test_groups();
	in_child(lock_too_much, NULL);
	SETTLE("a locked region is locked, or RLIMIT_MEMLOCK is told");
	return report_end();
}
